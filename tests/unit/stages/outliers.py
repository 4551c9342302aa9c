"""Gives a network the outliers of real DINO models, without changing what it computes.

A few channels are scaled up by a factor of up to `STRENGTH`, wherever the weights that read them
can undo it: after a LayerNorm, between queries and keys, values and output projection, up and down.
"""

from pathlib import Path

import numpy as np
import onnx

from scripts.stages import equalise
from scripts.stages.onnx_network import Network
from scripts.stages.scaling import Scaling

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
