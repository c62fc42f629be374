"""The benchmark: stored trainings, an interruption, tables that follow from the files, and the nine
cells on twins.
"""

import json
import shutil
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from hpo_lib.baselines.contract import baselines
from hpo_lib.benchmark.tables import comparison_table, load_benchmark, load_rows, weights_table
from hpo_lib.benchmark.train import make_plan, planned, run_benchmark
from hpo_lib.errors import InputError
from hpo_lib.families.models import get_family
from hpo_lib.records.read_write import read_json, write_json
from hpo_lib.records.trainings import (
    MODEL_VERSION,
    Training,
    load_trainings,
    read_training,
    training_key,
)
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import calibrate
from hpo_lib.scoring.forecasts import QuantileForecasts
from hpo_lib.scoring.mixture import mixture
from hpo_lib.settings import Settings
from hpo_lib.study.run import run_study
from tests.conftest import hpo, quick_plan, short_twin
from tests.study.processes import python

CALIBRATION = "rolling"
TREES = "LIGHTGBM_LINEAR_Q", "LIGHTGBM_Q"
OTHERS = "LINEAR_Q", "NAIVE_168H", "NAIVE_24H", "RESIDUAL_LINEAR"
BASELINES = "LIGHTGBM_Q", "LIGHTGBM_LINEAR_Q", "LINEAR_Q", "RESIDUAL_LINEAR"
OWN = [(model, "own") for model in (*TREES, *OTHERS)]


@pytest.fixture(scope="module")
def finished(tiny_dataset, tmp_path_factory):
    """A benchmark that has run; nobody may change its files."""
    plan = quick_plan(tiny_dataset, tmp_path_factory.mktemp("benchmark"))
    assert run_benchmark(plan, say=lambda _: None) == []
    return plan


@pytest.fixture(scope="module")
def benchmark(finished):
    return load_benchmark(finished.paths, finished.dataset.spec, CALIBRATION)


def copied(finished, out):
    """The same benchmark in a folder that a test may change."""
    plan = replace(finished, out=out)
    shutil.copytree(finished.paths.folder, plan.paths.folder)
    return plan


def stored_frame(paths, model, params, seed, split):
    return pd.read_parquet(paths.training(model, params, seed).forecasts[split])


# Trainings


def test_when_a_benchmark_has_run_then_every_training_has_a_record_and_forecasts_of_both_splits(
    finished,
):
    seeds = {
        row: [t.record["seed"] for t in found]
        for row, found in load_trainings(finished.paths).items()
    }
    assert seeds == {row: [42, 43] if row[0] in TREES else [42] for row in OWN}
    dataset = finished.dataset
    origins_of = {"validation": dataset.validation_origins, "test": dataset.test_origins}
    for split, origins in origins_of.items():
        frame = stored_frame(finished.paths, "LIGHTGBM_Q", "own", 43, split)
        assert list(frame.columns) == ["origin", "step", "actual", "q10", "q50", "q90"]
        hours = pd.DatetimeIndex(frame["origin"]) + pd.to_timedelta(frame["step"], unit="h")
        assert len(frame) == 24 * len(origins)
        assert (frame["actual"].to_numpy() == dataset.target.loc[hours].to_numpy()).all()


def test_when_it_is_interrupted_then_the_next_run_goes_on_and_ends_with_the_same_forecasts(
    finished, tmp_path
):
    plan = quick_plan(finished.dataset, tmp_path)
    said = []

    def stop_at_the_third(line):
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
        again, whole = (stored_frame(one.paths, *names) for one in (plan, finished))
        pd.testing.assert_frame_equal(again, whole)


