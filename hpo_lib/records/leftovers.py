"""What killed processes leave behind, and what may be removed."""

import re

from hpo_lib.paths import RunPaths


def predicted_trials(run: RunPaths) -> list[int]:
    """The trials of a study whose predictions are stored."""
    found = (re.fullmatch(r"trial_(\d{4,})\.parquet", file.name) for file in run.predictions.glob("trial_*.parquet"))
    return sorted(int(name[1]) for name in found if name)
