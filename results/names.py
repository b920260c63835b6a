"""What tables call things, in words for a reader."""

from collections.abc import Iterable

from lrlc.studies.titles import Title

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


def kind_name(kind: str) -> str:
    return KIND_NAMES.get(kind, kind)


def short_kind_name(kind: str) -> str:
    return SHORT_KIND_NAMES.get(kind, kind)


def setting_name(name: str, value: object) -> str:
    """A setting of training that tells panels apart: 'learning rate 0.1', 'images drawn by seed'."""
    if name == "draw":
        return "images drawn by seed" if value == "seed" else "first images"
    return f"{name.replace('_', ' ')} {f'{value:.10g}' if isinstance(value, float) else value}"


def dataset_name(name: str) -> str:
    """'celeba:Smiling@16+t8' as 'CelebA Smiling 16×16, shifted ≤ 8 px'; a folder by its last part."""
    title = Title.parse(name)
    base = DATASET_NAMES.get(title.name, title.name.rstrip("/").rpartition("/")[2])
    size = "×".join(map(str, title.size)) if title.size else ""
    shift = f", shifted ≤ {title.translate} px" if title.translate else ""
    shuffled = ", labels shuffled" if title.shuffled else ""
    return " ".join(part for part in (base, title.image, title.label, size) if part) + shift + shuffled


def seeds_name(seeds: Iterable[int]) -> str:
    """'3 to 8', or '0, 2, 5'; of many only the ends of each run: '0 to 4, 7'."""
    runs: list[list[int]] = []
    for seed in sorted({int(seed) for seed in seeds}):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    said = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(said)
