"""Tables: their numbers, their LaTeX, and a real LaTeX that reads them."""

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from hpo_lib.figures import style, tables
from hpo_lib.figures.build import build
from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.latex import Bold, Section, Table, best_bold, booktabs, escaped, html
from hpo_lib.figures.style import aligned, number, readable
from hpo_lib.paths import ThesisPaths
from hpo_lib.scoring.forecasts import QuantileForecasts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.29, "0.290"),
        (0.0044712, "0.00447"),
        (1234.5, "1234"),
        (87.04, "87.0"),
        (0.0, "0.00"),
        (-2.5, "\u22122.50"),
        (float("nan"), style.MISSING),
    ],
)
def test_when_a_number_is_printed_then_it_has_three_significant_digits(
    value: float, text: str
) -> None:
    assert number(value) == text


def test_when_a_column_is_printed_then_its_points_are_below_each_other_and_all_that_look_best_are_bold() -> (
    None
):
    values = [0.1284, 1.25, float("nan"), 0.12841, -0.5]
    cells = aligned(values)
    assert cells == ["0.128", "1.250", style.MISSING, "0.128", "\u22120.500"]
    assert aligned([]) == []
    assert [isinstance(cell, Bold) for cell in best_bold(cells[:4], values[:4])] == [
        True,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("unit", "mae", "expected"),
    [
        ("m3/h", 0.004, ("L/h", 1000.0)),
        ("m3/h", 4.0, ("m3/h", 1.0)),
        ("kWh/h", 0.004, ("kWh/h", 1.0)),
        ("m3/h", float("nan"), ("m3/h", 1.0)),
    ],
)
def test_when_cubic_metres_are_tiny_then_litres_are_printed(
    unit: str, mae: float, expected: tuple[str, float]
) -> None:
    assert readable(unit, mae) == expected


def test_when_a_benchmark_is_of_tiny_cubic_metres_then_all_its_scores_and_no_other_numbers_are_in_litres(
    benchmark,
):
    rows = [
        dataclasses.replace(row, test=_small(row.test), validation=_small(row.validation))
        for row in benchmark.rows
    ]
    small = dataclasses.replace(benchmark, rows=rows)
    assert small.unit == "L/h"
    own, tiny = benchmark.shown, small.shown
    for name in (
        "mae",
        "mae_low",
        "winkler",
        "pinball",
        "mean_width",
        "val_mae",
        "picp",
        "wape",
        "days",
    ):
        assert tiny[name].to_numpy() == pytest.approx(own[name].to_numpy(), rel=1e-6), name


def _small(f: QuantileForecasts) -> QuantileForecasts:
    """In thousandths, so that litres give the old numbers again."""
    return dataclasses.replace(f, values=f.values / 1000, actual=f.actual / 1000)


def test_when_text_holds_what_latex_reads_as_commands_then_it_is_escaped() -> None:
    assert (
        escaped("50 % of m³/h, a_b & c | d")
        == r"50 \% of m\textsuperscript{3}/h, a\_b \& c \textbar{} d"
    )
    assert (
        escaped("no\n\n  memory\t&\u2028more") == r"no memory \& more"
    )  # a blank line stops LaTeX


def test_when_a_table_is_written_then_rows_sections_and_groups_are_in_place_and_a_short_row_is_an_error() -> (
    None
):
    sections = [Section("heat", [("x", "1", "2")]), Section("", [("y", "3", "4")])]
    table = Table(
        pd.DataFrame(), ("model", "a", "b"), sections, "All 100 %", "lrr", (("", 1), ("both", 2))
    )
    text = booktabs(table, "t", "Simulated data")
    lines = text.splitlines()
    assert r"\caption{\textbf{Simulated data.} All 100 \%}" in lines
    top = lines.index(r"\toprule")
    assert lines[top + 1 : top + 9] == [
        r"\multicolumn{1}{c}{} & \multicolumn{2}{c}{both} \\",
        r"\cmidrule(lr){2-3}",
        r"model & a & b \\",
        r"\midrule",
        r"\multicolumn{3}{@{}l}{\textit{heat}} \\",
        r"x & 1 & 2 \\",
        r"\addlinespace",
        r"y & 3 & 4 \\",
    ]
    with pytest.raises(ValueError, match="table t: 1 cells and 2 columns under 2 names"):
        booktabs(Table(pd.DataFrame(), ("a", "b"), [Section("", [("x",)])], "", "lr"), "t")


