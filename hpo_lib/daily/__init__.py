"""What runs every morning: model versions, retraining, the forecast of the day, watching it."""
