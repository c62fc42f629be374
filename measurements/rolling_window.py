"""How long a window the rolling calibration should have, from the validation forecasts of stored
benchmarks.

Nothing of a test split is scored. The forecasts of the validation split are corrected from the days
before each origin, and scored from the 61st day on (shorter splits: the second half), so that every
window has days to look back on.

    python -m measurements.rolling_window --data-dir DATA
    benchmark_results/heat_dev/laptop-standard=heat.toml ...
"""

import argparse
from pathlib import Path

from hpo_lib.benchmark.tables import load_rows
from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.paths import BenchmarkPaths
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import Calibration, calibrate
from hpo_lib.scoring.forecasts import QuantileForecasts

WINDOWS = (14, 21, 28, 35, 42, 60)
WARM_UP_DAYS = 60


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "benchmark", nargs="+", help="FOLDER=DATASET: a benchmark's folder and its dataset (TOML)"
    )
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    arguments = parser.parse_args()
    print(f"| dataset | model | raw PICP | {' | '.join(f'{days} d' for days in WINDOWS)} |")
    print("|---" * (3 + len(WINDOWS)) + "|")
    for pair in arguments.benchmark:
        folder, _, name = pair.partition("=")
        dataset = load_dataset(load_spec(name), arguments.data_dir)
        place = BenchmarkPaths(Path(folder).parent.parent, dataset.spec.name, Path(folder).name)
        for row in load_rows(place, dataset):
            if row.model.startswith(("NAIVE", "BLEND")):
                continue
            f = row.validation
            scored = slice(min(WARM_UP_DAYS, len(f.origins) // 2), None)
            raw = part(f, scored)
            cells = []
            for days in WINDOWS:
                corrected = part(
                    calibrate(f, None, dataset.target, Calibration("rolling", days)), scored
                )
                change = 100 * (metrics.winkler(corrected) / metrics.winkler(raw) - 1)
                cells.append(f"{metrics.picp(corrected):.1f} ({change:+.1f} %)")
            label = f"{row.model} {row.params}".removesuffix(" own")
            print(
                f"| {dataset.spec.name} | {label} | {metrics.picp(raw):.1f} | "
                f"{' | '.join(cells)} |",
                flush=True,
            )


def part(f: QuantileForecasts, origins: slice) -> QuantileForecasts:
    return QuantileForecasts(f.values[origins], f.actual[origins], f.origins[origins], f.levels)


if __name__ == "__main__":
    main()
