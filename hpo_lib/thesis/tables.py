"""The thesis tables: each as a tidy frame of plain numbers (CSV) and as rows of text (LaTeX)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from hpo_lib.families.search_space import in_words
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring.calibration import ROLLING_DAYS
from hpo_lib.thesis.benchmark_record import Benchmark
from hpo_lib.thesis.evidence import Evidence
from hpo_lib.thesis.latex import Section
from hpo_lib.views import look
from hpo_lib.views.look import MISSING, name, number, unit_text, within

PARAMS = {"best": "tuned", "file": "file", "default": "untuned", "own": ""}
CALIBRATIONS = {"none": "raw", "split": "split", "rolling": "rolling"}
RANGE = "{:%Y-%m-%d} to {:%Y-%m-%d}"


@dataclass(frozen=True)
class Table:
    """A table: ``frame`` with full precision, and what LaTeX prints of it."""

    frame: pd.DataFrame
    header: tuple[str, ...]
    sections: tuple[Section, ...]
    caption: str
    align: str
    groups: tuple[tuple[str, int], ...] = ()


def results(evidence: Evidence) -> Table:
    """Raw test scores of every row with bootstrap intervals."""
    frames, sections = [], []
    for benchmark in evidence.benchmarks:
        raw = benchmark.table[benchmark.table["calibration"] == "none"].reset_index(drop=True)
        raw = raw[~(raw["model"].str.startswith("BLEND") & (raw["params"] == "default"))]
        frames.append(raw.assign(unit=benchmark.unit, sha256=benchmark.dataset.sha256))
        rows = [
            (
                name(row["model"]), PARAMS[row["params"]],
                *(within(row[key], row[f"{key}_low"], row[f"{key}_high"]) for key in ("mae", "picp", "winkler")),
                number(row["pinball"]),
            )
            for row in raw.to_dict("records")
        ]  # fmt: skip
        sections.append(Section(_heading(evidence, benchmark), tuple(rows)))
    caption = (
        "Scores over every day of the test split, raw forecasts, with 95 % intervals of a block bootstrap over weeks. "
        "MAE, Winkler score and pinball loss in the unit of the dataset, PICP in % (80 is asked for)."
    )
    header = ("Model", "Tuning", "MAE", "PICP", "Winkler", "Pinball")
    return Table(_joined(frames), header, tuple(sections), caption, "llrrrr")


def ablation(evidence: Evidence) -> Table:
    """Coverage, width and Winkler score raw, after split and after rolling calibration."""
    frames, sections = [], []
    scores = ("picp", "mean_width", "winkler")
    for benchmark in evidence.benchmarks:
        shown = {(row.model, row.params) for row in benchmark.shown}
        own = benchmark.table[
            [pair in shown for pair in zip(benchmark.table["model"], benchmark.table["params"], strict=True)]
        ]
        frames.append(own[["dataset", "model", "params", "calibration", *scores]].assign(unit=benchmark.unit))
        wide = own.pivot(index="model", columns="calibration", values=list(scores))
        rows = [
            (name(model), *(number(float(wide[score, c][model])) for score in scores for c in CALIBRATIONS))
            for model in look.in_order(list(own["model"]))
        ]
        sections.append(Section(_heading(evidence, benchmark), tuple(rows)))
    header = ("Model", *CALIBRATIONS.values(), *CALIBRATIONS.values(), *CALIBRATIONS.values())
    groups = (("", 1), *((score, len(CALIBRATIONS)) for score in ("PICP", "Width", "Winkler score")))
    caption = (
        "Conformal calibration on the test split: raw forecasts, one correction from all of validation (split), one "
        f"from the {ROLLING_DAYS} days before each origin (rolling). PICP in %, width and Winkler score in the unit "
        "of the dataset."
    )
    return Table(_joined(frames), header, tuple(sections), caption, "l" + "r" * 9, groups)


def hyperparameters(evidence: Evidence) -> Table:
    """The untuned defaults and what was chosen for each dataset."""
    rows, sections = [], []
    for model in evidence.models:
        studies = [study for study in evidence.studies if study.model == model]
        default = dict(studies[0].default.params)
        for study in studies:
            for parameter, value in sorted(study.result["best_params"].items()):
                rows.append(
                    {
                        "model": model, "dataset": study.dataset, "job_id": study.result["job_id"],
                        "trial": study.chosen.number, "parameter": parameter, "default": default.get(parameter),
                        "chosen": value,
                    }
                )  # fmt: skip
        chosen = {study.dataset: study.result["best_params"] for study in studies}
        lines = [
            (
                parameter.replace("_", " "), _value(default.get(parameter)),
                *(_value(chosen.get(dataset, {}).get(parameter)) for dataset in evidence.datasets),
            )
            for parameter in sorted(default)
        ]  # fmt: skip
        trials = ("chosen trial", "0", *(_trial(evidence.study(model, dataset)) for dataset in evidence.datasets))
        sections.append(Section(name(model), (*lines, trials)))
    header = ("Hyperparameter", "untuned", *(evidence.title(dataset) for dataset in evidence.datasets))
    caption = "Hyperparameters: the untuned defaults, and those that were chosen from the Pareto front of each study."
    return Table(pd.DataFrame(rows), header, tuple(sections), caption, "lr" + "r" * len(evidence.datasets))


def search_spaces(evidence: Evidence) -> Table:
    """The ranges that the studies drew from."""
    rows, sections = [], []
    for model in evidence.models:
        study = next((s for s in evidence.studies if s.model == model and s.has_storage), None)
        if study is None:
            continue
        space = {name: in_words(found) for name, found in study.search_space.items()}
        default = study.default.params
        for parameter in sorted(space):
            rows.append(
                {"model": model, "parameter": parameter, "range": space[parameter], "default": default.get(parameter)}
            )
        lines = [(p.replace("_", " "), space[p], _value(default.get(p))) for p in sorted(space)]
        sections.append(Section(name(model), tuple(lines)))
    caption = "Search spaces of the studies; trial 0 of each study is the untuned default."
    return Table(pd.DataFrame(rows), ("Hyperparameter", "Range", "Untuned default"), tuple(sections), caption, "llr")


def datasets(evidence: Evidence) -> Table:
    """Source, span and splits of the data."""
    rows, lines = [], []
    for dataset in evidence.datasets:
        study = next(s for s in evidence.studies if s.dataset == dataset)
        data = study.data
        ends = {key: pd.Timestamp(data[key]) for key in ("first_hour", "train_end", "val_end", "last_hour")}
        last = pd.Timestamp(data["test_end"]) if data["test_end"] else ends["last_hour"]
        hour = pd.Timedelta(hours=1)
        spans = {
            "train": (ends["first_hour"], ends["train_end"]),
            "validation": (ends["train_end"] + hour, ends["val_end"]),
            "test": (ends["val_end"] + hour, last),
        }
        days = {part: max(0, (end - begin + hour) // pd.Timedelta(days=1)) for part, (begin, end) in spans.items()}
        rows.append(
            {
                "dataset": dataset, "title": evidence.title(dataset), "source": data["source"], "unit": data["unit"],
                **{f"{part}_from": str(span[0]) for part, span in spans.items()},
                **{f"{part}_to": str(span[1]) for part, span in spans.items()},
                **{f"{part}_days": count for part, count in days.items()}, "hours_filled": data["hours_filled"],
                "past_covariates": len(data["past_covariates"]), "future_covariates": len(data["future_covariates"]),
                "sha256": data["sha256"],
            }
        )  # fmt: skip
        lines.append(
            (
                evidence.title(dataset), data["source"], unit_text(data["unit"]),
                *(text for part in spans for text in _span(spans[part], days[part])),
                f"{len(data['past_covariates'])} + {len(data['future_covariates'])}",
            )
        )  # fmt: skip
    parts = ("Training", "days", "Validation", "days", "Test", "days")
    header = ("Dataset", "Source", "Unit", *parts, "Covariates")
    caption = "Datasets and their splits (UTC). Covariates: known up to the forecast origin, and known in advance."
    # Three spans do not fit side by side, so each dataset is a column.
    turned = tuple((header[k], *(line[k] for line in lines)) for k in range(1, len(header)))
    return Table(
        pd.DataFrame(rows), ("", *(line[0] for line in lines)), (Section("", turned),), caption, "l" + "l" * len(lines)
    )


def runtime(evidence: Evidence) -> Table:
    """Trials and time of each study."""
    rows, sections = [], []
    for dataset in evidence.datasets:
        lines = []
        for model in evidence.models:
            study = evidence.study(model, dataset)
            if study is None:
                continue
            seconds = [t.seconds for t in study.trials if t.finished and t.seconds > 0]
            found, device = study.result, str(study.result["provenance"]["device"])
            median = float(pd.Series(seconds, dtype=float).median())
            counts = [int(found[key] or 0) for key in ("n_completed", "n_pruned", "n_failed")]
            hours, preset = float(found["training_time_hours"]), str(found["provenance"]["preset"])
            rows.append(
                {
                    "dataset": dataset, "model": model, "job_id": found["job_id"], "preset": preset, "device": device,
                    **dict(zip(("complete", "stopped", "failed"), counts, strict=True)), "median_seconds": median,
                    "hours": hours,
                }
            )  # fmt: skip
            lines.append((name(model), preset, device, *map(str, counts), number(median), number(hours)))
        sections.append(Section(evidence.title(dataset), tuple(lines)))
    header = ("Model", "Budget", "Device", "Complete", "Stopped", "Failed", "s per trial", "Hours")
    caption = "Trials and training time of the studies; seconds per trial are the median of finished trials."
    return Table(pd.DataFrame(rows), header, tuple(sections), caption, "lllrrrrr")


TABLES: Mapping[str, tuple[Callable[[Evidence], Table], str]] = {
    "results": (results, "benchmarks"),
    "ablation": (ablation, "benchmarks"),
    "hyperparameters": (hyperparameters, "studies"),
    "search_spaces": (search_spaces, "studies"),
    "datasets": (datasets, "studies"),
    "runtime": (runtime, "studies"),
}
"""Name -> how it is made, and which records it is made from."""


def _heading(evidence: Evidence, benchmark: Benchmark) -> str:
    days = len(benchmark.rows[0].test.origins)
    return f"{evidence.title(benchmark.name)} ({unit_text(benchmark.unit)}, {days} days)"


def _span(span: tuple[pd.Timestamp, pd.Timestamp], days: int) -> tuple[str, str]:
    return (RANGE.format(*span), str(days)) if days else (MISSING, "0")


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return MISSING if value is None else str(value)


def _trial(study: StoredStudy | None) -> str:
    return MISSING if study is None else str(study.chosen.number)


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
