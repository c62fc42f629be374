"""Trials per hour and time to hypervolume of a study on this machine, meant for one GPU; same JSON
as the table.

    python -m measurements.gpu [--preset a100] [--trials 20] [--data-dir DIR] [--dataset TOML]
                               [--workers 1 2 4 8]

Runs one short study per family, through the code of `hpo run`. With ``--workers`` it also says how
many trials per hour so many workers get through that share the GPU as in a Slurm job.

The hypervolume is measured up to (1, 1) in (MAE over the MAE of the 24-hour seasonal naive
forecast, |PICP - 80| over 20 points): 1 is a perfect forecast, 0 is no better than the naive one.
Without a GPU it runs on the CPU; `--preset test` shows in a minute or two that it works.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families.models import get_family
from hpo_lib.records.provenance import device_name
from hpo_lib.records.trial import TrialRecord
from hpo_lib.scoring.evaluation import validation_baselines
from hpo_lib.settings import PRESETS, Settings
from hpo_lib.study.run import run_study
from measurements.arguments import DATA_DIR, FAMILIES, parsed
from measurements.early_stopping import hypervolume
from measurements.run import RESULTS, TWIN, machine, write_rows
from measurements.throughput import trials_per_hour

PENALTY_SCALE = 20.0
SHARE = 0.95
"""Time to hypervolume ends when the study holds this share of its final hypervolume."""


def trace(trials: Sequence[TrialRecord], naive_mae: float) -> list[dict[str, float]]:
    """Hypervolume after each finished trial, with the seconds of trials until then."""
    seconds, points, found = 0.0, [], []
    for trial in trials:
        seconds += trial.seconds
        if trial.state == "complete":
            points.append((trial.mae / naive_mae, trial.picp_penalty / PENALTY_SCALE))
        found.append(
            {"trial": trial.number, "seconds": seconds, "hypervolume": hypervolume(points)}
        )
    return found


def time_to_hypervolume(found: Sequence[dict[str, float]], share: float = SHARE) -> float:
    """Seconds until ``share`` of the last hypervolume of a trace."""
    goal = share * found[-1]["hypervolume"]
    return next(point["seconds"] for point in found if point["hypervolume"] >= goal)


def measure(
    model: str, dataset: Dataset, preset: str, trials: int, runs_dir: Path, seed: int
) -> dict[str, Any]:
    """One study of a family: speed, hypervolume over time, and GPU memory used."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    settings = Settings.create(
        model,
        str(dataset.spec.path),
        trials=trials,
        job_id="benchmark",
        seed=seed,
        preset=preset,
        runs_dir=str(runs_dir),
    )
    begun = time.perf_counter()
    study = run_study(settings, dataset, progress=False)
    seconds = time.perf_counter() - begun
    found = trace(study.trials, validation_baselines(dataset)["naive_24h"]["mae"])
    finished = [trial for trial in study.trials if trial.finished]
    return {
        "work": f"{model}: study of {trials} trials, preset {settings.budget_name}",
        "trials_per_hour": 3600 * len(finished) / seconds,
        "seconds": seconds,
        "failed": sum(trial.state == "failed" for trial in finished),
        "seconds_to_hypervolume": time_to_hypervolume(found),
        "hypervolume": found[-1]["hypervolume"],
        "trace": found,
        "precision": get_family(model).budgets[settings.budget_name].precision,
        "gpu_memory_bytes": torch.cuda.max_memory_allocated(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    given = parsed(
        __doc__,
        ("--dataset", str(TWIN), "name or TOML; default: the simulated twin of centrum"),
        DATA_DIR,
        (f"--preset {'|'.join(PRESETS)}", "auto", "a100 with CUDA, else laptop"),
        FAMILIES,
        ("--trials", 20, "of each study"),
        ("--seed", 1, "of each study"),
        ("--workers", [], "also trials per hour of so many workers"),
        ("--out", RESULTS / "gpu.json", "JSON to write"),
        given=arguments,
    )
    dataset = load_dataset(load_spec(given.dataset), given.data_dir)
    print(f"{dataset.path} ({dataset.source}) on {device_name()}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in given.models:
            found = measure(model, dataset, given.preset, given.trials, Path(folder), given.seed)
            for count in given.workers:
                how = f"job --preset {given.preset} --trials {given.trials} --seed {given.seed}"
                how += f" --workers-per-gpu {count}"
                rate = trials_per_hour(model, dataset, given.data_dir, how)
                found[f"trials_per_hour_{count}"] = rate
                print(f"{model}, {count} workers: {rate:.1f} trials/h")
            rows.append({"name": model, **found})
            print(
                f"{found['work']:50} {found['trials_per_hour']:8.1f} trials/h  {100 * SHARE:.0f} % "
                f"of hypervolume {found['hypervolume']:.3f} after "
                f"{found['seconds_to_hypervolume']:.0f} s, {found['failed']} failed"
            )
    write_rows(given.out, rows, machine(torch.get_num_threads()), dataset)
    return 0


if __name__ == "__main__":
    sys.exit(main())
