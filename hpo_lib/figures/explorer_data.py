"""Plain data behind the explorer, from stored studies alone: needs neither the series nor a model."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hpo_lib.errors import InputError
from hpo_lib.families.search_space import value_in_words
from hpo_lib.records.study import StoredStudy, read_studies, records_folder, study_runs
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.uncertainty import daily_losses


def find_studies(runs_dir: str = "") -> tuple[list[StoredStudy], list[str]]:
    """The studies of `viewable_studies` below a folder, empty for that of the project.

    Raises:
        InputError: there is nothing to show.
    """
    folder = records_folder(runs_dir)
    studies, notes = viewable_studies(folder)
    if not studies:
        raise InputError(
            f"{folder}: holds no study with stored forecasts, expected one; make it with `hpo "
            "run`, or set runs_dir"
        )
    return studies, notes


def viewable_studies(folder: Path) -> tuple[list[StoredStudy], list[str]]:
    """Every study below a folder whose chosen trial has stored forecasts, and a sentence for each
    other one.
    """
    found = []
    studies, notes = read_studies(folder)
    for study in studies:
        if study.result["schema_version"] < 2:
            notes.append(f"{study.file}: written before forecasts were stored")
        elif not study.run.trial_predictions(int(study.result["best_trial_number"])).exists():
            notes.append(f"{study.run.predictions}: no forecasts of the chosen trial")
        else:
            found.append(study)
    notes += [
        f"{run.study_name}: no trial completed yet"
        for run in study_runs(folder)
        if not run.best_params.exists()
    ]
    return found, notes


def trial_facts(study: StoredStudy, number: int) -> dict[str, str]:
    """A trial's role, scores and hyperparameters, as texts."""
    trial, forecasts = study.trial(number), study.predictions(number)
    roles = [
        "chosen" if trial == study.chosen else "",
        "untuned defaults" if trial == study.default else "",
        "on the front" if trial in study.front else "beaten by others",
        *(
            f"choice of {policy}"
            for policy, n in study.result["selection"]["alternatives"].items()
            if n == number
        ),
    ]
    return {
        "role": ", ".join(role for role in roles if role),
        f"MAE in {study.unit}": f"{metrics.mae(forecasts):.5g}",
        "PICP in %": f"{metrics.picp(forecasts):.1f}",
        f"mean width in {study.unit}": f"{metrics.mean_width(forecasts):.4g}",
        f"Winkler score in {study.unit}": f"{metrics.winkler(forecasts):.4g}",
        **{
            o.axis(study.unit): f"{trial.values[o.name]:.4g}"
            for o in study.objectives
            if o.name != "mae"
        },
        **{name: value_in_words(value, 4) for name, value in trial.params.items()},
    }


def trial_counts(study: StoredStudy) -> str:
    """The number of trials in each state, in one line."""
    counts = Counter(trial.state for trial in study.trials).most_common()
    told = (
        ""
        if study.has_storage
        else "; the storage is not among the files, so these are the trials in the JSON"
    )
    return ", ".join(f"{count} {state}" for state, count in counts) + told


def days(forecasts: QuantileForecasts, first: int, count: int) -> pd.DataFrame:
    """Hours of ``count`` consecutive forecasts from position ``first`` on: actual, lower, median,
    upper by UTC hour.
    """
    part = slice(first, first + count)
    horizon = forecasts.actual.shape[1]
    ahead = pd.to_timedelta(np.arange(1, horizon + 1), unit="h")
    hours = pd.DatetimeIndex(np.concatenate([origin + ahead for origin in forecasts.origins[part]]))
    columns = {
        name: getattr(forecasts, name)[part].ravel()
        for name in ("actual", "lower", "median", "upper")
    }
    return pd.DataFrame(columns, index=hours)


def daily_errors(forecasts: QuantileForecasts) -> pd.DataFrame:
    """Per origin: MAE in the target's unit and PICP in % of its hours; indexed by the first hour of
    the forecast.
    """
    losses = daily_losses(forecasts)
    return pd.DataFrame(
        {name: losses[name] for name in ("mae", "picp")},
        index=forecasts.origins + pd.Timedelta(hours=1),
    )


def by_hour(
    forecasts: QuantileForecasts, levels: Sequence[float] = (0.1, 0.5, 0.9)
) -> pd.DataFrame:
    """Per hour ahead (1..H): quantiles of the residual, actual less median, in the target's unit,
    and PICP in %.
    """
    residual = forecasts.actual - forecasts.median
    columns = {f"q{level * 100:g}": np.quantile(residual, level, axis=0) for level in levels}
    return pd.DataFrame(
        {**columns, "picp": metrics.by_step(forecasts)["picp"]},
        index=pd.RangeIndex(1, residual.shape[1] + 1, name="hours ahead"),
    )
