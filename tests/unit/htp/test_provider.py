"""Digits through the real HTP compiler and simulator, and what must not get through."""

import json
import shutil
from argparse import Namespace
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest

from openqnn.network.onnx_network import Network
from scripts import artefacts, outputs
from scripts.errors import ArtefactError, ConversionError, GateError
from scripts.htp import sdk
from scripts.lowering.lower import lower
from scripts.picture_size import PictureSize
from scripts.pictures import preprocess
from scripts.stages import calibrate, context, convert, quantize, verify
from scripts.stages import compile as compile_stage
from tests.networks import small_network

pytestmark = pytest.mark.torch
SIZE = PictureSize.square(32)
DIGITS = Path(__file__).parents[3] / "scripts" / "catalog" / "digits"


class Build:
    """The stages of one build folder, called as the pipeline calls them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.eager = root / artefacts.eager_onnx("digits")
        self.held_out = root / artefacts.image_set("heldout")
        self.pictures = root / "images" / "digits"

    def prepare(self) -> None:
        from scripts.stages import export, images  # torch and scikit-learn are in the image only

        images.main(Namespace(out=self.root, set="digits"))
        for name, count in (("calibration", 32), ("heldout", 6)):
            calibrate.main(
                Namespace(
                    out=self.root,
                    images=self.pictures / name,
                    set=name,
                    size=SIZE,
                    count=count,
                    weights=DIGITS,
                    model="digits",
                    exclude=None,
                    beside=0,
                )
            )
        export.main(
            Namespace(
                out=self.root,
                model="digits",
                weights=str(DIGITS),
                size=SIZE,
                outputs="tokens",
                check=None,
            )
        )

    def context(self, precision: str, out: Path | None = None, network: Path | None = None) -> Path:
        out, network, encodings = out or self.root, network or self.eager, None
        if precision != "fp16":
            quantize.main(
                Namespace(
                    out=out,
                    model="digits",
                    precision=precision,
                    onnx=network,
                    calibration=self.root / artefacts.image_set("calibration"),
                    method="min-max",
                    equalise=True,
                    encodings=None,
                    target="iq9075",
                    widths=None,
                )
            )
            network = out / artefacts.quantized_onnx("digits", precision)
            encodings = out / artefacts.encodings("digits", precision)
            data = self.eager.with_suffix(".onnx_data")
            if out != self.root:
                shutil.copy(data, network.parent)
        return self.chain(precision, network, encodings, out)

    def chain(self, precision: str, network: Path, encodings: Path | None, out: Path) -> Path:
        names = {"model": "digits", "precision": precision, "out": out, "target": "iq9075"}
        cpp = out / artefacts.model_cpp("digits", precision)
        library = out / artefacts.model_library("digits", precision, sdk.HOST)
        convert.main(Namespace(**names, onnx=network, encodings=encodings))
        compile_stage.main(Namespace(**names, cpp=cpp, bin=cpp.with_suffix(".bin")))
        context.main(Namespace(**names, library=library))
        return out / artefacts.context_binary(precision)

    def verify(
        self,
        precision: str,
        binary: Path,
        held_out: Path | None = None,
        reference: Path | None = None,
        network: Path | None = None,
        quantised: Path | None = None,
    ) -> dict[str, float]:
        """`quantised` is where `quantize` wrote, unless that is the build's own folder."""
        source = quantised or self.root
        names = "digits", precision
        files = artefacts.quantized_onnx(*names), artefacts.encodings(*names)
        quantised_onnx, encodings = (
            None if precision == "fp16" else source / file for file in files
        )
        verify.main(
            Namespace(
                out=self.root,
                model="digits",
                precision=precision,
                context=binary,
                network=network or self.eager,
                onnx=reference or self.eager,
                heldout=held_out or self.held_out,
                images=self.pictures / "heldout",
                simulate=3,
                quantised=quantised_onnx,
                encodings=encodings,
                head=DIGITS / "head.safetensors",
                no_gate=False,
            )
        )
        report = self.root / artefacts.verify_report(precision)
        figures: dict[str, float] = json.loads(report.read_text())["figures"]
        return figures


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    build = Build(tmp_path_factory.mktemp("build"))
    build.prepare()
    return build


