"""A quantised network on the CPU, whose activations' widths are chosen anew for every run.

Weights are integers. Every activation has an 8-bit and a 16-bit grid, and an input tells which to
take, so one session tries any choice.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

from openqnn.network import pieces, roles
from openqnn.network.onnx_network import Network, SharedConstants
from openqnn.network.pieces import Piece
from openqnn.network.relay import DOMAIN, PIECE, Relay, Runner
from openqnn.progress import track
from openqnn.quantization import qdq, recipe, sharing
from openqnn.quantization.encodings import Encoding, Encodings
from scripts import metrics
from scripts.metrics import Features
from scripts.quantization import widths
from scripts.quantization.switched_sums import SwitchedSums
from scripts.quantization.widths import NARROW, WIDE

CHOICE = "trial.wide"
ENDS = "low", "high"
# As many pieces of a network, at least, are asked for all kinds; others for those that matter.
SAMPLED = 8
# The share of all that is lost below which a kind does not matter.
NEGLIGIBLE = 0.001
# The least power of a signal: that of tokens that are nought throughout.
TINY = 1e-30


@dataclass(frozen=True, eq=False)
class _Step:
    """A piece of a network, what enters it, and what leaves it with 16 bits throughout."""

    piece: Piece
    runner: Runner
    values: Sequence[Features]
    exact: Mapping[str, Sequence[Features]]


class Trial:
    """A network to be run with any of its activations at 16 bits, and the others at 8."""

    def __init__(self, network: Network, encodings: Encodings, scratch: Path) -> None:
        """Write the trial's files into the folder `scratch`."""
        source = sharing.quantized_as(network)
        self.tensors = [name for name in source if source[name] == name]
        self._activations = encodings.activations
        self._gains = _gains(network)
        everything = widths.at(encodings.activations, source, WIDE)
        # Weights have scales for biases in the units of 16-bit inputs, whatever is chosen later.
        widest = recipe.fitted(network, Encodings(everything, encodings.params))
        model = qdq.write(network, _in_bytes(widest), scratch / "trial.onnx")
        switched = {name: encodings.activations[name] for name in self.tensors}
        coarse = _coarse(network, widest.params)
        _Switch(Network(model, scratch), switched, source, coarse).install()
        integers = Network(model, scratch)
        self._ends = {value.name for value in model.graph.output}
        extractor = pieces.Extractor(integers)
        self._pieces = pieces.cut(integers, PIECE)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            opened = pool.map(
                lambda piece: Runner(piece, extractor.model(piece), scratch), self._pieces
            )
            self._runners = list(opened)

    def __call__(self, wide: Collection[str], pictures: Sequence[Features]) -> dict[str, Features]:
        """Return the outputs for pictures [1, 3, height, width], some activations at 16 bits."""
        values: Sequence[Features] = pictures
        features: dict[str, Features] = {}
        for runner in self._runners:
            outputs = self._through(runner, values, wide)
            values = outputs[runner.result]
            ends = self._ends.intersection(outputs)
            features |= {name: np.concatenate(outputs[name]) for name in sorted(ends)}
        return features

    def losses(
        self, kinds: Mapping[str, str], pictures: Sequence[Features]
    ) -> dict[tuple[str, ...], float]:
        """Return what 8 bits cost tensors of one kind in one piece of the network, all in one pass.

        Every piece is run with 16 bits throughout, then with each of its groups at 8 bits alone.
        The loss is half the noise-to-signal ratio of what leaves the piece, as the next norm sees
        it (1 - cosine of a vector with that much noise), of CLS or of the mean token if that is
        more. The residual stream carries it on to the output. Where a piece has outputs of the
        network as well, the worst counts. Of a deep network a sample of pieces tells what kinds
        lose next to nothing; in the others these are taken to lose as much as there.
        """
        steps = [*self._steps(pictures)]
        stride = max(1, len(steps) // SAMPLED)
        sample = steps[::stride]
        losses: dict[tuple[str, ...], float] = {}
        for step in track(sample, "what 8 bits lose, in a sample of layers"):
            losses |= self._lost(step, _groups(step.piece, kinds))
        known = _negligible(losses, kinds)
        for step in track([step for step in steps if step not in sample], "what 8 bits lose"):
            groups = {group: kinds[group[0]] for group in _groups(step.piece, kinds)}
            losses |= {group: known[kind] for group, kind in groups.items() if kind in known}
            losses |= self._lost(step, [group for group in groups if group not in losses])
        return losses

    def _steps(self, pictures: Sequence[Features]) -> Iterator[_Step]:
        """Yield the pieces in turn, and what enters and leaves them with 16 bits throughout."""
        values, everything = pictures, set(self.tensors)
        for piece, runner in zip(self._pieces, self._runners, strict=True):
            exact = self._through(runner, values, everything)
            yield _Step(piece, runner, values, exact)
            values = exact[piece.result]

    def _lost(self, step: _Step, groups: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
        """Return what a piece loses with each of some groups at 8 bits alone."""
        choices = [set(self.tensors).difference(group) for group in groups]
        through = partial(self._through, step.runner, step.values)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return {
                group: max(
                    self._loss(result, exact, narrow[result], set(group))
                    for result, exact in step.exact.items()
                )
                for group, narrow in zip(groups, pool.map(through, choices), strict=True)
            }

    def _through(
        self, runner: Runner, values: Sequence[Features], wide: Collection[str]
    ) -> dict[str, list[Features]]:
        """Return what leaves a piece, one value a picture."""
        relay = Relay(values, {CHOICE: np.array([name in wide for name in self.tensors])})
        outputs = [*relay.through(runner)]
        return {name: [values[name] for values in outputs] for name in outputs[0]}

    def _loss(
        self,
        result: str,
        exact: Sequence[Features],
        narrow: Sequence[Features],
        group: Collection[str],
    ) -> float:
        tensor = result.removesuffix(".q")
        bits = NARROW if tensor in group else WIDE
        ratios = []
        for before, after in zip(exact, narrow, strict=True):
            signal = self._seen(result, before, WIDE)
            noise = self._seen(result, after, bits) - signal
            ratio = (noise**2).sum(axis=-1) / np.maximum((signal**2).sum(axis=-1), TINY)
            ratios.append(max(ratio[0], ratio.mean()))
        return float(np.mean(ratios)) / 2

    def _seen(self, result: str, values: Features, bits: int) -> NDArray[np.float64]:
        """Return rows [tokens, channels] of what leaves a piece, as the norm that reads it does."""
        if result in self._ends:
            values = metrics.vectors(values)
        rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
        tensor = result.removesuffix(".q")
        if tensor != result:
            grid = self._activations[tensor].anew(bits)
            rows = (rows - grid.zero_point) * grid.scale
        if tensor not in self._gains:
            return rows
        rows = rows / np.sqrt(np.maximum((rows**2).mean(axis=-1, keepdims=True), TINY))
        return np.asarray(rows * self._gains[tensor])


def _negligible(
    losses: Mapping[tuple[str, ...], float], kinds: Mapping[str, str]
) -> dict[str, float]:
    """Return what a group loses on average of each kind that hardly matters."""
    by_kind: dict[str, list[float]] = {}
    for group, loss in losses.items():
        by_kind.setdefault(kinds[group[0]], []).append(loss)
    least = NEGLIGIBLE * sum(losses.values())
    return {kind: sum(own) / len(own) for kind, own in by_kind.items() if sum(own) < least}


def _gains(network: Network) -> dict[str, NDArray[Any]]:
    """Return the gains of norms by the tensors that these read."""
    return {
        node.input[0]: np.asarray(network.array(node.input[1]), np.float64)
        for node in network.graph.node
        if node.op_type in roles.NORMS
    }


def _in_bytes(encodings: Encodings) -> Encodings:
    """Return encodings with 8 bits for what has 4: the same integers, which multiply faster."""
    params = {
        name: replace(entry, bits=NARROW, offset=-(2 ** (NARROW - 1)))
        if entry.symmetric and entry.bits < NARROW
        else entry
        for name, entry in encodings.params.items()
    }
    return Encodings(encodings.activations, params)


def _coarse(network: Network, params: Mapping[str, Encoding]) -> dict[str, NDArray[np.float32]]:
    """Return constants that are operands, such as the angles of RoPE, as 8 bits have them."""
    names = {
        name
        for node in network.graph.node
        for index, name in enumerate(node.input)
        if network.is_float(name) and roles.role(node, index) is roles.Role.OPERAND
    }
    return {name: _rounded(network.array(name), params[name].at(NARROW)) for name in sorted(names)}


def _rounded(values: NDArray[Any], grid: Encoding) -> NDArray[np.float32]:
    steps = qdq.quantize(values, grid).astype(np.float32) - np.float32(grid.zero_point)
    return np.asarray(steps * np.float32(grid.scale))


def _groups(piece: Piece, kinds: Mapping[str, str]) -> Sequence[tuple[str, ...]]:
    """Return the tensors that a piece quantises, those of one kind together."""
    groups: dict[str, list[str]] = {}
    for node in piece.nodes:
        name = node.output[0].removesuffix(".q")
        if node.op_type == "QuantizeLinear" and name in kinds:
            groups.setdefault(kinds[name], []).append(name)
    return [tuple(names) for names in groups.values()]


class _Switch:
    """Gives the activations' quantisers a second grid, and an input to choose by.

    What reads or writes 16 bits works with them (`widths.raised`), its constants included; else
    they are `coarse`.
    """

    def __init__(
        self,
        network: Network,
        activations: Mapping[str, Encoding],
        source: Mapping[str, str],
        coarse: Mapping[str, NDArray[np.float32]],
    ) -> None:
        self._model, self._activations = network.model, activations
        self._source = source
        self._coarse = {f"{name}.{WIDE}": values for name, values in coarse.items()}
        self._constants = SharedConstants()
        self._sums = SwitchedSums(network, self._constants)
        self._quantizers = {
            node.output[0]: node for node in network.graph.node if node.op_type == "QuantizeLinear"
        }

    def install(self) -> None:
        graph = self._model.graph
        nodes = [made for node in graph.node for made in self._rewritten(node)]
        read = {name for node in nodes for name in node.input}
        read.update(value.name for value in graph.output)
        needed = [node for node in nodes if read.intersection(node.output)]
        del graph.node[:]
        graph.node.extend([*self._choices(), *needed])
        graph.initializer.extend(self._constants.tensors)
        count = [len(self._activations)]
        graph.input.append(helper.make_tensor_value_info(CHOICE, onnx.TensorProto.BOOL, count))
        self._model.opset_import.append(helper.make_opsetid(DOMAIN, 1))

    def _choices(self) -> Iterator[NodeProto]:
        """Choose scales and zero points by the input, which has a flag for every tensor."""
        for index, (name, encoding) in enumerate(self._activations.items()):
            flag = f"{name}.is_wide"
            yield helper.make_node("Gather", [CHOICE, self._constant(np.int64(index))], [flag])
            wide, narrow = encoding.anew(WIDE), encoding.anew(NARROW)
            yield self._choice(flag, f"{name}.scale", np.float32, (wide.scale, narrow.scale))
            number = f"{name}.zero.number"
            yield self._choice(flag, number, np.int64, (wide.zero_point, narrow.zero_point))
            for end, pair in zip(ENDS, zip(wide.range(), narrow.range(), strict=True), strict=True):
                yield self._choice(flag, f"{name}.{end}", np.float32, pair)
            integer = onnx.TensorProto.UINT16
            yield helper.make_node("Cast", [number], [f"{name}.zero"], to=integer)

    def _choice(self, flag: str, name: str, kind: type, values: tuple[float, float]) -> NodeProto:
        pair = [self._constant(kind(value)) for value in values]
        return helper.make_node("Where", [flag, *pair], [name])

    def _rewritten(self, node: NodeProto) -> Iterator[NodeProto]:
        name = node.output[0].removesuffix(".q")
        if node.op_type == "QuantizeLinear" and name in self._activations:
            # The integers have 16 bits whatever the grid, so clipping at 8 needs an operator.
            limits = [f"{name}.{end}" for end in ENDS]
            yield helper.make_node("Clip", [node.input[0], *limits], [f"{name}.clipped"])
            node.input[:] = [f"{name}.clipped", f"{name}.scale", f"{name}.zero"]
            yield node
        elif node.op_type == "DequantizeLinear" and node.input[0] in self._quantizers:
            name = node.input[0].removesuffix(".q")
            if name in self._activations:
                node.input[1:] = [f"{name}.scale", f"{name}.zero"]
                yield node
            else:  # moved values are on their source's grid already
                moved = self._quantizers[node.input[0]].input[0]
                yield helper.make_node("Identity", [moved], node.output)
        elif node.op_type == "QuantizeLinear":
            return
        elif self._sums.reads(node) in self._activations:
            yield from self._sums.rewritten(node)
        else:
            yield from self._operands(node)
            yield node

    def _operands(self, node: NodeProto) -> Iterator[NodeProto]:
        """Choose a node's constants by the width that it works at: 16 bits if it has any."""
        own = self._coarse.keys() & set(node.input)
        if not own:
            return
        out = node.output[0]
        names = [*(name.removesuffix(".dq") for name in node.input), out.removesuffix(".float")]
        flags = [f"{self._source[name]}.is_wide" for name in names if name in self._source]
        yield helper.make_node("Or", [flags[0], flags[-1]], [f"{out}.works_wide"])
        for index, name in enumerate(node.input):
            if name in own:
                node.input[index] = f"{out}.{name}"
                pair = [name, self._constant(self._coarse[name])]
                yield helper.make_node("Where", [f"{out}.works_wide", *pair], [f"{out}.{name}"])

    def _constant(self, values: Any) -> str:
        return self._constants.name(np.asarray(values), "trial")
