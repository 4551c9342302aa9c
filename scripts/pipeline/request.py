"""What a user asks for, checked before any work starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import artefacts, catalog
from scripts.catalog import Model, Precision, Target
from scripts.errors import CalibrationError, CheckpointError, SdkError, UsageError
from scripts.source import ROOT

BUILTIN_WEIGHTS = ROOT / "scripts" / "catalog" / "digits"
_RANDOM = re.compile(r"random(:\d+)?")


@dataclass(frozen=True)
class Request:
    """One build: which network, how exact, for which board, from which files."""

    model: Model
    precision: Precision
    target: Target
    weights: str
    build_dir: Path
    images: Path | None = None
    heldout: Path | None = None
    sdk: Path | None = None
    gate: bool = True
    max_ms: float = 0.0
    min_cosine: float = 0.0
    input: str = catalog.FLOATS
    method: str = catalog.MIN_MAX

    @property
    def root(self) -> Path:
        """Folder of all artefacts of this model."""
        return self.build_dir / self.model.name

    @property
    def archive(self) -> Path:
        """The deployable archive of this build."""
        names = (self.model.name, self.precision.name, self.target.name)
        return self.root / artefacts.package(*names)

    @property
    def synthetic(self) -> bool:
        """Whether the weights are random numbers."""
        return _RANDOM.fullmatch(self.weights) is not None

    @property
    def weights_directory(self) -> Path | None:
        """The Hugging Face directory on this machine, or None for random or hub weights."""
        if self.weights == "builtin":
            return BUILTIN_WEIGHTS
        return None if self.synthetic or self.from_hub else Path(self.weights)

    @property
    def from_hub(self) -> bool:
        """Whether the weights are to be fetched from the Hugging Face hub."""
        return self.weights == "hf"


def make(
    *,
    model: str,
    precision: str,
    target: str,
    weights: str = "",
    build_dir: str = "build",
    images: str = "",
    heldout: str = "",
    sdk: str = "",
    gate: bool = True,
    max_ms: float = 0.0,
    min_cosine: float = 0.0,
    input: str = catalog.FLOATS,
    method: str = catalog.MIN_MAX,
) -> Request:
    """Return a checked request.

    Raises:
        UsageError: an unknown name, or options that contradict each other.
        CheckpointError: the weights directory is not one.
        CalibrationError: a picture folder is not one.
        SdkError: the SDK folder holds no SDK.
    """
    network = catalog.pick(catalog.models(), model, "model")
    bits = catalog.pick(catalog.precisions(), precision, "precision")
    _require_budget(bits, max_ms, min_cosine)
    _require("input", input, catalog.INPUTS)
    _require("calibration method", method, catalog.METHODS)
    if bits.weights == 16 and method != catalog.MIN_MAX:
        raise UsageError(f"Precision {bits.name} has no ranges to calibrate: leave --method out.")
    return Request(
        model=network,
        precision=bits,
        target=catalog.pick(catalog.targets(), target, "target"),
        weights=_weights(network, weights),
        build_dir=Path(build_dir).resolve(),
        images=_pictures(images),
        heldout=_pictures(heldout, needs=images),
        sdk=_sdk(sdk),
        gate=gate,
        max_ms=max_ms,
        min_cosine=min_cosine,
        input=input,
        method=method,
    )


def _require(what: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise UsageError(f"There is no {what} {given!r}.", remedy=f"one of: {', '.join(known)}")


def _require_budget(precision: Precision, max_ms: float, min_cosine: float) -> None:
    if max_ms < 0 or not 0 <= min_cosine < 1:
        raise UsageError("--max-ms is a number above 0, --min-cosine one between 0 and 1.")
    if precision.budgeted and not (max_ms or min_cosine):
        raise UsageError(
            f"Precision {precision.name} needs a budget.",
            remedy="--min-cosine 0.995 for the fastest that is so exact, or --max-ms 25 for the "
            "most exact that is so fast",
        )
    if not precision.budgeted and (max_ms or min_cosine):
        raise UsageError(
            f"Precision {precision.name} takes no budget.", remedy="choose --precision mixed"
        )


def _weights(model: Model, given: str) -> str:
    builtin = model.weights == "builtin"
    if not given:
        return "builtin" if builtin else "hf"
    if given == "hf" and builtin:
        raise UsageError(f"{model.name} is not on the hub.", remedy="leave --weights out")
    if given in ("hf", "builtin") or _RANDOM.fullmatch(given):
        return given
    if not (Path(given) / "config.json").is_file():
        raise CheckpointError(
            f"{given} is not a Hugging Face model directory: it has no config.json.",
            remedy="--weights takes a directory, hf, or random[:SEED]",
        )
    return str(Path(given).resolve())


def _pictures(given: str, needs: str = "given") -> Path | None:
    if not given:
        return None
    if not needs:
        raise UsageError("--heldout needs --images: give both, or --images alone.")
    if not Path(given).is_dir():
        raise CalibrationError(f"{given} is not a folder of pictures.")
    return Path(given).resolve()


def _sdk(given: str) -> Path | None:
    if not given:
        return None
    if not (Path(given) / "sdk.yaml").is_file():
        raise SdkError(
            f"{given} is not a QAIRT SDK: it has no sdk.yaml.",
            cause="the folder above or below the SDK's root was given",
            remedy="give the folder that holds bin/, lib/ and sdk.yaml: qairt/<version>",
        )
    return Path(given).resolve()
