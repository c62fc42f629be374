"""Tables and short texts of a study: its scores, front, files and provenance."""

from collections import Counter

import pandas as pd
from IPython.display import HTML

from hpo_lib.families.search_space import value_in_words
from hpo_lib.figures.style import MISSING, number, unit_text, warning_text
from hpo_lib.records.study import StoredStudy


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
    """A table as it is shown: scores with their unit, numbers with three significant digits."""
    texts = table.map(lambda value: number(value) if isinstance(value, float) else value)
    return texts.rename(
        columns={name: label.format(unit_text(unit)) for name, label in SHOWN_SCORES.items()}
    )


def score_table(study: StoredStudy) -> pd.DataFrame:
    """Validation scores of the naive forecasts, the untuned defaults and the chosen trial."""
    rows = {name.replace("_", " "): scores for name, scores in study.result["baselines"].items()}
    trials = {"untuned defaults": study.default, "chosen": study.chosen}
    if study.chosen == study.default:
        trials = {"untuned defaults, chosen": study.chosen}
    for label, trial in trials.items():
        if trial.scores:  # without the storage its MAE is not among them
            name = f"{study.model} {label} (trial {trial.number})"
            rows[name] = {"mae": trial.mae, **trial.scores}
    table = pd.DataFrame(rows).T
    return table[[name for name in SHOWN_SCORES if name in table]]


def short_scores(study: StoredStudy) -> str:
    """The main scores of `score_table` in a few lines of text, with the marks of the study."""
    table = labelled(score_table(study)[["mae", "picp", "winkler"]], study.unit)
    text = f"Scores of the validation days, on which the choice was made:\n{table.to_string()}"
    warning = warning_of(study)
    return f"{text}\n*** {warning} ***" if warning else text


def stopped_early(study: StoredStudy) -> str:
    """One line on how many trials were stopped, and where."""
    if study.provenance["early_stopping"] == "off":
        return "Early stopping was off."
    stopped = Counter(t.stopped_at for t in study.trials if t.stopped_at is not None)
    places = [f"{n} after {share:.0%} of their steps" for share, n in sorted(stopped.items())]
    where = f": {', '.join(places)}" if places else ""
    return f"Stopped early: {stopped.total()} of {study.finished} trials{where}."


def front_table(study: StoredStudy) -> pd.DataFrame:
    """The Pareto front, and the chosen trial if it is off the front, one row per trial.

    Shown are the policies that choose it, MAE, PICP, objectives and parameters.
    """
    alternatives = study.result["selection"]["alternatives"]
    off_front = [] if study.chosen in study.front else [study.chosen]
    rows = {}
    for trial in [*study.front, *off_front]:
        policies = [name for name, number in alternatives.items() if number == trial.number]
        values = {name: value for name, value in trial.values.items() if name != "picp_penalty"}
        params = {
            name: value_in_words(value) if isinstance(value, bool) else value
            for name, value in trial.params.items()
        }
        scores = {name: trial.scores[name] for name in ("picp", "winkler")}
        by_policy = {"chosen by": ", ".join(policies)}
        rows[trial.number] = {**by_policy, "mae": trial.mae, **scores, **values, **params}
    return pd.DataFrame(list(rows.values()), index=pd.Index(rows, name="trial"))


def objectives_text(study: StoredStudy) -> str:
    """What the study minimises, and which values count as equal, in one sentence."""
    labels = [
        objective.label
        + (f" (up to {objective.tolerance:g} is equally good)" if objective.tolerance else "")
        for objective in study.objectives
    ]
    return f"Minimised: {', '.join(labels)}."


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
    return pd.DataFrame({"saved": pd.Series(files).map(str)})


def provenance_table(study: StoredStudy) -> pd.DataFrame:
    """Data, code, packages and device behind this study, one row each."""
    flat = pd.json_normalize(dict(study.provenance)).iloc[0].astype(object)
    lists = flat.map(lambda value: ", ".join(map(str, value)) if isinstance(value, list) else value)
    return pd.DataFrame({"value": lists.where(flat.notna(), MISSING).astype(str)})


def unshortened(table: pd.DataFrame) -> HTML:
    """A table with whole texts: pandas cuts them after 50 letters, which makes paths useless."""
    with pd.option_context("display.max_colwidth", None):
        return HTML(table.to_html().replace("<td>", '<td style="text-align: left">'))
