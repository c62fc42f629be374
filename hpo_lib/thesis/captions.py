"""Captions of figures and tables: what they show, then of which data, split and origins, and at which budget."""

from collections.abc import Sequence

import pandas as pd

from hpo_lib.records.study import StoredStudy
from hpo_lib.thesis.benchmark_record import Benchmark
from hpo_lib.thesis.evidence import Evidence

_HOUR = pd.Timedelta(hours=1)


def caption(shows: str, evidence: Evidence, records: Sequence[StoredStudy | Benchmark]) -> str:
    """Plain text of a few sentences that begins with ``shows``; ``records`` are all studies or all benchmarks."""
    parts = [_of_study(one, evidence) if isinstance(one, StoredStudy) else _of_benchmark(one) for one in records]
    splits, origins, budgets = (list(dict.fromkeys(values)) for values in zip(*parts, strict=True))
    studies = [one for one in records if isinstance(one, StoredStudy)]
    complete, finished = sum(len(study.complete) for study in studies), sum(study.finished for study in studies)
    trials = (
        f" {complete} of {finished} trials are complete, the others were stopped early or failed." if studies else ""
    )
    return f"{shows} {splits[0]} split, daily origins: {', '.join(origins)}. {'; '.join(budgets)}.{trials}"


def _of_benchmark(benchmark: Benchmark) -> tuple[str, str, str]:
    days, counts = benchmark.rows[0].test.origins + _HOUR, sorted({len(row.seeds) for row in benchmark.families})
    budget, *how = benchmark.paths.setting.split("-")
    seeds = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1]))) if counts else "no"
    made = [f"{budget.capitalize()} budget, {seeds} seed{'s' * (seeds != '1')}"]
    made += ["trained again on training and validation split"] * ("refit" in how)
    return "Test", _span(benchmark.dataset.spec.title, len(days), days[0], days[-1]), ", ".join(made)


def _of_study(study: StoredStudy, evidence: Evidence) -> tuple[str, str, str]:
    first, last = pd.Timestamp(study.data["train_end"]) + _HOUR, pd.Timestamp(study.data["val_end"])
    left_out = (study.data.get("origins_left_out") or {}).get("validation", 0)
    days = (last + _HOUR - first) // pd.Timedelta(days=1) - left_out
    span = _span(evidence.title(study.dataset), days, first, last)
    return "Validation", span, f"{str(study.provenance.get('preset')).capitalize()} budget"


def _span(title: str, days: int, first: pd.Timestamp, last: pd.Timestamp) -> str:
    return f"{title} {days} ({first:%Y-%m-%d} to {last:%Y-%m-%d})"
