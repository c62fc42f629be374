"""What a study says and draws of its progress, and whether another trial fits into its time."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import optuna
from optuna import visualization
from tqdm.auto import tqdm

from hpo_lib.data.day_ahead_weather import mark_of
from hpo_lib.paths import write_text
from hpo_lib.records.read_write import Json
from hpo_lib.records.storage import quiet_optuna
from hpo_lib.records.study import TELLING_TRIALS, StoredStudy
from hpo_lib.records.trial import Curve, TrialRecord, Trials
from hpo_lib.scoring.metrics import mae_in_words
from hpo_lib.stop_requests import STOP_FILE

FIRST_PAUSE = 10.0
"""Seconds of training until the first line on it. Each further pause is twice as long."""


@contextmanager
def telling(number: int, curve: Curve, unit: str, say: Callable[[str], None]) -> Iterator[None]:
    """Say after 10, 30, 70, ... seconds how long the block's trial trains, and its last check."""
    begun = time.monotonic()
    ended = threading.Event()

    def work() -> None:
        pause = FIRST_PAUSE
        while not ended.wait(pause):
            pause *= 2
            check = (
                f", {mae_in_words(curve[-1]['mae'], unit)} after {curve[-1]['step']} steps"
                if curve
                else ""
            )
            say(f"trial {number} trains: {time.monotonic() - begun:.0f} s{check}")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def in_short(record: TrialRecord, unit: str, result: Json | None) -> tuple[str, str]:
    """How a trial ended, and what the study has so far; no ``result`` before a complete trial."""
    if record.complete:
        line = f"{mae_in_words(record.mae, unit)}, PICP {record.scores['picp']:.1f} %"
        if record.shares is not None:
            median, width = record.shares
            line += f", network kept: {median:.2f} of the median, {width:.2f} of the width"
    else:
        cause = record.cause or "its worker was presumed dead; it is tried again"
        line = f"{record.state}: {cause}"
    if result is None:
        return line, "no trial completed yet"
    return line, (
        f"front of {result['n_pareto_optimal']}, chosen trial {result['best_trial_number']}: "
        f"{mae_in_words(result['best_mae'], unit)}, PICP {result['best_picp']:.1f} %"
    )


def say(line: str) -> None:
    """Print a line, also on the terminal of a plain ``papermill`` (Linux).

    That keeps to itself what a notebook prints. `hpo run` shows it, and leaves a file to stop by.
    """
    tqdm.write(line)
    parent = f"/proc/{os.getppid()}"
    with suppress(OSError):
        if STOP_FILE not in os.environ and b"papermill" in Path(f"{parent}/cmdline").read_bytes():
            with open(f"{parent}/fd/2", "a", encoding="utf-8") as terminal:
                terminal.write(f"\r{line}\n")


RECENT = 5
"""The longest of this many trials is what the next one is expected to take."""


def out_of_time(limit_hours: float, spent: float, trials: Trials) -> str:
    """Why no further trial should start after so many seconds, or an empty text.

    The limit is 0 for none.
    """
    expected = max([trial.seconds for trial in trials if trial.complete][-RECENT:], default=0.0)
    if not limit_hours or spent + expected <= limit_hours * 3600:
        return ""
    return (
        f"time budget of {limit_hours:g} h: {spent / 3600:.2f} h are spent and a trial takes up to "
        f"{expected / 3600:.2f} h"
    )


# Interactive figures as HTML files that share one copy of plotly


def write_optuna_figures(study: optuna.Study, stored: StoredStudy) -> None:
    """Front without tolerances, history and importance of the first objective, as HTML of optuna.

    They are beside `RunPaths.plotly`. Importance is that of PED-ANOVA (Watanabe et al., 2023).
    """
    from plotly.offline import get_plotlyjs  # plotly itself is as slow to load as its figures

    run = stored.run
    script = get_plotlyjs()
    complete = len(stored.complete)
    source = mark_of(stored.source) + ", test budget" * stored.is_test
    axes = [objective.axis(stored.unit) for objective in stored.objectives]
    first: Json = {"target": lambda trial: trial.values[0], "target_name": axes[0]}
    with quiet_optuna():
        figures = {
            run.pareto_front: visualization.plot_pareto_front(study, target_names=axes),
            run.mae_history: visualization.plot_optimization_history(study, **first),
        }
        if complete >= TELLING_TRIALS:
            figures[run.param_importance] = visualization.plot_param_importances(study, **first)
    why = f"importance needs {TELLING_TRIALS} complete trials, there are {complete}{source}."
    few = f"<!DOCTYPE html><html><body><p>{study.study_name}: {why}</p></body></html>\n"
    texts = {run.plotly: script, run.param_importance: few}
    for path, figure in figures.items():
        figure.update_layout(title=f"{figure.layout.title.text}: {study.study_name}{source}")
        texts[path] = figure.to_html(include_plotlyjs=f"../{run.plotly.name}")
    if run.plotly.is_file() and run.plotly.stat().st_size == len(script.encode()):
        del texts[run.plotly]
    for path, text in texts.items():
        write_text(path, text)
