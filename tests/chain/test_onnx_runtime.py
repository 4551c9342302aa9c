"""A network of real size in the hands of a client that is not ours: stock ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scripts.htp import sdk
from scripts.htp.interface import Interface
from scripts.package import epcontext
from tests import onnx_client
from tests.chain import building
from tests.chain.building import PRECISIONS, Network

FACTS = {
    "model": {"name": "vits16", "description": "a network"},
    "weights": {"source": "random:1", "sha256": "synthetic", "licence": "none"},
    "precision": {"name": "any"},
    "sdk": {"build_id": "any"},
    "target": {"name": building.TARGET.name},
}


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_outputs_are_those_of_net_run_to_the_bit(
    network: Callable[[str], Network], tmp_path: Path, precision: str
) -> None:
    exported = network("vits16")
    context = building.context(exported, precision, tmp_path)
    interface = Interface.read(sdk.in_force().root, context)
    model = context.with_name(Path(epcontext.path(interface)).name)
    model.write_bytes(epcontext.dump(interface, context.name, FACTS))
    (expected,) = building.run(exported, context, 1)
    (actual,) = onnx_client.outputs(model, exported.pictures()[0]).values()
    assert np.array_equal(actual, expected)
