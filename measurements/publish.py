"""The records that a visitor sees: studies and benchmarks of real series, made, trimmed and drawn
by one command.

    python -m measurements.publish --data-dir DATA            # hours; finished work is not repeated
    python -m measurements.publish --simulated --preset test --datasets heat --trials 8 \\
        --seeds 1 --out tests/simulated_records                   # the small set that tests read

For each series a study of each family, a benchmark (refitted, tuned and untuned, beside the
baselines), its executed notebook and explanations, as many at once as there are cores; all are made
below ``build/``. Then what is heavy or names a
machine is removed from a copy, which replaces the published records, and `hpo figures --publish`
draws them.
"""

import argparse
import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import nbformat
from PIL import Image

from hpo_lib.data.spec import development_datasets, load_spec
from hpo_lib.paths import BENCHMARK_DIR, NOTEBOOKS_DIR, PROJECT_ROOT, RUNS_DIR
from measurements.arguments import FAMILIES, PRESET, STUDIES, parsed
from measurements.search_value import trials_of

JOB_ID = "published"
BUILD = PROJECT_ROOT / "build" / JOB_ID
COLOURS = 32
SHARED = ("preset", "seeds", "simulated", "data_dir", "runs_dir")
EXPLAINED = "NHITS_Q RESIDUAL_LINEAR LIGHTGBM_LINEAR_Q"


def main(given: Sequence[str] | None = None) -> None:
    arguments = parsed(
        __doc__,
        ("--datasets TOML", [*development_datasets()], "names or TOML files"),
        FAMILIES,
        *STUDIES,
        ("--data-dir", "", "folder of the CSVs"),
        ("--simulated", False, "the simulated twins of the datasets"),
        PRESET,
        ("--out", PROJECT_ROOT, "folder of the published records"),
        given=given,
    )
    build = BUILD / ("simulated" if arguments.simulated else "real")
    arguments.runs_dir = str(build / RUNS_DIR.name)
    common = ["--runs-dir", arguments.runs_dir, "--preset", arguments.preset]
    common += ["--simulated"] if arguments.simulated else []
    common += ["--data-dir", arguments.data_dir] if arguments.data_dir else []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        studies = product(arguments.models, arguments.datasets)
        list(pool.map(lambda of: study(*of, arguments.trials, common), studies))
        list(pool.map(lambda of: benchmark(of, build, arguments, common), arguments.datasets))
    trim(build, arguments.data_dir)
    publish(build, arguments.out)
    if arguments.out == PROJECT_ROOT:
        run("hpo_lib", "figures", "--publish")


def study(model: str, dataset: str, trials: Sequence[str], common: Sequence[str]) -> None:
    """The study of one family and series, with its executed notebook."""
    number = trials_of(model, trials)
    words = f"run --model {model} --dataset {dataset} --job-id {JOB_ID} --trials {number}"
    run("hpo_lib", *words.split(), *common)


def benchmark(
    dataset: str, build: Path, arguments: argparse.Namespace, common: Sequence[str]
) -> None:
    """Benchmark of one series, refitted, with its executed notebook, and its explanations."""
    out = build / BENCHMARK_DIR.name
    parameters = {key: getattr(arguments, key) for key in SHARED} | {
        "dataset": dataset,
        "models": " ".join(arguments.models),
        "refit": True,
        "out": str(out),
    }
    given = [word for key, value in parameters.items() for word in ("-p", key, str(value))]
    executed = out / load_spec(dataset).name / "benchmark.ipynb"
    executed.parent.mkdir(parents=True, exist_ok=True)
    run("papermill", str(NOTEBOOKS_DIR / executed.name), str(executed), *given)
    if arguments.preset != "test":
        words = f"explain --dataset {dataset} --refit --seeds 1 --out {out} --model {EXPLAINED}"
        run("hpo_lib", *words.split(), *common)


def run(*words: str) -> None:
    """Run one module from the project's folder, one thread each."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(PROJECT_ROOT),
        "MPLBACKEND": "Agg",
    }
    subprocess.run([sys.executable, "-m", *words], check=True, cwd=PROJECT_ROOT, env=environment)


def trim(build: Path, data_dir: str) -> None:
    """Remove what is heavy, and the names of this machine's folders, from what was built."""
    for notebook in build.rglob("*.ipynb"):
        trim_notebook(notebook)
    folders = {f"{build}/": "", f"{PROJECT_ROOT}/": ""}
    if data_dir:
        folders[str(Path(data_dir).resolve())] = "data"
    for file in [file for kind in ("ipynb", "json", "html") for file in build.rglob(f"*.{kind}")]:
        text = file.read_text(encoding="utf-8")
        for folder, instead in folders.items():
            text = text.replace(folder, instead)
        text = re.sub(
            r"\]\((\.\./)+docs/", "](../../docs/", text
        )  # from where a record is published
        file.write_text(text, encoding="utf-8")


def trim_notebook(file: Path) -> None:
    """Reduce pictures to a few colours, a third of their size, and remove widget states."""
    notebook = nbformat.read(file, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in data:
                picture, small = (
                    Image.open(io.BytesIO(base64.b64decode(data["image/png"]))),
                    io.BytesIO(),
                )
                picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
                    small, "PNG", optimize=True
                )
                data["image/png"] = base64.b64encode(small.getvalue()).decode() + "\n"
    notebook.metadata.pop("widgets", None)
    file.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def publish(build: Path, out: Path) -> None:
    """Copy the records, those of running processes excepted."""
    for_visitors = out == PROJECT_ROOT  # tests read no pages
    left_out = [".workers_*", *([] if for_visitors else ["*.html", "benchmark.ipynb"])]
    for part in (RUNS_DIR, BENCHMARK_DIR):
        for made in (build / part.name).iterdir():
            place = out / part.name / made.name
            if made.is_dir():
                shutil.rmtree(place, ignore_errors=True)
                shutil.copytree(made, place, ignore=shutil.ignore_patterns(*left_out))
            elif for_visitors:  # what the HTML figures of all studies share
                shutil.copy(made, place)


if __name__ == "__main__":
    main()