def test_when_results_are_tabled_then_raw_scores_have_their_intervals(evidence: Evidence) -> None:
    table = tables.scores_of_test_split(evidence)
    own = table.frame.set_index(["model", "params"]).loc[("NHITS_Q", "best")]
    assert own["mae"] == pytest.approx(0.25)
    assert own["sha256"] == evidence.benchmarks[0].dataset.sha256
    (section,) = table.sections
    assert section.title == "A hundred days of water (m³/h, 15 days)"
    best = section.rows[0]
    assert best[:4] == ("N-HiTS", "tuned", "0.250 [0.250, 0.250]", "100 [100, 100]")
    assert [isinstance(cell, Bold) for cell in best] == [
        False,
        False,
        True,
        False,
        True,
        True,
        False,
        False,
    ]
    maes = [float(row[2].split()[0]) for row in section.rows]
    assert maes == sorted(maes)
    assert {len(row[2]) for row in section.rows} == {len(best[2])}, "points are below each other"
    assert {row[0] for row in section.rows} >= {"Blend", "Naive 24 h"}
    assert "<b>0.250 [0.250, 0.250]</b>" in html(table)
    assert r"\textbf{0.250 [0.250, 0.250]}" in booktabs(table, "results")


def test_when_calibrations_are_tabled_then_three_of_each_score_follow_each_other(
    evidence: Evidence,
) -> None:
    table = tables.ablation(evidence)
    (section,) = table.sections
    assert sum(span for _, span in table.groups) == len(table.header) == 10
    (own,) = [row for row in section.rows if row[0] == "TFT"]
    assert own[1] == "100"
    assert own[4] == "2.00"  # raw width
    frame = table.frame.set_index(["model", "calibration"])
    assert frame.loc[("TFT_Q", "split"), "mean_width"] < 2.0  # what covers everything is narrowed


def test_when_parameters_are_tabled_then_defaults_are_beside_the_choice(evidence: Evidence) -> None:
    table = tables.hyperparameters(evidence)
    assert table.frame[["parameter", "default", "chosen", "trial"]].to_numpy().tolist() == [
        ["lr", 0.01, 0.05, 4]
    ]
    assert table.sections[0].rows == (("lr", "0.01", "0.05"), ("chosen trial", "0", "4"))
    assert tables.search_spaces(evidence).sections[0].rows == [("lr", "0.001 to 1, log", "0.01")]


def test_when_datasets_and_runtime_are_tabled_then_days_are_whole_and_stopped_trials_count(
    evidence: Evidence,
) -> None:
    (row,) = tables.datasets(evidence).frame.to_dict("records")
    assert (row["train_days"], row["validation_days"], row["test_days"]) == (70, 15, 15)
    assert row["validation_from"] == "2019-05-10 00:00:00+00:00"
    assert row["hours_filled"] == 7
    (row,) = tables.runtime(evidence).frame.to_dict("records")
    assert (row["complete"], row["stopped"], row["failed"]) == (4, 1, 0)
    assert row["median_seconds"] == 20.0


DOCUMENT = r"""\documentclass[11pt,a4paper]{article}
\usepackage[margin=30mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
%s
\end{document}
"""


@pytest.mark.slow
def test_when_a_real_latex_reads_tables_and_figures_then_they_fit_the_page(
    tmp_path: Path, root: Path
) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip(
            "pdflatex is not installed (Debian: texlive-latex-base texlive-latex-recommended)"
        )
    files = [
        file
        for folder in ("thesis_tables", "figures")
        for file in sorted((root / folder).glob("*.tex"))
    ]
    assert len(files) >= len(tables.TABLES) + 10
    for folder in ("thesis_tables", "figures"):
        shutil.copytree(root / folder, tmp_path / folder)
    document = tmp_path / "all.tex"
    lines = "\n".join(rf"\input{{{file.parent.name}/{file.stem}}}\clearpage" for file in files)
    document.write_text(DOCUMENT % lines, encoding="utf-8")
    # Without writing pages: fonts would be made for them.
    command = [
        "pdflatex",
        "-draftmode",
        "-interaction=nonstopmode",
        "-halt-on-error",
        document.name,
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (
        re.findall(
            r"^(?:Overfull \\hbox|LaTeX Warning: Float too large).*",
            done.stdout,
            flags=re.MULTILINE,
        )
        == []
    )


def test_when_there_are_studies_alone_then_their_tables_are_made_and_the_others_are_named(
    evidence, tmp_path
) -> None:
    alone = dataclasses.replace(evidence, benchmarks=(), studies=())
    written, notes = build(alone, ThesisPaths.below(tmp_path))
    assert written == []
    assert "No table results: there are no readable benchmarks for it." in notes
