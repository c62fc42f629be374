"""The proof of a study's choice in one figure."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from hpo_lib.views.model_style import ACCENT, BLUE, PINK, finished

_CHANGES = {
    "score_change": ("both", "#000000", "o"),
    "mae_change": ("MAE", BLUE, "s"),
    "winkler_calibrated_change": ("calibrated interval score", ACCENT, "D"),
}


def proof_figure(proof: Mapping[str, Any], *, source: str) -> Figure:
    """What each challenger changes of the untuned defaults' scores, in percent with 90 % intervals, over fresh seeds.

    The probability of a lower score stands beside; where nothing was compared, the figure says why.
    """
    compared = [one for one in proof["challengers"] if not one["cause"]]
    figure, axes = plt.subplots(figsize=(7, 1.2 + 0.9 * len(compared)), layout="constrained")
    if not compared:
        axes.set_axis_off()
        why = "; ".join([proof["cause"], *(f"trial {one['trial']}: {one['cause']}" for one in proof["challengers"])])
        axes.text(0.5, 0.5, f"Nothing was compared: {why.strip('; ')}.", ha="center", wrap=True)
        return finished(figure, source)
    axes.axvline(0, color=PINK, lw=1.5, label="untuned defaults")
    for row, one in enumerate(compared):
        for place, (key, (label, colour, marker)) in enumerate(_CHANGES.items()):
            mean, low, high = one[key]
            height = row + 0.22 * (place - 1)
            axes.plot([low, high], [height, height], color=colour, lw=1.5)
            axes.plot(mean, height, marker, color=colour, ms=5, ls="none", label=label if row == 0 else None)
        verdict = "proven" if one["proven"] else "not proven"
        beside = f"probability {one['probability']:.2f}: {verdict}"
        axes.annotate(beside, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    axes.set(
        xlabel="change of the score in %, with 90 % interval; left of the line is better",
        yticks=range(len(compared)), yticklabels=[f"trial {one['trial']}" for one in compared],
        ylim=(len(compared) - 0.5, -0.5),
    )  # fmt: skip
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
    return finished(figure, source)
