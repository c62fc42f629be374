"""What a search is for: from plain defaults, what each space gains, and after how many trials.

    python -m measurements.search_purpose TOML ... --data-dir DATA --trials 20 --out DIR

Whoever has other data than this project's starts where its defaults are nothing special: with the
windows of the original HPO plan and the defaults of the library. From there N-HiTS searches the
plan's space and the wide one; every trial is trained to the end. The score is the mean of MAE and
calibrated interval score on validation, each in percent of today's untuned defaults, which are one
more training. Finished trials are not trained again. Prints a table, and draws the lowest score so
far in ``DIR/search_purpose.png``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import seaborn as sns

from hpo_lib.benchmark.train import make_plan
from hpo_lib.scoring.uncertainty import DailyScores, daily_scores
from measurements.arguments import DATASETS, PRESET, parsed
from measurements.search_value import study

NEAR = 1.0
"""Percent above today's defaults that is near enough."""

SCORE = "score above today's defaults, %"


def main(given: Sequence[str] | None = None) -> None:
    arguments = parsed(
        __doc__,
        DATASETS,
        PRESET,
        ("--data-dir", "", "folder of the CSVs"),
        ("--trials", 20, "of each study (default: 20)"),
        ("--out", "required", "folder of the studies and the figure"),
        given=given,
    )
    curves = list[pd.DataFrame]()
    lines = ["| series | space | defaults, % | best, % | trials to 1 % |", "|-|-|-|-|-|"]
    for name in arguments.datasets:
        (today,) = scores(arguments, name, 1, recipe="standard", space="plan")
        series = Path(name).stem
        for space in ("plan", "wide"):
            found = scores(arguments, name, arguments.trials, recipe="plain", space=space)
            lowest = pd.Series([percent(day, today) for day in found]).cummin()
            far = (lowest > NEAR).sum()
            near = far + 1 if far < len(lowest) else f"over {far}"
            text = f"{lowest[0]:+.1f} | {min(lowest):+.1f} | {near}"
            lines.append(f"| {series} | {space} | {text} |")
            curve = {"series": series, "space": space, "trials": lowest.index + 1, SCORE: lowest}
            curves.append(pd.DataFrame(curve))
    print(*lines, sep="\n")
    grid = sns.relplot(
        pd.concat(curves, ignore_index=True),
        x="trials",
        y=SCORE,
        col="series",
        hue="space",
        kind="line",
        drawstyle="steps-post",
        height=2.6,
    )
    grid.refline(y=0).set_titles("{col_name}").savefig(
        Path(arguments.out) / "search_purpose.png", dpi=150
    )


def scores(
    arguments: argparse.Namespace, name: str, trials: int, **options: str
) -> list[DailyScores]:
    """The validation scores of each trial of a study, all of them whole trainings."""
    folders = {"data_dir": arguments.data_dir, "runs_dir": str(Path(arguments.out) / "studies")}
    plan = make_plan(name, preset=arguments.preset, **folders)
    job = "-".join(options.values())
    options["policy"] = "calibrated"
    done = study(plan, "NHITS_Q", trials, arguments.data_dir, job, early_stopping=False, **options)
    return [
        daily_scores(done.predictions(trial.number), plan.dataset.scales)
        for trial in done.trials
        if trial.state == "complete"
    ]


def percent(days: DailyScores, today: DailyScores) -> float:
    """By how much the score is above that of today's defaults."""
    return 50 * sum(days[name].mean() / today[name].mean() for name in ("mae", "winkler")) - 100


if __name__ == "__main__":
    main()
