"""From a network and calibration pictures to encodings, its channels equalised first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx

from openqnn.network import samples
from openqnn.network.onnx_network import Network
from openqnn.progress import say
from openqnn.quantization import qdq, recipe
from openqnn.quantization.encodings import Encodings
from openqnn.quantization.observe import Extremes, Range
from scripts import outputs
from scripts.catalog import Precision
from scripts.metrics import FP16_MAX, Features
from scripts.quantization import equalise, frailty, narrow
from scripts.quantization.frailty import Observed
from scripts.quantization.jury import Jury
from scripts.quantization.pins import Pins
from scripts.quantization.scaling import Scaling
from scripts.quantization.search import Search
from scripts.quantization.trial import Trial

# With at least FEW pictures, the last UNSEEN of them are kept from calibration.
FEW, UNSEEN = 8, 2
# What pictures that judge a choice are.
KEPT = "pictures that calibration has not seen"
OWN = "calibration's own pictures"
FRAIL = "calibration pictures that 8 bits hurt most"


def split(pictures: Sequence[Path]) -> tuple[Sequence[Path], Sequence[Path]]:
    """Return the pictures to calibrate on, and those to try: others, if there are many."""
    if len(pictures) < FEW:
        return pictures, pictures[:UNSEEN]
    return pictures[:-UNSEEN], pictures[-UNSEEN:]


@dataclass(frozen=True)
class Source:
    """A lowered network, its pictures, and how its activations are calibrated on them."""

    network: Path
    pictures: Sequence[Path]
    unseen: Sequence[Path]
    method: str
    equal: bool

    @cached_property
    def observed(self) -> Observed:
        """What the network does with its pictures: one pass, however often it is encoded."""
        network = self._loaded()
        scaling = Scaling(network)
        axes = {name: scaling.axes(name) for name in recipe.measured(network)}
        return frailty.observed(network, axes, self.pictures, self.unseen)

    @property
    def judging(self) -> str:
        """Return in words what the unseen pictures are: of few pictures none can be kept."""
        return OWN if set(self.unseen).issubset(self.pictures) else KEPT

    @property
    def frail(self) -> Sequence[Path]:
        """The pictures that 8 bits hurt most, others than the unseen ones."""
        return self.observed.frail(self.unseen)

    def encoded(self, precision: Precision, target: Path) -> Encodings:
        """Write the network that encodings belong to, and return them, at a precision's widths."""
        data, extremes = target.with_suffix(".onnx_data"), self.observed.extremes
        network, limits = scaled(self._loaded(), extremes, data, equal=self.equal)
        _audit(limits)
        bits, pictures = precision.activations, self.pictures
        encodings = recipe.encoded(network, limits, pictures, self.method, bits)
        if precision.linears:
            few, scope = precision.weights, precision.linears
            encodings = narrow.narrowed(network, encodings, pictures, few, scope)
        qdq.check(network, encodings)
        onnx.save(network.model, target)
        return encodings

    def _loaded(self) -> Network:
        network = Network.load(self.network)
        recipe.separate_constants(network)
        return network


@dataclass(frozen=True)
class Unseen:
    """Pictures to judge by, in words which, and the float network's outputs, [pictures, ...]."""

    pictures: Sequence[Features]
    reference: Mapping[str, Features]
    words: str = KEPT

    @classmethod
    def of(
        cls, network: Network, observed: Observed, files: Sequence[Path], words: str = KEPT
    ) -> Unseen:
        """Read raw pictures that were observed; of none there are no outputs."""
        if not files:
            return cls((), {}, words)
        pictures = [samples.read(file, network) for file in files]
        return cls(pictures, observed.joined(files), words)


def juries(unseen: Unseen, frail: Unseen, precision: Precision) -> list[Jury]:
    """Return those who judge widths: typical pictures, unseen if they can be, and frail ones.

    An output without CLS is judged by its mean alone, as its gate does: no frail ones then, and
    none where all pictures are unseen ones as well.
    """
    typical = Jury("unseen", unseen.words, unseen.pictures, unseen.reference)
    names = [name for name in frail.reference if outputs.has_cls(name)]
    if not names:
        return [typical]
    mean, hundredth = (1 - precision.gate[key] for key in ("cls_mean", "cls_p1"))
    weight = mean / hundredth
    hurt = Jury("frail", frail.words, frail.pictures, frail.reference, weight, cls_alone=True)
    return [typical, hurt]


def search(
    network: Network,
    made: Encodings,
    juries: Sequence[Jury],
    scratch: Path,
    pins: Pins | None = None,
) -> Search:
    """Return a search for the activations of an 8-bit network that need 16 bits."""
    return Search(network, Trial(network, made, scratch), juries, pins)


def scaled(
    network: Network, extremes: Mapping[str, Extremes], data: Path, *, equal: bool
) -> tuple[Network, dict[str, Range]]:
    """Return the network with its channels made `equal`, and its activations' ranges thereafter.

    One pass over the pictures gives both: a channel's extremes scale with it.
    """
    scaling, seen = Scaling(network), dict(extremes)
    factors = np.ones(scaling.variables.count)
    if equal:
        factors = equalise.choose(network, scaling, seen)
    for name in filter(scaling.axes, seen):
        seen[name] = seen[name].scaled(equalise.by_label(scaling, factors, scaling.labels[name]))
    network = equalise.apply(network, scaling, factors, data)
    return network, {name: one.range() for name, one in seen.items()}


def _audit(limits: dict[str, Range]) -> None:
    widest = max(limits, key=lambda name: limits[name].magnitude)
    say(f"  widest activation: {widest}, up to {limits[widest].magnitude:.4g}")
    for name, one in limits.items():
        if one.magnitude > FP16_MAX:
            say(f"  warning: {name} reaches {one.magnitude:.4g}: it would overflow in float16")


def mark(target: Path, precision: str) -> None:
    """Have a network's metadata name the precision that its encodings are for."""
    model = onnx.load(target, load_external_data=False)
    properties = {row.key: row.value for row in model.metadata_props}
    onnx.helper.set_model_props(model, {**properties, "precision": precision})
    target.write_bytes(model.SerializeToString(deterministic=True))
