"""Which SDK is in force, and what of it is refused before any work."""

from pathlib import Path

import pytest

from scripts.errors import SdkError
from scripts.htp import sdk

BUILD = "2.51.0.260929181845"


def make(root: Path, version: str = BUILD) -> Path:
    """An SDK root of empty files."""
    tools = [f"bin/{sdk.HOST}/{tool}" for tool in sdk.TOOLS]
    libraries = [f"lib/{target}/libQnnHtp.so" for target in (sdk.HOST, sdk.DEVICE)]
    skel = "lib/hexagon-v73/unsigned/libQnnHtpV73Skel.so"
    for name in [*tools, *libraries, skel]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0v" + BUILD.encode() + b"\0")
    (root / "sdk.yaml").write_text(f"version: {version}\n")
    return root


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_openqnn_is_the_default(tmp_path: Path) -> None:
    in_force = sdk.in_force(empty(tmp_path / "qairt"), make(tmp_path / "openqnn"), (3, 11))
    assert (in_force.name, in_force.version) == ("openqnn", BUILD)


def test_a_mounted_sdk_wins(tmp_path: Path) -> None:
    official = make(tmp_path / "qairt", "2.43.0.260128")
    in_force = sdk.in_force(official, make(tmp_path / "openqnn"), (3, 10))
    assert (in_force.root, in_force.version) == (official, "2.43.0.260128")


@pytest.mark.parametrize("python", [(3, 9), (3, 11), (3, 12)])
def test_a_mounted_sdk_in_the_wrong_lane_is_refused(
    tmp_path: Path, python: tuple[int, int]
) -> None:
    official = make(tmp_path / "qairt", "2.43.0.260128")
    with pytest.raises(SdkError, match=r"2\.43\.0\.260128 needs Python 3\.10") as caught:
        sdk.in_force(official, make(tmp_path / "openqnn"), python)
    assert "--lane jammy" in caught.value.remedy


def test_a_folder_above_the_root_is_recognised(tmp_path: Path) -> None:
    make(tmp_path / "qairt" / "2.43.0.260128")
    with pytest.raises(SdkError, match=r"an SDK is in 2\.43\.0\.260128/ below it"):
        sdk.in_force(tmp_path / "qairt", make(tmp_path / "openqnn"), (3, 10))


@pytest.mark.parametrize("text", ["", "name: x\n", "version:\n", "version: latest\n"])
def test_a_root_without_a_version_is_refused(tmp_path: Path, text: str) -> None:
    root = make(tmp_path / "qairt")
    (root / "sdk.yaml").write_text(text)
    with pytest.raises(SdkError, match=r"no sdk\.yaml with a version"):
        sdk.in_force(root, make(tmp_path / "openqnn"), (3, 10))


@pytest.mark.parametrize(
    "text",
    ["version: 2.43.0.260128", 'a: 1\nversion: "2.43.0.260128"\n', "version:  2.43.0.260128 # x"],
)
def test_version_is_read_however_it_is_written(tmp_path: Path, text: str) -> None:
    (tmp_path / "sdk.yaml").write_text(text)
    assert sdk.read_version(tmp_path) == "2.43.0.260128"


@pytest.mark.parametrize("tool", sdk.TOOLS)
def test_each_tool_must_be_there(tmp_path: Path, tool: str) -> None:
    root = make(tmp_path / "openqnn")
    (root / "bin" / sdk.HOST / tool).unlink()
    with pytest.raises(SdkError, match=f"has no bin/{sdk.HOST}/{tool}"):
        sdk.in_force(empty(tmp_path / "qairt"), root, (3, 11))


def test_environment_is_that_of_envsetup(tmp_path: Path) -> None:
    root = make(tmp_path / "openqnn")
    environment = sdk.Sdk(root, BUILD, "openqnn").environment(
        {"PATH": "/usr/bin", "PYTHONPATH": "/src"}
    )
    assert environment["QNN_SDK_ROOT"] == environment["QAIRT_SDK_ROOT"] == str(root)
    assert environment["PATH"] == f"{root}/bin/x86_64-linux-clang:/usr/bin"
    assert environment["PYTHONPATH"] == f"{root}/lib/python:/src"
    assert environment["LD_LIBRARY_PATH"] == f"{root}/lib/x86_64-linux-clang"


def test_libraries_of_one_build_are_accepted(tmp_path: Path) -> None:
    sdk.check_libraries(sdk.Sdk(make(tmp_path), BUILD, "openqnn"), "v73")


def test_an_official_version_is_the_start_of_the_build_id(tmp_path: Path) -> None:
    sdk.check_libraries(sdk.Sdk(make(tmp_path), "2.51.0.260929", "QAIRT"), "v73")


@pytest.mark.parametrize(
    "name",
    [
        "lib/aarch64-ubuntu-gcc9.4/libQnnHtp.so",
        "lib/hexagon-v73/unsigned/libQnnHtpV73Skel.so",
    ],
)
def test_a_library_of_another_build_is_refused(tmp_path: Path, name: str) -> None:
    (make(tmp_path) / name).write_bytes(b"v2.43.0.260128123456")
    with pytest.raises(SdkError, match=r"is of build 2\.43\.0\.260128123456"):
        sdk.check_libraries(sdk.Sdk(tmp_path, BUILD, "openqnn"), "v73")


def test_a_library_without_a_build_is_refused(tmp_path: Path) -> None:
    (make(tmp_path) / "lib/aarch64-ubuntu-gcc9.4/libQnnHtp.so").write_bytes(b"nothing")
    with pytest.raises(SdkError, match="does not name its SDK build"):
        sdk.check_libraries(sdk.Sdk(tmp_path, BUILD, "openqnn"), "v73")
