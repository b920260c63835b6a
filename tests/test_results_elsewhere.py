"""Results in a bucket, as seen from the command line: the same commands, and refusals in one line."""

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lrlc.results.files import locate
from lrlc.results.store import Store, StoreError

Lrlc = Callable[..., subprocess.CompletedProcess[str]]

HUNT = """
name: hunt
title: A grid and a search on real digits
train_images: 100
evaluation_images: 100
datasets: digits
network: three_layer
grid: [{kind: conv}]
seeds: 1
search:
  dataset: digits
  trials: 2
  sampler: random
  space:
    kind: [conv, lrlc]
    rank: [1, 2, 3]
    placement: [[1], [3]]
    train:
      learning_rate: {low: 0.01, high: 0.1}
train: {epochs: 1, batch_size: 50, learning_rate: 0.05}
"""


def test_a_study_lives_in_a_bucket_and_resumes_on_another_machine(
    lrlc: Lrlc, s3_endpoint: str, tmp_path: Path
) -> None:
    (tmp_path / "hunt.yaml").write_text(HUNT)
    bucket = {"AWS_ENDPOINT_URL": s3_endpoint, "AWS_REGION": "us-east-1"}
    where = ("--results", "s3://results/elsewhere")
    lrlc("run", "hunt.yaml", "--serial", *where, **bucket)
    store = Store(locate(f"s3://results/elsewhere/hunt?region=us-east-1&endpoint_override={s3_endpoint}"))
    first = store.trials()
    assert (len(first), set(first["search_number"].dropna())) == (3, {0, 1})
    lrlc(
        "run",
        "hunt.yaml",
        "search.trials=4",
        "--serial",
        *where,
        **bucket,
        LRLC_CACHE=str(tmp_path / "other"),
    )
    lrlc("run", "hunt.yaml", "search.trials=4", "--serial", *where, **bucket)
    rows = store.trials()
    assert len(rows) == 5
    beside = lrlc("plan", "hunt.yaml", "name=other", "--json", *where, **bucket).stdout
    assert json.loads(beside)["lent"] == 1  # the trial of the grid
    assert set(rows["search_number"].dropna()) == {0, 1, 2, 3}
    done = lrlc("report", "hunt", *where, **bucket)
    assert "the tables are in s3://results/elsewhere/hunt; writing to runs/hunt" in done.stderr
    assert "A grid and a search on real digits" in (tmp_path / done.stdout.strip()).read_text()


@contextmanager
def keys_are_checked(endpoint: str) -> Iterator[None]:
    """The server allows anonymous access until this is turned off."""

    def allow(requests: int) -> None:
        body = str(requests).encode()
        header = {"Content-Type": "application/octet-stream"}
        urllib.request.urlopen(
            urllib.request.Request(f"{endpoint}/moto-api/reset-auth", body, header)
        ).close()

    allow(0)
    try:
        yield
    finally:
        allow(10**9)


def test_wrong_keys_are_refused_in_one_line(s3_endpoint: str) -> None:
    store = Store(f"s3://results/keys?region=us-east-1&endpoint_override={s3_endpoint}")
    with keys_are_checked(s3_endpoint), pytest.raises(StoreError, match="check AWS_ACCESS_KEY_ID") as refused:
        store.trials()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://no-such-bucket/x?region=us-east-1&endpoint_override={}", "there is no such bucket"),
        (
            "s3://results/x?region=us-east-1&endpoint_override=http://127.0.0.1:9",
            "endpoint cannot be reached",
        ),
        ("s3://results/x?regoin=us-east-1&endpoint_override={}", "'regoin'"),
        ("s3://", "names no bucket; expected s3://bucket/prefix"),
        ("gs://results/x", "unknown scheme gs://; known: a local folder, file://, s3://"),
    ],
)
def test_a_missing_bucket_is_reported_in_one_line(uri: str, said: str, s3_endpoint: str) -> None:
    with pytest.raises(StoreError, match=said) as refused:
        Store(uri.format(s3_endpoint)).trials()
    assert "\n" not in str(refused.value)


def test_a_file_uri_is_a_local_folder(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    assert locate(folder.as_uri()).local == folder
    assert locate(str(folder)) == locate(folder) == locate(folder.as_uri())


def test_a_command_says_what_is_wrong_with_the_place(lrlc: Lrlc, tiny_study: Path, s3_endpoint: str) -> None:
    place = f"s3://no-such-bucket/x?region=us-east-1&endpoint_override={s3_endpoint}"
    (line,) = lrlc("run", tiny_study, "--serial", "--results", place, code=2).stderr.splitlines()
    assert line.startswith("lrlc: cannot read s3://no-such-bucket/x/tiny/lease: there is no such bucket")
