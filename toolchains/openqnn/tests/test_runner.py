"""dinov3-run: its x86_64 twin on the simulator, and the board's program up to where the NPU begins.

The board's program runs under qemu with Qualcomm's aarch64 libraries. What a board has is made up
below a folder that qemu looks into first: device nodes, the SoC's number, FastRPC's library.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import BOARD, CONTEXT, FILE, HOST, INPUT, LIBRARY, TARGET, USAGE, VERSION, Run

pytestmark = pytest.mark.pipeline

# qemu looks into its folder for what is opened, and not for what is asked about with access(2).
ACCESS = """
#include <fcntl.h>
#include <unistd.h>
int access(const char* path, int mode) {
  int file = open(path, mode & W_OK ? O_RDWR : O_RDONLY);
  return file < 0 ? -1 : close(file);
}
"""
SYSROOT = Path("/usr/aarch64-linux-gnu")
NODE = "dev/fastrpc-cdsp"
STUB, SKEL = "lib/libQnnHtpV73Stub.so", "lib/libQnnHtpV73Skel.so"
# Root may open everything, unless these two capabilities are taken from it.
CAPABILITIES = int(re.findall(r"CapEff:\s*(\w+)", Path("/proc/self/status").read_text())[0], 16)
NO_OVERRIDE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
AS_ANYBODY = NO_OVERRIDE if CAPABILITIES & 0b110 else []
# What the stub wants of libcdsprpc.so: here, functions that always fail.
FASTRPC = [
    *(f"dspqueue_{what}" for what in ("close", "create", "export", "read", "read_noblock")),
    *("dspqueue_write", "dspqueue_write_noblock", "fastrpc_mmap", "fastrpc_munmap"),
    *(f"remote_handle64_{what}" for what in ("close", "invoke", "open")),
    *("remote_register_dma_handle", "remote_session_control"),
    *("rpcmem_alloc", "rpcmem_free", "rpcmem_to_fd"),
]


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "x.raw"
    np.random.default_rng(5).standard_normal((8, 32)).astype(np.float32).tofile(path)
    return path


@pytest.fixture
def execute(run: Run, context: Path, sample: Path, tmp_path: Path) -> Run:
    """Run the twin; keywords replace options, None leaves one out."""

    def call(**options: object) -> subprocess.CompletedProcess[str]:
        chosen = {"context": context, "input": sample, "output": tmp_path / "y.raw", **options}
        words = [w for n, v in chosen.items() if v is not None for w in (f"--{n}", v)]
        return run("dinov3-run", *words)

    return call


def test_gives_what_net_run_gives(
    execute: Run, run: Run, context: Path, sample: Path, backend: Path, tmp_path: Path
) -> None:
    done = execute()
    assert done.returncode == 0, done.stderr
    (tmp_path / "list.txt").write_text(f"{sample}\n")
    words = ["--retrieve_context", context, "--backend", backend]
    words += ["--input_list", tmp_path / "list.txt", "--output_dir", tmp_path / "out"]
    assert run("qnn-net-run", *words).returncode == 0
    (expected,) = (tmp_path / "out/Result_0").glob("*.raw")
    assert (tmp_path / "y.raw").read_bytes() == expected.read_bytes()


def test_says_what_it_ran_on_and_how_long_it_took(execute: Run) -> None:
    said = execute(runs=3).stdout
    assert "SoC model 77 (v73)" in said
    assert "ran on: the HTP simulator" in said
    assert "fastest of 3" in said


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"input": None}, USAGE, "--input is missing"),
        ({"rgb": "x"}, USAGE, "rgb"),
        ({"input": None, "rgb": "/dev/null"}, INPUT, "[1, 3, height, width]"),
        ({"input": __file__}, INPUT, "needs 1024 of float32"),
        ({"input": "/none"}, FILE, "/none: No such file"),
        ({"context": "/none"}, FILE, "/none: No such file"),
        ({"context": __file__}, CONTEXT, "not a context binary"),
        ({"runs": "0"}, USAGE, "runs"),
        ({"output": "/proc/y.raw"}, FILE, "/proc/y.raw"),
    ],
)
def test_refusals(execute: Run, options: dict[str, object], code: int, words: str) -> None:
    done = execute(**options)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr


@dataclass
class Board:
    """A package as on a board, and `prefix`, where qemu looks for files first."""

    package: Path
    prefix: Path
    arguments: list[str]

    def put(self, path: str, text: str = "") -> Path:
        file = self.prefix / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def install_fastrpc(self, functions: list[str]) -> None:
        text = "".join(f"int {name}(void) {{ return -1; }}\n" for name in functions)
        self._compile(self.package / "lib/libcdsprpc.so", text)

    def _compile(self, library: Path, text: str) -> Path:
        source = self.put("tmp/source.c", text)
        command = ["aarch64-linux-gnu-gcc-11", "-shared", "-fPIC", "-o", str(library), str(source)]
        subprocess.run(command, check=True)
        return library

    def run(self, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        environment["LD_PRELOAD"] = str(self._compile(self.prefix / "access.so", ACCESS))
        command = [*AS_ANYBODY, "qemu-aarch64-static", "-L", str(self.prefix)]
        command += [
            word for name, value in environment.items() for word in ("-E", f"{name}={value}")
        ]
        command += [str(self.package / "bin/dinov3-run"), *self.arguments, *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def board(root: Path, context: Path, sample: Path, tmp_path: Path) -> Board:
    """A board on which all is well but for FastRPC's library."""
    package, prefix = tmp_path / "package", tmp_path / "prefix"
    (package / "bin").mkdir(parents=True)
    shutil.copy(root / "bin" / BOARD / "dinov3-run", package / "bin")
    (package / "lib").mkdir()
    for library in ("libQnnHtp.so", "libQnnSystem.so", "libQnnHtpV73Stub.so"):
        shutil.copy(root / "lib" / BOARD / library, package / "lib")
    shutil.copy(root / "lib/hexagon-v73/unsigned/libQnnHtpV73Skel.so", package / "lib")
    prefix.mkdir()
    (prefix / "lib").symlink_to(SYSROOT / "lib")
    arguments = ["--context", str(context), "--input", str(sample), "--output", "y.raw"]
    made = Board(package, prefix, arguments)
    made.put(NODE)
    made.put("sys/devices/soc0/soc_id", "676\n")
    made.put("sys/devices/soc0/machine", "QCS9075\n")
    return made


