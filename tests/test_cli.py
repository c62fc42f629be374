"""The ``hpo`` command; what it says to wrong parameters is in test_broken_parameters.py."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from papermill.exceptions import PapermillExecutionError

import hpo_lib
from hpo_lib import paths
from hpo_lib.cli.main import _parser, main
from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.spec import known_datasets, load_spec
from hpo_lib.paths import RunPaths
from hpo_lib.records.leases import Liveness
from tests.conftest import hpo
from tests.data.conftest import TOML

THESIS = [name for name in known_datasets() if name != "bike_dc"]
COMMANDS = sorted(next(iter(_parser()._subparsers._group_actions)).choices)


# Help


def test_when_hpo_is_typed_alone_then_its_commands_are_listed_once_by_what_they_are_for():
    out = hpo("").out
    groups = [group.splitlines() for group in out.split("\n\n")[2:-2]]
    wanted = ["begin", "tune", "compare", "explain", "every day", "cluster", "look after"]
    assert [title for title, *_ in groups] == wanted
    listed = [line.split()[0] for _, *lines in groups for line in lines]
    assert sorted([*listed, "job"]) == COMMANDS, "all but what only a job runs"
    assert all(len(line.split()) > 3 for _, *lines in groups for line in lines)
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("words", ["heta", "--dataset heta"])
@pytest.mark.parametrize(
    "command", ["audit", "benchmark", "doctor", "explain", "forecast", "run", "watch"]
)
def test_when_a_dataset_is_given_alone_then_it_is_that_of_the_option(command, words):
    model = " --model NHITS_Q" if command == "run" else ""
    code, out, err = hpo(f"{command} {words}{model}", code=None)
    assert code in (1, 2)
    said = (out if command == "doctor" else err).replace("\n", " ")
    assert "'heta', which is not in the registry; did you mean heat?" in said


def test_when_a_word_is_beside_a_dataset_then_it_belongs_to_no_option(capsys):
    for words in ("forecast heat --at 2020-05-07T00:00 tomorrow", "status tomorrow"):
        with pytest.raises(SystemExit):
            main(words.split())
        assert "'tomorrow' belongs to no option" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["audit", "analyze", "benchmark", "explain", "watch"])
def test_when_several_models_are_named_then_in_one_option_or_in_several(command):
    for words in ("--models A B C", "--model A --model B C", "--model A --models B --model C"):
        dataset = ["--dataset", "heat"]
        assert _parser().parse_args([command, *dataset, *words.split()]).models == ["A", "B", "C"]


def test_when_out_is_a_folder_then_the_file_in_it_has_its_usual_name(tmp_path):
    usual = tmp_path / "usual.csv"
    (dotted := tmp_path / "v1.2").mkdir()
    for named, file in (
        ("", usual),
        ("new", Path("new/usual.csv")),
        (str(dotted), dotted / "usual.csv"),
        ("own.csv", Path("own.csv")),
    ):
        assert paths.output(named, usual) == file


def test_when_the_module_is_run_then_it_is_the_same_command_with_the_same_exit_codes():
    script = shutil.which("hpo", path=str(Path(sys.executable).parent))
    for way in [[sys.executable, "-m", "hpo_lib"], *([[script]] if script else [])]:
        ended = subprocess.run(
            [*way, "run", "--model", "TFT", "--dataset", "heat"],
            cwd=paths.PROJECT_ROOT,
            capture_output=True,
            text=True,
        )
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith(
            "hpo: model is 'TFT', which is not a model family; did you mean TFT_Q?"
        )


# hpo datasets


def entries(text):
    """What is told in lines of 100 columns, one line each."""
    return [" ".join(entry.split()) for entry in re.sub(r"\n +", " ", text).splitlines()]


def test_when_no_csv_is_there_then_every_dataset_but_the_one_that_ships_is_listed_as_simulated(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(paths, "DATA_DIR", tmp_path)
    out = hpo("datasets").out
    assert all(len(line) <= 100 for line in out.splitlines() if str(tmp_path) not in line), (
        "but for whole paths"
    )
    lines = entries(out)
    assert [line.split()[0] for line in lines] == list(known_datasets())
    assert lines[0].endswith("; datasets/bike_dc.csv.xz")
    for line, name in zip(lines[1:], THESIS, strict=True):
        assert f"SIMULATED, since {tmp_path / load_spec(name).csv} is absent" in line
    facts = json.loads(hpo("datasets --json").out)
    pairs = [("bike_dc", "csv"), *((name, "simulated") for name in THESIS)]
    assert [(one["dataset"], one["source"]) for one in facts] == pairs
    # In a folder that was named nothing is simulated.
    out = hpo("datasets --data-dir", tmp_path).out
    for line, name in zip(entries(out)[1:], THESIS, strict=True):
        assert f"was not found (looked for {tmp_path / load_spec(name).csv}); put it there" in line


# hpo prepare


@pytest.fixture
def small(tmp_path):
    """The TOML of a dataset; beside it its raw CSV, in which two hours are missing, and a list of
    school holidays.
    """
    index = pd.date_range("2018-04-01 00:00Z", periods=90 * 24, freq="h")
    raw = pd.DataFrame({"0": 5 + np.arange(len(index)) % 24 / 10}, index=index)
    raw.drop(index[[100, 101]]).to_csv(tmp_path / "raw.csv")
    holidays = (
        "start_date,end_date,description\n2018-03-01,2018-03-02,early\n"
        "2018-06-30,2018-08-12,summer\n"
    )
    (tmp_path / "holidays.csv").write_text(holidays, encoding="utf-8")
    text = TOML.replace("small.csv", "features.csv").replace(
        '"water_lag_1h"]', '"water_lag_1h", "water_lag_24h", "water_rolling_24h"]'
    )
    text = text.replace('"is_weekend"]', '"is_weekend", "is_public_holiday", "is_school_holiday"]')
    toml = tmp_path / "small.toml"
    toml.write_text(text, encoding="utf-8")
    return toml


def prepare(small, raw="raw.csv", out="features.csv", *more):
    """Run ``hpo prepare`` with files in the folder of the dataset's TOML."""
    files = "--raw", small.parent / raw, "--out", small.parent / out
    return hpo("prepare --dataset", small, *files, *more)


