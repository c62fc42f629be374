"""What a stored study remembers beyond its JSON: all its trials, its search space, and which hyperparameters matter."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hpo_lib.families.base import Dimension
from hpo_lib.objectives import OBJECTIVES
from hpo_lib.paths import RunPaths
from hpo_lib.results import TrialRecord
from hpo_lib.storage import read_study

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class StudyHistory:
    """A study as its storage has it.

    Attributes:
        file: the storage.
        trials: all of them, by number.
        search_space: hyperparameter -> what its trials drew from.
        importance: objective -> hyperparameter -> share of the importance, 0 to 1; empty where fewer than two trials
            are complete.
    """

    file: Path
    trials: tuple[TrialRecord, ...]
    search_space: Mapping[str, Dimension]
    importance: Mapping[str, Mapping[str, float]]


def read_history(run: RunPaths) -> StudyHistory | None:
    """The history of a study, read alone; None where its storage is not among its files.

    Raises:
        InputError: the storage is damaged.
    """
    study = read_study(run)
    if study is None:
        return None
    from hpo_lib.trials import dimension, trial_record  # with optuna, only where there is a study to read

    frozen = study.get_trials(deepcopy=False)
    space = {name: dimension(found) for trial in frozen for name, found in trial.distributions.items()}
    trials = tuple(trial_record(trial) for trial in frozen)
    file = run.sqlite if run.sqlite.exists() else run.journal
    return StudyHistory(file, trials, space, _importance(study, trials))


def _importance(study: "Study", trials: tuple[TrialRecord, ...]) -> dict[str, dict[str, float]]:
    """PED-ANOVA (Watanabe et al., 2023), optuna's default, of each objective by itself."""
    from optuna.importance import get_param_importances

    from hpo_lib.trials import quiet_optuna

    if sum(trial.state == "complete" for trial in trials) < 2:
        return {}
    with quiet_optuna():
        return {
            name: dict(get_param_importances(study, target=partial(_value, i))) for i, name in enumerate(OBJECTIVES)
        }


def _value(objective: int, trial: "FrozenTrial") -> float:
    return float(trial.values[objective])
