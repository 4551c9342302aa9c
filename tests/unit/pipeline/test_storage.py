"""What the store holds, and that nothing goes which a folder uses."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from scripts.console import Console
from scripts.errors import UsageError
from scripts.pipeline import manual, request, storage
from scripts.pipeline.store import Store
from tests.unit.pipeline.test_cas import run

DAY = 86400


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three variants of a stage, 1000 bytes each; the folder has the last one."""
    store = Store(tmp_path / "digits")
    for age, key in ((9, "old"), (5, "middle"), (1, "new")):
        run(store, key, own=key[0] * 900, shared="s" * 100)
        used_at = time.time() - age * DAY
        os.utime(store.contents.result_path(key), (used_at, used_at))
    return store


def keys(store: Store) -> list[str]:
    return [result.path.name for result in storage.look(store.root.parent).results]


def collect(store: Store, days: float | None = None, limit: int | None = None) -> Console:
    console = Console()
    storage.collect(console, store.root.parent, keep_days=days, max_size=limit)
    assert store.is_whole("export", "new")
    return console


def test_what_is_there(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    storage.show(console, store.root.parent)
    assert "3 results, 4 files, 2.8 kB; build folders use 1.0 kB of it" in capsys.readouterr().out
    records = console.document["results"]
    assert [(record["key"], record["in_use"]) for record in records] == [
        ("old", False),
        ("middle", False),
        ("new", True),
    ]


def test_locks_are_no_files_of_the_store_and_stay(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = store.contents.blob("0" * 64).with_name(".lock")
    lock.parent.mkdir(exist_ok=True)
    lock.touch()
    os.utime(lock, (time.time() - 2 * DAY,) * 2)
    storage.show(Console(), store.root.parent)
    assert "3 results, 4 files" in capsys.readouterr().out
    collect(store, days=0)
    assert lock.is_file()


def test_the_manual_names_what_programs_are_told(store: Store) -> None:
    console = Console()
    storage.show(console, store.root.parent)
    names = {*console.document, *collect(store, days=0).document}
    assert names == set(manual.CACHE)
    assert set(console.document["results"][0]) <= set(manual.CACHE["results"].split("`"))


def test_by_days(store: Store) -> None:
    collect(store, days=7)
    assert keys(store) == ["middle", "new"]
    assert store.restore("export", "middle")
    assert store.restore("export", "old") is None


def test_what_was_taken_lately_is_not_old(store: Store) -> None:
    assert store.restore("export", "old")
    assert store.restore("export", "new")
    collect(store, days=7)
    assert keys(store) == ["middle", "old", "new"]


def test_by_size_the_oldest_go_first(store: Store) -> None:
    console = collect(store, limit=2000)
    assert keys(store) == ["middle", "new"]
    assert console.document["size"] == 1900


def test_what_a_folder_uses_stays_whatever_is_asked_for(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    console = collect(store, days=0, limit=0)
    assert keys(store) == ["new"]
    assert console.document["size"] == 1000
    assert "what is left is in use" in capsys.readouterr().out
    blob = store.contents.root / "cas"
    assert {path.stat().st_nlink for path in blob.glob("*/*")} == {2}


def test_files_of_no_result_go(store: Store) -> None:
    store.contents.result_path("old").write_text("{")
    collect(store)
    assert storage.look(store.root.parent).size == 1900


def test_a_download_that_was_ended_stays_for_a_day(store: Store) -> None:
    begun = store.contents.blob("0" * 64).with_name(f"{64 * '0'}.incoming")
    begun.parent.mkdir(exist_ok=True)
    begun.write_bytes(b"half")
    collect(store)
    assert begun.is_file()
    os.utime(begun, (time.time() - 2 * DAY,) * 2)
    collect(store)
    assert not begun.exists()


def test_a_folder_of_builds_without_a_store(tmp_path: Path) -> None:
    storage.show(Console(), tmp_path)
    storage.collect(Console(), tmp_path, keep_days=0, max_size=0)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_builds_that_is_not_there_is_refused_except_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="nope: there is no such folder"):
        storage.show(Console(), tmp_path / "nope")
    with pytest.raises(UsageError, match="nope: there is no such folder"):
        storage.collect(Console(), tmp_path / "nope", keep_days=None, max_size=None)
    monkeypatch.chdir(tmp_path)
    storage.show(Console(), request.make().build_dir)  # nothing was built there yet


@pytest.mark.parametrize(
    ("text", "count"), [("20GB", 20 * 10**9), ("1.5 tb", 15 * 10**11), ("7", 7), ("0", 0)]
)
def test_sizes(text: str, count: int) -> None:
    assert storage.parse_size(text) == count


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1 XB", "1e3", "٣GB", "inf"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        storage.parse_size(text)
