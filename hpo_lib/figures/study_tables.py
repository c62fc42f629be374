"""Tables and short texts in the study notebooks."""

from collections import Counter

import numpy as np
import pandas as pd
from IPython.display import HTML

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.day_ahead_weather import MARKS
from hpo_lib.families.search_space import value_in_words
from hpo_lib.figures.style import MISSING, number, unit_text, warning_text
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring.forecasts import QuantileForecasts

BOUND = "Models see weather of the day ahead that no forecaster has: the scores are an upper bound."

SAME = 1e-5
"""Forecasts that differ by less than this share of their mean size are equal: quantiles are stored
in float32.
"""


def banner(dataset: Dataset, *, is_test: bool = False) -> str:
    """Where the data comes from; loud warnings of tests, simulated data, other splits and weather
    that nobody knows.
    """
    weather = (
        "*** TEST BUDGET *** It only shows that everything works: no number below says how "
        "good a model can be.\n"
    )
    weather *= is_test
    weather += "".join(
        f"*** {text} *** {BOUND}\n"
        for kind, text in MARKS.items()
        if dataset.kind_of_weather == kind
    )
    if dataset.is_simulated:
        return weather + (
            f"*** SIMULATED DATA *** This run uses the {dataset.path} instead of "
            f"{dataset.spec.csv}. No number below "
            "says anything about real demand. To use real data, put the CSV into data/ or set "
            "data_dir to its folder."
        )
    filled = f"; {dataset.n_filled} missing hours were filled" if dataset.n_filled else ""
    if len(dataset.missing):
        left_out = ", ".join(
            f"{count} in {split}" for split, count in dataset.origins_left_out().items()
        )
        filled += (
            f"; {len(dataset.missing)} hours are in longer gaps, which leaves out daily "
            f"origins ({left_out})"
        )
    other = f"\n*** NOT THE PLANNED SPLITS *** {dataset.split_note}" if dataset.split_note else ""
    shown = (
        "" if dataset.weather is None else f"; weather of the day ahead: {dataset.kind_of_weather}"
    )
    return f"{weather}Data: {dataset.path}, sha256 {dataset.sha256[:12]}{filled}{shown}{other}"


def data_summary(dataset: Dataset) -> pd.DataFrame:
    """One row per split: first and last hour, hours, daily forecast origins, and the target's mean
    and range.
    """
    positions, left_out = dataset.positions, dataset.origins_left_out()
    daily = dataset.training_origins(near_hours=0), dataset.validation_origins, dataset.test_origins
    origins = dict(zip(left_out, map(len, daily), strict=True))
    rows = {}
    for name, part in (
        ("train", positions.train),
        ("validation", positions.val),
        ("test", positions.test),
    ):
        values = dataset.known_target.iloc[part]
        if len(values):
            rows[name] = {
                "from": f"{values.index[0]:%Y-%m-%d %H:%M}",
                "to": f"{values.index[-1]:%Y-%m-%d %H:%M}",
                "hours": len(values),
                "daily origins": origins[name],
                **({"left out by gaps": left_out[name]} if len(dataset.missing) else {}),
                f"mean {unit_text(dataset.spec.unit)}": number(values.mean()),
                "least": number(values.min()),
                "greatest": number(values.max()),
            }
    return pd.DataFrame(rows).T


def warning_of(study: StoredStudy) -> str:
    """What is to be warned of in a study, see `warning_text`."""
    return warning_text(
        [study.source], is_test=study.is_test, other_splits=bool(study.data.get("split_note"))
    )


SHOWN_SCORES = {
    "mae": "MAE in {}",
    "rmse": "RMSE in {}",
    "mape": "MAPE in %",
    "wape": "WAPE in %",
    "mase": "MASE",
    "picp": "PICP in %",
    "picp_calibrated": "PICP in %, calibrated",
    "mean_width": "width in {}",
    "winkler": "Winkler score in {}",
    "winkler_calibrated": "Winkler score in {}, calibrated",
    "pinball": "pinball loss in {}",
}
"""Score -> its heading; braces hold the target's unit."""


def labelled(table: pd.DataFrame, unit: str) -> pd.DataFrame:
    """A table as it is shown: columns of scores say their unit, and numbers have three significant
    digits.
    """
    shown = table.map(lambda value: number(value) if isinstance(value, float) else value)
    return shown.rename(
        columns={name: label.format(unit_text(unit)) for name, label in SHOWN_SCORES.items()}
    )


