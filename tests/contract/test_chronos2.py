"""The zero-shot baseline: what it may see, and what it says of a folder that does not hold the
model.

The network here is a real Chronos-2 of darts, but tiny and untrained, saved as the published one
is.
"""

import json
from dataclasses import replace

import pytest
import torch
from darts.models.forecasting.chronos2_model import _Chronos2Module
from safetensors.torch import save_file

from hpo_lib.baselines.chronos2 import checked_folder, zero_shot
from hpo_lib.benchmark.train import planned, run_benchmark
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.errors import InputError
from hpo_lib.records.trainings import load_trainings
from tests.conftest import quick_plan
from tests.contract.conftest import INFORMATION_SET, ORIGIN, disturbed, forecast

SIZE = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
CHRONOS = {
    "context_length": 256,
    "output_patch_size": 16,
    "input_patch_size": 16,
    "input_patch_stride": 16,
    "quantiles": [0.05, 0.1, 0.5, 0.9, 0.95],
    "use_reg_token": True,
    "use_arcsinh": True,
    "max_output_patches": 4,
    "time_encoding_scale": 256,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(3)
    module = _Chronos2Module(
        **SIZE, chronos_config=CHRONOS, input_chunk_length=HISTORY, output_chunk_length=HORIZON
    )
    found = tmp_path_factory.mktemp("chronos2")
    (found / "config.json").write_text(json.dumps({**SIZE, "chronos_config": CHRONOS}))
    save_file(module.state_dict(), found / "model.safetensors")
    return found


@pytest.fixture(scope="module")
def model(folder, tiny_dataset):
    return zero_shot(tiny_dataset, folder)


@pytest.mark.parametrize("columns, rows, moves", INFORMATION_SET)
def test_when_it_forecasts_then_its_information_set_is_that_of_the_others(
    columns, rows, moves, model, tiny_dataset
):
    found = forecast(model, disturbed(tiny_dataset.frame, columns, rows), ORIGIN)
    assert (found != forecast(model, tiny_dataset.frame, ORIGIN)).any() == moves


def test_when_the_unit_changes_then_the_forecast_does_so_too(folder, tiny_dataset):
    frame = tiny_dataset.frame.copy()
    frame[tiny_dataset.spec.target] *= 1000
    model = zero_shot(tiny_dataset, folder)
    larger = zero_shot(replace(tiny_dataset, frame=frame), folder)
    assert forecast(larger, frame, ORIGIN) == pytest.approx(
        1000 * forecast(model, tiny_dataset.frame, ORIGIN), rel=1e-3
    )


def test_when_a_benchmark_has_the_model_then_it_is_a_row_and_other_weights_replace_it(
    folder, tiny_dataset, tmp_path
):
    plan = quick_plan(tiny_dataset, tmp_path / "out", seeds=1, refit=True, chronos2=folder)
    said = []

    def run(plan):
        tasks = [task for task in planned(plan, []) if task.row[0] == "CHRONOS2"]
        run_benchmark(plan, tasks=tasks, say=said.append)

    run(plan)
    run(plan)
    assert any(line.endswith("CHRONOS2 own seed 42: stored") for line in said)
    (training,) = load_trainings(plan.paths)["CHRONOS2", "own"]
    assert training.record["key"]["weights"] == checked_folder(folder)
    assert len(training.test.origins) == len(tiny_dataset.test_origins)
    weights = (folder / "model.safetensors").read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_bytes((folder / "config.json").read_bytes())
    (other / "model.safetensors").write_bytes(weights[:-4] + b"\0\0\0\0")
    run(replace(plan, chronos2=other))
    assert any("CHRONOS2" in line and "was removed" in line for line in said)


def test_when_the_folder_does_not_hold_the_model_then_the_error_says_what_and_how_to_get_it(
    tmp_path,
):
    with pytest.raises(
        InputError, match=r"holds no .*config\.json.*`hf download amazon/chronos-2 --local-dir "
    ):
        checked_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text('{"d_model": 3}')
    with pytest.raises(InputError, match=r"holds no pretrained Chronos-2 .*chronos_config"):
        checked_folder(tmp_path)
    (tmp_path / "config.json").write_text(
        json.dumps({"chronos_config": {**CHRONOS, "context_length": 100}})
    )
    with pytest.raises(
        InputError,
        match=r"from 100 hours, expected one that has \(0\.1, 0\.5, 0\.9\) and reads 168 hours",
    ):
        checked_folder(tmp_path)
