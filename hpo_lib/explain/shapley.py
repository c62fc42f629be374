"""Exact Shapley values of a game over a handful of players, and what else follows from it.

A game is an array [2^g, ...] of the value of each coalition of g players: in row s player i takes
part if bit i of s is set. So row 0 is the empty coalition, and the last row that of all players.
"""

import numpy as np
from scipy.special import comb


def shapley_values(game: np.ndarray) -> np.ndarray:
    """[g, ...] what each player adds, in the mean over all orders in which players may join.

    ``sum over S without i of (v(S + i) - v(S)) / (g comb(g - 1, |S|))`` (Shapley, 1953). The values
    sum to the last row less the first one.
    """
    rows, g = np.arange(len(game)), len(game).bit_length() - 1
    member = rows >> np.arange(g)[:, None] & 1
    others = np.bitwise_count(rows) - member
    return np.tensordot((2 * member - 1) / (g * comb(g - 1, others)), game, 1)


def interactions(game: np.ndarray) -> np.ndarray:
    """[g, g, ...] what two players add together beyond what they add apart; 0 on the diagonal.

    The Shapley interaction index (Grabisch and Roubens, 1999): what a player adds where the other
    one takes part, less what it adds where that does not.
    """
    rows, pairs = np.arange(len(game)), []
    for other in range(len(game).bit_length() - 1):
        absent, present = (shapley_values(game[rows >> other & 1 == bit]) for bit in (0, 1))
        pairs.append(np.insert(present - absent, other, 0, axis=0))
    return np.stack(pairs)


def deletion(game: np.ndarray, order: np.ndarray) -> np.ndarray:
    """[g + 1, ...] the value with all players, then without the first of the order, and so on."""
    return np.asarray(game[len(game) - 1 - np.cumsum([0, *(1 << order)])])


def insertion(game: np.ndarray, order: np.ndarray) -> np.ndarray:
    """[g + 1, ...] the value without players, then with the first of the order, and so on."""
    return deletion(game, order[::-1])[::-1]


def mean_deletion(game: np.ndarray) -> np.ndarray:
    """[g + 1, ...] `deletion` in the mean over all orders: of all coalitions of each size."""
    sizes = np.bitwise_count(np.arange(len(game)))
    return np.stack([game[sizes == size].mean(axis=0) for size in range(sizes[-1], -1, -1)])


def order_of(values: np.ndarray) -> np.ndarray:
    """The players by falling size of their value [g]."""
    return np.argsort(-np.abs(values), kind="stable")


def faithfulness(loss: np.ndarray, order: np.ndarray) -> float:
    """How much faster the loss [2^g] rises without the first players of an order than of any.

    The area between `deletion` in this order and `mean_deletion`, in % of the loss with all
    players. An order that says nothing has 0.
    """
    between = deletion(loss, order) - mean_deletion(loss)
    return float(100 * np.trapezoid(between) / len(order) / loss[-1])
