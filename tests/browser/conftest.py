"""A JupyterLab as a user starts it, and Debian's chromium to look at it."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from tests.conftest import free_port

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 600_000
"""Milliseconds until something is taken for stuck; nothing is measured by it."""

SETTINGS = {
    # All cells in the page at once, so that those out of sight can be looked at; else as a fresh
    # JupyterLab.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab whose folder holds copies of the notebooks."""

    url: str
    folder: Path
    notebooks: Path

    def copy(self, name, **parameters):
        """A notebook of the project with other parameters; returns its address."""
        notebook = nbformat.read(self.notebooks / name, as_version=4)
        (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        lines = cell.source.splitlines()
        for parameter, value in parameters.items():
            (place,) = [i for i, line in enumerate(lines) if line.startswith(f"{parameter}:")]
            lines[place] = f"{lines[place].split('=')[0]}= {value!r}"
        cell.source = "\n".join(lines)
        nbformat.write(notebook, self.folder / name)
        workspace = name.removesuffix(
            ".ipynb"
        )  # of its own, so that no other notebook is opened beside it
        return f"{self.url}/lab/workspaces/{workspace}/tree/{name}"


@pytest.fixture(scope="session")
def browser_program():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    return found


@pytest.fixture(scope="session")
def lab(browser_program, root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    settings = tmp_path_factory.mktemp("settings")
    for name, values in SETTINGS.items():
        file = settings / f"@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if key != "SLURM_JOB_ID"}
    environment |= {
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(settings),
        "JUPYTER_RUNTIME_DIR": str(settings),
        "OMP_NUM_THREADS": "1",
    }
    words = f"""-m jupyterlab --no-browser --allow-root --ServerApp.port={port}
        --ServerApp.port_retries=0 --IdentityProvider.token= --ServerApp.root_dir={folder}"""
    log = settings / "log"
    command = [sys.executable, *words.split()]
    server = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=log.open("wb")
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            assert server.poll() is None, log.read_text()
            with suppress(OSError):
                urllib.request.urlopen(f"{url}/api", timeout=60)
                break
            time.sleep(0.2)
        yield Lab(url, folder, root / "notebooks")
    finally:
        server.terminate()  # ends its kernels too
        server.wait(600)


@pytest.fixture(scope="session")
def browser(browser_program):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PATIENCE)
    yield page
    page.close()
