"""A real Slurm of one node, started from the Debian packages slurmctld, slurmd, slurm-client and
munge.
"""

import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from hpo_lib import paths
from tests.conftest import free_port
from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
PATIENCE = 900
"""Seconds until a job that does not get on counts as stuck."""
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}


class Cluster:
    """The daemons, and what tests ask of them."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("SLURM_", "SBATCH_"))
            },
            "SLURM_CONF": str(folder / "slurm.conf"),
            "HPO_PYTHON": sys.executable,
            "OMP_NUM_THREADS": "1",
        }
        self._daemons = []

    def start(self):
        for name in ("state", "spool", "dev"):
            (self.folder / name).mkdir()
        for number in range(8):
            (self.folder / f"dev/nvidia{number}").symlink_to("/dev/null")
        filled = {
            "HOST": socket.gethostname().split(".")[0],
            "CONTROL_PORT": str(free_port()),
            "NODE_PORT": str(free_port()),
            "FOLDER": str(self.folder),
            "FIRST_JOB_ID": str(random.SystemRandom().randrange(1_000_000, 9_000_000)),
        }
        template = (Path(__file__).parent / "slurm.conf.in").read_text(encoding="utf-8")
        config = re.sub(r"@(\w+)@", lambda match: filled[match[1]], template)
        (self.folder / "slurm.conf").write_text(config, encoding="utf-8")
        (self.folder / "cgroup.conf").write_text("ConstrainCores=no\n", encoding="utf-8")
        gpus = (
            "AutoDetect=off\nNodeName=node1 Name=gpu Type=a100 "
            f"File={self.folder}/dev/nvidia[0-7]\n"
        )
        (self.folder / "gres.conf").write_text(gpus, encoding="utf-8")
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        self.folder.chmod(0o755)
        names = {
            "key-file": "key",
            "socket": "sock",
            "pid-file": "pid",
            "log-file": "log",
            "seed-file": "seed",
        }
        files = (f"--{option}={self.folder}/munge.{name}" for option, name in names.items())
        self._spawn("munged", "--foreground", "--force", *files)
        wait_until(
            lambda: (self.folder / "munge.sock").exists(), PATIENCE, "munged opens its socket"
        )
        self._spawn("slurmctld", "-D", "-i")
        self._spawn("slurmd", "-D", "-N", "node1")
        wait_until(
            lambda: self.ask("sinfo", "-h", "-N", "-o", "%T").stdout.strip() == "idle",
            PATIENCE,
            "the node is idle",
        )

    def _spawn(self, *command):
        self._daemons.append(
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=(self.folder / f"{command[0]}.out").open("wb"),
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        )

    def stop(self):
        if len(self._daemons) == 3:
            self.ask("scancel", "--user", "root", "--signal=KILL", "--full")
            self.ask("scancel", "--user", "root")
            time.sleep(1)
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(timeout=30)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def ask(self, *command):
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=150
        )

    def submit(self, *arguments, **environment):
        """``slurm/submit_job.sh`` from a folder that is not the repository's."""
        return subprocess.run(
            [str(paths.SLURM_DIR / "submit_job.sh"), *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**self.environment, **environment},
            timeout=150,
        )

    def submitted(self, *arguments):
        """The id of a job that must be accepted."""
        answer = self.submit(*arguments)
        assert answer.returncode == 0, answer.stderr
        match = re.match(r"job +(\d+) ", answer.stdout)
        assert match, answer.stdout
        return match[1]

    def job(self, job_id):
        """What ``scontrol show job`` says."""
        shown = self.ask("scontrol", "--oneliner", "show", "job", job_id).stdout
        return dict(re.findall(r"(\w+)=(\S*)", shown))

    def wait(self, job_id):
        """Until the job has ended for good."""
        wait_until(
            lambda: self.job(job_id).get("JobState") in ENDED,
            PATIENCE,
            lambda: f"job {job_id} ends: {self.job(job_id)}",
        )
        return self.job(job_id)

    def processes(self, job_id, word):
        """The job's processes whose command line holds a word."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process.environ().get("SLURM_JOB_ID") == job_id and word in process.cmdline():
                    found.append(process)
        return found

    def active(self):
        """Ids of all jobs that have not ended."""
        return set(self.ask("squeue", "-h", "-o", "%i").stdout.split())


def wait_until(true, seconds, what):
    """What is true in the end; ``what`` is waited for, or says it when it was in vain."""
    give_up = time.monotonic() + seconds
    while True:
        begun = time.monotonic()
        if found := true():
            return found
        looked = time.monotonic() - begun
        assert time.monotonic() < give_up, (
            f"waited {seconds} s in vain: {what() if callable(what) else what}"
        )
        time.sleep(0.3 + 3 * looked)  # to look costs the jobs no more than a quarter


@pytest.fixture(scope="session")
def cluster():
    missing = [
        program
        for program in PROGRAMS
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None
    ]
    if missing:
        pytest.skip(
            f"{', '.join(missing)} not installed: apt-get install slurmctld slurmd slurm-client "
            "munge"
        )
    if os.geteuid() != 0:
        pytest.skip("slurmd starts jobs as their users, which only root may")
    # slurmd opens sockets in there, whose paths may be about 100 bytes long, so not in pytest's own
    # folder.
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)
