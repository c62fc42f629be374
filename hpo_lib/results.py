"""The record of a study: one JSON schema, written atomically, read from any version of it.

Nothing here imports optuna: `study` turns trials into `TrialRecord`s, everything else works on those.
"""

import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from hpo_lib.errors import InputError, StudyError, choices
from hpo_lib.forecasts import QuantileForecasts

SCHEMA_VERSION = 2
"""1 is the seed document's schema (both of its variants), which had no version key."""

COVERAGE_TOLERANCE = 5.0
"""Percentage points around 80 % within which the ``calibrated`` policy looks for the lowest MAE."""

NEARLY_NEAREST = 2.5
"""Points by which one may be behind the nearest where none is within: a year's coverage is not known any better."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial as every reader sees it.

    ``state`` is ``complete``, ``failed`` (with its cause), ``stopped`` (early, with its cause), ``interrupted`` (the
    worker died; the trial was retried), ``running`` or ``waiting``. ``curve`` holds the scores of every check of a
    complete or stopped training; a stopped one has no other scores, and ``stopped_at`` is its share of the steps.
    """

    number: int
    state: str
    params: Mapping[str, Any]
    mae: float = math.nan
    picp_penalty: float = math.nan
    scores: Mapping[str, float] = field(default_factory=dict)
    by_step: Mapping[str, list[float]] = field(default_factory=dict)
    cause: str = ""
    seconds: float = 0.0
    best_step: int = 0
    retry_of: int | None = None
    curve: Sequence[Mapping[str, float]] = ()
    stopped_at: float | None = None

    @property
    def finished(self) -> bool:
        """Counts towards the number of trials asked for."""
        return self.state in ("complete", "failed", "stopped")


@dataclass(frozen=True)
class Selection:
    """Which trial of the Pareto front was chosen, by which policy, why, and what the other policies would choose."""

    policy: str
    trial: int
    reason: str
    alternatives: Mapping[str, int]


def default_trial(trials: Sequence[TrialRecord]) -> TrialRecord:
    """The trial of the untuned defaults: the first one, or its last retry where a worker died during it."""
    found = trials[0]
    for trial in trials:
        if trial.retry_of == found.number:
            found = trial
    return found


