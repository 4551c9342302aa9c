"""Our encodings in AIMET's hands, and AIMET's in ours, on the digits network."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts import aimet_encodings, artefacts
from scripts.metrics import cosine
from scripts.pipeline.build import Done
from scripts.pipeline.request import Request
from tests import aimet

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """AIMET's program: `simulate` and `export`."""
    python = aimet.python(tmp_path_factory.mktemp("aimet"))

    def run(*arguments: str | Path) -> None:
        subprocess.run([python, aimet.CLIENT, *arguments], check=True, capture_output=True)

    return run


def loss(file: Path, other: Path) -> float:
    """How far the tokens of two outputs are apart: 1 less the mean cosine."""
    one_tokens, other_tokens = (np.fromfile(f, np.float32).reshape(-1, 96) for f in (file, other))
    return float(1 - cosine(one_tokens, other_tokens).mean())


def simulated(client: Callable[..., None], request: Request, encodings: Path, out: Path) -> Path:
    names = (request.model.name, request.precision.name)
    network = request.root / artefacts.quantized_onnx(*names)
    picture = request.root / artefacts.image_set("heldout") / "000000.raw"
    out.mkdir()
    client("simulate", network, encodings, str(request.precision.activations), picture, out)
    return out / "simulated.raw"


@pytest.mark.parametrize(("precision", "most"), [("w8a16", 0.25), ("int8", 1.5)])
def test_aimets_simulation_with_our_encodings_is_as_qualcomms(
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    client: Callable[..., None],
    tmp_path: Path,
    precision: str,
    most: float,
) -> None:
    """16 bits round so finely that weights' errors, the same in both, are most of the loss."""
    request = ask(precision=precision)
    build(precision=precision)
    ours = request.root / artefacts.aimet_encodings("digits", precision)
    output = simulated(client, request, ours, tmp_path / "ours")
    simulator = request.root / artefacts.golden_outputs(precision, request.outputs.names)[0]
    lost = loss(tmp_path / "ours/float.raw", simulator)
    assert loss(output, simulator) < most * lost
    spoiled = json.loads(ours.read_text())
    for entry in spoiled["encodings"]:
        if "layer.2.mlp.down_proj.weight" in entry["name"]:
            entry["y_scale"] = [scale / 4 for scale in entry["y_scale"]]
    (tmp_path / "spoiled.encodings").write_text(json.dumps(spoiled))
    output = simulated(client, request, tmp_path / "spoiled.encodings", tmp_path / "spoiled")
    assert loss(output, simulator) > most * lost


@pytest.mark.parametrize(
    ("precision", "version"), [("w8a16", "1.0.0"), ("w8a16", "2.0.0"), ("int8", "2.0.0")]
)
def test_what_aimet_calibrated_is_built_and_passes_the_gate(
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    client: Callable[..., None],
    tmp_path: Path,
    precision: str,
    version: str,
) -> None:
    request = ask(precision=precision)
    build(precision=precision)
    network = request.root / artefacts.lowered_onnx("digits", precision)
    pictures = sorted((request.root / artefacts.image_set("calibration")).glob("*.raw"))
    bits = str(request.precision.activations)
    client("export", network, bits, version, tmp_path, *pictures)
    theirs = tmp_path / "aimet.encodings"
    options: dict[str, Any] = {"encodings": str(theirs), "build_dir": str(tmp_path / "build")}
    build(precision=precision, **options)
    used = tmp_path / "build/digits" / artefacts.aimet_encodings("digits", precision)
    grids, adopted = aimet_encodings.read(theirs), aimet_encodings.read(used)
    weight = "layer.2.mlp.down_proj.weight"
    assert adopted[weight].scales == pytest.approx(grids[weight].scales, rel=1e-6)
    assert adopted["pixel_values"] == grids["pixel_values"]
