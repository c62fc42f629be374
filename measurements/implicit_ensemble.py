"""Whether members that share a trunk are worth as much to N-HiTS as seeds: implicit ensembles
against three seeds.

    python -m measurements.implicit_ensemble --data-dir DATA datasets/development/*.toml

An implicit ensemble (BatchEnsemble; Gorishniy et al., 2025, TabM) holds K members in one network:
all share the weight matrices, each has its own scales of inputs and outputs and its own bias in
every linear layer, and its own head is trained on its own loss. Quantiles of the members are
averaged, as are those of the seeds. A batch costs K times the computation, so a batch of B / K
windows costs what the single network's batch of B costs. Both networks have the defaults, the
recipe `standard` or `unshrunk`, and as many steps. Scores are of the validation days, relative to
one training; each training keeps the weights that were best on them.
"""

import argparse
import time
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from darts.models.forecasting.pl_forecasting_module import PLForecastingModule
from darts.utils.data.torch_datasets.utils import PLModuleInput, PLModuleOutput
from torch import nn

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.families.models import RECIPES
from hpo_lib.families.nhits_layers import HourlyRateNHiTS
from hpo_lib.families.nhits_q import NhitsQ
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import evaluate
from hpo_lib.scoring.forecasts import QuantileForecasts

SEEDS = (42, 43, 44)
SCORES = ("mae", "winkler_calibrated")


class MembersLinear(nn.Module):
    """A linear layer of K members with one weight matrix; rows [N x K, in] hold the members of a
    window together.
    """

    def __init__(self, shared: nn.Linear, members: int, *, first: bool) -> None:
        super().__init__()
        self.weight, outputs, inputs = shared.weight, shared.out_features, shared.in_features
        signs = torch.randint(0, 2, (members, inputs)) * 2.0 - 1
        self.of_inputs = nn.Parameter(signs if first else torch.ones(members, inputs))
        self.of_outputs = nn.Parameter(torch.ones(members, outputs))
        self.bias = nn.Parameter(shared.bias.detach().repeat(members, 1))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        x = rows.reshape(-1, *self.of_inputs.shape)
        y = nn.functional.linear(x * self.of_inputs, self.weight) * self.of_outputs + self.bias
        return y.reshape(len(rows), -1)


class ImplicitNHiTS(HourlyRateNHiTS):
    """N-HiTS whose linear layers have members."""

    members = 1

    def _create_model(self, train_sample: Any) -> PLForecastingModule:
        module = super()._create_model(train_sample)
        shared = [
            (owner, name, child)
            for owner in list(module.modules())
            for name, child in owner.named_children()
        ]
        layers = [entry for entry in shared if isinstance(entry[2], nn.Linear)]
        for number, (owner, name, child) in enumerate(layers):
            layer = MembersLinear(child, self.members, first=number == 0)
            owner.__setitem__(int(name), layer) if isinstance(owner, nn.Sequential) else setattr(
                owner, name, layer
            )
        module.forward = partial(self._forward, module, module.forward)
        module._compute_loss = partial(self._loss, module._compute_loss)
        return module

    def _forward(
        self, module: PLForecastingModule, own: Any, x_in: PLModuleInput
    ) -> PLModuleOutput:
        tensors = {f.name: getattr(x_in, f.name) for f in fields(x_in)}
        rows = {
            n: t.repeat_interleave(self.members, dim=0)
            for n, t in tensors.items()
            if isinstance(t, torch.Tensor)
        }
        prediction = own(replace(x_in, **rows)).prediction
        if not module.training:
            prediction = prediction.reshape(-1, self.members, *prediction.shape[1:]).mean(dim=1)
        return PLModuleOutput(prediction=prediction)

    def _loss(
        self, own: Any, output: PLModuleOutput, target: torch.Tensor, *rest: Any
    ) -> torch.Tensor:
        loss: torch.Tensor = own(output, target.repeat_interleave(self.members, dim=0), *rest)
        return loss


def trained(
    dataset: Dataset, members: int, batch: int, seed: int, recipe: str
) -> QuantileForecasts:
    """Validation forecasts of a training."""
    family = NhitsQ()
    if members > 1:
        model = type("Members", (ImplicitNHiTS,), {"members": members})
        family.darts_model = lambda network, common: model(**network, **common)  # type: ignore[method-assign]
    budget = replace(family.budgets["laptop"], batch_size=batch)
    found = family.fit(
        family.defaults, dataset, budget, seed=seed, recipe=RECIPES[recipe]
    ).validation
    assert found is not None
    return found


def averaged(found: list[QuantileForecasts]) -> QuantileForecasts:
    return replace(found[0], values=np.mean([one.values for one in found], axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--recipe", choices=list(RECIPES), default="standard")
    arguments = parser.parse_args()
    for name in arguments.datasets:
        dataset = load_dataset(load_spec(name), arguments.data_dir)
        seeds = [trained(dataset, 1, 256, seed, arguments.recipe) for seed in SEEDS]
        one = np.mean(
            [[evaluate(seed, dataset)[score] for score in SCORES] for seed in seeds], axis=0
        )
        rows = [("three seeds", averaged(seeds), 3.0)]
        for members, batch in ((3, 256), (8, 96), (8, 256)):
            begun = time.perf_counter()
            found = trained(dataset, members, batch, SEEDS[0], arguments.recipe)
            rows.append((f"{members} members, {batch} windows", found, members * batch / 256))
            print(f"{time.perf_counter() - begun:.0f} s", flush=True)
        for label, found, cost in rows:
            scores = np.array([evaluate(found, dataset)[score] for score in SCORES]) / one - 1
            print(
                f"| {dataset.spec.name} | {label} | {cost:.1f} | "
                f"{' | '.join(f'{100 * s:+.2f} %' for s in scores)} | "
                f"{metrics.pinball(found):.5g} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
