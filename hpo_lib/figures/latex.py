"""Tables of text cells: as LaTeX with booktabs, and as HTML for notebooks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "³": r"\textsuperscript{3}",
    "\u2212": "$-$",
    "\u2013": "--",
    "±": r"$\pm$",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def escaped(text: str) -> str:
    """Plain text for LaTeX, in one line."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


MOST_LETTERS = 95
"""Letters of the widest cells of all columns together that fit into 150 mm in footnote size."""

MOST_ROWS = 45
"""Of a table that fits on a page in `\\footnotesize`, with its caption."""


class Bold(str):
    """A cell in bold, which the best of a column is."""


def best_bold(cells: Sequence[str], values: Sequence[float]) -> list[str]:
    """A column of cells whose lowest value, and all that are printed like it, are bold; NaN counts
    as the highest.
    """
    lowest = cells[min(range(len(cells)), key=lambda i: (math.isnan(values[i]), values[i]))]
    return [Bold(cell) if cell.split(" [")[0] == lowest.split(" [")[0] else cell for cell in cells]


@dataclass(frozen=True)
class Section:
    """Rows of a table, such as those of one dataset, below a line with their title unless that is
    empty.
    """

    title: str
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Table:
    """A table, all of whose texts are plain ones.

    Attributes: frame: its numbers with full precision, for a CSV. header: one name per column.
        sections: the rows that LaTeX prints. caption: of the table. align: one letter per column,
        ``l`` or ``r``. groups: names above the header, each with the number of columns that it
        spans; an empty name is left out.
    """

    frame: pd.DataFrame
    header: Sequence[str]
    sections: Sequence[Section]
    caption: str
    align: str
    groups: Sequence[tuple[str, int]] = ()


def booktabs(table: Table, label: str, warning: str = "") -> str:
    """A table environment of text width, labelled ``tab:`` and ``label``, with a warning in bold
    before its caption.

    Raises:
        ValueError: a row has another number of cells than the header.
    """
    header, align = table.header, table.align
    lines = []
    for i, section in enumerate(table.sections):
        if i:
            lines.append(r"\addlinespace")
        if section.title:
            lines.append(
                rf"\multicolumn{{{len(header)}}}{{@{{}}l}}{{\textit{{{escaped(section.title)}}}}} \\"
            )
        for row in section.rows:
            if len(row) != len(header) or len(align) != len(header):
                raise ValueError(
                    f"table {label}: {len(row)} cells and {len(align)} columns under "
                    f"{len(header)} names"
                )
            cells = [
                rf"\textbf{{{escaped(cell)}}}" if isinstance(cell, Bold) else escaped(cell)
                for cell in row
            ]
            lines.append(" & ".join(cells) + r" \\")
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs}.",
            r"\begin{table}[htbp]",
            rf"\centering{_size(table)}\setlength{{\tabcolsep}}{{3.5pt}}",
            _caption(table.caption, warning),
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{@{{}}{align}@{{}}}}",
            r"\toprule",
            *_groups(table.groups),
            " & ".join(escaped(cell) for cell in header) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def included(file: str, caption: str, label: str, warning: str = "") -> str:
    """A figure environment that includes a file, labelled ``fig:`` and ``label``, see `booktabs`
    for the warning.
    """
    return "\n".join(
        [
            r"% Needs \usepackage{graphicx}.",
            r"\begin{figure}[htbp]",
            rf"\centering\includegraphics{{{file}}}",
            _caption(caption, warning),
            rf"\label{{fig:{label}}}",
            r"\end{figure}",
            "",
        ]
    )


def _caption(text: str, warning: str) -> str:
    mark = rf"\textbf{{{escaped(warning.capitalize())}.}} " if warning else ""
    return rf"\caption{{{mark}{escaped(text)}}}"


def html(table: Table) -> str:
    """The table for a notebook, with its caption on top."""
    sides = [
        f"text-align: {'left' if letter == 'l' else 'right'}; white-space: nowrap"
        for letter in table.align
    ]
    lines = [f'<table><caption style="text-align: left">{escape(table.caption)}</caption>']
    if table.groups:
        spans = "".join(
            f'<th colspan="{n}" style="text-align: center">{escape(name)}</th>'
            for name, n in table.groups
        )
        lines.append(f"<tr>{spans}</tr>")
    heads = zip(table.header, sides, strict=True)
    lines.append(
        "<tr>"
        + "".join(f'<th style="{side}">{escape(name)}</th>' for name, side in heads)
        + "</tr>"
    )
    for section in table.sections:
        if section.title:
            span = (
                f'<th colspan="{len(sides)}" style="text-align: left">{escape(section.title)}</th>'
            )
            lines.append(f"<tr>{span}</tr>")
        for row in section.rows:
            cells = (
                f"<b>{escape(cell)}</b>" if isinstance(cell, Bold) else escape(cell) for cell in row
            )
            marked = (
                f'<td style="{side}">{cell}</td>' for cell, side in zip(cells, sides, strict=True)
            )
            lines.append(f"<tr>{''.join(marked)}</tr>")
    return "\n".join([*lines, "</table>"])


def _size(table: Table) -> str:
    """The largest size of type in which the rows fit into a line of text, by their letters, and on
    a page.
    """
    rows = [table.header, *(row for section in table.sections for row in section.rows)]
    letters = sum(max(map(len, column)) for column in zip(*rows, strict=True))
    fits = letters <= MOST_LETTERS and len(rows) <= MOST_ROWS
    return r"\footnotesize" if fits else r"\scriptsize"


def _groups(groups: Sequence[tuple[str, int]]) -> list[str]:
    cells, rules, column = [], [], 1
    for title, span in groups:
        cells.append(rf"\multicolumn{{{span}}}{{c}}{{{escaped(title)}}}")
        rules += [rf"\cmidrule(lr){{{column}-{column + span - 1}}}"] if title else []
        column += span
    return [" & ".join(cells) + r" \\", "".join(rules)] if groups else []
