"""Forecasts and their scores: metrics, objectives, calibration, blends, uncertainty.

forecasts: NOMINAL_COVERAGE, QUANTILE_LEVELS, NonFiniteForecast, QuantileForecasts
metrics: METRICS, by_step, covered, mae, mase, picp, pinball, quantile_losses, score
objectives: COVERAGE_TOLERANCE, FORMER_PAIR, OBJECTIVES, POINTS, Objective, coverage_error
proof: DailyScores, compare_seeds, covers, daily_scores, leaders
evaluation: evaluate, validation_baselines
seasonal_naive: NAIVE_VERSION, SEASONAL_LAGS, naive_ahead, seasonal_naive
calibration: ROLLING_DAYS, Calibration, calibrate, smallest_level
blend: blend, fitted_weights, judged_ensemble
uncertainty: BLOCK_DAYS, MIN_COMPARED_DAYS, bootstrap_intervals, compare, daily_losses, drawn_days
coverage: SEASON_NAMES, WEEKDAY_NAMES, conditional_coverage, target_terciles, reliability
"""
