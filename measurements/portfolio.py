"""The portfolio of a family: configurations that won on many series, from recorded trials of the
wide space.

The same configurations were trained on every series, so their scores are a matrix. A score is the
mean of MAE and interval score, each divided by that of the untuned defaults on the same series.
Greedy set cover takes the configuration that lowers the mean over series of the best score so far
most, the defaults being there already, until that gains less than 0.2 %. An entry won on the series
on which it lowered the best score so far by 0.2 % or more.

    python -m measurements.portfolio            # shows it, from
    measurements/results/wide_curves.csv python -m measurements.portfolio --write    # ... and
    writes hpo_lib/families/portfolio.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from hpo_lib.families.portfolio import FILE, LONGEST, series
from measurements.early_stopping import Recorded, load_table
from measurements.record_curves import TABLE

LEAST_GAIN = 0.002


def matrix(recorded: list[Recorded]) -> tuple[list[int], np.ndarray]:
    """Numbers of the configurations that all series have, the defaults first, and their scores
    [configuration, series].

    Each is the mean of MAE and interval score, divided by those of the defaults.
    """
    scores = [
        {t.number: np.array([t.scores["mae"], t.scores["winkler"]]) for t in one.trials}
        for one in recorded
    ]
    numbers = sorted(set.intersection(*(set(one) for one in scores)))
    columns = [
        [float((one[number] / one[numbers[0]]).mean()) for number in numbers] for one in scores
    ]
    return numbers, np.array(columns).T


def chosen(scores: np.ndarray) -> list[tuple[int, np.ndarray, float]]:
    """Rows in the order of their choice, with the gain on each series [series], and the mean gain."""
    best, found = scores[0].copy(), list[tuple[int, np.ndarray, float]]()
    while len(found) < LONGEST:
        gains = np.maximum(best - scores, 0)
        row = int(gains.mean(axis=1).argmax())
        if gains[row].mean() < LEAST_GAIN:
            break
        found.append((row, gains[row], float(gains[row].mean())))
        best = np.minimum(best, scores[row])
    return found


def build(tables: list[Recorded]) -> dict[str, list[dict[str, Any]]]:
    """Family -> entries of the portfolio, which are printed, too."""
    families: dict[str, list[Recorded]] = {}
    for one in tables:
        families.setdefault(one.name.split()[1], []).append(one)
    portfolio = {}
    for family, recorded in sorted(families.items()):
        names = [series(one.name.split()[0]) for one in recorded]
        numbers, scores = matrix(recorded)
        print(f"{family}: {len(numbers)} configurations on {', '.join(names)}")
        entries = []
        for row, gains, mean in chosen(scores):
            won_on = [name for name, gain in zip(names, gains, strict=True) if gain >= LEAST_GAIN]
            params = next(t.params for t in recorded[0].trials if t.number == numbers[row])
            entries.append({"params": dict(params), "won_on": won_on})
            shown = ", ".join(
                f"{name} {100 * gain:.1f} %" for name, gain in zip(names, gains, strict=True)
            )
            print(f"  configuration {numbers[row]}: gains {100 * mean:.2f} % ({shown})")
        portfolio[family] = entries
    return portfolio


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--write", action="store_true", help=f"write {FILE.name} of the library")
    arguments = parser.parse_args()
    portfolio = build(load_table(arguments.table))
    if arguments.write:
        kept = json.loads(FILE.read_text(encoding="utf-8")) | portfolio
        FILE.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
