"""One style for every thesis figure: sizes, fonts, colours and names."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hpo_lib.views.look import colour, in_order, marker, name

TEXT_WIDTH = 150 / 25.4
"""Inches: the text width of an A4 thesis with margins of 30 mm."""

RC: dict[Any, Any] = {
    # STIX comes with matplotlib, so that no machine lacks it, and it goes with the Times of a thesis.
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.hashsalt": "hpo_lib",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}

GREY, INK, ACCENT = "#b5b5b5", "#222222", "#D55E00"


@contextmanager
def thesis_style() -> Iterator[None]:
    """The style, for drawing and for saving; matplotlib's global settings are as before afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own matplotlibrc does not change a thesis
        with mpl.rc_context(RC):
            yield


def panels(rows: int, columns: int, *, height: float, **options: Any) -> tuple[Figure, Any]:
    """A figure of text width with a grid of axes [rows, columns]; ``height`` in inches."""
    figure = Figure(figsize=(TEXT_WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def legend_below(figure: Figure, handles: Sequence[Any], columns: int | None = None) -> None:
    """One legend for all panels, in a row of its own below them."""
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=columns or len(handles), handlelength=1.8,
        columnspacing=1.2,
    )  # fmt: skip


def model_handles(models: Sequence[str], *, markers: bool = False) -> list[Line2D]:
    """Legend entries of models."""
    return [
        Line2D([], [], color=colour(model), marker=marker(model) if markers else "", label=name(model))
        for model in in_order(models)
    ]


def mark(figure: Figure, words: str) -> None:
    """Say in the picture what must not be overlooked, such as simulated data."""
    if words:
        figure.suptitle(words, x=0.995, ha="right", fontsize=7, color=ACCENT, weight="bold")


def empty(axes: Axes, words: str) -> None:
    """A panel for which there is no record."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=8, color="#777777", transform=axes.transAxes)
