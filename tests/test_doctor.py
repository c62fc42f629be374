from importlib.metadata import PackageNotFoundError

import pytest

from hpo_lib import paths
from hpo_lib.data.spec import known_datasets
from hpo_lib.errors import InputError
from hpo_lib.launch import doctor
from hpo_lib.launch.doctor import Finding, check_machine, dataset_lines
from hpo_lib.records import provenance
from tests.conftest import hpo, text_of


@pytest.fixture(autouse=True)
def light(monkeypatch, tiny_dataset):
    """No torch, no simulation, and packages as after `make install`, whatever this machine has."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr(doctor, "device_name", lambda: "cpu, 2 threads")
    monkeypatch.setattr(doctor, "load_dataset", lambda spec, data_dir: tiny_dataset)
    monkeypatch.setattr(
        doctor,
        "requires",
        lambda name: ["numpy<3,>=2", "darts[torch]>=0.48", "absent-one>1; extra == 'dev'"],
    )


def findings_of(*folders):
    """The findings by topic, for folders of data and records."""
    return {finding.topic: finding for finding in check_machine(*folders)}


def checked(*words):
    """What the command prints: the first two words of each finding."""
    return [line.split()[:2] for line in hpo(*words).out.splitlines() if line[0] != " "]


def test_when_all_is_well_then_every_topic_has_a_line_and_the_command_ends_with_0(tmp_path):
    topics = ["hpo_lib", "packages", "device", *known_datasets(), "records", "slurm"]
    found = checked("doctor --data-dir", tmp_path, "--runs-dir", tmp_path)
    assert found == [["ok", topic] for topic in topics]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "asked, absent, is_checkout, begin, end",
    [
        ("installed_version", "darts", True, "missing: darts; run `", "-r requirements.lock`"),
        ("installed_version", "darts", False, "missing: darts; run `", "darts`"),  # no lock file
        ("requires", "hpo_lib", True, "hpo_lib itself is not", f"-e {paths.PROJECT_ROOT}`"),
    ],
    ids=["package", "package of a wheel", "project"],
)
def test_when_a_package_or_the_project_is_not_installed_then_the_command_that_fixes_it_is_named(
    asked, absent, is_checkout, begin, end, monkeypatch, tmp_path
):
    before = getattr(doctor, asked)

    def ask(name):
        if name == absent and asked == "requires":
            raise PackageNotFoundError(name)
        return None if name == absent else before(name) or "1.0"

    monkeypatch.setattr(doctor, asked, ask)
    monkeypatch.setattr(paths, "IS_CHECKOUT", is_checkout)
    finding = findings_of(tmp_path, tmp_path)["packages"]
    assert finding.is_problem
    assert finding.text.startswith(begin)
    assert finding.text.partition(" -m pip install ")[2].endswith(end)
    said = hpo("doctor --data-dir", tmp_path, "--runs-dir", tmp_path, code=1)
    assert f"FAIL  packages        {begin}" in said.out


def test_when_a_dataset_is_broken_then_its_own_sentence_is_shown_and_the_others_are_still_checked(
    monkeypatch, tmp_path, tiny_dataset
):
    def load(spec, data_dir):
        if spec.name == "heat":
            raise InputError("heat.csv: line 7 is wrong; fix it")
        return tiny_dataset

    monkeypatch.setattr(doctor, "load_dataset", load)
    findings = findings_of(tmp_path, tmp_path)
    assert findings["heat"] == Finding("heat", "heat.csv: line 7 is wrong; fix it", True)
    assert not findings["water_centrum"].is_problem


def test_when_datasets_are_listed_then_each_says_what_it_covers_where_its_splits_end_and_its_file(
    tmp_path,
):
    lines = dataset_lines(tmp_path)
    assert len(lines) == len(known_datasets())
    assert " ".join(lines[0].split()) == (
        "bike_dc A hundred days of water in m3/h, 2019-03-01 00:00 to 2019-06-08 23:00 UTC, "
        "train to 2019-05-09, validation to 2019-05-24; tiny.csv"
    )


def test_when_records_cannot_be_written_then_the_reason_and_the_setting_are_named(tmp_path):
    (tmp_path / "file").touch()
    runs_dir = tmp_path / "file/runs"
    why = f"{runs_dir} cannot be written (Not a directory); set runs_dir"
    assert findings_of(tmp_path, runs_dir)["records"] == Finding("records", why, True)


@pytest.mark.parametrize(
    "sbatch, job_id, text",
    [
        (None, "", "no sbatch on this machine: studies run here, not as cluster jobs"),
        ("/usr/bin/sbatch", "", "/usr/bin/sbatch"),
        ("/usr/bin/sbatch", "4711", "inside job 4711"),
    ],
)
def test_when_the_machine_is_a_cluster_then_the_job_or_its_tool_is_named(
    sbatch, job_id, text, monkeypatch, tmp_path
):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: sbatch)
    monkeypatch.setenv("SLURM_JOB_ID", job_id)
    assert findings_of(tmp_path, tmp_path)["slurm"].text == text


def test_when_a_toml_is_given_then_its_dataset_alone_is_checked_and_drawn_beside_it(
    monkeypatch, tmp_path
):
    # the tiny one, for any spec
    monkeypatch.setattr("hpo_lib.data.dataset.load_dataset", doctor.load_dataset)
    toml = tmp_path / "mine.toml"
    folder = ("--data-dir", tmp_path)
    toml.write_text(text_of("datasets/heat.toml").replace('"heat"', '"mine"', 1))
    found = checked("doctor", toml, *folder, "--runs-dir", tmp_path)
    topics = ["hpo_lib", "packages", "device", "mine", "records", "slurm"]
    assert [topic for _, topic in found] == topics
    said = hpo("datasets", toml, *folder)
    assert said.out.splitlines()[-1] == f"picture: {tmp_path / 'mine.png'}"
    assert (tmp_path / "mine.png").read_bytes().startswith(b"\x89PNG")
    hpo("datasets", tmp_path / "absent.toml", code=2)


# Provenance, which the doctor shows a part of


def test_when_a_result_is_recorded_then_its_data_is_named_by_source_fingerprint_span_and_splits(
    tiny_dataset,
):
    recorded = provenance.data_provenance(tiny_dataset)
    expected = {
        "source": "csv",
        "path": "tiny.csv",
        "unit": "m3/h",
        "sha256": tiny_dataset.sha256,
        "first_hour": "2019-03-01 00:00:00+00:00",
        "last_hour": "2019-06-08 23:00:00+00:00",
        "train_end": "2019-05-09 23:00:00+00:00",
        "val_end": "2019-05-24 23:00:00+00:00",
        "test_end": None,
        "past_covariates": ["temp", "water_lag_24h"],
    }
    assert {key: recorded[key] for key in expected} == expected


def test_when_code_differs_from_its_commit_then_the_record_says_so_but_not_of_a_run_notebook(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(paths, "PROJECT_ROOT", tmp_path)
    provenance._git("init", "--quiet")
    provenance._git("config", "user.email", "a@b")
    provenance._git("config", "user.name", "a")
    code = tmp_path / "study.py"
    notebook = tmp_path / "study.ipynb"
    for file in (code, notebook):
        file.write_text("1")
    provenance._git("add", ".")
    provenance._git("commit", "--quiet", "--message", "1")
    notebook.write_text("2")
    commit = provenance.git_commit()
    assert commit == provenance._git("rev-parse", "HEAD")
    code.write_text("2")
    assert provenance.git_commit() == f"{commit}+changes"


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError("git"), provenance.subprocess.CalledProcessError(128, "git")],
    ids=["no git", "no clone"],
)
def test_when_there_is_no_git_or_no_checkout_then_there_is_no_commit_and_no_error(
    monkeypatch, error
):
    def breaks(*_):
        raise error

    monkeypatch.setattr(provenance, "_git", breaks)
    assert provenance.git_commit() is None
