"""Where a data set comes from: its files, and how to read them once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from harness.data.dataset import Images, Labels
from harness.data.errors import DataError

DECODED_TOGETHER = 512


@dataclass(frozen=True)
class RawSplit:
    """A split as its files hold it: labels (N,) and, read only when asked for, images (n, H, W, C) in chunks."""

    labels: Labels
    chunks: Callable[[], Iterator[Images]]

    @classmethod
    def of(cls, images: Images, labels: Labels) -> "RawSplit":
        """From whole arrays; grey images may come as (N, H, W)."""
        stacked = images[..., None] if images.ndim == 3 else images
        return cls(np.asarray(labels, np.int64), lambda: iter([np.asarray(stacked, np.uint8)]))


@dataclass(frozen=True)
class Source:
    """A data set before decoding.

    `files` tell one content from another by path, size and time; `read` gives the splits 'train', 'test' and, where
    the data set has its own, 'validation'. Without it the first `validation_fraction` of train is held out.
    `scaling` is what pixel values 0 and 255 become. `num_classes` None means the largest label plus one.
    """

    files: Sequence[Path]
    read: Callable[[], Mapping[str, RawSplit]]
    num_classes: int | None = None
    scaling: tuple[float, float] = (0.0, 1.0)
    validation_fraction: float = 0.1
    settings: str = ""
    """All else that changes the decoded arrays, such as the crop: part of the cache's key."""


class Reader(Protocol):
    """What `@dataset` registers: finds the data set in its folder, reads no images yet."""

    def __call__(self, folder: Path, label: str | None) -> Source: ...


@dataclass(frozen=True)
class Decoding:
    """From an encoded image to an array: crop (left, top, right, bottom), then bicubic to `size` (H, W).

    `cover` first scales the shorter side to that length and cuts out the centre. `mode` is 'L', 'RGB', or None for
    grey where the image is grey.
    """

    mode: str | None = None
    crop: tuple[int, int, int, int] | None = None
    size: tuple[int, int] | None = None
    cover: int | None = None
    where: str = field(default="", compare=False)

    def __call__(self, encoded: bytes) -> Images:
        """(H, W, C) uint8; ValueError where the bytes are no image."""
        try:
            with Image.open(BytesIO(encoded)) as opened:
                image = opened.convert(
                    self.mode or ("L" if opened.mode in ("L", "1", "LA", "I;16") else "RGB")
                )
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"no readable image ({error})") from error
        if self.crop:
            image = image.crop(self.crop)
        if self.cover and self.size:
            scale = self.cover / min(image.size)
            wide = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image = image.resize(wide, Image.Resampling.BICUBIC)
            left, top = (image.width - self.size[1]) // 2, (image.height - self.size[0]) // 2
            image = image.crop((left, top, left + self.size[1], top + self.size[0]))
        elif self.size and image.size != (self.size[1], self.size[0]):
            image = image.resize((self.size[1], self.size[0]), Image.Resampling.BICUBIC)
        array = np.asarray(image)
        return array[..., None] if array.ndim == 2 else array


def decode_all(encoded: Iterable[tuple[str, bytes]], decoding: Decoding) -> Iterator[Images]:
    """Chunks of decoded images; `encoded` gives each with the name that an error shows. DataError names it."""

    def one(item: tuple[str, bytes]) -> Images:
        try:
            return decoding(item[1])
        except ValueError as error:
            raise DataError(f"{item[0]}: {error}; mend or delete it") from error

    items = iter(encoded)
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside the interpreter's lock
        while chunk := list(islice(items, DECODED_TOGETHER)):
            arrays = list(pool.map(one, chunk))
            for (name, _), array in zip(chunk, arrays, strict=True):
                if array.shape != arrays[0].shape:
                    raise DataError(f"{name}: an image of {array.shape} among images of {arrays[0].shape}")
            yield np.stack(arrays)
