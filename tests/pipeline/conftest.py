"""Real builds, shared by all tests of a run: one folder, each precision built once."""

from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tarfile import DIRTYPE, TarInfo
from tarfile import open as open_tar

import pytest

from scripts.htp import sdk
from scripts.package import epcontext
from scripts.package.package import Unpacked
from scripts.pipeline import plan, request, session
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.container import Mount, Program
from scripts.pipeline.container import run as run_program
from scripts.pipeline.request import Request
from scripts.source import ROOT

# The whole image takes minutes to copy; what is asked of an engine needs a shell.
SMALL = """
cd / && for name in sh tar cat id touch grep; do
    command -v $name; ldd $(command -v $name) | grep -o "/[^ ]*"
done | sort -u | sed s,^/,, | tar -chf - -T - | base64
"""
FOLDERS = ("src", "tmp", "run", "proc", "sys", "dev", "etc", "in", "out")


@pytest.fixture(scope="session")
def builder() -> Builder:
    return session.builder()


@pytest.fixture(scope="session")
def build_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="session")
def ask(build_dir: Path) -> Callable[..., Request]:
    def make(**options: str | float) -> Request:
        defaults = {"model": "digits", "precision": "int8", "target": "iq9075"}
        return request.make(**{**defaults, "build_dir": str(build_dir), **options})

    return make


@pytest.fixture(scope="session")
def build(builder: Builder, ask: Callable[..., Request]) -> Callable[..., list[Done]]:
    def run(**options: str | float) -> list[Done]:
        build_request = ask(**options)
        return builder.build(build_request, plan.stages(build_request))

    return run


@pytest.fixture(scope="session")
def archive(builder: Builder) -> bytes:
    """A root file system with a shell and a few programs of the build image."""
    text = builder.client.containers.run(
        builder.image.id, ["sh", "-c", SMALL], remove=True, network_mode="none"
    )
    scratch = BytesIO(b64decode(text))
    with open_tar(fileobj=scratch, mode="a") as archive:
        for name in FOLDERS:
            folder = TarInfo(name)
            folder.type, folder.mode = DIRTYPE, 0o755
            archive.addfile(folder)
    return scratch.getvalue()


@pytest.fixture
def onnx_runtime(builder: Builder, tmp_path: Path) -> Callable[[Unpacked], dict[str, bytes]]:
    """What a package's ONNX file gives for the golden input in stock ONNX Runtime, by name."""

    def run(unpacked: Unpacked) -> dict[str, bytes]:
        (model,) = unpacked.package.manifest.role(epcontext.ROLE)
        (golden,) = (unpacked.folder / "golden").glob("input.*")
        files = (f"/package/{model}", f"/package/golden/{golden.name}", "/out/outputs")
        mounts = [
            Mount(ROOT / "tests/onnx_client.py", "/client.py"),
            Mount(unpacked.folder, "/package"),
            Mount(tmp_path, "/out", writable=True),
        ]
        program = Program(["python", "/client.py", *files], mounts)
        assert run_program(builder.client, builder.image.id, program).exit_code == 0
        return {file.stem: file.read_bytes() for file in (tmp_path / "outputs").iterdir()}

    return run


COMPILE = """
cp -r /package/samples /tmp && cd /tmp &&
aarch64-linux-gnu-g++-11 -std=c++17 -Wall -Wextra -Werror -Isamples samples/features.cpp \\
    samples/libdinov3.a -pthread -ldl -o /out/board &&
clang++-14 -std=c++17 -Isamples samples/features.cpp "$1/libdinov3.a" -pthread -ldl -o simulated &&
./simulated "/package/$2" /picture.ppm /out/features "$1"
"""


@pytest.fixture
def cpp_sample(builder: Builder, tmp_path: Path) -> Callable[[Unpacked, bytes], str]:
    """Compiles a package's C++ sample for the board and for the simulator; what the latter says."""

    def run(unpacked: Unpacked, ppm: bytes) -> str:
        (tmp_path / "picture.ppm").write_bytes(ppm)
        (context,) = unpacked.package.manifest.role("context binary")
        mounts = [
            Mount(unpacked.folder, "/package"),
            Mount(tmp_path / "picture.ppm", "/picture.ppm"),
            Mount(tmp_path, "/out", writable=True),
        ]
        command = ["sh", "-c", COMPILE, "sh", str(sdk.EMBEDDED / "lib" / sdk.HOST), context]
        outcome = run_program(builder.client, builder.image.id, Program(command, mounts))
        assert outcome.exit_code == 0, outcome.tail
        return outcome.tail

    return run
