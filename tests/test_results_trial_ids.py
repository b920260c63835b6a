"""Comparing trial ids as numbers gives the same as comparing them as text."""

import random

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lrlc.results.trial_ids import all_different, among


def texts(*chunks: list[str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(chunk, pa.string()) for chunk in chunks] or [[]], pa.string())


def made(count: int, seed: int = 0) -> list[str]:
    return [f"{random.Random(f'{seed}{number}').getrandbits(64):016x}" for number in range(count)]


SETS = {
    "hashes": made(200),
    "high and low digits": ["f" * 16, "0" * 16, "0" * 15 + "1", "1" + "0" * 15],
    "names": ["a", "b", "mnist-conv-None-3-0"],
    "upper case": ["AB" * 8, "ab" * 8],
    "no digits": ["x" * 16, "y" * 16],
    "one": ["0123456789abcdef"],
    "none": [],
}


@pytest.mark.parametrize("ids", SETS.values(), ids=SETS)
def test_repeated_ids_are_found(ids: list[str]) -> None:
    half = len(ids) // 2
    assert all_different(texts(ids[:half], ids[half:]))
    assert all_different(texts(["9" * 16, *ids]).slice(1))
    if ids:
        assert not all_different(texts(ids, [ids[0]]))


@pytest.mark.parametrize("known", SETS.values(), ids=SETS)
@pytest.mark.parametrize("ids", SETS.values(), ids=SETS)
def test_known_ids_are_distinguished_from_others(ids: list[str], known: list[str]) -> None:
    found = among(texts(ids), texts(known))
    expected = pc.is_in(texts(ids), pa.array(known, pa.string())).to_pylist()
    assert [True] * len(ids) == expected if found is None else found.to_pylist() == expected


def test_ids_that_are_all_known_need_no_filter() -> None:
    ids = made(200)
    assert among(texts(ids[50:100], ids[:50]), texts(ids)) is None
    partly = among(texts([*ids, "0" * 16]), texts(ids))
    assert partly is not None
    assert partly.to_pylist() == [True] * 200 + [False]
