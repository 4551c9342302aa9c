"""Calibrate a network's activations, and write its quantisation encodings in AIMET's format.

Weights get one symmetric scale an output channel, activations one asymmetric scale a tensor.
The network itself stays float32; `qdq.insert` or `qnn-onnx-converter` applies the encodings.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from scripts import artefacts, catalog
from scripts.errors import UsageError
from scripts.stages import (
    calibration,
    clipping,
    encodings,
    equalise,
    program,
    qdq,
    roles,
    simulation,
    widths,
)
from scripts.stages.calibration import Range
from scripts.stages.encodings import Encoding, Encodings
from scripts.stages.frontier import Budget, Frontier
from scripts.stages.onnx_network import Network
from scripts.stages.picture_input import PictureInput
from scripts.stages.progress import say, track
from scripts.stages.roles import Role
from scripts.stages.scaling import Scaling
from scripts.stages.search import Search
from scripts.stages.trial import Trial

# Half of what 32 bits hold, in the units of the integer sums, which need room themselves.
LARGEST_BIAS = 2**30
# With other widths the HTP refuses a LayerNorm, or takes a third longer for a whole layer.
GAIN_BITS, SHIFT_BITS = 8, 32
# With at least FEW pictures, the last UNSEEN of them are kept from calibration.
FEW, UNSEEN = 8, 2
# The share of the gate's loss that quantising may use up; the rest is for other pictures.
MARGIN = 0.6


def main(arguments: argparse.Namespace) -> None:
    """Write the network that the encodings belong to, and the encodings."""
    precision = catalog.pick(catalog.precisions(), arguments.precision, "precision")
    if precision.weights != 8:
        raise UsageError(
            f"Precision {precision.name} has float weights: there is nothing to quantise.",
            remedy="go on with `invoke context`, or choose int8 or w8a16",
        )
    suffix = PictureInput.load(arguments.onnx).suffix
    pictures, unseen = split(calibration.raws(arguments.calibration, suffix))
    target = arguments.out / artefacts.quantized_onnx(arguments.model, arguments.precision)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = encoded(
        arguments.onnx,
        target,
        pictures,
        precision.activations,
        method=arguments.method,
        equal=arguments.equalise,
    )
    if precision.activations == widths.NARROW:
        with tempfile.TemporaryDirectory(dir=arguments.out) as scratch:
            search = prepared(target, made, unseen, Path(scratch))
            if precision.budgeted:
                raised = budgeted(arguments, target, made, search, Path(scratch))
            else:
                raised = search.run(1 - MARGIN * (1 - precision.gate["cls_mean"]))
        made = widths.raised(Network.load(target), made, raised)
        report = arguments.out / artefacts.widths(arguments.model, arguments.precision)
        report.write_text(json.dumps(search.named(raised), indent=1) + "\n")
    made.save(arguments.out / artefacts.encodings(arguments.model, arguments.precision))
    say(f"  {len(made.activations)} activations and {len(made.params)} constants have encodings")


def split(pictures: Sequence[Path]) -> tuple[Sequence[Path], Sequence[Path]]:
    """Return the pictures to calibrate on, and those to try: others, if there are many."""
    if len(pictures) < FEW:
        return pictures, pictures[:UNSEEN]
    return pictures[:-UNSEEN], pictures[-UNSEEN:]


def encoded(
    source: Path, target: Path, pictures: Sequence[Path], bits: int, *, method: str, equal: bool
) -> Encodings:
    """Write the network that encodings belong to, and return them, for activations of a width."""
    network = Network.load(source)
    separate_constants(network)
    network, limits = scaled(network, pictures, target.with_suffix(".onnx_data"), equal=equal)
    made = Encodings(
        activation_encodings(network, limits, pictures, method, bits),
        param_encodings(network, bits),
    )
    fit_biases(network, made)
    qdq.check(network, made)
    onnx.save(network.model, target)
    return made


def prepared(path: Path, made: Encodings, unseen: Sequence[Path], scratch: Path) -> Search:
    """Return a search for the activations of an 8-bit network that need 16 bits."""
    network = Network.load(path)
    pictures = [PictureInput.of(network).read(one) for one in unseen]
    reference = np.concatenate(calibration.outputs(network, pictures, "reference"))
    return Search(network, Trial(path, made, scratch), pictures, reference)


def budgeted(
    arguments: argparse.Namespace, path: Path, made: Encodings, search: Search, scratch: Path
) -> set[str]:
    """Return the activations to raise within a budget, and write the frontier."""

    def simulate(wide: set[str]) -> float:
        encodings = widths.raised(Network.load(path), made, wide)
        return simulation.milliseconds(path, encodings, arguments.target, scratch)

    found = Frontier(search, simulate)
    chosen = found.choose(Budget(arguments.max_ms, arguments.min_cosine))
    found.save(arguments.out / artefacts.frontier(arguments.model, arguments.precision))
    return chosen


def scaled(
    network: Network, pictures: Sequence[Path], data: Path, *, equal: bool
) -> tuple[Network, dict[str, Range]]:
    """Return the network with its channels made `equal`, and its activations' ranges thereafter.

    One pass over the pictures gives both: a channel's extremes scale with it.
    """
    scaling = Scaling(network)
    axes = {name: scaling.axes(name) for name in measured(network)}
    seen = calibration.extremes(network, axes, pictures)
    factors = np.ones(scaling.variables.count)
    if equal:
        factors = equalise.choose(network, scaling, seen)
    for name in filter(axes.get, axes):
        seen[name] = seen[name].scaled(equalise.by_label(scaling, factors, scaling.labels[name]))
    network = equalise.apply(network, scaling, factors, data)
    return network, {name: one.range() for name, one in seen.items()}


def measured(network: Network) -> list[str]:
    """Return the activations that need calibration: movers share, some outputs are in [0, 1]."""
    producers = network.producers()
    return [
        name
        for name in dict.fromkeys(widths.quantized_as(network).values())
        if name not in producers or producers[name].op_type not in roles.UNIT_OUTPUT
    ]


def separate_constants(network: Network) -> None:
    """Give every use of a constant in another role, or along another axis, a copy of its own.

    The copies share the bytes of external data.
    """
    first: dict[str, tuple[Role, int]] = {}
    for node in network.graph.node:
        for index, name in enumerate(node.input):
            if not network.is_float(name):
                continue
            rank = len(network.constants[name].dims)
            part = roles.role(node, index)
            use = (part, roles.output_axis(node, rank) if part is Role.WEIGHT else 0)
            if first.setdefault(name, use) == use:
                continue
            node.input[index] = network.add_copy(name, f"{name}.{part.value}{use[1]}")
            first[node.input[index]] = use


def activation_encodings(
    network: Network, limits: dict[str, Range], pictures: Sequence[Path], method: str, bits: int
) -> dict[str, Encoding]:
    """Return an encoding for every activation, given the ranges of the measured ones."""
    producers, source = network.producers(), widths.quantized_as(network)
    _audit(limits)
    if method != catalog.MIN_MAX:
        found = calibration.histograms(network, limits, pictures)
        limits = {name: clipping.cut(one, method, bits) for name, one in found.items()}
    own = {name: encodings.asymmetric(one.low, one.high, bits) for name, one in limits.items()}
    for name in set(source.values()) - own.keys():
        own[name] = unit_encoding(producers[name].op_type, bits)
    return {**widths.given(network), **{name: own[first] for name, first in source.items()}}


def unit_encoding(operator: str, bits: int) -> Encoding:
    """Return the encoding of values in [0, 1]; the HTP prescribes 2^-bits for a Sigmoid."""
    scale = 2.0**-bits if operator == "Sigmoid" else 1 / (2**bits - 1)
    return encodings.fixed(scale, 0, bits)


def param_encodings(network: Network, bits: int) -> dict[str, Encoding]:
    """Return an encoding for every float constant but the biases."""
    uses = [
        (node, index)
        for node in network.graph.node
        for index, name in enumerate(node.input)
        if network.is_float(name) and roles.role(node, index) not in roles.UNENCODED
    ]
    made: dict[str, Encoding] = {}
    for node, index in track(uses, "weights"):
        name = node.input[index]
        values = network.array(name)
        if roles.role(node, index) is Role.WEIGHT:
            axis = roles.output_axis(node, values.ndim)
            others = tuple(one for one in range(values.ndim) if one != axis)
            made[name] = encodings.symmetric(np.abs(values).max(axis=others), 8)
        elif roles.role(node, index) is Role.SHIFT:
            made[name] = encodings.symmetric([float(np.abs(values).max())], SHIFT_BITS)
        else:
            width = GAIN_BITS if roles.role(node, index) is Role.GAIN else bits
            made[name] = encodings.asymmetric(float(values.min()), float(values.max()), width)
    return made


def fit_biases(network: Network, made: Encodings) -> None:
    """Widen the scales of weights whose bias would not fit into 32 bits in the units of the sums.

    A channel with a large constant part, as DINO's residual has, meets a fine 16-bit input there.
    """
    for node in network.graph.node:
        if len(node.input) > 2 and roles.role(node, 2) is Role.BIAS:
            weight = made.params[node.input[1]]
            bias = np.abs(np.asarray(network.array(node.input[2]), np.float64))
            bits = made.activations[node.output[0]].bits
            least = bias / (made.activations[node.input[0]].at(bits).scale * LARGEST_BIAS)
            scales = np.maximum(np.array(weight.scales), least).astype(np.float32)
            made.params[node.input[1]] = replace(weight, scales=tuple(scales.tolist()))


def _audit(limits: dict[str, Range]) -> None:
    widest = max(limits, key=lambda name: limits[name].magnitude)
    say(f"  widest activation: {widest}, up to {limits[widest].magnitude:.4g}")
    for name, one in limits.items():
        if one.magnitude > calibration.FP16_MAX:
            say(f"  warning: {name} reaches {one.magnitude:.4g}: it would overflow in float16")


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog")
    parser.add_argument("--precision", required=True, help="int8, w8a16 or mixed")
    parser.add_argument("--onnx", type=Path, required=True, help="float32 network")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration set")
    parser.add_argument("--method", choices=catalog.METHODS, default=catalog.MIN_MAX)
    parser.add_argument(
        "--no-equalise", dest="equalise", action="store_false", help="keep channels as they are"
    )
    parser.add_argument("--target", help="board whose time counts, for mixed")
    parser.add_argument("--max-ms", type=float, help="simulated milliseconds that mixed may take")
    parser.add_argument("--min-cosine", type=float, help="worst cosine that mixed must reach")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
