"""Tables: their numbers, their LaTeX, and a real LaTeX that reads them."""

import dataclasses
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from hpo_lib.figures import style, tables
from hpo_lib.figures.build import build
from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.latex import Bold, Table, best_bold, booktabs, escaped, html
from hpo_lib.figures.style import aligned, number
from hpo_lib.paths import ThesisPaths
from hpo_lib.records.trainings import Training
from hpo_lib.scoring.metrics import in_target_unit, readable_unit


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (
            [number(value) for value in (0.29, 0.0044712, 1234.5, 87.04, 0.0, -2.5, np.nan)],
            ["0.290", "0.00447", "1234", "87.0", "0.00", "\u22122.50", style.MISSING],
        ),
        (
            aligned([0.1284, 1.25, np.nan, 0.12841, -0.5]),
            ["0.128", "1.250", style.MISSING, "0.128", "\u22120.500"],
        ),
        (aligned([]), []),
        (aligned([0.1284, 5], like=[1.25]), ["0.13", "5.00"]),
        (readable_unit("m3/h", 0.004), ("L/h", 1000.0)),
        (readable_unit("m3/h", 4.0), ("m3/h", 1.0)),
        (readable_unit("kWh/h", 0.004), ("kWh/h", 1.0)),
        (readable_unit("m3/h", np.nan), ("m3/h", 1.0)),
        (
            escaped("50 % of m³/h, a_b & c | d"),
            r"50 \% of m\textsuperscript{3}/h, a\_b \& c \textbar{} d",
        ),
        # A blank line stops LaTeX.
        (escaped("no\n\n  memory\t&\u2028more"), r"no memory \& more"),
    ],
)
def test_when_numbers_units_and_text_are_printed_then_they_can_be_read(texts, expected):
    assert texts == expected


def bold(cells):
    return [isinstance(cell, Bold) for cell in cells]


def test_when_cells_look_alike_then_all_that_look_best_are_bold():
    cells = ["0.128 [0, 1]", "1.250", style.MISSING, "0.128"]
    assert bold(best_bold(cells, [0.1284, 1.25, np.nan, 0.12841])) == [True, False, False, True]
    assert bold(best_bold(["-", "-"], [np.nan, np.nan])) == [True, True]


def test_when_a_benchmark_is_of_tiny_cubic_metres_then_scores_alone_are_in_litres(
    benchmark,
):
    rows = [
        dataclasses.replace(row, test=_small(row.test), validation=_small(row.validation))
        for row in benchmark.rows
    ]
    small = dataclasses.replace(benchmark, rows=rows)
    assert small.unit == "L/h"
    scores = ["mae", "mae_low", "winkler", "pinball", "mean_width", "val_mae", "picp", "wape"]
    pd.testing.assert_frame_equal(small.shown[scores], benchmark.shown[scores], rtol=1e-6)


def _small(f):
    """In thousandths, so that litres give the old numbers again."""
    return dataclasses.replace(f, values=f.values / 1000, actual=f.actual / 1000)


def test_when_a_table_is_written_then_rows_sections_and_groups_are_in_place():
    sections = [
        ("heat", [("model", ["x"]), ("a", ["1"]), ("b", [Bold("2")])]),
        ("", [("model", ["y"]), ("a", ["3"]), ("b", ["<4>"])]),
    ]
    table = Table(pd.DataFrame(), sections, "All 100 %", "lrr", (("", 1), ("both", 2)))
    lines = booktabs(table, "t", "SIMULATED DATA").splitlines()
    assert r"\caption{\textbf{Simulated data.} All 100 \%}" in lines
    top = lines.index(r"\toprule")
    assert lines[top + 1 : top + 9] == [
        r"\multicolumn{1}{c}{} & \multicolumn{2}{c}{both} \\",
        r"\cmidrule(lr){2-3}",
        r"model & a & b \\",
        r"\midrule",
        r"\multicolumn{3}{@{}l}{\textit{heat}} \\",
        r"x & 1 & \textbf{2} \\",
        r"\addlinespace",
        r"y & 3 & \textless{}4\textgreater{} \\",
    ]
    shown = html(table)
    for text in ("All 100 %</caption>", 'colspan="2"', ">heat</th>", "<b>2</b>", "&lt;4&gt;"):
        assert text in shown
    assert shown.count("<tr>") == 2 + 2 + 1


def test_when_results_are_tabled_then_raw_scores_have_their_intervals(evidence):
    table = tables.scores_of_test_split(evidence)
    own = table.frame.set_index(["model", "params"]).loc[("NHITS_Q", "best")]
    assert own["mae"] == pytest.approx(0.25)
    ((title, rows),) = table.rows
    assert title == "A hundred days of water (m³/h, 15 days)"
    best = rows[0]
    assert best[:4] == ("N-HiTS, tuned", "\u2013", "0.250 [0.250, 0.250]", "100 [100, 100]")
    assert [name for name, is_bold in zip(table.header, bold(best), strict=True) if is_bold] == [
        "MAE",
        "Winkler",
        "Pinball",
    ]
    maes = [float(row[2].split()[0]) for row in rows]
    assert maes == sorted(maes)
    assert {len(row[2]) for row in rows} == {len(best[2])}, "points are below each other"
    assert {row[0] for row in rows} >= {"Mixture", "Naive 24 h"}


