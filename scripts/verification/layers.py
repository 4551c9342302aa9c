"""Where quantisation hurts: the residual stream against float32, layer by layer, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openqnn.network import roles
from openqnn.network.onnx_network import Network
from openqnn.quantization.observe import Observer
from scripts import metrics
from scripts.metrics import Features


def compare(exact: Network, integers: Network, pictures: Sequence[Path]) -> list[dict[str, Any]]:
    """Return cosine and SNR of every tensor that a normalisation reads, and of every output."""
    tensors = residual(exact)
    reference = _values(exact, tensors, tensors, pictures)
    ends = {value.name for value in exact.graph.output}
    read = [name if name in ends else f"{name}.dq" for name in tensors]
    quantised = _values(integers, tensors, read, pictures)
    return [{"tensor": name, **_likeness(reference[name], quantised[name])} for name in tensors]


def residual(network: Network) -> list[str]:
    """Return what normalisations read, in order, and the network's outputs."""
    producers = network.producers()
    tensors = []
    for node in network.graph.node:
        if node.op_type in roles.NORMS:
            name = node.input[0]
            while name in producers and producers[name].op_type in roles.MOVERS:
                name = producers[name].input[0]
            tensors.append(name)
    return [*dict.fromkeys(tensors), *(value.name for value in network.graph.output)]


def _values(
    network: Network, tensors: Sequence[str], read: Sequence[str], pictures: Sequence[Path]
) -> dict[str, Features]:
    observer = Observer(network)
    for name in read:
        observer.add_output(name)
    observed = observer.collect(pictures, "layers")
    # Of the stream a row is a token; of an output it is what `vectors` makes one.
    ends = {value.name for value in network.graph.output}
    rows = {name: _rows(values, is_output=name in ends) for name, values in observed.items()}
    return {tensor: rows[name] for tensor, name in zip(tensors, read, strict=True)}


def _rows(values: Sequence[Features], *, is_output: bool) -> Features:
    return metrics.vectors(np.concatenate(values)) if is_output else np.stack(values)


def _likeness(reference: Features, quantised: Features) -> dict[str, float]:
    cosines = metrics.cosine(reference, quantised)
    return {
        "cosine_mean": round(float(cosines.mean()), 6),
        "cosine_min": round(float(cosines.min()), 6),
        "snr_db": round(metrics.snr_db(reference, quantised), 3),
    }
