"""Compilers are found the official way, and missed in the official words."""

from pathlib import Path

import pytest

from openqnn.modellib import targets
from openqnn.refusal import Refused

UBUNTU, YOCTO = (
    targets.TARGETS["aarch64-ubuntu-gcc9.4"],
    targets.TARGETS["aarch64-oe-linux-gcc11.2"],
)


def install(folder: Path, target: targets.Target) -> None:
    folder.mkdir(parents=True)
    (folder / target.compiler).touch()


def test_ubuntu_compiler_stands_below_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "usr/bin", UBUNTU)
    monkeypatch.setenv("QNN_AARCH64_UBUNTU_GCC_94", str(tmp_path))
    tools = targets.find(UBUNTU)
    compiler = f"{tmp_path}/usr/bin/aarch64-linux-gnu-g++"
    assert tools.compiler_command() == f"{compiler} --sysroot={tmp_path}"


@pytest.mark.parametrize("host", ["x86_64-qtisdk-linux", "x86_64"])
def test_yocto_compiler_has_two_known_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    folder = tmp_path / f"sysroots/{host}/usr/bin/aarch64-oe-linux"
    install(folder, YOCTO)
    (tmp_path / "sysroots/armv8a-oe-linux").mkdir()
    monkeypatch.setenv("QNN_AARCH64_LINUX_OE_GCC_112", str(tmp_path))
    tools = targets.find(YOCTO)
    assert tools.compiler == f"{folder}/aarch64-oe-linux-g++"
    assert tools.sysroot == f"{tmp_path}/sysroots/armv8a-oe-linux"


def test_without_the_variable_the_unexpanded_path_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QNN_AARCH64_UBUNTU_GCC_94", raising=False)
    path = r"\$\{QNN_AARCH64_UBUNTU_GCC_94\}/usr/bin/aarch64-linux-gnu-g\+\+"
    with pytest.raises(Refused, match=f"Could not find compiler: {path}.*not set"):
        targets.find(UBUNTU)


def test_an_empty_toolchain_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QNN_AARCH64_UBUNTU_GCC_94", str(tmp_path))
    with pytest.raises(Refused, match=f"GCC_94 is {tmp_path}"):
        targets.find(UBUNTU)


def test_targets_come_in_one_string() -> None:
    parsed = targets.parse("x86_64-linux-clang  aarch64-ubuntu-gcc9.4 x86_64-linux-clang")
    assert [target.name for target in parsed] == ["x86_64-linux-clang", "aarch64-ubuntu-gcc9.4"]


@pytest.mark.parametrize(
    ("names", "says"),
    [("aarch64-android", "not built by this SDK"), ("riscv", "does not exist"), (" ", "no target")],
)
def test_other_targets_are_refused(names: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        targets.parse(names)
