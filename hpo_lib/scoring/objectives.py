"""What a study can optimise: scores -> one value per objective; lower is better for all of them.

A new objective is one line in `OBJECTIVES`, and its name in `hpo_lib/settings.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE

COVERAGE_TOLERANCE = 5.0
"""Percentage points around 80 % within which all coverage is equally good: a year of days cannot
tell it apart.
"""

Scores = Mapping[str, float]


@dataclass(frozen=True)
class Objective:
    """A value to minimise.

    Attributes:
        name: in records and parameters.
        label: on axes, without the unit.
        score: name of the score that `evaluate` returns. Of a coverage, the value is its distance
            from the nominal one.
        tolerance: values up to here are equally good. Stored values are as computed; comparisons
            use `excess`.
    """

    name: str
    label: str
    score: str
    tolerance: float = 0.0

    @property
    def is_coverage(self) -> bool:
        """Whether it is a distance from the nominal coverage."""
        return self.score.startswith("picp")

    @property
    def unit(self) -> str:
        """Its own unit, percentage points; empty: that of the target."""
        return "pp" if self.is_coverage else ""

    def value(self, scores: Scores) -> float:
        """Of the scores of forecasts."""
        return coverage_error(scores, self.score) if self.is_coverage else scores[self.score]

    def excess(self, value: float) -> float:
        """By how much a value is above the tolerance; fronts and early stopping compare it."""
        return max(0.0, value - self.tolerance)

    def axis(self, target_unit: str) -> str:
        """The label with its unit."""
        return f"{self.label} in {self.unit or target_unit}"


def coverage_error(scores: Scores, picp: str = "picp") -> float:
    """|PICP - 80|, in percentage points: both too narrow and too wide intervals cost."""
    return abs(scores[picp] - NOMINAL_COVERAGE)


OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective("mae", "MAE", "mae"),
        Objective("picp_penalty", "|PICP \u2212 80|", "picp", COVERAGE_TOLERANCE),
        Objective("winkler", "Winkler score", "winkler"),
        Objective("winkler_calibrated", "Winkler score after calibration", "winkler_calibrated"),
        Objective(
            "picp_penalty_calibrated",
            "|PICP \u2212 80| after calibration",
            "picp_calibrated",
            COVERAGE_TOLERANCE,
        ),
        Objective("pinball", "pinball loss", "pinball"),
    )
}
"""By name. A study optimises two or three of them."""

FORMER_PAIR = (OBJECTIVES["mae"], replace(OBJECTIVES["picp_penalty"], tolerance=0.0))
"""The objectives of studies from before they were a parameter."""
