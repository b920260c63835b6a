"""Readable names for values in the tables."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lrlc.studies.titles import Title
from lrlc.studies.training import LATER_KEYS, augment_text, usual

if TYPE_CHECKING:
    import pandas as pd

KIND_NAMES = {
    "conv": "convolution",
    "coord_conv": "CoordConv",
    "wide_conv": "wide convolution",
    "locally_connected": "locally connected",
    "lrlc": "LRLC, fixed",
    "lrlc_input_dependent": "LRLC, input-dependent",
    "relaxed_conv": "relaxed convolution",
    "cond_conv": "CondConv",
    "position_map": "position map",
    "constrained_local": "constrained local",
    "residual_pathway": "residual pathway prior",
    "involution": "involution",
}
SHORT_KIND_NAMES = {
    "conv": "conv",
    "coord_conv": "CoordConv",
    "wide_conv": "wide conv",
    "locally_connected": "local",
    "lrlc": "LRLC",
    "lrlc_input_dependent": "LRLC i.d.",
    "relaxed_conv": "relaxed conv",
    "cond_conv": "CondConv",
    "position_map": "position map",
    "constrained_local": "constrained local",
    "residual_pathway": "RPP",
    "involution": "involution",
}
DATASET_NAMES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "celeba": "CelebA",
    "celeba_plain": "CelebA, not antialiased",
    "utkface": "UTKFace",
    "imagenet": "ImageNet",
}
LABELS = {
    "mnist": "10 digits",
    "fashion_mnist": "10 garments",
    "cifar10": "10 objects",
    "celeba": "Male",
    "celeba_plain": "Male",
    "utkface": "gender",
    "elpv": "defect",
    "imagenet": "1,000 objects",
}
"""What is classified by default."""

METRICS = {
    "validation_accuracy": "validation accuracy",
    "validation_loss": "validation loss",
    "parameters": "parameters",
    "flops_per_image": "FLOPs per image",
}
"""Metrics that a search may use."""


def kind_name(kind: str) -> str:
    return KIND_NAMES.get(kind, kind)


def short_kind_name(kind: str) -> str:
    return SHORT_KIND_NAMES.get(kind, kind)


Layer = tuple[str, str, str]
"""Kind, placement and options, as in the tables."""


def layer_of(cell: "Mapping[Any, Any] | pd.Series[Any]") -> Layer:
    """The layer of a cell or a row."""
    return str(cell["kind"]), str(cell["placement"]), str(cell["options"])


def layer_names(layers: Collection[Layer], *, brief: bool = False) -> Mapping[Layer, str]:
    """'LRLC (3)' for each layer, plus the options in which another layer of its kind and placement differs.

    `brief` leaves out the names of options: 'LRLC (3, rows)'.
    """
    return {layer: _layer_name(layer, layers, brief) for layer in layers}


def _layer_name(layer: Layer, layers: Collection[Layer], brief: bool) -> str:
    kind, placement, _ = layer
    told = [placement] if placement else []
    options = varying_options(layer, [other for other in layers if other[:2] == layer[:2]])
    told += [option.partition(" ")[2] if brief else option for option in options]
    return f"{short_kind_name(kind)} ({', '.join(told)})" if told else short_kind_name(kind)


def varying_options(layer: Layer, others: Iterable[Layer]) -> list[str]:
    """'share rows': the options set by a layer in which some other layer differs."""
    own, different = json.loads(layer[2]), [json.loads(other[2]) for other in others]
    return [
        f"{name} {value}"
        for name, value in own.items()
        if any(name not in each or each[name] != value for each in different)
    ]


def options_name(options: str) -> str:
    """'share rows, start keras'; '' for default options."""
    return ", ".join(f"{name} {value}" for name, value in json.loads(options).items())


def cell_label(kind: str, rank: float, placement: str, told: Iterable[str] = ()) -> str:
    """'LRLC rank 4, layers 1+3', plus given details; a rank of NaN means none."""
    name = short_kind_name(kind) + ("" if rank != rank else f" rank {rank:.0f}")
    return ", ".join(filter(None, [name, layers_name(placement), *told]))


def layers_name(placement: str) -> str:
    """'layer 3', 'layers 1+3', 'layer1+layer2.0.conv1' for named modules; '' if none is replaced."""
    if not placement:
        return ""
    if not placement.replace("+", "").isdecimal():
        return placement
    return f"layers {placement}" if "+" in placement else f"layer {placement}"


def kinds_in_order(kinds: Iterable[str]) -> list[str]:
    """Each once, in the order of all legends: low-rank layers first, kinds from plugins last."""
    given = set(kinds)
    return [kind for kind in reversed(KIND_NAMES) if kind in given] + sorted(given - set(KIND_NAMES))


ABSENT = {
    "augment": "no augmentation",
    "gradient_clipping": "no gradient clipping",
    "ema": "no EMA",
    "recipe": "cross-entropy",
    "decay_epochs": "no steps",
    "crop_padding": "crop padding of an eighth",
}
"""Names for null settings whose default is neither a number nor a name."""
SETTING_NAMES = {"ema": "EMA"}
NULLS = {"recipe": "cross-entropy", "crop_padding": "an eighth"}
"""Names of null settings in a list of values; others are 'none'."""


def setting_value(name: str, value: Any) -> Any:
    """A training setting as in a study: a null in a newer key is its default."""
    is_null = value is None or value != value
    return usual(name) if is_null else value


def setting_name(name: str, value: object) -> str:
    """A training setting that distinguishes panels: 'learning rate 0.1', 'images drawn by seed', 'no EMA'."""
    if name == "draw":
        return "images drawn by seed" if value == "seed" else "first images"
    if name in ABSENT and value_name(name, value) in ("none", NULLS.get(name)):
        return ABSENT[name]
    return f"{SETTING_NAMES.get(name, name.replace('_', ' '))} {value_name(name, value)}"


def value_name(name: str, value: object) -> str:
    """A setting's value in a list of values: '0.01', 'flip+crop', 'none', 'cross-entropy'."""
    known = setting_value(name, value)
    if isinstance(known, tuple | list):
        return augment_text(map(str, known))
    if known is None:
        return NULLS.get(name, "none")
    return f"{known:.10g}" if isinstance(known, float) else str(known)


