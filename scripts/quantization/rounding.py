"""Weights of few bits, rounded with the network's own values in view (GPTQ).

A linear layer y = x W + b, W [inputs, outputs], gets integers Q and scales s, one an output. For
one output, with e = w - s q the error of its column, calibration rows x of X [tokens, inputs], each
counting d (below), see the sum of d (x e)^2 = e' H e, H = X' D X, D the diagonal matrix of d. With
H = U U', U upper triangular, that is the sum over j of (sum over i <= j of e_i U_ij)^2. Taken in
the order j = 0, 1, ..., every term has one number that is still open, q_j, and is least for

    s q_j = the multiple of s nearest to  w_j + (sum over i < j of e_i U_ij) / U_jj.

This is GPTQ (Frantar et al., 2022) without its inverse: Babai's nearest plane. Inputs of much
energy come first, where all errors can still be made good. Where the layer has a bias of its own,
this may take up an error c, and the sum of d (x e - c)^2 is least for c = m e, m the weighted mean,
the sum of d x over that of d. So H is that of X less m, and b + m E is the bias, E = W - s Q.

What a row counts follows from what is judged: CLS and patches separately. So CLS, a picture's first
row, counts as much as all its others together, each of which counts 1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, external_data_helper, numpy_helper
from threadpoolctl import threadpool_limits

from openqnn.network import pieces, roles, samples
from openqnn.network.onnx_network import Network
from openqnn.network.pieces import Extractor, Piece
from openqnn.network.relay import Values
from openqnn.progress import track
from openqnn.quantization import encodings
from openqnn.quantization.encodings import Encoding, Encodings
from scripts.quantization import parts

Matrix = NDArray[np.float64]
LINEAR = ("Gemm", "MatMul")
# What is added to the diagonal of H, as a share of its mean: GPTQ's own.
DAMPING = 0.01
# The least of it: that of inputs which are nought throughout.
TINY = 1e-30
# Inputs that are rounded before their errors are brought to those that follow.
BLOCK = 128
# Outputs, or rows of H, in one core's work: whose results do not depend on the number of cores.
SHARE = 256
# The same where every portion should fit into a core's cache.
FEW = 16
# Pictures whose rows are summed at a time.
PICTURES = 8
# Scales that are tried, as shares of the one that holds the largest weight.
SHRINKING = np.linspace(1.0, 0.52, 17)


def round_weights(
    network: Network,
    made: Encodings,
    names: Collection[str],
    pictures: Sequence[Path],
    *,
    cls: bool,
) -> None:
    """Make weights `names` of a network multiples of their encodings' scales, in its own files.

    `cls` says whether the first token is CLS, and is judged; else all tokens count alike.
    Layer by layer: what a layer reads has gone through those before it as they are rounded. Memory
    holds one layer's weights and moments, and what it reads of all pictures.
    """
    extractor, source = Extractor(network), network.graph.input[0].name
    values: list[Values] = [{source: samples.read(picture, network)} for picture in pictures]
    with threadpool_limits(1):
        for piece in track(pieces.cut(network, 1), "rounding weights"):
            readers = _by_input(piece, names)
            _round_all(network, readers, piece.source, made, values, cls=cls)
            for part in parts.parted(piece, readers):
                parts.run(part, network, extractor, values)
                _round_all(network, readers, part.result, made, values, cls=cls)
            values = [{piece.result: picture[piece.result]} for picture in values]


def least_squares(network: Network, node: NodeProto, bits: int) -> Encoding:
    """Return an encoding of a node's weight, whose scales leave the least squared error."""
    weight = np.asarray(network.array(node.input[1]), np.float32)
    rows = weight if roles.output_axis(node, 2) == 0 else weight.T
    widest = encodings.symmetric(np.abs(rows).max(axis=1), bits)
    best = np.array(widest.scales, np.float32)

    def work(outputs: slice) -> None:
        best[outputs] = _least_squares(np.ascontiguousarray(rows[outputs]), best[outputs], bits)

    _share(len(rows), work, FEW)
    return replace(widest, scales=tuple(best.tolist()))


