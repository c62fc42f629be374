"""How everything looks that is shown: names, colours and markers of models, numbers as text, marks on figures."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

MODEL_COLOURS = {"NHITS_Q": "#0072B2", "TFT_Q": "#D55E00", "TIMESNET_Q": "#009E73"}
"""Colour-blind safe (Okabe and Ito, 2008), the same for a model everywhere."""


def finished(figure: Figure, source: str) -> Figure:
    """Mark simulated data, and close the figure so that Jupyter shows it only where it is displayed."""
    plt.close(figure)
    if source == "simulated":
        # as a label of the whole figure, for which the layout keeps a place
        figure.supxlabel("SIMULATED DATA", x=0.995, ha="right", fontsize=8, color="#D55E00", weight="bold")
    return figure


MISSING = "\u2013"
"""What stands where there is no number."""


def number(value: float, digits: int = 3) -> str:
    """A number with that many significant digits, all digits before the point, a dash where there is none.

    >>> [number(0.29), number(0.0044712), number(1234.5), number(87.04)]
    ['0.290', '0.00447', '1234', '87.0']
    """
    if math.isnan(value):
        return MISSING
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:.0f}".replace("-", "\u2212")
    return f"{value:#.{digits}g}".replace("-", "\u2212")


def within(value: float, low: float, high: float, digits: int = 3) -> str:
    """A score with its interval: ``0.312 [0.298, 0.327]``."""
    return f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"


def warning(is_simulated: bool, is_test: bool) -> str:
    """What must not be overlooked: that data is simulated, that trainings only tested something."""
    return ", ".join([*(["SIMULATED DATA"] if is_simulated else []), *(["TEST BUDGET"] if is_test else [])])


COLOURS = {
    **MODEL_COLOURS,
    "LIGHTGBM_Q": "#CC79A7",
    "LIGHTGBM_LINEAR_Q": "#882255",
    "LINEAR_Q": "#E69F00",
    "CHRONOS2": "#F0E442",
    "NAIVE_24H": "#777777",
    "NAIVE_168H": "#aaaaaa",
    "BLEND": "#56B4E9",
    "BLEND_ALL": "#000000",
}
"""Colour-blind safe (Okabe and Ito, 2008); the families have the colours that they have in every notebook."""

MARKERS = {
    "NHITS_Q": "o", "TFT_Q": "^", "TIMESNET_Q": "s", "LIGHTGBM_Q": "D", "LIGHTGBM_LINEAR_Q": "d", "LINEAR_Q": "v",
    "NAIVE_24H": "x", "NAIVE_168H": "+", "BLEND": "P", "BLEND_ALL": "X", "CHRONOS2": "*",
}  # fmt: skip
"""A shape beside the colour, for print without colours."""

NAMES = {
    "NHITS_Q": "N-HiTS", "TFT_Q": "TFT", "TIMESNET_Q": "TimesNet", "LIGHTGBM_Q": "LightGBM",
    "LIGHTGBM_LINEAR_Q": "Linear + LightGBM", "LINEAR_Q": "Linear quantile", "NAIVE_24H": "Naive 24 h",
    "NAIVE_168H": "Naive 168 h", "BLEND": "Blend", "BLEND_ALL": "Blend, all", "CHRONOS2": "Chronos-2",
}  # fmt: skip


def name(model: str) -> str:
    """The name of a model as a reader knows it."""
    return NAMES.get(model, model)


def colour(model: str) -> str:
    """The colour of a model, the same in every figure."""
    return COLOURS.get(model, "#444444")


def marker(model: str) -> str:
    """The marker of a model."""
    return MARKERS.get(model, ".")


def unit_text(unit: str) -> str:
    """A unit as it is printed: ``m3/h`` with a raised 3."""
    return unit.replace("m3", "m³")


def in_order(models: Sequence[str]) -> list[str]:
    """Models in the order of the legend: families, opponents, blends, then others by name."""
    known = list(COLOURS)
    return sorted(set(models), key=lambda model: (known.index(model) if model in known else len(known), model))
