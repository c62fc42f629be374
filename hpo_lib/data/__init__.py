"""Datasets: registry, loading and validation, feature engineering, simulated twins, splits and windows."""
