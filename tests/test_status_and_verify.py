"""``hpo status`` and ``hpo verify`` on a folder of studies that are done, running, interrupted,
failed and corrupt.
"""

import json
import os
import re
import shutil
import socket
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.figures.study_page import write_page
from hpo_lib.figures.tables import load_studies, studies_frame
from hpo_lib.launch import status
from hpo_lib.launch.slurm import Job
from hpo_lib.launch.status import EXPERIMENTS
from hpo_lib.paths import PROJECT_ROOT, RunPaths
from hpo_lib.records.leases import Liveness
from hpo_lib.records.provenance import data_provenance, write_scales
from hpo_lib.records.read_write import load_predictions, read_json, write_json, write_predictions
from hpo_lib.records.storage import Storage, trial_record
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import evaluate, seasonal_naive, validation_baselines
from hpo_lib.scoring.objectives import OBJECTIVES
from tests.conftest import CODE, change, executed, hpo, record_of
from tests.study.processes import python


@pytest.fixture(scope="module")
def twin():
    return load_dataset(load_spec("heat"), simulated=True)


PAIR = (OBJECTIVES["mae"], OBJECTIVES["picp_penalty"])


class Maker:
    """Records of studies without any training: the forecasts are seasonal-naive ones, shifted a
    little.
    """

    def __init__(self, runs_dir, data):
        self.runs_dir = runs_dir
        self.data = data
        self.baselines = validation_baselines(data)

    def __call__(
        self,
        model,
        job_id,
        n_complete,
        *,
        asked=3,
        running=0,
        test=False,
        notebook=None,
        dataset="heat",
        objectives=PAIR,
    ):
        run = RunPaths(self.runs_dir, model, dataset, job_id)
        study = optuna.create_study(
            study_name=run.study_name,
            storage=Storage(run, "sqlite").open(),
            directions=["minimize"] * len(objectives),
        )
        preset = "test" if test else "laptop"
        study.set_user_attr("identity", {"preset": preset})
        study.set_user_attr("trials_asked", asked)
        for number in range(n_complete):
            study.add_trial(self.trial(run, number, objectives))
        for _ in range(running):
            study.ask({"lr": FloatDistribution(0, 1)})
        trials = [trial_record(trial, objectives) for trial in study.get_trials()]
        if n_complete:
            result = record_of(
                run,
                trials,
                objectives=objectives,
                storage_path=Storage(run, "sqlite").recorded,
                status="complete" if n_complete >= asked else "running",
                n_trials=asked,
                baselines=self.baselines,
                provenance={
                    **CODE,
                    "preset": preset,
                    "early_stopping": "off",
                    "data": data_provenance(self.data),
                },
            )
            write_json(run.best_params, result)
        if notebook is not None:
            write_json(run.notebook, notebook)
        return run

    def trial(self, run, number, objectives):
        naive = seasonal_naive(self.data, self.data.validation_origins, 24)
        width = np.array([-1, 0, 1]) * 0.15 * (number + 1)
        write_predictions(
            run.trial_predictions(number),
            replace(naive, values=naive.values + width + number / 500),
        )
        forecasts = load_predictions(run.trial_predictions(number))
        scores = evaluate(forecasts, self.data.scales)
        return create_trial(
            state=TrialState.COMPLETE,
            values=[objective.value(scores) for objective in objectives],
            params={"lr": number / 10},
            distributions={"lr": FloatDistribution(0, 1)},
            user_attrs={"scores": scores, "by_step": metrics.by_step(forecasts), "seconds": 1800.0},
        )


