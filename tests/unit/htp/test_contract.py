"""The stages against an official SDK: a stand-in root that only notes how it is called."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openqnn.quantization.encodings import Encodings
from scripts import artefacts, catalog, toml
from scripts.errors import CompileError, ConversionError, PipelineError, SdkError
from scripts.htp import conversion, modellib, sdk
from scripts.htp.simulation import milliseconds
from scripts.stages import compile as compile_stage
from scripts.stages import context, convert
from tests.networks import small_network

HERE = Path(__file__).parent
DOCUMENTED = toml.load(HERE / "documented.toml")
MODEL, PRECISION = "digits", "int8"
LIBRARIES = (
    f"{sdk.HOST}/libQnnHtp.so",
    f"{sdk.HOST}/libQnnHtpNetRunExtensions.so",
    f"{sdk.DEVICE}/libQnnHtp.so",
    "hexagon-v73/unsigned/libQnnHtpV73Skel.so",
)


class Chain:
    """The three stages over a stand-in root, and the calls that it noted."""

    def __init__(self, folder: Path) -> None:
        self.out, self.log = folder / "out", folder / "calls.jsonl"
        self.onnx = small_network.write(folder)
        self.encodings = folder / "e.json"
        self.encodings.write_text("{}")
        self.out.mkdir()

    def convert(self, encodings: bool = True) -> None:
        path = self.encodings if encodings else None
        convert.main(self._arguments(onnx=self.onnx, encodings=path, target="iq9075"))

    def compile(self) -> None:
        cpp = self.out / artefacts.model_cpp(MODEL, PRECISION)
        compile_stage.main(self._arguments(cpp=cpp, bin=cpp.with_suffix(".bin")))

    def context(self) -> None:
        library = self.out / artefacts.model_library(MODEL, PRECISION, sdk.HOST)
        context.main(self._arguments(library=library, target="iq9075"))

    def run(self) -> None:
        self.convert()
        self.compile()
        self.context()

    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def _arguments(self, **inputs: object) -> argparse.Namespace:
        return argparse.Namespace(out=self.out, model=MODEL, precision=PRECISION, **inputs)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "qairt"
    for tool in (*sdk.TOOLS, "qnn-profile-viewer"):
        path = folder / "bin" / sdk.HOST / tool
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (HERE / "stand_in_tool.py").read_text()
        path.write_text(text.replace("/usr/bin/env python3", sys.executable))
        path.chmod(0o755)
    for name in LIBRARIES:
        path = folder / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"v2.43.0.260128154321")
    (folder / "sdk.yaml").write_text("version: 2.43.0.260128\n")
    return folder


@pytest.fixture
def checked() -> list[str]:
    return []


@pytest.fixture
def chain(tmp_path: Path, root: Path, checked: list[str], monkeypatch: pytest.MonkeyPatch) -> Chain:
    mounted = sdk.in_force(root, tmp_path / "none", sdk.OFFICIAL_PYTHON)
    monkeypatch.setattr(sdk, "in_force", lambda: mounted)
    # The stand-in's libraries are no ELF files; the gate has tests of its own.
    monkeypatch.setattr(modellib, "check", lambda library, target: checked.append(target))
    chain = Chain(tmp_path)
    monkeypatch.setenv("STAND_IN_LOG", str(chain.log))
    return chain


def test_a_mounted_sdk_takes_the_whole_chain(chain: Chain) -> None:
    chain.run()
    assert [call["tool"] for call in chain.calls()] == [
        "qnn-onnx-converter",
        "qnn-model-lib-generator",
        "qnn-context-binary-generator",
        "qnn-profile-viewer",
    ]
    assert (chain.out / artefacts.context_binary(PRECISION)).is_file()


def test_only_documented_options_are_used(chain: Chain) -> None:
    chain.run()
    chain.convert(encodings=False)
    for call in chain.calls():
        used = {argument for argument in call["arguments"] if argument.startswith("-")}
        assert used <= set(DOCUMENTED["options"][call["tool"]]), call["tool"]


def test_only_documented_variables_are_set(root: Path) -> None:
    added = sdk.Sdk(root, "2.43.0.260128", "QAIRT").environment({})
    assert set(added) <= set(DOCUMENTED["environment"]["names"])


def test_the_environment_is_that_of_the_mounted_sdk(chain: Chain, root: Path) -> None:
    chain.run()
    for call in chain.calls():
        environment = call["environment"]
        assert environment["QNN_SDK_ROOT"] == str(root)
        assert environment["PATH"].startswith(f"{root}/bin/x86_64-linux-clang:")
        assert environment["PYTHONPATH"].split(":")[0] == f"{root}/lib/python"
        assert environment["LD_LIBRARY_PATH"].split(":")[0] == f"{root}/lib/x86_64-linux-clang"


def test_openqnn_hears_which_soc_to_validate_for_and_the_official_converter_no_option(
    chain: Chain,
) -> None:
    chain.convert()
    (call,) = chain.calls()
    assert call["environment"][conversion.SOC_VARIABLE] == "77"
    assert "77" not in call["arguments"]


def test_commands_run_where_they_may_write(chain: Chain) -> None:
    """They leave temporary trees in the current folder; /src is read-only in a container."""
    chain.run()
    assert all(Path(call["cwd"]).is_relative_to(chain.out) for call in chain.calls())


def test_paths_are_absolute(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(chain.out.parent)
    chain.out = Path("out")
    chain.run()
    for call in chain.calls():
        paths = [argument for argument in call["arguments"] if "/" in argument]
        assert paths
        assert all(path.startswith("/") for path in paths)


def test_layout_is_preserved_and_nothing_is_simplified(chain: Chain) -> None:
    chain.convert()
    arguments = chain.calls()[0]["arguments"]
    assert "--preserve_io" in arguments
    assert "--no_simplification" in arguments
    following = arguments[arguments.index("--preserve_io") + 1]
    assert following.startswith("-") or following in DOCUMENTED["values"]["preserve_io"]


def test_float16_and_encodings_exclude_each_other(chain: Chain) -> None:
    chain.convert(encodings=False)
    chain.convert()
    half, quantised = (call["arguments"] for call in chain.calls())
    assert half[half.index("--float_bitwidth") + 1] in DOCUMENTED["values"]["float_bitwidth"]
    assert "--quantization_overrides" not in half
    assert "--float_bitwidth" not in quantised
    # Without a list of inputs, encodings count only together with this one.
    assert "--float_fallback" in quantised


def test_libraries_are_asked_for_in_one_string(chain: Chain, checked: list[str]) -> None:
    chain.convert()
    chain.compile()
    arguments = chain.calls()[1]["arguments"]
    targets = arguments[arguments.index("-t") + 1].split()
    assert set(targets) <= set(DOCUMENTED["targets"]["qnn-model-lib-generator"])
    assert checked == targets


def test_output_ends_in_cpp(chain: Chain) -> None:
    chain.convert()
    arguments = chain.calls()[0]["arguments"]
    assert arguments[arguments.index("-o") + 1].endswith("/dinov3_digits_int8.cpp")


def test_the_graph_is_called_what_the_configuration_calls_it(chain: Chain) -> None:
    """Its name is the stem of the source; a configuration for another name would be ignored."""
    chain.run()
    arguments = chain.calls()[0]["arguments"]
    stem = Path(arguments[arguments.index("-o") + 1]).stem
    folder = (chain.out / artefacts.context_binary(PRECISION)).parent
    config = json.loads((folder / "htp_config.json").read_text())
    assert config["graphs"][0]["graph_names"] == [stem]


@pytest.mark.parametrize(
    ("tool", "step", "error", "says"),
    [
        ("qnn-onnx-converter", Chain.convert, ConversionError, "Node /attn/Erf: unsupported"),
        ("qnn-model-lib-generator", Chain.compile, CompileError, "Failed to compile model library"),
        ("qnn-context-binary-generator", Chain.context, CompileError, "Failed to finalize"),
    ],
)
def test_a_failure_keeps_the_tools_own_words(
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    step: Callable[[Chain], None],
    error: type[PipelineError],
    says: str,
) -> None:
    chain.run()
    monkeypatch.setenv("STAND_IN_FAILS", tool)
    with pytest.raises(error, match=says):
        step(chain)


@pytest.mark.parametrize(
    ("suffix", "step", "error"),
    [
        (".json", Chain.convert, ConversionError),
        (".bin", Chain.convert, ConversionError),
        (".bin", Chain.context, CompileError),
    ],
)
def test_success_without_a_result_is_a_failure(
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    step: Callable[[Chain], None],
    error: type[PipelineError],
) -> None:
    chain.run()
    for path in chain.out.rglob(f"*{suffix}"):
        path.unlink()
    monkeypatch.setenv("STAND_IN_OMITS", suffix)
    with pytest.raises(error, match="succeeded, but left no"):
        step(chain)


def test_a_source_without_its_suffix_is_put_right(
    chain: Chain, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some releases leave it."""
    tool = root / "bin" / sdk.HOST / "qnn-onnx-converter"
    tool.write_text(tool.read_text().replace("yield cpp,", "yield cpp.with_suffix(''),"))
    chain.convert()
    assert (chain.out / artefacts.model_cpp(MODEL, PRECISION)).is_file()


