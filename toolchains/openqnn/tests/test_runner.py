"""dinov3-run: its x86_64 twin on the simulator, and the board's program up to where the NPU begins.

The board's program runs under qemu with Qualcomm's aarch64 libraries. What a board has is made up
below a folder that qemu looks into first: device nodes, the SoC's number, FastRPC's library.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import (
    BOARD,
    CONFIG,
    CONTEXT,
    FILE,
    HOST,
    INPUT,
    LIBRARY,
    SOURCES,
    TARGET,
    USAGE,
    VERSION,
    Generate,
    Run,
)

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


def test_repeat_ends_with_times_and_configuration_as_json(execute: Run) -> None:
    report = json.loads(execute(repeat=5, perf="balanced").stdout.splitlines()[-1])
    times = [report[f"{name}_us"] for name in ("min", "p50", "p90", "p99", "max")]
    assert times == sorted(times)
    assert 0 < times[0] <= report["first_us"] <= times[-1]
    assert times[0] <= report["mean_us"] <= times[-1]
    assert (report["repeat"], report["perf"], report["npu"]) == (5, "balanced", 0)
    assert (report["soc_model"], report["dsp_arch"], report["simulated"]) == (77, 73, True)
    assert re.fullmatch(r"v2\.51\.0\.\d{12}", report["qnn_build"])


@pytest.mark.parametrize(
    ("perf", "corner", "dcvs", "sleep", "latency", "polling"),
    [
        ("burst", 0xA0, False, 40, 100, 9999),
        ("balanced", 0x70, True, 1000, 100, 0),
        ("power-saver", 0x40, True, 1000, 200, 0),
    ],
)
def test_votes_for_clocks_reach_the_backend(
    execute: Run, perf: str, corner: int, dcvs: bool, sleep: int, latency: int, polling: int
) -> None:
    done = execute(perf=perf, repeat=1, log_level="verbose")
    assert done.returncode == 0, done.stderr
    heard = done.stderr
    assert re.search(r"PowerConfigId started for deviceId: 0, coreId: 0", heard)
    assert "set power settings DCVS V3" in heard
    for name, value in (("setDcvsEnable", 1), ("dcvsEnable", int(dcvs)), ("powerMode", 16)):
        assert f"<V> {name} {value}\n" in heard
    for member in (
        "setSleepLatency 1",
        f"sleepLatency {sleep}",
        "setBusParams 1",
        "setCoreParams 1",
    ):
        assert f"<V> {member}\n" in heard
    for part in ("busVoltageCorner", "coreVoltageCorner"):
        for end in ("Min", "Target", "Max"):
            assert f"<V> {part}{end} {corner}\n" in heard
    assert f"rpc control latency {latency}" in heard
    assert f"rpc polling time {polling}" in heard
    assert "htpPerfInfrastructureSetPowerConfig done. status 0x0" in heard
    assert "htpPerfInfrastructureDestroyPowerConfigId done. status 0x0" in heard
    votes = json.loads(done.stdout.splitlines()[-1])["votes"]
    assert votes == {
        "voltage_corner": corner,
        "dcvs": dcvs,
        "sleep_latency_us": sleep,
        "rpc_control_latency_us": latency,
        "rpc_polling_us": polling,
    }


def test_without_a_profile_nothing_is_voted_for(execute: Run) -> None:
    done = execute(repeat=1, log_level="verbose")
    assert "set power settings" not in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["votes"] is None


def test_a_profile_changes_no_output(execute: Run, tmp_path: Path) -> None:
    outputs = set()
    for perf in ("burst", "power-saver", "default"):
        assert execute(perf=perf, npu=0).returncode == 0
        outputs.add((tmp_path / "y.raw").read_bytes())
    assert len(outputs) == 1


PICTURE = """
static const Line LINES[] = {
  INPUT("x", FLOAT_32, 4, {1, 3, 2, 4}, UNQUANTIZED),
  OUTPUT("y", APP_READ, FLOAT_32, 4, {1, 3, 2, 4}, UNQUANTIZED),
  NODE("relu", "qti.aisw", "Relu", "x\\0"),
};
"""
MEAN, DEVIATION = [0.43, -0.25, 0.0], [0.213, 0.5, 2.0]


@pytest.fixture
def picture(run: Run, generate: Generate, tmp_path: Path) -> Path:
    """A context that gives back what is positive of its picture, in a package with a manifest."""
    source = (SOURCES / "tests/golden/tiny_fc.cpp").read_text()
    source = re.sub(r"static const Line LINES.*?\n};\n", PICTURE, source, flags=re.DOTALL)
    source = source.replace("uint32_t dimensions[2];", "uint32_t dimensions[4];")
    source = re.sub(r"    \{\(uint8_t\*\)BINVARSTART.*\n", "", source)
    source = source.replace("weights[] = {\n", "weights[1] = {\n")
    (tmp_path / "m.cpp").write_text(source)
    tarfile.open(tmp_path / "m.bin", "w").close()
    words = [
        "-c",
        tmp_path / "m.cpp",
        "-b",
        tmp_path / "m.bin",
        "-t",
        HOST,
        "-o",
        tmp_path,
        "-l",
        "m",
    ]
    done = run("qnn-model-lib-generator", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = generate(tmp_path / "package/model", model=tmp_path / HOST / "libm.so")
    assert done.returncode == 0, done.stderr
    how = {"range": [0, 1], "mean": MEAN, "std": DEVIATION}
    manifest = {"model": {"input": {"preprocessing": how}}}
    (tmp_path / "package/manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "x.rgb").write_bytes(bytes(range(0, 240, 10)))
    return tmp_path / "package/model/tiny.bin"


def test_a_picture_is_normalised_as_the_packages_manifest_says(
    execute: Run, picture: Path, tmp_path: Path
) -> None:
    done = execute(context=picture, input=None, rgb=tmp_path / "x.rgb")
    assert done.returncode == 0, done.stderr
    pixels = np.arange(0, 240, 10, dtype=np.float64).reshape(2, 4, 3)
    expected = np.maximum((pixels / 255 - MEAN) / DEVIATION, 0).transpose(2, 0, 1)
    actual = np.fromfile(tmp_path / "y.raw", np.float32).reshape(3, 2, 4)
    np.testing.assert_allclose(actual, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        ("{", "is not valid JSON"),
        ("{}", "gives no mean"),
        ('{"model": {"input": {"preprocessing": {"mean": [0, 0]}}}}', "gives no mean"),
        ('{"model": {"input": {"preprocessing": {"mean": [0, 0, "x"]}}}}', "gives no mean"),
        (
            '{"model": {"input": {"preprocessing": {"mean": [0, 0, 0], "std": [1, 0, 1]}}}}',
            "gives no deviation",
        ),
        ('{"a": 1, "a": 1}', "given twice"),
        ("[" * 1000, "nested too deeply"),
        (" " * (2 << 20), "at most 1048576 are read"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_manifest_that_does_not_say_how_is_refused(
    execute: Run, picture: Path, tmp_path: Path, text: str | None, words: str
) -> None:
    manifest = tmp_path / "package/manifest.json"
    manifest.unlink()
    if text is not None:
        manifest.write_text(text)
    done = execute(context=picture, input=None, rgb=tmp_path / "x.rgb")
    assert done.returncode in (CONFIG, FILE)
    assert words in done.stderr


def test_no_library_of_another_folder_is_loaded(
    root: Path, context: Path, sample: Path, tmp_path: Path
) -> None:
    """A package as on a board, started where somebody put libraries of the same names."""
    package, folder = tmp_path / "package", tmp_path / "folder"
    (package / "bin").mkdir(parents=True)
    folder.mkdir()
    shutil.copy(root / "bin" / HOST / "dinov3-run", package / "bin")
    (package / "lib").symlink_to(root / "lib" / HOST)
    text = (
        "#include <stdio.h>\n__attribute__((constructor)) static void taken(void)"
        f' {{ fclose(fopen("{folder}/loaded", "w")); }}\n'
    )
    for name in ("libQnnSystem.so", "libQnnHtp.so"):
        command = ["clang-14", "-shared", "-fPIC", "-x", "c", "-", "-o", str(folder / name)]
        subprocess.run(command, input=text, text=True, check=True)
    words = ["--context", str(context), "--input", str(sample), "--output", "y.raw"]
    runner = str(package / "bin/dinov3-run")
    done = subprocess.run([runner, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (folder / "loaded").exists()
    (package / "lib").unlink()
    done = subprocess.run([runner, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, "leave this program in its package" in done.stderr) == (LIBRARY, True)
    assert not (folder / "loaded").exists()


def test_a_planted_link_is_not_followed(execute: Run, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("y.raw.partial", "y.raw"):
        (tmp_path / name).symlink_to(victim)
    assert execute().returncode == 0
    assert victim.read_text() == "precious"
    assert not (tmp_path / "y.raw").is_symlink()
    assert not (tmp_path / "y.raw.partial").exists()


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
        ({"runs": "2", "repeat": "2"}, USAGE, "exclude each other"),
        ({"perf": "fast"}, USAGE, "is not one of: burst, balanced, power-saver, default"),
        ({"npu": "-1"}, USAGE, "npu"),
        ({"npu": "1"}, TARGET, "There is no NPU 1; there are 1, counted from 0"),
        ({"npu": "4000000000"}, USAGE, "npu"),
        ({"input": "/dev/zero"}, FILE, "is not a file"),
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
