"""What runs every morning: versions of trained models, retraining, tomorrow's forecast, and what became of it.

retrain: retrain
day_ahead: forecast_day
watch: watch
"""
