"""The tables of the thesis and of notebooks, as plain numbers and as rows of text."""

import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from hpo_lib.benchmark.tables import Benchmark, of_rows
from hpo_lib.errors import InputError, choices
from hpo_lib.families.search_space import in_words, value_in_words
from hpo_lib.figures import benchmarks, explanations
from hpo_lib.figures.evidence import Evidence, Records
from hpo_lib.figures.latex import Bold, Columns, Table, best_bold
from hpo_lib.figures.style import (
    MISSING,
    aligned,
    in_order,
    joined,
    labelled,
    model_name,
    number,
    unit_text,
    with_intervals,
)
from hpo_lib.paths import consolidated, write_text
from hpo_lib.records.study import StoredStudy, StudiesAndNotes, read_studies
from hpo_lib.scoring.calibration import MODES, ROLLING_DAYS
from hpo_lib.scoring.metrics import readable_unit

_HOUR = pd.Timedelta(hours=1)


CAPTIONS = {
    name: " ".join(text.split())
    for name, text in tomllib.loads(
        Path(__file__).with_name("captions.toml").read_text("utf-8")
    ).items()
}
"""Name of a figure or table -> what it shows."""


def caption(name: str, records: Records) -> str:
    """What a figure or table shows; ``records`` are all studies or all benchmarks."""
    spans = [
        f"{one.spec.title}: {len(days)} daily origins, {days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}"
        for one in records
        if isinstance(one, Benchmark)
        for days in [one.rows[0].test.days]
    ]
    budget = "; ".join(dict.fromkeys(map(_budget, records)))
    return CAPTIONS[name].format(days="; ".join(spans), rolling_days=ROLLING_DAYS, budget=budget)


def _budget(record: StoredStudy | Benchmark) -> str:
    """How was trained."""
    if isinstance(record, StoredStudy):
        return f"{str(record.provenance.get('preset')).capitalize()} budget"
    seeds = sorted({len(row.trainings) for row in record.families})
    budget, *how = record.paths.setting.split("-")
    again = ", trained again on training and validation split" * ("refit" in how)
    return f"{budget.capitalize()} budget, seeds: {' or '.join(map(str, seeds))}{again}"


def _best(values: pd.Series) -> list[str]:
    return best_bold(aligned(values), values)


def scores_of_test_split(evidence: Evidence) -> Table:
    """Raw test scores by ascending MAE with bootstrap intervals, and coverage once calibrated.

    No coverage is bold: within 5 percentage points of 80 % all is equally good.
    """
    frames = []
    sections = []
    for benchmark in evidence.benchmarks:
        rows = labelled(benchmark.shown)
        frames.append(rows.assign(unit=benchmark.unit.name, sha256=benchmark.data.get("sha256")))
        columns: Columns = [
            ("Model", rows["label"]),
            ("Network", rows["network"]),
            ("MAE", best_bold(with_intervals(rows, "mae"), rows["mae"])),
            ("PICP", with_intervals(rows, "picp")),
            ("Winkler", _best(rows["winkler"])),
            ("Pinball", _best(rows["pinball"])),
            ("PICP", aligned(rows["picp_calibrated"])),
            ("Winkler", _best(rows["winkler_calibrated"])),
        ]
        sections.append((_title(benchmark), columns))
    groups = [("", 2), ("raw", 4), (f"{evidence.benchmarks[-1].correction} calibration", 2)]
    return Table(joined(frames), sections, "llrrrrrr", groups)


def skill_split(evidence: Evidence) -> Table:
    """What each step from the naive forecast to the calibrated mixture changes."""
    data = benchmarks.skill_split(evidence)
    sections = []
    for benchmark in evidence.benchmarks:
        rows = data[data["dataset"] == benchmark.dataset]
        columns = [("Step", [*rows["label"].unique()])]
        for score in benchmarks.SKILL:
            part = rows[rows["score"] == score]
            texts = zip(with_intervals(part, "change", [10.0]), part["certain"], strict=True)
            bold = [Bold(text) if certain else text for text, certain in texts]
            columns += [("% of naive", aligned(part["share"], [10.0])), ("change", bold)]
        sections.append((_title(benchmark), columns))
    groups = (("", 1), *((name, 2) for name in benchmarks.SKILL.values()))
    return Table(data, sections, "lrrrr", groups)


