"""From encoded images to uint8 arrays, several at once, a bounded number at a time."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import islice

import numpy as np
from PIL import Image

from lrlc.harness.data.dataset import Images
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.tf_bicubic import resize_bicubic
from lrlc.harness.errors import first_line

DECODED_TOGETHER = 512
"""Images in memory at once: 77 MB at 224x224."""

DECODED_IN_TURN = 32
"""Images that a thread takes: one at a time, handing them out cost as much as decoding 28x28 pixels."""

GREY_MODES = ("1", "L", "LA")
DEEP_MODES = ("I", "F")
"""Over 8 bits a channel (also I;16 and its kin): Pillow would clip them to white."""

Encoded = tuple[str, bytes]
"""The name that an error shows (file and row) and the bytes of an image file."""


@dataclass(frozen=True)
class Decoding:
    """From an encoded image to an array: crop (left, top, right, bottom), then bicubic to `size` (H, W).

    `cover` first scales the shorter side to that length and cuts out the centre. `mode` is 'L', 'RGB', or None for
    grey where the image is grey. Bicubic is Pillow's, which averages over the source pixels when it shrinks; without
    `antialias` it is TensorFlow 1's, which does not.
    """

    mode: str | None = None
    crop: tuple[int, int, int, int] | None = None
    size: tuple[int, int] | None = None
    cover: int | None = None
    antialias: bool = True

    def __call__(self, encoded: bytes) -> Images:
        """(H, W, C) uint8; ValueError where the bytes are no image."""
        try:
            with Image.open(BytesIO(encoded)) as opened:
                opened.load()
                image = self._shaped(opened)
        except _UnfitError as error:
            raise ValueError(str(error)) from error
        except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error and more
            raise ValueError(f"no readable image ({first_line(error)})") from error
        array = np.asarray(image)
        channelled = array[..., None] if array.ndim == 2 else array
        if self.size and not self.antialias:
            return resize_bicubic(channelled, self.size)
        return channelled

    def _shaped(self, opened: Image.Image) -> Image.Image:
        if opened.mode.startswith(DEEP_MODES):
            raise _UnfitError(f"an image of more than 8 bits a channel (mode {opened.mode})")
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
    """An image that can be read but is not what the data set holds."""


def decode_all(encoded: Iterable[Encoded], decoding: Decoding) -> Iterator[Images]:
    """Chunks (n, H, W, C) of all images in order. DataError names the first that is damaged or of another shape."""
    expected: tuple[int, ...] | None = None
    for names, arrays in _decoded(encoded, decoding):
        for name, array in zip(names, arrays, strict=True):
            if isinstance(array, ValueError):
                raise DataError(f"{name}: {array}; mend or delete it") from array
            expected = expected or array.shape
            if array.shape != expected:
                raise DataError(f"{name}: an image of {array.shape} among images of {expected}")
        yield np.stack(arrays)  # type: ignore[arg-type]


def damaged(encoded: Iterable[Encoded], decoding: Decoding) -> Iterator[str]:
    """A line for each image that cannot be decoded."""
    for names, arrays in _decoded(encoded, decoding):
        for name, array in zip(names, arrays, strict=True):
            if isinstance(array, ValueError):
                yield f"{name}: {array}"


def _decoded(
    encoded: Iterable[Encoded], decoding: Decoding
) -> Iterator[tuple[list[str], list[Images | ValueError]]]:
    def in_turn(items: list[Encoded]) -> list[Images | ValueError]:
        return [_attempt(decoding, data) for _, data in items]

    images = iter(encoded)
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside the interpreter's lock
        while chunk := list(islice(images, DECODED_TOGETHER)):
            groups = [
                chunk[start : start + DECODED_IN_TURN] for start in range(0, len(chunk), DECODED_IN_TURN)
            ]
            yield (
                [name for name, _ in chunk],
                [array for group in pool.map(in_turn, groups) for array in group],
            )


def _attempt(decoding: Decoding, data: bytes) -> Images | ValueError:
    try:
        return decoding(data)
    except ValueError as error:
        return error


def _centre(image: Image.Image, cover: int, size: tuple[int, int]) -> Image.Image:
    scale = cover / min(image.size)
    wide = (round(image.width * scale), round(image.height * scale))
    image = image.resize(wide, Image.Resampling.BICUBIC)
    left, top = (image.width - size[1]) // 2, (image.height - size[0]) // 2
    return image.crop((left, top, left + size[1], top + size[0]))
