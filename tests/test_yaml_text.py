"""The YAML reader: numbers of YAML 1.2, and one line for input that would hang, crash or be misread."""

from pathlib import Path
from typing import Any

import pytest

from lrlc.studies import StudyError, read_study
from lrlc.studies.yaml_text import MOST_BYTES, YamlError, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("-007", -7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e-2", 0.01),
        ("2E3", 2000.0),
        ("-.5", -0.5),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-02-30", "2024-02-30"),
        ("0b_", "0b_"),
        ("yes", True),
        ("~", None),
        ("", None),
        ("{1: a, on: b}", {"1": "a", "on": "b"}),
        (r'"\ud83d\ude00"', "😀"),
        ("!!str 10", "10"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = read_yaml(text)
    assert found == value
    assert type(found) is type(value)


def test_a_merged_key_may_be_replaced_but_not_duplicated() -> None:
    found = read_yaml("a: &a {<<: {n: 1, m: 2}, n: 3}\nb: {<<: *a, m: 4}")
    assert found == {"a": {"n": 3, "m": 2}, "b": {"n": 3, "m": 4}}
    with pytest.raises(YamlError, match=r"^line 2, column 1: the key 'a' appears twice$"):
        read_yaml("a: 1\na: 2")


def test_an_alias_is_a_copy() -> None:
    found = read_yaml("a: &a {n: 1}\nb: *a")
    found["a"]["n"] = 2
    assert found["b"] == {"n": 1}


def doubling(levels: int, form: str) -> str:
    lines = ["a0: &a0 {x: 1, y: 2}", *(f"a{n}: &a{n} {form.format(n - 1)}" for n in range(1, levels))]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            doubling(20, "[*a{0}, *a{0}]"),
            "more than 50,000 values, including those of aliases",
        ),
        (doubling(20, "{{<<: [*a{0}, *a{0}]}}"), "more than 50,000 values, including those of aliases"),
        (doubling(40, "[*a{0}]"), "nested more than 30 levels deep, with aliases"),
        ("[" * 900 + "]" * 900, "line 1, column 31: nested more than 30 levels deep"),
        ("a: &a [*a]", "line 1, column 4: an anchor holds an alias of itself"),
        ("a: " + "9" * 5000, "a number of 5,000 digits; at most 40"),
        ("!!set {a, b}", "the tag !!set is not supported"),
        ("!!timestamp 2024-02-30", "the tag !!timestamp is not supported"),
        ("!!python/object:os.system {}", "the tag !!python/object:os.system is not supported"),
        ("!!int 0b_", "'0b_' is not a number"),
        ("!!map 3", "the tag !!map is not supported"),
        ("? [a]\n: b", "line 1, column 3: a key must be text"),
        (r'"\x1b[31m"', r"a text with the control character '\x1b'"),
        ("\0", r"character 1 is '\x00', which YAML does not allow"),
        (r'"\Uffffffff"', "Python int too large"),
        ("a: 1\n---\nb: 2", "line 2, column 1: found another document"),
        ("x" * (MOST_BYTES + 1), "256,001 characters; at most 256,000 are read"),
    ],
)
def test_unreadable_yaml_is_refused_in_one_line(text: str, line: str) -> None:
    with pytest.raises(YamlError) as caught:
        read_yaml(text)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"name: \xff", "not UTF-8 (invalid start byte at byte 6)"),
        (b"#" * (MOST_BYTES + 1), "256,001 bytes; at most 256,000 are read"),
        (b"a: [", "not YAML: line 1, column 5: expected the node content, but found '<stream end>'"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(content: bytes, line: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        read_study(str(path))
    assert str(caught.value) == f"{path}: {line}"


def test_a_file_is_utf_8_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    for number, begin in enumerate((b"", b"\xef\xbb\xbf")):
        path = tmp_path / f"{number}.yaml"
        path.write_bytes(begin + "title: Größe ≥ 2".encode())
        raw: dict[str, Any] = read_study(str(path))[0]
        assert raw == {"title": "Größe ≥ 2"}
