"""What the search is worth on test: studies of the wide space, final trainings, and the table, in
one command.

    python -m measurements.search_value --data-dir DATA --datasets TOML ... --out DIR
    python -m measurements.search_value ... --models NHITS_Q --trials NHITS_Q=30   # a piece of it
    python -m measurements.search_value ... --table-only      # what is stored, without training

Finished work is not repeated, so pieces may be run one by one and after interruptions. For each
series and family:

* a study of the wide space with the policy ``proven`` (``DIR/studies``),
* final trainings, refitted (``DIR/benchmark``): *untuned* are the defaults, *tuned* the chosen
  configuration; beside them every baseline, and the mixture of all.

The tables are ``DIR/search_value.md`` and ``DIR/search_value_{families,series}.csv``. That of the
series compares everything with the strongest single baseline, which validation chooses; the best
single model in hindsight is marked.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpo_lib.benchmark.tables import BenchmarkRow, load_rows
from hpo_lib.benchmark.train import Plan, make_plan, run_benchmark
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.spec import development_datasets
from hpo_lib.families.models import family_names
from hpo_lib.paths import RunPaths, atomic
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import calibrate
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.uncertainty import daily_losses, drawn_days
from hpo_lib.settings import Settings
from hpo_lib.study.run import run_study
from measurements.arguments import FAMILIES, PRESET, STUDIES, parsed
from measurements.early_stopping import cost as trainings

JOB_ID = "value"
CONFIDENCE = 0.9
"""Share of the draws within an interval."""

Rows = Mapping[tuple[str, str], BenchmarkRow]


def main(given: Sequence[str] | None = None) -> None:
    arguments = parsed(
        __doc__,
        ("--datasets TOML", [*development_datasets()], "names or TOML files"),
        FAMILIES,
        *STUDIES,
        PRESET,
        ("--data-dir", "", "folder of the CSVs"),
        ("--out", "required", "folder of studies, trainings and tables"),
        ("--table-only", False, "train nothing, make the tables of what is stored"),
        given=given,
    )
    out = Path(arguments.out)
    common = {"seeds": arguments.seeds, "preset": arguments.preset, "models": arguments.models}
    folders = {"runs_dir": str(out / "studies"), "out": str(out / "benchmark"), "refit": True}
    plans = [
        make_plan(name, data_dir=arguments.data_dir, **common, **folders)
        for name in arguments.datasets
    ]
    for plan in plans if not arguments.table_only else ():
        for model in arguments.models:
            study(plan, model, trials_of(model, arguments.trials), arguments.data_dir)
        for note in run_benchmark(plan):
            print(f"note: {note}", flush=True)
    families = pd.DataFrame([row for plan in plans for row in family_rows(plan)])
    series = pd.DataFrame([row for plan in plans for row in series_rows(plan)])
    for name, table in (("families", families), ("series", series)):
        with atomic(out / f"search_value_{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    text = "\n".join(markdown(families, series)) + "\n"
    with atomic(out / "search_value.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)


def trials_of(model: str, words: Sequence[str]) -> int:
    """``["20"]`` or ``["NHITS_Q=30", "TFT_Q=12"]`` -> the number of this model."""
    numbers = dict(word.rpartition("=")[::2] for word in words)
    return int(numbers.get(model) or numbers.get("") or 30)


def study(
    plan: Plan, model: str, trials: int, data_dir: str, job_id: str = JOB_ID, **options: Any
) -> StoredStudy:
    """Run or go on with the study of one family."""
    begun = time.perf_counter()
    settings = Settings.create(
        model,
        str(plan.dataset.spec.path),
        trials=trials,
        job_id=job_id,
        preset=plan.settings.preset,
        data_dir=data_dir,
        runs_dir=str(plan.settings.runs_dir),
        **options,
    )
    finished = run_study(settings, plan.dataset, progress=False)
    print(
        f"{plan.dataset.spec.name} {model}: study of {trials} trials, "
        f"{time.perf_counter() - begun:.0f} s",
        file=sys.stderr,
        flush=True,
    )
    return finished


def family_rows(plan: Plan) -> Iterator[dict[str, Any]]:
    """Each tuned family of a series against its untuned defaults on test."""
    rows = rows_of(plan)
    for model in family_names():
        untuned, tuned = rows.get((model, "default")), rows.get((model, "best"))
        if untuned is None or tuned is None or not _study(plan, model).best_params.exists():
            continue
        yield {
            "series": plan.dataset.spec.name,
            "family": model,
            "days": len(tuned.test.origins),
            **changes("tuned", tuned, untuned, plan.dataset),
            "picp_calibrated": metrics.picp(calibrated(tuned, plan.dataset)),
            **cost(plan, model),
        }


def series_rows(plan: Plan) -> Iterator[dict[str, Any]]:
    """Every model of a series but naive ones against the strongest baseline by validation."""
    rows = [row for row in rows_of(plan).values() if row.kind != "naive"]
    singles = [row for row in rows if row.kind != "mixture"]
    baselines = [row for row in singles if row.params == "own"]
    strongest = min(baselines, key=lambda row: metrics.pinball(row.validation))
    hindsight = min(singles, key=lambda row: metrics.pinball(row.test))
    for row in rows:
        test = calibrated(row, plan.dataset)
        yield {
            "series": plan.dataset.spec.name,
            "row": row.label,
            "chosen": row is strongest,
            "best_in_hindsight": row is hindsight,
            "mae": metrics.mae(row.test),
            "winkler_calibrated": metrics.winkler(test),
            "picp_calibrated": metrics.picp(test),
            **changes("row", row, strongest, plan.dataset),
        }


def rows_of(plan: Plan) -> Rows:
    """The stored rows of a plan by model and parameters; none if nothing is stored."""
    if not plan.paths.records():
        return {}
    rows = load_rows(plan.paths)
    return {(row.model, row.params): row for row in rows}


def calibrated(row: BenchmarkRow, dataset: Dataset) -> QuantileForecasts:
    """Test forecasts after the rolling correction, as in the benchmark's table."""
    return calibrate(row.test, row.validation, dataset.scales)