def other_build(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"v2.51.0.", b"v2.43.0."))


MISSING: dict[str, tuple[Callable[[Board], object], int, str]] = {
    "node": (lambda b: (b.prefix / NODE).unlink(), TARGET, "no device node for its NPU"),
    "right": (lambda b: (b.prefix / NODE).chmod(0), TARGET, "may not be opened by this user"),
    "fastrpc": (lambda b: None, LIBRARY, "no usable libcdsprpc.so"),
    "newer fastrpc": (lambda b: b.install_fastrpc(["rpcmem_alloc"]), LIBRARY, "too old for it"),
    "stub": (lambda b: (b.package / STUB).unlink(), LIBRARY, "The package has no stub"),
    "skel": (lambda b: (b.package / SKEL).unlink(), LIBRARY, "The package has no skel"),
    "stub's build": (
        lambda b: other_build(b.package / STUB),
        VERSION,
        "v2.43.0.260929181845, the context",
    ),
    "skel's build": (
        lambda b: other_build(b.package / SKEL),
        VERSION,
        "v2.43.0.260929181845, the stub",
    ),
    "library's build": (
        lambda b: other_build(b.package / "lib/libQnnHtp.so"),
        VERSION,
        "libQnnHtp.so is of QNN build v2.43.0.260929181845",
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_a_board_lacks_is_named(board: Board, name: str) -> None:
    change, code, words = MISSING[name]
    change(board)
    done = board.run()
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr


def test_a_soc_that_the_libraries_do_not_know_is_named(board: Board) -> None:
    board.install_fastrpc(FASTRPC)
    board.put("sys/devices/soc0/soc_id", "457\n")
    board.put("sys/devices/soc0/machine", "SM8450\n")
    done = board.run()
    assert done.returncode == TARGET, done.stderr
    assert "The board is SM8450 (soc_id 457), which the libraries" in done.stderr


def test_all_is_well_until_fastrpc_is_asked_for_the_npu(board: Board) -> None:
    board.install_fastrpc(FASTRPC)
    done = board.run()
    assert done.returncode == TARGET, done.stderr
    assert "FastRPC gave no way to the NPU of QCS9075 (soc_id 676)" in done.stderr
    assert "14001" in done.stderr
    assert f"Searched for the skel: {board.package}/lib;/usr/lib/rfsa/adsp;" in done.stderr


def test_the_boards_own_skel_is_left_to_the_board(board: Board) -> None:
    board.install_fastrpc(FASTRPC)
    (board.package / SKEL).unlink()
    done = board.run("--board_skel")
    assert done.returncode == TARGET, done.stderr
    assert f"Searched for the skel: {board.package}" not in done.stderr


def test_a_search_path_that_hides_the_other_is_the_one_that_is_led(board: Board) -> None:
    board.install_fastrpc(FASTRPC)
    done = board.run(DSP_LIBRARY_PATH="/own")
    assert f"Searched for the skel: {board.package}/lib;/own." in done.stderr


def test_both_find_their_libraries_in_an_sdk_root(root: Path) -> None:
    for platform in (HOST, BOARD):
        listed = subprocess.run(
            ["readelf", "-d", str(root / "bin" / platform / "dinov3-run")],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert (
            f"(RPATH)              Library rpath: [$ORIGIN/../lib:$ORIGIN/../../lib/{platform}]"
            in listed
        )