CALIBRATED_SCORES = {"picp": "PICP", "mean_width": "Width", "winkler": "Winkler score"}


def ablation(evidence: Evidence) -> Table:
    """Coverage, width and Winkler score raw, after split and after rolling calibration."""
    frames = []
    sections = []
    for benchmark in evidence.benchmarks:
        rows = benchmark.unit.table(of_rows(benchmark.scores, benchmark.row_per_model))
        names = ["dataset", "model", "params", "calibration", *CALIBRATED_SCORES]
        frames.append(rows[names].assign(unit=benchmark.unit.name))
        modes = dict([*rows.sort_values("mae", kind="stable").groupby("calibration")])
        columns = [("Model", modes["none"]["model"].map(model_name))]
        for score, mode in product(CALIBRATED_SCORES, MODES):
            columns.append(("raw" if mode == "none" else mode, aligned(modes[mode][score])))
        sections.append((_title(benchmark), columns))
    groups = (("", 1), *((score, len(MODES)) for score in CALIBRATED_SCORES.values()))
    return Table(joined(frames), sections, "l" + "r" * 9, groups)


def hyperparameters(evidence: Evidence) -> Table:
    """The ranges that were searched, the untuned defaults, and what each study chose."""
    number_of = "chosen trial"
    frames = []
    sections = []
    # The place alone, of "Water, Centrum": three whole titles are too wide for a page.
    titles = {name: evidence.title(name).rpartition(", ")[2] for name in evidence.datasets}
    headings = {"range": "Range", "untuned": "untuned", **titles}
    for model in in_order(study.model for study in evidence.studies):
        studies = [study for study in evidence.studies if study.model == model]
        params = {
            study.dataset: {**study.result["best_params"], number_of: study.chosen.number}
            for study in studies
        }
        params["range"] = {
            name: in_words(values)
            for study in studies
            for name, values in study.search_space.items()
        }
        params["untuned"] = {**studies[0].default.params, number_of: 0}
        wide = pd.DataFrame(params, columns=[*headings], dtype=object)
        wide = wide.reindex([*sorted(wide.index.drop(number_of)), number_of])
        frames.append(wide.reset_index(names="parameter").assign(model=model))
        texts = wide.map(lambda value: MISSING if pd.isna(value) else value_in_words(value, 3))
        columns = [(heading, texts[name]) for name, heading in headings.items()]
        names = wide.index.str.replace("_", " ")
        sections.append((model_name(model), [("Parameter", names), *columns]))
    return Table(joined(frames), sections, "llr" + "r" * len(titles))


def datasets(evidence: Evidence) -> Table:
    """Source, span and splits of the data."""
    # Each dataset is a column, because three spans do not fit side by side.
    columns = {}
    for dataset in evidence.datasets:
        study = next(study for study in evidence.studies if study.dataset == dataset)
        data = study.data
        unit = unit_text(study.unit)
        if unit != study.readable.name:
            unit += f", scores in {study.readable.name}"
        cells = {"Source": data["source"], "Unit": unit}
        ends = {
            "Training": data["train_end"],
            "Validation": data["val_end"],
            "Test": data.get("test_end") or data["last_hour"],
        }
        first = pd.Timestamp(data["first_hour"])
        for part, end in ends.items():
            last = pd.Timestamp(end)
            days = max(0, (last + _HOUR - first).days)
            cells[part] = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}" if days else MISSING
            cells[f"{part} days"] = str(days)
            first = last + _HOUR
        past = len(data["past_covariates"])
        ahead = len(data["future_covariates"])
        cells["Covariates"] = f"{past} + {ahead}"
        columns[evidence.title(dataset)] = cells
    frame = pd.DataFrame(columns).reset_index(names="")
    return Table(frame, [("", [*frame.items()])], "l" * len(frame.columns))


