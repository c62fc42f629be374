"""What a study's notebook shows of its data: where it comes from, its splits, and the series."""

import pandas as pd
from matplotlib.figure import Figure

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.day_ahead_weather import MARKS
from hpo_lib.figures import style
from hpo_lib.figures.style import BLUE, PINK, date_axis, number, unit_text

SPLIT_COLOURS = {"train": BLUE, "validation": "#E69F00", "test": "#999999"}

UPPER_BOUND = (
    "Models see weather of the day ahead that no forecaster has: the scores are an upper bound."
)


def banner(dataset: Dataset, *, is_test: bool = False) -> str:
    """Where the data comes from.

    Warns of tests, simulated data, other splits and weather that nobody knows.
    """
    lines = []
    if is_test:
        lines.append(
            "*** TEST BUDGET *** It only shows that everything works: no number below says how "
            "good a model can be."
        )
    if dataset.kind_of_weather in MARKS:
        lines.append(f"*** {MARKS[dataset.kind_of_weather]} *** {UPPER_BOUND}")
    if dataset.is_simulated:
        lines.append(
            f"*** SIMULATED DATA *** This run uses the {dataset.path} instead of "
            f"{dataset.spec.csv}. No number below says anything about real demand. To use real "
            "data, put the CSV into data/ or set data_dir to its folder."
        )
        return "\n".join(lines)
    facts = [f"Data: {dataset.path}, sha256 {dataset.sha256[:12]}"]
    if dataset.n_filled:
        facts.append(f"{dataset.n_filled} missing hours were filled")
    if len(dataset.missing):
        counts = dataset.origins_left_out().items()
        left_out = ", ".join(f"{count} in {split}" for split, count in counts)
        facts.append(
            f"{len(dataset.missing)} hours are in longer gaps, which leaves out daily origins "
            f"({left_out})"
        )
    if dataset.weather is not None:
        facts.append(f"weather of the day ahead: {dataset.kind_of_weather}")
    lines.append("; ".join(facts))
    if dataset.split_note:
        lines.append(f"*** NOT THE PLANNED SPLITS *** {dataset.split_note}")
    return "\n".join(lines)


def data_summary(dataset: Dataset) -> pd.DataFrame:
    """One row per split: first and last hour, hours, daily origins, and the target's range."""
    positions, left_out = dataset.positions, dataset.origins_left_out()
    parts = positions.train, positions.val, positions.test
    rows = {}
    for (split, origins), part in zip(dataset.daily_origins.items(), parts, strict=True):
        gaps = left_out[split]
        values = dataset.known_target.iloc[part]
        if len(values):
            rows[split] = {
                "from": f"{values.index[0]:%Y-%m-%d %H:%M}",
                "to": f"{values.index[-1]:%Y-%m-%d %H:%M}",
                "hours": len(values),
                "daily origins": len(origins),
                **({"left out by gaps": gaps} if len(dataset.missing) else {}),
                f"mean {unit_text(dataset.spec.unit)}": number(values.mean()),
                "least": number(values.min()),
                "greatest": number(values.max()),
            }
    return pd.DataFrame(rows).T


@style.on_screen()
def data_overview(dataset: Dataset) -> Figure:
    """The target over time, coloured by split, and its mean by local hour on workdays and weekends.

    Gaps that the gap rule does not fill are shaded.
    """
    spec, target, positions = dataset.spec, dataset.known_target, dataset.positions
    figure, ((left, right),) = style.panels(1, 2, height=2.8, width=9, width_ratios=(3, 1))
    daily = target.resample("D").mean()
    parts = positions.train, positions.val, positions.test
    for (split, colour), part in zip(SPLIT_COLOURS.items(), parts, strict=True):
        if len(hours := dataset.index[part]):
            days, label = daily.loc[hours[0].floor("D") : hours[-1]], f"{split} ({len(hours)} h)"
            left.plot(days, lw=0.8, color=colour, label=label)
    left.fill_between(
        dataset.index,
        0,
        1,
        where=dataset.is_missing,
        transform=left.get_xaxis_transform(),
        color=PINK,
        alpha=0.3,
        lw=0,
    )
    left.set(ylabel=f"{spec.target_words}, daily\nmean ({spec.unit})", title=spec.title)
    room_for_legend = 0.2 * (daily.max() - min(0.0, daily.min()))
    left.set_ylim(None, daily.max() + room_for_legend)
    date_axis(left, 3, 8)
    left.legend(ncols=3)
    local = dataset.index.tz_convert(spec.tz)
    weekend = local.day_of_week >= 5
    for label, chosen in (("workdays", ~weekend), ("weekends", weekend)):
        right.plot(target[chosen].groupby(local[chosen].hour).mean(), label=label)
    right.set(xlabel="local hour", ylabel=f"mean ({spec.unit})", xticks=range(0, 25, 6))
    right.legend()
    return style.marked_by_source(figure, dataset.source)
