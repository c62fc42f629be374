"""What ``hpo figures`` and its notebook call: folders as a user gives them, or else the example set."""

from collections.abc import Callable, Sequence
from pathlib import Path

from hpo_lib import paths
from hpo_lib.paths import ThesisPaths
from hpo_lib.records.study import find
from hpo_lib.thesis.build import build
from hpo_lib.thesis.evidence import Evidence, gather


def find_evidence(
    runs_dir: str = "",
    benchmark_dir: str = "",
    data_dir: str = "",
    datasets: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> Evidence:
    """The user's records; where no folder is given and there are none, the example set.

    Raises:
        InputError: a given folder holds no record; an unreadable TOML.
    """
    benchmarks = Path(benchmark_dir).expanduser() if benchmark_dir else paths.BENCHMARK_DIR
    runs, notes = find(runs_dir, lambda runs: paths.best_params_files(runs) or paths.benchmarks(benchmarks))
    if notes and not benchmark_dir:
        say(notes[0])
        # Without a CSV there, so that everybody has the twins that the examples were made on.
        return gather(paths.EXAMPLE_RUNS, paths.EXAMPLE_BENCHMARKS, paths.EXAMPLES_DIR)
    return gather(runs, benchmarks, Path(data_dir).expanduser() if data_dir else paths.DATA_DIR, datasets)


def make_all(
    runs_dir: str = "",
    benchmark_dir: str = "",
    data_dir: str = "",
    datasets: Sequence[str] = (),
    out: str = "",
    say: Callable[[str], None] = print,
) -> tuple[list[Path], list[str]]:
    """Every figure, table and card, see `build`; folders are texts, empty for the default.

    Raises:
        InputError: as `find_evidence` raises it.
    """
    evidence = find_evidence(runs_dir, benchmark_dir, data_dir, datasets, say)
    return build(evidence, ThesisPaths.below(Path(out).expanduser()) if out else ThesisPaths())
