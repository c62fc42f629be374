"""``hpo submit``: one study, one self-contained job; everything is checked before Slurm is asked."""

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from hpo_lib import paths
from hpo_lib.launch import slurm_queue
from hpo_lib.launch.notebook_run import check_study, elsewhere
from hpo_lib.launch.slurm_site import Site
from hpo_lib.records.storage import check_storage
from hpo_lib.settings import Settings

SITE_OPTIONS = (
    "partition", "gres", "cpus-per-task", "mem", "time", "account", "qos", "constraint", "exclude", "reservation",
)  # fmt: skip


def submit_study(settings: Settings, site: Site, *, continues: bool, dry_run: bool = False) -> str:
    """Check model, dataset and data, make the job's script and submit it.

    Args:
        settings: the study.
        site: the site's settings.
        continues: continue the study of the settings' job id instead of starting one under the new job's id.
        dry_run: submit nothing.

    Returns:
        A report for the user (id, logs, record, commands to watch and stop the job), or in a dry run the script.

    Raises:
        InputError: the study itself would stop with the same error.
        SlurmError: Slurm is missing or refuses.
    """
    run = check_study(settings)
    if continues:
        check_storage(settings.storage, run)
    settings = elsewhere(settings, run)
    command = ["job", *settings.as_words(), *(["--job-id", settings.job_id] if continues else [])]
    command += ["--signal-seconds", str(site.signal_seconds), "--max-requeues", str(site.max_requeues)]
    script = job_script(settings, run.dataset, site, command)
    if dry_run:
        return script
    paths.SLURM_LOGS.mkdir(parents=True, exist_ok=True)
    job_id = slurm_queue.submit(script, str(paths.PROJECT_ROOT))
    name, workers = paths.job_name(run.model, run.dataset), settings.workers
    task, others = (slurm_queue.task_id(job_id, "1"), f"   (and _2 to _{workers})") if workers > 1 else (job_id, "")
    log = paths.job_log(name, task)
    record = run if continues else dataclasses.replace(run, job_id=job_id)
    return f"""\
job      {job_id} ({name}{f", {workers} workers" if workers > 1 else ""})
log      {log}{others}
errors   {paths.job_log(name, task, "err")}{others}
record   {record.notebook}
watch    squeue --jobs {job_id}
         tail -F {log}
         hpo status
stop     scancel {job_id}   (finished trials are kept)
"""


def job_script(settings: Settings, dataset: str, site: Site, command: Sequence[str]) -> str:
    """The batch script of one study, quoted for the shell; for several ``workers`` an array with one task per worker.

    Args:
        settings: the study.
        dataset: the dataset's name, for names of jobs and logs (the setting may be the path of a TOML).
        site: the site's settings. If it names no environment, the job runs with the interpreter of this process.
        command: arguments of ``hpo`` that run the study inside the job.
    """
    name = paths.job_name(settings.model, dataset)
    several = settings.workers > 1
    job_id = slurm_queue.task_id("%A", "%a") if several else "%j"
    options = {
        "job-name": name,
        "array": f"1-{settings.workers}" if several else "",
        "output": _below_root(paths.job_log(name, job_id)),
        "error": _below_root(paths.job_log(name, job_id, "err")),
        "open-mode": "append",
        **{option: getattr(site, option.replace("-", "_")) for option in SITE_OPTIONS},
        "signal": f"B:USR1@{site.signal_seconds}",
        "comment": slurm_queue.TEST_COMMENT if settings.test else "",
    }
    python = "python" if site.conda_env or site.venv else shlex.quote(sys.executable)
    lines = [
        "#!/bin/bash",
        *[f"#SBATCH --{option}={value}" for option, value in options.items() if value],
        "#SBATCH --requeue",
        "",
        "set -e",
        f"cd {shlex.quote(str(paths.PROJECT_ROOT))}",
        *_environment(site),
        'export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"',
        f"exec {python} -m hpo_lib {shlex.join(command)}",
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
