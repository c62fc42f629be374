"""The notebook of thesis figures, executed headless as a user would."""

from pathlib import Path

import nbformat
import papermill
import pytest

from hpo_lib import paths


@pytest.mark.slow
def test_when_the_notebook_runs_headless_then_it_shows_what_it_wrote(heat_folder: Path, tmp_path: Path) -> None:
    executed = tmp_path / "executed.ipynb"
    parameters = {
        "runs_dir": str(heat_folder / paths.RUNS_DIR.name),
        "benchmark_dir": str(heat_folder / paths.BENCHMARK_DIR.name),
        "data_dir": str(heat_folder),
        "out": str(tmp_path / "thesis"),
    }
    papermill.execute_notebook(
        str(paths.NOTEBOOKS_DIR / "thesis_figures.ipynb"), str(executed), parameters=parameters, progress_bar=False,
        cwd=str(paths.PROJECT_ROOT),
    )  # fmt: skip
    outputs = [out for cell in nbformat.read(executed, as_version=4).cells for out in cell.get("outputs", [])]
    pictures = [out for out in outputs if "image/png" in out.get("data", {})]
    assert len(pictures) == len(list((tmp_path / "thesis" / "figures").glob("*.png"))) == 12
    assert sum("text/html" in out.get("data", {}) for out in outputs) == 6
    texts = [out.get("data", {}).get("text/markdown", "") for out in outputs]
    assert sum("# Model card" in text for text in texts) == 3