def test_when_a_study_chose_the_defaults_then_one_row_says_so_and_what_is_kept_of_the_network(
    benchmark,
):
    record = {"seconds": 1.0, "key": {}, "shares": [0.3, 1.0]}
    kept = [
        dataclasses.replace(row, trainings=[Training(record, row.validation, row.test)])
        for row in benchmark.rows
        if row.model == "NHITS_Q"
    ]
    rest = [row for row in benchmark.rows if row.model != "NHITS_Q"]
    same = [kept[0], dataclasses.replace(kept[0], params="best")]
    for nhits, tunings in ((kept, ["tuned", "untuned"]), (same, ["no gain"])):
        of_rows = dataclasses.replace(benchmark, rows=[*rest, *nhits])
        table = tables.scores_of_test_split(Evidence((), (of_rows,), {}, ()))
        rows = [row[:2] for row in table.rows[0][1] if row[0].startswith("N-HiTS")]
        assert rows == [(f"N-HiTS, {tuning}", "30/100") for tuning in tunings]
    assert not any(in_target_unit(name) for name in ("share_medians", "share_widths"))


def test_when_calibrations_are_tabled_then_three_of_each_score_follow_each_other(
    evidence,
):
    table = tables.ablation(evidence)
    ((_, rows),) = table.rows
    assert sum(span for _, span in table.groups) == len(table.header) == 10
    (tft,) = [row for row in rows if row[0] == "TFT"]
    assert tft[1] == "100"
    assert tft[4] == "2.00"  # raw width
    frame = table.frame.set_index(["model", "calibration"])
    assert frame.loc[("TFT_Q", "split"), "mean_width"] < 2.0  # what covers everything is narrowed


def test_when_parameters_are_tabled_then_defaults_are_beside_the_choice(evidence):
    table = tables.hyperparameters(evidence)
    assert table.frame.iloc[0].tolist() == ["lr", "0.001 to 1, log", 0.01, 0.05, "TFT_Q"]
    assert table.rows == [
        (
            "TFT",
            [
                ("lr", "0.001 to 1, log", "0.01", "0.05"),
                ("chosen trial", style.MISSING, "0", "4"),
            ],
        )
    ]


def test_when_datasets_and_studies_are_tabled_then_days_are_whole_and_stopped_trials_count(
    evidence,
):
    ((_, rows),) = tables.datasets(evidence).rows
    cells = dict(rows)
    names = ("Training days", "Validation days", "Test days", "Covariates")
    assert [cells[name] for name in names] == ["70", "15", "15", "2 + 1"]
    assert cells["Validation"] == "2019-05-10 to 2019-05-24"
    ((_, (row,)),) = tables.studies(evidence).rows
    assert row[:7] == ("TFT", "1", "laptop", "4", "1", "0", "30.0")


DOCUMENT = r"""\documentclass[11pt,a4paper]{article}
\usepackage[margin=30mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
%s
\end{document}
"""


@pytest.mark.slow
def test_when_a_real_latex_reads_tables_and_figures_then_they_fit_the_page(tmp_path, root):
    if shutil.which("pdflatex") is None:
        pytest.skip(
            "pdflatex is not installed (Debian: texlive-latex-base texlive-latex-recommended)"
        )
    for folder in ("thesis_tables", "figures"):
        shutil.copytree(root / folder, tmp_path / folder)
    files = sorted(tmp_path.glob("*/*.tex"))
    assert len(files) >= len(tables.TABLES) + 10
    document = tmp_path / "all.tex"
    lines = "\n".join(rf"\input{{{file.parent.name}/{file.stem}}}\clearpage" for file in files)
    document.write_text(DOCUMENT % lines, encoding="utf-8")
    # Without writing pages: fonts would be made for them.
    command = f"pdflatex -draftmode -interaction=nonstopmode -halt-on-error {document.name}"
    done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    too_large = r"^(?:Overfull \\hbox|LaTeX Warning: Float too large).*"
    assert re.findall(too_large, done.stdout, flags=re.MULTILINE) == []


def test_when_there_are_studies_alone_then_their_tables_are_made_and_the_others_are_named(
    evidence, tmp_path
):
    alone = dataclasses.replace(evidence, benchmarks=(), studies=())
    written, notes = build(alone, ThesisPaths.below(tmp_path))
    assert written == []
    assert "No table results: there are no readable benchmarks for it." in notes
