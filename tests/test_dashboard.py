"""``hpo dashboard`` shows a study from its storage as it is."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

import optuna
import pytest

from hpo_lib.paths import RunPaths
from hpo_lib.records.storage import Storage
from tests.conftest import free_port
from tests.study.processes import PATIENCE


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_when_the_dashboard_is_started_on_a_storage_then_it_serves_the_study(kind, tmp_path, root):
    run = RunPaths(tmp_path, "TFT_Q", "heat", "4711")
    study = optuna.create_study(
        study_name=run.study_name,
        storage=Storage(run, kind).open(),
        directions=["minimize", "minimize"],
    )
    study.optimize(lambda trial: (trial.suggest_float("lr", 0, 1), 1.0), n_trials=2)
    port = free_port()
    words = f"-m hpo_lib dashboard 4711 --port {port} --runs-dir {tmp_path}".split()
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    command = [sys.executable, *words]
    here = f"http://localhost:{port}"
    with subprocess.Popen(command, cwd=root, **output) as process:
        try:
            address = next(word for word in process.stdout.readline().split() if "token" in word)
            _, _, token = address.partition("?")
            (shown,) = ask(process, f"{here}/api/studies?{token}")["study_summaries"]
            study = f"{here}/api/studies/{shown['study_id']}"
            detail = ask(process, f"{study}?{token}")
            jar = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            assert b"<html" in jar.open(address, timeout=60).read()
            assert json.load(jar.open(study, timeout=60)) == detail
            for change in ({}, {"method": "DELETE"}, {"headers": {"Host": f"evil.example:{port}"}}):
                url = f"{study}?{token}" if change else study
                with pytest.raises(urllib.error.HTTPError, match="403"):
                    urllib.request.urlopen(urllib.request.Request(url, **change), timeout=60)
            busy = subprocess.run(command, cwd=root, capture_output=True, text=True)
        finally:
            process.kill()
    assert (busy.returncode, busy.stderr.count("\n")) == (2, 1)
    assert f"hpo: port {port} cannot be used" in busy.stderr
    assert len(Storage(run, kind).read().trials) == 2
    assert shown["study_name"] == "TFT_Q_heat_4711"
    assert [trial["state"] for trial in detail["trials"]] == ["Complete", "Complete"]


def ask(process, url):
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None
        except OSError:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < give_up, "the dashboard never answered"
            time.sleep(0.2)
