"""Between AIMET's encodings and ours: what a user's file says of a network, and ours for AIMET.

AIMET leaves out what another tensor says: outputs of operators that only move values share their
input's grid, and biases have the scale of their sums. The HTP prescribes more: 8 bits for the gain
of a LayerNormalization, 2^-bits for a Sigmoid. There the file does not count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from openqnn.network import roles
from openqnn.network.onnx_network import DataFile, Network
from openqnn.network.roles import Role
from openqnn.quantization import qdq, recipe, sharing
from openqnn.quantization.encodings import Encoding, Encodings, fixed
from scripts import aimet_encodings
from scripts.aimet_encodings import Grid
from scripts.catalog import Precision
from scripts.errors import UsageError
from scripts.quantization import norms, widths

_WIDTHS = {widths.NARROW, widths.WIDE}
_GAIN = (Role.GAIN, recipe.GAIN_BITS)


def adopted(source: Path, target: Path, file: Path, precision: Precision) -> Encodings:
    """Write the network of `source` to `target`, its values as they are, and return its encodings.

    Raises:
        UsageError: the file is of another network, or has what the HTP or the precision has not.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    network, grids = Network.load(source), aimet_encodings.read(file)
    before = _constants(network)
    _require_own(grids, {*network.float_tensors(), *before}, file)
    recipe.separate_constants(network)
    for copy, name in zip(_constants(network), before, strict=True):
        if name in grids:
            grids[copy] = grids[name]
    adoption = _Adoption(network, grids, precision, file)
    encodings = recipe.fitted(network, Encodings(adoption.activations(), adoption.params()))
    _save(network, target)
    qdq.check(network, encodings)
    return encodings


def save_widths(network: Network, encodings: Encodings, file: Path) -> None:
    """Write what `widths.json` says where nothing was chosen: the widths of every kind."""
    by_width: dict[str, object] = {"why": {"reason": "the file of --encodings says so"}}
    for bits in (widths.WIDE, widths.NARROW):
        kinds = {
            kind: [name for name in names if encodings.activations[name].bits == bits]
            for kind, names in widths.kinds(network).items()
        }
        by_width[str(bits)] = {kind: names for kind, names in kinds.items() if names}
    file.write_text(json.dumps(by_width, indent=1) + "\n")


def save(network: Network, encodings: Encodings, file: Path) -> None:
    """Write a network's encodings in the newest version of AIMET's format."""
    aimet_encodings.write(file, grids(network, encodings))


def grids(network: Network, encodings: Encodings) -> dict[str, Grid]:
    """Return encodings as AIMET has them: what values that are only moved have, it derives."""
    own = set(sharing.quantized_as(network).values()) | sharing.given(network).keys()
    axes = {name: axis for name, _, role, axis in _uses(network) if role is Role.WEIGHT}
    activations = {
        name: _grid(encodings.activations[name]) for name in network.float_tensors() if name in own
    }
    params = {name: _grid(encoding, axes.get(name)) for name, encoding in encodings.params.items()}
    return {**activations, **params}