@pytest.mark.parametrize("precision", ["fp16", "int8", "w8a16"])
def test_is_faithful(build: Build, precision: str) -> None:
    figures = build.verify(precision, build.context(precision))
    assert figures["cls_min"] > 0.99


def _swap_colours(raw: np.ndarray) -> np.ndarray:
    return raw[:, ::-1]


def _to_nhwc(raw: np.ndarray) -> np.ndarray:
    return raw.transpose(0, 2, 3, 1)


@pytest.mark.parametrize("swap", [_swap_colours, _to_nhwc])
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_raws_in_another_order_miss_the_gate(
    build: Build, tmp_path: Path, swap: Callable[[np.ndarray], np.ndarray], precision: str
) -> None:
    held_out = tmp_path / "heldout"
    shutil.copytree(build.held_out, held_out)
    for path in held_out.glob("*.raw"):
        raw = np.fromfile(path, np.float32).reshape(1, 3, 32, 32)
        np.ascontiguousarray(swap(raw)).tofile(path)
    binary = build.context(precision)
    with pytest.raises(GateError, match="not faithful"):
        build.verify(precision, binary, held_out)


@pytest.fixture(scope="module")
def takes_bytes(build: Build) -> Path:
    target = build.root / "bytes.onnx"
    lower(build.eager, target, "int8", [], preprocess.settings(PictureSize.square(32), DIGITS))
    return target


@pytest.mark.parametrize("precision", ["fp16", "w8a16"])
def test_bytes_are_as_faithful(
    build: Build, takes_bytes: Path, tmp_path: Path, precision: str
) -> None:
    binary = build.context(precision, tmp_path / "out", takes_bytes)
    figures = build.verify(precision, binary, network=takes_bytes, quantised=tmp_path / "out")
    assert figures["cls_min"] > 0.99


