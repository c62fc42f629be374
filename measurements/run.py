"""The table of speed against the reference, with interleaved runs.

    python -m measurements.run [--data-dir DIR] [--dataset datasets/development/water_centrum.toml]
    [--only NAME ...] python -m measurements.run --full-reference       # the level of the first
    row: 15 epochs of the reference, minutes

`make bench` runs it; without the real data it measures on a simulated twin and says so. Compare
ratios between machines, not seconds. Exit code 1 if a row failed; a bar that is not met is a
result, not a failure.
"""

import argparse
import datetime as dt
import functools
import importlib
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.records.files import write_json
from hpo_lib.records.provenance import code_provenance, data_provenance
from measurements.table import HEADER, Bar, Measured, failed_row, line, row

RESULTS = Path(__file__).parent / "results"
TWIN = Path(__file__).parent / "centrum_twin.toml"
LEAST_HYPERVOLUME = 0.99


@dataclass(frozen=True)
class Context:
    """What every row may need."""

    dataset: Dataset
    data_dir: Path | None
    threads: int
    repeats: int
    results: Path
    quick: bool

    @functools.cached_property
    def growth(self) -> dict[str, Any]:
        """Costs by size, measured once for both rows and drawn."""
        from measurements import growth

        if self.quick:
            sizes = {"windows": (1, 2), "covariates": (1, 2)}
            found = growth.growth(1, sizes, budgets={"NHITS_Q": growth.BUDGETS["NHITS_Q"]})
        else:
            found = growth.growth(self.repeats)
        growth.plot(found, self.results / "growth")
        return found


@dataclass(frozen=True)
class Row:
    """One line of the table: its name for ``--only``, what was done, its bar, and how it is
    measured.
    """

    name: str
    work: str
    bar: Bar | None
    measure: Callable[[Context], Measured]


def _time_to_quality(context: Context) -> Measured:
    from measurements import time_to_quality

    return time_to_quality.time_to_quality(context.dataset, context.repeats, quick=context.quick)


def _timesnet_step(context: Context) -> Measured:
    from measurements.steps import timesnet_step

    if context.quick:
        return timesnet_step(context.dataset, context.repeats, batch_size=2)
    return timesnet_step(context.dataset, context.repeats)


def _tft_step(hidden_size: int) -> Callable[[Context], Measured]:
    def measure(context: Context) -> Measured:
        tft = importlib.import_module("measurements.tft_step")
        params = {**tft.TftQ.defaults, "hidden_size": hidden_size}
        theirs, ours = tft.tft_step(
            context.dataset, batch_size=4 if context.quick else 32, params=params
        )
        return Measured(tuple(theirs), tuple(ours), unit="s", note="stock darts model in float64")

    return measure


def _early_stopping(context: Context) -> Measured:
    """Share of the steps that the rule spends on recorded curves in studies of 20, per seed, mean
    over the studies.
    """
    stopping = importlib.import_module("measurements.early_stopping")
    studies = stopping.load_table()
    measured = {study.name: stopping.measure(study, stopping.RULE, 20) for study in studies}
    steps = [
        sum(shares) / len(studies)
        for shares in zip(*(spent for spent, *_ in measured.values()), strict=True)
    ]
    kept = min(float(volumes.mean(axis=0).min()) for _, volumes, _ in measured.values())
    return Measured(
        (),
        tuple(map(float, steps)),
        unit="of steps",
        condition=kept >= LEAST_HYPERVOLUME,
        note=f"at least {100 * kept:.1f} % of each hypervolume, {len(steps)} seeds, "
        f"{len(studies)} recorded studies",
        details={
            name: {"steps": s.tolist(), "hypervolume": v.tolist()}
            for name, (s, v, _) in measured.items()
        },
    )


def _two_workers(context: Context) -> Measured:
    throughput = importlib.import_module("measurements.throughput")
    sizes: dict[str, Any] = {"trials": 2, "repeats": 1, "preset": "test"} if context.quick else {}
    one, two = throughput.two_workers(context.dataset, context.data_dir, **sizes)
    return Measured(tuple(one), tuple(two), unit="trials/h", higher_is_better=True)


def _overhead(context: Context) -> Measured:
    throughput = importlib.import_module("measurements.throughput")
    return Measured(
        (), tuple(throughput.overhead_per_trial(context.dataset, context.data_dir)), unit="s"
    )


def _evaluation(name: str, windows: int) -> Callable[[Context], Measured]:
    def measure(context: Context) -> Measured:
        from measurements.evaluation_rate import evaluation_rate

        return evaluation_rate(
            name, context.dataset, context.repeats, 2 if context.quick else windows
        )

    return measure


