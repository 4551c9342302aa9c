"""The package of a real build: on the simulator, and on a board up to where its NPU is needed."""

import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import boards as deploy
from scripts import source
from scripts.errors import DeviceError
from scripts.package import package
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.container import Mount, Program, run
from scripts.pipeline.request import Request
from tests.device import arm64, boards, system

pytestmark = pytest.mark.pipeline
CONTEXT = "model/dinov3_int8_htp.serialized.bin"


@pytest.fixture(scope="session")
def archive(build: Callable[..., list[Done]], ask: Callable[..., Request]) -> Path:
    build()
    return ask().archive


@pytest.fixture
def board(tmp_path: Path) -> Iterator[boards.Board]:
    system.ready()
    userland = arm64.userland(tmp_path)
    with boards.board(tmp_path / "board", userland=userland, emulated=bool(userland)) as made:
        for library in ("ld-linux-aarch64.so.1", "libatomic.so.1", "libgcc_s.so.1", "libm.so.6"):
            made.put(f"/usr/local/lib/{library}")
        made.put("/usr/local/lib/libstdc++.so.6")
        yield made


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
    file = tmp_path / "devices.toml"
    file.write_text(
        f'[devices.bench]\nhost = "127.0.0.1"\nport = {board.port}\nuser = "{boards.USER}"\n'
        f'path = "{boards.DATA}"\nhost_key = "{board.host_key}"\npassword_env = "BENCH"\n'
    )
    monkeypatch.setenv("BENCH", boards.PASSWORD)
    with pytest.raises(DeviceError) as caught:
        deploy.deploy(archive, ["bench"], file=file)
    digest = package.check(archive).digest
    assert (board.current, board.is_whole(digest)) == ("", True)
    if board.emulated:
        assert "no usable libcdsprpc.so" in caught.value.what


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
