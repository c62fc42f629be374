"""The figures of benchmarks: the plain data behind each, one tidy table, and how it is drawn.

Every table names its ``dataset``, ``title`` and ``unit``, and is of the test split.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from itertools import pairwise, product

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, HourLocator
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpo_lib.benchmark import tables
from hpo_lib.benchmark.explanations import LINEAR
from hpo_lib.benchmark.tables import Benchmark, BenchmarkRow, of_rows
from hpo_lib.families.models import model_names
from hpo_lib.figures import series, style
from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.explanations import fill_steps
from hpo_lib.figures.style import (
    BLUE,
    INK,
    TARGET,
    Look,
    handle,
    in_order,
    model_colour,
    model_name,
)
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import GROUPS
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE, QuantileForecasts
from hpo_lib.scoring.uncertainty import daily_losses, drawn_days, holm

WEEK_SEASONS = ("winter", "summer", "spring", "autumn")
"""The first two of which the test split has a whole week are drawn."""
SIGNIFICANCE, DRIFT_DAYS = 0.05, 28

POINT: Look = {"color": INK, "ls": "", "marker": "o", "ms": 3.5}
RAW_AND_CALIBRATED = [handle("raw", **POINT, mfc="white"), handle("calibrated", **POINT)]
Frames = Iterator[pd.DataFrame]


def _of_benchmarks(tables_of: Callable[[Benchmark], Frames]) -> Callable[[Evidence], pd.DataFrame]:
    """One table of all benchmarks, which names their dataset; empty without any row."""

    @wraps(tables_of)
    def table(evidence: Evidence) -> pd.DataFrame:
        return style.joined(
            rows.assign(dataset=one.dataset, title=one.spec.title, unit=one.unit)
            for one in evidence.benchmarks
            for rows in tables_of(one)
        )

    return table


def best(rows: Sequence[BenchmarkRow]) -> list[BenchmarkRow]:
    """The row of the lowest validation loss: the test split chooses nothing. None of none."""
    return sorted(rows, key=lambda row: metrics.pinball(row.validation))[:1]


def _families_and_best_baseline(benchmark: Benchmark) -> list[BenchmarkRow]:
    trained = [row for row in benchmark.row_per_model if row.kind not in ("family", "naive")]
    return [*benchmark.families, *best(trained)]


def change(
    ours: QuantileForecasts, theirs: QuantileForecasts, score: str, whole: QuantileForecasts
) -> tuple[float, float, float]:
    """The mean change of a score, below 0 where ours is lower, in percent of that of the whole.

    With the ends of its 95 % interval by a circular block bootstrap of the days, which are paired.
    """
    ours_daily, theirs_daily, whole_daily = (daily_losses(f)[score] for f in (ours, theirs, whole))
    daily = 100 * (ours_daily - theirs_daily) / whole_daily.mean()
    low, high = np.quantile(daily[drawn_days(len(daily))].mean(axis=1), [0.025, 0.975])
    return daily.mean(), low, high


CHANGE = ["change", "change_low", "change_high"]


@_of_benchmarks
def weeks(benchmark: Benchmark) -> Frames:
    """Two weeks of the family that validation prefers, in different seasons.

    ``target`` in words, ``season``, ``hour`` in local time, ``actual``, ``median``; ``lower`` and
    ``upper`` are raw, ``lower_calibrated`` and ``upper_calibrated`` corrected.
    """
    spec = benchmark.spec
    for row in best(benchmark.families):
        corrected = benchmark.calibrated[row, benchmark.correction]
        middle = series.middle_weeks(row.test, spec.hemisphere)
        for season in [season for season in WEEK_SEASONS if season in middle][:2]:
            hours, bounds = (
                series.hours_of_days(f, middle[season], 7) for f in (row.test, corrected)
            )
            hours = hours.join(bounds[["lower", "upper"]].add_suffix("_calibrated"))
            names = {"model": row.model, "target": spec.target_words, "season": season}
            local = hours.tz_convert(spec.tz).tz_localize(None).assign(**names)
            yield benchmark.in_unit(local.reset_index(names="hour"))


def draw_weeks(data: pd.DataFrame) -> Figure:
    """Forecasts of two weeks with their interval and the actual values; a row per dataset."""
    datasets = style.by_dataset(data)
    figure, grid = style.panels(len(datasets), 2, height=0.7 + 1.6 * len(datasets))
    for axes in grid.flat:
        axes.set_axis_off()
    for panels, rows in zip(grid, datasets, strict=True):
        for axes, (_, week) in zip(panels, rows.groupby("season", sort=False), strict=False):
            axes.set_axis_on()
            _draw_week(axes, week.set_index("hour"))
        panels[0].set_ylabel(f"{rows['target'].iloc[0]} ({style.unit_of(rows)})")
    figure.align_ylabels(grid[:, 0])
    style.legend_below(figure, grid[0, 0].get_legend_handles_labels()[0])
    return figure


def _draw_week(axes: Axes, week: pd.DataFrame) -> None:
    series.draw_forecast(axes, week, ms=0)
    for bound, label in (("lower", "calibrated interval"), ("upper", "_")):
        axes.plot(week[f"{bound}_calibrated"], color=BLUE, lw=0.6, ls=(0, (2, 1)), label=label)
    axes.xaxis.set(major_locator=HourLocator(12), major_formatter=DateFormatter("%a"))  # type: ignore[no-untyped-call]
    # Ticks must not depend on the panel's height, which the layout changes after measuring them.
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set(xlim=(week.index[0], week.index[-1]))
    if week["actual"].min() >= 0:  # as demand is, though an interval may reach below
        axes.set_ylim(max(0.0, axes.get_ylim()[0]), None)
    whose = f"{week['title'].iloc[0]}, {model_name(week['model'].iloc[0])}"
    axes.set_title(f"{whose}\n{week['season'].iloc[0]} week from {week.index[0]:%-d %B %Y}")


@_of_benchmarks
def reliability(benchmark: Benchmark) -> Frames:
    """Share of actuals at or below each ``level``, both 0 to 1, of the models of `by_hour`.

    ``observed`` is raw, ``observed_calibrated`` corrected; with the ends of their intervals.
    """
    table = of_rows(benchmark.reliability, _families_and_best_baseline(benchmark))
    yield benchmark.raw_and_corrected(table, "observed", "observed_low", "observed_high")


def draw_reliability(data: pd.DataFrame) -> Figure:
    """Observed share of actuals at or below each level less the level."""
    levels = sorted(set(data["level"]))
    places = data["level"].map(levels.index) + style.beside(data["model"], 0.16)
    excess = 100 * data.filter(like="observed").sub(data["level"], axis=0)
    figure, columns = style.dataset_columns(
        data.assign(place=places, **excess), 1, height=2.5, sharey=True
    )
    for (axes,), rows in columns:
        axes.axhline(0, **TARGET)
        style.draw_models(axes, rows, "place", "observed", ms=3.5, ls="", mfc="white")
        _draw_intervals(axes, rows, "observed", "_calibrated")
        axes.set(xlabel="quantile level", xlim=(-0.6, len(levels) - 0.4))
        axes.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
        axes.grid(axis="x", visible=False)
    figure.axes[0].set_ylabel("observed share less level in pp")
    style.legend_below(figure, [*style.model_handles(data["model"], ls=""), *RAW_AND_CALIBRATED])
    return figure


def _draw_intervals(axes: Axes, data: pd.DataFrame, score: str, suffix: str = "") -> None:
    """Scores with their intervals over the column ``place``."""
    middle, low, high = (f"{score}{end}{suffix}" for end in ("", "_low", "_high"))
    colours = list(map(model_colour, data["model"]))
    axes.vlines(data["place"], data[low], data[high], colors=colours, lw=0.6, alpha=0.7)
    style.draw_models(axes, data, "place", middle, ms=3.5, ls="")


@_of_benchmarks
def coverage(benchmark: Benchmark) -> Frames:
    """Corrected PICP of the families in percent, see `conditional_coverage`."""
    table = of_rows(benchmark.coverage, benchmark.families)
    yield table[table["calibration"] == benchmark.correction]


TICKS = {
    "hour": ("local hour", 6, 2),
    "weekday": ("weekday", 1, 2),
    "season": ("season", 1, 3),
    "level": ("forecast", 1, 6),
}
"""Grouping of the coverage -> its axis, step from tick to tick, and letters of a tick."""


def draw_coverage(data: pd.DataFrame) -> Figure:
    """PICP by hour, weekday, season and level, with intervals; a row per dataset."""
    beside = style.beside(data["model"], 0.2)
    datasets = style.by_dataset(data)
    figure, grid = style.panels(
        len(datasets),
        len(GROUPS),
        height=0.7 + 1.7 * len(datasets),
        sharey=True,
        width_ratios=(1.5, 1.2, 0.8, 0.7),
    )
    for panels, of_dataset in zip(grid, datasets, strict=True):
        for axes, (by, (label, step, letters)) in zip(panels, TICKS.items(), strict=True):
            part = of_dataset[of_dataset["by"] == by]
            groups = [group for group in GROUPS[by] if group in set(part["group"])]
            part = part.assign(place=part["group"].map(groups.index))
            if by == "hour":
                style.draw_models(axes, part, "place", "picp", marker="", lw=0.8)
            else:
                _draw_intervals(axes, part.assign(place=part["place"] + beside), "picp")
            style.coverage_line(axes)
            ticks = [group[:letters] for group in groups[::step]]
            axes.set_xticks(range(0, len(groups), step), ticks)
            axes.set_xlabel(label if axes in grid[-1] else "")
        panels[0].set_ylabel(f"{of_dataset['title'].iloc[0]}\nPICP in %")
    grid[0, 0].set_ylim(_picp_limits(data["picp_low"]))
    style.legend_below(figure, style.model_handles(data["model"]))
    return figure


def _picp_limits(values: pd.Series) -> tuple[float, float]:
    """Coverage from 50 % or, if a value is lower, from the ten below it."""
    return min(50.0, 10 * np.floor(np.nanmin(values) / 10)), 101


@_of_benchmarks
def by_hour(benchmark: Benchmark) -> Frames:
    """Of the families and, in the end, the best baseline, per hour ``ahead``, in percent.

    ``change`` is that of the MAE of the baseline, ``picp`` is raw.
    """
    rows = _families_and_best_baseline(benchmark)
    tables = [series.by_hour(row.test).reset_index(names="ahead") for row in rows]
    for row, hourly in zip(rows, tables, strict=True):
        change = 100 * (hourly["mae"] / tables[-1]["mae"] - 1)
        yield hourly[["ahead", "picp"]].assign(change=change, model=row.model)


def draw_by_hour(data: pd.DataFrame) -> Figure:
    """Change of MAE and PICP per hour ahead, the baseline dashed; a column per dataset."""
    figure, columns = style.dataset_columns(data, 2, height=3.6, sharex=True, sharey="row")
    for (top, bottom), rows in columns:
        for axes, score in ((top, "change"), (bottom, "picp")):
            style.draw_models(axes, rows, "ahead", score, marker="")
        style.coverage_line(bottom)
        bottom.set(xlabel="hours ahead", xticks=(1, 6, 12, 18, 24), ylim=_picp_limits(data["picp"]))
    columns[0][0][0].set_ylabel("change of MAE in %")
    columns[0][0][1].set_ylabel("PICP in %")
    style.legend_below(figure, style.model_handles(data["model"], marker=""))
    return figure


@_of_benchmarks
def drift(benchmark: Benchmark) -> Frames:
    """Mean error, actual less median, of the 28 days up to each ``day``, in the target's unit.

    It is that of the family that validation prefers: those of others hardly differ.
    """
    for row in best(benchmark.families):
        daily = pd.Series((row.test.actual - row.test.median).mean(axis=1))
        errors = {"day": row.test.days.tz_localize(None), "error": daily.rolling(DRIFT_DAYS).mean()}
        yield benchmark.in_unit(pd.DataFrame(errors).dropna().assign(model=row.model))


def draw_drift(data: pd.DataFrame) -> Figure:
    """How the mean error over four weeks moves through the test split; a panel per dataset."""
    figure, columns = style.dataset_columns(data, 1, height=2.2)
    for (axes,), rows in columns:
        style.draw_models(axes, rows, "day", "error", marker="")
        axes.axhline(0, **TARGET)
        axes.set_ylabel(f"mean error in {style.unit_of(rows)}")
        style.date_axis(axes, 2, 4)
    style.legend_below(figure, style.model_handles(data["model"], marker=""))
    return figure


@_of_benchmarks
def mixture_weights(benchmark: Benchmark) -> Frames:
    """The ``weight`` of each ``model`` in the mixture of each ``day``, from validation on."""
    weights = tables.weights_table(benchmark.rows)
    if len(weights):
        begin = benchmark.rows[0].test.origins[0].tz_localize(None)
        yield weights.assign(day=weights["origin"].dt.tz_localize(None), begin=begin)


def draw_mixture_weights(data: pd.DataFrame) -> Figure:
    """Who was trusted when: weights as stacked areas; a panel per dataset."""
    figure, columns = style.dataset_columns(data, 1, height=2.4, sharey=True)
    for (axes,), rows in columns:
        models = in_order(rows["model"])
        by_day = rows.pivot(index="day", columns="model", values="weight")[models]
        axes.stackplot(by_day.index, by_day.T, colors=list(map(model_colour, models)), lw=0)
        axes.axvline(rows["begin"].iloc[0], **TARGET)
        axes.set(ylim=(0, 1), ylabel="weight", xlim=by_day.index[[0, -1]])
        style.date_axis(axes, 2, 6)
    style.legend_below(figure, style.model_handles(data["model"], marker="", lw=5, ls="-"))
    return figure


@_of_benchmarks
def baseline_vs_optimised(benchmark: Benchmark) -> Frames:
    """Raw test scores by ascending MAE with 95 % bootstrap bounds, and the calibrated PICP.

    A row is a ``model`` untuned (``default``), tuned (``best``), both (``same``), or of another
    kind (``own``), but not naive. ``change`` is that of its MAE from the ``baseline`` which
    validation prefers, in percent.
    """
    tests = {(row.model, row.params.replace("best", "same")): row.test for row in benchmark.rows}
    tests |= {(row.model, row.params): row.test for row in benchmark.rows}
    shown = benchmark.shown[~benchmark.shown["model"].isin(model_names("naive"))]
    for row in _families_and_best_baseline(benchmark)[-1:]:
        ours = [tests[names] for names in zip(shown["model"], shown["params"], strict=True)]
        changes = [change(test, row.test, "mae", row.test) for test in ours]
        yield shown.assign(
            baseline=row.model, **dict(zip(CHANGE, np.transpose(changes), strict=True))
        )


def draw_baseline_vs_optimised(data: pd.DataFrame) -> Figure:
    """Change of MAE, and PICP, of every row with intervals; two panels per dataset."""
    datasets = style.by_dataset(data)
    figure, grid = style.panels(
        len(datasets),
        2,
        height=min(0.5 + 0.55 * len(datasets) + 0.16 * len(data), 7.8),
        sharey="row",
        height_ratios=[*map(len, datasets)],
        width_ratios=(3, 2),
    )
    for (left, right), rows in zip(grid, datasets, strict=True):
        rows = style.labelled(rows).assign(place=range(len(rows)))
        for axes, score, ideal in ((left, "change", 0), (right, "picp", NOMINAL_COVERAGE)):
            ends = rows["place"], rows[f"{score}_low"], rows[f"{score}_high"]
            axes.hlines(*ends, colors=rows["model"].map(model_colour), lw=0.9)
            axes.axvline(ideal, **TARGET)
        style.draw_models(left, rows, "change", "place", ms=4, ls="")
        for score, look in (("picp", {"mfc": "white"}), ("picp_calibrated", {})):
            style.draw_models(right, rows, score, "place", ms=3.5, ls="", **look)
        kept = (" (" + rows["network"] + ")").replace(f" ({style.MISSING})", "")
        left.set_yticks(rows["place"], rows["label"] + kept)
        left.set_ylim(len(rows) - 0.4, -0.6)
        left.set_xlabel(f"MAE less that of {model_name(rows['baseline'].iloc[0])} in %")
        left.set_title(rows["title"].iloc[0], loc="left")
        right.set(xlabel="PICP in %", xlim=_picp_limits(rows["picp_low"]))
    style.legend_below(figure, [handle("95 % bootstrap interval", color=INK), *RAW_AND_CALIBRATED])
    return figure


@_of_benchmarks
def skill_split(benchmark: Benchmark) -> Frames:
    """What each ``step`` changes, from the naive forecast to calibrated intervals of the mixture.

    A row per step and ``score``: its ``model``, the ``network`` that is kept of it, its ``share``
    of the score of the naive forecast in percent, and the ``change`` from the step before in the
    same percent. Steps of which nothing is stored are left out.
    """
    for naive in best([row for row in benchmark.rows if row.kind == "naive"]):
        steps = {
            "naive forecast": [naive],
            "linear baseline": [row for row in benchmark.rows if row.model == LINEAR],
            "network": benchmark.families,
            "mixture": [row for row in benchmark.rows if row.kind == "mixture"],
        }
        path = [(step, row, row.test) for step, rows in steps.items() for row in best(rows)]
        last = path[-1][1]
        path.append(("calibration", last, benchmark.calibrated[last, benchmark.correction]))
        for ((_, _, before), (step, row, test)), score in product(
            pairwise([path[0], *path]), ("mae", "winkler")
        ):
            share = 100 * metrics.METRICS[score](test) / metrics.METRICS[score](naive.test)
            changes = dict(zip(CHANGE, change(test, before, score, naive.test), strict=True))
            kept = {"model": row.model, "network": style.network_kept(row.shares)}
            if (step, score) != ("calibration", "mae"):  # which moves no median
                yield pd.DataFrame(
                    {"step": [step], "score": score, **kept, "share": share, **changes}
                )


SKILL = {"mae": "MAE", "winkler": "interval score"}


def draw_skill_split(data: pd.DataFrame) -> Figure:
    """The steps as a waterfall of either score, with intervals; two panels per dataset."""
    datasets = style.by_dataset(data)
    figure, grid = style.panels(len(datasets), 2, height=0.3 + 1.35 * len(datasets))
    for panels, of_dataset in zip(grid, datasets, strict=True):
        naive, steps = of_dataset.iloc[0], of_dataset[of_dataset["step"] != "naive forecast"]
        for axes, (score, name) in zip(panels, SKILL.items(), strict=True):
            rows = steps[steps["score"] == score]
            kept = (" (" + rows["network"] + ")").replace(f" ({style.MISSING})", "")
            labels = (rows["model"].map(model_name) + kept).where(
                rows["step"] != "calibration", "calibration"
            )
            added = rows.set_index(labels)["change"]
            fill_steps(axes, added, 100.0, "", "", style.with_intervals(rows, "change", [10.0]))
            for text, low, high in zip(
                axes.texts, rows["change_low"], rows["change_high"], strict=True
            ):
                text.set_fontweight("bold" if low * high > 0 else "normal")
            axes.set(xlabel=f"{name} in % of {model_name(naive['model'])}", xlim=(0, 101))
        panels[0].set_title(naive["title"], loc="left")
    return figure


@_of_benchmarks
def significance(benchmark: Benchmark) -> Frames:
    """Every ordered pair of models: ``row``, ``column``, ``difference`` in percent, ``p_holm``.

    The difference of pinball loss is below 0 where the row is better. p-values are those of
    Diebold-Mariano tests, corrected for the number of pairs of the dataset after Holm (1979).
    """
    models = [row for row in benchmark.row_per_model if row.kind != "naive"]
    pairs = tables.comparison_table(models).query("loss == 'pinball'")
    losses = {row.label: metrics.pinball(row.test) for row in models}
    p_holm = holm(pairs["p_value"].to_numpy())
    for row, column in (("first", "second"), ("second", "first")):
        difference = 100 * (pairs[row].map(losses) / pairs[column].map(losses) - 1)
        names = {"row": pairs[row].str.split().str[0], "column": pairs[column].str.split().str[0]}
        yield pd.DataFrame({**names, "difference": difference, "p_holm": p_holm})


def draw_significance(data: pd.DataFrame) -> Figure:
    """Difference of pinball loss in percent of every two models; bold where it is significant."""
    datasets = style.by_dataset(data)
    n_rows = -(-len(datasets) // 2)
    figure, grid = style.panels(n_rows, 2, height=0.6 + 2.75 * n_rows)
    for axes in grid.flat[len(datasets) :]:
        axes.set_axis_off()
    for axes, rows in zip(grid.flat, datasets, strict=False):
        _draw_matrix(axes, rows)
    return figure


def _draw_matrix(axes: Axes, rows: pd.DataFrame) -> None:
    models = rows.groupby("row")["difference"].mean().sort_values(kind="stable").index
    differences, p_values = (
        rows.pivot(index="row", columns="column", values=key).loc[models, models]
        for key in ("difference", "p_holm")
    )
    names = [model_name(model) for model in models]
    looks = {"cmap": "RdBu_r", "vmin": -10, "vmax": 10, "cbar": False, "annot_kws": {"size": 7}}
    looks |= {"xticklabels": names, "yticklabels": names}
    sns.heatmap(differences, annot=True, fmt="+.0f", ax=axes, **looks)
    # No text is on the diagonal.
    for text, p_value in zip(axes.texts, p_values.stack().dropna(), strict=True):
        percent = text.get_text()
        text.set_text("0" if int(percent) == 0 else percent.replace("-", "\u2212"))
        text.set_fontweight("bold" if p_value < SIGNIFICANCE else "normal")
    axes.set_xticks(axes.get_xticks(), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.set(xlabel="", ylabel="", title=rows["title"].iloc[0])


PICTURES = {
    "forecast_weeks": (
        weeks,
        draw_weeks,
        "Forecasts of two weeks in local time, issued once a day, by the model with the lowest "
        "pinball loss on validation: the middle ones of two seasons.",
    ),
    "reliability": (
        reliability,
        draw_reliability,
        "Reliability: share of actual values at or below each quantile less its level, in "
        "percentage points; at 0 a quantile holds. Lines: 95 % intervals once calibrated, of a "
        "bootstrap over weeks.",
    ),
    "by_hour_ahead": (
        by_hour,
        draw_by_hour,
        "By hour ahead: MAE relative to that of the baseline which validation prefers (dashed), "
        "and raw PICP.",
    ),
    "drift": (
        drift,
        draw_drift,
        "Mean error, actual less median, of the last 28 days, by the family that validation "
        "prefers: above 0 forecasts are too low.",
    ),
    "mixture_weights": (
        mixture_weights,
        draw_mixture_weights,
        "Who was trusted when: each model's weight in the mixture, from the first validation "
        "day on; the test split begins at the dashed line.",
    ),
    "skill_split": (
        skill_split,
        draw_skill_split,
        "Skill split: by how much each step changes MAE and interval score, both in % of the naive "
        "forecast which validation prefers, with the 95 % interval of the paired difference (bold: "
        "without 0; circular blocks of 7 days). From the naive forecast to the linear baseline, to "
        "the network of the family which validation prefers with the parameters that its study "
        "chose (30/100: kept were 30 % in the median and 100 % in the width), to the mixture, and "
        "to its rolling calibration, which moves no median. Raw quantiles before it. {days}.",
    ),
    "baseline_vs_optimised": (
        baseline_vs_optimised,
        draw_baseline_vs_optimised,
        "Untuned and tuned models beside baselines, by ascending MAE, in % of that of the baseline "
        "which validation prefers; intervals are of the paired differences (circular blocks of 7 "
        "days), below 0 a row is better. Naive forecasts are left out. (30/100): of a network "
        "validation kept 30 % in the median and 100 % in the width, all else is the linear "
        "baseline. No gain: tuned and untuned forecasts are the same.",
    ),
    "significance": (
        significance,
        draw_significance,
        "Pinball loss of the row's model relative to the column's, in %: below 0 the row is "
        "better. Raw quantiles; tuned parameters where a study has proven them. Bold: p < 0.05 "
        "in a Diebold-Mariano test over days, after Holm's correction for all pairs of the "
        "dataset. Colours end at \u00b110 %. Naive forecasts are left out.",
    ),
    "conditional_coverage": (
        coverage,
        draw_coverage,
        "Coverage of calibrated intervals by local hour, weekday, season and level of the median "
        "forecast, of which low, middle and high are a third of the training hours each; 80 % is "
        "asked for. Upright lines: 95 % intervals of a bootstrap over weeks.",
    ),
}
"""Name of the files -> the plain data of a figure, its drawer, and its caption without the data."""
