"""One inference on the board itself, compared with what the simulator gave for the same input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from scripts.boards.connection import Board
from scripts.boards.resources import script
from scripts.errors import DeviceError, GateError
from scripts.package.manifest import Manifest

# The simulator is meant to be exact; what is allowed for is another rounding of a last bit.
MIN_COSINE = 0.999
OUTPUT = "golden/output.raw"
_TAKE = 'cat "$1" && rm -f "$1"'


@dataclass(frozen=True)
class Golden:
    """The outcome of a golden run: cosine over the whole output, and what the runner said."""

    cosine: float
    said: str


def possible(manifest: Manifest) -> bool:
    """Return whether a package brings a golden input and output."""
    return len(manifest.role("golden")) == 2


async def run(board: Board, release: str, manifest: Manifest) -> Golden:
    """Run a release's network on its golden input; `release` is below the board's folder.

    Raises:
        DeviceError: the network does not run on this board.
        GateError: it runs, and gives something else than the simulator.
    """
    folder = f"{board.device.path}/{release}"
    (runner,), (context,) = manifest.role("runner"), manifest.role("context binary")
    (source,) = (path for path in manifest.role("golden") if path != OUTPUT)
    how = "--rgb" if source.endswith(".rgb") else "--input"
    option = "--board_skel" if board.device.skel == "board" else ""
    said = await board.run(script("golden.sh"), folder, runner, context, how, source, option)
    text, _, output = said.strip().rpartition("\n")
    actual = await board.feed(_TAKE, output, pieces=[])
    expected = await board.feed('cat "$1"', f"{folder}/{OUTPUT}", pieces=[])
    golden = Golden(_cosine(board.device.name, actual, expected), text.strip())
    if not golden.cosine >= MIN_COSINE:
        raise GateError(
            f"{board.device.name} runs the network and gets it wrong: cosine {golden.cosine:.6f}"
            f" against the simulator, {MIN_COSINE} wanted.",
            cause="another skel than the package's was loaded, or the NPU is faulty",
            remedy="`current` was left as it was; see `invoke device.status`",
        )
    return golden


def _cosine(device: str, actual: bytes, expected: bytes) -> float:
    """Return the cosine of two raw float32 arrays; NaN where one is all zeros or not finite."""
    if len(actual) != len(expected):
        raise DeviceError(f"{device} gives {len(actual)} bytes of output, not {len(expected)}.")
    one, other = (numpy.frombuffer(raw, "<f4").astype("f8") for raw in (actual, expected))
    with numpy.errstate(invalid="ignore"):
        return float(one @ other / (numpy.linalg.norm(one) * numpy.linalg.norm(other)))
