"""One style for every thesis figure: sizes, fonts, panels and legends."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE
from hpo_lib.views.model_style import ACCENT, in_order, model_colour, model_marker, model_name

TEXT_WIDTH = 150 / 25.4
"""Inches: the text width of an A4 thesis with margins of 30 mm."""

# STIX comes with matplotlib, so every machine has it, and it goes with the Times of a thesis.
RC: dict[Any, Any] = {
    "font.family": "STIXGeneral", "mathtext.fontset": "stix",
    "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9,
    "legend.fontsize": 8, "xtick.labelsize": 8, "ytick.labelsize": 8,
    "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": "#e4e4e4", "grid.linewidth": 0.5,
    "lines.linewidth": 1.0, "lines.markersize": 3.5, "legend.frameon": False,
    "savefig.dpi": 300, "pdf.fonttype": 42, "svg.hashsalt": "hpo_lib",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03, "figure.constrained_layout.w_pad": 0.03,
}  # fmt: skip

GREY, INK = "#b5b5b5", "#222222"
TARGET: dict[str, Any] = {"color": "#000000", "lw": 0.6, "ls": "--"}
"""The line of an ideal value."""


@contextmanager
def thesis_style() -> Iterator[None]:
    """The style, for drawing and for saving; afterwards matplotlib's global settings are as before."""
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own matplotlibrc does not change a thesis
        with mpl.rc_context(RC):
            yield


def panels(rows: int, columns: int, *, height: float, **options: Any) -> tuple[Figure, Any]:
    """A figure of text width with a grid of axes [rows, columns]; ``height`` in inches."""
    figure = Figure(figsize=(TEXT_WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def by_dataset(data: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each dataset, by its name."""
    return [own for _, own in data.groupby("dataset")]


def by_model(data: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each model with its rows, in the order of legends."""
    for model in in_order(data["model"]):
        yield model, data[data["model"] == model]


def legend_below(figure: Figure, handles: Sequence[Any]) -> None:
    """One legend for all panels, in a row of its own below them; long labels take several rows."""
    most = 6 if sum(len(handle.get_label()) for handle in handles) < 80 else 3
    options = {"ncols": min(len(handles), most), "handlelength": 1.8, "columnspacing": 1.2}
    figure.legend(handles=handles, loc="outside lower center", **options)


def model_handles(models: Iterable[str], **options: Any) -> list[Line2D]:
    """Legend entries of models: a line with the model's marker, or as matplotlib's ``options`` say."""
    return [
        Line2D([], [], color=model_colour(model), label=model_name(model), **{"marker": model_marker(model), **options})
        for model in in_order(models)
    ]


def coverage_line(axes: Axes, *, vertical: bool = False) -> None:
    """The coverage that intervals should have."""
    (axes.axvline if vertical else axes.axhline)(NOMINAL_COVERAGE, **TARGET)


def mark(figure: Figure, text: str) -> None:
    """Print a warning above all panels, such as that data is simulated."""
    if text:
        figure.suptitle(text, x=0.995, ha="right", fontsize=7, color=ACCENT, weight="bold")


def write_inside(axes: Axes, text: str, colour: str = "#777777") -> None:
    """A text in the middle of a panel, for example that there is no record for it."""
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=8, color=colour, transform=axes.transAxes)
