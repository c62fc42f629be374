"""The benchmark: stored trainings, an interruption, tables that follow from the files, and the nine
cells on twins.
"""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpo_lib.baselines.contract import get_baseline
from hpo_lib.benchmark.tables import comparison_table, load_rows, make_tables, write_tables
from hpo_lib.benchmark.train import Plan, _drop_others, _Task, make_plan, run_benchmark
from hpo_lib.cli.main import main
from hpo_lib.data.dataset import Dataset
from hpo_lib.errors import InputError
from hpo_lib.paths import BenchmarkPaths
from hpo_lib.records.trainings import MODEL_VERSION, Training, load_trainings, training_key
from hpo_lib.scoring.blend import blend
from hpo_lib.scoring.calibration import Calibration, calibrate
from hpo_lib.scoring.forecasts import QuantileForecasts

CALIBRATION = Calibration("rolling", days=14)
TREES = "LIGHTGBM_LINEAR_Q", "LIGHTGBM_Q"
OTHERS = "LINEAR_Q", "NAIVE_168H", "NAIVE_24H", "RESIDUAL_LINEAR"
OWN = [(model, "own") for model in (*TREES, *OTHERS)]


def quick_plan(dataset: Dataset, out: Path, **other: object) -> Plan:
    """The baselines alone, with two seeds, at the smallest budget."""
    plan = Plan(
        dataset=dataset,
        models=(),
        params="default",
        preset="test",
        recipe="standard",
        seeds=2,
        refit=False,
        runs_dir=out / "runs",
        out=out,
    )
    return dataclasses.replace(plan, **other)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A benchmark that has run; nobody may change its files."""
    plan = quick_plan(tiny_dataset, tmp_path_factory.mktemp("benchmark"))
    assert run_benchmark(plan, say=lambda _: None) == []
    return plan


def copied(finished: Plan, out: Path) -> Plan:
    """The same benchmark in a folder that a test may change."""
    plan = dataclasses.replace(finished, out=out)
    plan.paths.runs.mkdir(parents=True)
    for file in finished.paths.runs.iterdir():
        (plan.paths.runs / file.name).write_bytes(file.read_bytes())
    return plan


def stored_frame(
    paths: BenchmarkPaths, model: str, params: str, seed: int, split: str
) -> pd.DataFrame:
    return pd.read_parquet(paths.training(model, params, seed).forecasts[split])


# Trainings


def test_when_a_benchmark_has_run_then_every_training_has_a_record_and_forecasts_of_both_splits(
    finished,
) -> None:
    seeds = {
        row: [t.record["seed"] for t in found]
        for row, found in load_trainings(finished.paths, finished.dataset).items()
    }
    assert seeds == {row: [42, 43] if row[0] in TREES else [42] for row in OWN}
    dataset = finished.dataset
    for split, origins in (
        ("validation", dataset.validation_origins),
        ("test", dataset.test_origins),
    ):
        frame = stored_frame(finished.paths, "LIGHTGBM_Q", "own", 43, split)
        assert list(frame.columns) == ["origin", "step", "actual", "q10", "q50", "q90"]
        hours = pd.DatetimeIndex(frame["origin"]) + pd.to_timedelta(frame["step"], unit="h")
        assert len(frame) == 24 * len(origins)
        assert frame["actual"].to_numpy() == pytest.approx(
            dataset.target.loc[hours].to_numpy(), abs=0
        )


def test_when_it_runs_again_then_nothing_is_trained(finished, tmp_path) -> None:
    plan, said = copied(finished, tmp_path), []
    before = {file.name: file.stat().st_mtime_ns for file in plan.paths.runs.iterdir()}
    run_benchmark(plan, say=said.append)
    assert all(line.endswith(": stored") for line in said)
    assert {file.name: file.stat().st_mtime_ns for file in plan.paths.runs.iterdir()} == before


def test_when_the_settings_of_a_baseline_have_changed_then_it_alone_is_retrained(
    finished, tmp_path, monkeypatch
):
    plan, said = copied(finished, tmp_path), []
    baseline = get_baseline("LIGHTGBM_LINEAR_Q")
    monkeypatch.setattr(type(baseline), "settings", {**baseline.settings, "num_leaves": 7})
    notes = run_benchmark(plan, say=said.append)
    assert notes == [
        f"LIGHTGBM_LINEAR_Q-own-seed{seed}.json was made with other parameters, budget or code "
        "and was removed."
        for seed in (42, 43)
    ]
    trained = [line.split("]")[1].split(":")[0] for line in said if "validation MAE" in line]
    assert trained == [" LIGHTGBM_LINEAR_Q own seed 42", " LIGHTGBM_LINEAR_Q own seed 43"]


def test_when_it_is_interrupted_then_the_next_run_goes_on_and_ends_with_the_same_forecasts(
    finished, tmp_path
) -> None:
    plan, said = quick_plan(finished.dataset, tmp_path), []

    def stop_at_the_third(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(plan, say=stop_at_the_third)
    said.clear()
    run_benchmark(plan, say=lambda line: said.append(line.endswith(": stored")))
    assert said == [True] * 3 + [False] * 5
    for model, seed in (("LINEAR_Q", 42), ("LIGHTGBM_Q", 42), ("LIGHTGBM_LINEAR_Q", 43)):
        names = model, "own", seed, "test"
        pd.testing.assert_frame_equal(
            stored_frame(plan.paths, *names), stored_frame(finished.paths, *names)
        )


@pytest.mark.parametrize(
    "lost", ["record", "forecasts", "half a record", "while it was written anew"]
)
def test_when_a_training_is_not_whole_then_it_alone_is_done_again(
    finished, tmp_path, lost, monkeypatch
) -> None:
    plan, said = copied(finished, tmp_path), []
    record, forecasts = plan.paths.training("LIGHTGBM_Q", "own", 43)
    if lost == "half a record":
        record.write_text(record.read_text(encoding="utf-8")[:40], encoding="utf-8")
        with pytest.raises(
            InputError, match=r"LIGHTGBM_Q-own-seed43\.json: not a complete JSON file"
        ):
            load_trainings(plan.paths, plan.dataset)
    elif lost == "record":
        record.unlink()
    elif lost == "while it was written anew":
        monkeypatch.setattr("hpo_lib.records.trainings.write_predictions", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            load_trainings(plan.paths, plan.dataset)["LIGHTGBM_Q", "own"][1].store(plan.paths)
        monkeypatch.undo()
    else:
        forecasts["test"].unlink()
    run_benchmark(plan, say=said.append)
    assert [line.split(":")[0] for line in said if "stored" not in line and "note" not in line] == [
        "[4/8] LIGHTGBM_Q own seed 43"
    ]
    assert len(load_trainings(plan.paths, plan.dataset)["LIGHTGBM_Q", "own"]) == 2


@pytest.mark.parametrize("name", ["sha256", "train_end", "val_end", "test_end"])
def test_when_the_folder_is_of_other_data_or_splits_then_nothing_is_mixed(
    name, finished, tmp_path
) -> None:
    plan = copied(finished, tmp_path)
    file = plan.paths.training("LIGHTGBM_LINEAR_Q", "own", 42).record
    record = json.loads(file.read_text(encoding="utf-8"))
    record["key"]["data"][name] = "0" * 64
    file.write_text(json.dumps(record), encoding="utf-8")
    sentence = (
        rf"LIGHTGBM_LINEAR_Q-own-seed42\.json: was made on other data \({name} is .*\); "
        r"give another --out"
    )
    with pytest.raises(InputError, match=sentence):
        run_benchmark(plan, say=print)
    with pytest.raises(InputError, match=sentence):
        make_tables(plan.paths, plan.dataset, CALIBRATION)


def test_when_the_folder_is_empty_then_the_sentence_says_so(tiny_dataset, tmp_path) -> None:
    with pytest.raises(InputError, match="holds no finished training; run `hpo benchmark` first"):
        make_tables(quick_plan(tiny_dataset, tmp_path).paths, tiny_dataset, CALIBRATION)


def training(
    plan: Plan, model: str, params: str, seed: int, shift: float = 0.0, **key: object
) -> Training:
    """A made-up training: the linear one's forecasts, moved by ``shift``."""
    (found,) = load_trainings(plan.paths, plan.dataset)["LINEAR_Q", "own"]
    validation, test = (
        QuantileForecasts(f.values + shift, f.actual, f.origins)
        for f in (found.validation, found.test)
    )
    record = {"model": model, "params": params, "seed": seed, "seconds": 1.0}
    return Training({**record, "key": training_key(plan.dataset, **key)}, validation, test)


