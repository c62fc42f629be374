"""All studies in one tidy table, and what they improved: read from the best_params JSONs alone."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hpo_lib.errors import InputError, choices
from hpo_lib.families.search_space import value_in_words
from hpo_lib.figures.latex import Section, Table, best_bold
from hpo_lib.figures.style import MISSING, aligned, model_name, number, readable, unit_text
from hpo_lib.paths import atomic, consolidated
from hpo_lib.records.files import as_mapping
from hpo_lib.records.study import StoredStudy, read_studies

# The success criteria of the original HPO plan.
IMPROVEMENT_PERCENT = 5.0
"""The chosen trial's MAE is at least this far below that of the untuned defaults."""
PICP_RANGE = (75.0, 85.0)
"""The chosen trial has this coverage, in percent."""
SUCCESSES = 2
"""So many models of a dataset, of three, are improved."""

SHOWN = [
    "dataset",
    "model",
    "job_id",
    "status",
    "source",
    "preset",
    "trials",
    "mae_default",
    "mae",
    "improvement",
    "picp",
    "unit",
]
"""The columns of the table that fit on a screen."""

SUMMARIES = {
    "model": ["model", "source", "preset"],
    "dataset": ["dataset", "source", "sha256", "train_end", "val_end", "preset"],
}
"""Kind of summary -> what the studies of one row have in common: data and budgets are never mixed.
"""

SCORES = ("rmse", "mape", "wape", "mase", "mean_width", "winkler", "pinball")


