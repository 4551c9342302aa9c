from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from scripts.console import Console
from scripts.errors import GateError, ReproducibilityError
from scripts.pipeline import plan, reproduce
from scripts.pipeline import request as requests
from scripts.pipeline.build import Builder
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store
from scripts.pipeline.variations import AS_IT_IS, ELSEWHERE, Variation


def built(root: Path, **files: bytes) -> Path:
    store = Store(root)
    partial = store.partial("export")
    for name, data in files.items():
        (partial / name).write_bytes(data)
    store.commit("export", "k", {})
    return root


def test_equal_builds_are_listed(tmp_path: Path) -> None:
    first, second = built(tmp_path / "1", a=b"xy"), built(tmp_path / "2", a=b"xy")
    assert list(reproduce.compare(first, second)) == [("a", 2)]


def test_the_first_difference_is_named_with_its_offset(tmp_path: Path) -> None:
    first, second = (
        built(tmp_path / "1", a=b"x", b=b"0123"),
        built(tmp_path / "2", a=b"x", b=b"0143"),
    )
    with pytest.raises(ReproducibilityError, match="b differs at byte 2"):
        list(reproduce.compare(first, second))


def test_a_file_on_one_side_only_is_named(tmp_path: Path) -> None:
    first, second = built(tmp_path / "1", a=b"x"), built(tmp_path / "2", a=b"x", c=b"y")
    with pytest.raises(ReproducibilityError, match="has c"):
        list(reproduce.compare(first, second))


@pytest.mark.parametrize(("left", "right", "offset"), [(b"ab", b"ab", None), (b"ab", b"abc", 2)])
def test_first_difference(tmp_path: Path, left: bytes, right: bytes, offset: int | None) -> None:
    (tmp_path / "l").write_bytes(left)
    (tmp_path / "r").write_bytes(right)
    assert reproduce.first_difference(tmp_path / "l", tmp_path / "r") == offset


def test_difference_beyond_the_first_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproduce, "_CHUNK", 4)
    (tmp_path / "l").write_bytes(b"0123456789")
    (tmp_path / "r").write_bytes(b"012345678x")
    assert reproduce.first_difference(tmp_path / "l", tmp_path / "r") == 9


@dataclass(frozen=True)
class FakeBuilder:
    """Writes one file for each of two stages: what `bytes_of` says that surroundings give."""

    bytes_of: Callable[[str, Variation], bytes]
    console: Console
    variation: Variation = AS_IT_IS

    def build(self, request: Request, stages: Iterable[plan.Stage]) -> None:
        store = Store(request.root)
        for stage in ("export", "context-int8-iq9075"):
            (store.partial(stage) / f"{stage}.bin").write_bytes(
                self.bytes_of(stage, self.variation)
            )
            store.commit(stage, "k", {})


def run(
    folder: Path, bytes_of: Callable[[str, Variation], bytes], *variations: Variation
) -> list[Path]:
    """Reproduce under variations, and return what is left in the folder for builds."""
    builder = cast(Builder, FakeBuilder(bytes_of, Console()))
    try:
        reproduce.run(builder, requests.make(build_dir=str(folder)), variations)
    finally:
        left = list(folder.iterdir())
    return left


ZONE = Variation("time zone", environment={"TZ": "AHEAD-14"})


def test_nothing_is_said_and_nothing_left_where_all_is_the_same(tmp_path: Path) -> None:
    assert run(tmp_path, lambda stage, variation: stage.encode(), ELSEWHERE, ZONE) == []


def test_the_variation_is_named_with_the_first_file_in_the_order_of_the_chain(
    tmp_path: Path,
) -> None:
    def local(stage: str, variation: Variation) -> bytes:
        return variation.environment.get("TZ", "").encode()

    with pytest.raises(ReproducibilityError) as raised:
        run(tmp_path, local, ELSEWHERE, ZONE)
    assert "time zone: export.bin differs at byte 0. 1 more differ." in str(raised.value)
    assert ELSEWHERE.name not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_fails_under_a_variation_does_not_keep_others_from_their_turn(
    tmp_path: Path,
) -> None:
    def gated(stage: str, variation: Variation) -> bytes:
        if variation.cpus:
            raise GateError("cls_mean is 0.5.")
        return variation.hostname.encode()

    with pytest.raises(ReproducibilityError) as raised:
        run(tmp_path, gated, Variation("one core", cpus="0"), ELSEWHERE)
    assert "one core: cls_mean is 0.5." in str(raised.value)
    assert f"{ELSEWHERE.name}: export.bin differs" in str(raised.value)


def test_differences_come_in_the_order_of_the_stages(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for root, data in ((first, b"x"), (second, b"y")):
        store = Store(root)
        for stage in ("compile", "export"):
            (store.partial(stage) / f"of-{stage}").write_bytes(data)
            store.commit(stage, "k", {})
    differences = list(reproduce.differences(first, second, ["export", "compile"]))
    assert differences == ["of-export differs at byte 0.", "of-compile differs at byte 0."]
