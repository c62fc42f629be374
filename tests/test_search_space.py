"""Dimensions of search spaces: in words, as optuna's distributions, drawn."""

import pytest

from hpo_lib.families.search_space import Choice, FloatRange, IntRange, in_words, value_in_words
from hpo_lib.records.storage import dimension, distribution

LOG = FloatRange(1e-5, 1e-2, log=True)
LINEAR = FloatRange(0.05, 0.45)


@pytest.mark.parametrize(
    "space", [LOG, LINEAR, IntRange(2, 5), Choice((32, 64)), Choice((True, False))], ids=in_words
)
def test_when_a_search_space_is_read_from_a_storage_then_it_is_the_one_that_was_searched(space):
    assert dimension(distribution(space)) == space


@pytest.mark.parametrize(
    "value, words",
    [(True, "yes"), (False, "no"), (1, "1"), (0.0123456, "0.0123"), (1024, "1024"), (1.0, "1")],
)
def test_when_a_value_is_shown_then_yes_and_no_are_words_and_whole_numbers_whole(value, words):
    assert value_in_words(value, 3) == words
    assert in_words(Choice((value, 0.5))) == f"{value_in_words(value)}, 0.5"
