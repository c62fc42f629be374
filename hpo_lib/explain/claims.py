"""What a network says of itself, against what its forecasts show: does attention tell the truth?"""

import re
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from hpo_lib.data.context import AHEAD, LAST_DAY, LEVEL, WEEKS
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.explain.players import MEDIAN, Donors, coalition_values, of_model, players
from hpo_lib.explain.run import chosen_days
from hpo_lib.explain.shapley import shapley_values
from hpo_lib.families.models import Forecaster
from hpo_lib.scoring.uncertainty import drawn_days

CLAIM_DAYS = "14"
OF_GROUP = {
    LEVEL: "level of .*",
    LAST_DAY: ".*target_24h_before",
    WEEKS: ".*target_(168h_before|mean_of_week)",
    AHEAD: ".*_(ahead|since_yesterday)",
}
"""Inputs of the TFT that are of a group without columns; the target is of two of these."""


def claims(forecaster: Forecaster, dataset: Dataset) -> pd.DataFrame:
    """[N, C] by day of validation what a family's network is read by.

    Of a TFT the weights of its variables, summed to the groups; of N-HiTS the mean size of what
    each stack adds; of TimesNet the weights of its periods.
    """
    from hpo_lib.families import insight  # needs torch

    module: Any = getattr(forecaster, "module", None)
    if hasattr(module, "stacks"):
        parts = insight.stack_forecasts(forecaster)
        names = [f"stack of {hours} h" for hours in parts.hours]
        return pd.DataFrame(np.abs(parts.stacks[..., MEDIAN]).mean(axis=2), columns=names)
    if hasattr(module, "nf"):
        periods = insight.periods(forecaster)
        shares = {
            f"period of {hours} h": (periods.weights * (periods.hours == hours)).sum(axis=(1, 2))
            for hours in np.unique(periods.hours)
        }
        return pd.DataFrame(shares)
    fusion = insight.fusion_weights(forecaster)
    of_target, days = fusion.history[dataset.spec.target], HISTORY / HORIZON
    summed = {}
    for group, columns in players(dataset).items():
        inputs = "|".join(map(re.escape, columns)) or OF_GROUP[group]
        parts_of = [part.filter(regex=f"^({inputs})$") for part in (fusion.history, fusion.future)]
        summed[group] = sum(part.sum(axis=1) for part in parts_of)
    summed[LAST_DAY] += of_target / days
    summed[WEEKS] += of_target * (1 - 1 / days)
    return pd.DataFrame(summed)


def agreement(claimed: pd.DataFrame, sizes: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation over days of each claim with the size of each group's value.

    With a 95 % block bootstrap interval over days. Where claims are of groups, the last row is the
    correlation over the groups of the means over days.
    """
    drawn, pairs = drawn_days(len(sizes)), {}
    for claim, group in product(claimed, sizes):
        x, y = claimed[claim].to_numpy(), sizes[group].to_numpy()
        pairs[claim, group] = _correlation(x, y), _correlation(x[drawn], y[drawn])
    if set(claimed) <= set(sizes):
        means = [part.to_numpy() for part in (claimed, sizes[list(claimed)])]
        order = (_correlation(*(some.mean(axis=-2) for some in means)),)
        pairs["all", "all"] = *order, _correlation(*(part[drawn].mean(axis=1) for part in means))
    columns = ["correlation", "low", "high"]
    bounds = [np.nanquantile(draws, (0.025, 0.975)) for _, draws in pairs.values()]
    rows = [[float(value), *some] for (value, _), some in zip(pairs.values(), bounds, strict=True)]
    names = pd.MultiIndex.from_tuples(pairs, names=["claim", "group"])
    return pd.DataFrame(rows, names, columns)


def _correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of ranks along the last axis."""
    ranks = [rankdata(part, axis=-1) for part in (x, y)]
    x, y = (part - part.mean(axis=-1, keepdims=True) for part in ranks)
    spread = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return np.asarray((x * y).sum(axis=-1) / np.where(spread > 0, spread, np.nan))


def truth_of_claims(forecaster: Forecaster, dataset: Dataset) -> pd.DataFrame:
    """`agreement` of a network's claims with its Shapley values, on days of validation."""
    donors = Donors.draw(dataset, chosen_days(dataset, "validation", CLAIM_DAYS), dataset)
    groups = players(dataset)
    values = coalition_values(of_model(forecaster), dataset, donors, groups, "explained")
    sizes = np.abs(shapley_values(values.mean(axis=0)[..., MEDIAN])).mean(axis=2)
    chosen = np.searchsorted(dataset.validation_origins, donors.days)
    claimed = claims(forecaster, dataset).iloc[chosen].reset_index(drop=True)
    return agreement(claimed, pd.DataFrame(sizes.T, columns=list(groups)))
