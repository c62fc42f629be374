"""The thesis tables, each as plain numbers (CSV) and as rows of text (LaTeX)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

import pandas as pd

from hpo_lib.benchmark.record import Benchmark
from hpo_lib.families.search_space import in_words, value_in_words
from hpo_lib.figures.benchmarks import PARAMS
from hpo_lib.figures.evidence import Evidence, Records
from hpo_lib.figures.latex import Columns, Table, best_bold
from hpo_lib.figures.style import MISSING, aligned, model_name, number, unit_text
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring.calibration import MODES, ROLLING_DAYS

_HOUR, _DAY = pd.Timedelta(hours=1), pd.Timedelta(days=1)


def caption(shows: str, evidence: Evidence, records: Records) -> str:
    """A few sentences that begin with ``shows``; ``records`` are all studies or all benchmarks."""
    studies = [record for record in records if isinstance(record, StoredStudy)]
    spans = [_of_study(study, evidence) for study in studies]
    spans += [_of_benchmark(record) for record in records if isinstance(record, Benchmark)]
    origins, budgets = (dict.fromkeys(texts) for texts in zip(*spans, strict=True))
    split = "Validation" if studies else "Test"
    text = f"{shows} {split} split, daily origins: {', '.join(origins)}. {'; '.join(budgets)}."
    if not studies:
        return text
    complete = sum(len(study.complete) for study in studies)
    finished = sum(study.finished for study in studies)
    rest = "the others were stopped early or failed"
    return f"{text} {complete} of {finished} trials are complete, {rest}."


def _of_benchmark(benchmark: Benchmark) -> tuple[str, str]:
    """The days of its test split, and how its models were trained."""
    days = benchmark.rows[0].test.origins + _HOUR
    seeds = [len(row.seeds) for row in benchmark.families]
    ends = dict.fromkeys((min(seeds), max(seeds)) if seeds else ("no",))
    count = " to ".join(map(str, ends))
    budget, *how = benchmark.paths.setting.split("-")
    trained = f"{budget.capitalize()} budget, {count} {'seed' if count == '1' else 'seeds'}"
    if "refit" in how:
        trained += ", trained again on training and validation split"
    return _span(benchmark.dataset.spec.title, len(days), days[0], days[-1]), trained


def _of_study(study: StoredStudy, evidence: Evidence) -> tuple[str, str]:
    """The days of its validation split, and its budget."""
    first, last = pd.Timestamp(study.data["train_end"]) + _HOUR, pd.Timestamp(study.data["val_end"])
    left_out = (study.data.get("origins_left_out") or {}).get("validation", 0)
    span = _span(evidence.title(study.dataset), _days(first, last) - left_out, first, last)
    return span, f"{str(study.provenance.get('preset')).capitalize()} budget"


def _span(title: str, days: int, first: pd.Timestamp, last: pd.Timestamp) -> str:
    return f"{title} {days} ({first:%Y-%m-%d} to {last:%Y-%m-%d})"


def _days(first: pd.Timestamp, last: pd.Timestamp) -> int:
    """Whole days from the first to the last hour."""
    return max(0, (last + _HOUR - first) // _DAY)


COUNTS = {"complete": "n_completed", "stopped": "n_pruned", "failed": "n_failed"}


def scores_of_test_split(evidence: Evidence) -> Table:
    """Raw test scores by ascending MAE with bootstrap intervals, and coverage once calibrated.

    No coverage is bold: within 5 percentage points of 80 % all is equally good.
    """
    frames, sections, mode = [], [], "rolling"
    for benchmark in evidence.benchmarks:
        rows, mode = benchmark.shown, benchmark.correction.mode
        frames.append(rows.assign(unit=benchmark.unit, sha256=benchmark.dataset.sha256))
        columns: Columns = [
            ("Model", rows["model"].map(model_name)),
            ("Tuning", rows["params"].map(PARAMS)),
            ("MAE", best_bold(_with_intervals(rows, "mae"), rows["mae"])),
            ("PICP", _with_intervals(rows, "picp")),
            ("Winkler", _best_bold(rows["winkler"])),
            ("Pinball", _best_bold(rows["pinball"])),
            ("PICP", aligned(rows["picp_calibrated"])),
            ("Winkler", _best_bold(rows["winkler_calibrated"])),
        ]
        sections.append((_title(benchmark), columns))
    caption = (
        "Scores on the test split by ascending MAE, in brackets the 95 % interval of a block "
        "bootstrap over weeks. MAE, Winkler score and pinball loss in the unit of the dataset, "
        "PICP in % (80 is asked for). Bold: the lowest."
    )
    groups = (("", 2), ("raw", 4), (f"{mode} calibration", 2))
    return Table(_joined(frames), sections, caption, "llrrrrrr", groups)


def _best_bold(values: pd.Series) -> list[str]:
    return best_bold(aligned(values), values)


def _with_intervals(rows: pd.DataFrame, score: str) -> list[str]:
    """A score with its interval in brackets, all with the decimals of the score."""
    names = [score, f"{score}_low", f"{score}_high"]
    columns = (aligned(rows[name], like=rows[score]) for name in names)
    return [f"{value} [{low}, {high}]" for value, low, high in zip(*columns, strict=True)]


def ablation(evidence: Evidence) -> Table:
    """Coverage, width and Winkler score raw, after split and after rolling calibration."""
    frames, sections = [], []
    scores = {"picp": "PICP", "mean_width": "Width", "winkler": "Winkler score"}
    for benchmark in evidence.benchmarks:
        models = [(row.model, row.params) for row in benchmark.row_per_model]
        rows = benchmark.table.merge(pd.DataFrame(models, columns=["model", "params"]))
        names = ["dataset", "model", "params", "calibration", *scores]
        frames.append(rows[names].assign(unit=benchmark.unit))
        by_mae = rows.drop_duplicates("model").sort_values("mae", kind="stable")["model"]
        wide = rows.pivot(index="model", columns="calibration", values=[*scores]).reindex(by_mae)
        columns: Columns = [
            ("Model", [model_name(model) for model in by_mae]),
            *(
                ("raw" if mode == "none" else mode, aligned(wide[score, mode]))
                for score in scores
                for mode in MODES
            ),
        ]
        sections.append((_title(benchmark), columns))
    caption = (
        "Conformal calibration on the test split: raw forecasts, one correction from all of "
        f"validation (split), one from the {ROLLING_DAYS} days before each origin (rolling). PICP "
        "in %, width and Winkler score in the unit of the dataset."
    )
    groups = (("", 1), *((score, len(MODES)) for score in scores.values()))
    return Table(_joined(frames), sections, caption, "l" + "r" * 9, groups)


def hyperparameters(evidence: Evidence) -> Table:
    """The untuned defaults, and the values chosen for each dataset."""
    rows, sections = [], []
    for model, studies in evidence.by_model():
        default = studies[0].default.params
        chosen = {study.dataset: study.result["best_params"] for study in studies}
        trials = {study.dataset: study.chosen.number for study in studies}
        for study in studies:
            origin = (model, study.dataset, study.run.job_id, study.chosen.number)
            for name, value in sorted(study.result["best_params"].items()):
                rows.append((*origin, name, default.get(name), value))
        names = sorted({*default, *chain(*chosen.values())})
        columns = [
            ("Hyperparameter", [*map(_spaced, names), "chosen trial"]),
            ("untuned", [*_values(default, names), "0"]),
        ]
        for dataset in evidence.datasets:
            cells = [*_values(chosen.get(dataset, {}), names), _value(trials.get(dataset))]
            columns.append((evidence.title(dataset), cells))
        sections.append((model_name(model), columns))
    caption = (
        "Hyperparameters: the untuned defaults, and those that were chosen from the Pareto "
        "front of each study."
    )
    header = ["model", "dataset", "job_id", "trial", "parameter", "default", "chosen"]
    frame = pd.DataFrame(rows, columns=header)
    return Table(frame, sections, caption, "lr" + "r" * len(evidence.datasets))


def search_spaces(evidence: Evidence) -> Table:
    """The ranges that the studies drew from."""
    frames, sections = [], []
    for model, studies in evidence.by_model():
        study = next((study for study in studies if study.has_storage), None)
        if study is None:
            continue
        default, space = study.default.params, dict(sorted(study.search_space.items()))
        ranges = [in_words(dimension) for dimension in space.values()]
        columns: Columns = [
            ("Hyperparameter", [*map(_spaced, space)]),
            ("Range", ranges),
            ("Untuned default", _values(default, space)),
        ]
        sections.append((model_name(model), columns))
        numbers = {
            "range": ranges,
            "default": pd.Series(list(map(default.get, space)), dtype=object),
        }
        frames.append(pd.DataFrame({"model": model, "parameter": list(space), **numbers}))
    caption = "Search spaces of the studies; trial 0 of each study is the untuned default."
    return Table(_joined(frames), sections, caption, "llr")


def datasets(evidence: Evidence) -> Table:
    """Source, span and splits of the data."""
    rows = []
    # Each dataset is a column, because three spans do not fit side by side.
    names = ["Source", "Unit", "Training", "days", "Validation", "days", "Test", "days"]
    columns: list[tuple[str, list[str]]] = [("", [*names, "Covariates"])]
    for dataset in evidence.datasets:
        data = next(study.data for study in evidence.studies if study.dataset == dataset)
        ends = [data["train_end"], data["val_end"], data.get("test_end") or data["last_hour"]]
        first, *lasts = map(pd.Timestamp, (data["first_hour"], *ends))
        firsts = [first, *(last + _HOUR for last in lasts[:-1])]
        days = list(map(_days, firsts, lasts))
        parts = ("train", "validation", "test")
        counts = [len(data[f"{kind}_covariates"]) for kind in ("past", "future")]
        title, unit = evidence.title(dataset), data["unit"]
        rows.append(
            {"dataset": dataset, "title": title, "source": data["source"], "unit": unit}
            | {f"{part}_from": str(hour) for part, hour in zip(parts, firsts, strict=True)}
            | {f"{part}_to": str(hour) for part, hour in zip(parts, lasts, strict=True)}
            | {f"{part}_days": count for part, count in zip(parts, days, strict=True)}
            | {"hours_filled": data["hours_filled"]}
            | {"past_covariates": counts[0], "future_covariates": counts[1]}
            | {"sha256": data["sha256"]}
        )
        cells = [data["source"], unit_text(unit)]
        for begin, end, count in zip(firsts, lasts, days, strict=True):
            cells += [f"{begin:%Y-%m-%d} to {end:%Y-%m-%d}" if count else MISSING, str(count)]
        columns.append((title, [*cells, " + ".join(map(str, counts))]))
    caption = (
        "Datasets and their splits (UTC). Covariates: known up to the forecast origin, and "
        "known in advance."
    )
    return Table(pd.DataFrame(rows), [("", columns)], caption, "l" * len(columns))


def runtime(evidence: Evidence) -> Table:
    """Trials and time of each study."""
    rows = []
    for study in evidence.studies:
        seconds = [trial.seconds for trial in study.trials if trial.finished and trial.seconds > 0]
        rows.append(
            {
                "dataset": study.dataset,
                "model": study.model,
                "job_id": study.run.job_id,
                "preset": str(study.provenance["preset"]),
                "device": str(study.provenance["device"]),
                **{name: int(study.result[key] or 0) for name, key in COUNTS.items()},
                "median_seconds": pd.Series(seconds, dtype=float).median(),
                "hours": float(study.result["training_time_hours"]),
            }
        )
    frame, sections = pd.DataFrame(rows), []
    for dataset, studies in frame.groupby("dataset") if rows else ():
        columns: Columns = [
            ("Model", studies["model"].map(model_name)),
            ("Budget", studies["preset"]),
            ("Device", studies["device"]),
            *((name.capitalize(), studies[name].astype(str)) for name in COUNTS),
            ("s per trial", studies["median_seconds"].map(number)),
            ("Minutes", (60 * studies["hours"]).map(number)),
        ]
        sections.append((evidence.title(str(dataset)), columns))
    caption = (
        "Trials and training time of the studies; seconds per trial are the median of "
        "finished trials."
    )
    return Table(frame, sections, caption, "lllrrrrr")


TABLES: Mapping[str, tuple[Callable[[Evidence], Table], str]] = {
    "results": (scores_of_test_split, "benchmarks"),
    "ablation": (ablation, "benchmarks"),
    "hyperparameters": (hyperparameters, "studies"),
    "search_spaces": (search_spaces, "studies"),
    "datasets": (datasets, "studies"),
    "runtime": (runtime, "studies"),
}
"""Name of the files -> how the table is made, and from which records."""


def _title(benchmark: Benchmark) -> str:
    days = len(benchmark.rows[0].test.origins)
    return f"{benchmark.dataset.spec.title} ({unit_text(benchmark.unit)}, {days} days)"


def _spaced(parameter: str) -> str:
    return parameter.replace("_", " ")


def _values(params: Mapping[str, float], names: Iterable[str]) -> list[str]:
    return [_value(params.get(name)) for name in names]


def _value(value: float | None) -> str:
    return MISSING if value is None else value_in_words(value, 3)


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
