"""From numbers to colours, and from colours to pictures inside a page.

Cividis (Nunez, Anderton and Renslow, 2018) is read alike with and without colour blindness, and
grows lighter with every step, so that it is read in grey as well.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scripts.report.record import Pixels, Sample, Values

_CIVIDIS = (
    *((0, 32, 77), (49, 68, 107), (102, 105, 112)),
    *((149, 143, 120), (203, 186, 105), (255, 234, 70)),
)
# The colours of a loss go from a cosine of 1 - 1e-4 to one of 0, by powers of ten.
_LEAST_LOSS = 4.0
# Steps of what is computed from float32 features: processors disagree in their last digits, and few
# steps make it rare that one falls on either side of a border.
_STEPS = 15
# Photographs are shown this large at most, and are JPEG from this size on.
_LARGEST, _LARGE = 128, 48


def scale(steps: int) -> list[str]:
    """Return the colours from the least to the most, as CSS has them."""
    return [f"rgb({r} {g} {b})" for r, g, b in _coloured(np.linspace(0, 1, steps)).reshape(-1, 3)]


def losses(cosines: Values) -> Pixels:
    """Return a picture of cosines: the darker the closer to 1, by powers of ten of the distance."""
    decades = np.log10(np.maximum(1 - cosines, 10**-_LEAST_LOSS))
    return _coloured(_stepped(1 + decades / _LEAST_LOSS))


def similarity(features: Values, patch: tuple[int, int]) -> Pixels:
    """Return a picture of each patch's cosine with one of them: 0 and below dark, 1 light."""
    unit = features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12)
    return _coloured(_stepped((unit @ unit[patch]).clip(0, 1)))


def salient(features: Values) -> tuple[int, int]:
    """Return the row and column of the patch that is least like the mean of its picture."""
    distances = np.linalg.norm(features - features.mean(axis=(0, 1)), axis=-1)
    row, column = np.unravel_index(int(distances.argmax()), distances.shape)
    return int(row), int(column)


def components(samples: Sequence[Sample]) -> list[tuple[Pixels, Pixels]]:
    """Return each sample's patches as RGB, in float32 and of the context.

    Red, green and blue are the first three principal components of float32's patches of all
    samples; a component's 1st and 99th percentile are its darkest and lightest. The context is
    projected onto the same components and scaled alike, so equal colours mean equal features.
    """
    everything = np.concatenate(
        [sample.reference.reshape(-1, _hidden(sample)) for sample in samples]
    )
    mean = everything.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(everything - mean, rowvar=False))
    basis = _oriented(vectors[:, ::-1][:, :3])
    low, high = np.percentile((everything - mean) @ basis, (1, 99), axis=0)

    def shown(features: Values) -> Pixels:
        levels = ((features - mean) @ basis - low) / np.maximum(high - low, 1e-12)
        return np.rint(_stepped(levels.clip(0, 1)) * 255).astype(np.uint8)

    return [(shown(sample.reference), shown(sample.context)) for sample in samples]


def photograph(pixels: Pixels) -> str:
    """Return a picture as the address of an image in a page, not larger than a thumbnail."""
    image = Image.fromarray(pixels)
    image.thumbnail((_LARGEST, _LARGEST))
    is_large = max(image.size) > _LARGE
    return _address(image, "JPEG" if is_large else "PNG")


def tile(pixels: Pixels) -> str:
    """Return a picture, one pixel a patch, as the address of an image in a page."""
    return _address(Image.fromarray(pixels), "PNG")


def sheet(pictures: Sequence[Pixels], columns: int, side: int) -> str:
    """Return pictures in rows as one image, each within a square of `side` pixels."""
    rows = -(-len(pictures) // columns)
    paper = Image.new("RGB", (columns * side, rows * side), (128, 128, 128))
    for place, pixels in enumerate(pictures):
        picture = Image.fromarray(pixels)
        picture.thumbnail((side, side))
        row, column = divmod(place, columns)
        paper.paste(picture, (column * side, row * side))
    return _address(paper, "JPEG" if side > _LARGE else "PNG")


def _hidden(sample: Sample) -> int:
    return int(sample.reference.shape[-1])


def _oriented(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a basis in which each vector's largest element is positive: signs are arbitrary."""
    largest = np.abs(basis).argmax(axis=0)
    signs: NDArray[np.float64] = np.sign(basis[largest, range(basis.shape[1])])
    return basis * signs


def _stepped(levels: Values) -> Values:
    """Return the nearest of a few steps between 0 and 1."""
    steps: Values = np.rint(levels * _STEPS) / _STEPS
    return steps


def _coloured(levels: Values) -> Pixels:
    """Return the colours of levels between 0 and 1."""
    at = np.linspace(0, 1, len(_CIVIDIS))
    channels = [np.interp(levels, at, [colour[i] for colour in _CIVIDIS]) for i in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def _address(image: Image.Image, form: str) -> str:
    data = io.BytesIO()
    image.save(data, form, quality=85, optimize=True)
    return f"data:image/{form.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"
