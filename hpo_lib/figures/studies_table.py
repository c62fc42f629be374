"""All studies in one tidy table, and what they improved: read from the best_params JSONs alone."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hpo_lib.errors import InputError, choices
from hpo_lib.families.search_space import value_in_words
from hpo_lib.paths import atomic, consolidated
from hpo_lib.records.study import StoredStudy, StudiesAndNotes, read_studies

# The success criteria of the original HPO plan.
IMPROVEMENT_PERCENT = 5.0
"""The chosen trial's MAE is at least this far below that of the untuned defaults."""
PICP_RANGE = (75.0, 85.0)
"""The chosen trial has this coverage, in percent."""
SUCCESSES = 2
"""So many models of a dataset, of three, are improved."""

SCORES = ("rmse", "mape", "wape", "mase", "mean_width", "winkler", "pinball")


def load_studies(runs_dir: Path, model: str = "", dataset: str = "") -> StudiesAndNotes:
    """As `read_studies`; empty names: of all models or datasets.

    Raises:
        InputError: none can be read, or none is of that model and dataset; the known ones are
            named.
    """
    studies, notes = read_studies(runs_dir)
    if not studies:
        none = f"{runs_dir}: holds no readable best_params JSON; make one with `hpo run`."
        raise InputError(" ".join([none, *notes]))
    for key, name in (("model", model), ("dataset", dataset)):
        known = sorted({getattr(study, key) for study in studies})
        if name and name not in known:
            raise InputError(
                f"{key} is {name!r}, of which there is no study; {choices(name, known)}"
            )
        studies = [study for study in studies if name in ("", getattr(study, key))]
    return studies, notes


def studies_frame(studies: Sequence[StoredStudy]) -> pd.DataFrame:
    """Each study as a row, by dataset, model and date.

    A value that an old file lacks is NaN or an empty text.

    ``trials`` are complete ones, beside those that failed (``causes`` says why) or were stopped
    early. ``mae_default`` and ``mae`` are of the untuned defaults and of the chosen trial;
    ``improvement`` is by how many percent the second is lower. All scores are of the validation
    split. The ``status`` of an incomplete study is `StoredStudy.state`, since its JSON cannot know
    whether it still runs.
    """
    order = ["dataset", "model", "date", "file"]
    return pd.DataFrame(map(_row, studies)).sort_values(order, ignore_index=True)


def _row(study: StoredStudy) -> dict[str, Any]:
    result, provenance = study.result, study.provenance
    default, scores = result["default_trial"] or {}, result["validation_metrics"] or {}
    mae, mae_default = _number(result["best_mae"]), _number(default.get("mae"))
    causes = Counter(failure["cause"] for failure in result["failures"] or ())
    status = result["status"] or "unknown"
    return {
        "dataset": study.dataset,
        "model": study.model,
        "unit": study.unit or "unknown",
        "job_id": study.run.job_id,
        "date": result["optimization_date"] or "",
        "status": status if status in ("complete", "unknown") else study.state()[0],
        "source": study.source,
        **{name: str(study.data.get(name, "")) for name in ("sha256", "train_end", "val_end")},
        **{name: str(provenance.get(name, "unknown")) for name in ("preset", "recipe")},
        "objectives": ",".join(objective.name for objective in study.objectives),
        "trials": _number(result["n_completed"]),
        "failed": _number(result["n_failed"]),
        "stopped": _number(result["n_pruned"]),
        "front": _number(result["n_pareto_optimal"]),
        "hours": _number(result["training_time_hours"]),
        "mae_default": mae_default,
        "mae": mae,
        "improvement": 100 * (1 - mae / mae_default) if mae_default > 0 else math.nan,
        "picp_default": _number(default.get("picp")),
        "picp": _number(result["best_picp"]),
        **{name: _number(scores.get(name)) for name in SCORES},
        "schema": result["schema_version"],
        "params": ", ".join(
            f"{name} {value_in_words(value)}" for name, value in result["best_params"].items()
        ),
        "causes": "; ".join(f"{count} x {cause}" for cause, count in causes.most_common()),
        "file": str(study.file),
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def improvement_report(studies: pd.DataFrame) -> list[str]:
    """Whether the studies reach the success criteria, one line per dataset, data and splits.

    Of each model the newest complete study counts, but not of the test preset and not of an old
    schema, which lacks the defaults. Studies of different data or splits are never counted
    together.
    """
    counted = studies.query("status == 'complete' and preset != 'test' and schema > 1")
    lines = []
    same_data = ["dataset", "source", "sha256", "train_end", "val_end"]
    for (dataset, source, sha256, *_), group in counted.groupby(same_data):
        newest = group.sort_values("date").groupby("model").tail(1)
        improved = newest["improvement"] >= IMPROVEMENT_PERCENT
        successes = (improved & newest["picp"].between(*PICP_RANGE)).sum()
        verdict = "reached" if successes >= SUCCESSES else "not reached"
        each = ", ".join(
            f"{row.model} {row.improvement:+.1f} % at PICP {row.picp:.1f}"
            for row in newest.itertuples()
        )
        whose = f"{dataset} ({source} {str(sha256)[:12]})"
        lines.append(f"{whose}: {verdict}, {successes} of {len(newest)} models: {each}")
    return lines or ["no complete study beyond the test preset, so nothing to compare"]


def write_studies(studies: pd.DataFrame, out: Path) -> Path:
    """Write a `studies_frame` as CSV."""
    with atomic(file := consolidated(out)) as temporary:
        studies.to_csv(temporary, index=False)
    return file
