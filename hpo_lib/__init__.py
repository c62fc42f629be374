"""Multi-objective hyperparameter search for probabilistic demand forecasts.

Importing this package is cheap on purpose: torch, darts, neuralforecast and optuna load only when a
study runs.
"""

__version__ = "0.1.0"
