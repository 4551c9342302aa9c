"""Whatever does not belong together, or is damaged, is refused in its own words."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from scripts import artefacts
from scripts.errors import ElfError
from scripts.htp import config, modellib, sdk
from tests.chain.building import TARGET, Network

Libraries = Callable[[str], dict[str, Path]]


def refused(folder: Path, tool: str, *arguments: str | Path, **variables: str) -> str:
    """Run a command that has to fail and leave nothing; return what it said."""
    root = sdk.in_force()
    done = subprocess.run(
        [root.tool(tool), *arguments],
        cwd=folder,
        env=root.environment() | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode > 0
    assert "Traceback" not in done.stderr
    assert not list(folder.glob("tmp_*"))
    return done.stdout + done.stderr


def source(libraries: Libraries, precision: str) -> Path:
    root = libraries(precision)[sdk.HOST].parents[2]
    return root / artefacts.model_cpp("digits", precision)


def changed(path: Path, folder: Path, change: Callable[[bytearray], bytearray]) -> Path:
    changed = folder / path.name
    changed.write_bytes(change(bytearray(path.read_bytes())))
    return changed


def flip(data: bytearray) -> bytearray:
    """Flip a bit in the middle of the largest member, not in what names a member."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        largest = max(archive.getmembers(), key=lambda member: member.size)
    data[largest.offset_data + largest.size // 2] ^= 1
    return data


def generate(
    folder: Path, cpp: Path, archive: Path, target: str = sdk.HOST, **settings: str
) -> str:
    return refused(
        folder,
        "qnn-model-lib-generator",
        "-c",
        cpp,
        "-b",
        archive,
        "-t",
        target,
        "-o",
        folder,
        **settings,
    )


def test_a_flipped_bit_in_a_weight(libraries: Libraries, tmp_path: Path) -> None:
    cpp = source(libraries, "int8")
    said = generate(tmp_path, cpp, changed(cpp.with_suffix(".bin"), tmp_path, flip))
    assert "is damaged: its SHA-256 is" in said


def test_a_truncated_bin(libraries: Libraries, tmp_path: Path) -> None:
    cpp = source(libraries, "int8")
    half = changed(cpp.with_suffix(".bin"), tmp_path, lambda data: data[: len(data) // 2])
    assert "is truncated" in generate(tmp_path, cpp, half)


def test_a_source_of_another_model(libraries: Libraries, tmp_path: Path) -> None:
    said = generate(
        tmp_path, source(libraries, "fp16"), source(libraries, "int8").with_suffix(".bin")
    )
    assert "does not belong to" in said


def test_weights_of_the_same_names_and_another_build(libraries: Libraries, tmp_path: Path) -> None:
    """int8 and w8a16 quantise the same weights, but biases differ."""
    said = generate(
        tmp_path, source(libraries, "int8"), source(libraries, "w8a16").with_suffix(".bin")
    )
    assert "damaged" in said or "does not belong to" in said


def test_a_source_that_does_not_compile(libraries: Libraries, tmp_path: Path) -> None:
    cpp = source(libraries, "int8")
    broken = changed(cpp, tmp_path, lambda data: data.replace(b"return err;", b"return er;"))
    said = generate(tmp_path, broken, cpp.with_suffix(".bin"))
    assert "Failed to compile model library for target: x86_64-linux-clang" in said
    assert "use of undeclared identifier 'er'" in said


def test_a_missing_compiler(libraries: Libraries, tmp_path: Path) -> None:
    cpp = source(libraries, "int8")
    said = generate(
        tmp_path,
        cpp,
        cpp.with_suffix(".bin"),
        sdk.DEVICE,
        QNN_AARCH64_UBUNTU_GCC_94="/nowhere",
    )
    assert "${QNN_AARCH64_UBUNTU_GCC_94}/usr/bin/aarch64-linux-gnu-g++" in said


@pytest.mark.parametrize(
    ("made_for", "taken_for"), [(sdk.HOST, sdk.DEVICE), (sdk.DEVICE, sdk.HOST)]
)
def test_a_library_for_another_architecture(
    libraries: Libraries, made_for: str, taken_for: str
) -> None:
    with pytest.raises(ElfError, match="is 64-bit"):
        modellib.check(libraries("int8")[made_for], taken_for)


def test_a_truncated_library(libraries: Libraries, tmp_path: Path) -> None:
    library = libraries("int8")[sdk.HOST]
    with pytest.raises(ElfError, match="not a complete ELF file"):
        modellib.check(changed(library, tmp_path, lambda data: data[:5000]), sdk.HOST)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("soc_model", 36, "dsp_arch"),
        ("dsp_arch", "v75", "v73"),
        ("soc_modell", 77, "unknown key"),
    ],
)
def test_a_configuration_for_another_chip(
    libraries: Libraries, tmp_path: Path, key: str, value: object, says: str
) -> None:
    import json

    library = libraries("int8")[sdk.HOST]
    root = sdk.in_force()
    name = library.stem.removeprefix("lib")
    extensions = root.library("libQnnHtpNetRunExtensions.so")
    first = config.write(tmp_path, extensions, name, TARGET, is_fp16=False)
    settings = json.loads((tmp_path / config.CONFIG).read_text())
    settings["devices"][0][key] = value
    (tmp_path / config.CONFIG).write_text(json.dumps(settings))
    said = refused(
        tmp_path,
        "qnn-context-binary-generator",
        *("--model", library, "--backend", root.library("libQnnHtp.so")),
        *("--config_file", first, "--output_dir", tmp_path, "--binary_file", "made"),
    )
    assert says in said
    assert not (tmp_path / "made.bin").exists()


def test_a_node_that_the_backend_does_not_take_is_named(tmp_path: Path) -> None:
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in ("in", "out")
    ]
    node = helper.make_node("Det", ["in"], ["det"], name="determinant")
    last = helper.make_node("Add", ["in", "det"], ["out"])
    graph = helper.make_graph([node, last], "g", ends[:1], ends[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10),
        tmp_path / "x.onnx",
    )
    said = refused(tmp_path, "qnn-onnx-converter", "-i", "x.onnx", "-o", "y.cpp")
    assert "the HTP backend does not take Det determinant" in said
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]


@pytest.mark.parametrize(
    ("soc", "says"),
    [
        ("35", "for SoC 35: the HTP backend does not take FullyConnected"),  # v68 has no float16
        ("9999", "for SoC 9999: "),
        ("v73", "OPENQNN_SOC_MODEL must be Qualcomm's number of a SoC, not 'v73'"),
    ],
)
def test_a_soc_that_cannot_run_the_network(
    network: Callable[[str], Network], tmp_path: Path, soc: str, says: str
) -> None:
    options = ("-i", network("digits").eager, "-o", "y.cpp", "--float_bitwidth", "16")
    said = refused(tmp_path, "qnn-onnx-converter", *options, OPENQNN_SOC_MODEL=soc)
    assert says in said
    assert list(tmp_path.iterdir()) == []


def test_encodings_of_another_network(libraries: Libraries, tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text('{"activation_encodings": {}, "param_encodings": {}}')
    model = libraries("fp16")[sdk.HOST].parents[2]
    onnx_file = next(model.parent.glob("digits*/models/dinov3_digits_eager.onnx"))
    said = refused(
        tmp_path,
        *("qnn-onnx-converter", "-i", onnx_file, "-o", "y.cpp"),
        *("--quantization_overrides", "e.json"),
    )
    assert "has no encoding" in said
