"""Two hundred trials in one process: memory does not grow."""

from tests.study.processes import python

TRIALS = """
import sys
from pathlib import Path

import psutil

from hpo_lib.families.models import Budget, get_family
from hpo_lib.families.search_space import Choice
from hpo_lib.settings import Settings
from hpo_lib.study import run

family = get_family("NHITS_Q")
family.budgets = {**family.budgets, "test": Budget(4, 8, 2)}
family.search_space = {**family.search_space, "layer_widths": Choice((8, 16))}
family.defaults = {**family.defaults, "layer_widths": 8}
fit, process = family.fit, psutil.Process()


def measured(*arguments, **rest):
    fitted = fit(*arguments, **rest)
    print("resident", process.memory_info().rss, flush=True)
    return fitted


family.fit = measured
toml, runs_dir = sys.argv[1:]
settings = Settings.create(
    "NHITS_Q", toml, trials=200, job_id="a", preset="test", policy="calibrated", space="plan",
    early_stopping=False, runs_dir=runs_dir, data_dir=str(Path(toml).parent),
)
run.run_study(settings, progress=False)
"""


def test_when_two_hundred_trials_run_in_one_process_then_memory_stays_as_it_was_after_twenty(
    root, tiny_toml, tmp_path
):
    run = python(root, "-c", TRIALS, tiny_toml(), tmp_path)
    assert run.returncode == 0, run.stderr[-2000:]
    resident = [
        int(line.split()[1]) for line in run.stdout.splitlines() if line.startswith("resident")
    ]
    assert len(resident) == 200
    print(f"after 20 trials {resident[19] / 1e6:.0f} MB, after 200 {resident[-1] / 1e6:.0f} MB")
    assert resident[-1] <= 1.2 * resident[19]