@dataclass(frozen=True)
class _Adoption:
    """What a file says of the tensors of a network no constant of which plays two parts."""

    network: Network
    grids: Mapping[str, Grid]
    precision: Precision
    file: Path

    def activations(self) -> dict[str, Encoding]:
        """Return an encoding of every activation: its own, or that of the values it moves."""
        producers, source = self.network.producers(), sharing.quantized_as(self.network)
        allowed = {self.precision.activations, widths.WIDE}
        own: dict[str, Encoding] = {}
        for name, first in source.items():
            if first not in own and (grid := self.grids.get(first) or self.grids.get(name)):
                own[first] = self._asymmetric(name, grid, allowed)
        for first in dict.fromkeys(source.values()):
            if first not in own:
                raise self._refusal(first, "has no grid")
            operator = producers[first].op_type if first in producers else ""
            if operator in roles.UNIT_OUTPUT:
                own[first] = recipe.unit_encoding(operator, own[first].bits)
        moved = {name: own[first] for name, first in source.items()}
        return {**sharing.given(self.network), **moved}

    def params(self) -> dict[str, Encoding]:
        """Return an encoding of every constant that has one; gains and shifts may have ours."""
        params = recipe.param_encodings(self.network, self.precision.activations)
        for name, shape, role, axis in _uses(self.network):
            grid = self.grids.get(name)
            if role is Role.WEIGHT:
                params[name] = self._weight(name, grid, shape, axis)
            elif grid and (role is Role.OPERAND or (role, grid.bits) == _GAIN):
                params[name] = self._asymmetric(name, grid, _WIDTHS)
        return params

    def _asymmetric(self, name: str, grid: Grid, allowed: Set[int]) -> Encoding:
        if grid.bits not in allowed:
            bits = " or ".join(map(str, sorted(allowed)))
            raise self._refusal(name, f"has {grid.bits} bits, and {self.precision.name} has {bits}")
        if len(grid.scales) > 1:
            raise self._refusal(name, "has a scale a channel: an activation has one")
        if not -(2**grid.bits) < grid.offsets[0] <= 0:
            raise self._refusal(name, "has a range without zero")
        return fixed(grid.scales[0], grid.offsets[0], grid.bits)

    def _weight(self, name: str, grid: Grid | None, shape: Sequence[int], axis: int) -> Encoding:
        if grid is None:
            raise self._refusal(name, "has no grid")
        allowed = sorted({self.precision.weights, recipe.WEIGHT_BITS})
        if grid.bits not in allowed:
            bits = " or ".join(map(str, allowed))
            raise self._refusal(name, f"has {grid.bits} bits: weights have {bits}")
        if not grid.is_symmetric:
            raise self._refusal(name, "is not symmetric: a weight's zero is in the middle")
        channels = shape[axis]
        if len(grid.scales) == 1:
            return Encoding(grid.bits, grid.scales * channels, grid.offsets[0], symmetric=True)
        if len(grid.scales) != channels or grid.axis not in (None, axis, axis - len(shape)):
            raise self._refusal(name, f"has no scale for each of its {channels} output channels")
        return Encoding(grid.bits, grid.scales, grid.offsets[0], symmetric=True)

    def _refusal(self, name: str, reason: str) -> UsageError:
        return UsageError(
            f"The encodings {self.file} cannot be used: {name!r} {reason}.",
            cause="a simulation that quantises less than the HTP, or other widths",
            remedy='a QuantizationSimModel(..., config_file="htp_v73") of the lowered network',
        )


def _require_own(grids: Mapping[str, Grid], names: set[str], file: Path) -> None:
    others = sorted(grids.keys() - names)
    if any(name.startswith(f"{norms.NO_SHIFT}.") for name in others):
        raise UsageError(
            f"The encodings {file} are of the equalised network, not of the lowered one.",
            cause="a build wrote them for its own `dinov3_<model>_<precision>.onnx`",
            remedy="those that AIMET exported of `dinov3_<model>_<precision>_lowered.onnx`, or "
            "leave --encodings out: the build has these anyway",
        )
    if others:
        raise UsageError(
            f"The encodings {file} have the tensor {others[0]!r}, which the network has not.",
            cause="they are of another network, of another size, or were made before a new `lower`",
            remedy="those of `models/dinov3_<model>_<precision>_lowered.onnx` of this build",
        )


def _constants(network: Network) -> list[str]:
    """Return the float constants as nodes read them, in order."""
    return [name for node in network.graph.node for name in node.input if network.is_float(name)]


def _uses(network: Network) -> Iterator[tuple[str, Sequence[int], Role, int]]:
    """Yield every use of a float constant: its name, shape, role, and axis of output channels."""
    for node in network.graph.node:
        for index, name in enumerate(node.input):
            if network.is_float(name):
                shape = network.constants[name].dims
                yield name, shape, roles.role(node, index), roles.output_axis(node, len(shape))


def _save(network: Network, target: Path) -> None:
    """Write a network and a data file of its own."""
    with DataFile(target.with_suffix(".onnx_data")) as data:
        for tensor in network.graph.initializer:
            values = network.array(tensor.name)
            write = partial(np.asarray, values)
            tensor.CopyFrom(data.defer(tensor.name, values.dtype, values.shape, write))
    onnx.save(network.model, target)


def _grid(encoding: Encoding, axis: int | None = None) -> Grid:
    offsets = (encoding.offset,) * len(encoding.scales)
    return Grid(encoding.bits, encoding.scales, offsets, axis)
