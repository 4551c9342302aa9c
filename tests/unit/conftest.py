"""What every unit test has: a time for quantised networks where no compiler is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from openqnn.network.onnx_network import Network
from openqnn.quantization.encodings import Encodings
from scripts.htp import simulation

# Invented milliseconds of an activation of 8 and of 16 bits; a norm's are those of the real thing.
NARROW, WIDE, WIDE_RMS, WIDE_SOFTMAX = 0.01, 0.02, 0.05, 0.005


def invented(path: Path, encodings: Encodings, *_: object) -> float:
    """Return a time in which 16 bits cost more, most of all an RMSNormalization."""
    return sum(
        _cost(node.op_type, wide=encodings.activations[node.output[0]].bits == 16)
        for node in Network.load(path).graph.node
    )


def _cost(operator: str, *, wide: bool) -> float:
    if not wide:
        return 2 * NARROW if operator == "LayerNormalization" else NARROW
    return {"RMSNormalization": WIDE_RMS, "Softmax": WIDE_SOFTMAX}.get(operator, WIDE)


@pytest.fixture(autouse=True)
def _no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let nothing start a compile to time widths: the host has none, and here it would be slow."""
    monkeypatch.setattr(simulation, "milliseconds", invented)
    yield
