"""TFT_Q: Temporal Fusion Transformer with quantile outputs (Lim et al., 2021), of `darts`."""

from typing import Any, ClassVar

from hpo_lib.families.darts_family import DartsFamily
from hpo_lib.families.models import Budget, ByName, register
from hpo_lib.families.search_space import Choice, FloatRange, IntRange


class TftQ(DartsFamily):
    """The TFT has an encoder for the past and a decoder for future-known columns, used as such."""

    name = "TFT_Q"
    title = "TFT"
    colour = "#D55E00"
    marker = "^"
    calendar_as_past = False
    search_space: ClassVar = {
        "hidden_size": Choice((32, 64, 128, 256)),
        "lstm_layers": IntRange(1, 3),
        "num_attention_heads": Choice((2, 4, 8)),
        "dropout": FloatRange(0.05, 0.4),
        "lr": FloatRange(1e-5, 1e-2, log=True),
    }
    # hidden_size: the library's is 16, below the search space; lr: docs/what_was_tried.md
    defaults: ClassVar = {
        "hidden_size": 32,
        "lstm_layers": 1,
        "num_attention_heads": 4,
        "dropout": 0.1,
        "lr": 3e-3,
    }
    budgets: ClassVar = {
        "test": Budget(steps=12, batch_size=16, checks=1),
        "laptop": Budget(steps=300, batch_size=64, checks=6, max_work=125),
        "a100": Budget(steps=1000, batch_size=64, checks=20),
    }

    def darts_model(self, network: ByName, common: ByName) -> Any:
        from hpo_lib.families.tft_layers import RearrangedTFT

        return RearrangedTFT(**network, **common)


register(TftQ())
