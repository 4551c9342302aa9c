"""Variants of one stage, kept by key: brought back whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from scripts.pipeline import cas
from scripts.pipeline.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "digits")


@pytest.fixture(params=["links", "copies"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system with hard links, and one that says it has none, as exFAT does."""
    if request.param == "copies":
        monkeypatch.setattr(os, "link", no_link)
    return str(request.param)


def no_link(*arguments: object, **options: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def run(store: Store, key: str, mode: int = 0o644, **files: str) -> list[str]:
    """Commit and keep what a run of the stage `export` would write."""
    folder = store.partial("export") / "models"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    store.commit("export", key, {"image": "sha256:0", "seconds": 1.5})
    return store.keep("export")


def content(store: Store) -> dict[str, str]:
    return {path.name: path.read_text() for path in (store.root / "models").iterdir()}


def test_variants_are_brought_back(store: Store, kind: str) -> None:
    run(store, "int8", a="1", b="2")
    before = store.manifest("export")
    run(store, "w8a16", a="3")
    assert not store.is_whole("export", "int8")
    assert store.restore("export", "int8") == before
    assert store.is_whole("export", "int8")
    assert content(store) == {"a": "1", "b": "2"}
    assert store.contents.has_links is (kind == "links")
    # Back and forth again, in a process that has to look for itself.
    again = Store(store.root)
    assert again.restore("export", "w8a16")
    assert content(again) == {"a": "3"}


def test_another_folder_finds_it_too(store: Store, kind: str) -> None:
    run(store, "k", a="1")
    other = Store(store.root.parent / "digits-uint8")
    assert other.restore("export", "k")
    assert content(other) == {"a": "1"}
    assert other.restore("export", "unknown") is None
    assert content(other) == {"a": "1"}


def test_links_take_no_room_of_their_own(store: Store) -> None:
    run(store, "k", a="1")
    manifest = store.manifest("export")
    assert manifest
    blob = store.contents.blob(manifest["outputs"]["models/a"]["sha256"])
    assert blob.samefile(store.root / "models" / "a")


def test_data_of_networks_has_one_name_as_onnx_asks(store: Store) -> None:
    run(store, "k", mode=0o644, **{"a.onnx": "1", "a.onnx_data": "2"})
    data = store.root / "models" / "a.onnx_data"
    assert data.stat().st_nlink == 1
    run(store, "other", mode=0o644, **{"a.onnx": "3", "a.onnx_data": "4"})
    assert store.restore("export", "k")
    assert content(store) == {"a.onnx": "1", "a.onnx_data": "2"}
    assert data.stat().st_nlink == 1


def test_a_file_written_to_through_its_link_is_noticed_and_never_handed_out(store: Store) -> None:
    run(store, "k", a="1234", b="5")
    (store.root / "models" / "a").write_text("1235")
    again = Store(store.root)
    assert again.damaged("export") == ["models/a"]
    assert again.restore("export", "k") is None
    assert not list((store.root / ".partial").iterdir())
    # The stage runs, and what it makes takes the place of the damaged file.
    assert run(again, "k", a="1234", b="5") == []
    (store.root / "models" / "a").unlink()
    assert again.restore("export", "k")
    assert content(again) == {"a": "1234", "b": "5"}


def test_a_copy_outlives_what_is_done_to_the_folder(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", no_link)
    run(store, "k", a="1234")
    (store.root / "models" / "a").write_text("1235")
    assert Store(store.root).restore("export", "k")
    assert content(store) == {"a": "1234"}


@pytest.mark.parametrize("damage", ["gone", "truncated", "flipped", "result gone", "result cut"])
def test_what_is_damaged_in_the_store_is_not_known(store: Store, damage: str) -> None:
    run(store, "k", a="1234")
    manifest = store.manifest("export")
    assert manifest
    blob = store.contents.blob(manifest["outputs"]["models/a"]["sha256"])
    if damage == "gone":
        blob.unlink()
    elif damage == "result gone":
        store.contents.result_path("k").unlink()
    elif damage == "result cut":
        store.contents.result_path("k").write_text('{"outputs": ')
    else:
        blob.write_text("123" if damage == "truncated" else "1235")
    assert Store(store.root).restore("export", "k") is None


def test_the_store_can_be_removed_at_any_time(store: Store) -> None:
    run(store, "k", a="1")
    shutil.rmtree(store.contents.root)
    assert store.is_whole("export", "k")
    assert content(store) == {"a": "1"}
    assert store.keep("export") == []
    assert Store(store.root.parent / "other").restore("export", "k")


def test_modes_are_those_of_the_manifest(store: Store) -> None:
    """A library and its copy can have the same bytes, and another mode."""
    run(store, "program", mode=0o755, a="1")
    run(store, "text", mode=0o644, a="1")
    for key, mode in (("program", 0o755), ("text", 0o644)):
        assert store.restore("export", key)
        assert (store.root / "models" / "a").stat().st_mode & 0o777 == mode


def test_other_bytes_under_a_key_are_named(store: Store) -> None:
    run(store, "k", a="1", b="2")
    assert run(store, "k", a="1", b="3") == ["models/b"]
    assert run(store, "k", a="1", b="3") == []
    assert run(store, "k", a="1") == ["models/b"]


def test_a_digest_is_carried_over_links_and_renames(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read twice: a build folder of ViT-H+ holds 14 GB."""
    run(store, "k", a="1")
    monkeypatch.setattr("scripts.digests.of_file", lambda path: pytest.fail(f"read {path} again"))
    assert store.is_whole("export", "k")
    store.digests.save()
    assert Store(store.root).is_whole("export", "k")


def test_a_full_disk_is_an_error_and_not_a_file_system_without_links(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space left"):
        run(store, "k", a="1")
    assert store.is_whole("export", "k")
    assert cas.manifest_at(store.contents.result_path("k")) is None
