"""Tables and short texts of a study: its scores, front, files and provenance."""

from collections import Counter

import pandas as pd
from IPython.display import HTML

from hpo_lib.families.search_space import value_in_words
from hpo_lib.figures.evidence import warning_for
from hpo_lib.figures.style import MISSING, number, unit_text
from hpo_lib.records.study import StoredStudy

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
    words = {float: number, bool: value_in_words}
    texts = table.map(lambda value: words.get(type(value), lambda same: same)(value))
    return texts.rename(
        columns={name: label.format(unit_text(unit)) for name, label in SHOWN_SCORES.items()}
    )


def score_table(study: StoredStudy) -> pd.DataFrame:
    """Validation scores of the naive forecasts, the untuned defaults and the chosen trial."""
    rows = {name.replace("_", " "): scores for name, scores in study.result["baselines"].items()}
    trials = {"untuned defaults": study.default, "chosen": study.chosen}
    if study.chosen == study.default:
        trials = {"untuned defaults, chosen": study.chosen}
    rows |= {  # without the storage the MAE is not among the scores
        f"{study.model} {label} (trial {trial.number})": {"mae": trial.mae, **trial.scores}
        for label, trial in trials.items()
        if trial.scores
    }
    table = pd.DataFrame(rows).T
    return table[[name for name in SHOWN_SCORES if name in table]]


def short_scores(study: StoredStudy) -> str:
    """The main scores of `score_table` in a few lines of text, with the marks of the study."""
    table = labelled(score_table(study)[["mae", "picp", "winkler"]], study.unit)
    text = f"Scores of the validation days, on which the choice was made:\n{table.to_string()}"
    warning = warning_for([study])
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
    policies = pd.Series(study.result["selection"]["alternatives"])
    off_front = [] if study.chosen in study.front else [study.chosen]
    rows = [
        {
            "trial": trial.number,
            "chosen by": ", ".join(policies.index[policies == trial.number]),
            "mae": trial.mae,
            "picp": trial.scores["picp"],
            "winkler": trial.scores["winkler"],
            **trial.values,
            **trial.params,
        }
        for trial in [*study.front, *off_front]
    ]
    return pd.DataFrame(rows).set_index("trial").drop(columns="picp_penalty", errors="ignore")


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
    return pd.Series(files).map(str).to_frame("saved")


def provenance_table(study: StoredStudy) -> pd.DataFrame:
    """Data, code, packages and device behind this study, one row each."""
    flat = pd.json_normalize(dict(study.provenance)).astype(object).iloc[0].fillna(MISSING)
    texts = flat.map(lambda value: ", ".join(map(str, value)) if isinstance(value, list) else value)
    return texts.astype(str).to_frame("value")


def unshortened(table: pd.DataFrame) -> HTML:
    """A table with whole texts: pandas cuts them after 50 letters, which makes paths useless."""
    with pd.option_context("display.max_colwidth", None):
        return HTML(table.to_html().replace("<td>", '<td style="text-align: left">'))
