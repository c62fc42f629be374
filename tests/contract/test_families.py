"""What every model family promises. A new family is tested as soon as its file is in
``hpo_lib/families``.
"""

import copy
import dataclasses
import math
import os
import pickle
import re
import signal
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.errors import InputError
from hpo_lib.families.models import (
    RECIPES,
    STANDARD,
    Budget,
    Forecaster,
    family_names,
    get_family,
)
from hpo_lib.families.search_space import Choice, FloatRange, IntRange
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import NonFiniteForecast, QuantileForecasts
from tests.contract.conftest import (
    CALENDAR,
    KNOWN,
    ORIGIN,
    disturbed,
    holding_the_future,
)

BUDGET = Budget(steps=4, batch_size=8, checks=2)
ONE_CHECK = Budget(steps=3, batch_size=8, checks=1)
SEED = 5
# All of the network counts, however little it has learnt.
UNSHRUNK = dataclasses.replace(STANDARD, residual_share=False)
# Families see each of these columns, at the origin and at both ends of the forecast day.
SEEN = [
    *(((column,), ORIGIN) for column in ("water_consumption", "temp")),
    (KNOWN, ORIGIN - HISTORY + 1),
    *(((column,), ORIGIN + step) for column in CALENDAR for step in (1, HORIZON)),
]


@dataclass(frozen=True)
class Trained:
    """One tiny training, with what it reported on the way."""

    forecaster: Forecaster
    checks: list[tuple[int, QuantileForecasts]]


@pytest.fixture(scope="module", params=family_names())
def family(request):
    return with_small_networks(get_family(request.param))


@pytest.fixture(scope="module")
def trained(family, tiny_dataset):
    return train(family, tiny_dataset)