def test_when_a_row_gets_other_parameters_then_its_old_trainings_are_removed_and_no_others(
    finished, tmp_path
) -> None:
    plan = copied(finished, tmp_path)
    for seed in (42, 43):
        training(plan, "NHITS_Q", "best", seed, width=1).store(plan.paths)
    training(plan, "NHITS_Q", "default", 42, width=1).store(plan.paths)
    plan.paths.training("NHITS_Q", "best", 43).record.write_text("{}", encoding="utf-8")
    task = _Task("NHITS_Q", "best", 42, training_key(plan.dataset, width=2), lambda: 1 / 0)
    assert [file.name for file in _drop_others(plan, task)] == [
        "NHITS_Q-best-seed42.json",
        "NHITS_Q-best-seed43.json",
    ]
    rows = load_trainings(plan.paths, plan.dataset)
    assert ("NHITS_Q", "best") not in rows
    assert set(rows) == {*OWN, ("NHITS_Q", "default")}


def test_when_the_same_training_is_there_under_another_label_then_it_is_taken_over(
    finished, tmp_path
) -> None:
    plan, said = copied(finished, tmp_path), []
    own = load_trainings(plan.paths, plan.dataset)["LIGHTGBM_Q", "own"]
    marked = QuantileForecasts(own[1].test.values + 1000, own[1].test.actual, own[1].test.origins)
    twin = {**own[1].record, "params": "best"}
    dataclasses.replace(own[1], record=twin, test=marked).store(plan.paths)
    for seed in (42, 43):
        plan.paths.training("LIGHTGBM_Q", "own", seed).record.unlink()
    run_benchmark(plan, say=said.append)
    assert said[3] == "[4/8] LIGHTGBM_Q own seed 43: the same training as best"
    again = load_trainings(plan.paths, plan.dataset)["LIGHTGBM_Q", "own"]
    assert [t.record["params"] for t in again] == ["own", "own"]
    assert again[0].test.values == pytest.approx(
        own[0].test.values, abs=0
    )  # of another seed: trained
    assert again[1].test.values == pytest.approx(marked.values, rel=1e-6)