GOLDEN = """\
model       dataset         state               MAE          PICP    job id
NHITS_Q     heat            done 3 of 3         0.346 kWh/h  78.2 %  100
NHITS_Q     water_centrum   failed              -            -       103
NHITS_Q     water_tommerby  interrupted 0 of 3  -            -       105
TFT_Q       heat            running 2 of 6      0.346 kWh/h  78.2 %  101
TFT_Q       water_centrum   corrupt             -            -       104
TFT_Q       water_tommerby  corrupt             -            -       106
TIMESNET_Q  heat            interrupted 1 of 3  0.346 kWh/h  78.2 %  102
TIMESNET_Q  water_centrum   queued (Priority)   -            -       201
TIMESNET_Q  water_tommerby  missing             -            -       -

Notes:
  NHITS_Q on heat: simulated data; also job 107
  NHITS_Q on water_centrum: StudyError: the first 3 trials all failed alike
  NHITS_Q on water_tommerby: it was asked to stop, or its time was up
  TFT_Q on heat: 1 h left, simulated data
  TFT_Q on water_centrum: runs/TFT_Q_water_centrum/study_TFT_Q_water_centrum_104.db: not a readable
  TFT_Q on water_tommerby: runs/TFT_Q_water_tommerby/best_params_TFT_Q_water_tommerby_106.json: \
not a complete
  TIMESNET_Q on heat: simulated data; Slurm says NODE_FAIL

Other studies:
  NHITS_Q_mine_110: interrupted 0 of 3

Test studies:
  TFT_Q_water_tommerby_109: interrupted 0 of 3
  TIMESNET_Q_water_tommerby_108: done 3 of 3, simulated data, MAE 0.346 kWh/h, PICP 78.2 %

Pages of studies, for a browser (`hpo report JOB_ID` makes one):
  runs/NHITS_Q_heat/report_100.html

To run what is missing:
  hpo run --model NHITS_Q --dataset water_centrum --trials 3
  hpo run --model NHITS_Q --dataset water_tommerby --trials 3 --job-id 105
  hpo run --model TFT_Q --dataset water_centrum --trials 50
  hpo run --model TFT_Q --dataset water_tommerby --trials 50
  hpo run --model TIMESNET_Q --dataset heat --trials 3 --job-id 102
  hpo run --model TIMESNET_Q --dataset water_tommerby --trials 50
"""


@pytest.fixture(scope="module")
def nine_made(tmp_path_factory, twin):
    make = Maker(tmp_path_factory.mktemp("nine") / "runs", twin)
    make("NHITS_Q", "100", 3, notebook=executed()).report.touch()
    make("NHITS_Q", "110", 0, dataset="mine")
    killed = executed(ended=False)
    make("NHITS_Q", "107", 1, notebook=killed)
    make("TFT_Q", "101", 2, asked=6, running=2, notebook=killed)
    make("TIMESNET_Q", "102", 1, running=1, notebook=killed)
    make(
        "NHITS_Q",
        "103",
        0,
        dataset="water_centrum",
        notebook=executed(error="the first 3 trials all failed alike"),
    )
    broken = make("TFT_Q", "104", 0, dataset="water_centrum")
    broken.sqlite.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    make(
        "NHITS_Q",
        "105",
        0,
        dataset="water_tommerby",
        notebook=executed(error="none before the study stopped: time"),
    )
    make("TFT_Q", "109", 0, dataset="water_tommerby", test=True)
    broken = make("TFT_Q", "106", 1, dataset="water_tommerby")
    broken.best_params.write_text(
        broken.best_params.read_text(encoding="utf-8")[:200], encoding="utf-8"
    )
    make("TIMESNET_Q", "108", 3, dataset="water_tommerby", test=True, notebook=executed())
    return make.runs_dir


@pytest.fixture
def nine(nine_made, tmp_path):
    """A folder of studies in every state."""
    return shutil.copytree(nine_made, tmp_path / "runs")


@pytest.fixture
def run(nine_made, tmp_path):
    """One of them, complete with three trials, in a folder of its own."""
    shutil.copytree(
        nine_made / "NHITS_Q_heat",
        tmp_path / "runs/NHITS_Q_heat",
        ignore=shutil.ignore_patterns("*107*"),
    )
    return RunPaths(tmp_path / "runs", "NHITS_Q", "heat", "100")


JOBS = [
    Job("201", "hpo_TIMESNET_Q_water_centrum", "PENDING", "Priority"),
    Job("202", "hpo_TIMESNET_Q_water_tommerby", "PENDING", "Priority", "hpo-test"),
    Job("102", "hpo_TIMESNET_Q_heat", "NODE_FAIL"),
]


def test_when_studies_are_in_every_state_then_the_table_says_so_with_causes_and_commands(nine):
    before = {file: file.read_bytes() for file in nine.rglob("*") if file.is_file()}
    with Liveness(RunPaths(nine, "TFT_Q", "heat", "101"), "1"):
        rows = status.as_rows(status.study_statuses(nine, JOBS), slurm=False)
    text = status.table_text(rows, slurm=False).replace(str(nine), "runs")
    assert max(len(line) for line in text.splitlines()[:10]) <= 100
    assert re.sub(r"(not a (readable|complete)) .*", r"\1", text) + "\n" == GOLDEN
    locks = set(RunPaths(nine, "TFT_Q", "heat", "101").workers.iterdir())
    assert {
        file: file.read_bytes() for file in nine.rglob("*") if file.is_file() and file not in locks
    } == before


