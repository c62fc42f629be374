"""Opponents: models that are not tuned by studies but must be beaten by those that are."""

from hpo_lib.baselines.contract import get_opponent, opponent_names

__all__ = ["get_opponent", "opponent_names"]
