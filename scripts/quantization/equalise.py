"""Scales channels so that activations and weights share the burden of quantisation.

The network computes the same: SmoothQuant's migration (arXiv 2211.10438), done wherever `scaling`
proves it exact. A channel's activations are multiplied by sqrt(weights / activations) of its own
magnitudes; between queries and keys, either side is the other's weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openqnn.network.onnx_network import DataFile, Network
from openqnn.progress import track
from openqnn.quantization.observe import Extremes
from scripts.quantization.scaling import FIXED, Carrier, Scaling

# How much of the difference between channels goes into the weights.
MIGRATION = 0.5
# Factors are powers of 2 to the 1/4: noise in the last bits of a sum does not reach the file.
STEPS = 4
LARGEST = 2.0**12
Factors = NDArray[np.float64]


def choose(
    network: Network, scaling: Scaling, seen: Mapping[str, Extremes], migration: float = MIGRATION
) -> Factors:
    """Return a factor for every variable; `seen` has extremes channel by channel."""
    count = scaling.variables.count
    plus, minus, weights = np.zeros(count), np.zeros(count), np.zeros(count)
    for tensor, extremes in seen.items():
        if scaling.axes(tensor):
            roots, powers = scaling.variables.resolve(scaling.labels[tensor])
            magnitude: NDArray[Any] = extremes.magnitude.reshape(roots.shape)
            for side, power in ((plus, 1), (minus, -1)):
                here = (roots != FIXED) & (powers == power)
                np.maximum.at(side, roots[here], magnitude[here])
    for carrier in track(scaling.readers(), "weights' magnitudes"):
        roots, powers = scaling.variables.resolve(carrier.labels)
        here = (roots != FIXED) & (powers == 1)
        np.maximum.at(weights, roots[here], _row_magnitudes(network, carrier)[here])
    # Between queries and keys there may be the constants of a rotation, but they do not count.
    minus = np.where(minus > 0, minus, weights)
    return _factors(scaling, plus, minus, migration)


def apply(network: Network, scaling: Scaling, factors: Factors, path: Path) -> Network:
    """Return the scaled network, all its large constants in the new data file `path`.

    The network that is given is changed, too: its nodes read copies of constants they share.
    """
    _privatise(network, scaling.carriers)
    carried: dict[str, list[Carrier]] = {}
    for carrier in scaling.carriers:
        carried.setdefault(carrier.node.input[carrier.index], []).append(carrier)
    with DataFile(path) as data:
        for tensor in track(list(network.graph.initializer), "equalising weights"):
            values: NDArray[Any] = network.array(tensor.name)
            by = [
                by_label(scaling, factors, carrier.labels, carrier.power).astype(values.dtype)
                for carrier in carried.get(tensor.name, [])
            ]
            scaled = partial(reduce, np.multiply, by, values)
            tensor.CopyFrom(data.defer(tensor.name, values.dtype, values.shape, scaled))
    return Network(network.model, path.parent)


def by_label(
    scaling: Scaling, factors: Factors, labels: NDArray[np.int64], power: int = 1
) -> Factors:
    """Return the factor of every label, 1 where it is pinned."""
    roots, powers = scaling.variables.resolve(labels)
    found: Factors = np.where(roots == FIXED, 1.0, factors[roots] ** (powers * power))
    return found


def _factors(scaling: Scaling, plus: Factors, minus: Factors, migration: float) -> Factors:
    factors = np.ones(len(plus))
    both = (plus > 0) & (minus > 0)
    factors[both] = minus[both] ** (1 - migration) / plus[both] ** migration
    for site in scaling.sites():
        # A common factor would change nothing but magnitudes.
        used = site[both[site]]
        if used.size:
            factors[used] /= np.exp(np.log(factors[used]).mean())
    stepped = 2.0 ** (np.rint(np.log2(factors) * STEPS) / STEPS)
    return np.clip(stepped, 1 / LARGEST, LARGEST)


def _row_magnitudes(network: Network, carrier: Carrier) -> Factors:
    weight = np.abs(network.array(carrier.node.input[carrier.index]))
    others = tuple(axis for axis, extent in enumerate(carrier.labels.shape) if extent == 1)
    return weight.max(axis=others, keepdims=True).astype(np.float64)


def _privatise(network: Network, carriers: Sequence[Carrier]) -> None:
    """Give every node that carries factors constants of its own; copies share external data."""
    uses = network.consumers()
    for node, index in {
        (id(one.node), one.index): (one.node, one.index) for one in carriers
    }.values():
        name = node.input[index]
        if len(uses[name]) > 1:
            copy = network.add_copy(name, f"{name}.{node.output[0]}")
            node.input[index] = copy
