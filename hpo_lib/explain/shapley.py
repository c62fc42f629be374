"""Exact Shapley values of a game over a handful of players, and what else follows from it.

A game is an array [2^g, ...] of the value of each coalition of g players: in row s player i takes
part if bit i of s is set. So row 0 is the empty coalition, and the last row that of all players.
"""

from collections.abc import Sequence
from math import comb

import numpy as np


def _coalitions(game: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """g, the rows of a game, and [2^g] how many players take part in each."""
    rows = np.arange(len(game))
    return len(game).bit_length() - 1, rows, np.bitwise_count(rows)


def shapley_values(game: np.ndarray) -> np.ndarray:
    """[g, ...] what each player adds, in the mean over all orders in which players may join.

    ``sum over S without i of (v(S + i) - v(S)) / (g comb(g - 1, |S|))`` (Shapley, 1953). The values
    sum to the last row less the first one.
    """
    g, rows, sizes = _coalitions(game)
    weights = np.array([1 / (g * comb(g - 1, size)) for size in range(g)])
    values = []
    for player in range(g):
        without = rows[rows >> player & 1 == 0]
        added = game[without | 1 << player] - game[without]
        values.append(np.tensordot(weights[sizes[without]], added, 1))
    return np.stack(values)


def interactions(game: np.ndarray) -> np.ndarray:
    """[g, g, ...] what two players add together beyond what they add apart; 0 on the diagonal.

    The Shapley interaction index (Grabisch and Roubens, 1999): what a player adds where the other
    one takes part, less what it adds where that does not.
    """
    g, rows, _ = _coalitions(game)
    pairs = []
    for other in range(g):
        present, absent = (game[rows >> other & 1 == bit] for bit in (1, 0))
        beyond = shapley_values(present) - shapley_values(absent)
        pairs.append(np.insert(beyond, other, 0, axis=0))
    return np.stack(pairs)


def deletion(game: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """[g + 1, ...] the value with all players, then without the first of the order, and so on."""
    rows = [len(game) - 1]
    for player in order:
        rows.append(rows[-1] ^ 1 << player)
    return np.asarray(game[rows])


def insertion(game: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """[g + 1, ...] the value without players, then with the first of the order, and so on."""
    return deletion(game, order[::-1])[::-1]


def mean_deletion(game: np.ndarray) -> np.ndarray:
    """[g + 1, ...] `deletion` in the mean over all orders: of all coalitions of each size."""
    g, _, sizes = _coalitions(game)
    return np.stack([game[sizes == size].mean(axis=0) for size in range(g, -1, -1)])


def order_of(values: np.ndarray) -> list[int]:
    """The players by falling size of their value [g]."""
    return [int(player) for player in np.argsort(-np.abs(values), kind="stable")]


def faithfulness(loss: np.ndarray, order: Sequence[int]) -> float:
    """How much faster the loss [2^g] rises without the first players of an order than of any.

    The area between `deletion` in this order and `mean_deletion`, in % of the loss with all
    players. An order that says nothing has 0.
    """
    between = deletion(loss, order) - mean_deletion(loss)
    return float(100 * np.trapezoid(between) / len(order) / loss[-1])