def test_a_converter_that_turns_the_layout_is_caught(chain: Chain, root: Path) -> None:
    tool = root / "bin" / sdk.HOST / "qnn-onnx-converter"
    tool.write_text(tool.read_text().replace('if "--preserve_io" in arguments', "if False"))
    with pytest.raises(ConversionError, match="changed inputs or outputs"):
        chain.convert()


def test_missing_inputs_are_refused_before_a_tool_runs(chain: Chain) -> None:
    shutil.rmtree(chain.onnx.parent / "out")
    chain.out.mkdir()
    chain.onnx.unlink()
    with pytest.raises(PipelineError, match="does not exist"):
        chain.convert()
    with pytest.raises(PipelineError, match="does not exist"):
        chain.compile()
    assert not chain.log.exists()


def test_trials_of_widths_say_nothing_unless_they_fail(
    chain: Chain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chain.run()
    assert " bytes for QCS9100, Hexagon v73, 8 MB of VTCM\n" in capsys.readouterr().out
    kind, target = catalog.precisions()[PRECISION], catalog.targets()["iq9075"]
    assert milliseconds(chain.onnx, Encodings({}, {}), kind, target, tmp_path) == 0.005
    assert not capsys.readouterr().out
    monkeypatch.setenv("STAND_IN_FAILS", "qnn-context-binary-generator")
    with pytest.raises(CompileError, match="Failed to finalize graph"):
        milliseconds(chain.onnx, Encodings({}, {}), kind, target, tmp_path)
    assert not capsys.readouterr().out
    monkeypatch.delenv("STAND_IN_FAILS")
    chain.convert()
    assert "  convert: " in capsys.readouterr().out


def test_a_context_for_another_chip_is_refused(chain: Chain, root: Path) -> None:
    tool = root / "bin" / sdk.HOST / "qnn-context-binary-generator"
    tool.write_text(tool.read_text().replace("soc_type=QCS9100", "soc_type=SM8550"))
    chain.convert()
    chain.compile()
    with pytest.raises(CompileError, match=r"built for SM8550, Hexagon v73, 8 MB of VTCM, not"):
        chain.context()


def test_a_skel_of_another_build_is_refused_before_compiling(chain: Chain, root: Path) -> None:
    chain.convert()
    chain.compile()
    (root / "lib" / LIBRARIES[-1]).write_bytes(b"v2.41.0.251128145156")
    with pytest.raises(SdkError, match=r"is of build 2\.41\.0\.251128145156"):
        chain.context()
    assert "qnn-context-binary-generator" not in {call["tool"] for call in chain.calls()}
