"""What a build gives for held-out pictures, and what it should: one engine beside the other.

The HTP simulator runs the context on the first pictures; it is slow, and a process of its own.
Meanwhile the CPU computes the float32 reference and the integer network, for all pictures, with
what the simulator leaves of it: one picture in the simulator takes longest, on one core.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from openqnn.network.onnx_network import Network
from scripts.metrics import LAYERED, Features
from scripts.pictures.picture_input import PictureInput
from scripts.verification import features, integers
from scripts.verification.features import ByOutput

# Linux has a niceness for every thread, which threads that it starts inherit.
BEHIND = 10


@dataclass(frozen=True)
class Quantised:
    """A network and its encodings: what was compiled; none in fp16."""

    network: Path
    encodings: Path


@dataclass(frozen=True)
class Built:
    """A context, what it takes, and what it was compiled from."""

    context: Path
    takes: PictureInput
    quantised: Quantised | None


@dataclass(frozen=True)
class Evidence:
    """Outputs by name, [pictures, ...]: those of the simulator are of the first pictures alone.

    `integers` is empty in fp16, and so are `layers`: the residual stream against float32's.
    """

    reference: ByOutput
    widest_activation: Mapping[str, Any]
    simulated: ByOutput
    integers: ByOutput
    layers: Sequence[Mapping[str, Any]] = ()

    @property
    def built(self) -> dict[str, Features]:
        """Each picture's outputs: the simulator's where there are any, else the integers'."""
        if not self.integers:
            return dict(self.simulated)
        return {
            output: np.concatenate([values, self.integers[output][len(values) :]])
            for output, values in self.simulated.items()
        }


def gather(
    exact: Network,
    built: Built,
    pictures: Sequence[Features],
    files: Sequence[Path],
    simulate: int,
    out: Path,
) -> Evidence:
    """Run every engine; `pictures` are for the float32 network, `files` hold what a device gets."""
    with (
        ThreadPoolExecutor(1) as first,
        ThreadPoolExecutor(1, initializer=partial(os.nice, BEHIND)) as behind,
    ):
        simulator = first.submit(
            features.of_context, built.context, exact, files[:simulate], built.takes
        )
        reference, widest = behind.submit(features.reference, exact, pictures).result()
        outputs, layers = behind.submit(_of_integers, built.quantised, files, out).result()
        simulated = simulator.result()
    return Evidence(reference, widest, simulated, outputs, layers)


def _of_integers(
    source: Quantised | None, files: Sequence[Path], out: Path
) -> tuple[ByOutput, Sequence[Mapping[str, Any]]]:
    """Return the integer network's outputs and its layers beside float32's; none without it."""
    if not source:
        return {}, ()
    with tempfile.TemporaryDirectory(dir=out, prefix=".integers-") as folder:
        scratch = Path(folder)
        outputs = integers.outputs(source.network, source.encodings, files, scratch)
        return outputs, integers.layers(source.network, files[:LAYERED], scratch)
