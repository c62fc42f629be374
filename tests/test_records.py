"""Executed notebooks as papermill really leaves them."""

import re
import subprocess
import sys
from contextlib import suppress
from urllib.parse import unquote

import nbformat
import papermill
import pytest
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from hpo_lib import paths
from hpo_lib.launch.notebook_run import AtomicFiles
from hpo_lib.records.read_write import Record, read_record

PAPERMILL = """
import sys, papermill
papermill.execute_notebook(sys.argv[1], sys.argv[2], progress_bar=False)
"""


def execute(folder, *sources):
    """The record that papermill leaves; in a process of its own where a cell kills that."""
    notebook = folder / "source.ipynb"
    record = folder / "record.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), notebook)
    if "getppid" in "".join(sources):
        command = [sys.executable, "-c", PAPERMILL, str(notebook), str(record)]
        subprocess.run(command, capture_output=True, timeout=600)
    else:
        with suppress(PapermillExecutionError, DeadKernelError):
            papermill.execute_notebook(str(notebook), str(record), progress_bar=False)
    return record


@pytest.mark.parametrize(
    "last, complete, error",
    [
        ("1 + 1", True, ""),
        ("raise ValueError('no such column')", True, "ValueError: no such column"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", False, ""),
        (
            "import os, signal; os.kill(os.getppid(), signal.SIGKILL); import time; time.sleep(60)",
            False,
            "",
        ),
    ],
    ids=["ended", "failed", "kernel killed", "papermill killed"],
)
def test_when_a_notebook_ends_in_some_way_then_its_record_says_whether_it_is_complete(
    last, complete, error, tmp_path
):
    assert read_record(execute(tmp_path, "x = 1", last, "x")) == Record(complete, error)


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"metadata": {}, "cells": [{}]}', '{"cells": 3']
)
def test_when_the_file_is_no_notebook_then_its_record_is_incomplete_and_names_it(content, tmp_path):
    file = tmp_path / "record.ipynb"
    file.write_text(content, encoding="utf-8")
    for path in (file, tmp_path / "none.ipynb"):
        record = read_record(path)
        assert not record.complete
        assert record.error.startswith(f"{path}: not a readable notebook (")


@pytest.mark.parametrize("folder", [".", "papermill_runs/TFT_Q_heat", "my (runs)/TFT_Q_heat"])
def test_when_a_record_is_written_somewhere_then_its_links_open_the_docs_from_there(
    folder, tmp_path
):
    record = tmp_path / folder / "record.ipynb"
    AtomicFiles().write(paths.HPO_NOTEBOOK.read_text(encoding="utf-8"), str(record))
    texts = [
        cell.source
        for cell in nbformat.read(record, as_version=4).cells
        if cell.cell_type == "markdown"
    ]
    links = [unquote(link) for link in re.findall(r"\]\(([^)]+\.md)\)", "\n".join(texts))]
    assert [(record.parent / link).resolve().name for link in links] == [
        "parameters.md",
        "glossary.md",
    ]
    assert not [link for link in links if not (record.parent / link).resolve().is_file()]
