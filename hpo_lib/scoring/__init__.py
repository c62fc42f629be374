"""Forecasts and their scores: metrics, objectives, calibration, blends, uncertainty.

forecasts: NOMINAL_COVERAGE, QUANTILE_LEVELS, NonFiniteForecast, QuantileForecasts
metrics: METRICS, by_step, covered, mae, mase, picp, pinball, score
objectives: OBJECTIVES, coverage_error
evaluation: NAIVE_VERSION, SEASONAL_LAGS, evaluate, seasonal_naive, validation_baselines
calibration: ROLLING_DAYS, Calibration, calibrate
blend: blend, fitted_weights
uncertainty: MIN_COMPARED_DAYS, bootstrap_intervals, compare, daily_losses
coverage: SEASON_NAMES, WEEKDAY_NAMES, conditional_coverage, demand_terciles, reliability
"""
