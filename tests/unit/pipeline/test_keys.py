"""What is edited makes those stages run again that it can change, and no others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image as Picture

from scripts import source
from scripts.image.image import Image
from scripts.pipeline import container, plan, request, steps
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store

IMAGE = Image("id", "tag", "bookworm", f"sha256:{1:064x}", "inputs", 0)
ALL = set(plan.verbs()) - {"fetch", "audit", "diagnose"}
# Whose code looks at the model libraries of a toolchain.
ABI = {"quantize", "compile", "context", "profile"}
# Who sees the folder of the weights.
WEIGHTS = {"calibrate", "export", "verify", "package"}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources, to edit."""
    for name in source.FOLDERS:
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(source.ROOT / name, tmp_path / name, ignore=ignore)
    monkeypatch.setattr(source, "ROOT", tmp_path)
    monkeypatch.setattr(container, "SECCOMP", tmp_path / "docker" / "seccomp.json")
    weights = tmp_path / "scripts" / "catalog" / "digits"
    monkeypatch.setattr(request, "BUILTIN_WEIGHTS", weights)
    # What stages hand to each other stays the same here: the bytes of its name.
    monkeypatch.setattr(Store, "inputs", lambda store, paths: {str(p): str(p) for p in paths})
    return tmp_path


def keys(checkout: Path, build_request: Request) -> dict[str, str]:
    source.forget()
    store = Store(checkout / "build")
    return {
        stage.name: steps.key_of(
            IMAGE, build_request, store, stage, "facts" if stage.describes else ""
        )[0]
        for stage in plan.stages(build_request)
    }


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The verbs of the stages whose key is another."""
    return {name.partition("-")[0] for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("toolchains/aarch64-gcc11/abi.toml", ABI),
        ("toolchains/x86_64-clang/abi.toml", ABI),
        ("toolchains/model_library.toml", ABI),
        ("docker/seccomp.json", ALL),
        ("scripts/catalog/digits/config.json", WEIGHTS),
        ("scripts/catalog/digits/preprocessor_config.json", WEIGHTS),
        ("scripts/stages/verify.py", {"verify"}),
        ("scripts/program.py", ALL),
        # These reach a stage through the image alone, whose digest is in every key.
        ("toolchains/openqnn/sdk.yaml", set()),
        ("docker/Dockerfile", set()),
        ("scripts/boards/check.sh", set()),
    ],
)
def test_a_file_that_is_edited(checkout: Path, name: str, again: set[str]) -> None:
    build_request = request.make()
    before = keys(checkout, build_request)
    with (checkout / name).open("a") as file:
        file.write("\n")
    assert changed(before, keys(checkout, build_request)) == again


def test_the_environment_of_the_container(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_request = request.make()
    before = keys(checkout, build_request)
    monkeypatch.setitem(container.ENVIRONMENT, "OMP_NUM_THREADS", "1")
    assert changed(before, keys(checkout, build_request)) == ALL


def test_pictures_of_ones_own(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    Picture.new("L", (1, 1)).save(tmp_path / "pictures" / "build.jpg")
    build_request = request.make(images=str(tmp_path / "pictures"))
    before = keys(checkout, build_request)
    Picture.new("L", (1, 1), 255).save(tmp_path / "pictures" / "build.jpg")
    assert changed(before, keys(checkout, build_request)) == {"calibrate", "verify"}