def test_bytes_as_planes_miss_the_gate(build: Build, takes_bytes: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "heldout"
    shutil.copytree(build.held_out, held_out)
    for path in held_out.glob("*.rgb"):
        planes = np.fromfile(path, np.uint8).reshape(32, 32, 3).transpose(2, 0, 1)
        np.ascontiguousarray(planes).tofile(path)
    binary = build.context("int8", tmp_path / "out", takes_bytes)
    with pytest.raises(GateError, match="not faithful"):
        build.verify("int8", binary, held_out, network=takes_bytes, quantised=tmp_path / "out")


@pytest.fixture
def bgr(build: Build, tmp_path: Path) -> Path:
    """A network for blue first."""
    network = Network.load(build.eager)
    name = next(node for node in network.graph.node if node.op_type == "Conv").input[1]
    swapped = np.ascontiguousarray(network.array(name)[:, ::-1])
    network.constants[name].CopyFrom(onnx.numpy_helper.from_array(swapped, name))
    onnx.save(network.model, tmp_path / "bgr.onnx")
    shutil.copy(build.eager.with_suffix(".onnx_data"), tmp_path)
    return tmp_path / "bgr.onnx"


def test_a_model_compiled_for_bgr_misses_the_gate(build: Build, bgr: Path, tmp_path: Path) -> None:
    binary = build.context("fp16", tmp_path / "out", bgr)
    with pytest.raises(GateError, match="not faithful"):
        build.verify("fp16", binary)


def test_a_model_quantised_for_bgr_misses_the_gate(build: Build, bgr: Path, tmp_path: Path) -> None:
    binary = build.context("int8", tmp_path / "out", bgr)
    with pytest.raises(GateError, match="not faithful"):
        build.verify("int8", binary, quantised=tmp_path / "out")


def test_a_context_of_another_network_than_was_quantised_is_told(
    build: Build, bgr: Path, tmp_path: Path
) -> None:
    build.context("int8")
    with pytest.raises(GateError, match="simulator and the integer network disagree: cls_mean"):
        build.verify("int8", build.context("int8", tmp_path / "out", bgr))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_report_says_how_many_pictures_stand_behind_it(build: Build, precision: str) -> None:
    build.verify(precision, build.context(precision))
    report = json.loads((build.root / artefacts.verify_report(precision)).read_text())
    assert report["simulated_pictures"] == 3
    assert report["pictures"] == len(report["cls_by_picture"]) == (3 if precision == "fp16" else 6)
    counts = [engine["pictures"] for engine in report["engines"].values()]
    assert counts == ([] if precision == "fp16" else [3])


def test_an_overflow_of_float16_fails(
    build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network whose last values exceed 65504: right in float32, cut off on the HTP."""
    network = Network.load(build.eager)
    last = next(node for node in network.graph.node if outputs.TOKENS in node.output)
    gamma = np.asarray(network.array(last.input[1]), np.float32) * np.float32(1e6)
    network.constants[last.input[1]].CopyFrom(onnx.numpy_helper.from_array(gamma, last.input[1]))
    wide = tmp_path / artefacts.eager_onnx("digits").name
    onnx.save(network.model, wide)
    shutil.copy(build.eager.with_suffix(".onnx_data"), tmp_path)
    binary = build.context("fp16", tmp_path / "out", wide)
    with pytest.raises(GateError, match="not faithful"):
        build.verify("fp16", binary, reference=wide)
    assert "beyond float16's 65504" in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["int8", "w8a16"])
def test_same_bytes_in_another_folder(build: Build, tmp_path: Path, precision: str) -> None:
    here = build.context(precision).read_bytes()
    there = build.context(precision, tmp_path / "a_folder_with_a_longer_name").read_bytes()
    assert sha256(here).hexdigest() == sha256(there).hexdigest()


@pytest.mark.parametrize("precision", ["fp16", "int8", "w8a16"])
def test_same_bytes_at_another_time(build: Build, precision: str) -> None:
    first = build.context(precision).read_bytes()
    assert build.context(precision).read_bytes() == first


def test_nothing_is_left_beside_the_outputs(build: Build) -> None:
    binary = build.context("int8")
    assert not list(build.root.glob(".scratch*"))
    assert {path.name for path in binary.parent.iterdir()} <= {
        "dinov3_int8_htp.serialized.bin",
        "dinov3_int8_htp.serialized.bin.sha256",
        "backend_extensions.json",
        "htp_config.json",
        "dinov3_int8_htp.serialized.estimate.json",
        "dinov3_int8_htp.serialized.timeline.json.gz",
        "golden_output.raw",
        "verify.json",
    }


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_context_is_refused(build: Build, tmp_path: Path, damage: str) -> None:
    data = bytearray(build.context("int8").read_bytes())
    if damage == "truncated":
        del data[len(data) // 2 :]
    else:
        data[:64] = bytes(byte ^ 0xFF for byte in data[:64])
    broken = tmp_path / "c.serialized.bin"
    broken.write_bytes(data)
    with pytest.raises(ArtefactError, match="qnn-net-run ended with"):
        build.verify("int8", broken)


def test_what_the_htp_cannot_take_is_refused_not_left_to_the_cpu(tmp_path: Path) -> None:
    path = small_network.write(tmp_path)
    model = onnx.load(path)
    model.graph.node[-1].op_type = "Mod"
    model.graph.node[-1].attribute.append(onnx.helper.make_attribute("fmod", 1))
    onnx.save(model, path)
    with pytest.raises(ConversionError, match="qnn-onnx-converter ended with"):
        Build(tmp_path).chain("fp16", path, None, tmp_path)