def _growth(axis: str) -> Callable[[Context], Measured]:
    def measure(context: Context) -> Measured:
        from measurements import growth

        measured = growth.grown(context.growth, axis)
        return Measured(
            (),
            measured.ours,
            measured.unit,
            note=measured.note,
            details={**measured.details, **context.growth[axis]},
        )

    return measure


def _repeatability(context: Context) -> Measured:
    from measurements.repeatability import repeatability

    return repeatability(str(context.dataset.spec.path), context.data_dir, context.threads)


ROWS: tuple[Row, ...] = (
    Row("time_to_quality", "NHITS_Q: time to the reference's pinball", Bar(15), _time_to_quality),
    Row("timesnet_step", "TIMESNET_Q: training step, batch 32", Bar(8), _timesnet_step),
    Row("tft_step", "TFT_Q: training step, hidden size 64", Bar(4.5), _tft_step(64)),
    Row("tft_step_32", "TFT_Q: training step, hidden size 32", Bar(4.5), _tft_step(32)),
    Row("nhits_evaluation", "NHITS_Q: windows evaluated", Bar(100), _evaluation("NHITS_Q", 15)),
    Row("tft_evaluation", "TFT_Q: windows evaluated", Bar(80), _evaluation("TFT_Q", 5)),
    Row(
        "timesnet_evaluation",
        "TIMESNET_Q: windows evaluated",
        Bar(10),
        _evaluation("TIMESNET_Q", 5),
    ),
    Row(
        "early_stopping",
        "early stopping: share of a study's steps",
        Bar(0.4, at_least=False),
        _early_stopping,
    ),
    Row("two_workers", "two workers against one", Bar(1.4), _two_workers),
    Row("overhead", "overhead of a trial", Bar(1, at_least=False), _overhead),
    Row("repeatability", "same seed, same predictions, two processes", Bar(1), _repeatability),
    Row(
        "growth_windows",
        "10x windows: cost of a trial",
        Bar(10, at_least=False),
        _growth("windows"),
    ),
    Row(
        "growth_covariates",
        "3x covariates: cost of a trial",
        Bar(3, at_least=False),
        _growth("covariates"),
    ),
)


def measured_rows(rows: Sequence[Row], context: Context) -> list[dict[str, Any]]:
    """Measure and print row by row; a row that raises is printed as failed, and the others go on."""
    found = []
    for wanted in rows:
        begun = time.perf_counter()
        try:
            result = row(wanted.work, wanted.measure(context), wanted.bar)
        except Exception as error:
            result = failed_row(wanted.work, error, wanted.bar)
        found.append({"name": wanted.name, **result, "seconds": time.perf_counter() - begun})
        print(line(result), flush=True)
    return found


def machine(threads: int) -> dict[str, Any]:
    """Where it was measured, without the machine's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    model = next(
        (text.split(":", 1)[1].strip() for text in lines if text.startswith("model name")), ""
    )
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": model or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": platform.system(),
        "load_at_start": load,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m measurements.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dataset", default=str(TWIN), help="name or TOML; default: the simulated twin of centrum"
    )
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="interleaved runs of each row")
    parser.add_argument(
        "--only", nargs="+", choices=[r.name for r in ROWS], metavar="NAME", help="some rows only"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "latest.json")
    parser.add_argument(
        "--full-reference",
        action="store_true",
        help="train the reference's 15 epochs, keep its level",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="tiny sizes, which show that every row runs; no figures",
    )
    given = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(given.threads)
    dataset = load_dataset(load_spec(given.dataset), given.data_dir)
    if given.full_reference:
        from measurements.time_to_quality import store_level

        level = store_level(dataset)
        print(
            f"{dataset.path}: pinball {level['pinball']:.4g} after {level['epochs']} epochs, "
            f"{level['seconds']:.0f} s"
        )
        return 0
    where = machine(given.threads)
    print(
        f"{dataset.path} ({dataset.source}); {where['cpu']}, {where['cores']} cores, "
        f"{given.threads} threads"
    )
    print(
        f"medians of {given.repeats} interleaved "
        f"runs{', TINY SIZES: no claim' if given.quick else ''}\n\n{HEADER}"
    )
    data_dir = given.data_dir and given.data_dir.resolve()
    context = Context(
        dataset, data_dir, given.threads, given.repeats, given.out.parent, given.quick
    )
    context.results.mkdir(parents=True, exist_ok=True)
    found = measured_rows([r for r in ROWS if given.only is None or r.name in given.only], context)
    write_json(
        given.out,
        {
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "quick": given.quick,
            "repeats": given.repeats,
            "rows": found,
            "machine": where,
            "data": data_provenance(dataset),
            **code_provenance(),
        },
    )
    print(f"\nwritten: {given.out}")
    return int(any("error" in one for one in found))


if __name__ == "__main__":
    sys.exit(main())
