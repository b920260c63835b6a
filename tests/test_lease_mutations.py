"""Damaged lease files: a live driver is detected or the damage reported, and no command fails."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrlc.harness.run import lease
from lrlc.harness.run.lease import Lease, refuse_if_taken, running_driver
from lrlc.results.errors import StoreError
from lrlc.results.files import Location, locate

ODD = ["", "null", "[]", "{}", "0", "NaN", '{"pid": 1}', "[" * 10_000, "9" * 5000, "\x00", "\ufeff{}"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Location, Path, bytes]:
    """A folder with this process's lease, which is no longer held, and the content of its file."""
    root = locate(tmp_path_factory.mktemp("runs") / "tiny")
    with Lease(root):
        (file,) = Path(str(root)).glob(f"{lease._FOLDER}/*{lease._SUFFIX}")
        content = file.read_bytes()
    return root, file, content


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """Bits flipped, bytes cut or put in, another value for a key, or something else altogether."""
    at = draw(st.integers(0, len(content) - 1))
    held = json.loads(content)
    key = draw(st.sampled_from(sorted(held)))
    value = draw(st.sampled_from([None, -1, 2**70, 1e308, "", "\x1b[2J", [], {}, True, "x" * 10_000]))
    return {
        "flip": content[:at] + bytes([content[at] ^ (1 << draw(st.integers(0, 7)))]) + content[at + 1 :],
        "cut": content[:at],
        "insert": content[:at] + draw(st.binary(max_size=8)) + content[at:],
        "key": json.dumps({**held, key: value}).encode(),
        "lacks": json.dumps({name: each for name, each in held.items() if name != key}).encode(),
        "odd": draw(st.sampled_from(ODD)).encode("utf-8", "surrogatepass"),
    }[draw(st.sampled_from(["flip", "flip", "cut", "insert", "key", "key", "lacks", "odd"]))]


def refusal(root: Location) -> str | None:
    """The message for another driver; None if it may run."""
    try:
        refuse_if_taken(root)
    except StoreError as refused:
        return str(refused)
    return None


@settings(max_examples=60)
@given(data=st.data())
def test_a_mutated_lease_stops_no_command(written: tuple[Location, Path, bytes], data: st.DataObject) -> None:
    root, file, content = written
    file.write_bytes(data.draw(mutated(content)))
    held = running_driver(root)
    assert "\n" not in str(held)
    line = refusal(root)
    assert "\n" not in (line or "")
    assert line is None or held is not None
    file.unlink()
