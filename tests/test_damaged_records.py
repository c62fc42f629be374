"""Damaged records: each is refused where it is read, with its file and what is wrong, and all
others are reported.
"""

import json
import random
import re
import shutil
import sqlite3
from contextlib import closing, suppress

import numpy as np
import pandas as pd
import pytest

from hpo_lib.daily.versions import in_use
from hpo_lib.errors import HpoError, InputError
from hpo_lib.figures.evidence import find_evidence
from hpo_lib.figures.explorer import trial_counts, trial_facts
from hpo_lib.figures.studies import PICTURES
from hpo_lib.figures.tables import TABLES, improvement_report, load_studies, studies_frame
from hpo_lib.launch import status
from hpo_lib.paths import ModelPaths, RunPaths
from hpo_lib.records import read_write
from hpo_lib.records.provenance import data_provenance
from hpo_lib.records.read_write import load_predictions, read_json, read_record, write_json
from hpo_lib.records.result import load_result
from hpo_lib.records.study import StoredStudy
from hpo_lib.records.trainings import read_training
from tests.conftest import CODE, change, hpo, refusal


@pytest.fixture
def runs(stored_studies, tmp_path, tiny_dataset):
    """Two studies, the first with its storage."""
    runs = shutil.copytree(stored_studies, tmp_path / "runs")
    provenance = {**CODE, "preset": "laptop", "data": data_provenance(tiny_dataset)}
    for file in runs.glob("*/best_params*.json"):
        write_json(file, {**read_json(file, "a record"), "provenance": provenance})
    return runs


@pytest.fixture
def run(runs):
    """The first of them."""
    return RunPaths(runs, "NHITS_Q", "heat", "first")


# Best_params JSONs

WRONG = {
    ("best_mae",): (float("nan"), "not a complete JSON file (NaN is no number of JSON)"),
    ("best_picp",): (None, "best_picp is None, expected a valid number"),
    ("best_params", "lr"): ([1], "best_params.lr"),
    ("all_pareto_trials",): ([], "all_pareto_trials is [], expected"),
    ("all_pareto_trials", 0, "mae"): ("0.2", "trial 2: mae is '0.2', expected a valid number"),
    ("all_pareto_trials", 1, "picp"): (None, "trial 3: it is complete, but has no picp"),
    ("all_pareto_trials", 1, "values"): (
        {"mae": 0.2},
        "trial 3: it is complete, but has no picp_penalty",
    ),
    ("best_trial_number",): (77, "best_trial_number is 77, which is none of its trials"),
    ("selection",): ("calibrated", "selection is 'calibrated', expected"),
    ("validation_metrics", "by_step"): (
        {"mae": [0.1, "x"]},
        "validation_metrics.by_step.mae[1] is 'x', expected",
    ),
    ("provenance", "data", "val_end"): (
        "soon",
        "provenance.data.val_end is 'soon', expected a time with its zone",
    ),
    ("objectives", 0): ("mae", "objectives[0] is 'mae', expected"),
    ("job_id",): ("../../elsewhere", "job_id is '../../elsewhere', expected"),
    ("training_time_hours",): (True, "training_time_hours is True, expected a valid number"),
    ("failures",): (
        [{"trial": -1, "cause": ""}],
        "failures[0].trial is -1, expected greater than or equal to 0",
    ),
}


@pytest.mark.parametrize("place", WRONG, ids=str)
def test_when_a_value_is_of_the_wrong_kind_then_file_key_and_expectation_are_named(place, run):
    value, sentence = WRONG[place]
    change(run.best_params, place, lambda _: value)
    with pytest.raises(InputError, match=rf"\A{re.escape(f'{run.best_params}: {sentence}')}"):
        load_result(run.best_params)


WHOLE = '"model": "TFT_Q", "dataset": "heat", "best_params": {}'
CUT_OFF = (
    "not a complete JSON file (Expecting value: {}); remove it or write it again from its study"
)
RECORD = "a best_params JSON of a study"
AGAIN = "restore the file from a copy, or write it again"
NO_RECORD = {
    '{"model": "TFT_Q", "dataset": ': CUT_OFF.format("line 1 column 31 (char 30)"),
    "": CUT_OFF.format("line 1 column 1 (char 0)"),
    "[1, 2]": f"holds a list, expected the JSON object of {RECORD}",
    "null": f"holds a NoneType, expected the JSON object of {RECORD}",
    **{
        content: f"key {key!r} is missing, expected {RECORD}; {AGAIN}"
        for key, content in {
            "model": '{"name": "x"}',
            "dataset": '{"model": "TFT_Q"}',
            "best_params": '{"model": "TFT_Q", "dataset": "heat"}',
        }.items()
    },
    **{
        f'{{{WHOLE}, "schema_version": {version}}}': sentence
        for version, sentence in {
            "3": "schema_version is 3, this version reads up to 2; update hpo_lib",
            '"new"': f"schema_version is 'new', expected a valid integer; {AGAIN}",
            "null": f"schema_version is None, expected a valid integer; {AGAIN}",
        }.items()
    },
}


