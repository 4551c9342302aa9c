"""The data of the project: models, precisions and targets, each a line in a TOML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, TypeVar

from scripts import toml
from scripts.errors import UsageError
from scripts.picture_size import PictureSize
from scripts.words import nearest

_HERE = Path(__file__).parent
# torchvision's IMAGENET_DEFAULT_MEAN and _STD: the LVD-1689M weights; SAT-493M has its own.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# What a network may take: normalised [1, 3, height, width], or RGB bytes [1, height, width, 3].
INPUTS = FLOATS, BYTES = "float32", "uint8"
# Above so many patches the HTP simulator has time for one picture.
MANY_PATCHES = 400
# The architecture that gains.toml and widths.toml were measured for.
MEASURED_ARCH = "v73"
# How calibration chooses an activation's range: all of it, nearly all, or the least squared error.
# Which linear layers of a network have weights of 4 bits.
LINEARS = MLPS, EVERY_LINEAR = "mlp", "all"
METHODS = MIN_MAX, PERCENTILE, MSE = "min-max", "percentile", "mse"


@dataclass(frozen=True)
class Model:
    """A network of the DINOv3 family. Sizes are in pixels and channels."""

    name: str
    description: str
    weights: str
    image_size: int
    patch_size: int
    images: str
    calibration_images: int
    verify_images: int
    simulated_images: int
    hidden_size: int = 0
    layers: int = 0
    heads: int = 0
    intermediate_size: int = 0
    gated_mlp: bool = True
    qkv_bias: bool = True
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD

    @property
    def picture_size(self) -> PictureSize:
        """The size of pictures where nothing says another one."""
        return PictureSize.square(self.image_size)

    def simulated(self, size: PictureSize) -> int:
        """The number of held-out pictures that the HTP simulator judges, at a size."""
        many = prod(size.patches(self.patch_size)) > MANY_PATCHES
        return 1 if many else min(self.simulated_images, self.verify_images)

    @property
    def parameters(self) -> int:
        """The number of parameters that the exported network has.

        The sum over a layer: four projections (the key's without bias), two norms, two LayerScales,
        and the MLP's two or three matrices with biases.
        """
        width, inner = self.hidden_size, self.intermediate_size
        attention = 4 * width * width + (3 if self.qkv_bias else 1) * width
        mlp = (3 if self.gated_mlp else 2) * width * inner + width
        mlp += inner * (2 if self.gated_mlp else 1)
        embedding = 3 * self.patch_size**2 * width + width + 6 * width
        return self.layers * (attention + mlp + 6 * width) + embedding + 2 * width


@dataclass(frozen=True)
class Precision:
    """Bit widths, and lower bounds on the cosine against fp32.

    `budgeted` ones have activations of two widths, as many wide ones as a budget allows or needs,
    and the weights that they say or those of the precision `narrower`.
    `linears` says which linear layers have weights of less than 8 bits, `lowered_as` the precision
    whose measurements choose the rewrites, `next` the one to try where a gate is missed.
    """

    name: str
    weights: int
    activations: int
    gate: Mapping[str, float]
    budgeted: bool = False
    narrower: str = ""
    linears: str = ""
    lowered_as: str = ""
    next: str = ""


@dataclass(frozen=True)
class Target:
    """A board: Qualcomm's SoC number, HTP architecture, VTCM in MB, oldest glibc of its images.

    `socs` are the names by which boards of the same silicon call themselves, `lacks` the precisions
    that it cannot compute. `timed_by` is the target whose simulated times stand in where Qualcomm's
    compiler does not simulate this one's.
    """

    name: str
    description: str
    soc_model: int
    soc_name: str
    arch: str
    vtcm_mb: int
    glibc: str
    socs: Sequence[str] = ()
    lacks: Sequence[str] = ()
    timed_by: str = ""

    @property
    def clock(self) -> Target:
        """The target by whose simulated times this one's network gets its form."""
        return pick(targets(), self.timed_by, "target") if self.timed_by else self


@dataclass(frozen=True)
class Measured:
    """Simulated microseconds of a layer of a model at a size, and what each rewrite saves of them.

    `layer` is with the rewrites that are used, `plain` with none and `recipe` of the plain ONNX
    Runtime recipe, if that was measured. A saving below 0 is a cost.
    """

    model: str
    size: str
    precision: str
    layer: float
    saved: Mapping[str, float]
    plain: float | None = None
    recipe: float | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """The number of tokens, CLS and four registers among them, and the width."""
        model = models()[self.model]
        rows, columns = PictureSize.parse(self.size).patches(model.patch_size)
        return 5 + rows * columns, model.hidden_size


Entry = TypeVar("Entry", Model, Precision, Target)


def models() -> dict[str, Model]:
    """Return every known model by name."""
    return _load("models.toml", Model)


def precisions() -> dict[str, Precision]:
    """Return every known precision by name."""
    return _load("precisions.toml", Precision)


def more_exact(precision: Precision) -> list[Precision]:
    """Return the precisions to try where a network misses the gate of one, in their order."""
    entry = precisions().get(precision.next)
    return [entry, *more_exact(entry)] if entry else []


def targets() -> dict[str, Target]:
    """Return every known target by name."""
    return _load("targets.toml", Target)


def width_costs() -> dict[str, float]:
    """Return the simulated microseconds that 16 bits cost, by kind of activation."""
    return {name: float(cost) for name, cost in _read("widths.toml")["microseconds"].items()}


def gains() -> list[Measured]:
    """Return what the rewrites of `lower` were measured to save, at each size and precision."""
    return [Measured(**entry) for entry in _read("gains.toml").get("measured", [])]


def pick(entries: Mapping[str, Entry], name: str, what: str) -> Entry:
    """Return one entry by name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if name not in entries:
        remedy = f"{nearest(name, entries)}one of: {', '.join(entries)}"
        raise UsageError(f"There is no {what} {name!r}.", remedy=remedy)
    return entries[name]


def _load(file: str, kind: type[Entry]) -> dict[str, Entry]:
    known = {field.name for field in fields(kind)}
    entries = {}
    for name, values in _read(file).items():
        if unknown := set(values) - known:
            raise UsageError(f"{file}: [{name}] has unknown keys {sorted(unknown)}.")
        entries[name] = kind(name=name, **values)
    return entries


@cache
def _read(file: str) -> dict[str, Any]:
    return toml.load(_HERE / file)


def forget() -> None:
    """Read the files anew from now on."""
    _read.cache_clear()
