import hashlib
import os
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


def test_memory_survives_a_save_and_a_damaged_file_is_only_forgotten(tmp_path: Path) -> None:
    path, cache_file = tmp_path / "a", tmp_path / "digests.json"
    path.write_bytes(b"x")
    first = DigestCache(cache_file)
    digest = first.file(path)
    first.save()
    assert DigestCache(cache_file).file(path) == digest
    cache_file.write_text("{ not json")
    assert DigestCache(cache_file).file(path) == digest


def test_tree_digest_sees_names_and_contents(tmp_path: Path, cache: DigestCache) -> None:
    (tmp_path / "t" / "sub").mkdir(parents=True)
    (tmp_path / "t" / "sub" / "a").write_text("1")
    first = cache.tree(tmp_path / "t")
    (tmp_path / "t" / "sub" / "a").rename(tmp_path / "t" / "sub" / "b")
    second = cache.tree(tmp_path / "t")
    (tmp_path / "t" / "sub" / "b").write_text("2")
    assert len({first, second, cache.tree(tmp_path / "t")}) == 3
