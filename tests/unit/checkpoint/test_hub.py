"""The stage that fetches, against a stand-in of the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from scripts import digests
from scripts.errors import CheckpointError, GatedModelError
from tests import checkpoints
from tests.unit.checkpoint import hub
from tests.unit.checkpoint.hub import Behaviour

pytestmark = pytest.mark.torch
TOKEN = "hf_secret"
# The client writes what has come in blocks of 10 MiB.
BLOCK = 10 << 20


def start(
    address: str, out: Path, token: str = "", repo: str = hub.REPO, revision: str = "main"
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scripts.stages.fetch", "--out", str(out), "--repo", repo]
    surroundings = {"HF_ENDPOINT": address, "HF_HOME": str(out / "home"), "HF_TOKEN": token}
    return subprocess.Popen(
        [*command, "--revision", revision],
        env=os.environ | surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def fetch(address: str, out: Path, **how: str) -> subprocess.CompletedProcess[str]:
    process = start(address, out, **how)
    said, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors
    return subprocess.CompletedProcess(process.args, process.returncode, said, errors)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = checkpoints.write(tmp_path / "published", shards=2)
    (folder / "LICENSE.md").write_text("DINOv3 License")
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    (folder / "flax_model.msgpack").write_bytes(b"other")
    return folder


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A checkpoint of more than two blocks, in one file."""
    from safetensors.numpy import load_file, save_file

    folder = checkpoints.write(tmp_path / "large")
    (file,) = folder.glob("*.safetensors")
    noise = np.random.default_rng(0).standard_normal(6_000_000, np.float32)
    save_file({**load_file(file), "head.weight": noise}, file)
    return folder


def test_a_checkpoint_arrives_whole_with_its_licence_and_origin(
    tmp_path: Path, published: Path
) -> None:
    behaviour = Behaviour()
    with hub.serve(published, behaviour) as address:
        done = fetch(address, tmp_path / "out", revision="v1")
    assert done.returncode == 0, done.stderr
    weights = tmp_path / "out" / "weights"
    origin = json.loads((weights / "origin.json").read_text())
    files = origin.pop("files")
    assert origin == {"repository": hub.REPO, "revision": "v1", "commit": hub.COMMIT}
    others = {"pytorch_model.bin", "flax_model.msgpack"}
    names = {file.name for file in published.iterdir()} - others
    assert {file.name for file in weights.iterdir()} == names | {"origin.json"}
    for name in names:
        assert (weights / name).read_bytes() == (published / name).read_bytes()
        assert files[name] == digests.of_file(published / name)
    # Files come from the commit that the revision stands for, whatever happens to it meanwhile.
    paths = [request.path for request in behaviour.requests if "/resolve/" in request.path]
    assert all(f"/resolve/{hub.COMMIT}/" in path for path in paths)


@pytest.mark.parametrize("refusal", [401, 403])
def test_a_gated_repository_needs_a_token(tmp_path: Path, published: Path, refusal: int) -> None:
    with hub.serve(published, Behaviour(token=TOKEN, refusal=refusal)) as address:
        refused = fetch(address, tmp_path / "without")
        done = fetch(address, tmp_path / "with", token=TOKEN)
    assert refused.returncode == GatedModelError.exit_code
    assert "HF_TOKEN" in refused.stderr
    assert "--weights" in refused.stderr
    assert done.returncode == 0, done.stderr
    texts = [file.read_bytes() for file in (tmp_path / "with/weights").iterdir()]
    assert not any(TOKEN.encode() in text for text in texts)


def test_another_host_that_has_the_files_gets_no_token(tmp_path: Path, published: Path) -> None:
    behaviour = Behaviour(token=TOKEN, redirects=True)
    with hub.serve(published, behaviour) as address:
        done = fetch(address, tmp_path / "out", token=TOKEN)
    assert done.returncode == 0, done.stderr
    assert {request.authorization for request in behaviour.requests} == {f"Bearer {TOKEN}"}
    assert len(behaviour.elsewhere) == 2
    assert {request.authorization for request in behaviour.elsewhere} == {""}


