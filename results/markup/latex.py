r"""Tables as LaTeX for papers, in booktabs style; they need \usepackage{booktabs}."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "±": r"$\pm$",
    "−": "$-$",
    "·": r"$\cdot$",
    "√": r"$\surd$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


MANY_COLUMNS = 9
"""From this number of columns on, a table is set tighter to fit the page."""


@dataclass(frozen=True)
class LatexTable:
    """`columns` are column specifications ('l', 'r', 'p{3cm}'); heads and rows are LaTeX already, `caption` is text."""

    label: str
    caption: str
    columns: Sequence[str]
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def escaped(text: str) -> str:
    """The text on one line, with LaTeX's special characters escaped."""
    return "".join(_ESCAPED.get(letter, letter) for letter in " ".join(text.split()))


LONGEST_UNBROKEN = 16
"""Characters of a hyphenated word that a narrow column has room for."""


def unbroken(latex: str) -> str:
    """The text with hyphenated words, such as cross-entropy, kept on one line."""
    return re.sub(
        r"[A-Za-z]+(?:-[A-Za-z]+)+",
        lambda word: rf"\mbox{{{word[0]}}}" if len(word[0]) <= LONGEST_UNBROKEN else word[0],
        latex,
    )


def bold(latex: str) -> str:
    return rf"\textbf{{{latex}}}"


def to_latex(tables: Sequence[LatexTable], head: str) -> str:
    r"""The tables as floats for \input, after `head` as a comment."""
    comment = f"% {' '.join(head.split())}\n% In the preamble: \\usepackage{{booktabs}}\n"
    return "\n".join([comment, *map(_table, tables)])


def _table(table: LatexTable) -> str:
    gap = 4 if len(table.columns) < MANY_COLUMNS else 2.5
    lines = [
        r"\begin{table*}",  # spans both columns of a two-column paper
        rf"  \centering\footnotesize\setlength{{\tabcolsep}}{{{gap}pt}}",
        rf"  \caption{{{escaped(table.caption)}}}",
        rf"  \label{{tab:{_label(table.label)}}}\par\smallskip",
        rf"  \begin{{tabular}}{{@{{}}{''.join(table.columns)}@{{}}}}",  # rules as wide as the text, as booktabs advises
        r"    \toprule",
        f"    {_row(table.heads)}",
        r"    \midrule",
        *(f"    {_row(row)}" for row in table.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9:]+", "-", text).strip("-")
