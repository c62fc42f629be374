"""The nine experiments that the project is about: each model on each dataset, with its priority."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Experiment:
    """One of the project's nine studies; those with three stars run first."""

    name: str
    priority: int
    model: str
    dataset: str


# In the order in which they should run.
EXPERIMENTS = (
    Experiment("EXP-01", 3, "NHITS_Q", "heat"),
    Experiment("EXP-04", 3, "TFT_Q", "heat"),
    Experiment("EXP-07", 3, "TIMESNET_Q", "heat"),
    Experiment("EXP-02", 2, "NHITS_Q", "water_centrum"),
    Experiment("EXP-05", 2, "TFT_Q", "water_centrum"),
    Experiment("EXP-08", 2, "TIMESNET_Q", "water_centrum"),
    Experiment("EXP-03", 1, "NHITS_Q", "water_tommerby"),
    Experiment("EXP-06", 1, "TFT_Q", "water_tommerby"),
    Experiment("EXP-09", 1, "TIMESNET_Q", "water_tommerby"),
)
