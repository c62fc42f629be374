"""Stored explanations: the forecasts of every coalition, and what follows from them alone.

A game is an array [2^g, ...] of the value of each coalition of g players, which are groups of
information: in row s player i takes part if bit i of s is set. So row 0 is the empty coalition, and
the last row that of all players.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from scipy.special import comb
from scipy.stats import kendalltau

from hpo_lib.errors import UNREADABLE, InputError
from hpo_lib.paths import BenchmarkPaths, atomic
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS
from hpo_lib.scoring.metrics import quantile_losses
from hpo_lib.scoring.uncertainty import bounds_of_means

WHAT = "median", "width", "mae", "pinball"
"""Of a forecast is explained, see `hourly`."""

LINEAR, REFITTED = "RESIDUAL_LINEAR", "REFITTED_LINEAR"
"""The linear baseline, and that which is fitted again for each coalition."""

NONE, ALL = "none", "all"
MEAN = "mean"
"""In the place of a seed: the mean over all seeds."""

DROPPED_BITS = 10
"""Of the 23 of a stored float32: values are within 0.006 %, and files a third smaller."""

Game = np.ndarray
"""[2^g, ...], see above."""

Training = tuple[str, ...]
"""Model, params and seed (or `MEAN`) as text."""


def members(game: Game) -> np.ndarray:
    """[g, 2^g] whether each player takes part in each coalition."""
    players = np.arange(len(game).bit_length() - 1)
    return np.asarray(np.arange(len(game)) >> players[:, None] & 1, bool)


def shapley_values(game: Game) -> np.ndarray:
    """[g, ...] what each player adds, in the mean over all orders in which players may join.

    ``sum over S without i of (v(S + i) - v(S)) / (g comb(g - 1, |S|))`` (Shapley, 1953). The values
    sum to the last row less the first one.
    """
    member = members(game)
    g = len(member)
    others = member.sum(axis=0) - member
    return np.tensordot((2 * member - 1) / (g * comb(g - 1, others)), game, 1)


def interactions(game: Game) -> np.ndarray:
    """[g, g, ...] what two players add together beyond what they add apart; 0 on the diagonal.

    The Shapley interaction index (Grabisch and Roubens, 1999): what a player adds where the other
    one takes part, less what it adds where that does not.
    """
    return np.stack(
        [
            np.insert(shapley_values(game[present] - game[~present]), other, 0, axis=0)
            for other, present in enumerate(members(game))
        ]
    )


def deletion(game: Game, claim: np.ndarray) -> np.ndarray:
    """[g + 1, ...] the value with all players, then without that of the largest claim, and so on.

    ``claim`` [g] is of any sign. The curve of insertion is that of the reversed order, backwards.
    """
    order = np.argsort(-np.abs(claim), kind="stable")
    return np.asarray(game[-1 - np.cumsum([0, *(1 << order)])])


def mean_deletion(game: Game) -> np.ndarray:
    """[g + 1] `deletion` in the mean over all orders: of all coalitions of each size."""
    sizes = members(game).sum(axis=0)
    return (np.bincount(sizes, game) / np.bincount(sizes))[::-1]


def faithfulness(loss: Game, claim: np.ndarray) -> float:
    """How much faster the loss [2^g] rises without the players of the largest claims than of any.

    The area between `deletion` by this claim and `mean_deletion`, in % of the loss with all
    players. A claim that says nothing has 0.
    """
    between = deletion(loss, claim) - mean_deletion(loss)
    return float(100 * np.trapezoid(between) / len(claim) / loss[-1])


def hourly(values: np.ndarray, actual: np.ndarray) -> dict[str, np.ndarray]:
    """What is explained, [..., N, H] of forecasts [..., N, H, Q] and actuals [N, H]."""
    low, median, high = np.moveaxis(values, -1, 0)
    return {
        "median": median,
        "width": high - low,
        "mae": np.abs(actual - median),
        "pinball": quantile_losses(values, actual, QUANTILE_LEVELS).mean(axis=-1),
    }


class Explanation(NamedTuple):
    """The forecasts of a training with every coalition of groups of information.

    Attributes:
        facts: ``title``, names of the g ``players``, the N ``days`` (UTC hours of their origins),
            ``checks``, and the ``key`` of the training.
        values: [2^g, N, H, Q], a game, in the target's unit.
        actual: [N, H].
    """

    facts: dict[str, Any]
    values: Game
    actual: np.ndarray

    def store(self, file: Path) -> None:
        """Write it, see `DROPPED_BITS`."""
        bits = self.values.astype(np.float32).view(np.int32) + (1 << DROPPED_BITS - 1)
        values = (bits >> DROPPED_BITS << DROPPED_BITS).view(np.float32)
        with atomic(file) as temporary:
            np.savez_compressed(
                temporary, facts=json.dumps(self.facts), values=values, actual=self.actual
            )

    @classmethod
    def load(cls, file: Path) -> "Explanation":
        """A stored one.

        Raises:
            InputError: it is missing or damaged.
        """
        try:
            with np.load(file) as stored:
                return cls(
                    json.loads(str(stored["facts"])),
                    stored["values"].astype(float),
                    stored["actual"],
                )
        except (EOFError, BadZipFile, *UNREADABLE) as error:
            raise InputError(
                f"{file}: holds no explanation ({error}); remove it and run `hpo explain` again"
            ) from None


class Explanations(NamedTuple):
    """All of a folder, which are of the same days, in ``unit``: the target's times ``factor``."""

    parts: dict[Training, Explanation]
    unit: str = ""
    factor: float = 1

    @classmethod
    def of_folder(cls, paths: BenchmarkPaths, unit: str = "", factor: float = 1) -> "Explanations":
        """All of a folder, and in which ``unit`` and by which ``factor``."""
        files = paths.explanations()
        parts = {tuple(file.stem.split("-")): Explanation.load(file) for file in files}
        return cls(parts, unit, factor)

    @property
    def facts(self) -> dict[str, Any]:
        """Those that all have in common, and others of the first."""
        return next(iter(self.parts.values())).facts

    def games(self, what: str) -> dict[Training, Game]:
        """[2^g, N, H] hourly values of one of `WHAT` by coalition.

        Of each training, before them in the mean over the seeds.
        """
        games: dict[Training, Any] = {}
        for training, one in self.parts.items():
            for name in ((*training[:2], MEAN), training):
                games.setdefault(name, []).append(hourly(one.values, one.actual)[what])
        return {name: self.factor * np.mean(seeds, axis=0) for name, seeds in games.items()}

    def losses(self) -> dict[Training, Game]:
        """[2^g] the MAE of each training, and in the mean over seeds."""
        return {training: game.mean(axis=(1, 2)) for training, game in self.games("mae").items()}

    @property
    def best(self) -> Training:
        """The mean over seeds with the lowest MAE."""
        means = {
            row: loss[-1]
            for row, loss in self.losses().items()
            if row[0] != REFITTED and row[2] == MEAN
        }
        return min(means, key=means.__getitem__)

    def table(self) -> pd.DataFrame:
        """A row per model, params, seed (and `MEAN`), ``what`` and ``group``, with intervals.

        The values of the groups sum to that of `ALL` less that of `NONE`. Intervals are of a block
        bootstrap over days.
        """
        groups = [*self.facts["players"], NONE, ALL]
        tables = {}
        for what in WHAT:
            for training, game in self.games(what).items():
                daily = game.mean(axis=2)
                values = np.vstack([shapley_values(daily), daily[[0, -1]]])
                rows = [values.mean(axis=1), *bounds_of_means(values.T)]
                tables[*training, what] = pd.DataFrame(rows, ["value", "low", "high"], groups).T
        return pd.concat(tables, names=["model", "params", "seed", "what", "group"]).reset_index()

    def report(self) -> list[str]:
        """What was found, and whether it can be believed, as lines of text.

        The columns of the checks, a row per training: ``sum`` is by which share the values of
        forecasts miss those with all information less those with none; ``planted`` what a column
        that the model has not learnt from is worth (the target's unit); ``halves`` Kendall's tau of
        what groups add to the MAE in either half of the days. In percent: ``redrawn``, what other
        weights change; ``donors``, by how much the values differ between halves of the donors;
        ``deletion``, see `faithfulness`; ``refitted``, the same after fitting the linear baseline
        again.
        """
        players = self.facts["players"]
        games = self.games("mae")
        losses = self.losses()
        worth = {row: [*shapley_values(loss), *loss[[0, -1]]] for row, loss in losses.items()}
        table = pd.DataFrame(worth, [*players, NONE, ALL])
        checks = {}
        for training, one in self.parts.items():
            values = one.values
            claim = shapley_values(losses[training])
            missed = shapley_values(values).sum(axis=0) - values[-1] + values[0]
            halves = np.array_split(games[training].mean(axis=2), 2, axis=1)
            checks[training] = {
                "sum": np.abs(missed).max() / np.abs(values).max(),
                **one.facts["checks"],
                "halves": kendalltau(*(shapley_values(h.mean(axis=1)) for h in halves)).statistic,
                "deletion": faithfulness(losses[training], claim),
                "refitted": faithfulness(losses[REFITTED, "own", "0"], claim),
            }
        pairs = pd.DataFrame(interactions(losses[self.best]), players, players)
        return [
            f"{self.facts['title']} of training each; groups are hidden interventionally, within "
            "season.",
            "MAE: what each group adds, without any information, and with all:",
            table.T.to_string(float_format="{:.3g}".format),
            "Checks (docs/explanations.md):",
            pd.DataFrame(checks).T.to_string(float_format="{:.2g}".format, na_rep="-"),
            "Kendall's tau of the order of groups:",
            table.loc[players, [*checks]].corr("kendall").to_string(float_format="{:.2f}".format),
            f"MAE of {' '.join(self.best)}: what pairs add beyond what their groups add apart:",
            pairs.to_string(float_format="{:.2g}".format),
        ]
