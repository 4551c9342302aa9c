"""The QNN chain itself, inside the image: see tests/chain."""

from pathlib import Path

import pytest

from scripts.pipeline import container
from scripts.pipeline.build import Builder
from scripts.pipeline.container import Mount, Program
from scripts.pipeline.source import ROOT

pytestmark = pytest.mark.pipeline
MOUNTED = ("scripts", "tests", "toolchains", "docker", "pyproject.toml")


@pytest.mark.parametrize(
    "suite", ["same_bytes", "refusals", "input_list", "memory", "aarch64", "equal"]
)
def test_chain(builder: Builder, tmp_path: Path, suite: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    program = Program(
        command=[
            *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", "/out/chain"),
            f"tests/chain/test_{suite}.py",
        ],
        mounts=[
            *(Mount(ROOT / name, f"/src/{name}") for name in MOUNTED),
            Mount(out, "/out", writable=True),
        ],
    )
    assert container.run(builder.client, builder.image.id, program).exit_code == 0