class Planes:
    """Rounds weights by the H of what they multiply."""

    def __init__(self, hessian: Matrix) -> None:
        """Take H [inputs, inputs]."""
        energy = np.diag(hessian)
        self._order = np.argsort(-energy, kind="stable")
        damped = hessian[np.ix_(self._order, self._order)]
        damped[np.diag_indices_from(damped)] += DAMPING * energy.mean() + TINY
        # U is Cholesky's lower factor of H with its rows and columns reversed, reversed again.
        upper = np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1]
        self._upper = np.ascontiguousarray(upper / np.diag(upper))

    def nearest(self, weight: Matrix, steps: Matrix, bits: int) -> Matrix:
        """Return multiples of `steps` [outputs] for a weight [inputs, outputs]."""
        found = np.empty_like(weight)

        def work(outputs: slice) -> None:
            found[self._order, outputs] = self._rounded(
                weight[self._order, outputs], steps[outputs], bits
            )

        _share(weight.shape[1], work, SHARE)
        return found

    def _rounded(self, weight: Matrix, steps: Matrix, bits: int) -> Matrix:
        upper, errors = self._upper, np.empty_like(weight)
        for first in range(0, len(weight), BLOCK):
            last = min(first + BLOCK, len(weight))
            wanted = weight[first:last] + upper[:first, first:last].T @ errors[:first]
            for row in range(first, last):
                aim = wanted[row - first] + upper[first:row, row] @ errors[first:row]
                errors[row] = weight[row] - _nearest(aim, steps, bits) * steps
        return weight - errors


class Moments:
    """Sums over rows x [inputs] that linear layers read, each counting d: of d, d x, and d x' x."""

    def __init__(self, inputs: int) -> None:
        self._count = 0.0
        self._first = np.zeros(inputs)
        self._second = np.zeros((inputs, inputs))
        self._planes: dict[bool, Planes] = {}

    @classmethod
    def of(cls, pictures: Iterable[NDArray[Any]], *, has_cls: bool) -> Moments:
        """Return the moments of all rows of some tensors [..., inputs], one a picture."""
        moments: Moments | None = None
        for batch in _batches(pictures):
            rows = [picture.reshape(-1, picture.shape[-1]) for picture in batch]
            moments = moments or cls(rows[0].shape[-1])
            weights = [_weights(len(own), has_cls=has_cls) for own in rows]
            moments.add(np.concatenate(rows), np.concatenate(weights))
        assert moments
        return moments

    def add(self, rows: NDArray[Any], weights: NDArray[np.float32]) -> None:
        """Add rows [tokens, inputs] that count `weights` [tokens]."""
        roots = np.sqrt(weights)[:, None]
        scaled = rows * roots

        def work(inputs: slice) -> None:  # no more than the upper triangle
            self._second[inputs, inputs.start :] += scaled[:, inputs].T @ scaled[:, inputs.start :]

        _share(rows.shape[1], work, SHARE)
        self._first += (scaled * roots).sum(axis=0, dtype=np.float64)
        self._count += float(weights.sum(dtype=np.float64))

    @property
    def mean(self) -> Matrix:
        """The mean row, by what rows count."""
        return self._first / self._count

    def planes(self, *, centred: bool) -> Planes:
        """Return what rounds by these rows, or by these less their mean."""
        if centred not in self._planes:
            self._planes[centred] = Planes(self._hessian(centred=centred))
        return self._planes[centred]

    def _hessian(self, *, centred: bool) -> Matrix:
        """Return the sums of d x' x, both triangles, of all rows or of these less their mean."""
        whole = np.empty_like(self._second)

        def work(inputs: slice) -> None:
            upper = np.triu(self._second[inputs, inputs])
            whole[inputs, : inputs.start] = self._second[: inputs.start, inputs].T
            whole[inputs, inputs] = upper + np.triu(upper, 1).T
            whole[inputs, inputs.stop :] = self._second[inputs, inputs.stop :]
            if centred:
                whole[inputs] -= np.outer(self._first[inputs], self.mean)

        _share(len(whole), work, SHARE)
        return whole


