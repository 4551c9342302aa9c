"""A picture file as rows of 8-bit RGB, in bounded memory whatever its size.

Pillow decodes into one piece of memory. For a large picture this is a mapped file, whose pages are
let go after every block that is read: the system keeps them on disk, and they are no part of this
process until their rows are asked for. What Pillow cannot decode by the block is refused above a
size: WebP, compressed TIFF, and JPEG whose coefficients are spread over the file (progressive).
"""

from __future__ import annotations

import io
import mmap
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from scripts.errors import ImageFileError

# What is read, whatever a file's name says. Pillow would hand others to programs of the machine.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "JPEG2000", "AVIF")
MOST_PIXELS = 500_000_000
# Bytes of decoded pixels that are held in memory; more go to a mapped file.
IN_MEMORY = 64 << 20
# Bytes that a decoder may take which needs all of a picture at once.
AT_ONCE = 160 << 20
STRIP_BYTES = 2 << 20
# Pillow's bytes for a pixel, by mode; 4 in all others.
PIXEL_BYTES = {"L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
DEEPEST, BRIGHTEST = 65535.0, 255.0
# A picture of 16 bits with no value above this was perhaps scanned with 12 or fewer.
DARK, DARK_COLOUR = DEEPEST / 8, BRIGHTEST / 8
# Pillow's names for decoders that take a file block by block.
BY_BLOCK = "zip", "jpeg", "raw"
UNBOUNDED = "I", "F"
# What pictures that cannot be used are counted as.
DAMAGED, STRANGE, UNREADABLE = "damaged or cut short", "of no known format", "that may not be read"
LARGE, UNSCALED = "too large", "without a brightest value"
_STDERR = 2
# A mask of labels has one channel and few values.
ONE_CHANNEL, FEW_VALUES, SAMPLE = ("1", *PIXEL_BYTES), 32, 1024
# What EXIF's orientation does: rows reversed, columns reversed, then rows and columns swapped.
TURNS = {
    2: (False, True, False),
    3: (True, True, False),
    4: (True, False, False),
    5: (False, False, True),
    6: (True, False, True),
    7: (True, True, True),
    8: (False, True, True),
}


@dataclass(frozen=True)
class Turn:
    """How stored rows become the picture to look at: reversed along either axis, then swapped."""

    rows: bool = False
    columns: bool = False
    swapped: bool = False


@dataclass(frozen=True)
class Raster:
    """A decoded picture: its rows as they are stored, and how it is to be turned.

    `is_deep` says that its file has 16 bits a channel; of colours, Pillow keeps the upper 8.
    """

    picture: Image.Image
    turn: Turn = Turn()
    let_go: Callable[[], None] = lambda: None
    is_deep: bool = False

    @property
    def height(self) -> int:
        """The number of stored rows."""
        return self.picture.height

    @property
    def width(self) -> int:
        """The number of stored columns."""
        return self.picture.width

    @property
    def is_mask(self) -> bool:
        """Whether it looks like labels: one channel with few values in its middle."""
        return 0 < self._values() <= FEW_VALUES

    @property
    def is_uniform(self) -> bool:
        """Whether it has one channel, and one value in its middle."""
        return self._values() == 1

    @property
    def is_dark(self) -> bool:
        """Whether it has 16 bits a channel, of which the upper three are 0 everywhere."""
        if self.picture.mode.startswith("I;16"):
            return max(int(np.asarray(strip).max()) for strip in self._crops()) < DARK
        return self.is_deep and max(int(strip.max()) for strip in self.strips()) < DARK_COLOUR

    def _values(self) -> int:
        """Return how many values are in the middle of one channel, 0 of pictures with more."""
        if self.picture.mode not in ONE_CHANNEL:
            return 0
        left, top = (max(0, (side - SAMPLE) // 2) for side in self.picture.size)
        right, bottom = min(left + SAMPLE, self.width), min(top + SAMPLE, self.height)
        sample = self.picture.crop((left, top, right, bottom))
        # As they are stored: of 16 bits, Pillow's conversion to 8 keeps the darkest 256.
        return len(np.unique(np.asarray(sample)))

    @property
    def is_transparent(self) -> bool:
        """Whether nothing of it is to be seen; the colours that are stored do not matter."""
        return self.picture.has_transparency_data and not any(
            strip.convert("RGBA").getchannel("A").getbbox() for strip in self._crops()
        )

    def strips(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the stored rows, some at a time, as [rows, width, 3], channels in RGB order."""
        return map(_rgb, self._crops())

    def _crops(self) -> Iterator[Image.Image]:
        count = max(1, STRIP_BYTES // (3 * self.width))
        for top in range(0, self.height, count):
            yield self.picture.crop((0, top, self.width, min(top + count, self.height)))
            self.let_go()


def decoded(path: Path, scratch: Path | None = None) -> Raster:
    """Return the picture of a file; large ones take room in the folder `scratch` until dropped.

    Raises:
        ImageFileError: it is damaged, of an unknown format, or too large to be read in parts.
        OSError: there is no room for it in `scratch`.
    """
    with _file(path) as file:
        picture = _opened(path, file)
        _require_bounds(path, picture)
        is_deep = any(";16" in str(tile) for tile in picture.tile)  # until they are loaded
        let_go = _spread_out(picture, file, scratch)
        _load(path, picture)
    return Raster(picture, _turn(picture), let_go, is_deep)


def require_header(path: Path) -> None:
    """Refuse a file whose first bytes say that it is no picture to be read here.

    Raises:
        ImageFileError: it is of an unknown format, or too large to be read in parts.
    """
    with _file(path) as file:
        _require_bounds(path, _opened(path, file))


class _Blocks(io.BufferedReader):
    """A file that says when it is read from."""

    on_read: Callable[[], None] = staticmethod(lambda: None)

    def read(self, size: int | None = -1, /) -> bytes:
        self.on_read()
        return super().read(size)


def _file(path: Path) -> _Blocks:
    try:
        return _Blocks(io.FileIO(path))
    except OSError as error:
        raise _refused(
            f"{path} cannot be read: {error.strerror}.", UNREADABLE, "let yourself read it"
        ) from error


def _opened(path: Path, file: _Blocks) -> ImageFile.ImageFile:
    # We have bounds of our own.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with _silence():
            return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        why = "it is of no format that is known here" if path.stat().st_size else "it is empty"
        raise _unreadable(path, why, STRANGE) from error
    except MemoryError:
        raise
    except Exception as error:
        raise _unreadable(path, "its header is damaged", DAMAGED) from error


def _load(path: Path, picture: ImageFile.ImageFile) -> None:
    try:
        with _silence():
            picture.load()
    except MemoryError:
        raise
    except Exception as error:
        raise _unreadable(path, "its pixels are damaged or cut short", DAMAGED) from error


def _unreadable(path: Path, why: str, kind: str) -> ImageFileError:
    return _refused(
        f"{path} cannot be read as a picture: {why}.",
        kind,
        "replace the file, or take it out of the folder",
        "an interrupted copy, or a file that is no picture",
    )


def _refused(what: str, kind: str, remedy: str, cause: str = "") -> ImageFileError:
    error = ImageFileError(what, cause=cause, remedy=remedy)
    error.kind = kind
    return error


@contextmanager
def _silence() -> Iterator[None]:
    """Keep decoders from writing to the console: Python's warnings, and what libtiff says in C."""
    with warnings.catch_warnings(), Path(os.devnull).open("w") as nowhere:
        warnings.simplefilter("ignore")
        sys.stderr.flush()
        console = os.dup(_STDERR)
        try:
            os.dup2(nowhere.fileno(), _STDERR)
            yield
        finally:
            os.dup2(console, _STDERR)
            os.close(console)


def _require_bounds(path: Path, picture: ImageFile.ImageFile) -> None:
    megapixels = picture.width * picture.height / 1e6
    if picture.width * picture.height > MOST_PIXELS:
        raise _refused(
            f"{path} has {megapixels:.0f} megapixels; {MOST_PIXELS / 1e6:.0f} are the most.",
            LARGE,
            "scale it down, or cut it into parts",
        )
    if _at_once(picture) > AT_ONCE:
        raise _refused(
            f"{path} has {megapixels:.0f} megapixels, too many for a {_kind(picture)}, which can "
            "only be read as a whole.",
            LARGE,
            "save it as PNG, as baseline JPEG, or as TIFF without compression",
        )
    if picture.mode in UNBOUNDED:
        raise _refused(
            f"{path} has {picture.mode} pixels, whose brightest value is not known.",
            UNSCALED,
            "convert it to a PNG or TIFF of 8 or 16 bits a channel",
        )


def _kind(picture: ImageFile.ImageFile) -> str:
    if picture.format == "TIFF":
        return "TIFF that is compressed or turned"
    return f"progressive {picture.format}" if "progressive" in picture.info else f"{picture.format}"


def _at_once(picture: ImageFile.ImageFile) -> int:
    """Return about how many bytes a decoder needs that cannot work by the block, or 0.

    WebP: four canvases (measured: 16 bytes a pixel). TIFF: the pixels, and a strip that may be all
    of them. Progressive JPEG: two bytes for each coefficient of each component.
    """
    pixels = picture.width * picture.height
    if "progressive" in picture.info:
        factors = [(across, down) for _, across, down, _ in getattr(picture, "layer", ())]
        widest = max((across * down for across, down in factors), default=1)
        return 2 * pixels * sum(across * down for across, down in factors) // widest
    # Pillow turns a TIFF itself, all at once.
    is_turned = picture.format == "TIFF" and _turn(picture) != Turn()
    if picture.tile and picture.tile[0].codec_name in BY_BLOCK and not is_turned:
        return 0
    return pixels * (16 if picture.format == "WEBP" else 8)


def _spread_out(
    picture: ImageFile.ImageFile, file: _Blocks, scratch: Path | None
) -> Callable[[], None]:
    """Give a large picture a mapped file for its memory; return what lets its pages go."""
    stride = picture.width * PIXEL_BYTES.get(picture.mode, 4)
    size = stride * picture.height
    if size <= IN_MEMORY or _at_once(picture):
        return Raster.let_go
    with tempfile.TemporaryFile(dir=scratch) as room:
        # A write to a page for which there is no room would kill the process.
        os.posix_fallocate(room.fileno(), 0, size)
        pages = mmap.mmap(room.fileno(), size)
    mapped = Image.core.map_buffer  # type: ignore[attr-defined]
    picture.im = mapped(pages, picture.size, "raw", 0, (picture.mode, stride, 1))

    def let_go() -> None:
        pages.madvise(mmap.MADV_DONTNEED)

    file.on_read = let_go
    return let_go


def _turn(picture: Image.Image) -> Turn:
    """Return the turn that EXIF's orientation asks for; what else EXIF says does not matter."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:
        return Turn()
    return Turn(*TURNS.get(orientation, ())) if isinstance(orientation, int) else Turn()


def _rgb(strip: Image.Image) -> NDArray[np.uint8]:
    if strip.mode.startswith("I;16"):
        values = np.rint(np.asarray(strip) * (BRIGHTEST / DEEPEST)).astype(np.uint8)
        return np.repeat(values[:, :, None], 3, axis=2)
    with warnings.catch_warnings():  # Pillow would have palettes with alpha kept as they are
        warnings.simplefilter("ignore")
        return np.asarray(strip.convert("RGB"))
