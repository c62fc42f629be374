"""Forecasts and their scores: metrics, objectives, calibration, mixtures, uncertainty."""
