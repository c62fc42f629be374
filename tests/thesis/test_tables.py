"""Tables: their numbers, their LaTeX, and a real LaTeX that reads them."""

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.figures import benchmarks, style, tables
from hpo_lib.figures.build import build
from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.latex import Bold, Table, best_bold, booktabs, escaped, html, plain
from hpo_lib.figures.style import aligned, number
from hpo_lib.paths import ThesisPaths
from hpo_lib.records.trainings import Training
from hpo_lib.scoring.metrics import in_target_unit, readable_unit


@pytest.mark.parametrize(
    "texts, expected",
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
        (readable_unit("m3/h", 4.0), ("m³/h", 1.0)),
        (readable_unit("kWh/h", 0.004), ("kWh/h", 1.0)),
        (readable_unit("m3/h", np.nan), ("m³/h", 1.0)),
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


def test_when_a_benchmark_is_of_tiny_cubic_metres_then_scores_alone_are_in_litres(benchmark):
    rows = [
        replace(row, test=_small(row.test), validation=_small(row.validation))
        for row in benchmark.rows
    ]
    small = replace(benchmark, rows=rows)
    assert small.unit.name == "L/h"
    scores = ["mae", "mae_low", "winkler", "pinball", "mean_width", "val_mae", "picp", "wape"]
    pd.testing.assert_frame_equal(small.shown[scores], benchmark.shown[scores], rtol=1e-6)


def _small(f):
    """In thousandths, so that litres give the old numbers again."""
    return replace(f, values=f.values / 1000, actual=f.actual / 1000)


def test_when_a_table_is_written_then_rows_sections_and_groups_are_in_place():
    sections = [
        ("heat", [("model", ["x"]), ("a", ["1"]), ("b", [Bold("2")])]),
        ("", [("model", ["y"]), ("a", ["3"]), ("b", ["<4>"])]),
    ]
    table = Table(pd.DataFrame(), sections, "lrr", (("", 1), ("both", 2)), "All 100 %")
    lines = r"""
\caption{\textbf{Simulated data.} All 100 \%}
\label{tab:t}
\begin{tabular}{@{}lrr@{}}
\toprule
\multicolumn{1}{c}{} & \multicolumn{2}{c}{both} \\
\cmidrule(lr){2-3}
model & a & b \\
\midrule
\multicolumn{3}{@{}l}{\textit{heat}} \\
x & 1 & \textbf{2} \\
\addlinespace
y & 3 & \textless{}4\textgreater{} \\
\bottomrule
"""
    assert lines in booktabs(table, "t", "SIMULATED DATA")
    shown = html(table)
    for text in ("All 100 %</caption>", 'colspan="2"', ">heat</th>", "<b>2</b>", "&lt;4&gt;"):
        assert text in shown
    assert shown.count("<tr>") == 2 + 2 + 1


def test_when_results_are_tabled_then_raw_scores_have_their_intervals_and_the_lowest_are_bold(
    evidence,
):
    table = tables.scores_of_test_split(evidence)
    ((title, rows),) = table.rows
    assert title == "A hundred days of water (m³/h, 15 days)"
    assert [" | ".join(row[:4]) for row in rows] == [
        "N-HiTS, tuned | \u2013 | 0.250 [0.250, 0.250] | 100 [100, 100]",
        "Mixture | \u2013 | 0.400 [0.400, 0.400] | 100 [100, 100]",
        "TFT, tuned | \u2013 | 0.500 [0.500, 0.500] | 100 [100, 100]",
        "N-HiTS, untuned | \u2013 | 0.750 [0.750, 0.750] | 100 [100, 100]",
        "Linear baseline | \u2013 | 1.500 [1.500, 1.500] | 0 [0, 0]",
        "Linear quantile | \u2013 | 2.000 [2.000, 2.000] | 0 [0, 0]",
        "Naive 24 h | \u2013 | 3.000 [3.000, 3.000] | 0 [0, 0]",
    ]
    best = zip(table.header, bold(rows[0]), strict=True)
    assert [name for name, is_bold in best if is_bold] == ["MAE", "Winkler", "Pinball"]


def test_when_skill_is_tabled_then_changes_whose_interval_is_without_0_are_bold(evidence):
    table = tables.tabled("skill_split", evidence)
    ((_, rows),) = table.rows
    texts = ("Linear baseline", "50.0", "\u221250.0 [\u221250.0, \u221250.0]")
    assert (rows[1][:3], bold(rows[1][:3])) == (texts, [False, False, True])
    assert (rows[4][:3], bold(rows[4])[2]) == (("Calibration", "13.3", "0.0 [0.0, 0.0]"), False)
    assert len(table.header) == sum(span for _, span in table.groups) == len(rows[0])
    days = "A hundred days of water: 15 daily origins, 2019-05-25 to 2019-06-08."
    assert f"{days} Test split. Laptop budget" in table.caption
    assert tables.tabled("skill_split", replace(evidence, benchmarks=())) is None


def test_when_a_study_chose_the_defaults_then_one_row_says_so_and_what_is_kept_of_the_network(
    benchmark,
):
    record = {"seconds": 1.0, "key": {}, "shares": [0.3, 1.0]}
    kept = [
        replace(row, trainings=[Training(record, row.validation, row.test)])
        for row in benchmark.rows
        if row.model == "NHITS_Q"
    ]
    rest = [row for row in benchmark.rows if row.model != "NHITS_Q"]
    same = [kept[0], replace(kept[0], params="best")]
    for nhits, tunings in ((kept, ["tuned", "untuned"]), (same, ["no gain"])):
        of_rows = replace(benchmark, rows=[*rest, *nhits])
        table = tables.scores_of_test_split(Evidence((), (of_rows,), {}, ()))
        rows = [row[:2] for row in table.rows[0][1] if row[0].startswith("N-HiTS")]
        assert rows == [(f"N-HiTS, {tuning}", "30/100") for tuning in tunings]
    own = Evidence((), (of_rows,), {}, ())
    figure = benchmarks.draw_baseline_vs_optimised(benchmarks.baseline_vs_optimised(own))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert {"N-HiTS, no gain (30/100)", "Mixture"} < set(labels)
    assert not any(in_target_unit(name) for name in ("share_medians", "share_widths"))


def test_when_calibrations_are_tabled_then_three_of_each_score_follow_each_other(evidence):
    table = tables.ablation(evidence)
    ((_, rows),) = table.rows
    assert sum(span for _, span in table.groups) == len(table.header) == 10
    (tft,) = [row for row in rows if row[0] == "TFT"]
    assert (tft[1], tft[4]) == ("100", "2.00")  # raw
    frame = table.frame.set_index(["model", "calibration"])
    assert frame.loc[("TFT_Q", "split"), "mean_width"] < 2.0  # what covers everything is narrowed


def test_when_studies_are_tabled_then_defaults_are_beside_the_choice_days_are_whole_stops_count(
    evidence,
):
    table = tables.hyperparameters(evidence)
    assert table.frame.iloc[0].tolist() == ["lr", "0.001 to 1, log", 0.01, 0.05, "TFT_Q"]
    _, _, *rows = plain(table).splitlines()
    assert [" ".join(row.split()) for row in rows] == [
        "lr 0.001 to 1, log 0.01 0.05",
        "chosen trial \u2013 0 4",
    ]
    ((_, rows),) = tables.datasets(evidence).rows
    assert [" | ".join(row) for row in rows] == [
        "Source | csv",
        "Unit | m³/h",
        "Training | 2019-03-01 to 2019-05-09",
        "Training days | 70",
        "Validation | 2019-05-10 to 2019-05-24",
        "Validation days | 15",
        "Test | 2019-05-25 to 2019-06-08",
        "Test days | 15",
        "Covariates | 2 + 1",
    ]
    ((_, (row,)),) = tables.studies(evidence).rows
    assert " ".join(row) == "TFT 1 laptop 4 1 0 3.00 4.00 3.00 25.0 77.0"


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
    assert re.findall(too_large, done.stdout, re.MULTILINE) == []


def test_when_there_are_studies_alone_then_their_tables_are_made_and_the_others_are_named(
    evidence, tmp_path
):
    alone = replace(evidence, benchmarks=(), studies=())
    written, notes = build(alone, ThesisPaths.below(tmp_path))
    assert written == []
    assert "No table results: there are no readable benchmarks for it." in notes