def _round_all(
    network: Network,
    readers: Mapping[str, Sequence[NodeProto]],
    source: str,
    made: Encodings,
    values: Sequence[Values],
    *,
    cls: bool,
) -> None:
    """Round the weights of all layers that read the tensor `source`: they share its moments."""
    if source not in readers:
        return
    moments = Moments.of((picture[source] for picture in values), has_cls=cls)
    for node in readers[source]:
        _round(network, node, made.params[node.input[1]], moments)


def _round(network: Network, node: NodeProto, encoding: Encoding, moments: Moments) -> None:
    """Round a node's weight, and correct its bias."""
    name, (bias,) = node.input[1], [*node.input[2:3]] or [""]
    weight = _columns(node, network.array(name))
    planes = moments.planes(centred=bool(bias))
    nearest = planes.nearest(weight, np.array(encoding.scales), encoding.bits)
    rows = roles.output_axis(node, nearest.ndim) == 0
    overwrite(network, name, nearest.T if rows else nearest)
    if bias:
        lost = moments.mean @ (weight - nearest)
        overwrite(network, bias, np.asarray(network.array(bias), np.float64) + lost)


def _least_squares(rows: NDArray[np.float32], widest: Any, bits: int) -> NDArray[np.float32]:
    """Return for each row the scale whose multiples are nearest to it, none above `widest`."""
    best, least = widest.copy(), np.full(len(rows), np.inf)
    for share in SHRINKING:
        tried = (widest * share).astype(np.float32)
        steps = tried[:, None]
        error = ((_nearest(rows, steps, bits) * steps - rows) ** 2).sum(axis=1)
        best = np.where(error < least, tried, best)
        least = np.minimum(error, least)
    return best


def _by_input(piece: Piece, names: Collection[str]) -> dict[str, list[NodeProto]]:
    """Return the layers of a piece whose weights are `names`, those together that read the same."""
    made: dict[str, list[NodeProto]] = {}
    for node in piece.nodes:
        if node.op_type in LINEAR and node.input[1] in names:
            made.setdefault(node.input[0], []).append(node)
    return made


def _columns(node: NodeProto, weight: NDArray[Any]) -> Matrix:
    """Return a weight as [inputs, outputs]."""
    values = np.asarray(weight, np.float64)
    return np.ascontiguousarray(values.T if roles.output_axis(node, 2) == 0 else values)


def _nearest(values: NDArray[Any], steps: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return the integers of `bits` nearest to values [..., outputs]."""
    most = 2 ** (bits - 1)
    return np.asarray(np.clip(np.rint(values / steps), -most, most - 1))


def overwrite(network: Network, name: str, values: NDArray[Any]) -> None:
    """Replace a constant by another of its shape, where it lies."""
    tensor, rounded = network.constants[name], np.asarray(values, np.float32)
    if tensor.data_location != TensorProto.EXTERNAL:
        tensor.CopyFrom(numpy_helper.from_array(rounded, name))
        return
    info = external_data_helper.ExternalDataInfo(tensor)
    path, shape = network.folder / info.location, tuple(tensor.dims)
    place = np.memmap(path, np.float32, "r+", info.offset or 0, shape)
    place[:] = rounded
    place.flush()


def _weights(count: int, *, has_cls: bool) -> NDArray[np.float32]:
    """Return what each of a picture's rows counts."""
    weights = np.ones(count, np.float32)
    if has_cls:
        weights[0] = max(count - 1, 1)
    return weights


def _batches(pictures: Iterable[NDArray[Any]]) -> Iterator[list[NDArray[Any]]]:
    left = iter(pictures)
    while batch := list(islice(left, PICTURES)):
        yield batch


def _share(count: int, work: Callable[[slice], None], size: int) -> None:
    """Share work on `count` things among the cores, always in the same portions."""
    portions = [slice(first, first + size) for first in range(0, count, size)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, portions))
