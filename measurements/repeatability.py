"""Same seed, same result: two fresh processes train every family, and their predictions are
compared bit for bit.

As a script it is one of those processes.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from hpo_lib import paths
from measurements.table import Measured

PREDICTIONS = "predictions "


def fingerprints(dataset: str, data_dir: Path | None) -> dict[str, str]:
    """SHA-256 of the validation predictions of each family, trained with its ``test`` budget and
    seed 1.
    """
    from hpo_lib.data.dataset import load_dataset
    from hpo_lib.data.spec import load_spec
    from hpo_lib.families.models import family_names, get_family

    loaded = load_dataset(load_spec(dataset), data_dir)
    found = {}
    for name in family_names():
        family = get_family(name)
        forecaster = family.fit(family.defaults, loaded, family.budgets["test"], seed=1)
        found[name] = hashlib.sha256(forecaster.validation.values.tobytes()).hexdigest()
    return found


def repeatability(dataset: str, data_dir: Path | None, threads: int) -> Measured:
    """For each family 1 if two fresh processes predict the same bits, else 0."""
    command = [
        sys.executable,
        "-m",
        "measurements.repeatability",
        dataset,
        *([str(data_dir)] if data_dir else []),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    first, second = (
        subprocess.run(
            command,
            cwd=paths.PROJECT_ROOT,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        for _ in range(2)
    )
    runs = [_read(run.stdout) for run in (first, second)]
    differ = [name for name in runs[0] if runs[0][name] != runs[1][name]]
    note = f"differ: {', '.join(differ)}" if differ else f"bit-identical: {', '.join(runs[0])}"
    same = tuple(float(name not in differ) for name in runs[0])
    return Measured((), (min(same),), unit="same", note=note, details={"sha256": runs})


def _read(output: str) -> dict[str, str]:
    (found,) = [text for text in output.splitlines() if text.startswith(PREDICTIONS)]
    return json.loads(found.removeprefix(PREDICTIONS))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("data_dir", type=Path, nargs="?")
    arguments = parser.parse_args()
    print(PREDICTIONS + json.dumps(fingerprints(arguments.dataset, arguments.data_dir)))
