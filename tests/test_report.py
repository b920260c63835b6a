"""The report: the question, the verdicts first, deterministic output, and the same content in HTML and Markdown."""

import re
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from statistics import stdev
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt
from support.report_samples import Judged, judged, small_store
from support.results_samples import study

from lrlc.results.figures import FIGURES
from lrlc.results.markup.content import Cell, Column, Folded, Page, Section, Table, Text
from lrlc.results.markup.html import to_html
from lrlc.results.markup.markdown import to_markdown
from lrlc.results.report import Format, write_report
from lrlc.results.schema import TrialStatus
from lrlc.results.store import Store
from lrlc.studies import recorded_study

pytestmark = pytest.mark.xdist_group("report")  # what they share is made once

Lrlc = Callable[..., subprocess.CompletedProcess[str]]

NASTY = [
    "a | b",
    "*not bold* _nor this_ but snake_case",
    "[no](link) <b>no tag</b> &amp; `no code`",
    "# no heading",
    "1. no list",
    "- nor this",
    "back\\slash",
    "~~kept~~ $x$",
]


class Texts(HTMLParser):
    """The text of every element of one kind, without extra spaces."""

    def __init__(self, tag: str, html: str) -> None:
        super().__init__()
        self.tag, self.inside, self.texts = tag, False, list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == self.tag:
            self.inside = True
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside &= tag != self.tag

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[-1] += data


def texts(tag: str, html: str) -> list[str]:
    return [" ".join(text.split()) for text in Texts(tag, html).texts]


