"""NHITS_Q: N-HiTS with quantile outputs (Challu et al., 2023), the model of `darts`."""

from typing import Any, ClassVar

from hpo_lib.families.darts_family import DartsFamily
from hpo_lib.families.models import Budget, ByName, register
from hpo_lib.families.search_space import Choice, FloatRange, IntRange


class NhitsQ(DartsFamily):
    """N-HiTS takes past covariates only: it gets the forecast day's calendar along the history."""

    name = "NHITS_Q"
    title = "N-HiTS"
    colour = "#0072B2"
    marker = "o"
    calendar_as_past = True
    search_space: ClassVar = {
        "num_stacks": IntRange(2, 5),
        "num_blocks": IntRange(1, 3),
        "num_layers": IntRange(2, 4),
        "layer_widths": Choice((256, 512, 1024)),
        "lr": FloatRange(1e-5, 1e-2, log=True),
        "dropout": FloatRange(0.05, 0.4),
        "weight_decay": FloatRange(1e-7, 1e-3, log=True),
    }
    # weight_decay: the library's is 0, the search space is logarithmic
    defaults: ClassVar = {
        "num_stacks": 3,
        "num_blocks": 1,
        "num_layers": 2,
        "layer_widths": 512,
        "lr": 1e-3,
        "dropout": 0.1,
        "weight_decay": 1e-7,
    }
    portfolio: ClassVar = {
        "water_centrum, water_tommerby": {
            "lr": 0.0022217469193239556,
            "weight_decay": 1.2615636178657275e-05,
            "linear_penalty": 0.13175657638656071,
            "linear_weeks": 2,
        }
    }
    budgets: ClassVar = {
        "test": Budget(steps=20, batch_size=64, checks=2, max_work=200),
        "laptop": Budget(steps=150, batch_size=256, checks=10, max_work=1500),
        "a100": Budget(
            steps=400, batch_size=256, checks=20, precision="bf16-mixed"
        ),  # quality: docs/performance.md
    }

    def darts_model(self, network: ByName, common: ByName) -> Any:
        from darts.models import NHiTSModel

        class HourlyRateNHiTS(NHiTSModel):
            """Its stacks read every input and forecast in whole hours, without pooling.

            darts puts target and covariates of an hour side by side in one row, and pools and
            interpolates along that row. A pool then holds the largest of a few demands and calendar
            values, and the coarse forecasts of the first stacks are coarse in columns, not hours.
            Here every stack reads every input, and the rates count whole hours: of S stacks, stack
            i forecasts one value in 2 ** (S - 1 - i) hours.
            """

            def _create_model(self, train_sample: Any) -> Any:
                columns = 1 + train_sample.past_covariates.shape[1]
                hours = [2**stack for stack in reversed(range(self.num_stacks))]
                # darts insists on 1 last; only whole hours are read
                rates = [rate * columns for rate in hours[:-1]] + [1]
                self.n_freq_downsample = tuple((rate,) * self.num_blocks for rate in rates)
                self.pooling_kernel_sizes = ((1,) * self.num_blocks,) * self.num_stacks
                return super()._create_model(train_sample)

        return HourlyRateNHiTS(**network, **common)


register(NhitsQ())