@pytest.mark.parametrize("content", NO_RECORD)
def test_when_a_file_is_no_record_then_one_sentence_says_how(tmp_path, content):
    file = tmp_path / "best_params.json"
    file.write_text(content, encoding="utf-8")
    with refusal(f"{file}: {NO_RECORD[content]}"):
        load_result(file)


def test_when_a_record_is_no_text_absent_or_a_folder_then_the_sentence_says_so(tmp_path):
    (file := tmp_path / "best_params.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(InputError, match=rf"\A{re.escape(str(file))}: not a complete JSON file"):
        load_result(file)
    with refusal(f"{tmp_path}/absent: no such file; expected a best_params JSON of a study"):
        load_result(tmp_path / "absent")
    folder = "cannot be read (Is a directory); give a best_params JSON of a study"
    with refusal(f"{tmp_path}: {folder}"):
        load_result(tmp_path)


def test_when_a_json_is_nested_too_deeply_or_huge_then_the_sentence_says_so(tmp_path, monkeypatch):
    file = tmp_path / "deep.json"
    file.write_text("[" * 200_000, encoding="utf-8")
    with pytest.raises(InputError, match=r"deep\.json: is nested too deeply to be a record"):
        read_json(file, "a record")
    assert "nested too deeply" in read_record(file).error
    file.write_text("9" * 5000, encoding="utf-8")
    with pytest.raises(InputError, match=r"deep\.json: not a complete JSON file"):
        read_json(file, "a record")
    monkeypatch.setattr(read_write, "MAX_JSON_BYTES", 1000)
    with pytest.raises(
        InputError, match=r"deep\.json: has 0 MB, expected a record of a few at most"
    ):
        read_json(file, "a record")


BAD = (None, "x", -1, 3.5, [], {}, True, [None], {"a": None}, 10**30, "2019", {"x": [1]}, 0, 77)


def places(value, at=()):
    if at:
        yield at
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value[:2])
        if isinstance(value, list)
        else ()
    )
    for name, part in inner:
        yield from places(part, (*at, name))


def report(run):
    """All that status, analyze, figures and explorer take from a study."""
    studies = status.study_statuses(run.runs_dir, [])
    status.table_text(status.as_rows(studies, slurm=False), slurm=False)
    _ = improvement_report(studies_frame(load_studies(run.runs_dir)[0]))
    evidence = find_evidence(run.runs_dir, run.runs_dir / "none")
    of_studies = (make for make, kind in TABLES.values() if getattr(evidence, kind))
    for make in (*(make for make, _ in PICTURES.values()), *of_studies):
        make(evidence)
    for study in evidence.studies:
        trial_facts(study, study.chosen.number)
        assert trial_counts(study) + study.label


@pytest.mark.parametrize("number", [8, pytest.param(400, marks=pytest.mark.hardening)])
def test_when_any_value_of_a_record_is_replaced_then_it_is_reported_or_refused_but_nothing_breaks(
    number, run
):
    whole = run.best_params.read_bytes()
    dice = random.Random(4)
    every = [(place, bad) for place in places(json.loads(whole)) for bad in BAD]
    refused = 0
    for place, bad in dice.sample(every, number):
        run.best_params.write_bytes(whole)
        change(run.best_params, place, lambda _, bad=bad: bad)
        try:
            load_result(run.best_params)
        except InputError:
            refused += 1
        with suppress(HpoError):  # anything else is a report that breaks
            report(run)
    assert refused > number / 3


# Studies in their storage

SQL = {
    "a score is a text": 'update trial_user_attributes set value_json = \'{"mae": "x", "picp": '
    "80}'",
    "scores are a list": "update trial_user_attributes set value_json = '[1]' where trial_id = 1",
    "no JSON": "update trial_user_attributes set value_json = '{'",
    "a value is a text": "update trial_values set value = 'x'",
    "an objective too many": "update trial_values set objective = 9 where objective = 1",
    "an unknown state": "update trials set state = 'DONE'",
    "a parameter beyond its range": "update trial_params set param_value = 1e9",
    "an unknown distribution": "update trial_params set distribution_json = '{}'",
    "no values": "delete from trial_values",
    "a missing table": "drop table trial_values",
    "no trials": "delete from trials",
    "another number of trials": "insert into study_user_attributes values (99, 1, "
    "'trials_asked', '\"x\"')",
    "no version": "delete from alembic_version",
}


