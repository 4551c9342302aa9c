"""The package in the hands of a client that is not ours: stock ONNX Runtime."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import scripts
from scripts import artefacts, metrics
from scripts.htp import elf
from scripts.package import epcontext, package
from scripts.package.package import Unpacked
from scripts.package.sample import BEST
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.container import Mount, Program
from scripts.pipeline.container import run as run_program
from scripts.pipeline.request import BUILTIN_WEIGHTS, Request

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def int8(build: Callable[..., list[Done]], ask: Callable[..., Request]) -> Iterator[Unpacked]:
    build()
    with package.unpacked(ask().archive) as unpacked:
        yield unpacked


def test_onnx_runtime_gives_the_golden_output_to_the_bit(
    int8: Unpacked, onnx_runtime: Callable[[Unpacked], dict[str, bytes]]
) -> None:
    expected = (int8.folder / "golden/output.raw").read_bytes()
    assert onnx_runtime(int8) == {"last_hidden_state": expected}


@pytest.mark.parametrize("precision", ["fp16", "w8a16"])
def test_onnx_runtime_does_so_in_every_precision(
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    onnx_runtime: Callable[[Unpacked], dict[str, bytes]],
    precision: str,
) -> None:
    build(precision=precision)
    with package.unpacked(ask(precision=precision).archive) as unpacked:
        expected = (unpacked.folder / "golden/output.raw").read_bytes()
        assert onnx_runtime(unpacked) == {"last_hidden_state": expected}


@pytest.fixture
def sample(builder: Builder, tmp_path: Path) -> Callable[..., str]:
    """Runs the package's sample on a picture; returns what it printed."""

    def run(unpacked: Unpacked, picture: Path, *options: str) -> str:
        mounts = [
            Mount(unpacked.folder, "/package"),
            Mount(picture, "/picture"),
            Mount(BUILTIN_WEIGHTS / "head.safetensors", "/head.safetensors"),
            Mount(tmp_path, "/out", writable=True),
        ]
        command = ["python", "/package/samples/features.py", "/picture", *options]
        outcome = run_program(builder.client, builder.image.id, Program(command, mounts))
        assert outcome.exit_code == 0
        return outcome.tail

    return run


def test_the_sample_takes_a_jpeg_to_features_and_a_label(
    ask: Callable[..., Request], int8: Unpacked, sample: Callable[..., str], tmp_path: Path
) -> None:
    root = ask().root
    manifest = json.loads((root / artefacts.image_set("heldout") / "manifest.json").read_text())
    (first, *_), (folder,) = manifest["images"], root.glob("images/*/heldout")
    picture = tmp_path / "picture.jpg"
    Image.open(folder / first["source"]).save(picture, quality=95)
    options = ("--output", "/out/features.npz", "--head", "/head.safetensors")
    text = sample(int8, picture, *options)
    assert "last_hidden_state [1, 21, 96]" in text
    assert text.splitlines()[-BEST].partition(":")[0] == first["label"], text
    golden = np.fromfile(int8.folder / "golden/output.raw", np.float32).reshape(21, 96)
    (features,) = np.load(tmp_path / "features.npz").values()
    assert metrics.cosine(golden, features[0]).min() > 0.98


def test_the_sample_in_cpp_takes_a_picture_to_features(
    ask: Callable[..., Request],
    int8: Unpacked,
    cpp_sample: Callable[[Unpacked, bytes], str],
    tmp_path: Path,
) -> None:
    pixels = (ask().root / artefacts.image_set("heldout") / "000000.rgb").read_bytes()
    assert "last_hidden_state [1, 21, 96]" in cpp_sample(int8, b"P6 32 32 255\n" + pixels)
    golden = np.fromfile(int8.folder / "golden/output.raw", np.float32).reshape(21, 96)
    features = np.fromfile(tmp_path / "features/last_hidden_state.raw", np.float32)
    assert metrics.cosine(golden, features.reshape(21, 96)).min() > 0.99
    assert elf.read(tmp_path / "board").machine == "aarch64"


def test_a_viewer_shows_what_it_is_and_whose(int8: Unpacked) -> None:
    (path,) = int8.package.manifest.role(epcontext.ROLE)
    model, facts = onnx.load(int8.folder / path), int8.package.manifest.facts
    onnx.checker.check_model(model, full_check=True)
    says = {row.key: row.value for row in model.metadata_props}
    assert (model.producer_name, model.producer_version) == ("dinov3-qnn", scripts.__version__)
    assert says["precision"] == "int8"
    assert says["licence"] == facts["weights"]["licence"]
    assert says["weights_files_sha256"] == facts["weights"]["sha256"]


@pytest.mark.parametrize(
    ("network", "precision"),
    [
        (artefacts.eager_onnx("digits"), "float32"),
        (artefacts.lowered_onnx("digits", "int8"), "float32"),
        (artefacts.quantized_onnx("digits", "int8"), "int8"),
    ],
)
def test_every_network_says_so(
    ask: Callable[..., Request], int8: Unpacked, network: Path, precision: str
) -> None:
    model = onnx.load(ask().root / network, load_external_data=False)
    says = {row.key: row.value for row in model.metadata_props}
    weights = int8.package.manifest.facts["weights"]
    assert (model.producer_name, model.producer_version) == ("dinov3-qnn", scripts.__version__)
    assert says["precision"] == precision
    assert (says["licence"], says["weights"]) == (weights["licence"], weights["source"])