@pytest.mark.parametrize(
    "lost", ["record", "forecasts", "half a record", "while it was written anew"]
)
def test_when_a_training_is_not_whole_then_it_alone_is_done_again(
    finished, tmp_path, lost, monkeypatch
):
    plan = copied(finished, tmp_path)
    said = []
    record, forecasts = plan.paths.training("LIGHTGBM_Q", "own", 43)
    if lost == "half a record":
        record.write_text(record.read_text(encoding="utf-8")[:40], encoding="utf-8")
        with pytest.raises(
            InputError, match=r"LIGHTGBM_Q-own-seed43\.json: not a complete JSON file"
        ):
            load_trainings(plan.paths)
    elif lost == "record":
        record.unlink()
    elif lost == "while it was written anew":
        monkeypatch.setattr("hpo_lib.records.trainings.write_predictions", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            load_trainings(plan.paths)["LIGHTGBM_Q", "own"][1].store(plan.paths)
        monkeypatch.undo()
    else:
        forecasts["test"].unlink()
    whole = {file: file.stat().st_mtime_ns for file in plan.paths.runs.iterdir()}
    whole = {file: time for file, time in whole.items() if record.stem not in file.name}
    run_benchmark(plan, say=said.append)
    assert [line.split(":")[0] for line in said if "stored" not in line and "note" not in line] == [
        "[4/8] LIGHTGBM_Q own seed 43"
    ]
    assert {file: file.stat().st_mtime_ns for file in whole} == whole
    assert len(load_trainings(plan.paths)["LIGHTGBM_Q", "own"]) == 2


@pytest.mark.parametrize("name", ["sha256", "train_end", "val_end", "test_end"])
def test_when_the_folder_is_of_other_data_or_splits_then_nothing_is_mixed(name, finished, tmp_path):
    plan = copied(finished, tmp_path)
    file = plan.paths.training("LIGHTGBM_LINEAR_Q", "own", 43).record
    record = read_training(file)
    record["key"]["data"][name] = "0" * 64
    write_json(file, record)
    sentence = (
        rf"LIGHTGBM_LINEAR_Q-own-seed43\.json: was made on other data \({name} is .*\); "
        r"give another --out"
    )
    with pytest.raises(InputError, match=sentence):
        run_benchmark(plan, say=print)
    with pytest.raises(InputError, match=r"made on other data than LIGHTGBM_LINEAR_Q-own-seed42"):
        load_benchmark(plan.paths, plan.dataset.spec)


def test_when_stored_forecasts_were_changed_then_no_table_is_made_of_them(finished, tmp_path):
    plan = copied(finished, tmp_path)
    file = plan.paths.training("LIGHTGBM_LINEAR_Q", "own", 42).forecasts["test"]
    table = pd.read_parquet(file)
    table.assign(q50=(table["q50"] + table["actual"]) / 2).to_parquet(file)
    with pytest.raises(InputError, match=rf"{file}: it or its record was changed"):
        load_benchmark(plan.paths, plan.dataset.spec)


def test_when_the_folder_is_empty_then_the_sentence_says_so(tiny_dataset, tmp_path):
    with pytest.raises(InputError, match="holds no finished training; run `hpo benchmark` first"):
        load_benchmark(quick_plan(tiny_dataset, tmp_path).paths, tiny_dataset.spec)


def training(plan, model, params, seed, shift=0.0, **key):
    """A made-up training: the linear one's forecasts, moved by ``shift``."""
    (linear,) = load_trainings(plan.paths)["LINEAR_Q", "own"]
    validation, test = (moved(f, shift) for f in (linear.validation, linear.test))
    record = {"model": model, "params": params, "seed": seed, "seconds": 1.0}
    return Training({**record, "key": training_key(plan.dataset, **key)}, validation, test)


def moved(forecasts, shift):
    return replace(forecasts, values=forecasts.values + shift)


def test_when_the_settings_of_a_baseline_have_changed_then_its_row_alone_is_trained_again(
    finished, tmp_path, monkeypatch
):
    plan = copied(finished, tmp_path)
    said = []
    name = "LIGHTGBM_LINEAR_Q"
    training(plan, name, "default", 42, width=1).store(plan.paths)
    plan.paths.training(name, "own", 43).record.write_text("{}", encoding="utf-8")
    baseline = baselines()[name]
    monkeypatch.setattr(type(baseline), "settings", {**baseline.settings, "num_leaves": 7})
    assert run_benchmark(plan, say=said.append) == [
        f"{name}-own-seed{seed}.json was made with other parameters, budget or code and was "
        "removed."
        for seed in (42, 43)
    ]
    trained = [line.split("]")[1].split(":")[0] for line in said if "validation MAE" in line]
    assert trained == [f" {name} own seed 42", f" {name} own seed 43"]
    rows = load_trainings(plan.paths)
    assert set(rows) == {*OWN, (name, "default")}
    assert len(rows[name, "own"]) == 2


def test_when_the_same_training_is_there_under_another_label_then_it_is_taken_over(
    finished, tmp_path
):
    plan = copied(finished, tmp_path)
    said = []
    own = load_trainings(plan.paths)["LIGHTGBM_Q", "own"]
    marked = moved(own[1].test, 1000)
    replace(own[1], record={**own[1].record, "params": "best"}, test=marked).store(plan.paths)
    for seed in (42, 43):
        plan.paths.training("LIGHTGBM_Q", "own", seed).record.unlink()
    run_benchmark(plan, say=said.append)
    assert said[3] == "[4/8] LIGHTGBM_Q own seed 43: the same training as best"
    again = load_trainings(plan.paths)["LIGHTGBM_Q", "own"]
    assert [t.record["params"] for t in again] == ["own", "own"]
    # Of another seed: trained.
    assert (again[0].test.values == own[0].test.values).all()
    assert again[1].test.values == pytest.approx(marked.values, rel=1e-6)


def test_when_trainings_are_of_different_code_then_they_do_not_come_into_one_table(
    finished, tmp_path
):
    plan = copied(finished, tmp_path)
    for model in ("NHITS_Q", "TFT_Q"):
        training(plan, model, "best", 42).store(plan.paths)
    file = plan.paths.training("TFT_Q", "best", 42).record
    record = read_training(file)
    record["key"]["version"] += 1
    write_json(file, record)
    sentence = (
        rf"TFT_Q-best-seed42\.json: was trained by version {MODEL_VERSION + 1} of the models, "
        rf"LIGHTGBM_LINEAR_Q-own-seed42\.json by version {MODEL_VERSION}; run `hpo benchmark` again"
    )
    with pytest.raises(InputError, match=sentence):
        load_trainings(plan.paths)
    file.unlink()
    assert ("NHITS_Q", "best") in load_trainings(plan.paths)


def test_when_the_setting_differs_then_the_folder_does(tiny_dataset, tmp_path):
    settings = product(("test", "laptop"), ("standard", "plain"), (False, True))
    plans = [
        quick_plan(tiny_dataset, tmp_path, preset=preset, recipe=recipe, refit=refit)
        for preset, recipe, refit in settings
    ]
    assert len({plan.paths.folder for plan in plans}) == 8


# Tables


def test_when_scores_are_computed_from_the_stored_files_then_they_are_those_of_the_table(
    finished, benchmark
):
    table = benchmark.tables["table"]
    assert list(table["calibration"]) == ["none", "rolling"] * (len(table) // 2)
    raw = table[table["calibration"] == "none"].set_index("model")
    assert list(raw.index) == [*(model for model, _ in OWN), "MIXTURE"]
    for model, seeds in (("LIGHTGBM_Q", (42, 43)), ("LINEAR_Q", (42,))):
        frames = [stored_frame(finished.paths, model, "own", seed, "test") for seed in seeds]
        low, median, high = (
            np.mean([f[q].astype(float) for f in frames], axis=0) for q in ("q10", "q50", "q90")
        )
        actual = frames[0]["actual"].to_numpy()
        errors = [np.abs(actual - f["q50"]).mean() for f in frames]
        below = np.clip(low - actual, 0, None)
        above = np.clip(actual - high, 0, None)
        expected = {
            "mae": np.abs(actual - median).mean(),
            "picp": 100 * ((low <= actual) & (actual <= high)).mean(),
            "winkler": (high - low + 10 * (below + above)).mean(),
            "seed_mae": np.mean(errors),
            "seed_mae_sd": np.std(errors, ddof=1) if len(seeds) > 1 else np.nan,
            "days": 15,
            "seeds": len(seeds),
        }
        found = raw.loc[model, list(expected)].to_dict()
        assert found == pytest.approx(expected, rel=1e-9, nan_ok=True)
        assert raw.loc[model, "mae_low"] < expected["mae"] < raw.loc[model, "mae_high"]


def test_when_intervals_are_calibrated_then_the_raw_row_stays_and_mae_does_not_change(benchmark):
    modes = dict([*benchmark.tables["table"].set_index("model").groupby("calibration")])
    assert not {"picp_calibrated", "winkler_calibrated"} & {*benchmark.tables["table"]}
    raw = replace(benchmark, correction="none").tables["table"]
    pd.testing.assert_frame_equal(raw.set_index("model"), modes["none"])
    (row,) = [row for row in benchmark.rows if row.model == "LINEAR_Q"]
    corrected = calibrate(row.test, row.validation, benchmark.scales, CALIBRATION)
    width = float((corrected.upper - corrected.lower).mean())
    assert modes["rolling"].loc["LINEAR_Q", "mean_width"] == pytest.approx(width)
    assert modes["rolling"]["mae"].to_dict() == pytest.approx(modes["none"]["mae"].to_dict())


def test_when_demand_after_training_changes_then_terciles_and_scale_of_errors_do_not(tiny_dataset):
    frame = tiny_dataset.frame.copy()
    frame.iloc[tiny_dataset.positions.train.stop :, 0] *= 10
    before = tiny_dataset.scales
    after = replace(tiny_dataset, frame=frame).scales
    assert (after.terciles, after.mase) == (before.terciles, before.mase)
    assert after.by_hour["level"].iloc[-1] / before.by_hour["level"].iloc[-1] == pytest.approx(10)


def test_when_models_are_there_then_their_mixture_begins_on_the_first_validation_day(
    finished, tmp_path
):
    plan = copied(finished, tmp_path)
    training(plan, "NHITS_Q", "default", 42, shift=0.5).store(plan.paths)
    training(plan, "TFT_Q", "default", 42, shift=-0.1).store(plan.paths)
    training(plan, "TFT_Q", "best", 42, shift=0.1).store(plan.paths)
    rows = {(row.model, row.params): row for row in load_rows(plan.paths)}
    assert list(rows)[-1] == ("MIXTURE", "own")
    members = [("NHITS_Q", "default"), ("TFT_Q", "best"), *((name, "own") for name in BASELINES)]
    joined = [
        QuantileForecasts.joined([rows[member].validation, rows[member].test]) for member in members
    ]
    expected, weights = mixture(joined)
    mixed = rows["MIXTURE", "own"]
    assert np.array_equal(
        np.concatenate([mixed.validation.values, mixed.test.values]), expected.values
    )
    assert (mixed.weights.iloc[0] == 1 / len(members)).all()
    assert mixed.weights.index[0] == plan.dataset.index[plan.dataset.validation_origins[0]]
    table = weights_table(list(rows.values()))
    assert table["weight"].tolist() == weights.T.ravel().tolist()
    assert [*zip(table["model"], table["params"], strict=True)][:: len(weights)] == members


def test_when_tables_are_verified_then_each_that_differs_is_told(finished, tmp_path, monkeypatch):
    plan = copied(finished, tmp_path)
    training(plan, "NHITS_Q", "default", 42, shift=0.5).store(plan.paths)
    spec = plan.dataset.spec
    files = load_benchmark(plan.paths, spec, "split").write_tables()
    names = ["table", "comparisons", "coverage", "reliability", "weights"]
    assert files == [plan.paths.table(name) for name in names]
    words = f"verify --benchmark-dir {tmp_path} --runs-dir {tmp_path}"
    for other in ("", " --dataset heat"):
        assert f"note   {plan.paths.folder}: tiny is no name of" in hpo(words + other).out
    words += " --dataset tiny"
    monkeypatch.setattr("hpo_lib.benchmark.tables.load_spec", lambda _: spec)
    (plan.paths.runs / ".NHITS_Q-default-seed42.json.x.tmp.json").touch()  # of a killed process
    (plan.paths.folder / ".table.csv.x.tmp.csv").touch()
    for mode in ("none", "split"):
        load_benchmark(plan.paths, spec, mode).write_tables()
        lines = hpo(words).out.splitlines()
        told = [line.split(": ")[0] for line in lines]
        assert told == [f"ok     {file}" for file in sorted(files)]
    for name, column in (("table", "winkler"), ("comparisons", "p_value"), ("weights", "weight")):
        file = plan.paths.table(name)
        table = pd.read_csv(file)
        table.loc[len(table) - 1, column] += 1e-6
        table.to_csv(file, index=False)
    told = hpo(words, code=1).out.splitlines()
    assert [line.split()[0] for line in told] == ["DRIFT", "ok", "ok", "DRIFT", "DRIFT"]
    assert f"DRIFT  {plan.paths.table('table')}: it differs" in told[3]
    stored = next(iter(plan.paths.runs.glob("*test.parquet")))
    stored.write_bytes(stored.read_bytes()[:-9])
    assert hpo(words, code=1).out.startswith(f"BROKEN {plan.paths.folder}: {stored}")


def test_when_two_rows_are_compared_then_below_zero_means_that_the_first_is_better(benchmark):
    rows = benchmark.rows
    table = benchmark.tables["comparisons"].set_index(["first", "second", "loss"])
    maes = {f"{row.model} {row.params}": metrics.mae(row.test) for row in rows}
    assert len(table) == 3 * len(rows) * (len(rows) - 1) / 2
    for first, second, loss in table.index:
        if loss == "mae":
            expected = 100 * (maes[first] / maes[second] - 1)
            assert table.loc[(first, second, loss), "difference_percent"] == pytest.approx(expected)
            assert table.loc[(first, second, loss), "days"] == 15
    few = comparison_table([replace(r, test=r.test.rows(np.arange(5))) for r in rows])
    assert few.empty
    assert "p_value" in few


# What a user gives


def test_when_all_parameters_are_asked_for_then_one_row_has_the_plain_recipe(
    tiny_dataset, tmp_path
):
    plan = quick_plan(tiny_dataset, tmp_path, models=("NHITS_Q",), params="all", seeds=1)
    tasks = [task for task in planned(plan, []) if task.row[0] == "NHITS_Q"]
    linear = {task.row[1]: task.key["recipe"]["linear_part"] for task in tasks}
    assert linear == {"plain": False, "default": True}


def test_when_there_is_no_test_split_then_the_sentence_says_so(tiny_dataset, tmp_path):
    ended = replace(tiny_dataset, frame=tiny_dataset.frame.loc[: tiny_dataset.spec.splits.val_end])
    with pytest.raises(InputError, match="there is no whole day after the validation split"):
        quick_plan(ended, tmp_path)


@pytest.mark.parametrize(
    "options, sentence",
    {
        "heat --calibration roling": "calibration is 'roling'; did you mean rolling?",
        "heat --recipe plane": "recipe is 'plane'",
        "hea": "hea",
        "heat --model NHITS": "model is 'NHITS'; did you mean NHITS_Q?",
        "heat --seeds 0": "seeds is 0, expected at least 1",
        "heat --params bets": "params is 'bets'; did you mean best?",
        "heat --params x.json --model NHITS_Q TFT_Q": (
            "params names one file for 2 models; give the one model of the file"
        ),
    }.items(),
)
def test_when_an_option_is_wrong_then_the_command_ends_with_2_and_trains_nothing(
    options, sentence, tmp_path
):
    assert sentence in hpo(f"benchmark --dataset {options} --test --out {tmp_path}", code=2).err
    assert list(tmp_path.iterdir()) == []


def test_when_the_command_ends_then_rows_are_by_mae_and_a_line_names_the_networks_ahead(
    finished, tmp_path, monkeypatch
):
    plan = copied(finished, tmp_path)
    monkeypatch.setattr("hpo_lib.benchmark.train.make_plan", lambda **_: plan)
    monkeypatch.setattr("hpo_lib.benchmark.train.run_benchmark", lambda plan: [])
    for error, ahead in ((0.05, "N-HiTS, untuned"), (50.0, "none")):
        made = training(plan, "NHITS_Q", "default", 42)
        median = made.test.actual[..., None] + error
        test = replace(made.test, values=median + np.array([-0.1, 0, 0.1]))
        replace(made, test=test).store(plan.paths)
        lines = hpo("benchmark --dataset heat").out.splitlines()
        (verdict,) = [line for line in lines if line.startswith("Ahead of the best baseline, ")]
        assert verdict.endswith(f": {ahead}.")
        maes = [float(line.split(" [")[0].split()[-1]) for line in lines if line.count(" [") == 2]
        assert len(maes) == len(BASELINES) + 4
        assert maes == sorted(maes)
        assert max(map(len, lines[1:-5])) <= 100
    _, out, errors = hpo("benchmark heat --json")
    told = json.loads(out)
    assert errors.startswith("*** TEST BUDGET ***")
    assert pd.DataFrame(told["rows"])["mae"].tolist() == pytest.approx(
        pd.read_csv(told["files"][0])["mae"].tolist()
    )
    assert (told["unit"], told["notes"]) == (plan.dataset.spec.unit, [])


# The nine cells

SMALL_TIMESNET = {"hidden_size": 64, "conv_hidden_size": 32, "top_k": 2, "lr": 1e-3, "dropout": 0.1}


DATASETS = "heat", "water_centrum", "water_tommerby"


def rows_with(params_of_nhits):
    families = ("NHITS_Q", params_of_nhits), ("TFT_Q", "default"), ("TIMESNET_Q", "best")
    return [*OWN, *families, ("MIXTURE", "own")]


@pytest.mark.slow
def test_when_the_nine_cells_run_at_test_budget_then_every_row_of_every_twin_is_in_the_table(
    root, tmp_path
):
    given = {"simulated": True, "test": True, "runs_dir": str(tmp_path)}
    tomls = {name: str(short_twin(tmp_path, name)) for name in DATASETS}
    settings = Settings.create("NHITS_Q", tomls["heat"], job_id="a", **given)
    study = run_study(settings, progress=False)
    family = get_family("NHITS_Q")
    assert study.trials[0].params == family.untuned("wide")
    shipped = [{**family.untuned("wide"), **params} for params in family.portfolio.values()]
    assert [dict(trial.params) for trial in study.trials[1:]][: len(shipped)] == shipped
    given = {"params": "best", "seeds": 1, "out": str(tmp_path / "out"), **given}
    for name in DATASETS:
        # An old study of TimesNet alone, whose defaults take three times as long.
        old = {"model": "TIMESNET_Q", "dataset": name, "best_params": SMALL_TIMESNET}
        old |= {"best_mae": 0.2, "best_trial": 1}
        write_json(tmp_path / f"best_params_TIMESNET_Q_{name}.json", old)
        plan = make_plan(tomls[name], **given)
        *notes, of_old = run_benchmark(plan)
        without = ["TFT_Q"] if name == "heat" else ["NHITS_Q", "TFT_Q"]
        assert [note.split(" was found")[0] for note in notes] == [
            f"No usable study of {model} on {name}" for model in without
        ]
        assert "it has the schema of old studies" in of_old
        table = load_benchmark(plan.paths, plan.dataset.spec, CALIBRATION).tables["table"]
        names = table[["model", "params"]].itertuples(index=False, name=None)
        rows = rows_with("best" if name == "heat" else "default")
        assert list(names) == [row for row in rows for _ in range(2)]
        assert set(table["source"]) == {"simulated"}
        # April to December 2024, every day of which is an origin as long as a whole day follows.
        assert set(table["days"]) == {len(plan.dataset.test_origins)}
        assert len(plan.dataset.test_origins) > 270
        scores = ["mae", "picp", "winkler", "pinball", "mae_low", "picp_high"]
        assert np.isfinite(table[scores].to_numpy()).all()
        calibrated = table[table["calibration"] == "rolling"].set_index("model")["picp"]
        assert calibrated.drop(["NAIVE_24H", "NAIVE_168H"]).between(75, 85).all(), calibrated

    plan = make_plan(tomls["heat"], **given)
    key = read_json(plan.paths.training("NHITS_Q", "best", 42).record, "a training")["key"]
    # There thermal has no effect without weather.
    assert {**key["recipe"], "thermal": True} == study.result["best_recipe"]
    assert {**key["params"], **study.result["best_params"]} == study.result["best_params"]

    # The notebook on the trainings that are there: it trains nothing, and its table is that of the
    # stored forecasts.
    parameters = [
        f"-p {name} {value}" for name, value in {**given, "dataset": tomls["heat"]}.items()
    ]
    record = tmp_path / "out.ipynb"
    command = f"-m papermill notebooks/benchmark.ipynb {record} --no-progress-bar"
    run = python(root, *" ".join([command, *parameters]).split())
    assert run.returncode == 0, run.stderr
    shown = json.dumps([cell.get("outputs") for cell in read_json(record, "a notebook")["cells"]])
    assert shown.count(": stored") == 9
    assert "SIMULATED DATA" in shown
    written = pd.read_csv(plan.paths.table("table")).query("calibration == 'none'")
    rows = load_rows(plan.paths)
    assert [(row.model, row.params) for row in rows] == rows_with("best")
    assert written["mae"].tolist() == pytest.approx([metrics.mae(row.test) for row in rows])