def varying_settings(row: "pd.Series[Any]", others: "pd.DataFrame") -> list[str]:
    """'optimizer adamw': the newer training settings in which other rows differ from this one."""
    varying = [name for name in LATER_KEYS if others[name].nunique(dropna=False) > 1]
    return [setting_name(name, row[name]) for name in varying]


def placement_key(placement: str) -> tuple[int, list[tuple[int, str]], str]:
    """The sort key of placements: single places first, then pairs, and so on, with 10 after 9."""
    return placement.count("+"), list(map(_natural, placement.split("+"))), placement


def _natural(place: str) -> tuple[int, str]:
    return (int(place), "") if place.isdecimal() else (0, place)


def dataset_name(name: str) -> str:
    """'celeba:Smiling@16+t8' as 'CelebA Smiling 16×16, shifted ≤ 8 px'; a folder by its last component."""
    title = Title.parse(name)
    base = DATASET_NAMES.get(title.name, title.name.rstrip("/").rpartition("/")[2])
    size = "×".join(map(str, title.size)) if title.size else ""
    shift = f", shifted ≤ {title.translate} px" if title.translate else ""
    shuffled = ", labels shuffled" if title.shuffled else ""
    return " ".join(part for part in (base, title.image, title.label, size) if part) + shift + shuffled


def label_name(name: str) -> str:
    """What is classified in a data set with this title; '' if it is not known."""
    title = Title.parse(name)
    return title.label or LABELS.get(title.name, "")


def seeds_name(seeds: Iterable[int]) -> str:
    """'3 to 8', or '0, 2, 5'; runs of many seeds are abbreviated: '0 to 4, 7'."""
    runs: list[list[int]] = []
    for seed in sorted({int(seed) for seed in seeds}):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    said = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(said)


def named_seeds(seeds: Collection[int]) -> str:
    """'seed 4', or 'seeds 0 to 2'."""
    return f"seed{'s' * (len(seeds) > 1)} {seeds_name(seeds)}"
