"""One inference on the board itself, compared with what the simulator gave for the same input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy

from scripts import metrics
from scripts.boards import measured, shell
from scripts.boards.board import ANSWER_LIMIT, Board
from scripts.errors import DeviceError, GateError
from scripts.package import rule
from scripts.package.manifest import GOLDEN_INPUT, Manifest

# The simulator is meant to be exact; what is allowed for is another rounding of a last bit.
MIN_COSINE = 0.999
# The board ends a run after 300 s by itself.
_SECONDS = 330.0
_RUNS = "50"


@dataclass(frozen=True)
class Golden:
    """The outcome of a golden run.

    The worst cosine of an output, over the whole of it, with six digits, of which only 1 is 1; what
    the runner said, and its report: times in microseconds and the configuration they were measured
    under.
    """

    cosine: float
    said: str
    report: Mapping[str, Any]

    @property
    def summary(self) -> str:
        """The times in a few words, with the clocks that were voted for."""
        half, most = self.report["p50_us"], self.report["p99_us"]
        return f"{half:.0f} us (p99 {most:.0f}, perf {self.report.get('perf', 'unknown')})"


def possible(manifest: Manifest) -> bool:
    """Return whether a package brings a golden input and an output of it."""
    return 0 < len(_outputs(manifest)) < len(manifest.role("golden"))


async def run(board: Board, release: str, manifest: Manifest, remedy: str) -> Golden:
    """Run a release's network on its golden input.

    Args:
        board: what runs it.
        release: its folder, below that of the board.
        manifest: of its package.
        remedy: what to do where the outputs are not those of the package, for who asks for the run.

    Raises:
        DeviceError: the network does not run on this board.
        GateError: it runs, and gives something else than the simulator.
    """
    folder = f"{board.device.path}/{release}"
    sizes = _outputs(manifest)
    limit = sum(sizes.values()) + ANSWER_LIMIT
    answer = await board.run(
        "golden.sh", folder, *_arguments(board, manifest), seconds=_SECONDS, limit=limit
    )
    said, outputs = _parts(answer)
    cosines = []
    for path, actual in _cut(board.device.name, outputs, sizes, remedy).items():
        expected = await board.run("read.sh", f"{folder}/{path}", str(sizes[path]), limit=limit)
        cosines.append(_cosine(board.device.name, actual, expected))
    text = shell.printable(said).strip()
    worst = float(numpy.min(cosines))
    if not worst >= MIN_COSINE:
        raise GateError(
            f"{board.device.name} runs the network and gets it wrong: cosine {worst:.6f}"
            f" against the simulator, {MIN_COSINE} wanted.",
            cause="another skel than the package's was loaded, the NPU is faulty, or the package's"
            " golden output is of another network",
            remedy=remedy,
        )
    return Golden(metrics.rounded(worst), text.rpartition("\n")[0], measured.report(text))


def _arguments(board: Board, manifest: Manifest) -> list[str]:
    """Return program, network, input and options of a golden run."""
    (runner,), (context,) = manifest.role("runner"), manifest.role("context binary")
    (source,) = (path for path in manifest.role("golden") if path.startswith(GOLDEN_INPUT))
    for path in (runner, context, source):
        rule.check_path(path)
    options = ["--board_skel"] if board.device.skel == "board" else []
    takes = "--rgb" if source.endswith(".rgb") else "--input"
    options += ["--perf", board.device.perf]
    options += ["--npu", str(board.device.npu)] if board.device.npu >= 0 else []
    return [runner, context, takes, source, "--repeat", _RUNS, *options]


def _outputs(manifest: Manifest) -> dict[str, int]:
    """Return the sizes of the golden outputs by their paths, in the order of `golden.sh`."""
    sizes = {entry.path: entry.size for entry in manifest.entries if entry.role == "golden"}
    return {path: sizes[path] for path in sorted(sizes) if not path.startswith(GOLDEN_INPUT)}


def _parts(answer: bytes) -> tuple[bytes, bytes]:
    """Return what the runner said and its output, which the answer of `golden.sh` has in turn.

    Raises:
        DeviceError: the answer is none of that script.
    """
    head, _, rest = answer.partition(b"\n")
    ((count,),) = shell.rows(head, {"said": 1})["said"] or [("?",)]
    length = shell.number(count)
    return rest[:length], rest[length:]


def _cut(device: str, outputs: bytes, sizes: Mapping[str, int], remedy: str) -> dict[str, bytes]:
    """Return what a board gives, output by output.

    Raises:
        DeviceError: it is more, or less.
    """
    if len(outputs) != (total := sum(sizes.values())):
        raise DeviceError(
            f"{device} gives {len(outputs)} bytes of output; the golden output has {total}.",
            cause="the package's golden output or its runner is of another network",
            remedy=remedy,
        )
    parts, start = {}, 0
    for path, size in sizes.items():
        parts[path], start = outputs[start : start + size], start + size
    return parts


def _cosine(device: str, actual: bytes, expected: bytes) -> float:
    """Return the cosine of two raw float32 arrays; NaN where one is all zeros or not finite."""
    if len(actual) != len(expected):
        raise DeviceError(
            f"{device} has {len(expected)} bytes of a golden output of {len(actual)}.",
            cause="the file was cut short on the board",
            remedy="deploy the archive, or run the sweep, again: only what is damaged is sent",
        )
    ours, simulated = (numpy.frombuffer(raw, "<f4").astype("f8") for raw in (actual, expected))
    with numpy.errstate(invalid="ignore"):
        norms = numpy.linalg.norm(ours) * numpy.linalg.norm(simulated)
        return float(ours @ simulated / norms)
