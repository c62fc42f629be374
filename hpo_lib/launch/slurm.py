"""Slurm: what a site asks for, the queue, and submitting studies."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from hpo_lib import paths
from hpo_lib.errors import HpoError, InputError, choices, expected, sentence
from hpo_lib.launch.doctor import checked
from hpo_lib.settings import Settings, option_of

ANSWER_SECONDS = 30.0
"""Seconds to wait for one of Slurm's programs. If the queue is full, sbatch itself would retry for
minutes.
"""


TEST_COMMENT = "hpo-test"
"""The Slurm comment of a job that runs with ``test``."""


class SlurmError(HpoError):
    """Slurm is missing, does not answer, or refuses. The command line ends with exit code 1."""


@dataclass(frozen=True)
class Job:
    """A job in squeue or sacct; ``state`` is Slurm's word, such as PENDING, RUNNING or TIMEOUT.

    The tasks of an array are jobs of their own, with ids such as ``4711_2``.
    """

    job_id: str
    name: str
    state: str
    reason: str = ""
    comment: str = ""

    @property
    def study_id(self) -> str:
        """The id in the file names of the study that this job, or this task's array, started."""
        return self.job_id.partition("_")[0]


def submit(script: str) -> str:
    """Submit a script with sbatch, from within the project, and return the job's id.

    Raises:
        SlurmError: sbatch is missing or refuses; then nothing was submitted.
    """
    try:
        answer = _call("sbatch", "--parsable", stdin=script)
    except subprocess.TimeoutExpired as error:
        said = _said(error.stderr)
        why = "got no answer from Slurm"
        advice = "see whether `sinfo` answers on this machine"
        if "temporarily unable" in said:
            why = "found no place in the queue"
            advice = "wait until jobs have ended and submit again"
        raise SlurmError(
            f"sbatch {why} for {ANSWER_SECONDS:.0f} s ({said}), so nothing was submitted; {advice}"
        ) from None
    if answer.returncode:
        raise SlurmError(
            f"sbatch refused the job, so nothing was submitted: {_said(answer.stderr)}; check "
            "slurm/site.env against what `sinfo` shows"
        )
    match = re.match(r"(\d+)(;|$)", answer.stdout.strip())
    if not match:
        raise SlurmError(
            f"sbatch answered {answer.stdout.strip()!r}, expected a job id; look for the job with "
            "`squeue`"
        )
    return match[1]


def order(what: str, *command: str) -> None:
    """Have a job, or all tasks of an array, go back into the queue, or end after a request to stop.

    Args:
        what: in words.
        *command: that does it; its last word is the job's id.

    Raises:
        SlurmError: Slurm refuses.
    """
    answer = _call(*command)
    if answer.returncode:
        program, *_, job_id = command
        raise SlurmError(f"{program} refused to {what} job {job_id}: {_said(answer.stderr)}")


def state(job_id: str) -> str:
    """The state of one job, such as RUNNING, or an empty text if Slurm does not know it."""
    answer = _call("scontrol", "--oneliner", "show", "job", job_id)
    match = re.search(r"\bJobState=(\w+)", answer.stdout)
    return match[1] if match else ""


def seconds_left(job_id: str) -> float | None:
    """Seconds until the time limit of a running job, or None if there is no limit or no answer."""
    left = _call("squeue", "--noheader", "--jobs", job_id, "--format", "%L")
    return duration(left.stdout.strip())


def duration(text: str) -> float | None:
    """Seconds of a time as Slurm writes it, such as ``10:30`` or ``2-00:00:00``; else None."""
    match = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d\d)", text)
    if not match:
        return None
    days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def jobs() -> list[Job]:
    """The user's jobs named ``hpo_...`` that Slurm still remembers; none without Slurm.

    squeue is asked for all states: a job that is being signalled vanishes from a list that is
    filtered by state. Older jobs come from sacct, if the site keeps accounts.
    """
    by_id = dict[str, Job]()
    for command in (
        "sacct -X -n -P --starttime now-30days --format JobID,JobName,State,Reason,Comment",
        "squeue --me --array --noheader --states all --format %i|%j|%T|%r|%k",
    ):
        try:
            answer = _call(*command.split())
        except (SlurmError, subprocess.TimeoutExpired):
            continue
        for line in answer.stdout.splitlines() if not answer.returncode else []:
            job_id, name, word, reason, comment = (line.split("|") + [""] * 5)[:5]
            # waiting tasks have brackets in sacct; squeue lists them one by one
            if name.startswith("hpo_") and word and "[" not in job_id:
                rest = ("" if text in ("None", "(null)") else text for text in (reason, comment))
                by_id[job_id] = Job(job_id, name, word.split()[0], *rest)
    return list(by_id.values())


