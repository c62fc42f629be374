"""Explanations: which information drives a forecast, comparable between all models."""
