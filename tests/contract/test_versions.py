"""Stored trainings are reused while `MODEL_VERSION` is the same: a changed output needs a new one.

``versions.json`` holds digests of the output of each part of the code that decides a forecast.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpo_lib.baselines.contract import baselines
from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.day_ahead_weather import day_ahead_weather
from hpo_lib.data.spec import DayAheadWeatherSpec, GapRule
from hpo_lib.families import feature_table
from hpo_lib.families.models import RECIPES, Budget, family_names, get_family
from hpo_lib.records.trainings import MODEL_VERSION
from hpo_lib.scoring.evaluation import seasonal_naive
from tests.contract.test_families import smallest, with_small_networks

FIXTURE = Path(__file__).parent / "versions.json"
RENEW = "HPO_UPDATE_GOLDEN=1 python -m pytest tests/contract/test_versions.py"
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
    spec = replace(dataset.spec, gaps=GapRule(max_hours=3, fill="linear"))
    filled = load_dataset(spec, folder).frame
    return {name: numbers(filled[name]) for name in filled}


def of_family(name):
    def forecasts(dataset, _):
        found = {}
        family = with_small_networks(get_family(name))
        params = {**smallest(family), "lr": family.defaults["lr"]}
        for recipe in RECIPES:
            fitted = family.fit(params, dataset, BUDGET, seed=1, recipe=RECIPES[recipe])
            found[recipe] = numbers(fitted.validation.values)
        return found

    return forecasts


def of_weather_inputs(dataset, _):
    """With the weather that the inputs are made of, which the fingerprint covers as a rule and not
    by its values.
    """
    spec = DayAheadWeatherSpec("degraded", ("temp",), errors={"temp": (0.7, 1.6)})
    weather = day_ahead_weather(
        spec, dataset.frame, None, dataset.training_frame, dataset.spec.target
    )
    seen = replace(dataset, weather=weather)
    inputs = feature_table.weather_inputs(seen, seen.windows(origins(seen)), thermal=True)
    return {name: numbers(column) for name, column in inputs.items()}


def of_naive(dataset, _):
    return {"168 h": numbers(seasonal_naive(dataset, dataset.validation_origins, 168).values)}


PARTS = {
    "gaps": of_gaps,
    "weather_inputs": of_weather_inputs,
    "NAIVE": of_naive,
    **{name: of_family(name) for name in family_names()},
}


def close(digest, expected):
    """A machine moves the last digits of a digest, code more than 0.01 % of its spread."""
    found, wanted = (np.array(one.split(), dtype=float) for one in (digest, expected))
    return np.allclose(found, wanted, rtol=1e-5, atol=1e-4 * wanted[2] + 1e-12)


@pytest.mark.parametrize("part", [*PARTS, *baselines()])
def test_when_the_output_of_a_part_changes_then_the_version_must_be_raised(
    part, tiny_dataset, quickly_fitted, tmp_path
):
    if part in family_names():
        import torch

        if torch.cuda.is_available():
            pytest.skip("a GPU draws other dropout masks than a CPU")
    if part in baselines():
        output = {"quick": numbers(quickly_fitted(part).validation.values)}
    else:
        output = PARTS[part](tiny_dataset, tmp_path)
    stored = json.loads(FIXTURE.read_bytes())
    if os.environ.get("HPO_UPDATE_GOLDEN"):
        content = {"version": MODEL_VERSION, "outputs": {**stored["outputs"], part: output}}
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
