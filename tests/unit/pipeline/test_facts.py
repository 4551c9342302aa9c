import json
from pathlib import Path

import pytest

from scripts import digests, source
from scripts.image.image import Image
from scripts.pipeline import facts, request

IMAGE = Image("id", "tag", "bookworm", f"sha256:{1:064x}", "inputs", 0)


def gather(**given: Path) -> str:
    paths = {name: str(path) for name, path in given.items()}
    asked = request.make(model="digits", precision="int8", target="iq9075", **paths)
    return json.dumps(facts.gather(asked, IMAGE, digests.DigestCache(Path("none")).tree))


@pytest.fixture(autouse=True)
def _revision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "revision", lambda: {"gitCommit": "ab"})


def test_it_says_by_what_and_from_what() -> None:
    told = json.loads(gather())
    assert told["image"] == {"digest": IMAGE.content_digest}
    assert told["source"] == {"digest": {"gitCommit": "ab"}}
    assert told["parameters"]["weights"] == "builtin"
    assert told["parameters"]["images"] == "built-in: digits"
    assert told["materials"] == []


def test_folders_are_named_by_their_content_and_not_by_their_path(tmp_path: Path) -> None:
    told = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        folder = tmp_path / name
        told.append(gather(weights=folder, images=folder, heldout=folder))
    assert told[0] == told[1]
    assert str(tmp_path) not in told[0]
    materials = json.loads(told[0])["materials"]
    assert [one["name"] for one in materials] == ["images", "heldout"]
    assert json.loads(told[0])["parameters"]["weights"] == "a folder"