def _call(
    program: str, *arguments: str, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    if shutil.which(program) is None:
        raise SlurmError(
            f"{program} is not on this machine, so nothing was submitted; log in to the "
            "cluster's login node, or use `hpo run` to run the study here"
        )
    return subprocess.run(
        [program, *arguments],
        input=stdin,
        cwd=paths.PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=ANSWER_SECONDS,
    )


def _said(text: str | bytes | None) -> str:
    """A Slurm program's error output in one line, without the program's name."""
    lines = (text.decode(errors="replace") if isinstance(text, bytes) else text or "").splitlines()
    said = [re.sub(r"^\w+: (error: )?", "", line).strip() for line in lines]
    return "; ".join(dict.fromkeys(line for line in said if line)) or "no reason given"


_Word = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_.:,@%+=/\[\]-]*$"),
    expected("one word of letters, digits and _.:,@%+=/[]-"),
]


_Time = Annotated[
    str,
    Field(pattern=r"^([0-9]+-([01]?[0-9]|2[0-3])|[0-9]+):[0-5][0-9]:[0-5][0-9]$"),
    expected("hours:minutes:seconds, such as 12:00:00, or 2-00:00:00 for two days"),
]


def _digits(value: str) -> str:
    if not re.fullmatch("-?[0-9]+", value):  # pydantic would read 1_0 as ten, and 2.0 as two
        raise ValueError("a valid integer, unable to parse string as an integer")
    return value


_Whole = Annotated[int, BeforeValidator(_digits), Field(ge=0)]
_Number = Annotated[int, BeforeValidator(_digits), Field(ge=1)]


class Site(BaseModel, frozen=True):
    """The site's settings, as the comments of ``slurm/site.env`` explain them.

    Empty: Slurm uses its own default. SETUP is shell code, MODULES is a list, and folders may hold
    blanks: the job's script quotes these.
    """

    partition: _Word = "a100"
    gres: _Word = "gpu:a100:1"
    cpus_per_task: _Word = "8"
    mem: _Word = "64G"
    time: _Time = "12:00:00"
    account: _Word = ""
    qos: _Word = ""
    constraint: _Word = ""
    exclude: _Word = ""
    reservation: _Word = ""
    modules: str = ""
    conda: str = ""
    conda_env: _Word = ""
    venv: str = ""
    setup: str = ""
    workers_per_gpu: _Number = 1
    signal_seconds: _Whole = 600
    max_requeues: _Whole = 20


