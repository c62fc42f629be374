"""Calls of Slurm's programs sbatch, scontrol, squeue and sacct, and the meaning of their answers."""

import re
import shutil
import subprocess
from dataclasses import dataclass

from hpo_lib.errors import HpoError

ANSWER_SECONDS = 30.0
"""Seconds to wait for one of Slurm's programs. If the queue is full, sbatch itself would retry for minutes."""


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
        """The id in the file names of the study that this job, or the array of this task, started."""
        return self.job_id.partition("_")[0]


def task_id(array: str, task: str) -> str:
    """The id of one task of a job array, also in the names of logs."""
    return f"{array}_{task}"


def submit(script: str, folder: str) -> str:
    """Submit a script with sbatch, from within ``folder``, and return the job's id.

    Raises:
        SlurmError: sbatch is missing or refuses; then nothing was submitted.
    """
    try:
        answer = _call("sbatch", "--parsable", stdin=script, folder=folder)
    except subprocess.TimeoutExpired as error:
        said = _said(error.stderr)
        if "temporarily unable" in said:
            reason = f"sbatch found no place in the queue for {ANSWER_SECONDS:.0f} s ({said})"
            advice = "wait until jobs have ended and submit again"
        else:
            reason = f"sbatch got no answer from Slurm for {ANSWER_SECONDS:.0f} s ({said})"
            advice = "see whether `sinfo` answers on this machine"
        raise SlurmError(f"{reason}, so nothing was submitted; {advice}") from None
    if answer.returncode:
        raise SlurmError(
            f"sbatch refused the job, so nothing was submitted: {_said(answer.stderr)}; check slurm/site.env against "
            "what `sinfo` shows"
        )
    match = re.match(r"(\d+)(;|$)", answer.stdout.strip())
    if not match:
        raise SlurmError(
            f"sbatch answered {answer.stdout.strip()!r}, expected a job id; look for the job with `squeue`"
        )
    return match[1]


def requeue(job_id: str) -> None:
    """Put a running job back into the queue, under the same id.

    Raises:
        SlurmError: Slurm refuses.
    """
    answer = _call("scontrol", "requeue", job_id)
    if answer.returncode:
        raise SlurmError(f"scontrol refused to requeue job {job_id}: {_said(answer.stderr)}")


def state(job_id: str) -> str:
    """The state of one job, such as RUNNING, or an empty text if Slurm does not know it."""
    answer = _call("scontrol", "--oneliner", "show", "job", job_id)
    match = re.search(r"\bJobState=(\w+)", answer.stdout)
    return match[1] if match else ""


def seconds_left(job_id: str) -> float | None:
    """Seconds until the time limit of a running job, or None if there is no limit or no answer."""
    return duration(_call("squeue", "--noheader", "--jobs", job_id, "--format", "%L").stdout.strip())


def duration(text: str) -> float | None:
    """Seconds of a time as Slurm writes it, such as ``10:30``, ``12:00:00`` or ``2-00:00:00``, or None."""
    match = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d\d)", text)
    if not match:
        return None
    days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def jobs() -> list[Job]:
    """The user's jobs named ``hpo_...`` that Slurm still remembers; none without Slurm.

    squeue is asked for all states: a job that is being signalled vanishes from a list that is filtered by state. Older
    jobs come from sacct, if the site keeps accounts.
    """
    found: dict[str, Job] = {}
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
            if name.startswith("hpo_") and word and "[" not in job_id:  # waiting tasks, which squeue lists one by one
                rest = ("" if text in ("None", "(null)") else text for text in (reason, comment))
                found[job_id] = Job(job_id, name, word.split()[0], *rest)
    return list(found.values())


def _call(
    program: str, *arguments: str, stdin: str | None = None, folder: str | None = None
) -> subprocess.CompletedProcess[str]:
    if shutil.which(program) is None:
        raise SlurmError(
            f"{program} is not on this machine, so nothing was submitted; log in to the cluster's login node, or use "
            "`hpo run` to run the study here"
        )
    return subprocess.run(
        [program, *arguments], input=stdin, cwd=folder, capture_output=True, text=True, timeout=ANSWER_SECONDS
    )


def _said(text: str | bytes | None) -> str:
    """A Slurm program's error output in one line, without the program's name."""
    lines = (text.decode(errors="replace") if isinstance(text, bytes) else text or "").splitlines()
    said = [re.sub(r"^\w+: (error: )?", "", line).strip() for line in lines]
    return "; ".join(dict.fromkeys(line for line in said if line)) or "no reason given"