def as_read(markdown: str) -> str:
    """Markdown as a reader sees it: rendered as HTML by CommonMark with tables."""
    return str(MarkdownIt("commonmark").enable("table").render(markdown))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return small_store(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def html(store: Store, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("html") / "report.html"
    return write_report(store, out, verdicts=judged()).read_text()


@pytest.fixture(scope="module")
def markdown(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("markdown") / "report.md"
    return write_report(store, out, form=Format.MARKDOWN, verdicts=judged())


def test_the_page_is_self_contained_and_runs_no_other_script(html: str) -> None:
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?\s*(?!["']?(?:data:|\#))""", html)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    allowed = b64encode(sha256(script.encode()).digest()).decode()
    assert (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'" in html
    )
    images = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert len(images) == len(drawn(html))
    for image in images:
        references = [
            value
            for element in ElementTree.fromstring(b64decode(image)).iter()
            for name, value in element.attrib.items()
            if name.rpartition("}")[2] in ("href", "src")
        ]
        assert all(value.startswith(("#", "data:")) for value in references)


def test_the_verdicts_come_first_with_their_evidence(html: str) -> None:
    assert texts("h2", html)[0] == "Verdicts"
    (lead,) = re.findall('<p class="answer">(.*)</p>\n<p>(.*)</p>', html)
    assert lead == (
        "2 of 5 claims supported, 1 contradicted, 2 undecided; 5 of their 7 tests supported.",
        "LRLC, fixed minus convolution: +0.42 points on MNIST (95% interval +0.17 to +0.67, supported), "
        "+0.42 on CIFAR-10 (+0.17 to +0.67, supported).",
    )
    rows = [" ".join(filter(None, texts("td", row))) for row in re.findall("<tr>.*?</tr>", html)]
    assert (
        "C2 ✗ contradicted LRLC beats parameter-matched wide convolution and locally connected layers. "
        "1 contradicted, 1 supported" in rows
    )
    assert "✓ supported MNIST +0.42 (+0.17 to +0.67) LRLC, fixed minus convolution 8 0.0078 0.31 0.10" in rows
    assert "✓ supported CIFAR-10 +0.42 (+0.17 to +0.67) LRLC, fixed minus convolution 8 < 0.001 1.00" in rows
    assert "? undecided CIFAR-10 +0.05 LRLC, input-dependent minus fixed 1 none 0.43" in rows
    assert "✓ supported MNIST +0.42 (+0.17 to +0.67) weight range over the image 8 0.001" in rows
    headers = texts("th", html.partition('<h2 id="experimental-setup"')[0])
    assert "effect, points (95% interval)" in headers
    assert "r" not in headers  # nothing to say there
    assert "effect (95% interval)" in headers  # for claims in several units, or in none
    told = "CIFAR-10; LRLC, input-dependent minus fixed: 6 seeds are the fewest that could settle it"
    assert any(told in line for line in texts("li", html))


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([], "This study makes no claims, so nothing is judged here."),
        (["supported"], "1 of 1 claim supported."),
        (["undecided"] * 3, "0 of 3 claims supported, 3 undecided."),
    ],
)
def test_the_head_sums_up_in_a_sentence(verdicts: list[str], said: str, tmp_path: Path) -> None:
    claims = [Judged(f"C{number}", "It holds.", verdict, ()) for number, verdict in enumerate(verdicts)]
    page = write_report(Store(tmp_path / "empty"), tmp_path / "empty.html", verdicts=claims).read_text()
    assert f">{said}<" in page
    assert ("Verdicts" in texts("h2", page)) == bool(verdicts)
    assert "no trial has a row yet" in page


def test_the_report_has_the_question_results_and_failures(html: str) -> None:
    assert "<h1>Rank &amp; &lt;accuracy&gt;</h1>" in html
    assert "<p>First.</p>\n<p>&lt;i&gt;Second&lt;/i&gt;.</p>" in html
    counts = texts("li", html)
    assert {"1 failed", "1 diverged", "1 missing"} <= set(counts)
    said = texts("dd", html)
    assert "MNIST, shifted ≤ 8 px (400 training images)" in said
    assert "train.epochs=10" in said
    assert "accuracy on test images moved by 0, 2 pixels; effective rank of local layers" in said
    assert "one filter bank, the same at every position of the image" in said
    assert "torch 2.13.0" in said
    assert "0, 1, 2, 3" in said
    assert f"mnist {'d' * 16}" in said
    cells = texts("td", html)
    assert "3, 1+2" in cells
    assert "RuntimeError: <b>no & | room</b>" in cells
    again = f"git checkout {'a' * 40}\nlrlc run rank_vs_accuracy train.epochs=10 --profile smoke\nlrlc report"
    assert again in html
    conv = [row for row in study(datasets=("mnist",), seeds=3) if row.kind == "conv"]
    mean = 100 * sum(row.test_accuracy or 0 for row in conv) / len(conv)
    (line,) = (line for line in cells_of("MNIST", html) if line["layer"] == "convolution ★")
    assert line["seeds"] == "3"
    assert line["test accuracy, % (95% interval)"].startswith(f"{mean:.2f} (")
    assert "No cell here has more than 3 seeds" in html


def test_each_layer_has_its_spread_and_what_did_not_finish(tmp_path: Path) -> None:
    rows = study(("mnist",), 3, (2,), ("3",), ("lrlc",), wide_ranks=())
    lost = {"test_accuracy": None, "validation_accuracy": None}
    rows = [
        replace(row, status=TrialStatus.DIVERGED, **lost) if row.kind == "coord_conv" else row for row in rows
    ]
    rows[-1] = replace(rows[-1], status=TrialStatus.OUT_OF_MEMORY, **lost)
    store = Store(tmp_path / "s")
    store.commit(rows)
    lines = cells_of("MNIST", write_report(store, tmp_path / "report.html").read_text())
    found = {line["layer"].removesuffix(" ★"): line for line in lines}
    assert (found["CoordConv"]["seeds"], found["CoordConv"]["did not finish"]) == ("0", "3 diverged")
    assert (found["LRLC, fixed"]["seeds"], found["LRLC, fixed"]["did not finish"]) == ("2", "1 out of memory")
    assert found["convolution"]["did not finish"] == ""
    accuracies = [100 * (row.test_accuracy or 0) for row in rows if row.kind == "conv"]
    assert float(found["convolution"]["sd"]) == pytest.approx(stdev(accuracies), abs=0.005)


def test_the_results_give_the_accuracy_on_training_images_and_keep_a_data_set_s_tables_together(
    tmp_path: Path,
) -> None:
    titles = ["mnist+t4", "utkface", "mnist+shuffled", "mnist+t2", "mnist"]
    rows = [
        replace(row, dataset=title, trial_id=f"{title}-{row.trial_id}", train_accuracy=0.5 + 0.1 * at)
        for at, title in enumerate(titles)
        for row in study(("mnist",), 2, (2,), ("3",), ("lrlc",), wide_ranks=())
    ]
    store = Store(tmp_path / "s")
    store.commit(rows)
    page = write_report(store, tmp_path / "report.md", form=Format.MARKDOWN).read_text()
    section = page.partition("\n## Results")[2].partition("\n## ")[0]
    assert re.findall("^### (.+)$", section, re.MULTILINE) == [
        "MNIST", "MNIST, shifted ≤ 2 px", "MNIST, shifted ≤ 4 px", "MNIST, labels shuffled", "UTKFace",
    ]  # fmt: skip
    columns = [line.split(" | ")[7] for line in section.splitlines() if line.startswith("| convolution")]
    assert columns == ["90.0", "80.0", "50.0", "70.0", "60.0"]


def test_every_kind_has_a_verdict_against_convolution_and_at_matched_parameters(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    store.commit(study(("utkface",), 12, (1, 2, 4), ("1", "3"), ("lrlc",), wide_ranks=(4,)))
    grid = {"name": "s", "datasets": [{"name": "utkface"}], "grid": [{"kind": "conv"}]}
    store.write_study(recorded_study({**grid, "seeds": list(range(12))}))
    page = write_report(store, tmp_path / "report.html").read_text()
    assert {line["verdict"] for line in cells_of("Pairs of kinds", page)} == {"out of regime"}
    grid["regime"] = "any"
    store.write_study(recorded_study({**grid, "seeds": list(range(12))}))
    page = write_report(store, tmp_path / "report.html").read_text()
    found = {line["comparison"]: line for line in cells_of("Pairs of kinds", page)}
    assert set(found) == {
        "CoordConv minus conv",
        "wide conv (rank 4) minus conv",
        "local minus conv",
        "LRLC (rank 2 or 4) minus conv",
        "LRLC (rank 4, layer 3) minus wide conv, matched",
    }
    assert found["local minus conv"]["verdict"] == "worse"
    assert found["LRLC (rank 2 or 4) minus conv"]["verdict"] == "better"
    assert found["LRLC (rank 2 or 4) minus conv"]["chosen"] == "LRLC rank 4, layer 3, by seeds 0 to 2"
    assert found["LRLC (rank 2 or 4) minus conv"]["seeds"] == "9 (3 to 11)"
    assert found["local minus conv"]["seeds"] == "12 (0 to 11)"
    assert all(line["detectable"] and line["test noise"] and line["r"] for line in found.values())
    store.write_study(recorded_study({**grid, "seeds": [0, 1, 2, 3, 4]}))
    page = write_report(store, tmp_path / "report.html").read_text()
    assert {line["p"] for line in cells_of("Pairs of kinds", page)} == {"none"}
    refused = "5 evaluation seeds cannot show a difference (smallest possible p 0.062, needed 0.01): 8 could show one"
    assert f"UTKFace; local minus conv: {refused}" in texts("li", page)


def cells_of(caption: str, page: str) -> list[dict[str, str]]:
    """The rows of a table of the page, by header."""
    (table,) = (
        part
        for part in re.findall(r'<div class="table">.*?</table>', page, re.DOTALL)
        if f"{caption}</h3>" in part
    )
    names = texts("th", table)
    return [
        dict(zip(names, row, strict=True))
        for line in re.findall("<tr>.*?</tr>", table)[1:]
        for row in [texts("td", line)]
    ]


def drawn(page: str) -> list[str]:
    """The figures that the page does not report as missing."""
    lacks = {name.replace(" ", "_") for name in re.findall(r"Not drawn: ([a-z ]+) \(", page)}
    return [name for name in FIGURES if name not in lacks]


def test_both_formats_say_the_same(html: str, markdown: Path) -> None:
    read = as_read(markdown.read_text())
    for tag in ("h1", "h2", "h3", "td", "th"):
        assert texts(tag, read) == texts(tag, html)
    assert sum(text in read for text in ("First.", "2 of 5 claims supported", "git checkout")) == 3
    shown = re.findall(r'<img src="([^"]+)"', read)
    assert shown == [f"report_files/{name}.png" for name in drawn(html)]
    assert all((markdown.parent / path).read_bytes().startswith(b"\x89PNG") for path in shown)
    assert re.findall(r'<a href="(#[^"]+)"', read) == re.findall(r'<a href="(#[^"]+)"', html)


def test_the_report_is_deterministic(store: Store, html: str, tmp_path: Path) -> None:
    assert write_report(store, tmp_path / "again.html", verdicts=judged()).read_text() == html


def test_the_command_writes_markdown_and_names_the_known_formats(
    lrlc: Lrlc, store: Store, tmp_path: Path
) -> None:
    asked = ("report", store.root.name, "--results", Path(str(store.root)).parent, "--out", tmp_path)
    assert lrlc(*asked, "--format", "markdown").stdout.strip() == str(tmp_path / "report.md")
    assert {path.name for path in tmp_path.iterdir()} >= {"report.md", "report_files"}
    (line,) = lrlc(*asked, "--format", "pdf", code=2).stderr.splitlines()
    assert line == "lrlc: cannot write a report as 'pdf'; known: html, markdown, latex"


def test_no_character_of_a_text_is_treated_as_markup() -> None:
    rows = [[Cell(text)] for text in NASTY]
    blocks = [
        Table("t", [Column("c")], rows),
        *(Text(text) for text in NASTY),
        Folded("f", "```\nerror\n```"),
    ]
    page = Page("t", "q", "a", [], [Section("s", blocks)])
    markdown, images = to_markdown(page, "files")
    assert images == {}
    read = as_read(markdown)
    assert texts("td", read) == texts("td", to_html(page)) == NASTY
    assert [text for text in texts("p", read) if text in NASTY] == NASTY
    assert texts("code", read) == ["``` error ```"]


def test_numbers_are_unchanged_in_markdown() -> None:
    said = ["0.27", "+0.22 to +0.32", "−0.12", "98.64 (98.57 to 98.71)", "< 0.001", "1.5 k", "= 2", "-3"]
    table = Table("t", [Column("c", "numbers")], [[Cell(text)] for text in said])
    markdown, _ = to_markdown(Page("t", "", "0.27 points", [], [Section("s", [table])]), "files")
    assert "**0.27 points**" in markdown
    lines = [line[2:-2] for line in markdown.splitlines() if line.startswith("| ")][2:]
    assert lines == [text.replace("<", "\\<").replace("= 2", "\\= 2") for text in said]


def test_an_interval_stays_within_possible_values(tmp_path: Path) -> None:
    """Two seeds with 70 and 75%: Student's t interval of the mean is from 40.7 to 104.3%."""
    accuracies = {("conv", 0): 0.70, ("conv", 1): 0.75, ("coord_conv", 0): 0.99, ("coord_conv", 1): 0.05}
    rows = [
        replace(row, test_accuracy=accuracies[row.kind, row.seed])
        for row in study(("mnist",), 2, (), (), wide_ranks=(), local_placements=())
    ]
    store = Store(tmp_path / "s")
    store.commit(rows)
    found = {
        line["layer"].removesuffix(" ★"): line
        for line in cells_of("MNIST", write_report(store, tmp_path / "r.html").read_text())
    }
    assert found["convolution"]["test accuracy, % (95% interval)"] == "72.50 (40.73 to 100.00)"
    assert found["CoordConv"]["minus conv, points (95% interval)"] == "−20.50 (−100.00 to +100.00)"


def test_a_column_of_numbers_is_sorted_by_values_that_a_script_can_read() -> None:
    page = Page(
        "t", "", "", [], [Section("s", [Table("t", [Column("n", "numbers")], [[Cell("1.5 k", 1500)]])])]
    )
    assert '<td class="numbers" data-value="1500.0">1.5 k</td>' in to_html(page)
    other = replace(page, sections=[Section("s", [Table("t", [Column("n", "numbers")], [[Cell("")]])])])
    assert '<td class="numbers"></td>' in to_html(other)
