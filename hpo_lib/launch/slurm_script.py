"""The text of a job script, complete and quoted for the shell."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from hpo_lib import paths
from hpo_lib.launch.slurm_queue import task_id
from hpo_lib.launch.slurm_site import Site
from hpo_lib.settings import Settings

TEST_COMMENT = "hpo-test"
"""The Slurm comment of a job that runs with ``test``."""

SITE_OPTIONS = (
    "partition", "gres", "cpus-per-task", "mem", "time", "account", "qos", "constraint", "exclude", "reservation",
)  # fmt: skip


def job_script(settings: Settings, dataset: str, site: Site, command: Sequence[str], python: str) -> str:
    """The batch script of one study; for several ``workers`` an array with one task per worker.

    Args:
        settings: the study.
        dataset: the dataset's name, for names of jobs and logs (the setting may be the path of a TOML).
        site: the site's settings.
        command: arguments of ``hpo`` that run the study inside the job.
        python: the interpreter if the site names no environment.
    """
    name = paths.job_name(settings.model, dataset)
    several = settings.workers > 1
    job_id = task_id("%A", "%a") if several else "%j"
    options = {
        "job-name": name,
        "array": f"1-{settings.workers}" if several else "",
        "output": _below_root(paths.job_log(name, job_id)),
        "error": _below_root(paths.job_log(name, job_id, "err")),
        "open-mode": "append",
        **{option: getattr(site, option.replace("-", "_")) for option in SITE_OPTIONS},
        "signal": f"B:USR1@{site.signal_seconds}",
        "comment": TEST_COMMENT if settings.test else "",
    }
    lines = [
        "#!/bin/bash",
        *[f"#SBATCH --{option}={value}" for option, value in options.items() if value],
        "#SBATCH --requeue",
        "",
        "set -e",
        f"cd {shlex.quote(str(paths.PROJECT_ROOT))}",
        *_environment(site),
        'export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"',
        f"exec {'python' if site.conda_env or site.venv else shlex.quote(python)} -m hpo_lib {shlex.join(command)}",
    ]
    return "\n".join(lines) + "\n"


def _environment(site: Site) -> list[str]:
    lines = [site.setup] if site.setup else []
    if site.modules:
        lines += ["module purge", f"module load {shlex.join(site.modules.split())}"]
    if site.conda_env:
        lines += [f"source {shlex.quote(site.conda)}/bin/activate {shlex.quote(site.conda_env)}"]
    if site.venv:
        lines += [f"source {shlex.quote(site.venv)}/bin/activate"]
    return lines


def _below_root(path: Path) -> str:
    """Relative to the folder in which sbatch is called, since blanks or % in the root would break an #SBATCH line."""
    return path.relative_to(paths.PROJECT_ROOT).as_posix()
