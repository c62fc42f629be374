"""Forecasts and what they are worth: metrics, objectives, calibration, blending, uncertainty."""
