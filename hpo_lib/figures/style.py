"""How everything drawn looks: names, colours, numbers, axes; sizes and fonts of a thesis."""

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import matplotlib as mpl
import matplotlib.style
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hpo_lib.data.day_ahead_weather import warnings_of
from hpo_lib.data.splits import HORIZON
from hpo_lib.families.models import described, registered

BLUE, SKY_BLUE, PINK, ACCENT = "#0072B2", "#56B4E9", "#CC79A7", "#D55E00"

MISSING = "\u2013"
"""Printed where there is no number."""


def model_name(model: str) -> str:
    """N-HiTS for NHITS_Q."""
    return described(model).title


def model_colour(model: str) -> str:
    """The same in every figure; the model's own file states it."""
    return described(model).colour


def in_order(models: Iterable[str]) -> list[str]:
    """Each model once, in the order of the registry, then others by name."""
    return sorted(set(models), key=lambda name: ([*registered(), name].index(name), name))


def number(value: float) -> str:
    """A number with three significant digits and all digits before the point, or a dash.

    Examples:
        >>> [number(0.29), number(0.0044712), number(1234.5), number(87.04)]
        ['0.290', '0.00447', '1234', '87.0']
    """
    return _text(value, ".0f" if abs(value) >= 100 else "#.3g")


def _text(value: float, digits: str) -> str:
    return MISSING if math.isnan(value) else f"{value:{digits}}".replace("-", "\u2212")


NETWORK_KEPT = "Network kept (median/width in %)"


def network_kept(shares: Sequence[float] | None) -> str:
    """The percentages of a network in the median and the width of a forecast: ``30/100``."""
    if shares is None or any(map(math.isnan, shares)):
        return MISSING
    return "/".join(f"{100 * share:.0f}" for share in shares) if any(shares) else "none"


def with_network(label: str, network: str) -> str:
    """A label followed by what is kept of the network in brackets, if there is one."""
    return label if network == MISSING else f"{label} ({network})"


PARAMS = {
    "best": "tuned",
    "file": "file",
    "default": "untuned",
    "same": "no gain",
    "own": "",
    "plain": "plain",
}


def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a benchmark with ``label``, model and tuning, and ``network``, what is kept."""
    labels = rows["model"].map(model_name) + ", " + rows["params"].map(PARAMS)
    shares = rows[["share_medians", "share_widths"]].to_numpy().tolist()
    return rows.assign(label=labels.str.removesuffix(", "), network=[*map(network_kept, shares)])


def with_interval(value: float, low: float, high: float) -> str:
    """A score with its interval: ``0.312 [0.298, 0.327]``."""
    return f"{number(value)} [{number(low)}, {number(high)}]"


def aligned(values: Iterable[float], like: Iterable[float] = ()) -> list[str]:
    """Numbers with the same decimals, so that their points are below each other.

    The smallest number, of ``like`` if that is given, has three digits.

    >>> aligned([0.1284, 1.25, float("nan")]), aligned([82.04, 100.0])
    (['0.128', '1.250', '\u2013'], ['82.0', '100.0'])
    """
    values = list(values)
    sizes = [abs(value) for value in list(like) or values if value and math.isfinite(value)]
    digits = max(0, 2 - math.floor(math.log10(min(sizes, default=1))))
    return [_text(value, f".{digits}f") for value in values]


def with_intervals(rows: pd.DataFrame, score: str, like: Iterable[float] = ()) -> list[str]:
    """A score with its interval in brackets, all with the decimals of the score, or of ``like``."""
    sizes = list(like) or rows[score]
    columns = (aligned(rows[score + end], sizes) for end in ("", "_low", "_high"))
    return [f"{value} [{low}, {high}]" for value, low, high in zip(*columns, strict=True)]


def unit_text(unit: str) -> str:
    """A unit as it is printed: ``m3/h`` with a raised 3."""
    return unit.replace("m3", "m³")


def warning_text(sources: Iterable[str], *, is_test: bool) -> str:
    """The warnings on data of these sources (see `Dataset`) and on a test; empty if none."""
    warnings = [warning for source in sources for warning in warnings_of(source)]
    warnings += ["TEST BUDGET"] * is_test
    return ", ".join(dict.fromkeys(warnings))


SCREEN, THESIS = "hpo_lib.figures.screen", "hpo_lib.figures.thesis"
"""The style sheets of notebooks and pages, and of the thesis."""


@contextmanager
def on_screen() -> Iterator[None]:
    """Let figures look as notebooks and pages show them; also a decorator of their drawers.

    A notebook shows them as pictures, whatever backend ``MPLBACKEND`` names. Clusters set ``Agg``.
    Only its own inline backend tells IPython how; with another one a record would hold ``<Figure
    size ...>``.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if getattr(shell, "kernel", None) is not None:
        from IPython.core.pylabtools import select_figure_formats

        select_figure_formats(shell, {"png"})
    with mpl.style.context(SCREEN):
        yield


