"""Trial ids of existing tables, which a faster or tidier `trial_id` must not change."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.studies_samples import CATALOGUE, parsed

from lrlc.studies import DatasetSpec, TrialConfig, expand, trial_id
from lrlc.studies.training import Training

PINNED = """
name: pinned
datasets: [digits, {name: mnist, translate: 8}, {path: some/folder, label: smiling, train_images: 500}]
evaluation_images: 100
grid:
  - kind: [conv, lrlc, locally_connected]
    rank: 2
    placement: [all, [1, 3]]
  - kind: lrlc
    dataset: digits
    rank: [1, 4]
    layer.share: row
    train.learning_rate: [0.05, 1.0e-3]
    train.epochs: 3
seeds: 2
"""


def cells() -> list[TrialConfig]:
    return expand(parsed(PINNED), CATALOGUE).trials()


def test_the_ids_of_a_study_are_those_in_its_table() -> None:
    ids = [trial_id(config, data_digest="d1", code_epoch=1) for config in cells()]
    assert len(set(ids)) == len(ids) == 38
    assert {0: "eb0d985435dcf21f", 5: "d12fda07199f3808", 7: "2e3add6a6fb8621a"}.items() <= dict(
        enumerate(ids)
    ).items()
    assert ids[15:19] == ["c5014f3dc4d03442", "7cec9a47cf3cd574", "d859d4c4f3c19122", "e30dbc58c399d674"]
    assert ids[-1] == "20844ad7a62bca16"
    assert hashlib.sha256("".join(ids).encode()).hexdigest()[:16] == "3582ec0143301746"


@pytest.mark.parametrize(
    ("digest", "epoch", "plugins", "expected"),
    [
        ("d1", 2, None, "69268ce9b6f35cb2"),
        ('é"2', 1, None, "10cea5b501fff377"),
        ("d1", 1, "p+q", "c722c5c3e9e7c341"),
    ],
)
def test_data_code_and_plugins_enter_an_id_as_they_always_did(
    digest: str, epoch: int, plugins: str | None, expected: str
) -> None:
    assert trial_id(cells()[0], data_digest=digest, code_epoch=epoch, plugin_digest=plugins) == expected


def test_an_option_keeps_its_type_in_the_id() -> None:
    options = (("z", 1.5), ("a", True), ("b", 1), ("c", 'é"\\'))
    odd = replace(cells()[0], options=options, network="résnet")
    assert trial_id(odd, data_digest="d1", code_epoch=1) == "5cbe9f429797bc9a"
    same_to_python = [replace(odd, options=(("share", value),)) for value in (1, True, 1.0)]
    assert len({trial_id(config, data_digest="d1", code_epoch=1) for config in same_to_python}) == 3


CONFIGS = st.builds(
    TrialConfig,
    dataset=st.sampled_from([DatasetSpec(name="mnist", label="é"), DatasetSpec(path="a/b", train_images=5)]),
    network=st.text(),
    kind=st.text(),
    rank=st.none() | st.integers(1, 9),
    placement=st.lists(st.integers(1, 9), max_size=3).map(tuple),
    options=st.lists(
        st.tuples(
            st.text(), st.booleans() | st.integers() | st.floats(allow_nan=False, width=32) | st.text()
        ),
        max_size=3,
        unique_by=lambda option: option[0],
    ).map(tuple),
    train=st.builds(Training, epochs=st.integers(1, 9), learning_rate=st.floats(1e-6, 10)),
    seed=st.integers(),
)


@given(config=CONFIGS, plugins=st.none() | st.text(), digest=st.text())
def test_an_id_is_the_hash_of_the_canonical_configuration(
    config: TrialConfig, plugins: str | None, digest: str
) -> None:
    canonical = config.canonical()
    del canonical["dataset"]["path"]
    identity = {"config": canonical, "data": digest, "code_epoch": 3}
    identity |= {} if plugins is None else {"plugins": plugins}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    expected = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert trial_id(config, data_digest=digest, code_epoch=3, plugin_digest=plugins) == expected
