"""The time budget of a run: whether another trial fits, judged by the times of earlier ones."""

import time
from collections.abc import Sequence

from hpo_lib.records.trial import TrialRecord

RECENT = 5
"""The longest of this many trials is what the next one is expected to take."""


class TimeBudget:
    """The time budget of one run of a study; its clock starts when it is made.

    Args:
        limit_hours: 0 for no limit.
    """

    def __init__(self, limit_hours: float) -> None:
        self.limit_hours = limit_hours
        self._started = time.monotonic()
        self._warned = False

    @property
    def spent(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    def out_of_time(self, trials: Sequence[TrialRecord]) -> str:
        """Why no further trial should start, or an empty text."""
        expected = max(seconds_per_trial(trials)[-RECENT:], default=0.0)
        if not self.limit_hours or self.spent + expected <= self.limit_hours * 3600:
            return ""
        return (
            f"time budget of {self.limit_hours:g} h: {self.spent / 3600:.2f} h are spent and a "
            f"trial takes up to {expected / 3600:.2f} h"
        )

    def shortfall(self, trials: Sequence[TrialRecord], missing: int) -> str:
        """A sentence, once, if ``missing`` trials will probably not fit into what is left."""
        seconds = [t.seconds for t in trials if t.state in ("complete", "stopped")]
        if self._warned or not self.limit_hours or not seconds:
            return ""
        mean, left = sum(seconds) / len(seconds), max(self.limit_hours * 3600 - self.spent, 0.0)
        if missing * mean <= left:
            return ""
        self._warned = True
        return (
            f"{missing} trials are missing and take about {missing * mean / 3600:.2g} h "
            f"({mean:.0f} s each), {left / 3600:.2g} h of the time budget are left: about "
            f"{int(left / mean)} of them will finish in this run"
        )


def seconds_per_trial(trials: Sequence[TrialRecord]) -> list[float]:
    """Seconds of the complete trials, in the order of their numbers."""
    return [trial.seconds for trial in trials if trial.state == "complete"]