def test_a_download_that_was_killed_goes_on_where_it_ended(tmp_path: Path, large: Path) -> None:
    part = tmp_path / "out/weights/model.safetensors.incomplete"
    with hub.serve(large, Behaviour(stalls=BLOCK + 1000)) as address:
        process = start(address, tmp_path / "out")
        end = time.monotonic() + 60
        while time.monotonic() < end and not (part.is_file() and part.stat().st_size):
            time.sleep(0.05)
        process.kill()
        process.communicate()
    length = part.stat().st_size
    assert 0 < length <= BLOCK
    behaviour = Behaviour()
    with hub.serve(large, behaviour) as address:
        done = fetch(address, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert f"going on after {length}" in done.stdout
    gets = [request for request in behaviour.requests if request.method == "GET"]
    assert [request.range for request in gets if "safetensors" in request.path] == [
        f"bytes={length}-"
    ]
    assert (part.parent / "model.safetensors").read_bytes() == (
        large / "model.safetensors"
    ).read_bytes()
    assert not part.exists()


def test_a_damaged_part_is_not_taken_up(tmp_path: Path, published: Path) -> None:
    name = "model-00001-of-00002.safetensors"
    weights = tmp_path / "out/weights"
    weights.mkdir(parents=True)
    (weights / f"{name}.incomplete").write_bytes(b"\1" + (published / name).read_bytes()[1:100])
    (weights / "config.json").write_text("{}")
    (weights / "old.safetensors.incomplete").write_bytes(b"of another commit")
    with hub.serve(published) as address:
        done = fetch(address, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "damaged" in done.stdout
    for file in (name, "config.json"):
        assert (weights / file).read_bytes() == (published / file).read_bytes()
    assert not list(weights.glob("*.incomplete"))


def test_a_byte_flipped_on_the_way_is_found(tmp_path: Path, published: Path) -> None:
    with hub.serve(published, Behaviour(flips=True)) as address:
        refused = fetch(address, tmp_path / "out")
    assert refused.returncode == CheckpointError.exit_code
    assert "model-00001-of-00002.safetensors" in refused.stderr
    assert "another hash" in refused.stderr


def test_a_misspelt_repository_is_answered_with_near_names(tmp_path: Path, published: Path) -> None:
    with hub.serve(published) as address:
        refused = fetch(address, tmp_path / "out", repo="facebook/dinov3-tinny")
        foreign = fetch(address, tmp_path / "out", repo="facebok/dinov3-vits16-pretrain-lvd1689m")
    assert refused.returncode == foreign.returncode == CheckpointError.exit_code
    assert "no repository facebook/dinov3-tinny" in refused.stderr
    assert f"did you mean {hub.REPO}" in refused.stderr
    assert "did you mean facebook/dinov3-vits16-pretrain-lvd1689m" in foreign.stderr


def test_an_unknown_revision_is_said_in_words(tmp_path: Path, published: Path) -> None:
    with hub.serve(published) as address:
        refused = fetch(address, tmp_path / "out", revision="v9")
    assert refused.returncode == CheckpointError.exit_code
    assert f"{hub.REPO} has no revision 'v9'" in refused.stderr


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, GatedModelError), (403, GatedModelError), (404, CheckpointError)],
)
def test_a_refusal_is_said_in_words(
    tmp_path: Path, published: Path, status: int, error: type[CheckpointError]
) -> None:
    with hub.serve(published, Behaviour(status=status)) as address:
        refused = fetch(address, tmp_path / "out")
    assert refused.returncode == error.exit_code
    assert hub.REPO in refused.stderr


def test_a_hub_out_of_reach_is_said_in_words(tmp_path: Path, published: Path) -> None:
    with hub.serve(published) as address:
        pass
    refused = fetch(address, tmp_path / "out")
    assert refused.returncode == CheckpointError.exit_code
    assert "network" in refused.stderr


def test_a_checkpoint_that_is_cut_on_the_hub_is_refused(tmp_path: Path, published: Path) -> None:
    name = "model-00001-of-00002.safetensors"
    (published / name).write_bytes((published / name).read_bytes()[:-100])
    with hub.serve(published) as address:
        refused = fetch(address, tmp_path / "out")
    assert refused.returncode == CheckpointError.exit_code
    assert name in refused.stderr