def score_table(study: StoredStudy) -> pd.DataFrame:
    """Validation scores of the naive forecasts, the untuned defaults and the chosen trial, one row
    each.
    """
    rows = {name.replace("_", " "): scores for name, scores in study.result["baselines"].items()}
    named = [(study.default, "untuned defaults"), (study.chosen, "chosen")]
    if study.chosen == study.default:
        named = [(study.chosen, "untuned defaults, chosen")]
    for trial, label in named:
        if trial.scores:  # without the storage its MAE is apart
            rows[f"{study.model} {label} (trial {trial.number})"] = {
                "mae": trial.mae,
                **trial.scores,
            }
    table = pd.DataFrame(rows).T
    return table[[name for name in SHOWN_SCORES if name in table]]


def short_scores(study: StoredStudy) -> str:
    """Naive forecasts, untuned defaults and choice in a few lines of text, with the marks of the
    study.
    """
    table = labelled(score_table(study)[["mae", "picp", "winkler"]], study.unit)
    warning = warning_of(study)
    shown = f"Scores of the validation days, on which the choice was made:\n{table.to_string()}"
    return shown + (f"\n*** {warning} ***" if warning else "")


def stopped_early(study: StoredStudy) -> str:
    """One line on how many trials were stopped, and where."""
    if study.provenance["early_stopping"] == "off":
        return "Early stopping was off."
    stopped = Counter(t.stopped_at for t in study.trials if t.stopped_at is not None)
    where = ", ".join(
        f"{count} after {share:.0%} of their steps" for share, count in sorted(stopped.items())
    )
    return (
        f"Stopped early: {stopped.total()} of {study.finished} "
        f"trials{': ' if where else ''}{where}."
    )


def front_table(study: StoredStudy) -> pd.DataFrame:
    """The Pareto front, and the chosen trial if it is off the front, one row per trial.

    Shown are the policies that choose it, MAE, PICP, objectives and parameters.
    """
    alternatives = study.result["selection"]["alternatives"]
    return pd.DataFrame(
        [
            {
                "trial": t.number,
                "chosen by": ", ".join(
                    name for name, number in alternatives.items() if number == t.number
                ),
                "mae": t.mae,
                "picp": t.scores["picp"],
                "winkler": t.scores["winkler"],
                **{name: value for name, value in t.values.items() if name != "picp_penalty"},
                **{
                    name: value_in_words(v) if isinstance(v, bool) else v
                    for name, v in t.params.items()
                },
            }
            for t in [*study.front, *([] if study.chosen in study.front else [study.chosen])]
        ]
    ).set_index("trial")


def objectives_text(study: StoredStudy) -> str:
    """What the study minimises, and which values count as equal, in one sentence."""
    named = [
        o.label + (f" (up to {o.tolerance:g} is equally good)" if o.tolerance else "")
        for o in study.objectives
    ]
    return f"Minimised: {', '.join(named)}."


def files_table(study: StoredStudy) -> pd.DataFrame:
    """Where everything of this study was saved."""
    files = {
        "page of the study": study.run.report,
        "chosen parameters": study.run.best_params,
        "study storage": study.storage,
        "validation predictions": study.run.predictions,
        "Pareto front": study.run.pareto_front,
        f"{study.objectives[0].label} history": study.run.mae_history,
        "parameter importance": study.run.param_importance,
    }
    return pd.DataFrame({"saved": [str(file) for file in files.values()]}, index=list(files))


def provenance_table(study: StoredStudy) -> pd.DataFrame:
    """Data, code, packages and device behind this study, one row each."""
    flat = pd.json_normalize(dict(study.provenance)).iloc[0].astype(object)
    lists = flat.map(lambda value: ", ".join(map(str, value)) if isinstance(value, list) else value)
    return pd.DataFrame({"value": lists.where(flat.notna(), MISSING).astype(str)})


def unshortened(table: pd.DataFrame) -> HTML:
    """A table with whole texts: pandas cuts them after 50 letters, which makes paths useless."""
    with pd.option_context("display.max_colwidth", None):
        return HTML(table.to_html().replace("<td>", '<td style="text-align: left">'))


def same_forecasts(again: QuantileForecasts, stored: QuantileForecasts, unit: str) -> str:
    """One line on how far the forecasts of a repeated training are from the stored ones."""
    difference = float(np.abs(again.values - stored.values).max())
    size = float(np.abs(stored.values).mean())
    verdict = (
        "the same network"
        if difference < SAME * size
        else "not the same network: another device or version"
    )
    return (
        f"Trained once more: forecasts differ from the stored ones by {difference:.2g} {unit} "
        f"at most ({verdict})."
    )