def test_when_a_raw_csv_is_prepared_then_the_dataset_loads_from_what_was_written(small):
    folder = small.parent
    out = folder / "data/features.csv"
    holidays = "--school-holidays", folder / "holidays.csv"
    _, text, errors = prepare(small, "raw.csv", "data/features.csv", *holidays)
    assert errors == ""
    assert text.splitlines()[0].startswith(f"wrote {out}: ")
    assert text.splitlines()[1].startswith("filled 2 missing hours by the gap rule")
    dataset = load_dataset(load_spec(small), folder / "data")
    assert (dataset.source, dataset.path, dataset.n_filled) == ("csv", str(out), 0)


@pytest.mark.parametrize("stated", ["options", "toml"])
def test_when_a_meter_exports_local_time_with_semicolons_then_prepare_is_told_how_to_read_it(
    small, stated
):
    folder = small.parent
    raw = pd.read_csv(folder / "raw.csv", index_col=0, parse_dates=True)
    local = raw.index.tz_convert("Europe/Copenhagen").strftime("%d.%m.%Y %H:%M")
    rows = [
        f"{time};{value:.1f};1".replace(".", ",").replace(",", ".", 2)
        for time, value in zip(local, raw["0"], strict=True)
    ]
    (folder / "export.csv").write_text("\n".join(["Zeit;Menge;Status", *rows]), encoding="utf-8")
    prepare(small, out="plain.csv")
    options = "--time-column Zeit --value-column Menge --timezone Europe/Copenhagen"
    if stated == "toml":
        options = ""
        table = '\n[raw]\ntime_column = "Zeit"\nvalue_column = "Menge"\n'
        table += 'timezone = "Europe/Copenhagen"\n'
        small.write_text(small.read_text(encoding="utf-8") + table, encoding="utf-8")
    prepare(small, "export.csv", "own.csv", *options.split())
    assert (folder / "own.csv").read_bytes() == (folder / "plain.csv").read_bytes()


# hpo run. Real executions are slow tests; here papermill is a stub.


