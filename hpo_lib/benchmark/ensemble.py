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
    numbers, chosen = [trial.number for trial in trials], study.result["best_trial_number"]
    members: tuple[tuple[float, Params], ...] = ()
    if chosen not in numbers:
        remark = "no ensemble: the forecasts of the study's chosen trial are not stored"
    else:
        forecasts = [study.predictions(number) for number in numbers]
        verdict = judged_ensemble(forecasts, numbers.index(chosen))
        percent = f"{verdict.percent:+.1f} % pinball loss"
        if verdict.pays:
            weights = map(float, verdict.weights)
            ranked = sorted(zip(weights, trials, strict=True), key=lambda m: (-m[0], m[1].number))
            weighted = [(weight, trial) for weight, trial in ranked if weight > 0]
            members = tuple((weight, trial.params) for weight, trial in weighted)
            shares = ", ".join(f"{trial.number} ({weight:.2f})" for weight, trial in weighted)
            remark = f"trials {shares}: {percent} against trial {chosen} on held-out days"
        else:
            worth = "" if np.isnan(verdict.percent) else f" ({percent} on held-out days)"
            remark = (
                f"trial {chosen} alone: an ensemble of {len(trials)} trials does not pay{worth}"
            )
    notes = *found.notes, f"{found.source}: {remark}."
    return replace(found, remark=remark, notes=notes, members=members)


class Ensemble(Forecaster):
    """The weighted mean of trained members' quantiles."""

    def __init__(self, members: Sequence[Forecaster], weights: Sequence[float]) -> None:
        self.members, self.weights = members, weights
        self.best_step = max(member.best_step for member in members)
        self.validation = blend([member.validation for member in members], weights)

    def predict(self, context: Context) -> QuantileForecasts:
        return blend([member.predict(context) for member in self.members], self.weights)


def _fits(family: Family, params: Params) -> bool:
    """Whether the family still has this configuration, apart from fields of the recipe."""
    try:
        family.check_params(STANDARD.updated(params)[1])
    except InputError:
        return False
    return True