def read_site(path: Path) -> Site:
    """The site file: lines ``KEY=value``, values optionally quoted, ``#`` begins a comment line.

    Raises:
        InputError: the file is missing, or a line, key or value in it is wrong.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"byte {error.start} is not UTF-8"
        raise InputError(f"{path}: cannot be read ({why}); name a site file with --site") from None
    names = [name.upper() for name in Site.model_fields]
    values = dict[str, str]()
    called = dict[str, str]()
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        place = f"{path}: line {number}"
        found = re.fullmatch(r"(\w+)\s*=\s*(['\"]?)(.*)\2", line)
        if not found or found[1] not in names:
            name = line.partition("=")[0].strip()
            raise InputError(f"{place} is {line!r}, expected KEY=value; {choices(name, names)}")
        name, quote, value = found.groups()
        key = name.lower()
        if key in called:
            raise InputError(f"{place}: {name} is given twice; keep one of the lines")
        called[key] = f"{place}: {name}"
        if "#" in value and not quote:
            raise InputError(f"{called[key]} is {value!r}; a comment needs a line of its own")
        values[key] = value
    try:
        site = Site.model_validate(values)
    except ValidationError as error:
        raise InputError(sentence(error, called=called)) from None
    if (duration(site.time) or 0) <= site.signal_seconds:
        raise InputError(
            f"{path}: TIME={site.time} is not longer than SIGNAL_SECONDS={site.signal_seconds}, so "
            "that a job would be asked to stop as it starts; raise TIME or lower SIGNAL_SECONDS"
        )
    return site


def submit_study(settings: Settings, site: Site, *, continues: bool, dry_run: bool) -> str:
    """Check model, dataset and data, make the job's script and submit it.

    Args: settings: the study. site: the site's settings. continues: continue the study of the
        settings' job id instead of starting one under the new job's id. dry_run: submit nothing.

    Returns: A report for the user (id, logs, record, commands to watch and stop the job), or in a
        dry run the script.

    Raises:
        InputError: the study itself would stop with the same error.
        SlurmError: Slurm is missing or refuses.
    """
    settings, run = checked(settings)
    if continues:
        from hpo_lib.records.storage import Storage  # loads optuna

        Storage(run, settings.storage).check()
    command = ["job", *settings.as_words(), *(["--job-id", settings.job_id] if continues else [])]
    for name in ("signal_seconds", "max_requeues", "workers_per_gpu"):
        command += [option_of(name), str(getattr(site, name))]
    script = job_script(settings, run.dataset, site, command)
    if dry_run:
        return script
    paths.SLURM_LOGS.mkdir(parents=True, exist_ok=True)
    job_id = submit(script)
    name = paths.job_name(run.model, run.dataset)
    workers = settings.workers
    task = job_id
    several = ""
    others = ""
    if workers > 1:
        task = f"{job_id}_1"
        several = f", {workers} workers"
        others = f"   (and _2 to _{workers})"
    log = paths.job_log(name, task)
    record = run if continues else replace(run, job_id=job_id)
    return f"""\
job      {job_id} ({name}{several})
log      {log}{others}
errors   {paths.job_log(name, task, "err")}{others}
record   {record.notebook}
watch    squeue --jobs {job_id}
         tail -F {log}
         hpo status
stop     scancel {job_id}   (finished trials are kept)
"""


def job_script(settings: Settings, dataset: str, site: Site, command: Sequence[str]) -> str:
    """The batch script of one study, quoted for the shell.

    For several ``workers`` it is an array with one task per worker.

    Args: settings: the study. dataset: the dataset's name, for names of jobs and logs (the setting
        may be the path of a TOML). site: the site's settings. If it names no environment, the job
        runs with the interpreter of this process. command: arguments of ``hpo`` that run the study
        inside the job.
    """
    name = paths.job_name(settings.model, dataset)
    array = ""
    job_id = "%j"
    if settings.workers > 1:
        array = f"1-{settings.workers}"
        job_id = "%A_%a"
    # Relative to where sbatch is called: blanks or % in the root would break an #SBATCH line.
    log, errors = (
        paths.job_log(name, job_id, suffix).relative_to(paths.PROJECT_ROOT).as_posix()
        for suffix in ("log", "err")
    )
    environment = [site.setup] if site.setup else []
    if site.modules:
        environment += ["module purge", f"module load {shlex.join(site.modules.split())}"]
    if site.conda_env:
        activate = f"{shlex.quote(site.conda)}/bin/activate {shlex.quote(site.conda_env)}"
        environment.append(f"source {activate}")
    if site.venv:
        environment.append(f"source {shlex.quote(site.venv)}/bin/activate")
    environment.append('export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"')
    lines = "\n".join(environment)
    python = "python" if site.conda_env or site.venv else shlex.quote(sys.executable)
    script = f"""\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array={array}
#SBATCH --output={log}
#SBATCH --error={errors}
#SBATCH --open-mode=append
#SBATCH --partition={site.partition}
#SBATCH --gres={site.gres}
#SBATCH --cpus-per-task={site.cpus_per_task}
#SBATCH --mem={site.mem}
#SBATCH --time={site.time}
#SBATCH --account={site.account}
#SBATCH --qos={site.qos}
#SBATCH --constraint={site.constraint}
#SBATCH --exclude={site.exclude}
#SBATCH --reservation={site.reservation}
#SBATCH --signal=B:USR1@{site.signal_seconds}
#SBATCH --comment={TEST_COMMENT if settings.test else ""}
#SBATCH --requeue

set -e
cd {shlex.quote(str(paths.PROJECT_ROOT))}
{lines}
exec {python} -m hpo_lib {shlex.join(command)}
"""
    return re.sub(r"^#SBATCH --[a-z-]+=\n", "", script, flags=re.MULTILINE)
