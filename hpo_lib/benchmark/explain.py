"""``hpo explain``: forecasts without some groups of information, stored for each trained model.

Information is taken away by giving a model that of other days (interventional, within season): of
`DONORS` days of training within `SEASON_DAYS` of the same day of the year, with the same hour of
origin. The history of the target comes from days that, like the day before them, are workdays or
days off as here. All models and all coalitions of groups get the same days.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from tqdm.auto import tqdm

from hpo_lib.baselines.contract import TableForecaster, baselines
from hpo_lib.benchmark.explanations import (
    LINEAR,
    REFITTED,
    Explanation,
    Explanations,
    Game,
    hourly,
    shapley_values,
)
from hpo_lib.benchmark.train import Plan, Task, planned, run_benchmark
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.features import follows_from_target
from hpo_lib.data.information_set import AHEAD, CALENDAR, HISTORY_GROUPS, Context
from hpo_lib.data.splits import HORIZON, Positions
from hpo_lib.errors import InputError, choices
from hpo_lib.families.feature_table import level_floor
from hpo_lib.families.linear_baseline import MEDIAN, LinearBaseline
from hpo_lib.families.models import STANDARD, ByName, Forecaster, family_names
from hpo_lib.paths import write_text
from hpo_lib.scoring.uncertainty import drawn_days

BASELINES = "LIGHTGBM_LINEAR_Q", LINEAR
"""Explained beside the families by default."""

MOST_WINDOWS = 3000
"""Windows of training, evenly spread, that the refits learn from: more need 2 GB of memory."""

SANITY_DAYS = 4
"""Explained again with re-drawn weights, and with a planted column."""

DONORS, SEASON_DAYS = 8, 21

DAYS_AT_ONCE = 16
"""Explained days per pass, so that a year of them needs little memory."""

Groups = Mapping[str, Sequence[str]]
"""Name -> columns of each group, see `Context.with_groups_of`."""


def families_among(models: Sequence[str]) -> tuple[str, ...]:
    """The models for a plan, which trains every baseline anyway."""
    known = *family_names(), *baselines()
    for model in models:
        if model not in known:
            raise InputError(f"model is {model!r}; {choices(model, known)}")
    return tuple(model for model in dict.fromkeys(models) if model not in baselines())


def explain(
    plan: Plan, models: Sequence[str] = (), split: str = "test", days: str = "60"
) -> Explanations:
    """Explain models on days of a split, and write all values.

    What is stored is neither trained nor explained again. ``models`` are those among the trainings
    of the plan; ``days`` is a number of days, spread over weekdays and time, or ``all``.

    Raises:
        InputError: a wrong value, or a folder of results on other data.
    """
    if split == "validation" and plan.refit:
        raise InputError("a refitted model has learnt from validation; leave --refit out")
    wanted = models or (*plan.models, *BASELINES)
    notes = list[str]()
    plan = replace(plan, models=families_among(wanted))
    data = plan.dataset
    folder = plan.paths
    every = [*planned(plan, notes)]
    tasks = [task for task in every if task.row[0] in wanted]
    for note in notes:
        print(f"note: {note}")
    run_benchmark(plan, tasks=tasks)
    linear = next(task for task in every if task.row[0] == LINEAR)
    key = linear.key | {"refit": False}  # fitted once, and again for each coalition
    tasks.append(Task((REFITTED, "own", 0), key, lambda: [*refitted(linear.trained)]))
    learnt = data.trained_through_validation() if plan.refit else data
    donors = draw_donors(learnt, chosen_days(data, split, days))
    origins = donors[:, 0, 0]
    counts = [len({*history}) for history in donors[:, 1]]
    common = {
        "title": f"{data.spec.title}:\n{len(origins)} days, {min(counts)} to {max(counts)} donors",
        "players": list(players(data)),
        "days": data.index[origins].strftime("%Y-%m-%d %H:%M UTC").tolist(),
    }
    for file in folder.explanations():
        if not common.items() <= Explanation.load(file).facts.items():
            raise InputError(
                f"{file}: explains other days or has other donors; remove {file.parent}, or give "
                "another --out"
            )
    for task in tqdm(tasks, desc="explained"):
        file = folder.explanation(*task.row)
        if not file.is_file() or Explanation.load(file).facts["key"] != task.key:
            _explained(task.trained, data, donors, common | {"key": task.key}).store(file)
    table = folder.table("shapley")
    explanations = Explanations.of_folder(folder)
    write_text(table, explanations.table().to_csv(index=False))
    print(f"wrote {table}")
    return explanations


def _explained(
    fitted: Forecaster | Sequence[Forecaster], data: Dataset, donors: Positions, facts: ByName
) -> Explanation:
    """The values of a model, and of a single one checks, see `Explanations.report`."""
    from hpo_lib.families.insight import with_redrawn_weights  # needs torch

    halves = [coalition_values(fitted, data, half) for half in np.split(donors, 2, axis=2)]
    came = sliding_window_view(data.target, HORIZON)[donors[:, 0, 0] + 1]
    values = np.mean(halves, axis=0)
    checks = ByName()
    if isinstance(fitted, Forecaster):
        few = donors[:SANITY_DAYS]
        noise = np.random.default_rng(0).random(len(data.frame))
        frame = data.frame.assign(planted=noise)
        planted = replace(data, frame=frame, past=(*data.past, "planted"))
        unseen = coalition_values(fitted, planted, few, {"planted": ["planted"]})
        losses = (hourly(half, came)["mae"].mean(axis=(1, 2)) for half in halves)
        checks = {"planted": float(np.ptp(unseen, axis=0).max()), "donors": _change(*losses)}
        if redrawn := with_redrawn_weights(fitted):
            other = coalition_values(redrawn, data, few)
            checks["redrawn"] = _change(values[:, :SANITY_DAYS, :, MEDIAN], other[..., MEDIAN])
    return Explanation(facts | {"checks": checks}, values, came)


def _change(before: Game, after: Game) -> float:
    """Of the Shapley values of two games, in percent of their mean size."""
    change, size = (np.abs(shapley_values(game)).mean() for game in (after - before, before))
    return float(100 * change / size)


def players(dataset: Dataset) -> Groups:
    """The groups that a dataset has. The hour of the day is never hidden.

    Columns that follow from the target are rebuilt from its history.
    """
    groups = {name: list[str]() for name in HISTORY_GROUPS}
    for name in dataset.future:
        if not name.startswith("hour"):
            groups.setdefault("holidays" if "holiday" in name else CALENDAR, []).append(name)
    for name in dataset.past:
        if not follows_from_target(name):
            groups.setdefault("weather so far", []).append(name)
    return groups | {AHEAD: []} if dataset.weather else groups


def draw_donors(dataset: Dataset, days: Positions) -> Positions:
    """[N, 3, K] positions of origins: the day K times, donors of its history, and of all else.

    They are of the training split. Days without a donor are left out. Each donor
    comes once before any comes twice.

    Raises:
        InputError: no day has one.
    """
    pool = dataset.training_origins()
    half = HORIZON // 2
    year = dataset.index.shift(1, "h").day_of_year.to_numpy()
    off = dataset.frame.filter(["is_weekend", "is_public_holiday"]).any(axis=1).to_numpy()
    kind = 2 * np.roll(off, half) + np.roll(off, -half)  # of the days before and after an origin
    drawn = []
    for day in days:
        apart = np.abs(year[pool] - year[day])
        season = np.minimum(apart, 365.25 - apart) <= SEASON_DAYS
        near = pool[season & ((pool - day) % HORIZON == 0)]
        alike = near[kind[near] == kind[day]]
        if len(alike):
            # By the day alone, so that it has the same donors whatever else is explained.
            draws = np.random.default_rng(int(dataset.index[day].timestamp()))
            drawn.append(
                [np.resize(draws.permutation(some), DONORS) for some in ([day], alike, near)]
            )
    if not drawn:
        raise InputError(
            f"{dataset.path}: no day of training is within {SEASON_DAYS} days of the year of a "
            "day that is to be explained; train on a whole year, with a later train_end under "
            "[splits] of the dataset's TOML"
        )
    return np.array(drawn)


def coalitions(dataset: Dataset, donors: Positions, groups: Groups) -> Iterator[Context]:
    """What each coalition knows of each day and donor [N K], in the order of a game."""
    own, history, others = map(dataset.context, donors.swapaxes(0, 1).reshape(3, -1))
    for row in range(2 ** len(groups)):
        hidden = {name: groups[name] for i, name in enumerate(groups) if not row >> i & 1}
        yield own.with_groups_of(history, others, hidden, level_floor(dataset))


def coalition_values(
    model: Forecaster | Sequence[Forecaster],
    dataset: Dataset,
    donors: Positions,
    groups: Groups | None = None,
) -> Game:
    """[2^g, N, H, Q] forecasts of each coalition, in the mean over the donors.

    ``model``: one, or one for each coalition; ``groups``: None for the `players`.
    """
    groups, parts = groups or players(dataset), []
    models = [model] * 2 ** len(groups) if isinstance(model, Forecaster) else model
    for days in np.array_split(donors, 1 + len(donors) // DAYS_AT_ONCE):
        by_donor = *days.shape[::2], HORIZON, -1
        contexts = coalitions(dataset, days, groups)
        parts.append(
            [
                model.predict(context).values.reshape(by_donor).mean(axis=1)
                for context, model in zip(contexts, models, strict=True)
            ]
        )
    return np.concatenate(parts, axis=1)


def refitted(baseline: TableForecaster) -> Iterator[Forecaster]:
    """The linear baseline fitted again on what each coalition knows.

    A hidden group is that of a donor in each window that is learnt from, as it is in those that are
    forecast. The interval is that of the errors in training.
    """
    learnt = baseline.dataset
    origins = learnt.training_origins(near_hours=STANDARD.near_hours)
    donors = draw_donors(learnt, origins[:: 1 + len(origins) // MOST_WINDOWS])[:, :, :1]
    came = sliding_window_view(learnt.target, HORIZON)[donors[:, 0, 0] + 1]
    for context in coalitions(learnt, donors, players(learnt)):
        table = baseline.table(context)
        table = replace(table, target=came / table.level[:, None] - 1)
        linear = LinearBaseline.of_table(table, baseline.state["linear"].options)
        linear = linear.with_interval(table.target - linear.relative(table))
        yield replace(baseline, state={"linear": linear})


def chosen_days(dataset: Dataset, split: str, days: str) -> Positions:
    """Positions of daily origins of a split: all, or so many, spread evenly by weekday and time."""
    origins = dataset.daily_origins[split]
    if days == "all":
        return origins
    if not days.isdecimal() or not int(days):
        raise InputError(f"days is {days!r}, expected a number of days such as 60, or all")
    count = min(int(days), len(origins))
    by_weekday = np.argsort(dataset.index[origins].day_of_week, kind="stable")
    spread = (np.arange(count) + 0.5) * len(origins) / count
    return np.sort(origins[by_weekday[spread.astype(int)]])


def agreement(forecaster: Forecaster, dataset: Dataset, claims: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of what a network says of itself with the sizes of Shapley values.

    ``claims`` have a row per origin of validation; over 14 of these days each is compared with what
    each group adds to the median: quantiles of a block bootstrap over days, with two digits. Where
    claims are of groups, the row of all is over the groups.
    """
    donors = draw_donors(dataset, chosen_days(dataset, "validation", "14"))
    values = shapley_values(coalition_values(forecaster, dataset, donors)[..., MEDIAN])
    sizes = pd.DataFrame(np.abs(values).mean(axis=2).T, donors[:, 0, 0], [*players(dataset)])
    claims = claims.set_axis(dataset.validation_origins)
    both = pd.concat({"claim": claims, "group": sizes}, axis=1, join="inner")
    draws = []
    for drawn in drawn_days(len(both)):
        table = both.iloc[drawn]
        draws.append(table.corr("spearman").loc["claim", "group"].stack())
        draws[-1]["all", "all"] = table.mean().unstack(0).corr("spearman").loc["claim", "group"]
    return pd.DataFrame(draws).quantile([0.025, 0.5, 0.975]).T.dropna().round(2)
