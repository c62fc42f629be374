"""What a finished (or stopped) study hands to those who show it."""

from dataclasses import dataclass
from typing import Any

from hpo_lib import results
from hpo_lib.data.load import Dataset
from hpo_lib.forecasts import QuantileForecasts
from hpo_lib.paths import RunPaths
from hpo_lib.results import TrialRecord
from hpo_lib.settings import Settings


@dataclass(frozen=True)
class StudyRun:
    """A study with all that a notebook shows of it."""

    settings: Settings
    dataset: Dataset
    paths: RunPaths
    storage_path: str
    trials: list[TrialRecord]
    result: dict[str, Any]

    @property
    def front(self) -> list[TrialRecord]:
        """The Pareto front, by ascending MAE."""
        return results.pareto_front(self.trials)

    @property
    def chosen(self) -> TrialRecord:
        """The selected trial."""
        return self.trial(self.result["best_trial_number"])

    @property
    def default(self) -> TrialRecord:
        """The trial of the untuned defaults."""
        return results.default_trial(self.trials)

    def trial(self, number: int) -> TrialRecord:
        """The trial of that number."""
        return next(t for t in self.trials if t.number == number)

    def predictions(self, number: int) -> QuantileForecasts:
        """Validation forecasts of a complete trial, as they were scored."""
        return results.load_predictions(self.paths.trial_predictions(number))
