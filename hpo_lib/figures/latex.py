"""Tables of text cells: as LaTeX with booktabs, as HTML for notebooks, as text for terminals."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
from jinja2 import Environment

_SPECIAL = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
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
)


def escaped(text: str) -> str:
    """Plain text for LaTeX, in one line."""
    return " ".join(text.split()).translate(_SPECIAL)


MOST_LETTERS = 92
"""Letters of the widest cells of all columns together that fit into 150 mm in footnote size; the
space between two columns counts as one."""

MOST_ROWS = 45
"""Of a table that fits on a page in `\\footnotesize`, with its caption."""

Columns = Sequence[tuple[Hashable, Iterable[str]]]
"""Name -> cells of each column; several columns may have the same name."""


class Bold(str):
    """A cell in bold, which the best of a column is."""


def best_bold(cells: Sequence[str], values: Iterable[float]) -> list[str]:
    """A column of cells whose lowest value, and all that are printed like it, are bold.

    An interval in brackets does not count.
    """
    texts = [cell.split(" [")[0] for cell in cells]
    best = texts[pd.Series([*values]).fillna(float("inf")).argmin()]
    return [Bold(cell) if text == best else cell for cell, text in zip(cells, texts, strict=True)]


@dataclass(frozen=True)
class Table:
    """A table, all of whose texts are plain ones.

    Attributes:
        frame: its numbers, for a CSV: 12 digits, since others differ from machine to machine.
        sections: the columns that are printed; rows of one section, such as those of one dataset,
            are below a line with its title unless that is empty.
        align: one letter per column, ``l`` or ``r``.
        groups: names above the header, each with the number of columns that it spans; an empty
            name is left out.
        caption: of the table.
    """

    frame: pd.DataFrame
    sections: Sequence[tuple[str, Columns]]
    align: str
    groups: Sequence[tuple[str, int]] = ()
    caption: str = ""

    @property
    def header(self) -> list[str]:
        return [str(name) for name, _ in self.sections[0][1]]

    @property
    def rows(self) -> list[tuple[str, list[tuple[str, ...]]]]:
        """The title of each section, and its rows of cells."""
        return [
            (title, list(zip(*(cells for _, cells in columns), strict=True)))
            for title, columns in self.sections
        ]


def _size(table: Table) -> str:
    """The largest size of type in which the table fits, by its letters and rows."""
    lines = [table.header, *(row for _, rows in table.rows for row in rows)]
    letters = sum(max(map(len, column)) + 1 for column in zip(*lines, strict=True))
    return "scriptsize" if letters > MOST_LETTERS or len(lines) > MOST_ROWS else "footnotesize"


def _cell(text: str) -> str:
    return rf"\textbf{{{escaped(text)}}}" if isinstance(text, Bold) else escaped(text)


_LATEX = Environment("<%", "%>", "<<", ">>", trim_blocks=True, keep_trailing_newline=True)
"""In its templates values are in ``<< >>``."""
_LATEX.filters |= {"tex": _cell, "size": _size}

_CAPTION = r"""\caption{<% if warning %>\textbf{<< warning.capitalize()|tex >>.} <% endif %>
<< caption|tex >>}"""

_BOOKTABS = _LATEX.from_string(
    r"""% Needs \usepackage{booktabs}.
\begin{table}[htbp]
\centering\<< table|size >>\setlength{\tabcolsep}{3.5pt}
CAPTION
\label{tab:<< label >>}
\begin{tabular}{@{}<< table.align >>@{}}
\toprule
<% if table.groups %>
<% for name, span in table.groups %>
\multicolumn{<< span >>}{c}{<< name|tex >>}<% if not loop.last %> & <% endif %>
<% endfor %> \\
<% set next = namespace(column=1) %>
<% for name, span in table.groups %>
<% set first, next.column = next.column, next.column + span %>
<% if name %>\cmidrule(lr){<< first >>-<< next.column - 1 >>}<% endif %>
<% endfor +%>
<% endif %>
<< table.header|map("tex")|join(" & ") >> \\
\midrule
<% for title, rows in table.rows %>
<% if title %>
\multicolumn{<< table.align|length >>}{@{}l}{\textit{<< title|tex >>}} \\
<% endif %>
<% for row in rows %>
<< row|map("tex")|join(" & ") >> \\
<% endfor %>
<% if not loop.last %>
\addlinespace
<% endif %>
<% endfor %>
\bottomrule
\end{tabular}
\end{table}
""".replace("CAPTION", _CAPTION)
)

_FIGURE = _LATEX.from_string(
    r"""% Needs \usepackage{graphicx}.
\begin{figure}[htbp]
\centering\includegraphics{<< file >>}
CAPTION
\label{fig:<< label >>}
\end{figure}
""".replace("CAPTION", _CAPTION)
)

_WEB = Environment(autoescape=True, trim_blocks=True)
_WEB.tests["bold"] = lambda cell: isinstance(cell, Bold)
_HTML = _WEB.from_string(
    """<table>
<caption style="text-align: left">{{ table.caption }}</caption>
{% macro line(cells) %}
<tr>
{% for cell in cells %}
{% set side = "left" if table.align[loop.index0] == "l" else "right" %}
<td style="text-align: {{ side }}; white-space: nowrap">
{%- if cell is bold %}<b>{{ cell }}</b>{% else %}{{ cell }}{% endif %}</td>
{% endfor %}
</tr>
{% endmacro %}
{% if table.groups %}
<tr>
{% for name, span in table.groups %}
<th colspan="{{ span }}" style="text-align: center">{{ name }}</th>
{% endfor %}
</tr>
{% endif %}
{{ line(table.header) }}
{% for title, rows in table.rows %}
{% if title %}
<tr><th colspan="{{ table.align|length }}" style="text-align: left">{{ title }}</th></tr>
{% endif %}
{% for row in rows %}
{{ line(row) }}
{% endfor %}
{% endfor %}
</table>"""
)


def booktabs(table: Table, label: str, warning: str) -> str:
    """A table environment of text width, labelled ``tab:`` and ``label``.

    A warning is in bold before the caption.
    """
    return _BOOKTABS.render(table=table, label=label, caption=table.caption, warning=warning)


def included(file: str, caption: str, label: str, warning: str) -> str:
    """A figure environment that includes a file, labelled ``fig:`` and ``label``."""
    return _FIGURE.render(file=file, caption=caption, label=label, warning=warning)


def html(table: Table) -> str:
    """The table for a notebook, with its caption on top."""
    return _HTML.render(table=table)


def plain(table: Table) -> str:
    """The table for a terminal: its sections below each other."""
    return "\n\n".join(
        f"{title}\n{pd.DataFrame(rows, columns=table.header).to_string(index=False)}"
        for title, rows in table.rows
    )
