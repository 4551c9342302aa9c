"""Every ELF file of a real build, as binutils in the image see it."""

import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

from scripts import artefacts, toml
from scripts.htp import sdk
from scripts.htp.modellib import FOLDERS, TOOLCHAINS
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.request import Request
from tests.containers import idle

pytestmark = pytest.mark.pipeline
MACHINES = {sdk.HOST: "Advanced Micro Devices X86-64", sdk.DEVICE: "AArch64"}
EXPORTS = {"QnnModel_composeGraphs", "QnnModel_freeGraphsInfo", "QNN_SDK_VERSION"}


@pytest.fixture(scope="module")
def host(
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    builder: Builder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    """The image, with a build at /build and what its archive holds at /package."""
    build()
    package = tmp_path_factory.mktemp("package")
    with tarfile.open(ask().archive) as tar:
        tar.extractall(package, filter="data")
    for folder in (package, *package.rglob("*")):
        folder.chmod(0o755)
    (inside,) = package.iterdir()
    ask().root.parent.chmod(0o755)
    with idle(builder.client, builder.image, build=ask().root, package=inside) as container:
        yield container


def _library(target: str) -> str:
    return f"/build/{artefacts.model_library('digits', 'int8', target)}"


def _header(host: Host, path: str) -> dict[str, str]:
    lines = host.check_output("readelf --file-header %s", path).splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("target", sorted(MACHINES))
def test_a_library_is_for_its_target_and_exports_a_model(host: Host, target: str) -> None:
    header = _header(host, _library(target))
    assert header["Machine"] == MACHINES[target]
    assert header["Class"] == "ELF64"
    assert header["Type"].startswith("DYN")
    symbols = host.check_output("nm --dynamic --defined-only %s", _library(target))
    assert {line.split()[-1] for line in symbols.splitlines()} == EXPORTS


@pytest.mark.parametrize("target", sorted(MACHINES))
def test_a_library_needs_no_newer_runtime_than_its_target_has(host: Host, target: str) -> None:
    abi = toml.load(TOOLCHAINS / FOLDERS[target] / "abi.toml")
    versions = host.check_output("readelf --version-info %s", _library(target))
    symbols = re.findall(r"Name: (GLIBC|GLIBCXX|CXXABI)_([\d.]+)", versions)
    assert symbols
    for name, version in symbols:
        assert _parts(version) <= _parts(abi["ceilings"][name]), f"{name}_{version}"
    dynamic = host.check_output("readelf --dynamic %s", _library(target))
    assert set(re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic)) <= set(abi["needed"])
    assert not re.search(r"R(UN)?PATH", dynamic)


def test_all_that_a_board_gets_is_for_the_board_or_its_dsp(host: Host) -> None:
    files = host.check_output("find /package -type f").splitlines()
    elves = [path for path in files if host.file(path).content[:4] == b"\x7fELF"]
    machines = {Path(path).name: _header(host, path)["Machine"] for path in elves}
    dsp = {name for name, machine in machines.items() if machine == "QUALCOMM DSP6 Processor"}
    assert dsp == {"libQnnHtpV73Skel.so"}
    board = {name for name, machine in machines.items() if machine == "AArch64"}
    assert {"libdinov3_digits_int8.so", "dinov3-run", "libQnnHtp.so"} <= board
    assert board | dsp == set(machines)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
