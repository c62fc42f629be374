"""Configurations of the wide space that won on other series: the first trials of a study, after the
untuned defaults.

`measurements/portfolio.py` builds the table from recorded trials, by greedy set cover of normalised
scores (as in the portfolios of Feurer et al., 2022).
"""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("portfolio.json")
"""Family -> configurations with the series that they won on, in the order in which a study tries
them.
"""

LONGEST = 4


def portfolio(family: str, dataset: str) -> list[dict[str, Any]]:
    """At most four configurations, as ``params`` and ``won_on``, without those that won on this
    series alone.

    What won on a series itself is no knowledge from elsewhere, and would make a study of it look
    better than it is.
    """
    entries = json.loads(FILE.read_text(encoding="utf-8")).get(family, [])
    return [entry for entry in entries if set(entry["won_on"]) - {series(dataset)}][:LONGEST]


def series(dataset: str) -> str:
    """Name of the series behind a dataset: ``heat_dev`` has other splits than ``heat``, but the
    same hours.
    """
    return dataset.removesuffix("_dev")
