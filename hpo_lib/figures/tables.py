"""The thesis tables, each as plain numbers (CSV) and as rows of text (LaTeX)."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from hpo_lib.families.search_space import in_words, value_in_words
from hpo_lib.figures.benchmark_record import Benchmark
from hpo_lib.figures.benchmarks import PARAMS
from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.latex import Section, Table, best_bold
from hpo_lib.figures.style import MISSING, aligned, model_name, number, unit_text
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring.calibration import ROLLING_DAYS

_HOUR = pd.Timedelta(hours=1)


def caption(shows: str, evidence: Evidence, records: Sequence[StoredStudy | Benchmark]) -> str:
    """Plain text of a few sentences that begins with ``shows``; ``records`` are all studies or all
    benchmarks.
    """
    parts = [
        _of_study(one, evidence) if isinstance(one, StoredStudy) else _of_benchmark(one)
        for one in records
    ]
    splits, origins, budgets = (list(dict.fromkeys(values)) for values in zip(*parts, strict=True))
    studies = [one for one in records if isinstance(one, StoredStudy)]
    complete, finished = (
        sum(len(study.complete) for study in studies),
        sum(study.finished for study in studies),
    )
    trials = (
        f" {complete} of {finished} trials are complete, the others were stopped early or failed."
        if studies
        else ""
    )
    return (
        f"{shows} {splits[0]} split, daily origins: {', '.join(origins)}. "
        f"{'; '.join(budgets)}.{trials}"
    )


def _of_benchmark(benchmark: Benchmark) -> tuple[str, str, str]:
    days, counts = (
        benchmark.rows[0].test.origins + _HOUR,
        sorted({len(row.seeds) for row in benchmark.families}),
    )
    budget, *how = benchmark.paths.setting.split("-")
    seeds = (
        " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
        if counts
        else "no"
    )
    made = [f"{budget.capitalize()} budget, {seeds} seed{'s' * (seeds != '1')}"]
    made += ["trained again on training and validation split"] * ("refit" in how)
    return (
        "Test",
        _span(benchmark.dataset.spec.title, len(days), days[0], days[-1]),
        ", ".join(made),
    )


def _of_study(study: StoredStudy, evidence: Evidence) -> tuple[str, str, str]:
    first, last = pd.Timestamp(study.data["train_end"]) + _HOUR, pd.Timestamp(study.data["val_end"])
    left_out = (study.data.get("origins_left_out") or {}).get("validation", 0)
    days = (last + _HOUR - first) // pd.Timedelta(days=1) - left_out
    span = _span(evidence.title(study.dataset), days, first, last)
    return "Validation", span, f"{str(study.provenance.get('preset')).capitalize()} budget"


def _span(title: str, days: int, first: pd.Timestamp, last: pd.Timestamp) -> str:
    return f"{title} {days} ({first:%Y-%m-%d} to {last:%Y-%m-%d})"


CALIBRATIONS = ("none", "split", "rolling")
COUNTS = {"complete": "n_completed", "stopped": "n_pruned", "failed": "n_failed"}
RANGE = "{:%Y-%m-%d} to {:%Y-%m-%d}"


def scores_of_test_split(evidence: Evidence) -> Table:
    """Test scores of every row by ascending MAE: raw with bootstrap intervals, and coverage after
    calibration.
    """
    frames, sections, mode = [], [], "rolling"
    for benchmark in evidence.benchmarks:
        shown, mode = benchmark.shown, benchmark.correction.mode
        frames.append(shown.assign(unit=benchmark.unit, sha256=benchmark.dataset.sha256))
        names = (
            [model_name(model) for model in shown["model"]],
            [PARAMS[params] for params in shown["params"]],
        )
        columns = [
            *(_scores(shown, score, with_bounds=True) for score in ("mae", "picp")),
            *(
                _scores(shown, score)
                for score in ("winkler", "pinball", "picp_calibrated", "winkler_calibrated")
            ),
        ]
        sections.append(_section(evidence, benchmark, list(zip(*names, *columns, strict=True))))
    caption = (
        "Scores on the test split by ascending MAE, in brackets the 95 % interval of a block "
        "bootstrap over weeks. "
        "MAE, Winkler score and pinball loss in the unit of the dataset, PICP in % (80 is asked "
        "for). Bold: the lowest."
    )
    header = ("Model", "Tuning", "MAE", "PICP", "Winkler", "Pinball", "PICP", "Winkler")
    groups = (("", 2), ("raw", 4), (f"{mode} calibration", 2))
    return Table(_joined(frames), header, sections, caption, "llrrrrrr", groups)


def _scores(table: pd.DataFrame, score: str, *, with_bounds: bool = False) -> list[str]:
    """A column of a score with aligned decimals, its interval in brackets, and the best in bold.

    No coverage is bold: within 5 percentage points of 80 % all is equally good.
    """
    columns = [score, *([f"{score}_low", f"{score}_high"] if with_bounds else [])]
    texts = aligned(table[columns].to_numpy().ravel(), like=table[score])
    rows = [texts[i : i + len(columns)] for i in range(0, len(texts), len(columns))]
    cells = [f"{row[0]} [{row[1]}, {row[2]}]" if with_bounds else row[0] for row in rows]
    return cells if score.startswith("picp") else best_bold(cells, table[score].tolist())


def ablation(evidence: Evidence) -> Table:
    """Coverage, width and Winkler score raw, after split and after rolling calibration."""
    frames, sections = [], []
    scores = ["picp", "mean_width", "winkler"]
    for benchmark in evidence.benchmarks:
        rows = pd.DataFrame(
            [(row.model, row.params) for row in benchmark.row_per_model],
            columns=["model", "params"],
        )
        own = benchmark.table.merge(rows)
        frames.append(
            own[["dataset", "model", "params", "calibration", *scores]].assign(unit=benchmark.unit)
        )
        wide = own.pivot(index="model", columns="calibration", values=scores)
        wide = wide.reindex(own.drop_duplicates("model").sort_values("mae", kind="stable")["model"])
        columns = [
            aligned(wide[score, calibration]) for score in scores for calibration in CALIBRATIONS
        ]
        sections.append(
            _section(
                evidence, benchmark, list(zip(map(model_name, wide.index), *columns, strict=True))
            )
        )
    groups = (
        ("", 1),
        *((score, len(CALIBRATIONS)) for score in ("PICP", "Width", "Winkler score")),
    )
    caption = (
        "Conformal calibration on the test split: raw forecasts, one correction from all of "
        "validation (split), one "
        f"from the {ROLLING_DAYS} days before each origin (rolling). PICP in %, width and "
        "Winkler score in the unit "
        "of the dataset."
    )
    header = ("Model", *(["raw", "split", "rolling"] * len(scores)))
    return Table(_joined(frames), header, sections, caption, "l" + "r" * 9, groups)


def hyperparameters(evidence: Evidence) -> Table:
    """The untuned defaults, and the values chosen for each dataset."""
    rows, sections = [], []
    for model in evidence.models:
        studies = {study.dataset: study for study in evidence.studies if study.model == model}
        default = next(iter(studies.values())).default.params
        for dataset, study in studies.items():
            names = {
                "model": model,
                "dataset": dataset,
                "job_id": study.run.job_id,
                "trial": study.chosen.number,
            }
            for parameter, value in sorted(study.result["best_params"].items()):
                rows.append(
                    {
                        **names,
                        "parameter": parameter,
                        "default": default.get(parameter),
                        "chosen": value,
                    }
                )
        chosen = [study.result["best_params"] for study in studies.values()]
        shown = [studies.get(dataset) for dataset in evidence.datasets]
        lines = [
            (
                parameter.replace("_", " "),
                _value(default.get(parameter)),
                *(
                    _value(study.result["best_params"].get(parameter) if study else None)
                    for study in shown
                ),
            )
            for parameter in sorted({*default, *itertools.chain(*chosen)})
        ]
        trials = (
            "chosen trial",
            "0",
            *(_value(study.chosen.number if study else None) for study in shown),
        )
        sections.append(Section(model_name(model), (*lines, trials)))
    header = (
        "Hyperparameter",
        "untuned",
        *(evidence.title(dataset) for dataset in evidence.datasets),
    )
    caption = (
        "Hyperparameters: the untuned defaults, and those that were chosen from the Pareto "
        "front of each study."
    )
    return Table(pd.DataFrame(rows), header, sections, caption, "lr" + "r" * len(evidence.datasets))


def search_spaces(evidence: Evidence) -> Table:
    """The ranges that the studies drew from."""
    rows, sections = [], []
    for model in evidence.models:
        study = next((s for s in evidence.studies if s.model == model and s.has_storage), None)
        if study is None:
            continue
        default = study.default.params
        lines = []
        for parameter, found in sorted(study.search_space.items()):
            value, words = default.get(parameter), in_words(found)
            rows.append({"model": model, "parameter": parameter, "range": words, "default": value})
            lines.append((parameter.replace("_", " "), words, _value(value)))
        sections.append(Section(model_name(model), lines))
    caption = "Search spaces of the studies; trial 0 of each study is the untuned default."
    return Table(
        pd.DataFrame(rows), ("Hyperparameter", "Range", "Untuned default"), sections, caption, "llr"
    )


def datasets(evidence: Evidence) -> Table:
    """Source, span and splits of the data."""
    rows, columns = [], []
    for dataset in evidence.datasets:
        data = next(study.data for study in evidence.studies if study.dataset == dataset)
        first, train_end, val_end, last = (
            pd.Timestamp(data[key]) for key in ("first_hour", "train_end", "val_end", "last_hour")
        )
        test_end = pd.Timestamp(data["test_end"]) if data.get("test_end") else last
        hour = pd.Timedelta(hours=1)
        spans = {
            "train": (first, train_end),
            "validation": (train_end + hour, val_end),
            "test": (val_end + hour, test_end),
        }
        days = {
            part: max(0, (end - begin + hour) // pd.Timedelta(days=1))
            for part, (begin, end) in spans.items()
        }
        past, future = len(data["past_covariates"]), len(data["future_covariates"])
        rows.append(
            {
                "dataset": dataset,
                "title": evidence.title(dataset),
                "source": data["source"],
                "unit": data["unit"],
                **{f"{part}_from": str(span[0]) for part, span in spans.items()},
                **{f"{part}_to": str(span[1]) for part, span in spans.items()},
                **{f"{part}_days": count for part, count in days.items()},
                "hours_filled": data["hours_filled"],
                "past_covariates": past,
                "future_covariates": future,
                "sha256": data["sha256"],
            }
        )
        cells = [
            (RANGE.format(*spans[part]), str(days[part])) if days[part] else (MISSING, "0")
            for part in spans
        ]
        columns.append(
            (
                data["source"],
                unit_text(data["unit"]),
                *itertools.chain(*cells),
                f"{past} + {future}",
            )
        )
    names = (
        "Source",
        "Unit",
        "Training",
        "days",
        "Validation",
        "days",
        "Test",
        "days",
        "Covariates",
    )
    # Each dataset is a column, because three spans do not fit side by side.
    lines = list(zip(names, *columns, strict=True)) if columns else []
    header = ("", *(evidence.title(dataset) for dataset in evidence.datasets))
    caption = (
        "Datasets and their splits (UTC). Covariates: known up to the forecast origin, and "
        "known in advance."
    )
    return Table(pd.DataFrame(rows), header, [Section("", lines)], caption, "l" * len(header))


def runtime(evidence: Evidence) -> Table:
    """Trials and time of each study."""
    rows, sections = [], []
    for dataset in evidence.datasets:
        lines = []
        for study in filter(None, (evidence.study(model, dataset) for model in evidence.models)):
            seconds = [t.seconds for t in study.trials if t.finished and t.seconds > 0]
            row: dict[str, Any] = {
                "dataset": dataset,
                "model": study.model,
                "job_id": study.run.job_id,
                "preset": str(study.provenance["preset"]),
                "device": str(study.provenance["device"]),
                **{name: int(study.result[key] or 0) for name, key in COUNTS.items()},
                "median_seconds": float(pd.Series(seconds, dtype=float).median()),
                "hours": float(study.result["training_time_hours"]),
            }
            rows.append(row)
            counts = (str(row[name]) for name in COUNTS)
            times = number(row["median_seconds"]), number(60 * row["hours"])
            lines.append((model_name(study.model), row["preset"], row["device"], *counts, *times))
        sections.append(Section(evidence.title(dataset), lines))
    header = (
        "Model",
        "Budget",
        "Device",
        "Complete",
        "Stopped",
        "Failed",
        "s per trial",
        "Minutes",
    )
    caption = (
        "Trials and training time of the studies; seconds per trial are the median of "
        "finished trials."
    )
    return Table(pd.DataFrame(rows), header, sections, caption, "lllrrrrr")


TABLES: Mapping[str, tuple[Callable[[Evidence], Table], str]] = {
    "results": (scores_of_test_split, "benchmarks"),
    "ablation": (ablation, "benchmarks"),
    "hyperparameters": (hyperparameters, "studies"),
    "search_spaces": (search_spaces, "studies"),
    "datasets": (datasets, "studies"),
    "runtime": (runtime, "studies"),
}
"""Name of the files -> how the table is made, and from which records."""


def _section(evidence: Evidence, benchmark: Benchmark, rows: Sequence[Sequence[str]]) -> Section:
    days = len(benchmark.rows[0].test.origins)
    return Section(
        f"{evidence.title(benchmark.name)} ({unit_text(benchmark.unit)}, {days} days)", rows
    )


def _value(value: float | None) -> str:
    return MISSING if value is None else value_in_words(value, 3)


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