def changes(
    name: str, ours: BenchmarkRow, theirs: BenchmarkRow, dataset: Dataset
) -> dict[str, float]:
    """Changes of MAE and calibrated interval score in percent, with bounds: ``{name}_mae``,
    ``{name}_mae_low`` ...
    """
    found = {}
    for score, losses in (
        ("mae", [daily_losses(row.test)["mae"] for row in (ours, theirs)]),
        ("winkler", [daily_losses(calibrated(row, dataset))["winkler"] for row in (ours, theirs)]),
    ):
        for end, number in zip(("", "_low", "_high"), percent_change(*losses), strict=True):
            found[f"{name}_{score}{end}"] = number
    return found


def percent_change(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """Of the mean of daily losses [N], with the bounds of its interval: the same blocks of days are
    drawn for both.
    """
    drawn = drawn_days(len(ours))
    draws = 100 * (ours[drawn].mean(axis=1) / theirs[drawn].mean(axis=1) - 1)
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return 100 * float(ours.mean() / theirs.mean() - 1), float(low), float(high)


def _study(plan: Plan, model: str) -> RunPaths:
    return RunPaths(plan.settings.runs_dir, model, plan.dataset.spec.name, JOB_ID)


def cost(plan: Plan, model: str) -> dict[str, Any]:
    """What the study of a family cost, and what it chose.

    ``trainings`` are of the default steps, see `measurements.early_stopping`; a failed one counts
    as a whole.
    """
    stored = StoredStudy.read(_study(plan, model))
    finished = [trial for trial in stored.trials if trial.finished]
    proof = stored.result.get("proof") or {}
    return {
        "trials": len(finished),
        "stopped": sum(trial.state == "stopped" for trial in finished),
        "chosen": stored.result["best_trial_number"],
        "trainings": sum(map(trainings, finished)) + proof.get("trainings", 0),
        "proof_trainings": proof.get("trainings", 0),
        "hours": sum(trial.seconds for trial in finished) / 3600,
    }


def markdown(families: pd.DataFrame, series: pd.DataFrame) -> Iterator[str]:
    """Both tables; changes in percent with 90 % intervals."""
    yield ("What the search changes against the untuned defaults on test, in percent [90 %]:\n")
    yield (
        "| series | family | MAE | calibrated interval score | "
        "calibrated PICP | chosen trial | trainings (of them proof) | hours |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for row in families.to_dict("records"):
        scores = [
            in_words(row, "tuned_mae"),
            in_words(row, "tuned_winkler"),
            f"{row['picp_calibrated']:.1f}",
        ]
        trainings = f"{row['trainings']:.1f} ({row['proof_trainings']})"
        studied = f"{row['chosen']} of {row['trials']}", trainings, f"{row['hours']:.1f}"
        yield f"| {row['series']} | {row['family']} | {' | '.join((*scores, *studied))} |"
    if len(families):
        means = families.select_dtypes("number").mean()
        worst = families[["tuned_mae", "tuned_winkler"]].max()
        yield (
            f"\nMean of {len(families)} cells: "
            f"MAE {means['tuned_mae']:+.1f} %, "
            f"calibrated interval score {means['tuned_winkler']:+.1f} %; "
            f"worst cell {worst['tuned_mae']:+.1f} % and {worst['tuned_winkler']:+.1f} %; "
            f"{means['trainings']:.1f} trainings a study."
        )
    yield (
        "\nAgainst the strongest baseline on test, in percent [90 %]; validation chooses it (c), "
        "and the best single model in hindsight is marked (h):\n"
    )
    yield "| series | model | MAE | | calibrated interval score | calibrated PICP |"
    yield "|---|---|---|---|---|---|"
    for row in series.to_dict("records"):
        marks = " (c)" * row["chosen"] + " (h)" * row["best_in_hindsight"]
        scores = [in_words(row, f"row_{score}") for score in ("mae", "winkler")]
        cells = row["series"], row["row"] + marks, f"{row['mae']:.4g}", *scores
        yield f"| {' | '.join(cells)} | {row['picp_calibrated']:.1f} |"


def in_words(row: Mapping[Any, Any], name: str) -> str:
    """``-2.1 [-3.4, -0.9]``."""
    return f"{row[name]:+.1f} [{row[f'{name}_low']:+.1f}, {row[f'{name}_high']:+.1f}]"


if __name__ == "__main__":
    main()
