"""Training in bf16, as the GPU presets may ask for it."""

import numpy as np
import pytest

from hpo_lib.families.models import Budget, family_names, get_family
from tests.contract.test_families import UNSHRUNK


@pytest.mark.slow
@pytest.mark.parametrize("name", family_names())
def test_when_a_family_trains_in_bf16_then_it_clips_its_gradients_and_forecasts(
    name, tiny_dataset
) -> None:
    family = get_family(name)
    budget = Budget(steps=2, batch_size=4, checks=1, precision="bf16-mixed")
    recipe = UNSHRUNK
    mixed = family.fit(family.defaults, tiny_dataset, budget, seed=1, recipe=recipe)
    assert mixed.best_step == 2
    whole = Budget(steps=2, batch_size=4, checks=1)
    exact = family.fit(family.defaults, tiny_dataset, whole, seed=1, recipe=recipe)
    spread = tiny_dataset.target.std()
    assert not np.array_equal(mixed.validation.values, exact.validation.values), "bf16 was not used"
    assert np.abs(mixed.validation.values - exact.validation.values).mean() < 0.1 * spread
