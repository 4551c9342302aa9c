from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import digests
from scripts.errors import CheckpointError, GatedModelError
from tests import checkpoints
from tests.unit.checkpoint import hub

pytestmark = pytest.mark.torch


def fetch(address: str, out: Path, token: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.stages.fetch", "--out", str(out), "--repo", hub.REPO]
    surroundings = {"HF_ENDPOINT": address, "HF_HOME": str(out / "home"), "HF_TOKEN": token}
    return subprocess.run(
        command, env=os.environ | surroundings, capture_output=True, text=True, check=False
    )


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = checkpoints.write(tmp_path / "published", shards=2)
    (folder / "LICENSE.md").write_text("DINOv3 License")
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    return folder


def test_a_checkpoint_arrives_whole_with_its_licence_and_origin(
    tmp_path: Path, published: Path
) -> None:
    with hub.serve(published) as address:
        done = fetch(address, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    weights = tmp_path / "out" / "weights"
    origin = json.loads((weights / "origin.json").read_text())
    files = origin.pop("files")
    assert origin == {"repository": hub.REPO, "commit": hub.COMMIT}
    names = {file.name for file in published.iterdir()} - {"pytorch_model.bin"} | {"origin.json"}
    assert {file.name for file in weights.iterdir()} == names
    for name in names - {"origin.json"}:
        assert (weights / name).read_bytes() == (published / name).read_bytes()
        assert files[name] == digests.of_file(published / name)


def test_a_gated_repository_needs_a_token(tmp_path: Path, published: Path) -> None:
    with hub.serve(published, token="hf_secret") as address:
        refused = fetch(address, tmp_path / "without")
        done = fetch(address, tmp_path / "with", token="hf_secret")
    assert refused.returncode == GatedModelError.exit_code
    assert "HF_TOKEN" in refused.stderr
    assert "--weights" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert done.returncode == 0, done.stderr
    texts = [file.read_bytes() for file in (tmp_path / "with/weights").iterdir()]
    assert not any(b"hf_secret" in text for text in texts)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, GatedModelError), (403, GatedModelError), (404, CheckpointError)],
)
def test_a_refusal_is_said_in_words(
    tmp_path: Path, published: Path, status: int, error: type[CheckpointError]
) -> None:
    with hub.serve(published, status=status) as address:
        refused = fetch(address, tmp_path / "out")
    assert refused.returncode == error.exit_code
    assert hub.REPO in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_hub_out_of_reach_is_said_in_words(tmp_path: Path, published: Path) -> None:
    with hub.serve(published) as address:
        pass
    refused = fetch(address, tmp_path / "out")
    assert refused.returncode == CheckpointError.exit_code
    assert "network" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_file_cut_on_the_hub_is_refused(tmp_path: Path, published: Path) -> None:
    with hub.serve(published, cut=100) as address:
        refused = fetch(address, tmp_path / "out")
    assert refused.returncode == CheckpointError.exit_code
    assert "model-00001-of-00002.safetensors" in refused.stderr