def with_small_networks(family):
    """The family with an eighth of each size that its networks may have: what it promises holds for
    any.
    """
    small = copy.copy(family)
    small.search_space = {
        name: Choice(tuple(max(2, int(option) // 8) for option in dimension.options))
        if isinstance(dimension, Choice)
        else dimension
        for name, dimension in family.search_space.items()
    }
    return small


def smallest(family):
    """The cheapest parameters of the search space; a high learning rate, so that a few steps leave
    a mark.
    """
    params = {}
    for name, dimension in family.search_space.items():
        match dimension:
            case IntRange(low, _):
                params[name] = low
            case FloatRange(low, high, log):
                params[name] = high if log else low
            case Choice(options):
                params[name] = min(options)
    return params


def train(family, dataset, budget=BUDGET, seed=SEED):
    checks = []
    forecaster = family.fit(
        smallest(family),
        dataset,
        budget,
        seed=seed,
        recipe=UNSHRUNK,
        on_check=lambda step, forecasts: checks.append((step, forecasts)),
    )
    return Trained(forecaster, checks)


def with_frame(dataset, frame):
    return dataclasses.replace(dataset, frame=frame)


def forecast(trained, frame, *origins):
    """[N, H, Q] of the given origins."""
    return trained.forecaster.predict(holding_the_future(frame, *origins)).values


# What a forecast is


def test_when_a_family_forecasts_then_in_the_unit_of_the_target_and_not_in_its_scaled_form(
    family, tiny_dataset
):
    calm = family.fit({**smallest(family), "lr": 1e-3}, tiny_dataset, BUDGET, seed=SEED)
    level = tiny_dataset.target.mean()
    found = calm.forecasts(tiny_dataset, np.array([ORIGIN])).values
    assert np.abs(found - level).max() < level


# What a forecast may know


@pytest.mark.parametrize(("columns", "at"), SEEN)
def test_when_a_column_that_a_family_sees_changes_then_its_forecast_does(
    columns, at, trained, tiny_dataset
):
    found = forecast(trained, disturbed(tiny_dataset.frame, columns, slice(at, at + 1)), ORIGIN)
    assert (found != forecast(trained, tiny_dataset.frame, ORIGIN)).any()


def test_when_other_windows_are_asked_for_too_then_a_forecast_stays_the_same_to_the_last_bit(
    trained, tiny_dataset
):
    from hpo_lib.families.training import PREDICT_BATCH

    origins = np.arange(
        1500, 1500 + 4 * (PREDICT_BATCH + 10), 4
    )  # more than one pass, the last one not full
    everything = trained.forecaster.forecasts(tiny_dataset, origins).values
    permutation = np.random.default_rng(1).permutation(len(origins))
    permuted = trained.forecaster.forecasts(tiny_dataset, origins[permutation]).values
    assert np.array_equal(permuted, everything[permutation])
    chosen = np.array([3, PREDICT_BATCH + 5, 40])
    assert np.array_equal(
        trained.forecaster.forecasts(tiny_dataset, origins[chosen]).values, everything[chosen]
    )
    for position in (0, PREDICT_BATCH + 5):
        assert np.array_equal(
            forecast(trained, tiny_dataset.frame, origins[position]), everything[position][None]
        )


def test_when_a_model_is_stored_and_read_back_then_it_forecasts_the_same_and_carries_no_data(
    family, trained, tiny_dataset, tmp_path
):
    from hpo_lib.families.stored_model import load, save

    file, origins = tmp_path / "model.pt", tiny_dataset.test_origins
    alone = copy.copy(trained.forecaster)  # the linear baseline, without anything of the network
    alone.recipe, alone.shares = STANDARD, (0.0, 0.0)
    sizes = []
    for forecaster in (trained.forecaster, alone):
        save(forecaster, file)
        read = load(file, family, smallest(family), tiny_dataset, "v001")
        again, before = (f.forecasts(tiny_dataset, origins) for f in (read, forecaster))
        assert np.array_equal(again.values, before.values)
        assert (read.best_step, read.shares) == (forecaster.best_step, forecaster.shares)
        raw = tiny_dataset.frame["temp"].to_numpy()[:200].tobytes()
        for data in (raw, raw.decode("latin1").encode()):  # as a tensor, and as an array
            assert data not in file.read_bytes()
        sizes.append(file.stat().st_size)
    assert sizes[1] < sizes[0], "weights of which nothing is kept are not stored"


def test_when_a_stored_model_is_of_other_code_or_another_target_then_reading_it_says_so(
    family, trained, tiny_dataset, tmp_path
):
    import torch

    from hpo_lib.families.stored_model import ALLOWED, load, save

    file = tmp_path / "model.pt"
    save(trained.forecaster, file)
    with torch.serialization.safe_globals(ALLOWED):
        stored = torch.load(file, weights_only=True)
    recipe = copy.copy(stored["parts"]["recipe"])
    vars(recipe)["new_option"] = 1
    without = dataclasses.replace(tiny_dataset, frame=tiny_dataset.frame.drop(columns="temp"))
    for other, dataset, sentence in (
        (
            {"format": 2},
            tiny_dataset,
            "v001: its format is 2, here it is 3; train it again",
        ),
        (
            {"parts": {"recipe": recipe}},
            tiny_dataset,
            r"v001: its list of recipe fields is \[.*'new_option'",
        ),
        (
            {"unit": "l/s"},
            tiny_dataset,
            "v001: its unit is 'l/s', here it is 'm3/h'; train it again",
        ),
        ({}, without, "tiny.csv: lacks temp, with which v001 was trained"),
    ):
        torch.save({**stored, **other}, file)
        with pytest.raises(InputError, match=f"^{sentence}"):
            load(file, family, smallest(family), dataset, "v001")


# What a training may know and what it keeps


def test_when_a_pass_over_the_training_windows_ends_at_a_check_then_training_goes_on(
    family, tiny_dataset
):
    """darts' TFT keeps a mask by batch size: one made while forecasting, in the check, met the next
    training step.
    """
    from hpo_lib.families.windows import learnt_origins

    windows, batch = 187, 64  # three steps a pass, the last of them with 59 windows
    assert len(learnt_origins(tiny_dataset, STANDARD)) == windows
    budget = dataclasses.replace(
        BUDGET, steps=2 * math.ceil(windows / batch), batch_size=batch, checks=2
    )
    assert [step for step, _ in train(family, tiny_dataset, budget).checks] == [3, 6]


def test_when_a_training_is_checked_then_checks_are_spread_evenly_and_the_best_one_is_kept(
    trained, tiny_dataset
):
    assert [step for step, _ in trained.checks] == [2, 4]
    assert not np.array_equal(trained.checks[0][1].values, trained.checks[1][1].values)
    assert_keeps_the_best(trained, tiny_dataset)


def test_when_the_last_check_is_not_the_best_then_earlier_weights_are_kept(
    family, tiny_dataset, monkeypatch
):
    losses = {}

    def second_is_best(forecasts):
        return losses.setdefault(forecasts.values.tobytes(), (3.0, 1.0, 2.0)[len(losses) % 3])

    monkeypatch.setattr(metrics, "pinball", second_is_best)
    trained = train(family, tiny_dataset, Budget(steps=3, batch_size=8, checks=3))
    assert list(losses.values()) == [3.0, 1.0, 2.0]
    assert trained.forecaster.best_step == 2
    assert_keeps_the_best(trained, tiny_dataset)


def assert_keeps_the_best(trained, dataset):
    step, best = min(trained.checks, key=lambda check: metrics.pinball(check[1]))
    assert trained.forecaster.best_step == step
    assert np.array_equal(trained.forecaster.validation.values, best.values)
    again = trained.forecaster.forecasts(dataset, dataset.validation_origins)
    assert np.array_equal(again.values, best.values)
    assert np.array_equal(again.actual, best.actual)


def test_when_the_work_is_bounded_then_a_large_model_gets_fewer_steps_and_its_schedule_spans_them(
    family, tiny_dataset
):
    short = train(family, tiny_dataset, Budget(steps=2, batch_size=8, checks=2))
    bounded = train(family, tiny_dataset, Budget(steps=1000, batch_size=8, checks=2, max_work=1e-6))
    assert [step for step, _ in bounded.checks] == [1, 2]
    assert np.array_equal(bounded.checks[-1][1].values, short.checks[-1][1].values)


def test_when_everything_after_the_training_split_changes_then_the_same_weights_are_trained(
    family, tiny_dataset
):
    columns = tuple(tiny_dataset.frame.columns)
    train_stop = tiny_dataset.positions.train.stop
    changed = disturbed(tiny_dataset.frame, columns, slice(train_stop, None))
    expected = train(family, tiny_dataset, ONE_CHECK)
    found = train(family, with_frame(tiny_dataset, changed), ONE_CHECK)
    origin = train_stop - HORIZON - 1
    assert np.array_equal(
        forecast(found, tiny_dataset.frame, origin), forecast(expected, tiny_dataset.frame, origin)
    )
    assert not np.array_equal(
        found.forecaster.validation.values, expected.forecaster.validation.values
    )


def test_when_only_both_splits_cover_the_years_for_a_season_then_a_refit_sees_no_more_than_a_fit(
    family, tiny_dataset
):
    # The real case: other columns made another network, whose schedule was shorter than the steps
    # that were chosen.
    hours = len(range(*tiny_dataset.positions.train.indices(len(tiny_dataset.frame))))
    recipe = dataclasses.replace(UNSHRUNK, season_years=(hours + 1) / 8760)
    fitted = family.fit(smallest(family), tiny_dataset, BUDGET, seed=SEED, recipe=recipe)
    refitted = family.fit(
        smallest(family), tiny_dataset, BUDGET, like=fitted, seed=SEED, recipe=recipe
    )
    assert [one.scaling.seasons for one in (fitted, refitted)] == [False, False]


def test_when_a_family_is_refitted_then_for_as_many_steps_as_validation_chose(
    family, trained, tiny_dataset
):
    forecasts = []
    for steps in (2, 3):
        like, params = copy.copy(trained.forecaster), smallest(family)
        like.best_step = steps
        refitted = family.fit(params, tiny_dataset, BUDGET, like=like, seed=1, recipe=UNSHRUNK)
        assert refitted.best_step == steps
        forecasts.append(refitted.forecasts(tiny_dataset, np.array([ORIGIN])).values)
    assert not np.array_equal(*forecasts)


def test_when_the_recipe_is_plain_then_the_forecast_is_another(family, trained, tiny_dataset):
    plain = family.fit(smallest(family), tiny_dataset, BUDGET, seed=SEED, recipe=RECIPES["plain"])
    assert not np.array_equal(plain.validation.values, trained.forecaster.validation.values)


def test_when_a_training_goes_astray_then_it_fails_and_names_the_step(family, tiny_dataset):
    frame = tiny_dataset.frame.copy()
    frame.iloc[200:1600, 0] = np.nan
    with pytest.raises(
        NonFiniteForecast, match=r"^15 of 15 forecasts hold NaN or infinity after 3 training steps$"
    ):
        train(family, with_frame(tiny_dataset, frame), ONE_CHECK)


def test_when_a_forecast_is_not_a_number_then_it_is_an_error_and_no_forecast(trained, tiny_dataset):
    frame = tiny_dataset.frame.copy()
    frame.iloc[ORIGIN, 0] = np.nan
    with pytest.raises(NonFiniteForecast, match=r"^1 of 2 forecasts hold NaN or infinity$"):
        forecast(trained, frame, ORIGIN, 700)


class Enough(Exception):
    pass


@pytest.mark.parametrize("error", [Enough, KeyboardInterrupt])
def test_when_a_check_raises_or_the_user_interrupts_then_the_training_ends_with_that_error(
    error, family, tiny_dataset, restored_sigint
):
    steps = []

    def stop(step, forecasts):
        steps.append(step)
        raise error

    with pytest.raises(error):
        family.fit(smallest(family), tiny_dataset, BUDGET, seed=SEED, on_check=stop)
    assert steps == [2]


@pytest.fixture
def restored_sigint():
    """Lightning ignores Ctrl-C after the first one."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_when_a_family_has_weights_then_they_are_float32(trained):
    from hpo_lib.families.training import DartsForecaster

    if not isinstance(trained.forecaster, DartsForecaster):
        pytest.skip("not a torch family")
    parameters = list(trained.forecaster.module.parameters())
    assert parameters
    assert {str(parameter.dtype) for parameter in parameters} == {"torch.float32"}


TRAIN_IN_A_NEW_PROCESS = """
import hashlib, pickle, sys
from hpo_lib.families.models import get_family
from hpo_lib.families.models import Budget

orders, dataset, seed = pickle.load(open(sys.argv[1], "rb"))
for name, params in orders:
    forecaster = get_family(name).fit(params, dataset, Budget(3, batch_size=8, checks=1), seed=seed)
    print(name, hashlib.sha256(forecaster.validation.values.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_when_two_processes_train_with_one_seed_then_every_bit_is_the_same(
    tiny_dataset, tmp_path, root
):
    digests, orders = [], [(name, smallest(get_family(name))) for name in family_names()]
    for number in range(2):  # in another order, too
        order = tmp_path / f"order{number}.pickle"
        order.write_bytes(pickle.dumps((orders[:: 1 - 2 * number], tiny_dataset, SEED)))
        run = subprocess.run(
            [sys.executable, "-c", TRAIN_IN_A_NEW_PROCESS, str(order)],
            cwd=root,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=True,
            capture_output=True,
            text=True,
        )
        digests.append(dict(re.findall(r"^(\w+) ([0-9a-f]{64})$", run.stdout, re.MULTILINE)))
    assert [*digests[0]] == [name for name, _ in orders]
    assert digests[0] == digests[1]


# What a family declares

LOG_LR, DROPOUT = FloatRange(1e-5, 1e-2, log=True), FloatRange(0.05, 0.4)
SEARCH_SPACES = {
    "NHITS_Q": {
        "num_stacks": IntRange(2, 5),
        "num_blocks": IntRange(1, 3),
        "num_layers": IntRange(2, 4),
        "layer_widths": Choice((256, 512, 1024)),
        "lr": LOG_LR,
        "dropout": DROPOUT,
        "weight_decay": FloatRange(1e-7, 1e-3, log=True),
    },
    "TFT_Q": {
        "hidden_size": Choice((32, 64, 128, 256)),
        "lstm_layers": IntRange(1, 3),
        "num_attention_heads": Choice((2, 4, 8)),
        "dropout": DROPOUT,
        "lr": LOG_LR,
    },
    "TIMESNET_Q": {
        "hidden_size": Choice((64, 128, 256)),
        "conv_hidden_size": Choice((32, 64, 128)),
        "top_k": IntRange(2, 5),
        "lr": LOG_LR,
        "dropout": DROPOUT,
    },
}


@pytest.mark.parametrize("name", SEARCH_SPACES)
def test_when_a_family_of_the_original_hpo_plan_is_searched_then_its_space_is_the_plans(
    name,
):
    assert dict(get_family(name).search_space) == SEARCH_SPACES[name]


@pytest.mark.parametrize("name", family_names())
def test_when_a_family_is_declared_then_name_title_and_budgets_are_there(name):
    family = get_family(name)
    assert family.name == name
    assert family.title
    assert {"test", "laptop", "a100"} <= set(family.budgets)
    for budget in family.budgets.values():
        assert budget.steps >= budget.checks >= 1
        assert budget.batch_size >= 1
    assert (
        family.budgets["test"].steps < family.budgets["laptop"].steps < family.budgets["a100"].steps
    )


def test_when_a_budget_bounds_the_work_then_steps_do_too_but_every_check_is_made():
    budget = Budget(steps=400, batch_size=8, checks=8, max_work=1000)
    assert [budget.steps_for(millions * 1_000_000) for millions in (1, 2, 4, 100, 500)] == [
        400,
        400,
        250,
        10,
        8,
    ]
    assert Budget(steps=400, batch_size=8, checks=8).steps_for(10**12) == 400


@pytest.mark.parametrize("name", family_names())
def test_when_a_family_is_declared_then_its_defaults_are_inside_the_search_space(name):
    get_family(name).check_params(get_family(name).defaults)


def test_when_a_training_gets_wrong_parameters_then_it_refuses_them(family, tiny_dataset):
    with pytest.raises(InputError, match="has no hyperparameter 'colour'"):
        family.fit({**family.defaults, "colour": 1}, tiny_dataset, BUDGET, seed=SEED)
