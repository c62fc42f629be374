"""Stored trainings are reused as long as their code has the same version, so a changed output needs
a new version.

``versions.json`` holds digests of the output of each part, for its present version and those of the
parts below it.
"""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hpo_lib.baselines.contract import QUICK_VERSION, baseline_names, get_baseline
from hpo_lib.data import gaps
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.day_ahead_weather import day_ahead_weather
from hpo_lib.data.spec import DayAheadWeatherSpec, GapRule
from hpo_lib.families import feature_table, linear_baseline, weather_inputs
from hpo_lib.families.linear_baseline import LinearBaseline
from hpo_lib.families.models import RECIPES, Budget, family_names, get_family
from hpo_lib.scoring import evaluation
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


def numbers(values: np.ndarray) -> str:
    """Mean, mean with rising weights (so that the order counts), and standard deviation, to six
    digits.
    """
    flat = np.asarray(values, dtype=float).ravel()
    rising = float((flat * np.linspace(1, 2, len(flat))).mean())
    return f"{flat.mean():.6g} {rising:.6g} {flat.std():.6g}"


def origins(dataset: Dataset) -> np.ndarray:
    return np.arange(200, dataset.positions.train.stop - 24, 24)


def of_gaps(dataset: Dataset, folder: Path) -> Numbers:
    frame = dataset.frame.drop(dataset.index[[500, 501, 900]])
    frame.iloc[700:702, 1] = np.nan
    frame.to_csv(folder / "tiny.csv")
    spec = dataclasses.replace(dataset.spec, gaps=GapRule(max_hours=3, fill="linear"))
    filled = load_dataset(spec, folder).frame
    return {name: numbers(filled[name]) for name in filled}


def of_windows(dataset: Dataset, _: Path) -> Numbers:
    import torch

    from hpo_lib.families.windows import Scaling, WindowSource, learnt_origins

    found = {}
    for recipe in RECIPES:
        scaling = Scaling.fit(dataset, RECIPES[recipe])
        found[f"{recipe}, origins"] = numbers(learnt_origins(dataset, RECIPES[recipe]))
        for as_past in (True, False):
            source = WindowSource.build(
                dataset,
                dataset.windows(origins(dataset)),
                scaling,
                RECIPES[recipe],
                calendar_as_past=as_past,
            )
            if scaling.linear is not None:
                expected = scaling.linear.predict(dataset, dataset.windows(origins(dataset)))
                source = source.with_linear_forecast(expected, origins(dataset))
            batch = source.gather(torch.from_numpy(origins(dataset)), with_target=True)
            for name in BATCH:
                tensor = getattr(batch, name)
                if tensor is not None:
                    found[f"{recipe}, {'history' if as_past else 'future'}, {name}"] = numbers(
                        tensor.numpy()
                    )
    return found


def of_feature_table(dataset: Dataset, _: Path) -> Numbers:
    table = feature_table.make_feature_table(dataset, dataset.windows(origins(dataset)))
    found = {name: numbers(table.features[:, :, i]) for i, name in enumerate(table.names)}
    found |= {"level": numbers(table.level), "target": numbers(table.target)}
    return {**found, "linear features": numbers(feature_table.linear_features(table))}


def of_linear_baseline(dataset: Dataset, _: Path) -> Numbers:
    fitted = LinearBaseline.fit(dataset, origins(dataset), seasons=False)
    return {
        "validation": numbers(fitted.predict(dataset, dataset.windows(dataset.validation_origins))),
        "training": numbers(
            fitted.predict(dataset, dataset.windows(origins(dataset)), out_of_fold=True)
        ),
    }


def of_family(name: str) -> Callable[[Dataset, Path], Numbers]:
    def forecasts(dataset: Dataset, _: Path) -> Numbers:
        found, family = {}, with_small_networks(get_family(name))
        params = {**smallest(family), "lr": family.defaults["lr"]}
        for recipe in RECIPES:
            fitted = family.fit(params, dataset, BUDGET, seed=1, recipe=RECIPES[recipe])
            found[recipe] = numbers(fitted.validation.values)
        return found

    return forecasts


