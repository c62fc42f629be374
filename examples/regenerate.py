"""Make the example set again: nine small studies on the simulated twins and their benchmarks (about half an hour).

Run with `make examples`. Builds everything under build/, removes what is heavy or names a machine, moves the rest here.
"""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

from hpo_lib.launch.experiments import EXPERIMENTS
from hpo_lib.paths import EXAMPLE_BENCHMARKS, EXAMPLE_RUNS, PROJECT_ROOT

TRIALS = 8
BUILD = PROJECT_ROOT / "build" / "examples"
LIMIT_MB = 15


def hpo(*words: str) -> None:
    """Run one command of the project on the folders of the example set."""
    command = [sys.executable, "-m", "hpo_lib", *words, "--simulated", "--runs-dir", "build/examples/papermill_runs"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT_ROOT)}
    subprocess.run(command, check=True, cwd=PROJECT_ROOT, env=environment)


def strip_notebook(file: Path) -> None:
    """Reduce pictures to 64 colours, a third of their size, and remove widget states."""
    notebook = json.loads(file.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in data:
                picture, small = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))), io.BytesIO()
                picture.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
                data["image/png"] = base64.b64encode(small.getvalue()).decode() + "\n"
    notebook["metadata"].pop("widgets", None)
    file.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def strip() -> None:
    """Remove what is heavy or names this machine; fail if the rest is too large."""
    for file in BUILD.rglob("*.html"):  # 5 MB each; `hpo run` draws them from the storage
        file.unlink()
    for folder in BUILD.rglob(".workers_*"):
        shutil.rmtree(folder)
    for file in BUILD.rglob("*.ipynb"):
        strip_notebook(file)
    for file in [*BUILD.rglob("*.ipynb"), *BUILD.rglob("*.json")]:
        text = file.read_text(encoding="utf-8").replace(f"{PROJECT_ROOT}/", "").replace("build/examples/", "examples/")
        file.write_text(text, encoding="utf-8")
    size = sum(file.stat().st_size for file in BUILD.rglob("*") if file.is_file()) / 1e6
    if size > LIMIT_MB:
        sys.exit(f"{BUILD}: holds {size:.1f} MB, expected at most {LIMIT_MB}; make fewer trials")
    print(f"{size:.1f} MB")


def main() -> None:
    """Train, benchmark, strip, move."""
    shutil.rmtree(BUILD, ignore_errors=True)
    for experiment in EXPERIMENTS:
        study = ["--model", experiment.model, "--dataset", experiment.dataset, "--job-id", experiment.name]
        hpo("run", *study, "--test", "--trials", str(TRIALS))
    for dataset in sorted({experiment.dataset for experiment in EXPERIMENTS}):
        hpo("benchmark", "--dataset", dataset, "--test", "--seeds", "1", "--out", "build/examples/benchmark_results")
    strip()
    for folder in (EXAMPLE_RUNS, EXAMPLE_BENCHMARKS):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(BUILD / folder.name, folder)


if __name__ == "__main__":
    main()
