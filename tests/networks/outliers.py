"""Gives a network the outliers of real DINO models.

`write` changes nothing of what it computes: a few channels are scaled up by a factor of up to
`STRENGTH`, wherever the weights that read them can undo it. `write_massive` makes another network,
two channels of whose residual stream are far from zero for every token.
"""

from pathlib import Path

import numpy as np
import onnx

from openqnn.network.onnx_network import Network
from scripts.quantization import equalise
from scripts.quantization.scaling import Scaling

STRENGTH, SHARE = 100.0, 0.01


def write(source: Path, out: Path, seed: int) -> Path:
    """Write the network of `source` with outliers to `out`."""
    network = Network.load(source)
    scaling = Scaling(network)
    random = np.random.default_rng(seed)
    factors = np.ones(scaling.variables.count)
    for site in scaling.sites():
        factors[site] = np.exp(random.standard_normal(site.size) * 0.5)
        few = random.choice(site.size, min(site.size, 1 + int(site.size * SHARE)), replace=False)
        factors[site[few]] *= np.exp(
            random.uniform(np.log(STRENGTH / 5), np.log(STRENGTH), few.size)
        )
    scaled = equalise.apply(network, scaling, factors, out.with_suffix(".onnx_data"))
    onnx.save(scaled.model, out)
    return out


def write_massive(source: Path, out: Path, height: float = 25.0) -> Path:
    """Write the network of `source` with channels 0 and 1 of the residual at +-`height`."""
    network = Network.load(source)
    stem = next(node for node in network.graph.node if node.op_type == "Concat")
    convolution = next(node for node in network.graph.node if node.op_type == "Conv")
    for name in [convolution.input[2], *(name for name in stem.input if network.is_float(name))]:
        values = np.array(network.array(name), np.float32)
        values[..., :2] += (height, -height)
        network.constants[name].CopyFrom(onnx.numpy_helper.from_array(values, name))
    for node in network.graph.node:
        if node.op_type == "LayerNormalization":
            gamma = np.array(network.array(node.input[1]), np.float32)
            # The others stay about as wide, although they are divided by the two.
            gamma *= np.where(np.arange(gamma.size) < 2, 0.05, height * gamma.size**-0.5)
            network.constants[node.input[1]].CopyFrom(
                onnx.numpy_helper.from_array(gamma, node.input[1])
            )
    onnx.save(network.model, out)
    return out
