"""Baselines: the linear baseline, linear quantile regression, LightGBM, Chronos-2."""
