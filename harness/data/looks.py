"""How a viewer shows an image file: orientation and transparency; and what its header says."""

from collections import Counter
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from PIL import ExifTags, Image

from lrlc.harness.data.limits import MOST_PIXELS

GREY_MODES = ("1", "L", "LA")

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transformation for each EXIF orientation; 1 is upright."""

TURNED, LAID_ON_WHITE, GREY = "turned as EXIF says", "with an alpha channel, laid on white", "grey"
INKS, INK_MODES = "in inks (CMYK), read as RGB without their profile", ("CMYK", "YCCK")


def as_shown(image: Image.Image) -> Image.Image:
    """`image` with its EXIF orientation applied and its transparent pixels on white."""
    if (turn := TURNS.get(_orientation(image))) is not None:
        image = image.transpose(turn)
    if not image.has_transparency_data:
        return image
    mode = "L" if image.mode in GREY_MODES else "RGB"
    seen = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert(mode)


def is_grey(encoded: bytes) -> bool:
    """Whether the header of an image file says grey; True if it is unreadable, which decoding will report."""
    try:
        with Image.open(BytesIO(encoded)) as image:
            return image.mode in GREY_MODES
    except Exception:  # each of Pillow's decoders raises its own
        return True


def is_picture(path: Path) -> bool:
    """Whether a file's first bytes are those of a format that Pillow knows."""
    try:
        with Image.open(path):
            return True
    except Exception:  # as many kinds as Pillow has decoders
        return False


def features(encoded: bytes) -> set[str]:
    """Which of the above apply to an image file; none if it is unreadable."""
    try:
        with Image.open(BytesIO(encoded)) as image:
            if image.width * image.height > MOST_PIXELS:
                return set()
            found = {GREY} if image.mode in GREY_MODES else set()
            found |= {INKS} if image.mode in INK_MODES else set()
            found |= {LAID_ON_WHITE} if image.has_transparency_data else set()
            return found | ({TURNED} if _orientation(image) in TURNS else set())
    except Exception:
        return set()


def count_features(images: Iterable[bytes]) -> Counter[str]:
    """How many images have each feature."""
    return Counter(feature for encoded in images for feature in features(encoded))


def _orientation(image: Image.Image) -> int:
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))
