"""A two-column paper with LaTeX tables."""

import subprocess
from pathlib import Path


def compiled(latex: str, folder: Path) -> str:
    """The log of pdflatex for the tables in a two-column paper."""
    (folder / "tables.tex").write_text(latex)
    (folder / "paper.tex").write_text(
        "\\documentclass[twocolumn]{article}\n\\usepackage[T1]{fontenc}\\usepackage{booktabs}\n"
        "\\begin{document}\n\\input{tables}\n\\end{document}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout
