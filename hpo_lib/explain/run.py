"""``hpo explain``: explanations of trained models, stored one by one, and the checks on them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from hpo_lib import paths
from hpo_lib.benchmark.train import Plan, Task, make_plan, plan_tasks, train_and_store
from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import Positions
from hpo_lib.errors import InputError, choices
from hpo_lib.explain.explanation import (
    ALL,
    COLUMNS,
    NONE,
    REFITTED,
    WHAT,
    Explanation,
    by_row,
    mean_daily,
    shapley_table,
    stored_explanations,
)
from hpo_lib.explain.players import (
    MEDIAN,
    Donors,
    coalition_values,
    of_model,
    players,
    refitted,
)
from hpo_lib.explain.shapley import faithfulness, order_of, shapley_values
from hpo_lib.families.linear_baseline import covers_seasons
from hpo_lib.families.models import STANDARD, Family, Forecaster, family_names, registered
from hpo_lib.records.files import load_predictions
from hpo_lib.records.trainings import check_same_data, is_stored, training_key
from hpo_lib.scoring.forecasts import QuantileForecasts

LINEAR = "RESIDUAL_LINEAR"
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
) -> list[Explanation]:
    """Explain models on days of a split, and write all values.

    What is stored is not made again. ``days`` is a number of days, spread over weekdays and time,
    or ``all``; the others are as in `hpo_lib.benchmark.train.make_plan`.

    Raises:
        InputError: an unknown model, a wrong value, or a folder of results on other data.
    """
    trained = [name for name, model in registered().items() if model.kind in ("family", "baseline")]
    for model in models:
        if model not in trained:
            raise InputError(f"model is {model!r}, which is not trained; {choices(model, trained)}")
    wanted = models or (*family_names(), *BASELINES)
    families = [name for name in wanted if name in family_names()]
    given |= {"params": params, "seeds": seeds, "refit": refit, "out": out}
    plan, notes = make_plan(dataset, models=families, **given), list[str]()
    check_same_data(plan.paths, plan.dataset)
    learnt = plan.dataset.trained_through_validation() if plan.refit else plan.dataset
    if split == "validation" and plan.refit:
        raise InputError("a refitted model has learnt from validation; leave --refit out")
    donors = Donors.draw(plan.dataset, chosen_days(plan.dataset, split, days), learnt)
    tasks = [task for task in plan_tasks(plan, notes) if task.model in wanted]
    for note in notes:
        say(f"note: {note}")
    for task in (None, *tasks):
        _explained(plan, donors, task, learnt, say)
    common = _common(plan, donors)
    for file in plan.paths.explanation_files():
        if not common.items() <= Explanation.load(file).facts.items():
            file.unlink()
            say(f"note: {file.name} was of other days or data and was removed.")
    explanations = stored_explanations(plan.paths)
    with paths.atomic(plan.paths.shapley) as temporary:
        shapley_table(explanations).to_csv(temporary, index=False)
    say(f"wrote {plan.paths.shapley}")
    return explanations


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


def _common(plan: Plan, donors: Donors) -> dict[str, Any]:
    """The facts that all explanations of a folder share."""
    return {
        "players": list(players(plan.dataset)),
        "dataset": plan.dataset.spec.name,
        "title": plan.dataset.spec.title,
        "unit": plan.dataset.spec.unit,
        "source": plan.dataset.source,
        "sha256": plan.dataset.sha256,
        "days": plan.dataset.index[donors.days].strftime("%Y-%m-%d %H").tolist(),
        "donors": donors.counts.tolist(),
    }


def _explained(
    plan: Plan, donors: Donors, task: Task | None, learnt: Dataset, say: Callable[[str], None]
) -> None:
    """Store the explanation of a training, if it is not there; None: of the refitted baseline."""
    dataset, groups = plan.dataset, players(plan.dataset)
    training = task[:3] if task else (LINEAR, REFITTED, 0)
    key = task.key if task else training_key(dataset, refit=plan.refit)
    file, label = plan.paths.explanation(*training), " ".join(map(str, training))
    facts: dict[str, Any] = dict(zip(("model", "params", "seed"), training, strict=True))
    facts |= {"key": key, **_common(plan, donors)}
    if file.is_file() and facts.items() <= Explanation.load(file).facts.items():
        return
    if task is None:
        forecast = refitted(learnt, covers_seasons(dataset, STANDARD.season_years))
        halves = coalition_values(forecast, dataset, donors.constant(learnt), groups, label)
    else:
        forecaster, facts["differs"] = _forecaster(plan, task, say)
        halves = coalition_values(of_model(forecaster), dataset, donors, groups, label)
        facts |= _sanity(dataset, forecaster, donors, halves.mean(axis=0))
    origins = dataset.index[donors.days]
    forecasts = QuantileForecasts.of_model(halves[0, -1], origins).with_actual(dataset.target)
    of_half = [WHAT["mae"](half, forecasts.actual).mean(axis=(1, 2)) for half in halves]
    facts["halves"] = [shapley_values(loss).tolist() for loss in of_half]
    Explanation(facts, origins, halves.mean(axis=0), forecasts.actual).store(file)


def _forecaster(plan: Plan, task: Task, say: Callable[[str], None]) -> tuple[Forecaster, float]:
    """The trained model, and by which share its forecasts differ from the benchmark's.

    The network of a stored training is read if its weights are stored, and trained again if not. A
    training that is not stored is stored.
    """
    from hpo_lib.families import stored_model  # needs torch

    training, model = (task.model, task.params, task.seed), registered()[task.model]
    files, weights = plan.paths.training(*training), plan.paths.weights(*training)
    known = is_stored(files, task.key)
    if known and isinstance(model, Family) and weights.is_file():
        network = {**task.key["recipe"], **task.key["params"]}
        fitted: Forecaster = stored_model.load(
            weights, model, network, plan.dataset, paths.shown(weights)
        )
    else:
        say(f"{task.model} {task.params} seed {task.seed}: trained, no weights of it are stored")
        fitted = task.train() if known else train_and_store(plan, task)
        if isinstance(model, Family):
            with paths.atomic(weights) as temporary:
                stored_model.save(fitted, temporary)
    stored = load_predictions(files.forecasts["test"])
    again = fitted.forecasts(plan.dataset, plan.dataset.index.get_indexer(stored.origins)).values
    return fitted, float(np.abs(again - stored.values).mean() / np.abs(stored.values).mean())


def _sanity(
    dataset: Dataset, forecaster: Forecaster, donors: Donors, values: np.ndarray
) -> dict[str, float]:
    """What a planted column is worth, and by which share re-drawn weights change the values."""
    from hpo_lib.families.insight import with_redrawn_weights  # needs torch

    few = donors.some(slice(SANITY_DAYS))
    noise = np.random.default_rng(0).standard_normal(len(dataset.frame))
    planted = replace(
        dataset, frame=dataset.frame.assign(planted=noise), past=(*dataset.past, "planted")
    )
    game = coalition_values(of_model(forecaster), planted, few, {"planted": ["planted"]})
    facts = {"planted": float(np.abs(shapley_values(game.mean(axis=0))).max())}
    if redrawn := with_redrawn_weights(forecaster):
        again = coalition_values(of_model(redrawn), dataset, few, players(dataset)).mean(axis=0)
        before, after = (
            shapley_values(game[..., MEDIAN]) for game in (values[:, :SANITY_DAYS], again)
        )
        facts["redrawn"] = float(np.abs(after - before).mean() / np.abs(before).mean())
    return facts


def report(explanations: Sequence[Explanation]) -> list[str]:
    """What a run found, and whether it can be believed, as lines of text."""
    facts = explanations[0].facts
    table = shapley_table(explanations).query("what == 'mae'")
    values = table.pivot(index=COLUMNS[:3], columns="group", values="value")
    taus = ", ".join(f"{tau:.2f} between {what}" for what, tau in stability(explanations).items())
    return [
        f"{facts['title']} (data: {facts['source']}), {len(facts['days'])} days; groups are "
        "hidden interventionally, within season, by "
        f"{min(facts['donors'])} to {max(facts['donors'])} donor days of training each.",
        f"MAE ({facts['unit']}): without any information, what each group adds, and with all:",
        values[[NONE, *facts["players"], ALL]].to_string(float_format="{:.3g}".format),
        "Checks (docs/explanations.md):",
        checks(explanations).to_string(float_format="{:.2g}".format, na_rep="-"),
        f"Kendall's tau of the order of groups: {taus}.",
    ]


def checks(explanations: Sequence[Explanation]) -> pd.DataFrame:
    """Whether explanations of the same days can be believed, one row per training.

    ``sum`` is by which share the values miss the forecast with all information less that with none;
    ``planted`` what a column that the model has not learnt from is worth (the target's unit). All
    else is in percent: ``donors``, by how much the values differ between halves of the donors;
    ``stored``, how far the model is from that of the benchmark; ``redrawn``, what other weights
    change; ``deletion``, see `hpo_lib.explain.shapley.faithfulness`; ``refitted``, the same after
    fitting the linear baseline again.
    """
    (worth,) = [one for one in explanations if one.training[1] == REFITTED]
    rows = {}
    for one in explanations:
        if one is worth:
            continue
        facts, order, (first, second) = one.facts, order_of(one.worth), one.facts["halves"]
        gap = np.abs(np.subtract(first, second)).mean() / np.abs(one.worth).mean()
        rows[one.training] = {
            "sum": max(map(_missed, map(one.daily, WHAT))),
            "planted": facts["planted"],
            "donors": 100 * gap,
            "stored": 100 * facts["differs"],
            "redrawn": 100 * facts.get("redrawn", math.nan),
            "deletion": faithfulness(one.loss, order),
            "refitted": faithfulness(worth.loss, order),
        }
    return pd.DataFrame(rows).T


def _missed(game: np.ndarray) -> float:
    off = shapley_values(game).sum(axis=0) - (game[-1] - game[0])
    return float(np.abs(off).max() / np.abs(game).max())


def stability(explanations: Sequence[Explanation]) -> dict[str, float]:
    """Mean Kendall's tau of what groups add to the MAE: between seeds, halves and models."""
    rows = [seeds for row, seeds in by_row(explanations).items() if row[1] != REFITTED]
    daily = [shapley_values(mean_daily(seeds, "mae")) for seeds in rows]
    compared = {
        "seeds": [[one.worth for one in seeds] for seeds in rows],
        "halves of the days": [
            [part.mean(axis=1) for part in np.array_split(one, 2, axis=1)] for one in daily
        ],
        "models": [[one.mean(axis=1) for one in daily]],
    }
    taus = {
        what: [kendalltau(*pair).statistic for one in sets for pair in combinations(one, 2)]
        for what, sets in compared.items()
    }
    return {what: float(np.mean(some)) for what, some in taus.items() if some}
