"""Room on the disk: asked for before a build, and named where it ends."""

import errno
from pathlib import Path

import pytest

from scripts import streams
from scripts.errors import DiskFullError
from scripts.pipeline import plan, request, space, steps
from scripts.pipeline.container import Outcome
from scripts.pipeline.request import Request


@pytest.fixture
def build(tmp_path: Path) -> Request:
    return request.make(build_dir=str(tmp_path / "new" / "folder"))


def with_room(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(space, "free", lambda folder: free)


def test_a_large_model_needs_more_than_a_small_one() -> None:
    small, large = (request.make(model=name, weights="random") for name in ("digits", "vith16plus"))
    assert space.needed(small) < 200_000_000
    assert 25_000_000_000 < space.needed(large) < 32_000_000_000


def test_a_build_without_room_is_refused_with_folder_and_figures(
    build: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_room(monkeypatch, 5_000_000)
    with pytest.raises(DiskFullError) as refusal:
        space.require(build)
    assert f"The disk of {build.build_dir} has 5.0 MB free" in refusal.value.what
    with_room(monkeypatch, space.needed(build))
    space.require(build)


def test_several_precisions_need_more_than_one_and_share_the_export(
    build: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, three = space.needed(build), space.needed(build, 3)
    assert alone < three < 3 * alone
    with_room(monkeypatch, three - 1)
    space.require(build)
    with pytest.raises(DiskFullError):
        space.require(build, 3)


def test_what_a_build_has_already_is_not_needed_again(
    build: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.root.mkdir(parents=True)
    with (build.root / "whole").open("wb") as file:
        file.truncate(space.needed(build))
    with_room(monkeypatch, 0)
    space.require(build)


def test_the_nearest_folder_says_what_is_free(build: Request, tmp_path: Path) -> None:
    assert space.existing(build.root) == tmp_path
    assert space.free(build.root) > 0


def test_a_folder_that_cannot_be_written_to_is_named_first(
    build: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.prepare(build)
    assert list(build.build_dir.iterdir()) == []
    build.root.touch()
    with pytest.raises(OSError, match=str(build.root)):
        space.prepare(build)

    def refuse(dir: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(dir / "random"))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    build.root.unlink()
    with pytest.raises(OSError, match="Read-only") as refusal:
        space.prepare(build)
    assert refusal.value.filename == str(build.build_dir)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_is_named_with_what_is_free(
    build: Request, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with_room(monkeypatch, 4096)
    with pytest.raises(DiskFullError) as refusal, space.watched(build):
        raise OSError(code, "No space left on device")  # as a write does, without a name
    assert f"The disk of {build.root} is full: 4.1 kB free" in refusal.value.what
    assert "840 M" not in str(refusal.value)


def test_a_full_disk_of_standard_output_is_not_the_builds(
    build: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", streams.named(full))
        with (
            pytest.raises(DiskFullError, match="Standard output cannot be") as refusal,
            space.watched(build),
        ):
            print("built", flush=True)
        print("so far", flush=True)  # in words to nobody, rather than an error at the end
    assert str(build.root) not in str(refusal.value)


def test_other_errors_of_the_system_stay_what_they_are(build: Request) -> None:
    with pytest.raises(PermissionError), space.watched(build):
        raise PermissionError(errno.EACCES, "no", "x")


def test_a_stage_that_filled_the_disk_is_named_with_it(
    build: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_room(monkeypatch, 0)
    outcome = Outcome(DiskFullError.exit_code, out_of_memory=False, tail="")
    with pytest.raises(DiskFullError) as refusal:
        steps.check(build, plan.stages(build)[0], outcome, build.root)
    assert f"the disk of {build.root} is full: 0 B free" in refusal.value.what
