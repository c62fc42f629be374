"""Stored trainings are reused while `MODEL_VERSION` is the same: a changed output needs a new one.

``versions.json`` holds digests of the output of each part of the code that decides a forecast.
"""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from hpo_lib.baselines.contract import baselines
from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.day_ahead_weather import day_ahead_weather
from hpo_lib.data.spec import DayAheadWeatherSpec, GapRule
from hpo_lib.families import feature_table
from hpo_lib.families.linear_baseline import LinearBaseline, LinearOptions
from hpo_lib.families.models import RECIPES, Budget, family_names, get_family
from hpo_lib.records.trainings import MODEL_VERSION
from hpo_lib.scoring.evaluation import seasonal_naive
from tests.contract.test_families import smallest, with_small_networks

FIXTURE = Path(__file__).parent / "versions.json"
RENEW = "HPO_UPDATE_GOLDEN=1 python -m pytest tests/contract/test_versions.py"
BATCH = (
    "past_target",
    "past_covariates",
    "historic_future_covariates",
    "future_covariates",
    "future_target",
)
BUDGET = Budget(steps=2, batch_size=4, checks=1)

Numbers = dict[str, str]


def numbers(values):
    """Mean, mean with rising weights (so that the order counts), and standard deviation, to six
    digits.
    """
    flat = np.asarray(values, dtype=float).ravel()
    rising = float((flat * np.linspace(1, 2, len(flat))).mean())
    return f"{flat.mean():.6g} {rising:.6g} {flat.std():.6g}"


def origins(dataset):
    return np.arange(200, dataset.positions.train.stop - 24, 24)


def of_gaps(dataset, folder):
    frame = dataset.frame.drop(dataset.index[[500, 501, 900]])
    frame.iloc[700:702, 1] = np.nan
    frame.to_csv(folder / "tiny.csv")
    spec = dataclasses.replace(dataset.spec, gaps=GapRule(max_hours=3, fill="linear"))
    filled = load_dataset(spec, folder).frame
    return {name: numbers(filled[name]) for name in filled}


def of_windows(dataset, _):
    import torch

    from hpo_lib.families.training import DartsForecaster
    from hpo_lib.families.windows import Scaling, learnt_origins

    found = {}
    for recipe in RECIPES:
        scaling = Scaling.fit(dataset, RECIPES[recipe])
        found[f"{recipe}, origins"] = numbers(learnt_origins(dataset, RECIPES[recipe]))
        for as_past in (True, False):
            forecaster = DartsForecaster(dataset, scaling, RECIPES[recipe], as_past)
            source = forecaster.source(dataset.windows(origins(dataset)))
            batch = source.gather(torch.from_numpy(origins(dataset)), with_target=True)
            for name in BATCH:
                tensor = getattr(batch, name)
                if tensor is not None:
                    found[f"{recipe}, {'history' if as_past else 'future'}, {name}"] = numbers(
                        tensor.numpy()
                    )
    return found


def of_feature_table(dataset, _):
    table = feature_table.make_feature_table(dataset, dataset.windows(origins(dataset)))
    found = {name: numbers(table.features[:, :, i]) for i, name in enumerate(table.names)}
    found |= {"level": numbers(table.level), "target": numbers(table.target)}
    return {**found, "linear features": numbers(feature_table.linear_features(table))}


def of_linear_baseline(dataset, _):
    fitted = LinearBaseline.fit(dataset, origins(dataset), LinearOptions(False))
    windows = dataset.windows(dataset.validation_origins)
    return {
        "validation": numbers(fitted.quantiles(dataset, windows)[:, :, 1]),
        "training": numbers(fitted.out_of_fold),
    }


def of_family(name):
    def forecasts(dataset, _):
        found, family = {}, with_small_networks(get_family(name))
        params = {**smallest(family), "lr": family.defaults["lr"]}
        for recipe in RECIPES:
            fitted = family.fit(params, dataset, BUDGET, seed=1, recipe=RECIPES[recipe])
            found[recipe] = numbers(fitted.validation.values)
        return found

    return forecasts


def of_baseline(name):
    return lambda dataset, _: {
        "quick": numbers(baselines()[name].fit(dataset, seed=1, quick=True).validation.values)
    }


def of_weather_inputs(dataset, _):
    """With the weather that the inputs are made of, which the fingerprint covers as a rule and not
    by its values.
    """
    spec = DayAheadWeatherSpec("degraded", ("temp",), errors={"temp": (0.7, 1.6)})
    weather = day_ahead_weather(
        spec, dataset.frame, None, dataset.training_frame, dataset.spec.target
    )
    seen = dataclasses.replace(dataset, weather=weather)
    inputs = feature_table.weather_inputs(seen, seen.windows(origins(seen)), thermal=True)
    return {name: numbers(column) for name, column in inputs.items()}


def of_naive(dataset, _):
    naive = seasonal_naive(dataset, dataset.validation_origins, 168)
    return {"168 h": numbers(naive.values)}


PARTS = {
    "gaps": of_gaps,
    "windows": of_windows,
    "feature_table": of_feature_table,
    "linear_baseline": of_linear_baseline,
    "weather_inputs": of_weather_inputs,
    "NAIVE": of_naive,
    **{name: of_family(name) for name in family_names()},
    **{name: of_baseline(name) for name in baselines()},
}


def close(digest, expected):
    """A machine moves the last digits of a digest, code more than 0.01 % of its spread."""
    found, wanted = (np.array(one.split(), dtype=float) for one in (digest, expected))
    return np.allclose(found, wanted, rtol=1e-5, atol=1e-4 * wanted[2] + 1e-12)


@pytest.mark.parametrize("part", PARTS)
def test_when_the_output_of_a_part_changes_then_the_version_must_be_raised(
    part, tiny_dataset, tmp_path
):
    if part in family_names():
        import torch

        if torch.cuda.is_available():
            pytest.skip("a GPU draws other dropout masks than a CPU")
    output = PARTS[part](tiny_dataset, tmp_path)
    stored = json.loads(FIXTURE.read_text(encoding="utf-8"))
    if os.environ.get("HPO_UPDATE_GOLDEN"):
        outputs = {**stored["outputs"], part: output}
        content = {"version": MODEL_VERSION, "outputs": outputs}
        FIXTURE.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return
    assert stored["version"] == MODEL_VERSION, f"renew {FIXTURE.name} with `{RENEW}`"
    expected = stored["outputs"][part]
    changed = set(output) ^ set(expected)
    changed |= {name for name in set(output) - changed if not close(output[name], expected[name])}
    assert not changed, (
        f"the output of {part} changed ({', '.join(sorted(changed)[:5])}): raise MODEL_VERSION, "
        f"renew {FIXTURE.name} with `{RENEW}`"
    )
