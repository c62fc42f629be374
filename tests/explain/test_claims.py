"""What a network says of itself beside its Shapley values."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.explain.claims import agreement, claims
from hpo_lib.families import insight


def test_when_claims_follow_the_values_then_the_correlation_is_one_else_its_interval_holds_0():
    sizes = pd.DataFrame(np.random.default_rng(1).random((60, 3)), columns=["a", "b", "c"])
    claimed = sizes.assign(b=np.random.default_rng(2).random(60)) ** 3
    found = agreement(claimed, sizes)
    assert found.loc[("a", "a")].tolist() == pytest.approx([1, 1, 1])
    assert found.loc[("b", "b"), "low"] < 0 < found.loc[("b", "b"), "high"]
    means = [table.mean().rank().tolist() for table in (claimed, sizes)]
    assert found.loc[("all", "all"), "correlation"] == pytest.approx(np.corrcoef(*means)[0, 1])
    assert len(agreement(claimed.rename(columns={"a": "stack of 1 h"}), sizes)) == 9


def test_when_a_tft_is_read_then_the_weights_of_its_variables_are_summed_to_the_groups(
    parts, monkeypatch
):
    history = {
        "load": 0.28,
        "a": 0.1,
        "level of the last 24 h": 0.05,
        "day_of_week": 0.2,
        "is_weekend": 0.1,
        "hour": 0.07,
        "is_public_holiday": 0.1,
        "target as target_24h_before": 0.1,
    }
    future = {"is_weekend": 0.6, "target_168h_before": 0.3, "linear_forecast": 0.1}
    weights = [pd.DataFrame([values]) for values in (history, future)]
    monkeypatch.setattr(
        insight, "fusion_weights", lambda _: insight.FusionWeights(*weights, np.empty(0))
    )
    claimed = claims(SimpleNamespace(module=None), parts).iloc[0]
    assert claimed.to_dict() == pytest.approx(
        {
            "level": 0.05,
            "last day": 0.28 / 7 + 0.1,
            "weeks before": 0.28 * 6 / 7 + 0.3,
            "calendar": 0.9,
            "holidays": 0.1,
            "weather so far": 0.1,
        }
    )
