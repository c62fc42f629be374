"""Forecasts and their scores: metrics, objectives, calibration, blends, uncertainty."""