def overview(studies: pd.DataFrame, title: Callable[[str], str] = str) -> Table:
    """What each study of a `studies_frame` found and cost; ``title`` names a dataset.

    Per dataset, the lowest MAE is on top and bold.
    """
    sections = []
    for (dataset, source, _), group in studies.groupby(["dataset", "source", "sha256"]):
        rows = group.sort_values("mae", kind="stable")
        unit, factor = readable_unit(rows["unit"].iloc[0], rows["mae"].min())
        maes = factor * rows[["mae_default", "mae"]]
        default, chosen = (aligned(maes[name], like=maes.to_numpy().flat) for name in maes)
        columns: Columns = [
            ("Model", rows["model"].map(model_name)),
            ("Job", rows["job_id"]),
            ("Budget", rows["preset"]),
            ("complete", aligned(rows["trials"], [100.0])),
            ("stopped", aligned(rows["stopped"], [100.0])),
            ("failed", aligned(rows["failed"], [100.0])),
            ("Minutes", (60 * rows["hours"]).map(number)),
            ("untuned", default),
            ("MAE", best_bold(chosen, rows["mae"])),
            ("Gain %", aligned(rows["improvement"])),
            ("PICP %", aligned(rows["picp"])),
        ]
        sections.append((f"{title(str(dataset))} ({unit}, data: {source})", columns))
    return Table(studies, sections, "lllrrrrrrrr", caption=CAPTIONS["studies"])


def studies(evidence: Evidence) -> Table:
    """The `overview` of the studies that count."""
    return overview(studies_frame(evidence.studies), evidence.title)


def explanation_table(evidence: Evidence) -> Table:
    """What each group of information adds to the MAE of each model."""
    data = joined(
        explanations.losses(one).assign(title=f"{one.facts['title']} ({one.unit})")
        for one in explanations.explained(evidence)
    )
    groups = data["group"].unique()
    sections = []
    for title, rows in data[data["seed"] == "mean"].groupby("title", sort=False):
        like = [rows["value"].abs().max()]
        half = (rows["high"] - rows["low"]) / 2
        texts = map("{} ({})".format, aligned(rows["value"], like), aligned(half, like))
        cells = pd.Series(texts, [rows["model"], rows["group"]]).unstack(sort=False)
        cells = cells.reindex(in_order(cells.index), columns=groups, fill_value=MISSING)
        sections.append((str(title), [("Model", cells.index.map(model_name)), *cells.items()]))
    return Table(data, sections, "l" + "r" * len(groups))


TABLES: Mapping[str, tuple[Callable[[Evidence], Table], str]] = {
    "results": (scores_of_test_split, "benchmarks"),
    "skill_split": (skill_split, "benchmarks"),
    "ablation": (ablation, "benchmarks"),
    "hyperparameters": (hyperparameters, "studies"),
    "datasets": (datasets, "studies"),
    "studies": (studies, "studies"),
    "explanations": (explanation_table, "explanations"),
}
"""Name of the files and of the caption -> how the table is made, and from which records."""


def tabled(name: str, evidence: Evidence) -> Table | None:
    """A table of `TABLES` with its caption; None if there are no records for it."""
    make, kind = TABLES[name]
    if not (records := getattr(evidence, kind)):
        return None
    return replace(make(evidence), caption=caption(name, records))


def _title(benchmark: Benchmark) -> str:
    return (
        f"{benchmark.spec.title} ({benchmark.unit.name}, "
        f"{len(benchmark.rows[0].test.origins)} days)"
    )


# All studies in one frame, read from the best_params JSONs alone


# The success criteria of the original HPO plan.
IMPROVEMENT_PERCENT = 5.0
"""The chosen trial's MAE is at least this far below that of the untuned defaults."""
PICP_RANGE = (75.0, 85.0)
"""The chosen trial has this coverage, in percent."""
SUCCESSES = 2
"""So many models of a dataset, of three, are improved."""

