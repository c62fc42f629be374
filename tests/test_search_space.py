"""Chosen values at an end of their search space, on ranges worked by hand."""

import pytest

from hpo_lib.families.search_space import (
    RECIPE_SPACE,
    Choice,
    FloatRange,
    IntRange,
    boundary_advice,
    end_reached,
    in_words,
    value_in_words,
)
from hpo_lib.records.storage import dimension, distribution

LOG = FloatRange(1e-5, 1e-2, log=True)  # three decades: 5 % are 0.15 of one, a factor of 1.41
LINEAR = FloatRange(0.05, 0.45)  # 5 % are 0.02


@pytest.mark.parametrize(
    ("value", "space", "end"),
    [
        (1e-2, LOG, "upper"),
        (0.0072, LOG, "upper"),
        (0.0070, LOG, None),
        (1e-3, LOG, None),
        (1.40e-5, LOG, "lower"),
        (1.42e-5, LOG, None),
        (0.05, LINEAR, "lower"),
        (0.069, LINEAR, "lower"),
        (0.071, LINEAR, None),
        (0.431, LINEAR, "upper"),
        (2, IntRange(2, 5), "lower"),
        (3, IntRange(2, 5), None),
        (5, IntRange(2, 5), "upper"),
        (95, IntRange(0, 100), "upper"),
        (94, IntRange(0, 100), None),
        (1, IntRange(1, 3), None),
        (3, IntRange(1, 3), "upper"),
        (32, Choice((32, 64, 128)), "lower"),
        (64, Choice((32, 64, 128)), None),
        (128, Choice((128, 32, 64)), "upper"),
        (True, Choice((True, False)), None),
        (32, Choice((32,)), None),
        (48, Choice((32, 64)), None),
        (0.1, FloatRange(0.1, 0.1), None),
    ],
)
def test_when_a_value_is_within_five_percent_of_an_end_then_it_is_there(value, space, end):
    assert end_reached(value, space) == end


def test_when_chosen_values_are_at_ends_then_each_has_a_sentence_that_says_what_to_do():
    space = {
        "level_hours": Choice((0, 24)),
        "calendar": Choice((True, False)),
        "lr": LOG,
        "dropout": LINEAR,
        "hidden_size": Choice((32, 64)),
        "top_k": IntRange(2, 5),
        "gone": LINEAR,
    }
    params = {
        "level_hours": 0,
        "calendar": False,
        "lr": 0.0098,
        "dropout": 0.2,
        "hidden_size": 32,
        "top_k": 3,
        "unknown": 1,
    }
    assert boundary_advice("TFT_Q on heat", params, space) == [
        "TFT_Q on heat: hidden_size 32 is at the lower end of its choices (32, 64); widen it and "
        "search on",
        "TFT_Q on heat: lr 0.0098 is at the upper end of its range (1e-05 to 0.01, log); widen "
        "it and search on",
    ]


@pytest.mark.parametrize(
    "space", [LOG, LINEAR, IntRange(2, 5), Choice((32, 64)), Choice((True, False))], ids=in_words
)
def test_when_a_search_space_is_read_from_a_storage_then_it_is_the_one_that_was_searched(
    space,
):
    assert dimension(distribution(space)) == space


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "yes"),
        (False, "no"),
        (1, "1"),
        (0.0123456, "0.0123"),
        (1024, "1024"),
        (1.0, "1"),
    ],
)
def test_when_a_value_is_shown_then_yes_and_no_are_words_and_whole_numbers_whole(value, words):
    assert value_in_words(value, 3) == words


def test_when_choices_are_shown_then_they_are_those_of_the_table():
    assert [in_words(RECIPE_SPACE[name]) for name in ("calendar", "steps_factor")] == [
        "yes, no",
        "0.5, 1, 1.5",
    ]
