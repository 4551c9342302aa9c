import json
import shutil
from pathlib import Path

import pytest
from PIL import Image as Picture

from scripts import digests, source
from scripts.image import lanes, locks
from scripts.image.image import Image
from scripts.pipeline import facts, request

IMAGE = Image("id", "tag", "bookworm", f"sha256:{1:064x}", "inputs", 0)


def gather(**folders: Path) -> str:
    paths = {name: str(path) for name, path in folders.items()}
    build = request.make(**paths)
    return json.dumps(facts.gather(build, IMAGE, digests.DigestCache(Path("none")).tree))


@pytest.fixture(autouse=True)
def _revision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "revision", lambda: {"gitCommit": "ab"})


def test_it_says_by_what_and_from_what() -> None:
    record = json.loads(gather())
    assert record["image"]["digest"] == IMAGE.content_digest
    assert record["source"] == {"digest": {"gitCommit": "ab"}}
    assert record["parameters"]["weights"] == "builtin"
    assert record["parameters"]["size"] == "32"
    assert record["parameters"]["images"] == "built-in: digits"
    assert record["materials"] == []


def test_it_names_the_bill_of_materials_of_the_image() -> None:
    bom = json.loads(gather())["image"]["bom"]
    bill = locks.bill(lanes.load("bookworm"))
    assert bom["sha256"] == digests.of_bytes(bill)
    serial = bom["link"].removeprefix("urn:cdx:").removesuffix("/1")
    assert json.loads(bill)["serialNumber"] == f"urn:uuid:{serial}"


def test_folders_are_named_by_their_content_and_not_by_their_path(tmp_path: Path) -> None:
    records = []
    for name in ("first", "second"):
        shutil.copytree(request.BUILTIN_WEIGHTS, tmp_path / name)
        folder = tmp_path / name
        (folder / "more").mkdir()
        Picture.new("L", (1, 1)).save(folder / "more" / "a.png")
        records.append(gather(weights=folder, images=folder, heldout=folder / "more"))
    assert records[0] == records[1]
    assert str(tmp_path) not in records[0]
    materials = json.loads(records[0])["materials"]
    assert [material["name"] for material in materials] == ["images", "heldout"]
    assert json.loads(records[0])["parameters"]["weights"] == "a folder"


def test_fetched_weights_are_named_by_repository_and_commit(tmp_path: Path) -> None:
    folder = tmp_path / request.HUB / "timm--vit" / "weights"
    shutil.copytree(request.BUILTIN_WEIGHTS, folder)
    origin = {"repository": "timm/vit", "revision": "main", "commit": "c0", "files": {}}
    (folder / "origin.json").write_text(json.dumps(origin))
    assert json.loads(gather(weights=folder))["parameters"]["weights"] == "hf://timm/vit@c0"