class Papermill:
    """Stands in for ``papermill.execute_notebook``: writes a record, then calls ``go_on``."""

    def __init__(self):
        self.calls = []
        self.go_on = lambda: None

    def __call__(self, source, record, *, parameters, cwd, **_):
        self.calls.append({"source": source, "parameters": parameters, "cwd": cwd})
        Path(record).write_text(f"attempt {len(self.calls)}", encoding="utf-8")
        self.go_on()

    def fails(self, error):
        def fail():
            raise error

        self.go_on = fail


@pytest.fixture
def papermill(monkeypatch, small):
    stub = Papermill()
    monkeypatch.setattr("papermill.execute_notebook", stub)
    prepare(small)
    return stub


def run(small, *more, code=0):
    folders = f"--data-dir {small.parent} --runs-dir {small.parent}/runs"
    return hpo(f"run --model TFT_Q --dataset {small} --job-id 4711 {folders}", *more, code=code)


def record_of(small):
    return small.parent / "runs/TFT_Q_small/hpo_TFT_Q_small_4711.ipynb"


def records(small):
    """What follows the job id in the names of the records, and the text in each."""
    found = record_of(small).parent.glob("*.ipynb")
    return {
        file.name.removeprefix("hpo_TFT_Q_small_4711"): file.read_text(encoding="utf-8")
        for file in found
    }


def test_when_json_of_a_study_is_asked_for_then_its_progress_is_beside_it(small, papermill):
    papermill.go_on = lambda: print("1/1  trial 0")
    assert run(small, "--json") == (0, "{}\n", "1/1  trial 0\n")


def test_when_a_study_is_run_then_the_template_gets_its_parameters_and_the_record_its_name(
    small, papermill
):
    words = "--trials 7 --seed 3 --storage journal --time-budget-hours 1.5 --no-early-stopping"
    page = "as a page: hpo report TFT_Q_small_4711 --open\n"
    said = run(small, *words.split(), "--no-settle")
    assert said == (0, f"record: {record_of(small)}\n{page}", "")
    (call,) = papermill.calls
    assert (call["source"], call["cwd"]) == (str(paths.HPO_NOTEBOOK), str(paths.PROJECT_ROOT))
    assert call["parameters"] == {
        "model": "TFT_Q",
        "dataset": str(small),
        "trials": 7,
        "job_id": "4711",
        "seed": 3,
        "test": False,
        "preset": "auto",
        "recipe": "standard",
        "objectives": "mae,picp_penalty",
        "space": "wide",
        "warm_start": False,
        "time_budget_hours": 1.5,
        "early_stopping": False,
        "settle": False,
        "storage": "journal",
        "workers": 1,
        "worker": 1,
        "policy": "proven",
        "data_dir": str(small.parent),
        "simulated": False,
        "runs_dir": str(small.parent / "runs"),
    }


@pytest.mark.slow
def test_when_a_study_is_started_while_it_runs_then_its_record_stays_where_it_is(small, papermill):
    run(small)
    with Liveness(RunPaths(small.parent / "runs", "TFT_Q", "small", "4711"), "1"):
        assert "another process works on this study" in run(small, code=1).err
        run(small, "--worker", "2")
    assert records(small) == {".ipynb": "attempt 1", ".worker-2.ipynb": "attempt 2"}


def test_when_the_folder_of_the_records_is_a_file_then_one_sentence_says_so(small, papermill):
    (small.parent / "runs").write_text("no folder", encoding="utf-8")
    assert run(small, code=1).err.startswith(
        f"hpo: {small.parent}/runs/TFT_Q_small/.workers_TFT_Q_small_4711/notebook_1.lease: "
        "cannot be written"
    )
    assert papermill.calls == []


@pytest.mark.slow
def test_when_two_runs_of_one_study_start_together_then_the_second_leaves_the_live_record_alone(
    small, papermill
):
    """The first has begun its record, and its kernel has not yet said that it lives."""
    second = []

    def start_another():
        if not second:
            second.append(run(small, code=1))

    papermill.go_on = start_another
    run(small)
    assert "another process works on this study" in second[0].err
    assert records(small) == {".ipynb": "attempt 1"}
    run(small)


def test_when_a_study_is_continued_then_the_records_of_earlier_attempts_are_kept(small, papermill):
    for _ in range(3):
        run(small)
    assert records(small) == {
        ".ipynb": "attempt 3",
        ".attempt-1.ipynb": "attempt 1",
        ".attempt-2.ipynb": "attempt 2",
    }