SCORES_OF_STUDIES = ("rmse", "mape", "wape", "mase", "mean_width", "winkler", "pinball")


def load_studies(runs_dir: Path, model: str = "", dataset: str = "") -> StudiesAndNotes:
    """As `read_studies`; names are separated by blanks, empty: of all models or datasets.

    Raises:
        InputError: none can be read, or none is of that model and dataset; the known ones are
            named.
    """
    studies, notes = read_studies(runs_dir)
    if not studies:
        none = f"{runs_dir}: holds no readable best_params JSON; make one with `hpo run`."
        raise InputError(" ".join([none, *notes]))
    for key, names in (("model", model.split()), ("dataset", dataset.split())):
        known = sorted({getattr(study, key) for study in studies})
        for name in names:
            if name not in known:
                raise InputError(
                    f"{key} is {name!r}, of which there is no study; {choices(name, known)}"
                )
        studies = [study for study in studies if getattr(study, key) in (names or known)]
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
    return pd.DataFrame(map(_row, studies)).sort_values(
        ["dataset", "model", "date", "file"], ignore_index=True
    )


def _row(study: StoredStudy) -> dict[str, Any]:
    result = study.result
    default = result["default_trial"] or {}
    scores = result["validation_metrics"] or {}
    stated = {
        "trials": result["n_completed"],
        "failed": result["n_failed"],
        "stopped": result["n_pruned"],
        "front": result["n_pareto_optimal"],
        "hours": result["training_time_hours"],
        "mae_default": default.get("mae"),
        "mae": result["best_mae"],
        "improvement": None,
        "picp_default": default.get("picp"),
        "picp": result["best_picp"],
        **{name: scores.get(name) for name in SCORES_OF_STUDIES},
    }
    numbers = pd.Series(stated, dtype=float)  # NaN instead of None
    if numbers["mae_default"] > 0:
        numbers["improvement"] = 100 * (1 - numbers["mae"] / numbers["mae_default"])
    params = [f"{name} {value_in_words(value)}" for name, value in result["best_params"].items()]
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
        **{name: str(study.provenance.get(name, "unknown")) for name in ("preset", "recipe")},
        "objectives": ",".join(objective.name for objective in study.objectives),
        **numbers,
        "schema": result["schema_version"],
        "params": ", ".join(params),
        "causes": "; ".join(f"{count} x {cause}" for cause, count in causes.most_common()),
        "file": study.file.name,
    }


def improvement_report(studies: pd.DataFrame) -> list[str]:
    """Whether the studies reach the success criteria, one line per dataset, data and splits.

    Of each model the newest complete study counts, but not of the test preset and not of an old
    schema, which lacks the defaults. Studies of different data or splits are never counted
    together.
    """
    counted = studies.query("status == 'complete' and preset != 'test' and schema > 1")
    lines = []
    for (dataset, source, sha256, *_), group in counted.groupby(
        ["dataset", "source", "sha256", "train_end", "val_end"]
    ):
        newest = group.sort_values("date").groupby("model").tail(1)
        improved = newest["improvement"] >= IMPROVEMENT_PERCENT
        successes = (improved & newest["picp"].between(*PICP_RANGE)).sum()
        verdict = "reached" if successes >= SUCCESSES else "not reached"
        each = ", ".join(
            f"{row.model} {row.improvement:+.1f} % at PICP {row.picp:.1f}"
            for row in newest.itertuples()
        )
        lines.append(
            f"{dataset} ({source} {str(sha256)[:12]}): {verdict}, {successes} of {len(newest)} "
            f"models: {each}"
        )
    return lines or ["no complete study beyond the test preset, so nothing to compare"]


def write_studies(studies: pd.DataFrame, out: Path) -> Path:
    """Write a `studies_frame` as CSV."""
    write_text(file := consolidated(out), studies.to_csv(index=False))
    return file
