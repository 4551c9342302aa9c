"""A build whose network takes RGB bytes, end to end."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from scripts import artefacts, catalog
from scripts.errors import GateError
from scripts.htp import netjson
from scripts.package import package
from scripts.package.package import Unpacked
from scripts.pipeline import plan, request
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.container import Mount, Program, run
from scripts.pipeline.request import Request

pytestmark = pytest.mark.pipeline
BUILT_ANEW = [
    *("lower", "quantize", "convert", "compile", "context", "profile", "verify", "report"),
    "package",
]


@pytest.fixture(scope="module")
def build_request(
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    tmp_path_factory: pytest.TempPathFactory,
) -> Request:
    """A request for bytes, in a copy of the folder that a build for planes was made in."""
    build()
    copy = tmp_path_factory.mktemp("bytes")
    shutil.copytree(ask().root, copy / "digits-uint8")
    return request.make(
        model="digits", precision="int8", target="iq9075", build_dir=str(copy), input="uint8"
    )


@pytest.fixture(scope="module")
def done(builder: Builder, build_request: Request) -> list[Done]:
    return builder.build(build_request, plan.stages(build_request))


@pytest.fixture
def in_another_order(build_request: Request, done: list[Done]) -> Iterator[None]:
    """Blue first, as some cameras give it."""
    folder, size = (
        build_request.root / artefacts.image_set("heldout"),
        build_request.model.image_size,
    )
    contents = {path: path.read_bytes() for path in folder.glob("*.rgb")}
    for path, data in contents.items():
        pixels = np.frombuffer(data, np.uint8).reshape(size, size, 3)
        path.write_bytes(pixels[..., ::-1].tobytes())
    yield
    for path, data in contents.items():
        path.write_bytes(data)


def test_only_what_differs_is_built_anew(done: list[Done]) -> None:
    assert [step.stage.verb for step in done if step.ran] == BUILT_ANEW


def test_it_takes_bytes_as_they_are(build_request: Request, done: list[Done]) -> None:
    cpp = build_request.root / artefacts.model_cpp("digits", "int8")
    tensors = json.loads(cpp.with_name(f"{cpp.stem}_net.json").read_text())["graph"]["tensors"]
    (taken,) = [tensor for tensor in tensors.values() if tensor["type"] == netjson.APP_WRITE]
    assert (taken["data_type"], taken["dims"]) == (netjson.UFIXED_POINT_8, [1, 32, 32, 3])
    grid = taken["quant_params"]["scale_offset"]
    assert (grid["scale"], grid["offset"]) == (1, 0)


def test_it_passes_its_gate(build_request: Request, done: list[Done]) -> None:
    report = json.loads((build_request.root / artefacts.verify_report("int8")).read_text())
    assert report["input"] == "uint8"
    for figure, bound in catalog.precisions()["int8"].gate.items():
        assert report["figures"][figure] >= bound
    assert report["accuracy"]["context"] >= report["accuracy"]["reference"] - 0.005


@pytest.mark.usefixtures("in_another_order")
def test_another_colour_order_misses_the_gate(builder: Builder, build_request: Request) -> None:
    verify = next(stage for stage in plan.stages(build_request) if stage.verb == "verify")
    with pytest.raises(GateError):
        builder.build(build_request, [verify])


def test_the_packages_runner_takes_a_picture(
    builder: Builder, build_request: Request, done: list[Done], tmp_path: Path
) -> None:
    with package.unpacked(build_request.archive) as unpacked:
        facts = unpacked.package.manifest.facts
        (context,) = unpacked.package.manifest.role("context binary")
        program = Program(
            [
                "/opt/openqnn/bin/x86_64-linux-clang/dinov3-run",
                *("--context", f"/package/{context}", "--rgb", "/package/golden/input.rgb"),
                *("--output", "/out/output.raw"),
            ],
            [Mount(unpacked.folder, "/package"), Mount(tmp_path, "/out", writable=True)],
        )
        assert run(builder.client, builder.image.id, program).exit_code == 0
        expected = (unpacked.folder / "golden/output.raw").read_bytes()
    assert facts["model"]["input"]["dtype"] == "uint8"
    assert (tmp_path / "output.raw").read_bytes() == expected


def test_onnx_runtime_takes_a_picture_too(
    build_request: Request, done: list[Done], onnx_runtime: Callable[[Unpacked], dict[str, bytes]]
) -> None:
    with package.unpacked(build_request.archive) as unpacked:
        expected = (unpacked.folder / "golden/output.raw").read_bytes()
        assert onnx_runtime(unpacked) == {"last_hidden_state": expected}
