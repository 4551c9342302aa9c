"""What is said at the end of a build: as recorded, or what differs; with made-up digests."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.image import image, locks
from scripts.pipeline import recorded, request
from tests import packages

IMAGE = image.Image("id", "tag", "bookworm", "sha256:content", "sha256:inputs", 1)
FILES = {"models/a.onnx": "1", "final_binary/int8/a.bin": "2", "dinov3_digits/README.md": "3"}
KNOWN: dict[str, Any] = {
    "inputs": "sha256:inputs",
    "content": "sha256:content",
    "int8": {"models/a.onnx": "1", "final_binary/int8/a.bin": "2", "dinov3_digits/README.md": "3"},
}


def verdict(monkeypatch: pytest.MonkeyPatch, known: dict[str, Any], **options: str) -> str:
    monkeypatch.setattr(locks, "recorded", lambda lane: known)
    monkeypatch.setattr(recorded, "artefacts", lambda request, steps: FILES)
    return recorded.verdict(IMAGE, request.make(**options), [])


def test_the_same_digests_are_as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdict(monkeypatch, KNOWN) == "as recorded: the image and all 3 artefacts"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"models/a.onnx": "x", "final_binary/int8/a.bin": "x"}, "models/a.onnx"),
        ({"final_binary/int8/a.bin": "x"}, "final_binary/int8/a.bin"),
        ({"libs/b.so": "4"}, "libs/b.so"),
    ],
)
def test_the_first_difference_is_named(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str], named: str
) -> None:
    said = verdict(monkeypatch, {**KNOWN, "int8": {**KNOWN["int8"], **change}})
    assert said.startswith(f"{named} differs from what is recorded")
    assert "invoke image.record" in said


def test_another_image_of_the_same_inputs_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    said = verdict(monkeypatch, {**KNOWN, "content": "sha256:other"})
    assert said.startswith("the image differs from what is recorded: sha256:content")


def test_a_precision_that_is_not_recorded_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    said = verdict(monkeypatch, {name: KNOWN[name] for name in ("inputs", "content")})
    assert said.startswith("nothing is recorded for int8")


@pytest.mark.parametrize("known", [{}, {**KNOWN, "inputs": "sha256:older"}])
def test_of_other_inputs_nothing_is_recorded(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, Any]
) -> None:
    assert verdict(monkeypatch, known).startswith("not recorded for these inputs")


@pytest.mark.parametrize(
    "options",
    [{"weights": "random"}, {"model": "vits16"}, {"input": "uint8"}, {"method": "mse"}],
)
def test_of_other_builds_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
) -> None:
    assert verdict(monkeypatch, KNOWN, **options) == ""


def test_where_artefacts_go_changes_no_byte(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = verdict(monkeypatch, KNOWN, build_dir=str(tmp_path), memory="4")
    assert said.startswith("as recorded")


def test_only_files_of_the_chain_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {
        "models/a.onnx": {"sha256": "1"},
        "calibration/calib/0.raw": {"sha256": "2"},
        "libs/x/a.so": {"sha256": "3"},
    }
    monkeypatch.setattr(recorded, "_package", lambda archive: {"p/manifest": "4"})
    step: Any = SimpleNamespace(manifest={"outputs": outputs})
    actual = recorded.artefacts(request.make(), [step])
    assert actual == {"models/a.onnx": "1", "libs/x/a.so": "3", "p/manifest": "4"}


def test_what_names_the_commit_is_not_recorded(tmp_path: Path) -> None:
    files = recorded._package(packages.package(tmp_path))
    names = {name.split("/", 1)[1] for name in files}
    assert "model/dinov3_int8_htp.serialized.bin" in names
    assert not names & {"manifest.json", "SHA256SUMS", "provenance.intoto.json", "sbom.cdx.json"}
