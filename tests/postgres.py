"""A PostgreSQL of the tests' own, where the programs are installed."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import free_port

PLACES = [
    *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
    Path("/usr/local/pgsql/bin"),
]


def program(name):
    found = shutil.which(name) or next(
        (str(place / name) for place in PLACES if (place / name).exists()), None
    )
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install postgresql)")
    return found


@dataclass
class Server:
    """A server that can be stopped and started again."""

    url: str
    start: Callable[[], None]
    stop: Callable[[], None]


@pytest.fixture(scope="session")
def postgres_url(postgres_server):
    """The URL of an empty database."""
    return postgres_server.url


@pytest.fixture(scope="session")
def postgres_server():
    """A fresh server with an empty database, which ends with the tests."""
    if find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed (pip install 'psycopg[binary]')")
    initdb, postgres, ready, createdb = map(
        program, ("initdb", "postgres", "pg_isready", "createdb")
    )
    as_root = os.getuid() == 0  # the server refuses to run as root
    user = pwd.getpwnam("postgres").pw_name if as_root else pwd.getpwuid(os.getuid()).pw_name
    port = str(free_port())
    folder = Path(tempfile.mkdtemp(prefix="hpo-postgres-"))
    if as_root:
        shutil.chown(folder, user)

    def run(*command):
        subprocess.run(
            command, check=True, capture_output=True, cwd=folder, user=user if as_root else None
        )

    data = str(folder / "data")
    run(initdb, *f"--pgdata {data} --auth trust --username hpo --no-sync".split())
    servers = []

    def start():
        server = subprocess.Popen(
            [postgres, *f"-D {data} -p {port} -h 127.0.0.1 -k {folder} -F".split()],
            cwd=folder,
            user=user if as_root else None,
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("wb"),
        )
        servers.append(server)
        words = f"-q -h 127.0.0.1 -p {port} -t 5".split()
        while subprocess.run([ready, *words]).returncode:
            time.sleep(0.1)
            assert server.poll() is None, (folder / "log").read_text()

    def stop():
        server = servers.pop()
        server.send_signal(signal.SIGINT)  # SIGTERM would wait for open connections to end
        server.wait(600)

    try:
        start()
        run(createdb, "-h", "127.0.0.1", "-p", port, "-U", "hpo", "hpo")
        yield Server(f"postgresql://hpo@127.0.0.1:{port}/hpo", start, stop)
    finally:
        stop()
        shutil.rmtree(folder, ignore_errors=True)
