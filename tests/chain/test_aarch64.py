"""The board's library builds the graph that the host's builds: what the Saver notes of both."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.htp import sdk
from tests.chain.building import PRECISIONS

HERE = Path(__file__).parent
SAVED = ("saver_output.c", "params.bin")
# What the Saver notes of a weight of 4 bits, each channel with its scale.
FOUR_BITS = b".bwAxisScaleOffsetEncoding = "


def composer(folder: Path, compiler: str) -> Path:
    """Build compose.cpp, statically as far as the C++ runtime goes."""
    root = sdk.in_force().root
    jni = root / "share/QNN/converter/jni"
    sources = [
        jni / name for name in ("QnnModel.cpp", "QnnWrapperUtils.cpp", "linux/QnnModelPal.cpp")
    ]
    program = folder / "compose"
    command = [
        *compiler.split(),
        *("-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"),
        *("-isystem", root / "include/QNN", "-isystem", jni, "-static-libstdc++"),
        *(HERE / "compose.cpp", *sources, "-ldl", "-o", program),
    ]
    subprocess.run([str(word) for word in command], check=True)
    return program


def saved(folder: Path, target: str, library: Path) -> dict[str, bytes]:
    """Compose a library on the target's Saver and return what that wrote."""
    folder.mkdir()
    backend = sdk.in_force().library("libQnnSaver.so", target)
    gcc = os.environ["QNN_AARCH64_UBUNTU_GCC_94"]
    compiler = "clang++"
    runner: list[str] = []
    if target == sdk.DEVICE:
        compiler = f"{gcc}/usr/bin/aarch64-linux-gnu-g++ --sysroot={gcc}"
        runner = ["qemu-aarch64-static", "-L", f"{gcc}/usr/aarch64-linux-gnu"]
    command = [*runner, str(composer(folder, compiler)), str(backend), str(library)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith(library.stem.removeprefix("lib"))
    return {name: next(folder.rglob(name)).read_bytes() for name in SAVED}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_both_libraries_build_the_same_graph_call_by_call(
    libraries: Callable[[str], dict[str, Path]], tmp_path: Path, precision: str
) -> None:
    host, device = (
        saved(tmp_path / target, target, library)
        for target, library in libraries(precision).items()
    )
    assert host["saver_output.c"].count(b"graphAddNode") > 100
    assert len(host["params.bin"]) > 100_000
    few = host["saver_output.c"].count(FOUR_BITS)
    assert (few > 0) == precision.startswith("w4")
    assert host == device
