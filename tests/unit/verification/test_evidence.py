import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openqnn.network.onnx_network import Network
from scripts.pictures.picture_input import PictureInput
from scripts.verification import evidence, features, integers
from scripts.verification.evidence import Built, Quantised
from tests.networks import vit


def test_the_cpu_leaves_the_simulator_the_first_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    niceness: dict[str, int] = {}

    def engine(name: str, result: Any) -> Any:
        def run(*_: Any, **__: Any) -> Any:
            niceness[name] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            return result

        return run

    outputs = {"features": np.ones((1, 4), np.float32)}
    monkeypatch.setattr(features, "of_context", engine("simulator", outputs))
    monkeypatch.setattr(features, "reference", engine("reference", (outputs, {})))
    monkeypatch.setattr(integers, "outputs", engine("integers", outputs))
    monkeypatch.setattr(integers, "layers", engine("layers", []))
    network = vit.write(tmp_path)
    built = Built(tmp_path, PictureInput.load(network), Quantised(network, network))
    before = os.getpriority(os.PRIO_PROCESS, 0)
    gathered = evidence.gather(Network.load(network), built, [], [], 1, tmp_path)
    assert gathered.built.keys() == outputs.keys()
    behind = {"reference", "integers", "layers"}
    assert {niceness.pop(name) for name in behind} == {min(before + evidence.BEHIND, 19)}
    assert niceness == {"simulator": before}
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