@pytest.mark.parametrize("damage", SQL)
def test_when_a_storage_is_damaged_then_status_says_so_and_the_figures_have_the_other_study(
    damage, run, tmp_path
):
    with closing(sqlite3.connect(run.sqlite)) as connection:
        connection.execute(SQL[damage])
        connection.commit()
    with pytest.raises(InputError, match=re.escape(run.study_name)):
        _ = StoredStudy.read(run).trials
    report(run)
    assert status.study_status(run, []).state == "corrupt"
    evidence = find_evidence(run.runs_dir, tmp_path / "none")
    assert [study.model for study in evidence.studies] == ["TFT_Q"]
    assert any(run.study_name in note for note in evidence.notes)


def test_when_bytes_of_a_storage_are_overwritten_then_nothing_breaks(run):
    whole = run.sqlite.read_bytes()
    dice = random.Random(1)
    refused = 0
    for length in (1, 100, 20_000) * 2:
        damaged = bytearray(whole)
        at = dice.randrange(len(whole) - length)
        damaged[at : at + length] = dice.randbytes(length)
        run.sqlite.write_bytes(damaged)
        report(run)
        refused += status.study_status(run, []).state == "corrupt"
    assert refused > 1


@pytest.mark.parametrize(
    "line", ["hello", "[1]", '{"op_code": 99, "worker_id": "x"}', '{"op_code": 4}', "\x00"]
)
def test_when_a_journal_has_a_foreign_line_then_the_study_is_corrupt_and_named(line, tmp_path):
    import optuna

    from hpo_lib.records.storage import Storage

    run = RunPaths(tmp_path, "TFT_Q", "heat", "4711")
    optuna.create_study(study_name=run.study_name, storage=Storage(run, "journal").open()).ask()
    first, *others = run.journal.read_bytes().splitlines(keepends=True)
    run.journal.write_bytes(b"".join([first, line.encode(), b"\n", *others]))
    assert status.study_status(run, []).cause.startswith(f"{run.journal}: not a readable study (")
    with pytest.raises(InputError, match=rf"\A{re.escape(str(run.journal))}: not a readable study"):
        Storage(run, "journal").open()


# Forecasts


def crossing(frame):
    return frame.assign(q10=frame["q90"] + 1)


# Tables that are no forecasts at all are in test_forecasts.py.
FORECASTS = {
    "NaN": (lambda frame: frame.assign(q50=np.nan), "40 of 40 forecasts hold NaN or infinity"),
    "crossing": (crossing, "quantiles cross"),
    "no actual values": (lambda frame: frame.assign(actual=np.nan), "actual values are not finite"),
    "no time zone": (
        lambda frame: frame.assign(origin=frame["origin"].dt.tz_localize(None)),
        "no time zone",
    ),
    "origins are numbers": (lambda frame: frame.astype({"origin": "int64"}), "no time zone"),
    "no median": (lambda frame: frame.drop(columns="q50"), "no median"),
    "no step": (
        lambda frame: frame.drop(columns="step"),
        "column 'step' is missing, expected origin, step, actual, q10 ...",
    ),
}


@pytest.mark.parametrize("kind", FORECASTS)
def test_when_stored_forecasts_are_damaged_then_file_and_reason_are_named(kind, run):
    damage, sentence = FORECASTS[kind]
    file = run.trial_predictions(4)
    damage(pd.read_parquet(file)).to_parquet(file)
    with pytest.raises(InputError, match=rf"\A{re.escape(str(file))}: .*{re.escape(sentence)}"):
        load_predictions(file)


def test_when_stored_forecasts_are_absent_or_no_parquet_then_the_sentence_says_so(tmp_path):
    file = tmp_path / "trial_0000.parquet"
    with refusal(f"{file}: no such file; expected stored predictions of a trial"):
        load_predictions(file)
    file.write_text("origin,step\n", encoding="utf-8")
    start = re.escape(f"{file}: not a readable parquet file (")
    with pytest.raises(InputError, match=rf"\A{start}(?s:.*)\); write it again\Z"):
        load_predictions(file)


# Commands


