"""What tables call things, in words for a reader."""

KIND_NAMES = {
    "conv": "convolution",
    "coord_conv": "CoordConv",
    "wide_conv": "wide convolution",
    "locally_connected": "locally connected",
    "lrlc": "LRLC, fixed",
    "lrlc_input_dependent": "LRLC, input-dependent",
}
SHORT_KIND_NAMES = {
    "conv": "conv",
    "coord_conv": "CoordConv",
    "wide_conv": "wide conv",
    "locally_connected": "local",
    "lrlc": "LRLC",
    "lrlc_input_dependent": "LRLC i.d.",
}
DATASET_NAMES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "celeba": "CelebA",
    "utkface": "UTKFace",
    "imagenet": "ImageNet",
}


def kind_name(kind: str) -> str:
    return KIND_NAMES.get(kind, kind)


def short_kind_name(kind: str) -> str:
    return SHORT_KIND_NAMES.get(kind, kind)


def dataset_name(name: str) -> str:
    """'celeba:Smiling+t8' as 'CelebA Smiling, shifted ≤ 8 px'; a folder by its last part."""
    base, plus, shift = name.rpartition("+t") if "+t" in name else (name, "", "")
    base, _, label = base.partition(":")
    base = DATASET_NAMES.get(base, base.rstrip("/").rpartition("/")[2])
    shown = f"{base} {label}".strip()
    return f"{shown}, shifted ≤ {shift} px" if plus else shown
