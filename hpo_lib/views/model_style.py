"""How everything looks: names, colours and markers of models, numbers and units as text, marks on figures."""

import math
import sys
from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from hpo_lib.data.day_ahead_weather import warnings_of

MODELS = {
    "NHITS_Q": ("N-HiTS", "#0072B2", "o"),
    "TFT_Q": ("TFT", "#D55E00", "^"),
    "TIMESNET_Q": ("TimesNet", "#009E73", "s"),
    "LIGHTGBM_Q": ("LightGBM", "#CC79A7", "D"),
    "LIGHTGBM_LINEAR_Q": ("Linear + LightGBM", "#882255", "d"),
    "LINEAR_Q": ("Linear quantile", "#E69F00", "v"),
    "RESIDUAL_LINEAR": ("Linear baseline", "#999933", "<"),
    "CHRONOS2": ("Chronos-2", "#F0E442", "*"),
    "NAIVE_24H": ("Naive 24 h", "#777777", "x"),
    "NAIVE_168H": ("Naive 168 h", "#aaaaaa", "+"),
    "BLEND": ("Blend", "#56B4E9", "P"),
    "BLEND_ALL": ("Blend, all", "#000000", "X"),
}
"""Model -> name, colour and marker, in the order of legends: families, baselines, blends.

The colours are colour-blind safe (Okabe and Ito, 2008); the markers tell models apart in print without colours.
"""

BLUE, SKY_BLUE, PINK, ACCENT = "#0072B2", "#56B4E9", "#CC79A7", "#D55E00"

SMALL = 0.1
"""Below this MAE in m3/h litres are printed."""

MISSING = "\u2013"
"""Printed where there is no number."""


def model_name(model: str) -> str:
    """N-HiTS for NHITS_Q."""
    return MODELS[model][0] if model in MODELS else model


def model_colour(model: str) -> str:
    """The same in every figure."""
    return MODELS[model][1] if model in MODELS else "#444444"


def model_marker(model: str) -> str:
    """The same in every figure."""
    return MODELS[model][2] if model in MODELS else "."


def in_order(models: Iterable[str]) -> list[str]:
    """Each model once, in the order of `MODELS`, then others by name."""
    known = list(MODELS)
    return sorted(set(models), key=lambda model: (known.index(model) if model in known else len(known), model))


def number(value: float) -> str:
    """A number with three significant digits and all digits before the point, or a dash.

    Examples:
        >>> [number(0.29), number(0.0044712), number(1234.5), number(87.04)]
        ['0.290', '0.00447', '1234', '87.0']
    """
    if math.isnan(value):
        return MISSING
    return (f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}").replace("-", "\u2212")


def with_interval(value: float, low: float, high: float) -> str:
    """A score with its interval: ``0.312 [0.298, 0.327]``."""
    return f"{number(value)} [{number(low)}, {number(high)}]"


def aligned(values: Iterable[float], like: Iterable[float] = ()) -> list[str]:
    """Numbers with the same decimals, so that their points are below each other: the smallest has three digits.

    The smallest of ``like``, if that is given.

    >>> aligned([0.1284, 1.25, float("nan")]), aligned([82.04, 100.0])
    (['0.128', '1.250', '\u2013'], ['82.0', '100.0'])
    """
    values = list(values)
    sizes = [abs(value) for value in list(like) or values if value and math.isfinite(value)]
    digits = max(0, 2 - math.floor(math.log10(min(sizes)))) if sizes else 2
    return [MISSING if math.isnan(value) else f"{value:.{digits}f}".replace("-", "\u2212") for value in values]


def readable(unit: str, mae: float) -> tuple[str, float]:
    """The unit in which forecasts with this MAE are read best, and the factor to it: 2.9 L/h instead of 0.0029 m3/h."""
    return (unit.replace("m3", "L"), 1000.0) if unit.startswith("m3/") and mae < SMALL else (unit, 1.0)


def unit_text(unit: str) -> str:
    """A unit as it is printed: ``m3/h`` with a raised 3."""
    return unit.replace("m3", "m³")


def warning_text(sources: Iterable[str], *, is_test: bool, other_splits: bool = False) -> str:
    """What is to be warned of in data of these sources (see `Dataset`), or in a test; empty if nothing."""
    of_data = dict.fromkeys(warning for source in sources for warning in warnings_of(source))
    others = {"TEST BUDGET": is_test, "NOT THE PLANNED SPLITS": other_splits}
    return ", ".join([*of_data, *(text for text, holds in others.items() if holds)])


def finished(figure: Figure, source: str) -> Figure:
    """Mark data that nobody has in time, or that are simulated; close the figure, so that Jupyter shows it once."""
    plt.close(figure)
    _show_as_picture()
    return marked(figure, ", ".join(warnings_of(source)))


def marked(figure: Figure, warning: str) -> Figure:
    """The figure with a warning, instead of the one before, as a label for which the layout keeps room."""
    if warning:
        figure.supxlabel(warning, x=0.995, ha="right", fontsize=8, color=ACCENT, weight="bold")
    return figure


def _show_as_picture() -> None:
    """Let a notebook show figures as pictures, whatever backend ``MPLBACKEND`` names: clusters set ``Agg``.

    Only its own inline backend tells IPython how; with another one a record would hold ``<Figure size ...>``.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and getattr(shell, "kernel", None) is not None:
        from IPython.core.pylabtools import select_figure_formats

        select_figure_formats(shell, {"png"})


def no_negative_demand(axes: Axes, actual: pd.Series | np.ndarray) -> None:
    """Let the axis of a target that is never negative begin at 0 where a forecast's interval reaches below."""
    if np.nanmin(actual) >= 0:
        axes.set_ylim(max(0.0, axes.get_ylim()[0]), None)


def date_axis(axes: Axes, least: int, most: int) -> None:
    """Short dates as ticks, between ``least`` and ``most`` of them."""
    locator = AutoDateLocator(minticks=least, maxticks=most)  # type: ignore[no-untyped-call]
    axes.xaxis.set(major_locator=locator, major_formatter=ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