def test_when_slurm_is_there_then_the_missing_are_submitted_and_json_holds_what_the_table_shows(
    nine, monkeypatch
):
    monkeypatch.setattr("hpo_lib.launch.slurm.jobs", lambda: [])
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    shown = hpo("status --runs-dir", nine, code=1).out  # two studies are corrupt
    submitted = f"  slurm/submit_job.sh TIMESNET_Q heat 3 --job-id 102 --runs-dir {nine}\n"
    assert submitted in shown.partition("To submit what is missing:\n")[2]
    rows = json.loads(hpo("status --json --runs-dir", nine, code=1).out)
    assert len(rows) == 9 + 3
    assert (rows[0]["job_ids"], rows[0]["unit"]) == (["100", "107"], "kWh/h")
    assert rows[0]["mae"] == pytest.approx(0.34645, abs=1e-5)
    assert rows[1]["mae"] is None
    assert [row["test"] for row in rows[9:]] == [False, True, True]


def test_when_every_trial_failed_and_no_notebook_says_so_then_the_last_cause_is_shown(
    tmp_path, twin
):
    """As after plain papermill, whose notebook is elsewhere; it used to stay as if it had been
    asked to stop.
    """
    run = Maker(tmp_path, twin)("NHITS_Q", "a", 0)
    optuna.load_study(study_name=run.study_name, storage=Storage(run, "sqlite").open()).add_trial(
        create_trial(state=TrialState.FAIL, user_attrs={"cause": "RuntimeError: no memory"})
    )
    found = status.study_status(run, [])
    assert (found.state, found.cause) == ("failed", "RuntimeError: no memory")


def row_of(experiment, runs_dir, jobs):
    rows = status.as_rows(status.study_statuses(runs_dir, jobs), slurm=True)
    return rows[EXPERIMENTS.index(experiment)]


def test_when_the_workers_of_a_study_are_tasks_of_an_array_then_the_table_counts_them(nine):
    name = "hpo_TIMESNET_Q_heat"
    tasks = [
        Job("102_1", name, "FAILED"),
        Job("102_2", name, "RUNNING"),
        Job("102_3", name, "PENDING", "Resources"),
    ]
    tasks += [
        Job(f"301_{number}", "hpo_TIMESNET_Q_water_centrum", "PENDING", "Priority")
        for number in (1, 2)
    ]

    def shown(experiment, jobs):
        row = row_of(experiment, nine, jobs)
        return row["state"], row["job_ids"]

    assert shown(("TIMESNET_Q", "heat"), tasks) == (
        "running 1 of 3, 1 h left, 1 of 3 workers, simulated data",
        ["102"],
    )
    assert shown(("TIMESNET_Q", "water_centrum"), tasks) == (
        "queued (Priority), 0 of 2 workers",
        ["301"],
    )
    assert shown(("TIMESNET_Q", "heat"), [replace(task, state="PENDING") for task in tasks]) == (
        "queued 1 of 3, 0 of 3 workers, simulated data",
        ["102"],
    )
    ended = [replace(tasks[0], state="COMPLETED"), replace(tasks[1], state="TIMEOUT")]
    assert shown(("TIMESNET_Q", "heat"), ended) == ("interrupted 1 of 3, simulated data", ["102"])
    assert row_of(("TIMESNET_Q", "heat"), nine, ended)["cause"] == "Slurm says TIMEOUT"


def test_when_a_worker_failed_then_the_study_failed_and_the_busiest_counts_the_attempts(nine):
    second = RunPaths(nine, "NHITS_Q", "water_tommerby", "105", worker=2)
    write_json(second.notebook, executed(error="no space left on device"))
    write_json(second.attempt_notebook(1), executed(ended=False))
    row = row_of(("NHITS_Q", "water_tommerby"), nine, [])
    assert (row["state"], row["job_ids"]) == ("failed", ["105"])
    assert (row["cause"], row["attempts"]) == ("StudyError: no space left on device", 2)