def marked_by_source(figure: Figure, source: str) -> Figure:
    """The figure, marked if its data are simulated or nobody has them in time."""
    return marked(figure, warning_text([source], is_test=False))


def marked(figure: Figure, warning: str, *, above: bool = False) -> Figure:
    """The figure with this warning as a label for which the layout keeps room."""
    if warning:
        write, size = (figure.suptitle, 7) if above else (figure.supxlabel, 8)
        write(warning, x=0.995, ha="right", fontsize=size, color=ACCENT, weight="bold")
    return figure


def hours_axis(axes: Axes) -> None:
    """The hours ahead, with a tick every three of them."""
    axes.set(xlabel="hours ahead", xlim=(0.5, HORIZON + 0.5), xticks=range(3, HORIZON + 1, 3))


def date_axis(axes: Axes, least: int, most: int) -> None:
    """Short dates as ticks, between ``least`` and ``most`` of them; each month with its year."""
    locator = AutoDateLocator(minticks=least, maxticks=most)  # type: ignore[no-untyped-call]
    dates = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    dates.formats[1] = dates.zero_formats[1] = "%b\n%Y"
    dates.offset_formats[1] = ""
    axes.xaxis.set(major_locator=locator, major_formatter=dates)


TEXT_WIDTH = 150 / 25.4
"""Inches: the text width of an A4 thesis with margins of 30 mm."""

GREY, INK = "#b5b5b5", "#222222"
Look = dict[str, Any]
"""Keywords of matplotlib."""

TARGET: Look = {"color": "#000000", "lw": 0.6, "ls": "--"}
"""The line of an ideal value."""


thesis_style = partial(mpl.style.context, THESIS, after_reset=True)
"""The style, for drawing and for saving; then matplotlib's settings are as before.

A user's own matplotlibrc does not change a thesis.
"""


def panels(
    rows: int, columns: int, *, height: float, width: float = TEXT_WIDTH, **options: Any
) -> tuple[Figure, Any]:
    """A figure with a grid of axes [rows, columns]; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def dataset_panels(
    data: pd.DataFrame, count: int, *, height: float, each: float = 0, **options: Any
) -> tuple[Figure, list[tuple[Any, pd.DataFrame]]]:
    """A figure with so many `panels` for each dataset, and these beside its rows.

    They are a titled column or, with a height for ``each`` dataset, a row.
    """
    datasets = [rows for _, rows in data.groupby("dataset")]
    shape = (len(datasets), count) if each else (count, len(datasets))
    figure, grid = panels(*shape, height=height + each * len(datasets), **options)
    parts = list(zip(grid if each else grid.T, datasets, strict=True))
    for (first, *_), rows in [] if each else parts:
        first.set_title(rows["title"].iloc[0])
    return figure, parts


def joined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """One table of all that have rows; empty if none has."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def beside(models: pd.Series, step: float) -> pd.Series:
    """How far from the middle each row is drawn, so that all its models are side by side."""
    order = in_order(models)
    return step * (models.map(order.index) - (len(order) - 1) / 2)


def model_look(model: str) -> Look:
    """A family's line, a baseline's dashed one; points with the model's marker."""
    one = described(model)
    line = {"lw": 1.1} if one.kind == "family" else {"lw": 0.9, "ls": (0, (4, 2))}
    return {"color": one.colour, "marker": one.marker, **line}


def draw_models(axes: Axes, data: pd.DataFrame, x: str, y: str, **look: Any) -> None:
    """The rows of each model with its own look, but for what ``look`` says."""
    for model in in_order(data["model"]):
        rows = data[data["model"] == model]
        axes.plot(rows[x], rows[y], **{**model_look(model), **look})


def draw_intervals(
    axes: Axes, data: pd.DataFrame, score: str, end: str = "", *, upright: bool = True, **look: Any
) -> None:
    """Scores with their intervals over the column ``place``, or beside it; ``end`` of the names."""
    middle, low, high = (f"{score}{bound}{end}" for bound in ("", "_low", "_high"))
    draw_lines = axes.vlines if upright else axes.hlines
    colours = data["model"].map(model_colour)
    draw_lines(data["place"], data[low], data[high], colors=[*colours], lw=0.8)
    names = ("place", middle) if upright else (middle, "place")
    draw_models(axes, data, *names, **{"ls": "", **look})


def legend_below(figure: Figure, handles: Sequence[Any]) -> None:
    """One legend for all panels, in a row of its own below them; long labels take several rows."""
    most = 6 if sum(len(handle.get_label()) for handle in handles) < 72 else 3
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(handles), most),
        handlelength=1.8,
        columnspacing=1.2,
    )


def handle(label: str, **look: Any) -> Line2D:
    """A legend entry that is no line of a panel."""
    return Line2D([], [], label=label, **look)


def model_handles(models: Iterable[str], **look: Any) -> list[Line2D]:
    """Legend entries of models: a line with the model's marker, or as ``look`` says."""
    return [handle(model_name(name), **{**model_look(name), **look}) for name in in_order(models)]
