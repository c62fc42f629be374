"""What every model family promises. A new family is tested as soon as its file is in
``hpo_lib/families``.
"""

import copy
import math
import pickle
import re
import signal
from dataclasses import replace

import numpy as np
import pytest

from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.errors import InputError
from hpo_lib.families.models import STANDARD, Budget, family_names, get_family
from hpo_lib.families.search_space import Choice, FloatRange, IntRange, in_words, is_whole
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import NonFiniteForecast
from tests.contract.conftest import CALENDAR, KNOWN, ORIGIN, disturbed, forecast
from tests.study.processes import python

BUDGET = Budget(steps=4, batch_size=8, checks=2)
ONE_CHECK = Budget(steps=3, batch_size=8, checks=1)
SEED = 5
# All of the network counts, however little it has learnt.
UNSHRUNK = replace(STANDARD, residual_share=False)
# Families see each of these columns, at the origin and at both ends of the forecast day.
SEEN = [
    *(((column,), ORIGIN) for column in ("water_consumption", "temp")),
    (KNOWN, ORIGIN - HISTORY + 1),
    *(((column,), ORIGIN + step) for column in CALENDAR for step in (1, HORIZON)),
]


@pytest.fixture(scope="module", params=family_names())
def family(request):
    return with_small_networks(get_family(request.param))


@pytest.fixture(scope="module")
def trained(family, tiny_dataset):
    return train(family, tiny_dataset)[0]


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
    """A forecaster, and the steps and forecasts of its checks."""
    checks = []
    forecaster = family.fit(
        smallest(family),
        dataset,
        budget,
        seed=seed,
        recipe=UNSHRUNK,
        on_check=lambda step, forecasts: checks.append((step, forecasts)),
    )
    return forecaster, checks


# What a forecast may know


@pytest.mark.parametrize("columns, at", SEEN)
def test_when_a_column_that_a_family_sees_changes_then_its_forecast_does(
    columns, at, trained, tiny_dataset
):
    found = forecast(trained, disturbed(tiny_dataset.frame, columns, slice(at, at + 1)), ORIGIN)
    assert (found != forecast(trained, tiny_dataset.frame, ORIGIN)).any()


def test_when_a_stored_model_is_of_other_code_or_another_target_then_reading_it_says_so(
    family, trained, tiny_dataset, tmp_path
):
    import torch

    from hpo_lib.families.stored_model import ALLOWED, load, save

    file = tmp_path / "model.pt"
    save(trained, file)
    with torch.serialization.safe_globals(ALLOWED):
        stored = torch.load(file, weights_only=True)
    recipe = copy.copy(stored["parts"]["recipe"])
    vars(recipe)["new_option"] = 1
    without = replace(tiny_dataset, frame=tiny_dataset.frame.drop(columns="temp"))
    for other, dataset, sentence in (
        (
            {"format": 2},
            tiny_dataset,
            "v001: its format is 2, here it is 3; remove current.json beside it and train it again",
        ),
        (
            {"parts": {"recipe": recipe}},
            tiny_dataset,
            r"v001: its list of recipe fields is \[.*'new_option'",
        ),
        (
            {"unit": "l/s"},
            tiny_dataset,
            "v001: its unit is 'l/s', here it is 'm3/h'; remove current.json beside",
        ),
        ({}, without, "tiny.csv: lacks temp, with which v001 was trained"),
    ):
        torch.save({**stored, **other}, file)
        with pytest.raises(InputError, match=f"^{sentence}"):
            load(file, family, smallest(family), dataset, "v001")


# What a training may know and what it keeps


def test_when_a_pass_over_the_training_windows_ends_at_a_check_then_training_goes_on(tiny_dataset):
    """darts' TFT keeps a mask by batch size: one made while forecasting, in the check, met the next
    training step.
    """
    from hpo_lib.families.windows import learnt_origins

    windows, batch = 187, 64  # three steps a pass, the last of them with 59 windows
    assert len(learnt_origins(tiny_dataset, STANDARD)) == windows
    budget = replace(BUDGET, steps=2 * math.ceil(windows / batch), batch_size=batch, checks=2)
    _, checks = train(with_small_networks(get_family("TFT_Q")), tiny_dataset, budget)
    assert [step for step, _ in checks] == [3, 6]


def test_when_the_last_of_even_checks_is_not_the_best_then_earlier_weights_are_kept(
    family, tiny_dataset, monkeypatch
):
    losses = {}

    def second_is_best(forecasts):
        return losses.setdefault(forecasts.values.tobytes(), (3.0, 1.0, 2.0)[len(losses) % 3])

    monkeypatch.setattr(metrics, "pinball", second_is_best)
    forecaster, checks = train(family, tiny_dataset, Budget(steps=6, batch_size=8, checks=3))
    assert list(losses.values()) == [3.0, 1.0, 2.0]
    assert [step for step, _ in checks] == [2, 4, 6]
    assert forecaster.best_step == 4
    best = checks[1][1]
    again = forecaster.forecasts(tiny_dataset, tiny_dataset.validation_origins)
    for forecasts in (forecaster.validation, again):
        assert np.array_equal(forecasts.values, best.values)
        assert np.array_equal(forecasts.actual, best.actual)
    assert {str(weight.dtype) for weight in forecaster.module.parameters()} == {"torch.float32"}