def test_when_a_study_was_killed_then_the_tables_say_interrupted_without_asking_slurm(
    nine, monkeypatch
):
    """Its record still says that it runs, since a killed process writes nothing."""
    asked = nine / "asked"
    for program in ("squeue", "sacct"):
        (file := nine / program).write_text(f"#!/bin/sh\ntouch {asked}\n", encoding="utf-8")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(nine), prepend=os.pathsep)
    with Liveness(RunPaths(nine, "TFT_Q", "heat", "101"), "1"):
        table = studies_frame(load_studies(nine)[0]).set_index("job_id")["status"]
    assert {job_id: table[job_id] for job_id in ("100", "101", "102")} == {
        "100": "complete",
        "101": "running",
        "102": "interrupted",
    }
    assert not asked.exists()
    page = write_page(StoredStudy.read(RunPaths(nine, "TIMESNET_Q", "heat", "102"))).read_text(
        encoding="utf-8"
    )
    assert "not complete yet: 1 complete in" in page


def test_when_several_studies_are_in_one_state_then_the_newest_is_shown_and_none_is_done(nine):
    for seconds, run in enumerate(
        RunPaths(nine, "TIMESNET_Q", "water_tommerby", job_id) for job_id in ("301", "302")
    ):
        write_json(run.notebook, executed())
        os.utime(run.notebook, (seconds, seconds))
    row = row_of(("TIMESNET_Q", "water_tommerby"), nine, [])
    assert (row["state"], row["job_id"], row["job_ids"]) == ("interrupted", "302", ["301", "302"])


@pytest.mark.parametrize("command", ["status", "analyze"])
def test_when_a_record_holds_what_a_terminal_obeys_then_it_is_not_printed(command, nine):
    run = RunPaths(nine, "NHITS_Q", "heat", "100")
    change(run.best_params, ("provenance", "data", "unit"), lambda _: "\x1b[2J\x9bm3/h")
    out = hpo(command, "--runs-dir", nine, code=None).out
    assert "m3/h" in out.replace("m³", "m3")
    assert not {"\x1b", "\x9b"} & {*out}


def test_when_status_is_asked_for_then_no_training_library_is_loaded(nine):
    script = (
        "import sys; from hpo_lib.cli.main import main; main(sys.argv[1:]); sys.exit(str([m for m "
        "in ('torch', 'darts', 'neuralforecast', 'papermill') if m in sys.modules]))"
    )
    ended = python(PROJECT_ROOT, "-c", script, "status", "--runs-dir", str(nine))
    assert ended.stderr == "[]\n"
    assert ended.stdout.splitlines()[1].startswith("NHITS_Q     heat            done 3 of 3")


@pytest.fixture
def run_verify(tmp_path):
    """``hpo verify`` with an empty data folder: exit code, output and errors."""
    return lambda *words, code: hpo("verify", *words, "--data-dir", tmp_path, code=code)


def test_when_nothing_has_changed_then_every_figure_is_recomputed_wherever_the_folder_is(
    run, tmp_path, run_verify
):
    moved = tmp_path / "elsewhere/copied"
    shutil.move(run.runs_dir, moved)
    text = run_verify("--runs-dir", moved, code=0).out
    file = replace(run, runs_dir=moved).best_params
    found = re.fullmatch(rf"ok     {re.escape(str(file))}: (\d+) figures recomputed\n", text)
    assert int(found[1]) > 100
    stored = read_json(file, "a record")["storage_path"]
    study = optuna.load_study(
        study_name=run.study_name, storage=stored.replace("///", f"///{file.parent}/")
    )
    assert len(study.trials) == 3


@pytest.mark.parametrize(
    "key",
    [
        "best_mae",
        "best_picp",
        "best_params.lr",
        "best_trial_number",
        "validation_metrics.mase",
        "validation_metrics.by_step.picp[7]",
        "baselines.naive_24h.winkler",
        "default_trial.mae",
        "all_pareto_trials[0].picp_penalty",
        "all_pareto_trials[1].params.lr",
    ],
)
def test_when_a_figure_was_changed_then_verify_fails_and_names_file_key_and_both_values(
    key, run, run_verify
):
    true, wrong = change(
        run.best_params,
        tuple(int(name) if name.isdecimal() else name for name in re.findall(r"\w+", key)),
        lambda value: 1 - value if isinstance(value, int) else value * (1 + 1e-6) + 1e-6,
    )
    drift = f"DRIFT  {run.best_params}: {key} is {wrong!r}, recomputed {true!r}\n"
    assert run_verify(run.best_params, code=1) == (1, drift, "")


