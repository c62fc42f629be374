"""Training in bf16, as the GPU presets may ask for it."""

import numpy as np
import pytest

from hpo_lib.families.models import Budget, family_names, get_family
from tests.contract.test_families import UNSHRUNK


@pytest.mark.slow
@pytest.mark.parametrize("name", family_names())
def test_when_a_family_trains_in_bf16_then_a_gpu_does_and_clips_its_gradients_and_a_cpu_does_not(
    name, tiny_dataset
):
    import torch

    family = get_family(name)
    has_gpu = torch.cuda.is_available()
    mixed, exact = (
        family.fit(
            family.defaults,
            tiny_dataset,
            Budget(steps=2, batch_size=4, checks=1, precision=precision),
            seed=1,
            recipe=UNSHRUNK,
        )
        for precision in ("bf16-mixed", "32-true")
    )
    assert mixed.best_step == 2
    difference = np.abs(mixed.validation.values - exact.validation.values)
    assert difference.any() == has_gpu
    assert difference.mean() < 0.1 * tiny_dataset.target.std()