def test_when_trainings_are_of_different_code_then_they_do_not_come_into_one_table(
    finished, tmp_path
) -> None:
    plan = copied(finished, tmp_path)
    for model in ("NHITS_Q", "TFT_Q"):
        training(plan, model, "best", 42).store(plan.paths)
    file = plan.paths.training("TFT_Q", "best", 42).record
    record = json.loads(file.read_text(encoding="utf-8"))
    record["key"]["version"] += 1
    file.write_text(json.dumps(record), encoding="utf-8")
    sentence = (
        rf"TFT_Q-best-seed42\.json: was trained by version {MODEL_VERSION + 1} of the models, "
        rf"LIGHTGBM_LINEAR_Q-own-seed42\.json by version {MODEL_VERSION}; run `hpo benchmark` again"
    )
    with pytest.raises(InputError, match=sentence):
        load_trainings(plan.paths, plan.dataset)
    file.unlink()
    assert ("NHITS_Q", "best") in load_trainings(plan.paths, plan.dataset)


def test_when_the_setting_differs_then_the_folder_does(tiny_dataset, tmp_path) -> None:
    plans = [
        quick_plan(tiny_dataset, tmp_path, preset=preset, recipe=recipe, refit=refit)
        for preset in ("test", "laptop")
        for recipe in ("standard", "plain")
        for refit in (False, True)
    ]
    assert len({plan.paths.folder for plan in plans}) == 8


# Tables