@dataclass(frozen=True)
class Studies:
    """Every study found.

    Attributes:
        table: one row per study, see `study_row`.
        notes: sentences on files that could not be read.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]

    def only(self, model: str, dataset: str) -> "Studies":
        """The studies of one model and one dataset; empty: of all.

        Raises:
            InputError: there is none; the message lists the known ones.
        """
        table = self.table
        for key, wanted in (("model", model), ("dataset", dataset)):
            if wanted:
                known = sorted(set(table[key]))
                if wanted not in known:
                    raise InputError(
                        f"{key} is {wanted!r}, of which there is no study; {choices(wanted, known)}"
                    )
                table = table[table[key] == wanted]
        return Studies(table.reset_index(drop=True), self.notes)


def load_studies(runs_dir: Path) -> Studies:
    """Every best_params JSON below ``runs_dir``, of any schema.

    Raises:
        InputError: none can be read.
    """
    found, notes = read_studies(runs_dir)
    if not found:
        raise InputError(
            " ".join(
                [
                    f"{runs_dir}: holds no readable best_params JSON; make one with `hpo run`.",
                    *notes,
                ]
            )
        )
    table = pd.DataFrame(map(study_row, found)).sort_values(
        ["dataset", "model", "date", "file"], ignore_index=True
    )
    return Studies(table, tuple(notes))


def study_row(study: StoredStudy) -> dict[str, Any]:
    """One study as a row; NaN or an empty text if an old file lacks the value.

    ``trials`` are complete ones; ``failed_percent`` and ``stopped_percent`` are shares of all that
    finished: complete, failed (``causes`` says why) or stopped early. ``mae_default`` and ``mae``
    are of the untuned defaults and of the chosen trial; ``improvement`` is by how many percent the
    second is lower. All scores are of the validation split. The ``status`` of an incomplete study
    is `StoredStudy.state`, since its JSON cannot know whether it still runs.
    """
    found, status = study.result, str(study.result["status"] or "unknown")
    default, scores = as_mapping(found["default_trial"]), as_mapping(found["validation_metrics"])
    mae, mae_default = _number(found["best_mae"]), _number(default.get("mae"))
    trials, failed, stopped = (
        _number(found[key]) for key in ("n_completed", "n_failed", "n_pruned")
    )
    finished = trials + failed + stopped
    causes = Counter(
        str(as_mapping(failure).get("cause", "")) for failure in found["failures"] or []
    )
    return {
        "dataset": study.dataset,
        "model": study.model,
        "unit": study.unit or "unknown",
        "job_id": study.run.job_id,
        "date": str(found["optimization_date"] or ""),
        "status": status if status in ("complete", "unknown") else study.state()[0],
        "source": study.source,
        **{name: str(study.data.get(name, "")) for name in ("sha256", "train_end", "val_end")},
        **{name: str(study.provenance.get(name, "unknown")) for name in ("preset", "recipe")},
        "objectives": ",".join(objective.name for objective in study.objectives),
        "trials": trials,
        "failed": failed,
        "stopped": stopped,
        "failed_percent": _percent(failed, finished),
        "stopped_percent": _percent(stopped, finished),
        "front": _number(found["n_pareto_optimal"]),
        "hours": _number(found["training_time_hours"]),
        "mae_default": mae_default,
        "mae": mae,
        "improvement": 100 * (1 - mae / mae_default) if mae_default > 0 else math.nan,
        "picp_default": _number(default.get("picp")),
        "picp": _number(found["best_picp"]),
        **{name: _number(scores.get(name)) for name in SCORES},
        "schema": int(found["schema_version"]),
        "params": ", ".join(
            f"{name} {value_in_words(v)}" for name, v in as_mapping(found["best_params"]).items()
        ),
        "causes": "; ".join(f"{count} x {cause}" for cause, count in causes.most_common()),
        "file": str(study.file),
    }


def table_of(studies: Studies) -> Table:
    """What each study found and cost, for a notebook: the lowest MAE of a dataset on top and in
    bold.
    """
    sections = []
    for (dataset, source, _), group in studies.table.groupby(
        ["dataset", "source", "sha256"], sort=True
    ):
        own = group.sort_values("mae", kind="stable")
        unit, factor = readable(own["unit"].iloc[0], own["mae"].min())
        maes = aligned(factor * own[["mae_default", "mae"]].to_numpy().T.ravel())
        columns = [
            [model_name(model) for model in own["model"]],
            own["job_id"],
            own["preset"],
            *(
                [f"{n:.0f}".replace("nan", MISSING) for n in own[name]]
                for name in ("trials", "stopped", "failed")
            ),
            [number(60 * hours) for hours in own["hours"]],
            maes[: len(own)],
            best_bold(maes[len(own) :], own["mae"].tolist()),
            *(aligned(own[name]) for name in ("improvement", "picp")),
        ]
        title = f"{dataset} ({unit_text(unit)}, data: {source})"
        sections.append(Section(title, list(zip(*columns, strict=True))))
    trials, scores = ("complete", "stopped", "failed"), ("untuned", "chosen", "Gain %", "PICP %")
    header = ("Model", "Job", "Budget", *trials, "Minutes", *scores)
    groups = (("", 3), ("Trials", 3), ("", 1), ("MAE", 2), ("", 2))
    caption = (
        "Scores of the validation split. Gain: by how much the MAE is below that of the "
        "untuned defaults."
    )
    return Table(studies.table, header, sections, caption, "lllrrrrrrrr", groups)


def summary(studies: Studies, by: str) -> pd.DataFrame:
    """The results and costs of the studies of each ``model`` or ``dataset``, one row each.

    Shares of failed and stopped trials and seconds per trial are of the finished trials of those
    studies that count them. ``median improvement`` is in percent; ``improved`` and ``covered``
    count studies that reach `IMPROVEMENT_PERCENT` and `PICP_RANGE`. By dataset, ``data`` is its
    fingerprint, ``until`` the last day of the validation split, and ``best`` the model with the
    lowest MAE of those with a PICP in that range, or of all if none has one.
    """
    rows = []
    for _, group in studies.table.groupby(SUMMARIES[by], sort=True):
        first = group.iloc[0]
        known = group.dropna(subset=["trials", "failed", "stopped"])
        timed = known.dropna(subset=["hours"])
        finished, counted = (
            float(part[["trials", "failed", "stopped"]].to_numpy().sum()) for part in (known, timed)
        )
        row = {
            by: first[by],
            "source": first["source"],
            **(
                {"data": first["sha256"][:12], "until": first["val_end"][:10]}
                if by == "dataset"
                else {}
            ),
            "preset": first["preset"],
            "studies": len(group),
            "trials": group["trials"].sum(min_count=1),
            "failed %": _percent(known["failed"].sum(), finished),
            "stopped %": _percent(known["stopped"].sum(), finished),
            "hours": group["hours"].sum(min_count=1),
            "s per trial": 3600 * timed["hours"].sum() / counted if counted else math.nan,
            "median improvement": group["improvement"].median(),
            "improved": int((group["improvement"] >= IMPROVEMENT_PERCENT).sum()),
            "covered": int(group["picp"].between(*PICP_RANGE).sum()),
        }
        if by == "dataset":
            best = (
                group.assign(outside=~group["picp"].between(*PICP_RANGE))
                .sort_values(["outside", "mae"])
                .iloc[0]
            )
            row |= {"best": best["model"], "its mae": best["mae"], "its picp": best["picp"]}
        rows.append(row)
    return pd.DataFrame(rows).set_index(by)


def improvement_report(studies: Studies) -> list[str]:
    """Whether the studies reach the success criteria, one line per dataset, data and splits.

    Of each model the newest complete study counts, but not of the test preset and not of an old
    schema, which lacks the defaults. Studies of different data or splits are never counted
    together.
    """
    table = studies.table
    counted = table[
        (table["status"] == "complete") & (table["preset"] != "test") & (table["schema"] > 1)
    ]
    lines = []
    for _, group in counted.groupby(["dataset", "source", "sha256", "train_end", "val_end"]):
        dataset, source, sha256 = (
            str(group[name].iloc[0]) for name in ("dataset", "source", "sha256")
        )
        newest = group.sort_values("date").groupby("model").tail(1)
        better = newest[
            (newest["improvement"] >= IMPROVEMENT_PERCENT) & newest["picp"].between(*PICP_RANGE)
        ]
        verdict = "reached" if len(better) >= SUCCESSES else "not reached"
        each = ", ".join(
            f"{row.model} {row.improvement:+.1f} % at PICP {row.picp:.1f}"
            for row in newest.itertuples()
        )
        lines.append(
            f"{dataset} ({source} {sha256[:12]}): {verdict}, {len(better)} of {len(newest)} "
            f"models: {each}"
        )
    return lines or ["no complete study beyond the test preset, so nothing to compare"]


def write_studies(studies: Studies, out: Path) -> Sequence[Path]:
    """Write the table as parquet and CSV."""
    files = consolidated(out)
    for file in files:
        with atomic(file) as temporary:
            if file.suffix == ".csv":
                studies.table.to_csv(temporary, index=False)
            else:
                studies.table.to_parquet(temporary, index=False)
    return files


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole > 0 else math.nan


def _number(value: object) -> float:
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    )
