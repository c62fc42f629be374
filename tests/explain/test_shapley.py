"""Shapley values and curves of games to work out by hand, and of random games by brute force."""

from itertools import permutations

import numpy as np
import pytest
import shap

from hpo_lib.benchmark.explanations import (
    deletion,
    faithfulness,
    interactions,
    mean_deletion,
    shapley_values,
)


def claim_of(order):
    """The claim by which players are deleted in this order."""
    return len(order) - np.argsort(order)


@pytest.fixture
def game():
    """Of five players, [32, 2, 3]."""
    return np.random.default_rng(3).normal(size=(32, 2, 3))


def test_when_games_are_small_then_values_and_interactions_are_those_worked_out_by_hand():
    # v() = 0, v(0) = 1, v(1) = 2, v(01) = 4
    two = np.array([0.0, 1, 2, 4])
    assert shapley_values(two).tolist() == [1.5, 2.5]
    assert interactions(two).tolist() == [[0, 1], [1, 0]]
    # Gloves: players 0 and 1 have a left one, 2 a right one; a pair is worth 1.
    gloves = np.array([0.0, 0, 0, 0, 0, 1, 1, 1])
    assert shapley_values(gloves) == pytest.approx([1 / 6, 1 / 6, 4 / 6], rel=1e-12)
    assert interactions(gloves)[0] == pytest.approx([0, -0.5, 0.5], rel=1e-12)


def test_when_all_orders_are_walked_then_each_player_adds_its_shapley_value(game):
    added = np.zeros((5, 2, 3))
    curves = []
    for order in permutations(range(5)):
        row = 0
        for player in order:
            added[player] += game[row | 1 << player] - game[row]
            row |= 1 << player
        curves.append(deletion(game, claim_of(order)))
    assert shapley_values(game) == pytest.approx(added / 120, rel=1e-9, abs=1e-12)
    means = np.mean(curves, axis=0)[:, 0, 0]
    assert mean_deletion(game[:, 0, 0]) == pytest.approx(means, rel=1e-9, abs=1e-12)


def test_when_shap_explains_the_same_game_then_its_values_are_equal(game):
    flat = game.reshape(32, -1)

    def value(masks):
        return flat[(masks @ 2 ** np.arange(5)).astype(int)]

    explainer = shap.explainers.Exact(value, shap.maskers.Independent(np.zeros((1, 5))))
    values = explainer(np.ones((1, 5))).values[0]
    assert shapley_values(flat) == pytest.approx(values, rel=1e-9, abs=1e-12)


def test_when_values_are_summed_then_they_are_all_less_none(game):
    assert shapley_values(game).sum(axis=0) == pytest.approx(game[-1] - game[0], rel=1e-9)
    # What a player adds is a half of each of its interactions and what it adds on its own.
    assert interactions(game) == pytest.approx(interactions(game).swapaxes(0, 1), abs=1e-12)


def test_when_groups_are_deleted_in_an_order_then_the_curve_takes_these_coalitions():
    game = np.arange(8.0)
    assert deletion(game, np.array([0.2, 0.1, -3])).tolist() == [7, 3, 2, 0]
    assert deletion(game, claim_of([1, 0, 2]))[::-1].tolist() == [0, 4, 5, 7]


def test_when_an_order_is_the_right_one_then_deleting_in_it_costs_more_than_in_any_order():
    # A loss of 10, of which player 0 takes 4, 1 takes 2 and 2 nothing.
    loss = np.array([10.0, 6, 8, 4, 10, 6, 8, 4])
    best = faithfulness(loss, shapley_values(loss))
    # 4, 8, 10, 10 against 4, 6, 8, 10: (0 / 2 + 2 + 2 + 0 / 2) / 3 of 4
    assert best == pytest.approx(100 * 4 / 3 / 4)
    orders = [faithfulness(loss, claim_of(order)) for order in permutations(range(3))]
    assert best == max(orders)
    assert np.mean(orders) == pytest.approx(0, abs=1e-9)
