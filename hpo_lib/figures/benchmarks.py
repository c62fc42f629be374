"""The figures of benchmarks: the plain data behind each, one tidy table, and how it is drawn.

Every table names its ``dataset``, ``title`` and ``unit``, and is of the test split.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from itertools import compress, pairwise, zip_longest

import pandas as pd
import seaborn as sns
from matplotlib.dates import DateFormatter, HourLocator
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpo_lib.benchmark import tables
from hpo_lib.benchmark.explanations import LINEAR
from hpo_lib.benchmark.tables import Benchmark, BenchmarkRow, of_rows
from hpo_lib.figures import series
from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.explanations import fill_steps
from hpo_lib.figures.style import (
    BLUE,
    INK,
    TARGET,
    Look,
    beside,
    dataset_panels,
    date_axis,
    draw_intervals,
    draw_models,
    handle,
    in_order,
    joined,
    labelled,
    legend_below,
    model_colour,
    model_handles,
    model_name,
    network_kept,
    panels,
    with_intervals,
    with_network,
)
from hpo_lib.scoring import metrics
from hpo_lib.scoring.evaluation import GROUPS
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE, QuantileForecasts
from hpo_lib.scoring.uncertainty import bounds_of_means, daily_losses, holm

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
        return joined(
            rows.assign(dataset=one.dataset, title=one.spec.title, unit=one.unit.name)
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
) -> dict[str, float]:
    """The mean ``change`` of a score, below 0 where ours is lower, in percent of that of the whole.

    ``change_low`` and ``change_high`` are the ends of its 95 % interval by a circular block
    bootstrap of the days, which are paired; ``certain``: 0 is outside.
    """
    differences = daily_losses(ours)[score] - daily_losses(theirs)[score]
    daily = 100 * differences / daily_losses(whole)[score].mean()
    low, high = bounds_of_means(daily)
    certain = low * high > 0
    return {"change": daily.mean(), "change_low": low, "change_high": high, "certain": certain}


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
            local = hours.tz_convert(spec.tz).tz_localize(None).reset_index(names="hour")
            yield benchmark.unit.table(
                local.assign(model=row.model, target=spec.target_words, season=season)
            )


def draw_weeks(data: pd.DataFrame) -> Figure:
    """Forecasts of two weeks with their interval and the actual values; a row per dataset."""
    figure, datasets = dataset_panels(data, 2, height=0.7, each=1.6)
    for grid, rows in datasets:
        weeks = [week.set_index("hour") for _, week in rows.groupby("season", sort=False)]
        for axes, week in zip_longest(grid, weeks):
            if week is None:
                axes.set_axis_off()
                continue
            series.draw_forecast(axes, week, ms=0)
            bounds = week.filter(like="_calibrated")
            axes.plot(
                bounds, color=BLUE, lw=0.6, ls=(0, (2, 1)), label=["calibrated interval", "_"]
            )
            axes.xaxis.set(major_locator=HourLocator(12), major_formatter=DateFormatter("%a"))  # type: ignore[no-untyped-call]
            # Ticks must not depend on the panel's height, which the layout changes later.
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            axes.set(xlim=week.index[[0, -1]])
            if week["actual"].min() >= 0:  # as demand is, though an interval may reach below
                axes.set_ylim(max(0.0, axes.get_ylim()[0]), None)
            one = week.iloc[0]
            axes.set_title(
                f"{one['title']}, {model_name(one['model'])}\n"
                f"{one['season']} week from {one.name:%-d %B %Y}"
            )
        grid[0].set_ylabel(f"{rows['target'].iloc[0]} ({rows['unit'].iloc[0]})")
    figure.align_ylabels()
    legend_below(figure, figure.axes[0].get_legend_handles_labels()[0])
    return figure


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
    data = data.assign(
        place=data["level"].map(levels.index) + beside(data["model"], 0.16),
        **100 * data.filter(like="observed").sub(data["level"], axis=0),
    )
    figure, columns = dataset_panels(data, 1, height=2.5, sharey=True)
    for (axes,), rows in columns:
        axes.axhline(0, **TARGET)
        draw_models(axes, rows, "place", "observed", ls="", mfc="white")
        draw_intervals(axes, rows, "observed", "_calibrated")
        axes.set(xlabel="quantile level", xlim=(-0.6, len(levels) - 0.4))
        axes.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
        axes.grid(axis="x", visible=False)
    figure.axes[0].set_ylabel("observed share less level in pp")
    legend_below(figure, [*model_handles(data["model"], ls=""), *RAW_AND_CALIBRATED])
    return figure


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
    offsets = beside(data["model"], 0.2)
    figure, datasets = dataset_panels(
        data, len(GROUPS), height=0.7, each=1.7, sharey=True, width_ratios=(1.5, 1.2, 0.8, 0.7)
    )
    for grid, of_dataset in datasets:
        for axes, (by, (label, step, letters)) in zip(grid, TICKS.items(), strict=True):
            part = of_dataset[of_dataset["by"] == by]
            groups = [group for group in GROUPS[by] if group in set(part["group"])]
            part = part.assign(place=part["group"].map(groups.index))
            if by == "hour":
                draw_models(axes, part, "place", "picp", marker="", lw=0.8)
            else:
                draw_intervals(axes, part.assign(place=part["place"] + offsets), "picp")
            axes.axhline(NOMINAL_COVERAGE, **TARGET)
            ticks = [group[:letters] for group in groups[::step]]
            axes.set_xticks(range(0, len(groups), step), ticks)
            axes.set_xlabel(label if axes.get_subplotspec().is_last_row() else "")
        grid[0].set_ylabel(f"{of_dataset['title'].iloc[0]}\nPICP in %")
    figure.axes[0].set_ylim(_picp_limits(data["picp_low"]))
    legend_below(figure, model_handles(data["model"]))
    return figure


def _picp_limits(values: pd.Series) -> tuple[float, float]:
    """Coverage from 50 % or, if a value is lower, from the ten below it."""
    return min(50.0, values.min() // 10 * 10), 101


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
    figure, columns = dataset_panels(data, 2, height=3.6, sharex=True, sharey="row")
    for (top, bottom), rows in columns:
        draw_models(top, rows, "ahead", "change", marker="")
        draw_models(bottom, rows, "ahead", "picp", marker="")
        bottom.axhline(NOMINAL_COVERAGE, **TARGET)
        bottom.set(xlabel="hours ahead", xticks=(1, 6, 12, 18, 24), ylim=_picp_limits(data["picp"]))
    figure.axes[0].set_ylabel("change of MAE in %")
    figure.axes[len(columns)].set_ylabel("PICP in %")
    legend_below(figure, model_handles(data["model"], marker=""))
    return figure


@_of_benchmarks
def drift(benchmark: Benchmark) -> Frames:
    """Mean error, actual less median, of the 28 days up to each ``day``, in the target's unit.

    It is that of the family that validation prefers: those of others hardly differ.
    """
    for row in best(benchmark.families):
        daily = pd.Series((row.test.actual - row.test.median).mean(axis=1))
        errors = {"day": row.test.days.tz_localize(None), "error": daily.rolling(DRIFT_DAYS).mean()}
        yield benchmark.unit.table(pd.DataFrame(errors).dropna().assign(model=row.model))


def draw_drift(data: pd.DataFrame) -> Figure:
    """How the mean error over four weeks moves through the test split; a panel per dataset."""
    figure, columns = dataset_panels(data, 1, height=2.2)
    for (axes,), rows in columns:
        draw_models(axes, rows, "day", "error", marker="")
        axes.axhline(0, **TARGET)
        axes.set_ylabel(f"mean error in {rows['unit'].iloc[0]}")
        date_axis(axes, 2, 4)
    legend_below(figure, model_handles(data["model"], marker=""))
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
    figure, columns = dataset_panels(data, 1, height=2.4, sharey=True)
    for (axes,), rows in columns:
        models = in_order(rows["model"])
        by_day = rows.pivot(index="day", columns="model", values="weight")[models]
        axes.stackplot(by_day.index, by_day.T, colors=[*map(model_colour, models)], lw=0)
        axes.axvline(rows["begin"].iloc[0], **TARGET)
        axes.set(ylim=(0, 1), xlim=by_day.index[[0, -1]])
        date_axis(axes, 2, 6)
    figure.axes[0].set_ylabel("weight")
    legend_below(figure, model_handles(data["model"], marker="", lw=5, ls="-"))
    return figure


@_of_benchmarks
def baseline_vs_optimised(benchmark: Benchmark) -> Frames:
    """Raw test scores by ascending MAE with 95 % bootstrap bounds, and the calibrated PICP.

    A row is a ``model`` untuned (``default``), tuned (``best``), both (``same``), or of another
    kind (``own``), but not naive. ``change`` is that of its MAE from the ``baseline`` which
    validation prefers, in percent.
    """
    for baseline in _families_and_best_baseline(benchmark)[-1:]:
        changes = pd.DataFrame(
            {
                (row.model, row.params): change(row.test, baseline.test, "mae", baseline.test)
                for row in benchmark.rows
                if row.kind != "naive"
            }
        )
        shown = benchmark.shown.assign(tuning=lambda shown: shown["params"].replace("same", "best"))
        yield shown.join(changes.T, ["model", "tuning"], "inner").assign(baseline=baseline.model)


def draw_baseline_vs_optimised(data: pd.DataFrame) -> Figure:
    """Change of MAE, and PICP, of every row with intervals; two panels per dataset."""
    height = min(0.5 + 0.16 * len(data), 6.2)
    sizes = data.groupby("dataset").size().tolist()
    figure, datasets = dataset_panels(
        data, 2, height=height, each=0.55, sharey="row", height_ratios=sizes, width_ratios=(3, 2)
    )
    for (left, right), rows in datasets:
        rows = labelled(rows).assign(place=range(len(rows)))
        draw_intervals(left, rows, "change", upright=False)
        draw_intervals(right, rows, "picp", upright=False, mfc="white")
        draw_models(right, rows, "picp_calibrated", "place", ls="")
        left.axvline(0, **TARGET)
        right.axvline(NOMINAL_COVERAGE, **TARGET)
        left.set_yticks(rows["place"], map(with_network, rows["label"], rows["network"]))
        left.set_ylim(len(rows) - 0.4, -0.6)
        left.set_xlabel(f"MAE less that of {model_name(rows['baseline'].iloc[0])} in %")
        left.set_title(rows["title"].iloc[0], loc="left")
        right.set(xlabel="PICP in %", xlim=_picp_limits(rows["picp_low"]))
    legend_below(figure, [handle("95 % bootstrap interval", color=INK), *RAW_AND_CALIBRATED])
    return figure


@_of_benchmarks
def skill_split(benchmark: Benchmark) -> Frames:
    """What each ``step`` changes, from the naive forecast to calibrated intervals of the mixture.

    A row per step and ``score``: its ``label``, its ``share`` of the score of the naive forecast in
    percent, and the ``change`` from the step before in the same percent. Steps of which nothing is
    stored are left out.
    """
    for naive in best([row for row in benchmark.rows if row.kind == "naive"]):
        rows = [
            naive,
            *best([row for row in benchmark.rows if row.model == LINEAR]),
            *best(benchmark.families),
            *(row for row in benchmark.rows if row.kind == "mixture"),
        ]
        steps = [
            (with_network(model_name(row.model), network_kept(row.shares)), row.test)
            for row in rows
        ]
        steps.append(("Calibration", benchmark.calibrated[rows[-1], benchmark.correction]))
        for (_, before), (label, test) in pairwise([steps[0], *steps]):
            for score in SKILL:
                share = 100 * metrics.METRICS[score](test) / metrics.METRICS[score](naive.test)
                row = {"label": label, "score": score, "share": share}
                yield pd.DataFrame([row | change(test, before, score, naive.test)])


SKILL = {"mae": "MAE", "winkler": "interval score"}


def draw_skill_split(data: pd.DataFrame) -> Figure:
    """The steps as a waterfall of either score, with intervals; two panels per dataset."""
    figure, datasets = dataset_panels(data, 2, height=0.3, each=1.35)
    for grid, of_dataset in datasets:
        for axes, (score, name) in zip(grid, SKILL.items(), strict=True):
            naive, *_ = of_dataset["label"]
            rows = of_dataset[of_dataset["score"] == score].set_index("label").drop(naive)
            fill_steps(axes, rows["change"], 100.0, with_intervals(rows, "change", [10.0]))
            for text in compress(axes.texts, rows["certain"]):
                text.set_fontweight("bold")
            axes.set(xlabel=f"{name} in % of {naive}", xlim=(0, 110))
            axes.tick_params(labelleft=axes is grid[0])
        grid[0].set_title(of_dataset["title"].iloc[0], loc="left")
    return figure


@_of_benchmarks
def significance(benchmark: Benchmark) -> Frames:
    """Every ordered pair of models: ``row``, ``column``, ``difference`` in percent, ``p_holm``.

    The difference of pinball loss is below 0 where the row is better. p-values are those of
    Diebold-Mariano tests, corrected for the number of pairs of the dataset after Holm (1979).
    """
    models = [row for row in benchmark.row_per_model if row.kind != "naive"]
    names = {row.label: row.model for row in models}
    pairs = tables.comparison_table(models).query("loss == 'pinball'").replace(names)
    losses = {row.model: metrics.pinball(row.test) for row in models}
    p_holm = holm(pairs["p_value"])
    for row, column in (("first", "second"), ("second", "first")):
        difference = 100 * (pairs[row].map(losses) / pairs[column].map(losses) - 1)
        ordered = {"row": pairs[row], "column": pairs[column]}
        yield pd.DataFrame({**ordered, "difference": difference, "p_holm": p_holm})


def draw_significance(data: pd.DataFrame) -> Figure:
    """Difference of pinball loss in percent of every two models; bold where it is significant."""
    datasets = [rows for _, rows in data.groupby("dataset")]
    n_rows = -(-len(datasets) // 2)
    figure, grid = panels(n_rows, 2, height=0.6 + 2.75 * n_rows)
    for axes in grid.flat[len(datasets) :]:
        axes.set_axis_off()
    for axes, rows in zip(grid.flat, datasets, strict=False):
        models = rows.groupby("row")["difference"].mean().sort_values(kind="stable").index
        names = models.map(model_name)
        pairs = rows.set_index(["row", "column"])
        differences, p_values = (
            pairs[key].unstack().loc[models, models] for key in ("difference", "p_holm")
        )
        texts = differences.map("{:+.0f}".format).replace(
            {"[+-]0$": "0", "-": "\u2212"}, regex=True
        )
        looks: Look = {"annot": texts, "annot_kws": {"size": 7}, "fmt": "", "yticklabels": names}
        sns.heatmap(differences, ax=axes, cmap="RdBu_r", vmin=-10, vmax=10, cbar=False, **looks)
        for text in compress(axes.texts, p_values.stack().dropna() < SIGNIFICANCE):
            text.set_fontweight("bold")
        axes.set_xticks(axes.get_xticks(), names, rotation=40, ha="right", rotation_mode="anchor")
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.set(xlabel="", ylabel="", title=rows["title"].iloc[0])
    return figure


PICTURES = {
    "forecast_weeks": (weeks, draw_weeks),
    "reliability": (reliability, draw_reliability),
    "by_hour_ahead": (by_hour, draw_by_hour),
    "drift": (drift, draw_drift),
    "mixture_weights": (mixture_weights, draw_mixture_weights),
    "skill_split": (skill_split, draw_skill_split),
    "baseline_vs_optimised": (baseline_vs_optimised, draw_baseline_vs_optimised),
    "significance": (significance, draw_significance),
    "conditional_coverage": (coverage, draw_coverage),
}
"""Name of the files and of the caption -> the plain data of a figure, and its drawer."""
