"""The package of a real build: on the simulator, and on a board up to where its NPU is needed."""

import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import boards as deploy
from scripts import source
from scripts.console import Console
from scripts.errors import DeviceError
from scripts.package import package
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.container import Mount, Program, run
from scripts.pipeline.request import Request
from scripts.sweep import grid, sweep, trials
from tests.device import arm64, boards, system

pytestmark = pytest.mark.pipeline
TOOLS = "opt/openqnn"
CONTEXT = "model/dinov3_int8_htp.serialized.bin"


@pytest.fixture(scope="session")
def archive(build: Callable[..., list[Done]], ask: Callable[..., Request]) -> Path:
    build()
    return ask().archive


@pytest.fixture
def board(tmp_path: Path) -> Iterator[boards.Board]:
    system.ready()
    userland = arm64.userland(tmp_path)
    with boards.board(tmp_path / "board", userland=userland, emulated=bool(userland)) as board:
        _put_libraries(board)
        yield board


def _put_libraries(board: boards.Board) -> None:
    for library in ("ld-linux-aarch64.so.1", "libatomic.so.1", "libgcc_s.so.1", "libm.so.6"):
        board.put(f"/usr/local/lib/{library}")
    board.put("/usr/local/lib/libstdc++.so.6")


# Of the image, for a board of its architecture.
COPY = f"""
mkdir -p {TOOLS} usr/lib/$(uname -m)-linux-gnu && cp -r /{TOOLS}/bin /{TOOLS}/lib {TOOLS}
cd usr/lib/$(uname -m)-linux-gnu
for name in libstdc++.so.6 libm.so.6 libgcc_s.so.1 libatomic.so.1; do
    cp -L "/usr/lib/$(uname -m)-linux-gnu/$name" .
done
"""
# The board's `timeout`, through which a golden run goes.
SIMULATES = f"""
case $2 in */dinov3-run) shift 2; exec /{TOOLS}/bin/x86_64-linux-clang/dinov3-run "$@" ;; esac
exec /usr/bin/timeout "$@"
"""


@pytest.fixture
def simulating(builder: Builder, tmp_path: Path) -> Iterator[boards.Board]:
    """A board that runs a release's network by the image's own runner, on the simulator."""
    with boards.board(tmp_path / "simulating", userland=system.debian()) as board:
        _put_libraries(board)
        (tmp_path / "image").mkdir()
        script = ["sh", "-ec", f"cd /out; {COPY}"]
        program = Program(script, [Mount(tmp_path / "image", "/out", writable=True)])
        assert run(builder.client, builder.image.id, program).exit_code == 0
        shutil.copytree(tmp_path / "image", board.root, dirs_exist_ok=True)
        board.fake("timeout", SIMULATES)
        # The runner looks for its libraries by the name that /proc has for it.
        subprocess.run(["mount", "-t", "proc", "proc", str(board.root / "proc")], check=True)
        try:
            yield board
        finally:
            subprocess.run(["umount", "--lazy", str(board.root / "proc")], check=True)


def _devices(file: Path, **servers: boards.Board) -> Path:
    for name, server in servers.items():
        with file.open("a") as text:
            text.write(
                f'[devices.{name}]\nhost = "127.0.0.1"\nport = {server.port}\n'
                f'user = "{boards.USER}"\npath = "{boards.DATA}"\n'
                f'host_key = "{server.host_key}"\npassword_env = "BENCH"\n'
            )
    return file


def test_sha256sum_takes_the_packages_own_list(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    subprocess.run(["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=True)


def test_the_golden_output_is_what_the_simulator_gives(
    archive: Path, builder: Builder, tmp_path: Path
) -> None:
    with package.unpacked(archive) as unpacked:
        program = Program(
            [
                "/opt/openqnn/bin/x86_64-linux-clang/dinov3-run",
                *("--context", f"/package/{CONTEXT}", "--input", "/package/golden/input.raw"),
                *("--output", "/out/output.raw"),
            ],
            [Mount(unpacked.folder, "/package"), Mount(tmp_path, "/out", writable=True)],
        )
        assert run(builder.client, builder.image.id, program).exit_code == 0
        expected = (unpacked.folder / "golden/output.raw").read_bytes()
    assert (tmp_path / "output.raw").read_bytes() == expected


def test_a_board_without_fastrpc_keeps_what_it_had(
    archive: Path, board: boards.Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its libcdsprpc.so is an empty file, which only the runner can find out."""
    file = _devices(tmp_path / "devices.toml", bench=board)
    monkeypatch.setenv("BENCH", boards.PASSWORD)
    with pytest.raises(DeviceError) as caught:
        deploy.deploy(archive, ["bench"], file=file)
    digest = package.check(archive).digest
    assert (board.current, board.is_whole(digest)) == ("", True)
    if board.emulated:
        assert "no usable libcdsprpc.so" in caught.value.what


def test_a_sweep_tries_its_builds_on_a_board(
    archive: Path,
    build_dir: Path,
    simulating: boards.Board,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BENCH", boards.PASSWORD)
    file = _devices(tmp_path / "devices.toml", bench=simulating)
    (tmp_path / "mine.toml").write_text('boards = "bench"\n[grid]\nprecision = "int8"\n')
    mine, console = (
        grid.load(tmp_path / "mine.toml", {"build_dir": str(build_dir)}, file),
        Console(),
    )
    crew = trials.crew(console, mine)
    sweep.run(console, mine, sweep.runner(console, jobs="1"), crew, file)
    (row,) = console.document["rows"]
    (verdict,) = row["boards"]
    assert (row["state"], verdict["state"]) == ("built", "passed")
    assert verdict["cosine"] == pytest.approx(1, abs=1e-9)
    assert row["measured_milliseconds"] == verdict["milliseconds"] > 0
    assert ">bench<" in Path(row["report"]).read_text()
    assert (simulating.current, [*(simulating.data / "releases").glob("*/")]) == ("", [])


def test_another_commit_makes_the_page_and_the_package_alone_anew(
    archive: Path, build: Callable[..., list[Done]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, revision = archive.read_bytes(), source.revision()
    monkeypatch.setattr(source, "revision", lambda: {"gitCommit": 40 * "0"})
    assert [done.stage.verb for done in build() if done.ran] == ["report", "package"]
    assert package.check(archive).manifest.facts["source"] == {"digest": {"gitCommit": 40 * "0"}}
    monkeypatch.setattr(source, "revision", lambda: revision)
    build()
    assert archive.read_bytes() == before
