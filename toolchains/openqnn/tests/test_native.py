"""The C++ itself: under sanitizers, and on the board's architecture."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BOARD, GRAPH, HOST, LIBRARY, SOURCES

pytestmark = pytest.mark.pipeline

SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -g -O1"
TESTS = ("tensor_test", "library_test")
# The C++ runtime of Qualcomm's libraries and ours meet in one process; what theirs never free is
# not ours to mend.
SANITIZERS = {
    "ASAN_OPTIONS": "detect_odr_violation=0",
    "LSAN_OPTIONS": "suppressions={folder}/leaks.txt:print_suppressions=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "OPENQNN_RESTARTED": "1",  # a restart would drop these options
}


def make(folder: Path, *words: str) -> Path:
    command = ["make", "-C", str(SOURCES), f"BUILD={folder}", f"-j{os.cpu_count()}", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def sanitized(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Programs look for Qualcomm's libraries where they stand in an SDK root.
    folder = tmp_path_factory.mktemp("sanitized") / "bin" / HOST
    folder.mkdir(parents=True)
    (folder.parents[1] / "lib").symlink_to(root / "lib")
    (folder / "leaks.txt").write_text("leak:libQnn\nleak:libc++\n")
    return make(folder, f"SANITIZE={SANITIZE}", "all", *(f"{folder}/{test}" for test in TESTS))


def checked(folder: Path, program: str, *words: object) -> subprocess.CompletedProcess[str]:
    options = {name: value.format(folder=folder) for name, value in SANITIZERS.items()}
    done = subprocess.run(
        [str(folder / program), *map(str, words)],
        env={**os.environ, **options},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Sanitizer" not in done.stderr, done.stderr
    assert "runtime error" not in done.stderr, done.stderr
    return done


def test_conversions(sanitized: Path) -> None:
    done = checked(sanitized, "tensor_test")
    assert done.returncode == 0, done.stdout


def test_weights_leave_memory_and_are_read_anew(sanitized: Path, tmp_path: Path) -> None:
    source = "const unsigned char weights[32 << 20] = {1, [(32 << 20) - 1] = 7};"
    library = tmp_path / "libweights.so"
    command = ["clang-14", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
    subprocess.run(command, input=source, text=True, check=True)
    done = checked(sanitized, "library_test", library)
    assert done.returncode == 0, done.stdout


def test_every_program_is_clean_from_library_to_result(
    sanitized: Path,
    model: Path,
    backend: Path,
    config: Any,
    inputs: Any,
    tmp_path: Path,
) -> None:
    context = tmp_path / "tiny.bin"
    common = ("--backend", backend, "--output_dir", tmp_path, "--profiling_level", "detailed")
    done = checked(
        sanitized, "qnn-context-binary-generator", *common, "--model", model,
        "--binary_file", "tiny", "--config_file", config(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = checked(
        sanitized, "qnn-net-run", *common, "--retrieve_context", context, "--input_list", inputs[0]
    )
    assert done.returncode == 0, done.stderr
    assert np.isfinite(np.fromfile(tmp_path / "Result_1/y.raw", np.float32)).all()
    done = checked(
        sanitized, "qnn-context-binary-utility", "--context_binary", context,
        "--json_file", tmp_path / "tiny.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_refusals_are_clean(
    sanitized: Path,
    libraries: Path,
    backend: Path,
    config: Any,
) -> None:
    words = ("--backend", backend, "--binary_file", "x", "--model")
    other = libraries / BOARD / "libtiny_fc.so"
    assert checked(sanitized, "qnn-context-binary-generator", *words, other).returncode == LIBRARY
    bad = config(graphs=[{"graph_names": ["other"]}])
    model = libraries / HOST / "libtiny_fc.so"
    done = checked(sanitized, "qnn-context-binary-generator", *words, model, "--config_file", bad)
    assert done.returncode == GRAPH


def saved(folder: Path, command: list[str]) -> tuple[list[str], bytes]:
    """Run a program in `folder`; return the calls and the data that the Saver wrote there."""
    folder.mkdir()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (source,) = folder.rglob("saver_output.c")  # in a folder of its own on x86_64 only
    return source.read_text().splitlines(), source.with_name("params.bin").read_bytes()


def test_the_boards_library_composes_the_same_graph(
    root: Path, libraries: Path, tmp_path: Path
) -> None:
    """Both libraries on their own architecture's real Saver: call by call, weight by weight."""
    here = make(tmp_path / "here", f"{tmp_path}/here/compose")
    board = make(tmp_path / "board", "CXX=aarch64-linux-gnu-g++-11", f"{tmp_path}/board/compose")
    recorded = [
        saved(
            tmp_path / target,
            [*emulator, str(folder / "compose"), str(root / "lib" / target / "libQnnSaver.so"),
             str(libraries / target / "libtiny_fc.so")],
        )
        for target, folder, emulator in (
            (HOST, here, []),
            (BOARD, board, ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"]),
        )
    ]  # fmt: skip
    (calls, data), (board_calls, board_data) = recorded
    assert calls == board_calls
    assert data == board_data
    text = "\n".join(calls)
    assert len(re.findall(r"interface\.graphAddNode\(", text)) == 2
    assert len(re.findall(r"interface\.tensorCreateGraphTensor\(", text)) == 6
