"""Qualcomm's libraries in their SDK's layout, out of made-up wheels."""

import hashlib
import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from scripts.image.lanes import DOCKER

BUILD_ID = "v2.51.0.260929181845"
SDK = f"""
build_id = "{BUILD_ID}"
[folders."lib/x86_64-linux-clang"]
machine = "x86_64"
files = ["libQnnHtp.so", "libc++-*.so*"]
[folders."lib/hexagon-v{{arch}}/unsigned"]
machine = "aarch64"
files = ["libQnnHtpV{{arch}}Skel.so"]
[links]
"lib/elsewhere" = "x86_64-linux-clang"
"""


@pytest.fixture
def layout() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lay_out_sdk", DOCKER / "lay_out_sdk.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The provider's package in the image's environment, with its own copies."""
    folder = tmp_path / "venv/lib/python3.11/site-packages/onnxruntime_qnn"
    folder.mkdir(parents=True)
    for name in ("libQnnHtp.so", "libGenie.so", "libonnxruntime_providers_qnn.so", "__init__.py"):
        (folder / name).write_text("copy")
    return folder


def wheels(folder: Path, build_id: str = BUILD_ID) -> Path:
    contents = {
        "x86_64": {
            "libQnnHtp.so": f"\0{build_id}\0",
            "libs/libc++-1.so.1": "c++",
            "libGenie.so": "",
        },
        "aarch64": {"libQnnHtpV73Skel.so": "73", "libQnnHtpV75Skel.so": "75"},
    }
    (folder / "wheels").mkdir()
    for machine, members in contents.items():
        path = folder / f"wheels/onnxruntime_qnn-1-cp311-cp311-manylinux_2_34_{machine}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in members.items():
                archive.writestr(f"onnxruntime_qnn/{name}", text)
    digests = (hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("wheels/*"))
    hashes = "".join(f" --hash=sha256:{digest}" for digest in digests)
    (folder / "qairt.txt").write_text(f"onnxruntime-qnn==1{hashes}\n")
    return folder


def lay_out(module: ModuleType, folder: Path, archs: str = "73") -> Path:
    (folder / "sdk.toml").write_text(SDK)
    root = folder / "root"
    module.main(folder, archs, root, folder / "venv")
    return root


def files(root: Path) -> set[str]:
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {str(path) for path in paths if "elsewhere" not in path.parts}


@pytest.mark.usefixtures("package")
def test_only_listed_files_are_there_for_the_lanes_architectures(
    layout: ModuleType, tmp_path: Path
) -> None:
    root = lay_out(layout, wheels(tmp_path), "73 75")
    assert files(root) == {
        "lib/x86_64-linux-clang/libQnnHtp.so",
        "lib/x86_64-linux-clang/libc++-1.so.1",
        "lib/hexagon-v73/unsigned/libQnnHtpV73Skel.so",
        "lib/hexagon-v75/unsigned/libQnnHtpV75Skel.so",
    }
    assert (root / "lib/elsewhere").readlink() == Path("x86_64-linux-clang")


def test_the_provider_shares_them(layout: ModuleType, tmp_path: Path, package: Path) -> None:
    root = lay_out(layout, wheels(tmp_path))
    assert (package / "libQnnHtp.so").readlink() == root / "lib/x86_64-linux-clang/libQnnHtp.so"
    assert not (package / "libGenie.so").exists()
    assert (package / "libonnxruntime_providers_qnn.so").read_text() == "copy"


def test_a_wheel_without_a_listed_file_is_refused(layout: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"aarch64\.whl has no libQnnHtpV81Skel\.so"):
        lay_out(layout, wheels(tmp_path), "81")


def test_libraries_of_another_build_are_refused(layout: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"v2\.50\.0\.260101000000"):
        lay_out(layout, wheels(tmp_path, "v2.50.0.260101000000"))


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_libraries_of_another_wheel_are_refused(
    layout: ModuleType, tmp_path: Path, machine: str
) -> None:
    folder = wheels(tmp_path)
    (path,) = folder.glob(f"wheels/*_{machine}.whl")
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(SystemExit, match=f"{machine}.whl is not the wheel that is locked"):
        lay_out(layout, folder)
