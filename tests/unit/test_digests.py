import hashlib
import os
import time
from pathlib import Path

import pytest

from scripts import digests
from scripts.digests import DigestCache


@pytest.fixture
def cache(tmp_path: Path) -> DigestCache:
    return DigestCache(tmp_path / "kept" / "digests.json")


def test_file_digest_is_sha256(tmp_path: Path, cache: DigestCache) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"dinov3")
    assert cache.file(path) == hashlib.sha256(b"dinov3").hexdigest()


def test_a_flipped_byte_is_noticed_although_size_and_mtime_stay(
    tmp_path: Path, cache: DigestCache
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0" * 100)
    before = cache.file(path)
    stamp = path.stat()
    path.write_bytes(b"0" * 99 + b"1")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert cache.file(path) != before


def test_an_unchanged_file_is_not_read_again(
    tmp_path: Path, cache: DigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    before = cache.file(path)
    monkeypatch.setattr(digests, "of_file", lambda _: pytest.fail("was read again"))
    assert cache.file(path) == before


def test_a_file_hashed_on_its_way_is_not_read_but_once_it_changed(
    tmp_path: Path, cache: DigestCache
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    cache.know(path, "of what was written")
    assert cache.file(path) == "of what was written"
    path.write_bytes(b"y")
    assert cache.file(path) == hashlib.sha256(b"y").hexdigest()


def test_memory_survives_a_save_and_a_damaged_file_is_only_forgotten(tmp_path: Path) -> None:
    path, cache_file = tmp_path / "a", tmp_path / "digests.json"
    path.write_bytes(b"x")
    first = DigestCache(cache_file)
    digest = first.file(path)
    first.save()
    assert DigestCache(cache_file).file(path) == digest
    cache_file.write_text("{ not json")
    assert DigestCache(cache_file).file(path) == digest


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"b": "1  a\n2"}, {"a": "1", "b": "2"}),
        ({"a\n2  b": "1"}, {"a": "1", "b": "2"}),
        ({"b  a": "1"}, {"a": "1  b"}),
        ({" a": "1"}, {"a": "1 "}),
        ({"a": '\\["1", "a"]'}, {"a\n": "1"}),
    ],
)
def test_no_two_listings_read_the_same(first: dict[str, str], second: dict[str, str]) -> None:
    assert digests.of_listing(first.items()) != digests.of_listing(second.items())


def test_a_listing_of_common_names_is_that_of_sha256sum() -> None:
    text = f"{'1' * 64}  a b\n{'2' * 64}  c\\d\n"
    listing = {"c\\d": "2" * 64, "a b": "1" * 64}
    assert digests.of_listing(listing.items()) == digests.of_bytes(text.encode())


def test_tree_digest_sees_names_and_contents(tmp_path: Path, cache: DigestCache) -> None:
    (tmp_path / "t" / "sub").mkdir(parents=True)
    (tmp_path / "t" / "sub" / "a").write_text("1")
    first = cache.tree(tmp_path / "t")
    (tmp_path / "t" / "sub" / "a").rename(tmp_path / "t" / "sub" / "b")
    second = cache.tree(tmp_path / "t")
    (tmp_path / "t" / "sub" / "b").write_text("2")
    assert len({first, second, cache.tree(tmp_path / "t")}) == 3


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that stamps in whole seconds, like ext4 with inodes of 128 bytes."""
    stat = Path.stat

    def in_seconds(path: Path, **options: bool) -> os.stat_result:
        status = stat(path, **options)
        fields, times = list(status), {"st_mtime_ns": 0, "st_ctime_ns": 0}
        for name in times:
            times[name] = getattr(status, name) // 10**9 * 10**9
        return os.stat_result(fields, times)

    monkeypatch.setattr(Path, "stat", in_seconds)


@pytest.mark.usefixtures("coarse")
def test_a_write_within_the_same_second_is_noticed_where_stamps_are_that_coarse(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"
    for _ in range(3):  # two writes can fall into two seconds once
        path.write_bytes(b"0")
        first = DigestCache(tmp_path / "digests.json")
        before = first.file(path)
        first.save()
        path.write_bytes(b"1")
        assert first.file(path) != before
        assert DigestCache(tmp_path / "digests.json").file(path) != before


@pytest.mark.usefixtures("coarse")
def test_an_old_file_is_not_read_again_there_either(
    tmp_path: Path, cache: DigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0")
    later = time.time() + 3
    monkeypatch.setattr("time.time", lambda: later)
    before = cache.file(path)
    monkeypatch.setattr(digests, "of_file", lambda _: pytest.fail("was read again"))
    assert cache.file(path) == before


def test_nothing_is_remembered_once_the_clock_went_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stamp can come again then: here the file gets back the very one that it had."""
    path, cache = tmp_path / "a", tmp_path / "digests.json"
    path.write_bytes(b"0")
    first = DigestCache(cache)
    before, stamp = first.file(path), digests._stamp(path)
    first.save()
    path.write_bytes(b"1")
    monkeypatch.setattr(digests, "_stamp", lambda _: stamp)
    an_hour_ago = time.time() - 3600
    monkeypatch.setattr("time.time", lambda: an_hour_ago)
    assert first.file(path) != before
    assert DigestCache(cache).file(path) != before


def test_loops_through_two_links_end(tmp_path: Path) -> None:
    """Twenty levels of two links each would be a million folders."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (there / "file").touch()
    (there / "back").symlink_to(here)
    for name in ("a", "b"):
        (here / name).symlink_to(there)
    files = [file.relative_to(here).as_posix() for file in digests.files_below(here)]
    assert files == ["a/file", "b/file"]


def test_a_folder_with_pipes_loops_and_dangling_links_has_a_digest(
    tmp_path: Path, cache: DigestCache
) -> None:
    (tmp_path / "t" / "sub").mkdir(parents=True)
    (tmp_path / "t" / "a").write_text("1")
    before = cache.tree(tmp_path / "t")
    os.mkfifo(tmp_path / "t" / "pipe")
    (tmp_path / "t" / "sub" / "loop").symlink_to(tmp_path / "t")
    (tmp_path / "t" / "nowhere").symlink_to(tmp_path / "missing")
    assert cache.tree(tmp_path / "t") == before


def test_a_name_that_is_not_utf8_counts(tmp_path: Path, cache: DigestCache) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a").write_text("1")
    before = cache.tree(tmp_path / "t")
    (tmp_path / "t" / "a").rename(os.fsdecode(bytes(tmp_path / "t") + b"/\xff"))
    assert cache.tree(tmp_path / "t") != before
    cache.save()