def test_when_predictions_or_data_changed_or_are_lost_then_verify_checks_what_it_can_and_fails(
    run, run_verify
):
    file = run.trial_predictions(read_json(run.best_params, "a record")["best_trial_number"])
    forecasts = load_predictions(file)
    values = forecasts.values.copy()
    values[0, 0, 0] -= 0.5
    write_predictions(file, replace(forecasts, values=values))
    text = run_verify(run.best_params, code=1).out
    assert "validation_metrics.mean_width is " in text
    assert "validation_metrics.mae is " not in text, "the median is as it was"
    file.unlink()
    text = run_verify(run.best_params, code=2).out
    lost = f"LOST   {run.best_params}: {file}: no such file; expected stored predictions of a trial"
    assert text.splitlines() == [lost]
    write_predictions(file, forecasts)
    change(run.best_params, ("provenance", "data", "sha256"), lambda _: "0" * 64)
    first, second = run_verify(run.best_params, code=2).out.splitlines()[:2]
    lost = f"LOST   {run.best_params}: {run.scales}: no such file; expected scales of its data"
    note = "note   scores of the naive forecasts are not recomputed, since the study had data with"
    assert first == lost
    assert second.startswith(f"{note} sha256 000000000000 and ")


def test_when_the_data_are_not_there_then_scales_beside_the_record_serve_unless_of_other_data(
    run, twin, run_verify
):
    _, fingerprint = change(run.best_params, ("provenance", "data", "sha256"), lambda _: "0" * 64)
    write_scales(run.scales, twin, twin.validation_origins)
    text = run_verify(run.best_params, code=1).out
    assert text.startswith("BROKEN")
    assert f"is of data with sha256 {twin.sha256[:12]}, the record beside it of 0000" in text
    change(run.scales, ("sha256",), lambda _: fingerprint)
    assert run_verify(run.best_params, code=0).out.startswith("ok")
    change(run.scales, ("mase",), lambda scale: 2 * scale)
    assert "DRIFT" in run_verify(run.best_params, code=1).out


@pytest.mark.parametrize("with_storage", [True, False])
def test_when_front_or_choice_were_altered_then_verify_finds_it_from_all_stored_predictions(
    with_storage, run, run_verify
):
    if not with_storage:
        run.sqlite.unlink()
    text = run_verify(run.best_params, code=0).out
    noted = (
        "note   " in text
        and "the parameters of trials are not compared, since the study's storage is not" in text
    )
    assert noted == (not with_storage)
    whole = read_json(run.best_params, "a record")
    front = whole["all_pareto_trials"]
    default = whole["default_trial"]
    (other,) = (entry for entry in front if entry["trial"] != whole["best_trial_number"])
    altered = {
        "a front cut to its first entry": {"all_pareto_trials": front[:1], "n_pareto_optimal": 1},
        "another default trial": {"default_trial": other if default["trial"] == 0 else front[0]},
        "another choice": {
            "best_trial_number": other["trial"],
            "best_mae": other["mae"],
            "best_picp": other["picp"],
            "chosen_trial": other,
            "best_params": other["params"],
        },
    }
    for what, changes in altered.items():
        write_json(run.best_params, {**whole, **changes})
        assert "DRIFT  " in run_verify(run.best_params, code=1).out, what


def test_when_a_trial_a_parameter_or_the_preset_was_invented_then_verify_tells(run, run_verify):
    change(
        run.best_params, ("all_pareto_trials",), lambda front: [*front, {**front[0], "mae": 9.0}]
    )
    change(run.best_params, ("best_params",), lambda params: {**params, "width": 3})
    change(run.best_params, ("provenance", "preset"), lambda _: "a100")
    told = run_verify(run.best_params, code=1).out
    assert ".mae is 9.0, recomputed None" in told
    assert "best_params.width is 3, recomputed None" in told
    assert "provenance.preset is 'a100', its storage has 'laptop'" in told


def test_when_not_every_complete_trial_is_there_then_verify_says_that_the_front_is_not_recomputed(
    run, run_verify
):
    sentence = (
        "the front and the choice from it are not recomputed, since the record counts 2 "
        "complete trials and 3 are there;"
    )
    change(run.best_params, ("n_completed",), lambda count: count - 1)
    assert sentence in run_verify(run.best_params, code=2).out
    run.sqlite.unlink()
    assert sentence in run_verify(run.best_params, code=2).out


def test_when_the_file_itself_is_missing_then_the_command_was_given_a_wrong_name(
    tmp_path, run_verify
):
    sentence = f"hpo: {tmp_path}/none.json: no such file; expected a best_params JSON of a "
    sentence += "study or a CSV of a benchmark\n"
    assert run_verify(tmp_path / "none.json", code=2) == (2, "", sentence)


