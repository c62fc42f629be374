"""The table of speed against the reference, with interleaved runs.

    python -m measurements.run [--data-dir DIR] [--dataset datasets/development/water_centrum.toml]
    [--only NAME ...] python -m measurements.run --full-reference       # the level of the first
    row: 15 epochs of the reference, minutes

`make bench` runs it; without the real data it measures on a simulated twin and says so. Compare
ratios between machines, not seconds. Exit code 1 if a row failed; a bar that is not met is a
result, not a failure.
"""

import datetime as dt
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from hpo_lib.baselines.contract import baselines
from hpo_lib.benchmark.explain import coalition_values, draw_donors
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.records.provenance import code_provenance, data_provenance
from hpo_lib.records.read_write import write_json
from measurements import growth
from measurements.arguments import DATA_DIR, parsed
from measurements.early_stopping import RULE, load_table, measure
from measurements.steps import evaluation, tft_step, timesnet_step
from measurements.table import HEADER, Bar, Measured, line, row
from measurements.throughput import overhead, two_workers
from measurements.time_to_quality import store_level, time_to_quality

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

    @cached_property
    def growth(self) -> pd.DataFrame:
        """Costs by size, measured once for both rows and drawn."""
        if self.quick:
            sizes, family = {"windows": (1, 2), "covariates": (1, 2)}, "NHITS_Q"
            table = growth.growth(1, sizes, {family: growth.BUDGETS[family]})
        else:
            table = growth.growth(self.repeats)
        growth.plot(table, self.results / "growth")
        return table


@dataclass(frozen=True)
class Row:
    """One line of the table: its name for ``--only``, what was done, its bar, and how it is
    measured.
    """

    name: str
    work: str
    bar: Bar
    measure: Callable[[Context], Measured]


def _early_stopping(context: Context) -> Measured:
    """Share of the steps that the rule spends on recorded curves in studies of 20, per seed, mean
    over the studies.
    """
    measured = {study.name: measure(study, RULE, 20) for study in load_table()}
    steps = np.mean([rows[:, 0] for rows in measured.values()], axis=0)
    kept = min(float(rows[:, 1].mean()) for rows in measured.values())
    return Measured(
        (),
        tuple(map(float, steps)),
        unit="of steps",
        condition=kept >= LEAST_HYPERVOLUME,
        note=f"at least {100 * kept:.1f} % of each hypervolume, {len(steps)} seeds, "
        f"{len(measured)} recorded studies",
        details={
            name: {"steps": rows[:, 0].tolist(), "hypervolume": rows[:, 1].tolist()}
            for name, rows in measured.items()
        },
    )


def _explanation(context: Context) -> Measured:
    """Of 60 days of the linear baseline: what the swapping costs beside a model's forecasts."""
    data = context.dataset
    model = baselines()["RESIDUAL_LINEAR"].fit(data)
    donors = draw_donors(data, data.test_origins[: 2 if context.quick else 60])
    begun = time.perf_counter()
    coalition_values(model, data, donors)
    return Measured((), (time.perf_counter() - begun,), "s")


ROWS = (
    Row(
        "time_to_quality",
        "NHITS_Q: time to the reference's pinball",
        Bar(15),
        lambda c: time_to_quality(c.dataset, c.repeats, quick=c.quick),
    ),
    Row(
        "timesnet_step",
        "TIMESNET_Q: training step, batch 32",
        Bar(8),
        lambda c: timesnet_step(c.dataset, c.repeats, 2 if c.quick else 32),
    ),
    *(
        Row(
            name,
            f"TFT_Q: training step, hidden size {size}",
            Bar(4.5),
            lambda c, size=size: tft_step(c.dataset, c.repeats, 4 if c.quick else 32, size),
        )
        for name, size in (("tft_step", 64), ("tft_step_32", 32))
    ),
    *(
        Row(
            f"{family.lower()}_evaluation",
            f"{family}_Q: windows evaluated",
            bar,
            lambda c, name=f"{family}_Q", windows=windows: evaluation(
                name, c.dataset, c.repeats, 2 if c.quick else windows
            ),
        )
        for family, bar, windows in (
            ("NHITS", Bar(100), 15),
            ("TFT", Bar(80), 5),
            ("TIMESNET", Bar(10), 5),
        )
    ),
    Row(
        "early_stopping",
        "early stopping: share of a study's steps",
        Bar(0.4, at_least=False),
        _early_stopping,
    ),
    Row(
        "two_workers",
        "two workers against one",
        Bar(1.4),
        lambda c: two_workers(
            c.dataset, c.data_dir, *((1, 2, "test") if c.quick else (c.repeats, 4, "laptop"))
        ),
    ),
    Row(
        "overhead",
        "overhead of a trial",
        Bar(1, at_least=False),
        lambda c: overhead(c.dataset, 4 if c.quick else 150),
    ),
    Row("explanation", "linear baseline: 60 days", Bar(60, at_least=False), _explanation),
    *(
        Row(
            f"growth_{axis}",
            f"{factor}x {axis}: cost of a trial",
            Bar(factor, at_least=False),
            lambda c, axis=axis: growth.grown(c.growth, axis),
        )
        for factor, axis in ((10, "windows"), (3, "covariates"))
    ),
)


def measured_rows(rows: Sequence[Row], context: Context) -> list[dict[str, Any]]:
    """Measure and print row by row; a row that raises is printed as failed."""
    found = []
    for wanted in rows:
        begun = time.perf_counter()
        try:
            measured: Measured | Exception = wanted.measure(context)
        except Exception as error:
            measured = error
        result = row(wanted.work, measured, wanted.bar)
        found.append({"name": wanted.name, **result, "seconds": time.perf_counter() - begun})
        print(line(result), flush=True)
    return found


def machine(threads: int) -> dict[str, Any]:
    """Where it was measured, without the machine's name."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    model = re.search(r"^model name\s*: (.*)", text, re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": platform.system(),
        "load_at_start": os.getloadavg()[0],
    }


def write_rows(
    out: Path, rows: Sequence[Any], where: dict[str, Any], dataset: Dataset, **more: Any
) -> None:
    """Write measured rows with what they were measured on."""
    content = {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        **more,
        "rows": rows,
        "machine": where,
        "data": data_provenance(dataset),
        **code_provenance(),
    }
    write_json(out, content)
    print(f"\nwritten: {out}")


def main(arguments: Sequence[str] | None = None) -> int:
    names = tuple(each.name for each in ROWS)
    given = parsed(
        __doc__,
        ("--dataset", str(TWIN), "name or TOML; default: the simulated twin of centrum"),
        DATA_DIR,
        ("--threads", 1, "of torch (default: 1)"),
        ("--repeats", 3, "interleaved runs of each row (default: 3)"),
        (f"--only {'|'.join(names)}", names, "some rows only"),
        ("--out", RESULTS / "latest.json", "JSON to write"),
        ("--full-reference", False, "train the reference's 15 epochs, keep its level"),
        ("--quick", False, "tiny sizes, which show that every row runs; no figures"),
        given=arguments,
    )
    torch.set_num_threads(given.threads)
    dataset = load_dataset(load_spec(given.dataset), given.data_dir)
    if given.full_reference:
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
    found = measured_rows([r for r in ROWS if r.name in given.only], context)
    write_rows(given.out, found, where, dataset, quick=given.quick, repeats=given.repeats)
    return int(any("error" in one for one in found))


if __name__ == "__main__":
    sys.exit(main())