def test_when_scores_are_computed_from_the_stored_files_then_they_are_those_of_the_table(
    finished,
) -> None:
    table = make_tables(finished.paths, finished.dataset, CALIBRATION)["table"]
    assert list(table["calibration"]) == ["none", "rolling"] * (len(table) // 2)
    raw = table[table["calibration"] == "none"].set_index("model")
    assert list(raw.index) == [model for model, _ in OWN]
    for model, seeds in (("LIGHTGBM_Q", (42, 43)), ("LINEAR_Q", (42,))):
        frames = [stored_frame(finished.paths, model, "own", seed, "test") for seed in seeds]
        low, median, high = (
            np.mean([f[q].astype(float) for f in frames], axis=0) for q in ("q10", "q50", "q90")
        )
        actual = frames[0]["actual"].to_numpy()
        errors = [np.abs(actual - f["q50"]).mean() for f in frames]
        below, above = np.clip(low - actual, 0, None), np.clip(actual - high, 0, None)
        expected = {
            "mae": np.abs(actual - median).mean(),
            "picp": 100 * ((low <= actual) & (actual <= high)).mean(),
            "winkler": (high - low + 10 * (below + above)).mean(),
            "seed_mae": np.mean(errors),
            "days": 15,
            "seeds": len(seeds),
        }
        assert raw.loc[model, list(expected)].to_dict() == pytest.approx(expected, rel=1e-9)
        assert raw.loc[model, "mae_low"] < expected["mae"] < raw.loc[model, "mae_high"]
    assert raw.loc["LIGHTGBM_Q", "seed_mae_sd"] == pytest.approx(
        np.std(errors_of(finished), ddof=1)
    )
    assert np.isnan(raw.loc["LINEAR_Q", "seed_mae_sd"])


def errors_of(plan: Plan) -> list[float]:
    frames = [stored_frame(plan.paths, "LIGHTGBM_Q", "own", seed, "test") for seed in (42, 43)]
    return [float(np.abs(f["actual"] - f["q50"]).mean()) for f in frames]


def test_when_intervals_are_calibrated_then_the_raw_row_stays_and_mae_does_not_change(
    finished,
) -> None:
    table = make_tables(finished.paths, finished.dataset, CALIBRATION)["table"].set_index(
        ["model", "calibration"]
    )
    raw = make_tables(finished.paths, finished.dataset, Calibration("none"))["table"].set_index(
        "model"
    )
    (row,) = [row for row in load_rows(finished.paths, finished.dataset) if row.model == "LINEAR_Q"]
    corrected = calibrate(row.test, row.validation, finished.dataset.target, CALIBRATION)
    width = float((corrected.upper - corrected.lower).mean())
    assert table.loc[("LINEAR_Q", "rolling"), "mean_width"] == pytest.approx(width)
    for model, _ in OWN:
        assert table.loc[(model, "none"), "picp"] == raw.loc[model, "picp"]
        assert table.loc[(model, "rolling"), "mae"] == pytest.approx(raw.loc[model, "mae"])


def test_when_demand_after_training_changes_then_the_terciles_of_the_coverage_do_not(
    finished,
) -> None:
    frame, dataset = finished.dataset.frame.copy(), finished.dataset
    frame.iloc[dataset.positions.train.stop :, 0] *= 10
    both = dataset, dataclasses.replace(dataset, frame=frame)
    before, after = (
        make_tables(finished.paths, each, Calibration("none"))["coverage"] for each in both
    )
    pd.testing.assert_frame_equal(after, before)


def test_when_tables_are_written_then_the_files_hold_what_was_computed(finished, tmp_path) -> None:
    plan = copied(finished, tmp_path)
    tables = make_tables(plan.paths, plan.dataset, CALIBRATION)
    files = write_tables(plan.paths, tables)
    assert [file.name for file in files] == [
        "table.csv",
        "comparisons.csv",
        "coverage.csv",
        "reliability.csv",
    ]
    for file, table in zip(files, tables.values(), strict=True):
        again = pd.read_csv(file, keep_default_na=False, na_values=[""])
        if "note" in table:
            again["note"] = again["note"].astype(object).fillna("")
        pd.testing.assert_frame_equal(again[table.columns], table, check_dtype=False, rtol=1e-12)


def test_when_families_are_there_then_blends_of_them_and_of_all_follow(finished, tmp_path) -> None:
    plan = copied(finished, tmp_path)
    training(plan, "NHITS_Q", "default", 42, shift=0.5).store(plan.paths)
    training(plan, "TFT_Q", "default", 42, shift=-0.1).store(plan.paths)
    training(plan, "TFT_Q", "best", 42, shift=0.1).store(plan.paths)
    rows = {(row.model, row.params): row for row in load_rows(plan.paths, plan.dataset)}
    assert list(rows)[-3:] == [
        ("BLEND_ALL", "best"),
        ("BLEND", "default"),
        ("BLEND_ALL", "default"),
    ]
    linear = rows["LINEAR_Q", "own"].test.values
    others = sum(rows[model, "own"].test.values for model in (*TREES, "RESIDUAL_LINEAR"))
    assert rows["BLEND", "default"].test.values == pytest.approx(linear + 0.2, abs=1e-5)
    assert rows["BLEND_ALL", "default"].test.values == pytest.approx(
        (3 * linear + 0.4 + others) / 6, abs=1e-5
    )
    weighted = {
        (row.model, row.params): row
        for row in load_rows(plan.paths, plan.dataset, fit_blend_weights=True)
    }
    shares = [float(share.split()[1]) for share in weighted["BLEND", "default"].note.split(", ")]
    assert shares[1] > 0.9  # the other one is wrong by 0.5 everywhere
    assert sum(shares) == pytest.approx(1.0, abs=0.011)


def test_when_two_rows_are_compared_then_below_zero_means_that_the_first_is_better(
    finished,
) -> None:
    rows = load_rows(finished.paths, finished.dataset)
    table = comparison_table(rows).set_index(["first", "second", "loss"])
    maes = {
        f"{row.model} {row.params}": float(np.abs(row.test.actual - row.test.median).mean())
        for row in rows
    }
    assert len(table) == 3 * len(rows) * (len(rows) - 1) / 2
    for first, second, loss in table.index:
        if loss == "mae":
            expected = 100 * (maes[first] / maes[second] - 1)
            assert table.loc[(first, second, loss), "difference_percent"] == pytest.approx(expected)
            assert table.loc[(first, second, loss), "days"] == 15


def test_when_there_are_too_few_days_then_nothing_is_compared(finished) -> None:
    rows = load_rows(finished.paths, finished.dataset)
    tests = [
        QuantileForecasts(r.test.values[:5], r.test.actual[:5], r.test.origins[:5]) for r in rows
    ]
    few = [dataclasses.replace(row, test=test) for row, test in zip(rows, tests, strict=True)]
    assert comparison_table(few).empty
    assert "p_value" in comparison_table(few)


# What a user gives


WRONG = {
    "an unknown model": ({"models": ("NHITS",)}, "model is 'NHITS'; did you mean NHITS_Q?"),
    "no seed": ({"seeds": 0}, "seeds is 0, expected at least 1"),
    "mistyped parameters": ({"params": "bets"}, "params is 'bets'; did you mean best?"),
    "a file for several models": (
        {"params": "x.json", "models": ("NHITS_Q", "TFT_Q")},
        "params names one file for 2 models; give the one model of the file",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_when_a_plan_is_wrong_then_one_sentence_says_how(case, tiny_dataset, tmp_path) -> None:
    given, sentence = WRONG[case]
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}"):
        quick_plan(tiny_dataset, tmp_path, **given)


def test_when_there_is_no_test_split_then_the_sentence_says_so(tiny_dataset, tmp_path) -> None:
    ended = dataclasses.replace(
        tiny_dataset, frame=tiny_dataset.frame.loc[: tiny_dataset.spec.splits.val_end]
    )
    with pytest.raises(InputError, match="there is no whole day after the validation split"):
        quick_plan(ended, tmp_path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--dataset", "heat", "--calibration", "roling"],
            "calibration is 'roling'; did you mean rolling?",
        ),
        (
            ["--dataset", "heat", "--calibration-days", "-1"],
            "calibration days is -1, expected at least 1",
        ),
        (["--dataset", "heat", "--recipe", "plane"], "recipe is 'plane'"),
        (["--dataset", "hea"], "hea"),
    ],
)
def test_when_an_option_is_wrong_then_the_command_ends_with_2_and_trains_nothing(
    options, sentence, tmp_path, capsys
):
    assert main(["benchmark", *options, "--test", "--out", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# The nine cells

SMALL_TIMESNET = {"hidden_size": 64, "conv_hidden_size": 32, "top_k": 2, "lr": 1e-3, "dropout": 0.1}
ROWS = [
    *OWN,
    ("NHITS_Q", "default"),
    ("TFT_Q", "default"),
    ("TIMESNET_Q", "best"),
    ("BLEND_ALL", "best"),
    ("BLEND", "default"),
    ("BLEND_ALL", "default"),
]


@pytest.mark.slow
def test_when_the_nine_cells_run_at_test_budget_then_every_row_of_every_twin_is_in_the_table(
    root, tmp_path
) -> None:
    given = {
        "params": "best",
        "simulated": True,
        "runs_dir": str(tmp_path),
        "out": str(tmp_path / "out"),
    }
    for name in ("heat", "water_centrum", "water_tommerby"):
        # An old study of TimesNet alone, whose defaults take three times as long.
        old = {
            "model": "TIMESNET_Q",
            "dataset": name,
            "best_params": SMALL_TIMESNET,
            "best_mae": 0.2,
            "best_trial": 1,
        }
        (tmp_path / f"best_params_TIMESNET_Q_{name}.json").write_text(
            json.dumps(old), encoding="utf-8"
        )
        plan = make_plan(name, seeds=1, test=True, **given)
        notes = run_benchmark(plan)
        assert [note.split(" was found")[0] for note in notes[:2]] == [
            f"No usable study of {model} on {name}" for model in ("NHITS_Q", "TFT_Q")
        ]
        assert "it has the schema of old studies" in notes[2]
        table = make_tables(plan.paths, plan.dataset, CALIBRATION)["table"]
        assert list(zip(table["model"], table["params"], strict=True)) == [
            row for row in ROWS for _ in range(2)
        ]
        assert set(table["source"]) == {"simulated"}
        # April to December 2024, every day of which is an origin as long as a whole day follows.
        assert set(table["days"]) == {len(plan.dataset.test_origins)}
        assert len(plan.dataset.test_origins) > 270
        assert (
            np.isfinite(table[["mae", "picp", "winkler", "pinball", "mae_low", "picp_high"]])
            .all()
            .all()
        )
        calibrated = table[
            (table["calibration"] == "rolling") & ~table["model"].str.startswith("NAIVE")
        ]
        assert calibrated["picp"].between(75, 85).all(), calibrated[["model", "picp"]]

    # The notebook on the trainings that are there: it trains nothing, and its table is that of the
    # stored forecasts.
    words = [
        word
        for name, value in {**given, "dataset": "heat", "seeds": 1, "test": True}.items()
        for word in ("-p", name, str(value))
    ]
    record = tmp_path / "out.ipynb"
    command = [
        sys.executable,
        "-m",
        "papermill",
        "notebooks/benchmark.ipynb",
        str(record),
        "--no-progress-bar",
        *words,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stderr
    shown = json.dumps(
        [cell.get("outputs") for cell in json.loads(record.read_text(encoding="utf-8"))["cells"]]
    )
    assert shown.count(": stored") == 9
    assert "SIMULATED DATA" in shown
    plan = make_plan("heat", seeds=1, test=True, **given)
    written = pd.read_csv(plan.paths.table("table")).set_index(["model", "params", "calibration"])[
        "mae"
    ]
    rows = {(row.model, row.params): row for row in load_rows(plan.paths, plan.dataset)}
    assert list(rows) == ROWS
    for row, found in rows.items():
        assert written[(*row, "none")] == pytest.approx(
            float(np.abs(found.test.actual - found.test.median).mean())
        )
    members = [rows[name, "default"].test for name in ("NHITS_Q", "TFT_Q")]
    assert rows["BLEND", "default"].test.values == pytest.approx(blend(members).values)
