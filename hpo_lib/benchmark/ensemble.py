"""The ensemble of a study: trials with weights, chosen from their validation forecasts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hpo_lib.benchmark.chosen_params import FoundParameters
from hpo_lib.data.context import Context
from hpo_lib.errors import InputError
from hpo_lib.families.models import STANDARD, Family, Forecaster, Params
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring.blend import blend, judged_ensemble
from hpo_lib.scoring.forecasts import QuantileForecasts


def ensemble_of(found: FoundParameters, family: Family, runs_dir: Path) -> FoundParameters:
    """The ensemble of the study that parameters come from, or these alone if it does not pay.

    Candidates are all complete trials whose forecasts are stored. The remark says what was chosen
    and what it is worth.

    Raises:
        InputError: stored forecasts cannot be read.
    """
    study = StoredStudy.of_file(Path(found.source), runs_dir)
    trials = [trial for trial in study.viewable if _fits(family, trial.params)]
    chosen = study.result["best_trial_number"]
    numbers = [trial.number for trial in trials]
    if chosen not in numbers:
        return _with(found, "no ensemble: the forecasts of the study's chosen trial are not stored")
    verdict = judged_ensemble(
        [study.predictions(number) for number in numbers], numbers.index(chosen)
    )
    if not verdict.pays:
        worth = (
            ""
            if np.isnan(verdict.percent)
            else f" ({verdict.percent:+.1f} % pinball loss on held-out days)"
        )
        return _with(
            found, f"trial {chosen} alone: an ensemble of {len(trials)} trials does not pay{worth}"
        )
    kept = [
        (float(weight), trial)
        for weight, trial in zip(verdict.weights, trials, strict=True)
        if weight > 0
    ]
    kept.sort(key=lambda member: (-member[0], member[1].number))
    shares = ", ".join(f"{trial.number} ({weight:.2f})" for weight, trial in kept)
    remark = (
        f"trials {shares}: {verdict.percent:+.1f} % pinball loss against trial {chosen} on "
        "held-out days"
    )
    return replace(
        _with(found, remark), members=tuple((weight, trial.params) for weight, trial in kept)
    )


class Ensemble(Forecaster):
    """The weighted mean of trained members' quantiles."""

    def __init__(self, members: Sequence[Forecaster], weights: Sequence[float]) -> None:
        self.members, self.weights = members, weights
        self.best_step = max(member.best_step for member in members)
        self.validation = blend([member.validation for member in members], weights)

    def predict(self, context: Context) -> QuantileForecasts:
        return blend([member.predict(context) for member in self.members], self.weights)


def _with(found: FoundParameters, remark: str) -> FoundParameters:
    return replace(found, remark=remark, notes=(*found.notes, f"{found.source}: {remark}."))


def _fits(family: Family, params: Params) -> bool:
    """Whether the family still has this configuration, apart from fields of the recipe."""
    try:
        family.check_params(STANDARD.updated(params)[1])
    except InputError:
        return False
    return True
