"""What a report tells, as frozen data: read from files in one place, shown in another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # what only names these types does without
    import numpy as np
    from numpy.typing import NDArray

Pixels: TypeAlias = "NDArray[np.uint8]"
Values: TypeAlias = "NDArray[np.float64]"


@dataclass(frozen=True)
class Verdict:
    """`figures` against their lower bounds `gate`; `measures` are what else was judged.

    `pictures` is in words what stands behind the figures; `by_picture` the cosine of each picture:
    that of CLS, or where the network does not give it, the mean of the patches'. `widest` says
    which activation of the exported network is the largest. `disagreements` name the figures in
    which simulator and CPU are further apart than rounding is.
    """

    figures: Mapping[str, float]
    gate: Mapping[str, float]
    is_applied: bool
    pictures: str
    measures: Mapping[str, str]
    by_picture: Mapping[str, float]
    widest: str = ""
    has_cls: bool = True
    disagreements: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        """Return what the pictures' cosines are of."""
        return "CLS" if self.has_cls else "patches"

    @property
    def missed(self) -> list[str]:
        """Return the names of the figures below their bounds."""
        own = [name for name, bound in self.gate.items() if not self.figures[name] >= bound]
        return [*own, *self.disagreements]

    def used(self, name: str) -> float:
        """Return the share that a figure uses of the loss that its bound allows; above 1 it fails.

        A loss is the distance of a cosine from 1.
        """
        return (1 - self.figures[name]) / (1 - self.gate[name])


@dataclass(frozen=True)
class Picture:
    """A held-out picture: RGB [height, width, 3], its cosine, those of its patches."""

    source: str
    pixels: Pixels
    cosine: float
    patches: Values | None


@dataclass(frozen=True)
class Sample:
    """A picture's patch features [rows, columns, hidden], in float32 and of the context."""

    picture: Picture
    reference: Values
    context: Values


@dataclass(frozen=True)
class Tensor:
    """An activation: its bits (16 of float16, too) and the ends of its range."""

    name: str
    bits: int
    low: float
    high: float

    @property
    def magnitude(self) -> float:
        """Return the larger of its ends' distances from 0."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class Layer:
    """A tensor of the residual stream, quantised against float32: signal to noise in decibels."""

    tensor: str
    snr_db: float
    cosine: float


@dataclass(frozen=True)
class Stage:
    """A stage of the build: seconds of its last run, peak memory in bytes, whether it ran now."""

    name: str
    seconds: float
    memory: int
    ran: bool


@dataclass(frozen=True)
class Artefact:
    """A file: its name, bytes and SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class BoardRun:
    """A golden run of the archive on a board: microseconds, cosine of its output, when."""

    device: str
    p50: float
    p90: float
    p99: float
    cosine: float
    at: str


@dataclass(frozen=True)
class Run:
    """What only this machine's run of a build can tell: its times, the archive, boards' times."""

    stages: tuple[Stage, ...]
    archive: Artefact | None
    boards: tuple[BoardRun, ...] = ()


@dataclass(frozen=True)
class Report:
    """All that a page shows. `facts` are lines of the header; empty parts were not measured."""

    title: str
    facts: Mapping[str, str]
    origin: Mapping[str, str]
    synthetic: bool
    verdict: Verdict
    samples: tuple[Sample, ...]
    pictures: tuple[Picture, ...]
    layers: tuple[Layer, ...]
    tensors: tuple[Tensor, ...]
    is_float: bool
    widths: Mapping[str, Any]
    profile: Mapping[str, Any]
    frontier: tuple[Mapping[str, Any], ...]
    rewrites: tuple[Mapping[str, Any], ...]
    calibration: tuple[Pixels, ...]
    calibration_facts: Mapping[str, str]
    artefacts: tuple[Artefact, ...]
    run: Run | None = None