def test_when_one_record_is_damaged_then_each_command_names_it_reports_the_others_and_ends_with_1(
    run, tmp_path
):
    commands = {
        "status": "TFT_Q",
        "analyze": "water_centrum",
        f"consolidate --out {tmp_path}/tables": "(1 studies)",
        f"figures --out {tmp_path}/thesis --benchmark-dir {tmp_path}": "model_cards: 1 files",
    }
    for words in commands:
        hpo(words, "--runs-dir", run.runs_dir)
    change(run.best_params, ("all_pareto_trials", 0, "mae"), lambda _: None)
    sentence = (
        f"{run.best_params}: trial 2: it is complete, but has no mae; restore the file from a copy"
    )
    for words, other in commands.items():
        text = hpo(words, "--runs-dir", run.runs_dir, code=1).out
        assert (sentence in text, other in text) == (True, True), words
    said = hpo("verify --data-dir", tmp_path, "--runs-dir", run.runs_dir, code=1)
    assert f"BROKEN {sentence}" in said.out


def test_when_the_forecasts_of_a_choice_are_damaged_then_figures_write_the_other_and_end_with_1(
    run, tmp_path
):
    file = run.trial_predictions(4)
    crossing(pd.read_parquet(file)).to_parquet(file)
    folders = f"--runs-dir {run.runs_dir} --out {tmp_path} --benchmark-dir {tmp_path}"
    text = hpo(f"figures {folders}", code=1).out
    assert f"note: No card of NHITS_Q on heat: {file}: holds no forecasts (quantiles cross" in text
    assert "model_cards: 1 files" in text


# Trainings of a benchmark

TRAINING = {
    "model": "TFT_Q",
    "params": "best",
    "seed": 42,
    "key": {"data": {}, "version": 1},
    "seconds": 1.0,
    "provenance": {},
    "sha256": {},
}


@pytest.mark.parametrize(
    "place, value, sentence",
    [
        (("params",), "tuned", "params is 'tuned'; allowed: best"),
        (("seed",), "42", "seed is '42', expected a valid integer"),
        (("key",), {}, "key 'key.data' is missing"),
        (("provenance",), {"data": {"train_end": 7}}, "provenance.data.train_end is 7, expected"),
        (("model",), "../TFT_Q", "model is '../TFT_Q', expected"),
    ],
)
def test_when_the_record_of_a_training_is_damaged_then_file_and_key_are_named(
    place, value, sentence, tmp_path
):
    write_json(file := tmp_path / "record.json", TRAINING)
    assert read_training(file) == TRAINING
    change(file, place, lambda _: value)
    with pytest.raises(InputError, match=rf"\A{re.escape(f'{file}: {sentence}')}"):
        read_training(file)


# Models in use

FACTS = {
    "key": {
        "data": {"train_end": "2019-05-23 23:00:00+00:00", "val_end": "2019-05-31 23:00:00+00:00"},
        "version": 1,
    },
    "params": {"lr": 0.001},
    "preset": "test",
    "trained_until": "2019-06-07 23:00:00+00:00",
    "relative_mae": 0.8,
    "provenance": {"data": {"source": "csv"}},
    "sha256": {},
}


@pytest.mark.parametrize(
    "place, value, sentence",
    [
        (("relative_mae",), None, "relative_mae is None, expected a valid number"),
        (
            ("trained_until",),
            "2019-06-07",
            "trained_until is '2019-06-07', expected a time with its zone",
        ),
        (("key", "data"), [], "key.data is [], expected"),
        (("params",), "best", "params is 'best', expected"),
    ],
)
def test_when_the_card_of_the_model_in_use_is_damaged_then_file_and_key_are_named(
    place, value, sentence, tmp_path
):
    models = ModelPaths(tmp_path, "TFT_Q", "heat")
    write_json(models.training(1).record, FACTS)
    write_json(models.current, {"version": 1})
    assert in_use(models).facts == FACTS
    change(models.training(1).record, place, lambda _: value)
    with pytest.raises(
        InputError, match=rf"\A{re.escape(f'{models.training(1).record}: {sentence}')}"
    ):
        in_use(models)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"version": "x"}', '{"version": null}', "[" * 100_000]
)
def test_when_the_name_of_the_model_in_use_is_damaged_then_the_sentence_says_what_to_write(
    content, tmp_path
):
    models = ModelPaths(tmp_path, "TFT_Q", "heat")
    models.folder.mkdir()
    models.current.write_text(content, encoding="utf-8")
    with pytest.raises(
        InputError, match=rf"\A{re.escape(str(models.current))}: does not name a version; write"
    ):
        in_use(models)
