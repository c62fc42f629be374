"""The figures of benchmarks, drawn from the plain data of `benchmark_data`."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, DateFormatter, DayLocator
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from hpo_lib.scoring.coverage import SEASON_NAMES, WEEKDAY_NAMES
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE
from hpo_lib.thesis import style
from hpo_lib.thesis.benchmark_data import SIGNIFICANCE
from hpo_lib.views import look
from hpo_lib.views.look import colour, name, unit_text


def weeks(data: pd.DataFrame) -> Figure:
    """Forecasts of two weeks with their interval, beside what came true; a row per dataset."""
    datasets, seasons = sorted(set(data["dataset"])), [s for s in ("winter", "summer") if s in set(data["season"])]
    figure, grid = style.panels(len(datasets), len(seasons), height=0.7 + 1.6 * len(datasets))
    for i, dataset in enumerate(datasets):
        for j, season in enumerate(seasons):
            axes, own = grid[i, j], data[(data["dataset"] == dataset) & (data["season"] == season)]
            if own.empty:
                style.empty(axes, f"no whole {season} week in the test split")
                continue
            first, hours = own.iloc[0], own["hour"].dt.tz_localize(None)
            shade = colour(first["model"])
            axes.fill_between(hours, own["lower"], own["upper"], color=shade, alpha=0.3, lw=0)
            for bound in ("lower_rolling", "upper_rolling"):
                axes.plot(hours, own[bound], color=shade, lw=0.6, ls=(0, (2, 1)))
            axes.plot(hours, own["median"], color=shade, lw=1.0)
            axes.plot(hours, own["actual"], color="#000000", lw=0.7)
            axes.xaxis.set_major_locator(DayLocator())  # type: ignore[no-untyped-call]
            axes.xaxis.set_major_formatter(DateFormatter("%a"))  # type: ignore[no-untyped-call]
            # Ticks that do not depend on the panel's height: the layout changes it after it has measured their labels.
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            axes.set(xlim=(hours.iloc[0], hours.iloc[-1]))
            axes.set_title(f"{first['title']}, {name(first['model'])}\n{season} week from {hours.iloc[0]:%-d %B %Y}")
            if j == 0:
                axes.set_ylabel(f"demand in {unit_text(first['unit'])}")
    figure.align_ylabels(grid[:, 0])
    for axes in grid[-1]:
        axes.set_xlabel("day (UTC)")
    handles = [
        Line2D([], [], color="#000000", lw=0.7, label="actual"),
        Line2D([], [], color="#555555", lw=1.0, label="median forecast"),
        Patch(color="#555555", alpha=0.3, lw=0, label="80 % interval, raw"),
        Line2D([], [], color="#555555", lw=0.6, ls=(0, (2, 1)), label="after rolling calibration"),
    ]
    style.legend_below(figure, handles)
    return figure


def reliability(data: pd.DataFrame) -> Figure:
    """Observed share at or below each level, raw and after the rolling correction; a panel per dataset."""
    data = data[data["calibration"].isin(["none", "rolling"]) & ~data["model"].str.startswith("NAIVE")]
    datasets = sorted(set(data["dataset"]))
    figure, grid = style.panels(2, len(datasets), height=4.4, sharex=True, sharey=True)
    for i, (calibration, label) in enumerate((("none", "raw"), ("rolling", "rolling calibration"))):
        for j, dataset in enumerate(datasets):
            axes = grid[i, j]
            own = data[(data["dataset"] == dataset) & (data["calibration"] == calibration)]
            axes.plot([0, 1], [0, 1], color="#000000", lw=0.6, ls="--")
            for model in look.in_order(list(own["model"])):
                line = own[own["model"] == model]
                axes.plot(line["level"], line["observed"], color=colour(model), marker=look.marker(model))
            axes.set(xlim=(0, 1), ylim=(0, 1), xticks=(0.1, 0.5, 0.9), yticks=(0.1, 0.5, 0.9))
            axes.set_aspect("equal")
            if i == 0:
                axes.set_title(own["title"].iloc[0])
            if j == 0:
                axes.set_ylabel(f"{label}\nobserved share")
    for axes in grid[-1]:
        axes.set_xlabel("quantile level")
    style.legend_below(figure, style.model_handles(list(data["model"]), markers=True))
    return figure


def by_hour(data: pd.DataFrame) -> Figure:
    """MAE and PICP per hour ahead; a column per dataset."""
    datasets = sorted(set(data["dataset"]))
    figure, grid = style.panels(2, len(datasets), height=3.8, sharex=True, sharey="none")
    for j, dataset in enumerate(datasets):
        of_dataset = data[data["dataset"] == dataset]
        for model in look.in_order(list(of_dataset["model"])):
            own = of_dataset[of_dataset["model"] == model]
            drawn = {"color": colour(model), "marker": look.marker(model), "ms": 2.2, "lw": 0.8}
            grid[0, j].plot(own["ahead"], own["mae"], **drawn)
            grid[1, j].plot(own["ahead"], own["picp"], **drawn)
        first = of_dataset.iloc[0]
        grid[0, j].set(title=first["title"], ylim=(0, None), ylabel=f"MAE in {unit_text(first['unit'])}")
        grid[1, j].axhline(NOMINAL_COVERAGE, color="#000000", lw=0.6, ls="--")
        grid[1, j].set(xlabel="hours ahead", ylim=(0, 100), xticks=(1, 6, 12, 18, 24))
    grid[1, 0].set_ylabel("PICP in %")
    style.legend_below(figure, style.model_handles(list(data["model"]), markers=True))
    return figure


def residuals(shares: pd.DataFrame, drift: pd.DataFrame) -> Figure:
    """How errors are distributed, and how their mean over four weeks moves through the test split."""
    datasets = sorted(set(shares["dataset"]))
    figure, grid = style.panels(2, len(datasets), height=3.8)
    for j, dataset in enumerate(datasets):
        top, bottom = grid[0, j], grid[1, j]
        of_dataset, moving = shares[shares["dataset"] == dataset], drift[drift["dataset"] == dataset]
        for model in look.in_order(list(of_dataset["model"])):
            own = of_dataset[of_dataset["model"] == model]
            top.step(own["bin"], own["share"], where="mid", color=colour(model), lw=0.9)
            line = moving[moving["model"] == model]
            bottom.plot(line["day"], line["error"], color=colour(model), lw=0.9)
        first = of_dataset.iloc[0]
        limit = of_dataset["bin"].max() + of_dataset["bin"].diff().max() / 2
        ticks = [-limit, -limit / 2, 0, limit / 2, limit]
        labels = [f"{tick:.0f}".replace("-", "\u2212") for tick in ticks]
        top.set_xticks(ticks, [f"\u2264{labels[0]}", *labels[1:-1], f"\u2265{labels[-1]}"])
        top.axvline(0, color="#000000", lw=0.6, ls="--")
        top.set(title=first["title"], xlabel="error in % of mean demand", xlim=(-limit, limit), ylim=(0, None))
        bottom.axhline(0, color="#000000", lw=0.6, ls="--")
        bottom.set(ylabel=f"mean error in {unit_text(first['unit'])}", xlabel="end of the 28 days")
        locator = AutoDateLocator(minticks=2, maxticks=4)  # type: ignore[no-untyped-call]
        bottom.xaxis.set(major_locator=locator, major_formatter=ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    grid[0, 0].set_ylabel("share of hours in %")
    style.legend_below(figure, style.model_handles(list(shares["model"])))
    return figure


def baseline_vs_optimised(data: pd.DataFrame) -> Figure:
    """MAE and PICP of every model with bootstrap intervals: untuned hollow, tuned filled, opponents grey."""
    datasets, models = sorted(set(data["dataset"])), look.in_order(list(data["model"]))[::-1]
    figure, grid = style.panels(2, len(datasets), height=0.9 + 0.46 * len(models), sharey=True, sharex="none")
    offsets = {"default": 0.17, "best": -0.17, "file": -0.17}
    for j, dataset in enumerate(datasets):
        of_dataset = data[data["dataset"] == dataset]
        for axes, score in zip(grid[:, j], ("mae", "picp"), strict=True):
            for row in of_dataset.to_dict("records"):
                place = models.index(row["model"]) + offsets.get(row["params"], 0)
                shade, hollow = colour(row["model"]), row["params"] == "default"
                axes.plot([row[f"{score}_low"], row[f"{score}_high"]], [place] * 2, color=shade, lw=0.9)
                axes.plot(
                    row[score], place, look.marker(row["model"]), color=shade, mfc="white" if hollow else shade, ms=4
                )
            axes.set_yticks(range(len(models)), [name(model) for model in models])
            axes.set_ylim(-0.6, len(models) - 0.4)
        first = of_dataset.iloc[0]
        grid[0, j].set(title=first["title"], xlabel=f"MAE in {unit_text(first['unit'])}", xlim=(0, None))
        grid[0, j].xaxis.set_major_locator(MaxNLocator(3))
        grid[1, j].axvline(NOMINAL_COVERAGE, color="#000000", lw=0.6, ls="--")
        grid[1, j].set(xlabel="PICP in %", xlim=(0, 101), xticks=(0, 40, 80))
    handles = [
        Line2D([], [], color=style.INK, marker="o", ms=4, mfc="white", label="untuned defaults"),
        Line2D([], [], color=style.INK, marker="o", ms=4, label="tuned by a study, or by itself"),
        Line2D([], [], color=style.INK, label="95 % bootstrap interval"),
    ]
    style.legend_below(figure, handles)
    return figure


def significance(data: pd.DataFrame) -> Figure:
    """Difference of pinball loss in percent of every two models; bold where it is significant."""
    datasets, columns = sorted(set(data["dataset"])), 2
    rows = -(-len(datasets) // columns)
    figure, grid = style.panels(rows, columns, height=0.6 + 2.75 * rows)
    panels = list(grid.ravel())
    for axes, dataset in zip(panels, datasets, strict=False):
        _matrix(axes, data[data["dataset"] == dataset])
    for axes in panels[len(datasets) :]:
        axes.set_axis_off()
    lines = [
        "Pinball loss of the row's model relative to the", "column's, in %; blue: the row is better.",
        "Bold: p < 0.05 in a Diebold-Mariano test over the", "days of the test split, after Holm's correction for",
        "all pairs of the dataset. Colours end at ±50 %.",
    ]  # fmt: skip
    if len(panels) > len(datasets):
        panels[-1].text(
            0.5, 0.5, "\n".join(lines), ha="center", va="center", fontsize=8, transform=panels[-1].transAxes
        )
    else:
        figure.supxlabel(f"{' '.join(lines[:2])}\n{' '.join(lines[2:])}", fontsize=8)
    return figure


def _matrix(axes: Axes, own: pd.DataFrame) -> None:
    models = look.in_order(list(own["row"]))
    wide = own.pivot(index="row", columns="column", values="difference").reindex(index=models, columns=models)
    p_values = own.pivot(index="row", columns="column", values="p_holm").reindex(index=models, columns=models)
    differences, sure = wide.to_numpy(), p_values.to_numpy() < SIGNIFICANCE
    axes.imshow(differences, cmap="RdBu_r", norm=TwoSlopeNorm(0, -50, 50), aspect="auto")
    for i, j in zip(*np.nonzero(~np.eye(len(models), dtype=bool)), strict=True):
        value = round(float(differences[i, j]))
        axes.text(
            j, i, f"{value:+d}".replace("-", "\u2212") if value else "0", ha="center", va="center", fontsize=7,
            weight="bold" if sure[i, j] else "normal", color="white" if abs(value) > 32 else "black",
        )  # fmt: skip
    labels = [name(model) for model in models]
    axes.set_xticks(range(len(models)), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(models)), labels)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title(own["title"].iloc[0])


BY = ("hour", "weekday", "season", "demand")
BY_LABELS = {"hour": "local hour", "weekday": "weekday", "season": "season", "demand": "demand"}
ORDER = {"weekday": WEEKDAY_NAMES, "season": SEASON_NAMES, "demand": ("low", "middle", "high")}
SHORT = {"weekday": 2, "season": 3, "demand": 4}


def coverage(data: pd.DataFrame) -> Figure:
    """PICP by local hour, weekday, season and demand level; a row per dataset."""
    datasets, models = sorted(set(data["dataset"])), look.in_order(list(data["model"]))
    figure, grid = style.panels(
        len(datasets),
        len(BY),
        height=0.7 + 1.45 * len(datasets),
        sharey=True,
        sharex="col",
        width_ratios=(1.5, 1, 0.8, 0.7),
    )
    for i, dataset in enumerate(datasets):
        for j, by in enumerate(BY):
            axes, own = grid[i, j], data[(data["dataset"] == dataset) & (data["by"] == by)]
            groups = list(ORDER.get(by, [f"{hour:02d}" for hour in range(24)]))
            for k, model in enumerate(models):
                line = own[own["model"] == model].set_index("group")["picp"].reindex(groups)
                shift = 0 if by == "hour" else 0.16 * (k - (len(models) - 1) / 2)
                axes.plot(
                    np.arange(len(groups)) + shift, line.to_numpy(), look.marker(model), color=colour(model), ms=3,
                    ls="-" if by == "hour" else "", lw=0.8,
                )  # fmt: skip
            axes.axhline(NOMINAL_COVERAGE, color="#000000", lw=0.6, ls="--")
            if by == "hour":
                axes.set_xticks(range(0, 24, 6), [f"{hour:02d}" for hour in range(0, 24, 6)])
            else:
                short = [group.replace("middle", "mid")[: SHORT[by]] for group in groups]
                axes.set_xticks(range(len(groups)), short)
                axes.set_xlim(-0.6, len(groups) - 0.4)
            axes.set_ylim(0, 102)
        grid[i, 0].set_ylabel(f"{data[data['dataset'] == dataset]['title'].iloc[0]}\nPICP in %")
    for axes, by in zip(grid[-1], BY, strict=True):
        axes.set_xlabel(BY_LABELS[by])
    style.legend_below(figure, style.model_handles(models, markers=True))
    return figure
