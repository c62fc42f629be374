"""What common leaks promise, as a table in words and as a figure."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from hpo_lib.figures.style import ACCENT, BLUE, finished, unit_text, with_interval


def price_table(prices: pd.DataFrame) -> pd.DataFrame:
    """The rows of a price list with numbers and intervals as text."""

    def text(name: str, form: Callable[..., str] = with_interval) -> list[str]:
        return [form(*row) for row in prices[[name, f"{name}_low", f"{name}_high"]].to_numpy()]

    less = text("less_error", "{:z.1f} [{:z.1f}, {:z.1f}]".format)  # z: no minus before 0.0
    numbers = {"honest": text("honest"), "promised": text("promised"), "% less error": less}
    return prices[["leak", "clean twin"]].assign(**numbers)


def price_figure(prices: pd.DataFrame, unit: str, *, source: str) -> Figure:
    """Honest and promised error of each leak with 95 % intervals, and beside them how much less is
    promised.
    """
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.6 * len(prices)), layout="constrained")
    for place, (_, row) in enumerate(prices.iterrows()):
        looks = ("honest", BLUE, "o", place - 0.13), ("promised", ACCENT, "D", place + 0.13)
        for name, colour, marker, height in looks:
            low, high = row[f"{name}_low"], row[f"{name}_high"]
            axes.plot([low, high], [height, height], color=colour, lw=1.5)
            label = (
                {"honest": "honest", "promised": "promised by the leak"}[name]
                if place == 0
                else None
            )
            axes.plot(row[name], height, marker, color=colour, ms=6, ls="none", label=label)
        share = (
            f"{abs(row['less_error']):.0f} % {'more' if round(row['less_error']) < 0 else 'less'}"
        )
        axes.annotate(
            share, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8
        )
    axes.set(
        xlabel=f"MAE in {unit_text(unit)}, with 95 % interval",
        xlim=(0, None),
        yticks=range(len(prices)),
        yticklabels=prices["leak"],
        ylim=(len(prices) - 0.5, -0.5),
    )
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    return finished(figure, source)
