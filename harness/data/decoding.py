"""Decode image files to uint8 arrays, in parallel and with a bounded number in memory."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, islice
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from lrlc.harness.data.dataset import Images
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.limits import MOST_PIXELS
from lrlc.harness.data.looks import GREY_MODES, as_shown
from lrlc.harness.data.tf_bicubic import resize_bicubic
from lrlc.harness.errors import first_line

DECODED_TOGETHER, DECODED_BYTES = 512, 1 << 27
"""Upper bounds on the images in memory at once and their bytes: 512 take 77 MB at 224x224."""

DECODED_IN_TURN = 32
"""Images that a thread takes at once: handing over a single one costs as much as decoding 28x28 pixels."""

DEEP_MODES = ("I", "F")
"""Modes with over 8 bits per channel (also I;16 and its variants), which Pillow would clip to white."""

# Our own limit is below Pillow's, and is reported in one line.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

Made = TypeVar("Made")

Encoded = tuple[str, bytes]
"""The name that an error shows (file and row) and the bytes of an image file."""


@dataclass(frozen=True)
class Decoding:
    """How an encoded image becomes an array: crop (left, top, right, bottom), then bicubic to `size` (H, W).

    `cover` first scales the shorter side to that length and cuts out the centre. `mode` is 'L', 'RGB', or None for
    grey if the image is grey, else RGB. Bicubic is Pillow's, which averages over the source pixels when it shrinks;
    without `antialias` it is TensorFlow 1's, which does not. `as_shown` applies the EXIF orientation and puts
    transparent pixels on white.
    """

    mode: str | None = None
    crop: tuple[int, int, int, int] | None = None
    size: tuple[int, int] | None = None
    cover: int | None = None
    antialias: bool = True
    as_shown: bool = False

    def __call__(self, encoded: bytes, expected: tuple[int, ...] | None = None) -> Images:
        """(H, W, C) uint8; ValueError if the bytes are not an image.

        If all images must have the shape `expected`, (H, W, C), one of another size is not even unpacked.
        """
        try:
            with Image.open(BytesIO(encoded)) as opened:
                self._check_size(opened, expected)
                self._check_depth(opened)
                opened.load()
                image = self._shaped(opened)
        except _UnfitError as error:
            raise ValueError(str(error)) from error
        except UnidentifiedImageError as error:
            raise ValueError("no readable image") from error
        except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error and more
            raise ValueError(f"no readable image ({first_line(error)})") from error
        array = np.asarray(image)
        channelled = array[..., None] if array.ndim == 2 else array
        if self.size and not self.antialias:
            channelled = resize_bicubic(channelled, self.size)
        if expected not in (None, channelled.shape):
            raise ValueError(f"an image of {channelled.shape} among images of {expected}")
        return channelled

    def _check_size(self, opened: Image.Image, expected: tuple[int, ...] | None) -> None:
        width, height = opened.size
        if width * height > MOST_PIXELS:
            raise _UnfitError(f"an image of {height}x{width} pixels; at most {MOST_PIXELS:,} are read")
        # A rotated image has its sides swapped, which not every format's header shows.
        if expected and not (self.size or self.crop) and {height, width} != set(expected[:2]):
            raise _UnfitError(
                f"an image of {height}x{width} pixels among images of {expected[0]}x{expected[1]}"
            )

    @staticmethod
    def _check_depth(opened: Image.Image) -> None:
        """Pillow silently keeps the upper 8 of 16 bits of colours; the layout in the file reveals them."""
        layouts = [str(tile.args) for tile in getattr(opened, "tile", ())]
        if opened.mode.startswith(DEEP_MODES) or any(";16" in layout for layout in layouts):
            raise _UnfitError(f"an image of more than 8 bits a channel (mode {opened.mode})")

    def _shaped(self, opened: Image.Image) -> Image.Image:
        if self.as_shown:
            if (frames := getattr(opened, "n_frames", 1)) > 1 and opened.format != "MPO":
                raise _UnfitError(f"{frames} images in one, an animation")
            opened = as_shown(opened)
        image = opened.convert(self.mode or ("L" if opened.mode in GREY_MODES else "RGB"))
        if self.crop:
            if self.crop[2] > image.width or self.crop[3] > image.height:
                raise _UnfitError(f"{image.width}x{image.height} pixels do not hold the crop box {self.crop}")
            image = image.crop(self.crop)
        if self.cover and self.size:
            return _centre(image, self.cover, self.size)
        if self.size and self.antialias and image.size != (self.size[1], self.size[0]):
            return image.resize((self.size[1], self.size[0]), Image.Resampling.BICUBIC)
        return image


class _UnfitError(Exception):
    """An image that is readable but unsuitable for the data set."""


def decode_all(encoded: Iterable[Encoded], decoding: Decoding) -> Iterator[Images]:
    """Chunks (n, H, W, C) of all images in order. DataError names the first damaged or differently shaped one."""
    images = iter(encoded)
    for first in islice(images, 1):  # all others must have its shape
        shape = _whole(first[0], _attempt(decoding, first[1], None)).shape
        yield from _alike(chain([first], images), decoding, shape)


def _alike(images: Iterator[Encoded], decoding: Decoding, shape: tuple[int, ...]) -> Iterator[Images]:
    together = max(1, min(DECODED_TOGETHER, DECODED_BYTES // math.prod(shape)))
    for names, arrays in _in_chunks(images, together, lambda data: _attempt(decoding, data, shape)):
        yield np.stack([_whole(*pair) for pair in zip(names, arrays, strict=True)])


def damaged(encoded: Iterable[Encoded], decoding: Decoding) -> Iterator[str]:
    """A line for each image that cannot be decoded."""

    def fault(data: bytes) -> str | None:
        found = _attempt(decoding, data, None)
        return str(found) if isinstance(found, ValueError) else None

    for names, faults in _in_chunks(iter(encoded), DECODED_TOGETHER, fault):
        yield from (f"{name}: {said}" for name, said in zip(names, faults, strict=True) if said)


def _whole(name: str, array: Images | ValueError) -> Images:
    if isinstance(array, ValueError):
        raise DataError(f"{name}: {array}; mend or delete it") from array
    return array


def _in_chunks(
    images: Iterator[Encoded], together: int, work: Callable[[bytes], Made]
) -> Iterator[tuple[list[str], list[Made]]]:
    """The results of `work` on the images, with their names, `together` of them at a time."""

    def in_turn(items: list[Encoded]) -> list[Made]:
        return [work(data) for _, data in items]

    with ThreadPoolExecutor() as pool:  # Pillow decodes without the interpreter's lock
        while chunk := list(islice(images, together)):
            groups = [
                chunk[start : start + DECODED_IN_TURN] for start in range(0, len(chunk), DECODED_IN_TURN)
            ]
            yield [name for name, _ in chunk], [made for group in pool.map(in_turn, groups) for made in group]


def _attempt(decoding: Decoding, data: bytes, expected: tuple[int, ...] | None) -> Images | ValueError:
    try:
        return decoding(data, expected)
    except ValueError as error:
        return error


def _centre(image: Image.Image, cover: int, size: tuple[int, int]) -> Image.Image:
    scale = cover / min(image.size)
    wide = (round(image.width * scale), round(image.height * scale))
    image = image.resize(wide, Image.Resampling.BICUBIC)
    left, top = (image.width - size[1]) // 2, (image.height - size[0]) // 2
    return image.crop((left, top, left + size[1], top + size[0]))
