"""Shared by tests of study files: a catalogue of names, the head of a study, a small search."""

import yaml

from lrlc.studies import Catalogue, KindOption, Study, checked_grid

CATALOGUE = Catalogue(
    kinds={
        "conv": False,
        "wide_conv": True,
        "locally_connected": False,
        "lrlc": True,
        "lrlc_input_dependent": True,
        "coord_conv": False,
    },
    matched={"wide_conv": "lrlc"},
    networks={"three_layer": 3, "resnet50": 4},
    datasets={"digits", "mnist", "fashion_mnist", "cifar10", "celeba", "utkface", "imagenet"},
    options={
        "lrlc": {"share": KindOption("both"), "normalize": KindOption("softmax")},
        "wide_conv": {"share": KindOption("both"), "normalize": KindOption("softmax")},
        "lrlc_input_dependent": {"normalize": KindOption("softmax")},
    },
)
HEAD = "name: t\ndatasets: digits\n"
SEARCH = "name: t\nsearch: {trials: 3, dataset: digits, space: {kind: [conv, lrlc], rank: [1, 2]}}\n"


def parsed(text: str, *overrides: str, profile: str | None = None) -> Study:
    return checked_grid(
        yaml.safe_load(text), CATALOGUE, profile=profile, overrides=overrides, source="my.yaml"
    ).study