def of_baseline(name: str) -> Callable[[Dataset, Path], Numbers]:
    return lambda dataset, _: {
        "quick": numbers(get_baseline(name).fit(dataset, seed=1, quick=True).validation.values)
    }


def of_weather_inputs(dataset: Dataset, _: Path) -> Numbers:
    """With the weather that the inputs are made of, which the fingerprint covers as a rule and not
    by its values.
    """
    spec = DayAheadWeatherSpec("degraded", ("temp",), errors={"temp": (0.7, 1.6)})
    weather = day_ahead_weather(
        spec, dataset.frame, None, dataset.training_frame, dataset.spec.target
    )
    seen = dataclasses.replace(dataset, weather=weather)
    inputs = weather_inputs.weather_inputs(seen, seen.windows(origins(seen)), thermal=True)
    return {
        name: numbers(inputs[:, :, i])
        for i, name in enumerate(weather_inputs.input_names(seen, thermal=True))
    }


def of_naive(dataset: Dataset, _: Path) -> Numbers:
    naive = evaluation.seasonal_naive(dataset, dataset.validation_origins, 168)
    return {"168 h": numbers(naive.values)}


def windows_version() -> int:
    from hpo_lib.families import (
        windows,  # torch and darts take seconds, which every worker would pay at collection
    )

    return windows.VERSION


PARTS: dict[str, tuple[Callable[[], int], Callable[[Dataset, Path], Numbers]]] = {
    "gaps": (lambda: gaps.VERSION, of_gaps),
    "windows": (windows_version, of_windows),
    "feature_table": (lambda: feature_table.VERSION, of_feature_table),
    "linear_baseline": (lambda: linear_baseline.VERSION, of_linear_baseline),
    "weather_inputs": (lambda: weather_inputs.VERSION, of_weather_inputs),
    "NAIVE": (lambda: evaluation.NAIVE_VERSION, of_naive),
    **{name: ((lambda n=name: get_family(n).version), of_family(name)) for name in family_names()},
    **{
        name: ((lambda n=name: get_baseline(n).version), of_baseline(name))
        for name in baseline_names()
    },
}


@pytest.mark.parametrize("part", PARTS)
def test_when_the_output_of_a_part_changes_then_its_version_must_be_raised(
    part, tiny_dataset, tmp_path
) -> None:
    if part in family_names():
        import torch

        if torch.cuda.is_available():
            pytest.skip("a GPU draws other dropout masks than a CPU")
    below = ["feature_table", "linear_baseline", *(["windows"] if part in family_names() else [])]
    versions, output = (
        {name: PARTS[name][0]() for name in (*below, part)},
        PARTS[part][1](tiny_dataset, tmp_path),
    )
    versions |= {"quick": QUICK_VERSION} if part in baseline_names() else {}
    stored = json.loads(FIXTURE.read_text(encoding="utf-8")) if FIXTURE.is_file() else {}
    known = stored.get(part, {"versions": {}})
    if any(version > known["versions"].get(name, 0) for name, version in versions.items()):
        if not os.environ.get("HPO_UPDATE_GOLDEN"):
            pytest.fail(
                f"{FIXTURE.name} does not know {part} with versions {versions}: renew it with "
                f"`{RENEW}`"
            )
        stored[part] = {"versions": versions, "output": output}
        FIXTURE.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return
    assert versions == known["versions"], "a version must never fall"
    changed = sorted(set(output) ^ set(known["output"]))
    for name in sorted(set(output) & set(known["output"])):
        found, expected = (
            np.array(digests[name].split(), dtype=float) for digests in (output, known["output"])
        )
        # A digest moves with the machine in its last digits, and with the code by more than 0.01 %
        # of the spread.
        if not np.allclose(found, expected, rtol=1e-5, atol=1e-4 * expected[2] + 1e-12):
            changed.append(name)
    names = ", ".join(changed[:5])
    assert not changed, (
        f"the output of {part} changed ({names}): raise its version, renew the fixture with "
        f"`{RENEW}`"
    )
