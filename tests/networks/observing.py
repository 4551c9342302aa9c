"""The float network's outputs for pictures that judge, as calibration observes them."""

from collections.abc import Sequence
from pathlib import Path

from openqnn.network.onnx_network import Network
from scripts.quantization import frailty
from scripts.quantization.calibration import Unseen


def unseen(network: Network, files: Sequence[Path]) -> Unseen:
    """Run a float network over raw pictures."""
    return Unseen.of(network, frailty.observed(network, {}, [], files), files)


def centred(network: Network, files: Sequence[Path]) -> bool:
    """Tell whether the residual stream of a network is centred."""
    return frailty.observed(network, {}, [], files).centred
