"""A study as its notebook shows it, and its page: HTML that needs no other file."""

import base64
import io
import re
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display
from matplotlib import rc_context
from matplotlib.figure import Figure

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import known_datasets, load_spec
from hpo_lib.errors import InputError
from hpo_lib.families.models import get_family
from hpo_lib.families.search_space import value_in_words
from hpo_lib.figures.evidence import Evidence, warning_for
from hpo_lib.figures.series import (
    banner,
    by_hour_figure,
    data_overview,
    data_summary,
    forecast_weeks,
)
from hpo_lib.figures.studies import draw_explored, draw_study_front, explored
from hpo_lib.figures.style import (
    ACCENT,
    BLUE,
    MISSING,
    NETWORK_KEPT,
    PINK,
    legend_below,
    marked,
    model_name,
    network_kept,
    number,
    on_screen,
    panels,
)
from hpo_lib.paths import write_text
from hpo_lib.records.read_write import Json
from hpo_lib.records.study import TELLING_TRIALS, StoredStudy
from hpo_lib.scoring.metrics import ReadableUnit
from hpo_lib.settings import Settings

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


def labelled(table: pd.DataFrame, unit: ReadableUnit) -> pd.DataFrame:
    """Scores in the target's unit as they are shown: in ``unit``, with three significant digits."""
    return (
        unit.table(table)
        .map(lambda value: number(value) if isinstance(value, float) else value_in_words(value))
        .rename(columns={name: label.format(unit.name) for name, label in SHOWN_SCORES.items()})
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
    return pd.DataFrame(rows).filter([*SHOWN_SCORES], axis="index").T


def short_scores(study: StoredStudy) -> str:
    """The main scores of `score_table` in a few lines of text, with the marks of the study."""
    table = labelled(score_table(study)[["mae", "picp", "winkler"]], study.readable)
    text = f"Scores of the validation days, on which the choice was made:\n{table.to_string()}"
    warning = warning_for([study])
    return f"{text}\n*** {warning} ***" if warning else text


def stopped_early(study: StoredStudy) -> str:
    """One line on how many trials were stopped, and where."""
    if study.provenance.get("early_stopping") == "off":
        return "Early stopping was off."
    stopped = Counter(t.stopped_at for t in study.trials if t.stopped_at is not None)
    places = [f"{n} after {share:.0%} of their steps" for share, n in sorted(stopped.items())]
    where = f": {', '.join(places)}" if places else ""
    return f"Stopped early: {stopped.total()} of {study.finished} trials{where}."


def front_table(study: StoredStudy) -> pd.DataFrame:
    """The Pareto front, and the chosen trial if it is off the front, one row per trial.

    Shown are the policies that choose it, MAE, PICP, what it kept of its network, objectives and
    parameters.
    """
    policies = pd.Series(study.result["selection"]["alternatives"])
    off_front = [study.chosen] * (study.chosen not in study.front)
    rows = [
        {
            "trial": trial.number,
            "chosen by": ", ".join(policies.index[policies == trial.number]),
            "mae": trial.mae,
            "picp": trial.scores["picp"],
            "winkler": trial.scores["winkler"],
            NETWORK_KEPT: network_kept(trial.shares),
            **trial.values,
            **trial.params,
        }
        for trial in [*study.front, *off_front]
    ]
    return pd.DataFrame(rows).set_index("trial").drop(columns="picp_penalty", errors="ignore")


def files_table(study: StoredStudy) -> pd.DataFrame:
    """Where everything of this study was saved."""
    files = pd.Series(
        {
            "page of the study": study.run.report,
            "chosen parameters": study.run.best_params,
            "study storage": study.storage,
            "validation predictions": study.run.predictions,
            "Pareto front": study.run.pareto_front,
            f"{study.objectives[0].label} history": study.run.mae_history,
            "parameter importance": study.run.param_importance,
        }
    )
    return files.map(str).to_frame("saved")


def provenance_table(study: StoredStudy) -> pd.DataFrame:
    """Data, code, packages and device behind this study, one row each."""
    flat = pd.json_normalize(study.provenance).astype(object).iloc[0].fillna(MISSING)
    return flat.map(
        lambda one: ", ".join(map(str, one)) if isinstance(one, list) else str(one)
    ).to_frame("value")


def unshortened(table: pd.DataFrame) -> HTML:
    """A table of texts for a notebook."""
    return HTML(_html(table, "texts").replace("<td>", '<td style="text-align: left">'))


def _html(table: pd.DataFrame, kind: str = "numbers") -> str:
    """A table with whole texts: pandas cuts them after 50 letters, which makes paths useless."""
    with pd.option_context("display.max_colwidth", None):
        return f"<div>{table.to_html(classes=kind, border=0, index_names=False)}</div>"


# Figures


@on_screen()
def front_figure(study: StoredStudy) -> Figure:
    """The Pareto front of one study."""
    figure, ((axes,),) = panels(1, 1, height=4.4, width=6.5)
    draw_study_front(axes, study)
    legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure


@on_screen()
def explored_figures(study: StoredStudy) -> list[Figure]:
    """`draw_explored` of one study with the importance of each hyperparameter; none without any.

    It is that of PED-ANOVA (Watanabe et al., 2023) for the first objective, in percent, with the
    interval of 90 % over trials that are drawn with replacement.
    """
    data = explored(Evidence((study,), (), {}, ()))
    importance = {}
    if data.empty:
        return []
    if study.optuna_study and len(study.complete) >= TELLING_TRIALS:
        from hpo_lib.records.storage import importances

        table = importances(study.optuna_study)
        bounds = table.iloc[1:].quantile([0.05, 0.95])
        importance = {
            name: "{:.0f} [{:.0f}, {:.0f}] %".format(table[name][0], *bounds[name])
            for name in table
        }
    return [draw_explored(data, study.model, importance)]


CHANGES = {
    "score_change": ("both", "#000000", "o", -0.22),
    "mae_change": ("MAE", BLUE, "s", 0),
    "winkler_calibrated_change": ("calibrated interval score", ACCENT, "D", 0.22),
}
"""Change -> its label, colour and marker, and how far it is below the line of its trial."""


@on_screen()
def proof_figure(proof: Json) -> Figure:
    """What each challenger changes of the untuned defaults' scores, in percent, over fresh seeds.

    Intervals are of 90 %. The probability of a lower score is beside them; if nothing was compared,
    the figure says why.
    """
    challengers = proof["challengers"]
    compared = [one for one in challengers if not one["cause"]]
    figure, ((axes,),) = panels(1, 1, height=1.2 + 0.9 * len(compared), width=7)
    if not compared:
        axes.set_axis_off()
        causes = [proof["cause"], *(f"trial {one['trial']}: {one['cause']}" for one in challengers)]
        why = "; ".join(filter(None, causes))
        axes.text(0.5, 0.5, f"Nothing was compared: {why}.", ha="center", wrap=True)
        return figure
    axes.axvline(0, color=PINK, label="untuned defaults")
    rows = np.arange(len(compared))
    for change, (label, colour, marker, below) in CHANGES.items():
        mean, low, high = np.transpose([one[change] for one in compared])
        axes.errorbar(
            mean,
            rows + below,
            xerr=[mean - low, high - mean],
            fmt=marker,
            ms=5,
            color=colour,
            label=label,
        )
    for row, one in enumerate(compared):
        beside = f"probability {one['probability']:.2f}: {'not ' * (not one['proven'])}proven"
        axes.text(1.01, row, beside, transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.set_yticks(rows, [f"trial {one['trial']}" for one in compared])
    axes.set_ylim(len(compared) - 0.5, -0.5)
    axes.set_xlabel("change of the score in %, with 90 % interval; left of the line is better")
    axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


# The notebook and the page

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff }
body { max-width: 62rem; margin: auto; padding: 1rem }
h1 { font-size: 1.6rem; margin: .5rem 0 }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .3rem }
p { max-width: 46rem }
img { max-width: 100%; height: auto; display: block; margin: .6rem 0 }
div { overflow-x: auto }
.lead { font-size: 1.1em }
.warning { color: #a33e00; border: 2px solid #d55e00; border-radius: 6px; padding: .5rem .8rem }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd }
th, td { text-align: right; vertical-align: top }
tbody th { text-align: left; font-weight: 600; min-width: 8rem }
thead th { border-bottom: 2px solid #888 }
.texts td { text-align: left; overflow-wrap: anywhere }
"""


def show_data(settings: Settings) -> Dataset:
    """Load the study's data and show where it comes from, its splits and the series."""
    get_family(settings.model)
    data = load_dataset(settings.dataset, settings.data_dir, simulated=settings.simulated)
    print(banner(data, is_test=settings.budget_name == "test"))
    display(data_summary(data), data_overview(data))
    return data


def show_study(study: StoredStudy) -> None:
    """What a study found."""
    for title, text, contents in sections(study):
        display(Markdown(f"## {title}\n\n{text}"), *contents)


def show_record(study: StoredStudy) -> None:
    """Write the study's page, and show its files and its provenance."""
    write_page(study)
    display(unshortened(files_table(study)))
    display(Markdown("## Provenance"), unshortened(provenance_table(study)))


def sections(study: StoredStudy) -> list[tuple[str, str, Sequence[Figure | pd.DataFrame]]]:
    """What a study found: titles, how to read what follows, and that, from its records alone.

    Figures are marked where the numbers mean little. Raises InputError if the forecasts of the
    chosen trial are missing or damaged.
    """
    unit = study.readable
    chosen = study.chosen.number
    proof = study.result["proof"]
    forecasts = unit.forecasts(study.predictions(chosen))
    selection = study.result["selection"]
    front = front_figure(study)
    weeks = forecast_weeks(forecasts, unit=unit.name)
    hours = by_hour_figure(forecasts, unit=unit.name)
    proven = [proof_figure(proof)] if proof and proof["challengers"] else []
    mattered = explored_figures(study)
    trials = front_table(study)
    same = [name for name in study.chosen.params if trials[name].nunique(dropna=False) == 1]
    alike = ", ".join(f"{name} {value_in_words(study.chosen.params[name])}" for name in same)
    for figure in (front, weeks, hours, *proven, *mattered):
        marked(figure, warning_for([study]))
    goals = [
        one.label + f" (up to {one.tolerance:g} is equally good)" * bool(one.tolerance)
        for one in study.objectives
    ]
    reason = f"Trial {chosen}, by the policy {selection['policy']}: {selection['reason']}."
    if study.settled:
        reason = f"{study.settled_line} {reason}"
    if proof:
        reason += " The defaults stay unless a challenger is better with fresh seeds, too."
    return [
        (
            "Scores on the validation split",
            f"{len(forecasts.origins)} days, each forecast as a whole from the hour before it; "
            "naive forecasts repeat the day or the week before. MAE is the mean error of the "
            "median. PICP is the share of hours inside the 80 % interval; 75 to 85 % are equally "
            "good. The Winkler score is low for narrow intervals with few misses, pinball loss "
            "rates all three quantiles. Calibrated scores are after the rolling correction. "
            f"{NETWORK_KEPT} by trial {chosen}: {network_kept(study.chosen.shares)}; "
            "all else is its linear baseline (with LightGBM on it if linear_trees is yes).",
            [labelled(score_table(study), unit)],
        ),
        (
            f"Forecasts of trial {chosen}",
            "About one hour in five should be outside the band.",
            [weeks],
        ),
        ("By hour ahead", "Coverage should be near the dashed 80 % at every hour.", [hours]),
        ("The choice and its proof" if proof else "The choice", reason, proven),
        (
            "Pareto front",
            f"Minimised: {', '.join(goals)}. No trial beats a trial of the front in all of "
            "them. The table shows which trial each policy would choose. "
            f"{stopped_early(study)} In all of them: {alike or 'nothing alike'}.",
            [front, labelled(trials.drop(columns=same), unit).T.add_prefix("trial ")],
        ),
        *(
            [
                (
                    "What mattered",
                    "Every trial over the value of each hyperparameter. Below a name is its "
                    "importance, where trials are enough: the share of PED-ANOVA, which compares "
                    "the best tenth with all trials, and its 90 % interval over trials drawn with "
                    "replacement.",
                    mattered,
                )
            ]
            if mattered
            else []
        ),
    ]


def write_page(study: StoredStudy) -> Path:
    """Write the page of a study beside its record; equal records give equal bytes.

    nbconvert's pages are not used: each would hold 280 kB of JupyterLab's style, scripts of other
    servers, and pictures without a text for those who cannot see them.

    Raises InputError if the record is of the first schema, or the forecasts of the chosen trial are
    missing or damaged.
    """
    result = study.result
    run = study.run
    if not result or result["schema_version"] < 2:
        why = "it is older than stored forecasts" if result else "no trial is complete yet"
        raise InputError(
            f"{study.file}: makes no page, since {why}; let `hpo run` complete a trial"
        )
    title = load_spec(study.dataset).title if study.dataset in known_datasets() else study.dataset
    heading = escape(f"{model_name(study.model)} on {title}")
    warning = warning_for([study])
    mark = (
        f"<p class=warning><b>{warning}.</b> No number on this page says how good this can be.</p>"
        if warning
        else ""
    )
    counts = {"complete": "n_completed", "stopped early": "n_pruned", "failed": "n_failed"}
    trials = ", ".join(f"{result[key]} {state}" for state, key in counts.items() if result[key])
    # a killed study says that it is running, too
    state = "not complete yet" if result["status"] == "running" else result["status"]
    hours = result["training_time_hours"]
    spent = f"{hours:.2g} hours" if hours >= 2 else f"{60 * hours:.2g} minutes"
    files = [run.notebook, *study.files, run.pareto_front, run.mae_history, run.param_importance]
    names = (escape(file.name) for file in files if file.exists())
    links = ", ".join(f'<a href="{name}">{name}</a>' for name in names)
    parts = []
    for title, text, contents in sections(study):
        parts.append(f"<h2>{escape(title)}</h2>\n<p>{escape(text)}</p>")
        parts += [
            picture(content, title) if isinstance(content, Figure) else _html(content)
            for content in contents
        ]
    sections_of_page = "\n".join(parts)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{heading}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{heading}</h1>
{mark}
<p class=lead>{escape(study.label)}</p>
<p>{escape(result["optimization_date"][:10])}, {escape(state)}: {trials} in {spent} of training.</p>
{sections_of_page}
<h2>Record</h2>
<p>Beside this page: {links}. <code>hpo verify</code> recomputes every score from the stored \
forecasts.</p>
{_html(provenance_table(study), "texts")}
</body>
</html>

"""
    write_text(run.report, page)
    return run.report


def picture(figure: Figure, name: str) -> str:
    """A figure as an image of a page, which needs no other file."""
    stream = io.BytesIO()
    # Letters as text, which a browser finds; coordinates (in tags) of two digits: half the size.
    with rc_context({"svg.hashsalt": "hpo", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    rounded = re.sub(rb"(\.\d\d)\d+(?=[^<>]*>)", rb"\1", stream.getvalue())
    content = base64.b64encode(rounded).decode()
    return f'<img alt="{escape(name)}" src="data:image/svg+xml;base64,{content}">'