def test_when_the_work_is_bounded_then_a_large_model_gets_fewer_steps_and_its_schedule_spans_them(
    family, tiny_dataset
):
    _, short = train(family, tiny_dataset, Budget(2, 8, 2))
    _, bounded = train(family, tiny_dataset, Budget(1000, 8, 2, max_work=1e-6))
    assert [step for step, _ in bounded] == [1, 2]
    assert np.array_equal(bounded[-1][1].values, short[-1][1].values)


def test_when_everything_after_the_training_split_changes_then_the_same_weights_are_trained(
    family, tiny_dataset
):
    columns = tuple(tiny_dataset.frame.columns)
    train_stop = tiny_dataset.positions.train.stop
    changed = disturbed(tiny_dataset.frame, columns, slice(train_stop, None))
    (expected, _), (found, _) = (
        train(family, data, ONE_CHECK)
        for data in (tiny_dataset, replace(tiny_dataset, frame=changed))
    )
    origin = train_stop - HORIZON - 1
    assert np.array_equal(
        forecast(found, tiny_dataset.frame, origin), forecast(expected, tiny_dataset.frame, origin)
    )
    assert not np.array_equal(found.validation.values, expected.validation.values)


def test_when_only_both_splits_cover_the_years_for_a_season_then_a_refit_sees_no_more_than_a_fit(
    family, tiny_dataset
):
    # The real case: other columns made another network, whose schedule was shorter than the steps
    # that were chosen.
    hours = len(range(*tiny_dataset.positions.train.indices(len(tiny_dataset.frame))))
    recipe = replace(UNSHRUNK, season_years=(hours + 1) / 8760)
    fitted = family.fit(smallest(family), tiny_dataset, BUDGET, seed=SEED, recipe=recipe)
    refitted = family.fit(
        smallest(family), tiny_dataset, BUDGET, like=fitted, seed=SEED, recipe=recipe
    )
    assert [one.scaling.seasons for one in (fitted, refitted)] == [False, False]


def test_when_a_training_goes_astray_then_it_fails_and_names_the_step(family, tiny_dataset):
    frame = tiny_dataset.frame.copy()
    frame.iloc[200:1600, 0] = np.nan
    with pytest.raises(
        NonFiniteForecast, match=r"^15 of 15 forecasts hold NaN or infinity after 3 training steps$"
    ):
        train(family, replace(tiny_dataset, frame=frame), ONE_CHECK)


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
    digests = []
    orders = [(name, smallest(get_family(name))) for name in family_names()]
    for number in range(2):  # in another order, too
        order = tmp_path / f"order{number}.pickle"
        order.write_bytes(pickle.dumps((orders[:: 1 - 2 * number], tiny_dataset, SEED)))
        said = python(root, "-c", TRAIN_IN_A_NEW_PROCESS, order).stdout
        digests.append(dict(re.findall(r"^(\w+) ([0-9a-f]{64})$", said, re.MULTILINE)))
    assert [*digests[0]] == [name for name, _ in orders]
    assert digests[0] == digests[1]


# What a family declares

LEARNING_RATE = {"lr": "1e-05 to 0.01, log", "dropout": "0.05 to 0.4"}
SEARCH_SPACES = {
    "NHITS_Q": {
        "num_stacks": "2 to 5",
        "num_blocks": "1 to 3",
        "num_layers": "2 to 4",
        "layer_widths": "256, 512, 1024",
        "weight_decay": "1e-07 to 0.001, log",
    },
    "TFT_Q": {
        "hidden_size": "32, 64, 128, 256",
        "lstm_layers": "1 to 3",
        "num_attention_heads": "2, 4, 8",
    },
    "TIMESNET_Q": {
        "hidden_size": "64, 128, 256",
        "conv_hidden_size": "32, 64, 128",
        "top_k": "2 to 5",
    },
}


@pytest.mark.parametrize("name", SEARCH_SPACES)
def test_when_a_family_of_the_original_hpo_plan_is_searched_then_its_space_is_the_plans(name):
    space = get_family(name).search_space
    found = {parameter: in_words(dimension) for parameter, dimension in space.items()}
    assert found == SEARCH_SPACES[name] | LEARNING_RATE
    whole = {parameter for parameter, dimension in space.items() if "whole" in str(dimension)}
    assert whole == {parameter for parameter, words in found.items() if words[1:5] == " to "}


@pytest.mark.parametrize("name", family_names())
def test_when_a_family_is_declared_then_budgets_grow_and_defaults_and_portfolio_are_in_its_space(
    name,
):
    family = get_family(name)
    assert (family.name, bool(family.title)) == (name, True)
    budgets = [family.budgets[preset] for preset in ("test", "laptop", "a100")]
    assert all(one.steps >= one.checks >= 1 <= one.batch_size for one in budgets)
    assert budgets[0].steps < budgets[1].steps < budgets[2].steps
    family.check_params(family.defaults)
    for series, won in family.portfolio.items():
        params = {**family.untuned("wide"), **won}
        family.check_params(params)
        assert is_whole(params, family.searched("wide"))
        assert "," in series, "what won on one series alone says nothing of others"


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


def test_when_a_training_gets_wrong_parameters_then_it_refuses_them(family, tiny_dataset):
    with pytest.raises(InputError, match="has no hyperparameter 'colour'"):
        family.fit({**family.defaults, "colour": 1}, tiny_dataset, BUDGET, seed=SEED)
