"""The objectives of a study: scores -> one value each, with its direction.

A new objective is one function of the scores and one line in `OBJECTIVES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE


@dataclass(frozen=True)
class Objective:
    """A value to optimise: its name in records, its label on axes, its direction and its function of the scores."""

    name: str
    label: str
    direction: Literal["minimize", "maximize"]
    value: Callable[[Mapping[str, float]], float]


def coverage_error(scores: Mapping[str, float]) -> float:
    """|PICP - 80|, in percentage points: both too narrow and too wide intervals cost."""
    return abs(scores["picp"] - NOMINAL_COVERAGE)


OBJECTIVES: dict[str, Objective] = {
    "mae": Objective("mae", "MAE", "minimize", lambda scores: scores["mae"]),
    "picp_penalty": Objective("picp_penalty", "|PICP - 80| in percentage points", "minimize", coverage_error),
}
"""The objectives of every study, in the order of its values."""