@pytest.mark.parametrize(
    "name, message, code, shown",
    [
        ("InputError", "seed is wrong; fix it", 2, "hpo: seed is wrong; fix it\n"),
        ("StudyError", "no trial completed", 1, "hpo: no trial completed\n"),
        (
            "KeyError",
            "'mae'",
            1,
            "hpo: the notebook stopped with KeyError: 'mae'; the cell is marked in {record}\n",
        ),
    ],
)
def test_when_the_notebook_fails_then_its_sentence_and_the_right_exit_code_come_out(
    small, papermill, name, message, code, shown
):
    papermill.fails(PapermillExecutionError(2, 3, "run_study(settings)", name, message, []))
    assert run(small, code=code) == (code, "", shown.format(record=record_of(small)))


def test_when_a_study_is_interrupted_then_the_command_that_continues_it_is_shown(small, papermill):
    papermill.fails(KeyboardInterrupt())
    said = run(small, "--trials", "7", "--no-early-stopping", code=130).err
    begin = "hpo: interrupted; finished trials are kept, and this goes on: hpo "
    assert said.startswith(begin)
    hpo(*shlex.split(said.removeprefix(begin)), code=130)
    begun, goes_on = (call["parameters"] for call in papermill.calls)
    assert goes_on == begun
    assert (begun["trials"], begun["early_stopping"]) == (7, False)


def test_when_a_study_without_job_id_is_interrupted_then_the_command_names_the_one_it_got(
    small, papermill
):
    papermill.fails(KeyboardInterrupt())
    words = (
        f"run --model TFT_Q --dataset {small} --data-dir {small.parent} --runs-dir {small.parent}/r"
    )
    said = hpo(words, code=130).err
    job_id = papermill.calls[0]["parameters"]["job_id"]
    assert said.endswith(f"hpo {words} --job-id {job_id}\n")


def test_when_the_data_is_wrong_then_the_study_stops_before_papermill_and_leaves_no_folder(
    small, papermill
):
    csv = small.parent / "features.csv"
    csv.write_text(
        csv.read_text(encoding="utf-8").replace("water_lag_1h", "lag", 1), encoding="utf-8"
    )
    assert "water_lag_1h" in run(small, code=2).err
    assert papermill.calls == []
    assert not (small.parent / "runs").exists()


ABSENT = "the CSV of dataset 'heat' was not found (looked for {}/no/processing/nordbyen_processing/"


@pytest.mark.parametrize(
    "words",
    [
        "run --model NHITS_Q",
        "submit --model NHITS_Q --dry-run",
        "retrain --model NHITS_Q",
        "benchmark",
        "forecast",
        "watch",
    ],
    ids=lambda words: words.split()[0],
)
def test_when_the_folder_that_was_named_does_not_exist_then_no_command_takes_simulated_data(
    words, tmp_path
):
    said = hpo(f"{words} --dataset heat --data-dir {tmp_path}/no", code=2)
    assert ABSENT.format(tmp_path) in said.err


def test_when_toml_and_folders_are_named_from_another_place_then_the_notebook_finds_them(
    small, papermill, monkeypatch
):
    monkeypatch.chdir(small.parent)
    hpo(f"run --model TFT_Q --dataset {small.name} --data-dir . --runs-dir runs")
    hpo("run heat --model TFT_Q --simulated --runs-dir runs")
    own, twin = (call["parameters"] for call in papermill.calls)
    assert own["dataset"] == str(small.resolve())
    folders = str(small.parent), str(small.parent / "runs")
    assert (own["data_dir"], own["runs_dir"]) == folders
    assert (twin["simulated"], twin["data_dir"], twin["runs_dir"]) == (True, "", folders[1])


def test_when_the_reader_of_a_table_stops_early_then_the_command_ends_without_a_traceback():
    command = f"{shlex.quote(sys.executable)} -m hpo_lib datasets"
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | true; echo ${{PIPESTATUS[0]}}"],
        cwd=paths.PROJECT_ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.stderr == ""
    assert ended.stdout.strip() == "1"


def test_when_the_version_is_asked_for_then_it_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"hpo {hpo_lib.__version__}\n"
