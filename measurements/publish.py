"""The records that a visitor sees: studies and benchmarks of real series, made, trimmed and drawn
by one command.

    python -m measurements.publish --data-dir DATA                 # hours; finished work is not
    done again python -m measurements.publish --simulated --test --models NHITS_Q TFT_Q TIMESNET_Q
    --datasets heat --trials 8 \\
        --seeds 1 --out tests/simulated_records                              # the small set that
        tests read

For each series a study of each family, a benchmark (refitted, tuned and untuned, beside the
baselines) and its executed notebook; all are made below ``build/``. Then what is heavy or names a
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
from pathlib import Path

import nbformat
from PIL import Image

from hpo_lib.data.spec import development_datasets, load_spec
from hpo_lib.paths import BENCHMARK_DIR, NOTEBOOKS_DIR, PROJECT_ROOT, RUNS_DIR
from measurements.arguments import FAMILIES, STUDIES, parsed
from measurements.search_value import trials_of

JOB_ID = "published"
BUILD = PROJECT_ROOT / "build" / JOB_ID
LIMIT_MB = 30
COLOURS = 64


def main(given: Sequence[str] | None = None) -> None:
    arguments = parsed(
        __doc__,
        ("--datasets TOML", [*development_datasets()], "names or TOML files"),
        FAMILIES,
        *STUDIES,
        ("--data-dir", "", "folder of the CSVs"),
        ("--simulated", False, "the simulated twins of the datasets"),
        ("--test", False, "the smallest budget instead of that of a laptop"),
        ("--out", PROJECT_ROOT, "folder of the published records"),
        given=given,
    )
    build = BUILD / ("simulated" if arguments.simulated else "real")
    for dataset in arguments.datasets:
        make(dataset, build, arguments)
    trim(build, arguments.data_dir)
    publish(build, arguments.out)
    if arguments.out == PROJECT_ROOT:
        run("hpo_lib", "figures", "--publish")


def make(dataset: str, build: Path, arguments: argparse.Namespace) -> None:
    """Studies, benchmark and its notebook of one series."""
    common = ["--data-dir", arguments.data_dir] if arguments.data_dir else []
    common += ["--simulated"] if arguments.simulated else []
    common += ["--test"] if arguments.test else ["--preset", "laptop"]
    common += ["--dataset", dataset, "--runs-dir", str(build / RUNS_DIR.name)]
    for model in arguments.models:
        study = (
            f"run --model {model} --job-id {JOB_ID} --trials {trials_of(model, arguments.trials)}"
        )
        run("hpo_lib", *study.split(), *common)
    out, name = build / BENCHMARK_DIR.name, load_spec(dataset).name
    parameters = {
        "dataset": dataset,
        "models": " ".join(arguments.models),
        "test": arguments.test,
        "refit": True,
        "preset": "auto" if arguments.test else "laptop",
        "seeds": arguments.seeds,
        "simulated": arguments.simulated,
        "data_dir": arguments.data_dir,
        "runs_dir": str(build / RUNS_DIR.name),
        "out": str(out),
    }
    words = [word for key, value in parameters.items() for word in ("-p", key, str(value))]
    (out / name).mkdir(parents=True, exist_ok=True)
    executed = out / name / "benchmark.ipynb"
    run("papermill", str(NOTEBOOKS_DIR / executed.name), str(executed), *words)


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
    """Copy the records, those of running processes excepted; fail if they are too large for a
    repository.
    """
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
    size = sum(file.stat().st_size for file in build.rglob("*")) / 1e6
    print(f"{size:.1f} MB")
    if size > LIMIT_MB:
        sys.exit(f"{build}: holds {size:.1f} MB, expected at most {LIMIT_MB}; make fewer trials")


if __name__ == "__main__":
    main()
