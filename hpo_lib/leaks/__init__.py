"""Columns and models that know the future."""
