"""Tables of text cells: as LaTeX with booktabs, and as HTML for notebooks."""

import math
from collections.abc import Iterable, Sequence
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

Columns = Sequence[tuple[str, Iterable[str]]]
"""Name -> cells of each column; several columns may have the same name."""


class Bold(str):
    """A cell in bold, which the best of a column is."""


def best_bold(cells: Sequence[str], values: Iterable[float]) -> list[str]:
    """A column of cells whose lowest value, and all that are printed like it, are bold."""
    lowest = min(zip(values, cells, strict=True), key=lambda pair: (math.isnan(pair[0]), pair[0]))
    best = _without_interval(lowest[1])
    return [Bold(cell) if _without_interval(cell) == best else cell for cell in cells]


def _without_interval(cell: str) -> str:
    return cell.split(" [")[0]


@dataclass(frozen=True)
class Table:
    """A table, all of whose texts are plain ones.

    Attributes:
        frame: its numbers with full precision, for a CSV.
        sections: the columns that are printed; rows of one section, such as those of one dataset,
            are below a line with its title unless that is empty.
        caption: of the table.
        align: one letter per column, ``l`` or ``r``.
        groups: names above the header, each with the number of columns that it spans; an empty
            name is left out.
    """

    frame: pd.DataFrame
    sections: Sequence[tuple[str, Columns]]
    caption: str
    align: str
    groups: Sequence[tuple[str, int]] = ()

    @property
    def header(self) -> list[str]:
        return [name for name, _ in self.sections[0][1]]

    @property
    def rows(self) -> list[tuple[str, list[tuple[str, ...]]]]:
        """The title of each section, and its rows of cells."""
        return [
            (title, list(zip(*(cells for _, cells in columns), strict=True)))
            for title, columns in self.sections
        ]


def booktabs(table: Table, label: str, warning: str = "") -> str:
    """A table environment of text width, labelled ``tab:`` and ``label``.

    A warning is in bold before the caption.
    """
    blocks = []
    for title, rows in table.rows:
        span = rf"\multicolumn{{{len(table.align)}}}{{@{{}}l}}"
        lines = [rf"{span}{{\textit{{{escaped(title)}}}}} \\"] if title else []
        blocks.append("\n".join([*lines, *map(_line, rows)]))
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs}.",
            r"\begin{table}[htbp]",
            rf"\centering{_size(table)}\setlength{{\tabcolsep}}{{3.5pt}}",
            _caption(table.caption, warning),
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{@{{}}{table.align}@{{}}}}",
            r"\toprule",
            *_groups(table.groups),
            _line(table.header),
            r"\midrule",
            "\n\\addlinespace\n".join(blocks),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    texts = (
        rf"\textbf{{{escaped(cell)}}}" if isinstance(cell, Bold) else escaped(cell)
        for cell in cells
    )
    return " & ".join(texts) + r" \\"


def _groups(groups: Sequence[tuple[str, int]]) -> list[str]:
    cells, rules, column = [], "", 1
    for title, span in groups:
        cells.append(rf"\multicolumn{{{span}}}{{c}}{{{escaped(title)}}}")
        if title:
            rules += rf"\cmidrule(lr){{{column}-{column + span - 1}}}"
        column += span
    return [" & ".join(cells) + r" \\", rules] if groups else []


def _size(table: Table) -> str:
    """The largest size of type in which the table fits, by its letters and rows."""
    lines = [table.header, *(row for _, rows in table.rows for row in rows)]
    letters = sum(max(map(len, column)) for column in zip(*lines, strict=True))
    fits = letters <= MOST_LETTERS and len(lines) <= MOST_ROWS
    return r"\footnotesize" if fits else r"\scriptsize"


def included(file: str, caption: str, label: str, warning: str = "") -> str:
    """A figure environment that includes a file, labelled ``fig:`` and ``label``."""
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
    sides = ["left" if letter == "l" else "right" for letter in table.align]
    lines = [f'<caption style="text-align: left">{escape(table.caption)}</caption>']
    if table.groups:
        lines.append(_html_row([_html_span(name, span, "center") for name, span in table.groups]))
    lines.append(_html_row(map(_html_cell, table.header, sides)))
    for title, rows in table.rows:
        if title:
            lines.append(_html_row([_html_span(title, len(sides), "left")]))
        lines += [_html_row(map(_html_cell, row, sides)) for row in rows]
    return "\n".join(["<table>", *lines, "</table>"])


def _html_row(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def _html_span(text: str, columns: int, side: str) -> str:
    return f'<th colspan="{columns}" style="text-align: {side}">{escape(text)}</th>'


def _html_cell(text: str, side: str) -> str:
    content = f"<b>{escape(text)}</b>" if isinstance(text, Bold) else escape(text)
    return f'<td style="text-align: {side}; white-space: nowrap">{content}</td>'
