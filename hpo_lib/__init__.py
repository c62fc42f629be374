"""Multi-objective hyperparameter search for probabilistic demand forecasts.

Importing this package is cheap on purpose: torch, darts, neuralforecast and optuna load only when a
study runs.
"""

import os

__version__ = "0.1.0"

# Before torch reads it: threads that wait for each other take twice the processor time for the same
# trials.
os.environ.setdefault("OMP_NUM_THREADS", "1")
