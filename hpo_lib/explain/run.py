"""``hpo explain``: explanations of trained models, stored one by one, and the checks on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from hpo_lib.benchmark.train import Plan, Task, make_plan, planned, train_and_store
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HORIZON, Positions
from hpo_lib.errors import InputError, choices
from hpo_lib.explain.explanation import (
    COLUMNS,
    LINEAR,
    REFITTED,
    WHAT,
    Explanation,
    Explanations,
    game,
    losses,
    shapley_table,
    stored_explanations,
)
from hpo_lib.explain.players import DONORS, Refitted, coalition_values, draw_donors, players
from hpo_lib.explain.shapley import faithfulness, order_of, shapley_values
from hpo_lib.families.linear_baseline import MEDIAN, covers_seasons
from hpo_lib.families.models import STANDARD, Forecaster, family_names, model_names
from hpo_lib.paths import BenchmarkPaths, atomic
from hpo_lib.records.trainings import check_same_data, is_stored, training_key
from hpo_lib.scoring.uncertainty import rank_correlation

BASELINES = "LIGHTGBM_LINEAR_Q", LINEAR
"""Explained beside the families by default."""

SANITY_DAYS = 4
"""Explained again with re-drawn weights, and with a planted column."""


def explain(
    dataset: str,
    *,
    models: Sequence[str] = (),
    params: str = "best",
    split: str = "test",
    days: str = "60",
    seeds: int = 2,
    refit: bool = False,
    out: str = "",
    say: Callable[[str], None] = print,
    **given: Any,
) -> BenchmarkPaths:
    """Explain models on days of a split, and write all values; the folder that holds them.

    What is stored is not made again. ``days`` is a number of days, spread over weekdays and time,
    or ``all``; the others are as in `hpo_lib.benchmark.train.make_plan`.

    Raises:
        InputError: an unknown model, a wrong value, or a folder of results on other data.
    """
    trained, notes = family_names() + model_names("baseline"), list[str]()
    for model in models:
        if model not in trained:
            raise InputError(f"model is {model!r}, which is not trained; {choices(model, trained)}")
    if split == "validation" and refit:
        raise InputError("a refitted model has learnt from validation; leave --refit out")
    wanted = models or (*family_names(), *BASELINES)
    given |= {"params": params, "seeds": seeds, "refit": refit, "out": out}
    plan = make_plan(dataset, models=[one for one in wanted if one in family_names()], **given)
    data, folder = plan.dataset, plan.paths
    check_same_data(folder, data)
    learnt = data.trained_through_validation() if refit else data
    donors = draw_donors(data, chosen_days(data, split, days), learnt)
    actual = data.target.to_numpy()[donors[:, :1] + np.arange(1, HORIZON + 1)]
    common = {
        "dataset": data.spec.name,
        "title": data.spec.title,
        "unit": data.spec.unit,
        "source": data.source,
        "players": list(players(data)),
        "days": data.index[donors[:, 0]].strftime("%Y-%m-%d %H:%M UTC").tolist(),
        "donors": [len({*history}) for history in donors[:, 1 : 1 + DONORS]],
    }
    tasks = [task for task in planned(plan, notes) if task.model in wanted]
    for file in folder.explanation_files():
        if not common.items() <= Explanation.load(file).facts.items():
            file.unlink()
            notes.append(f"{file.name} was of other days or data and was removed.")
    for note in notes:
        say(f"note: {note}")
    worth = partial(Refitted, learnt, covers_seasons(data, STANDARD.season_years))
    tasks.append(Task(LINEAR, REFITTED, 0, training_key(data, refit=refit), worth))
    for task in tasks:
        file = folder.explanation(*task[:3])
        if file.is_file() and Explanation.load(file).facts["key"] == task.key:
            continue
        values, checks = _values_and_checks(plan, task, donors)
        facts = {**dict(zip(COLUMNS, task[:3], strict=False)), **common, "key": task.key}
        halves = [shapley_values(losses([Explanation(facts, half, actual)])) for half in values]
        facts["checks"] = {**checks, "donors": _change(*halves)}
        Explanation(facts, values.mean(axis=0), actual).store(file)
    table = folder.table("shapley")
    with atomic(table) as temporary:
        shapley_table(stored_explanations(folder)).to_csv(temporary, index=False)
    say(f"wrote {table}")
    return folder


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


def _values_and_checks(
    plan: Plan, task: Task, donors: Positions
) -> tuple[np.ndarray, dict[str, float]]:
    """The values of a trained model, and checks on it, see `checks`.

    A stored training is done again for its network; one that is not stored is stored.
    """
    from hpo_lib.families.insight import with_redrawn_weights  # needs torch

    data, groups = plan.dataset, players(plan.dataset)
    known = task.params == REFITTED or is_stored(plan.paths.training(*task[:3]), task.key)
    fitted = task.train() if known else train_and_store(plan, task)
    values = coalition_values(fitted, data, donors, groups, " ".join(map(str, task[:3])))
    if task.params == REFITTED:
        return values, {}
    few = donors[:SANITY_DAYS]
    noise = np.random.default_rng(0).standard_normal(len(data.frame))
    planted = replace(data, frame=data.frame.assign(planted=noise), past=(*data.past, "planted"))
    unseen = coalition_values(fitted, planted, few, {"planted": ["planted"]}).mean(axis=0)
    checks = {"planted": float(np.abs(shapley_values(unseen)).max())}
    if redrawn := with_redrawn_weights(fitted):
        games = values[:, :, :SANITY_DAYS], coalition_values(redrawn, data, few, groups)
        checks["redrawn"] = _change(
            *(shapley_values(one.mean(axis=0)[..., MEDIAN]) for one in games)
        )
    return values, checks


def _change(before: np.ndarray, after: np.ndarray) -> float:
    """In percent of the mean size."""
    return float(100 * np.abs(after - before).mean() / np.abs(before).mean())


def agreement(forecaster: Forecaster, dataset: Dataset, claimed: Mapping[str, Any]) -> pd.DataFrame:
    """Rank correlation of what a network says of itself with the sizes of Shapley values.

    ``claimed`` are [N] by origin of validation; of 14 of these days each claim is compared with
    what each group adds to the median. Where claims are of groups, the last row is over the groups.
    """
    donors = draw_donors(dataset, chosen_days(dataset, "validation", "14"), dataset)
    values = coalition_values(forecaster, dataset, donors, players(dataset)).mean(axis=0)
    values = np.abs(shapley_values(values[..., MEDIAN])).mean(axis=2).T
    sizes = pd.DataFrame(values, columns=list(players(dataset)))
    chosen = np.searchsorted(dataset.validation_origins, donors[:, 0])
    claims = pd.DataFrame(dict(claimed)).iloc[chosen]
    pairs: dict[Any, list[Any]] = {
        pair: [claims[pair[0]], sizes[pair[1]]] for pair in product(claims, sizes)
    }
    if {*claims} <= {*sizes}:
        pairs["all", "all"] = [claims, sizes[[*claims]]]
    rows = {
        pair: vars(rank_correlation(*(part.to_numpy() for part in parts)))
        for pair, parts in pairs.items()
    }
    return pd.DataFrame(rows).T


def report(folder: BenchmarkPaths) -> list[str]:
    """What a run found, and whether it can be believed, as lines of text."""
    explanations = stored_explanations(folder)
    facts = next(iter(explanations.values()))[0].facts
    mae = shapley_table(explanations).query("what == 'mae' and seed != 'mean'")
    values = mae.pivot_table("value", COLUMNS[:3], "group", sort=False)
    orders = values[facts["players"]].T
    return [
        f"{facts['title']} (data: {facts['source']}), {len(facts['days'])} days; groups are "
        "hidden interventionally, within season, by "
        f"{min(facts['donors'])} to {max(facts['donors'])} donor days of training each.",
        f"MAE ({facts['unit']}): what each group adds, without any information, and with all:",
        values.to_string(float_format="{:.3g}".format),
        "Checks (docs/explanations.md):",
        checks(explanations).to_string(float_format="{:.2g}".format, na_rep="-"),
        "Kendall's tau of the order of groups:",
        orders.corr("kendall").to_string(float_format="{:.2f}".format),
    ]


def checks(explanations: Explanations) -> pd.DataFrame:
    """Whether explanations of the same days can be believed, one row per training.

    ``sum`` is by which share the values miss the forecast with all information less that with none;
    ``planted`` what a column that the model has not learnt from is worth (the target's unit);
    ``halves`` Kendall's tau of what groups add to the MAE in either half of the days. In percent:
    ``redrawn``, what other weights change; ``donors``, by how much the values differ between halves
    of the donors; ``deletion``, see `hpo_lib.explain.shapley.faithfulness`; ``refitted``, the same
    after fitting the linear baseline again.
    """
    worth, rows = losses(explanations[LINEAR, REFITTED]), {}
    for row, seeds in explanations.items():
        for one in seeds:
            daily = {what: game([one], what).mean(axis=2) for what in WHAT}
            order = order_of(shapley_values(losses([one])))
            missed = [
                np.abs(shapley_values(part).sum(axis=0) - part[-1] + part[0]).max()
                / np.abs(part).max()
                for part in daily.values()
            ]
            halves = [
                shapley_values(part.mean(axis=1))
                for part in np.array_split(daily["mae"], 2, axis=1)
            ]
            rows[*row, one.facts["seed"]] = {
                "sum": max(missed),
                **one.facts["checks"],
                "halves": kendalltau(*halves).statistic,
                "deletion": faithfulness(losses([one]), order),
                "refitted": faithfulness(worth, order),
            }
    return pd.DataFrame(rows).T
