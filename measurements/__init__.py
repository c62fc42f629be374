"""Measurements, each a process of its own: ``python -m measurements.NAME``."""

from hpo_lib.settings import train_with_one_thread

train_with_one_thread()