def test_when_a_record_states_a_tolerance_then_its_front_is_checked_with_that_one(run, run_verify):
    assert StoredStudy.of_file(run.best_params).objectives == PAIR
    change(
        run.best_params, ("objectives", 1, "tolerance"), lambda _: 10.0
    )  # the penalties of the front are 1.8 and 8.3
    text = run_verify(run.best_params, code=1).out
    assert f"{run.best_params}: n_pareto_optimal is 2, recomputed 1\n" in text
    change(run.best_params, ("objectives", 0, "name"), lambda _: "mea")
    sentence = f"{run.best_params}: objective 'mea' is unknown to this version; update hpo_lib"
    assert run_verify(run.best_params, code=1) == (1, f"BROKEN {sentence}\n", "")


def test_when_a_study_has_three_other_objectives_then_status_names_them_and_verify_recomputes_them(
    twin, tmp_path, run_verify
):
    three = tuple(
        OBJECTIVES[name] for name in ("winkler_calibrated", "pinball", "picp_penalty_calibrated")
    )
    run = Maker(tmp_path / "runs", twin)(
        "NHITS_Q", "other", 3, objectives=three, notebook=executed()
    )
    state = row_of(("NHITS_Q", "heat"), tmp_path / "runs", [])["state"]
    assert (
        state == "done 3 of 3, by winkler_calibrated and pinball and picp_penalty_calibrated, "
        "simulated data"
    )
    run_verify(run.best_params, code=0)
    true, wrong = change(
        run.best_params, ("all_pareto_trials", 0, "values", "pinball"), lambda value: value * 2
    )
    assert (
        f"values.pinball is {wrong!r}, recomputed {true!r}"
        in run_verify(run.best_params, code=1).out
    )


VERIFIED = """\
ok     runs/NHITS_Q_heat/best_params_NHITS_Q_heat_100.json: N figures recomputed
ok     runs/NHITS_Q_heat/best_params_NHITS_Q_heat_107.json: N figures recomputed
ok     runs/TFT_Q_heat/best_params_TFT_Q_heat_101.json: N figures recomputed
none   runs/TFT_Q_heat/best_params_TFT_Q_heat_7.json: written before predictions were stored, \
so nothing can be recomputed
BROKEN runs/TFT_Q_water_tommerby/best_params_TFT_Q_water_tommerby_106.json: \
not a complete JSON file (Unterminated string starting at: line 9 column 3 (char 191)); \
remove it or write it again from its study
ok     runs/TIMESNET_Q_heat/best_params_TIMESNET_Q_heat_102.json: N figures recomputed
LOST   runs/TIMESNET_Q_water_tommerby/best_params_TIMESNET_Q_water_tommerby_108.json: \
runs/TIMESNET_Q_water_tommerby/scales_TIMESNET_Q_water_tommerby_108.json: \
no such file; expected scales of its data
note   scores of the naive forecasts are not recomputed, since the study had data with sha256 \
0123456789ab and simulated twin of water_tommerby has 0123456789ab; \
name the folder of that data with --data-dir
"""


def test_when_files_are_corrupt_old_or_absent_then_verify_says_which(nine, tmp_path, run_verify):
    old = nine / "TFT_Q_heat/best_params_TFT_Q_heat_7.json"
    write_json(old, {"model": "TFT_Q", "dataset": "heat", "best_params": {}})
    text = run_verify("--runs-dir", nine, code=1).out
    text = re.sub(r"\d+ figures", "N figures", text.replace(str(nine), "runs"))
    assert re.sub(r"\b[0-9a-f]{12}\b", "0123456789ab", text) == VERIFIED
    run_verify("--runs-dir", nine, "--json", code=1)
    error = (
        f"hpo: {tmp_path / 'none'}: holds no best_params JSON; name a folder with "
        "--runs-dir, or a file\n"
    )
    assert run_verify("--runs-dir", tmp_path / "none", code=2) == (2, "", error)


def test_when_a_record_names_a_database_then_status_connects_to_none_that_the_user_did_not_name(
    tmp_path, twin
):
    """A record may come from anybody, and a connection would hand over the user's password."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql+psycopg2://victim@127.0.0.1:{server.getsockname()[1]}/db"
        run = Maker(tmp_path, twin)("NHITS_Q", "a", 1)
        write_json(run.best_params, {**read_json(run.best_params, "a record"), "storage_path": url})
        run.sqlite.unlink()
        server.settimeout(0.2)
        for named in ("", url.replace("victim", "me")):
            status.study_status(run, [], named)
            with pytest.raises(TimeoutError):
                server.accept()
