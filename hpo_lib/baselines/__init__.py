"""Baselines: models without a study of their own that the tuned families must beat."""

from hpo_lib.baselines.contract import baseline_names, get_baseline

__all__ = ["baseline_names", "get_baseline"]