def pareto_front(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Complete trials that no other complete trial beats in both objectives, by ascending MAE.

    Of trials with equal values all are kept, as optuna's ``best_trials`` does.
    """
    done = sorted((t for t in trials if t.state == "complete"), key=lambda t: (t.mae, t.picp_penalty, t.number))
    front: list[TrialRecord] = []
    for trial in done:
        if not front or trial.picp_penalty < front[-1].picp_penalty or _values(trial) == _values(front[-1]):
            front.append(trial)
    return front


def _values(trial: TrialRecord) -> tuple[float, float]:
    return trial.mae, trial.picp_penalty


def _calibrated(front: Sequence[TrialRecord]) -> tuple[TrialRecord, str]:
    near = [t for t in front if t.picp_penalty <= COVERAGE_TOLERANCE]
    if near:
        return near[0], f"lowest MAE with |PICP - 80| <= {COVERAGE_TOLERANCE:g}"
    nearest = front[-1]
    chosen = next(t for t in front if t.picp_penalty <= nearest.picp_penalty + NEARLY_NEAREST)
    what = "the one" if chosen is nearest else f"the lowest MAE at most {NEARLY_NEAREST:g} points behind the one"
    return chosen, f"no trial has |PICP - 80| <= {COVERAGE_TOLERANCE:g}, so {what} nearest to 80 % coverage"


def _lowest_mae(front: Sequence[TrialRecord]) -> tuple[TrialRecord, str]:
    return front[0], "lowest MAE, whatever its coverage"


def _knee(front: Sequence[TrialRecord]) -> tuple[TrialRecord, str]:
    """The point farthest below the straight line between the ends of the front, both objectives scaled to 0..1."""
    first, last = front[0], front[-1]
    mae_range, penalty_range = last.mae - first.mae, first.picp_penalty - last.picp_penalty
    if mae_range == 0 or penalty_range == 0:
        return first, "the front has one point"

    def below_line(t: TrialRecord) -> float:
        return 1 - (t.mae - first.mae) / mae_range - (t.picp_penalty - last.picp_penalty) / penalty_range

    return max(front, key=below_line), "farthest from the line between the ends of the front"


POLICIES = {"calibrated": _calibrated, "lowest_mae": _lowest_mae, "knee": _knee}


def select(front: Sequence[TrialRecord], policy: str) -> Selection:
    """Choose one trial of a Pareto front (ascending MAE).

    Raises:
        InputError: unknown policy.
        StudyError: the front is empty, because no trial completed.
    """
    if policy not in POLICIES:
        raise InputError(f"policy is {policy!r}; {choices(policy, POLICIES)}")
    if not front:
        raise StudyError("no trial completed, so there is nothing to choose from; see the causes of the failed trials")
    trial, reason = POLICIES[policy](front)
    return Selection(policy, trial.number, reason, {name: rule(front)[0].number for name, rule in POLICIES.items()})


def study_result(
    *,
    model: str,
    dataset: str,
    job_id: str,
    study_name: str,
    storage_path: str,
    status: str,
    trials_asked: int,
    policy: str,
    trials: Sequence[TrialRecord],
    optimization_date: str,
    baselines: Mapping[str, Mapping[str, float]],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of a best_params JSON: the keys that old readers rely on, and all that newer ones want.

    ``status`` is ``complete``, ``running`` (trials are still missing) or ``stopped`` (by time budget or signal).
    """
    front = pareto_front(trials)
    selection = select(front, policy)
    chosen = next(t for t in front if t.number == selection.trial)
    counts = {
        state: sum(t.state == state for t in trials) for state in ("complete", "failed", "stopped", "interrupted")
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model,
        "dataset": dataset,
        "job_id": job_id,
        "status": status,
        "optimization_date": optimization_date,
        "n_trials": trials_asked,
        "n_completed": counts["complete"],
        "n_failed": counts["failed"],
        "n_pruned": counts["stopped"],
        "n_interrupted": counts["interrupted"],
        "n_pareto_optimal": len(front),
        "best_trial_number": chosen.number,
        "best_mae": chosen.mae,
        "best_picp": chosen.scores["picp"],
        "best_picp_approx": chosen.scores["picp"],
        "best_params": dict(chosen.params),
        "selection": asdict(selection),
        "validation_metrics": {**chosen.scores, "by_step": dict(chosen.by_step)},
        "default_trial": summary(default_trial(trials)) if trials else None,
        "baselines": {name: dict(scores) for name, scores in baselines.items()},
        "study_name": study_name,
        "storage_path": storage_path,
        "training_time_hours": sum(t.seconds for t in trials) / 3600,
        "all_pareto_trials": [summary(t) for t in front],
        "failures": [{"trial": t.number, "cause": t.cause} for t in trials if t.state == "failed"],
        "provenance": dict(provenance),
    }


def summary(trial: TrialRecord) -> dict[str, Any]:
    """A trial as the JSON shows it."""
    return {
        "trial": trial.number,
        "state": trial.state,
        "mae": trial.mae if trial.state == "complete" else None,
        "picp": trial.scores.get("picp"),
        "picp_penalty": trial.picp_penalty if trial.state == "complete" else None,
        "pinball": trial.scores.get("pinball"),
        "winkler": trial.scores.get("winkler"),
        "params": dict(trial.params),
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON under a temporary name beside its place, then rename, so that no reader ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_result(path: Path) -> dict[str, Any]:
    """A best_params JSON of any schema, with the keys of the newest one; what an old file lacks is None.

    Old files know ``best_trial`` for ``best_trial_number``, ``optuna_study_name`` for ``study_name``,
    ``total_trials_completed`` for ``n_completed``, and only an approximate PICP; ``schema_version`` is 1 for them.

    Raises:
        InputError: the file is missing, is no JSON object, or lacks model, dataset or best_params.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a best_params JSON of a study") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a best_params JSON of a study") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: not a complete JSON file ({error}); remove it or write it anew from its study"
        ) from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds a {type(found).__name__}, expected the JSON object of best parameters")
    for key in ("model", "dataset", "best_params"):
        if key not in found:
            raise InputError(f"{path}: key {key!r} is missing, expected a best_params JSON of a study")
    schema = found.get("schema_version", 1)
    if isinstance(schema, bool) or not isinstance(schema, int) or schema > SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version is {schema!r}, this version reads up to {SCHEMA_VERSION}; update hpo_lib"
        )
    present = {_RENAMED.get(str(key), str(key)): value for key, value in found.items()}
    return {**dict.fromkeys(_KEYS), **present, "schema_version": schema}


_RENAMED = {
    "best_trial": "best_trial_number",
    "optuna_study_name": "study_name",
    "total_trials_completed": "n_completed",
    "pruned_trials": "n_pruned",
}
_KEYS = (
    "job_id", "status", "optimization_date", "n_trials", "n_completed", "n_failed", "n_pruned", "n_interrupted",
    "n_pareto_optimal", "best_trial_number", "best_mae", "best_picp", "best_picp_approx", "selection",
    "validation_metrics", "default_trial", "baselines", "study_name", "storage_path", "training_time_hours",
    "all_pareto_trials", "failures", "provenance",
)  # fmt: skip


def write_predictions(path: Path, forecasts: QuantileForecasts) -> None:
    """Store forecasts as parquet (quantiles in float32, actuals in float64), atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = forecasts.to_frame()
    quantiles = [name for name in frame.columns if name.startswith("q")]
    temporary = path.with_name(f".{path.name}.tmp")
    split = dict.fromkeys(["actual", *quantiles], "BYTE_STREAM_SPLIT")  # makes the files a third smaller
    frame.astype({"step": "int16", **dict.fromkeys(quantiles, "float32")}).to_parquet(
        temporary, compression="zstd", index=False, use_dictionary=["origin", "step"], column_encoding=split
    )
    temporary.replace(path)


def load_predictions(path: Path) -> QuantileForecasts:
    """Stored forecasts; the inverse of `write_predictions` up to float32.

    Raises:
        InputError: the file is missing, unreadable or incomplete.
    """
    try:
        frame = pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected stored predictions of a trial") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable parquet file ({error}); write it anew") from None
    return QuantileForecasts.from_frame(frame, str(path))
