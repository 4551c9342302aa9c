"""Wheels by hash, with the real pip and a folder of made-up wheels in place of an index."""

from pathlib import Path

import pytest

from scripts.errors import ImageBuildError
from scripts.image import wheels
from scripts.image.buildlog import BuildLog
from scripts.image.wheels import Pin, Platform
from tests import index
from tests.index import wheel

PLATFORM = Platform("3.11", "x86_64", "2.36")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the one place that pip's settings name."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(wheels, "CACHE", tmp_path / "cache")
    return folder


@pytest.fixture
def log(tmp_path: Path) -> BuildLog:
    return BuildLog(tmp_path / "image.log")


def lock(tmp_path: Path, *pins: Pin) -> Path:
    path = tmp_path / "bookworm.python.txt"
    path.write_text("".join(pin.line() for pin in pins))
    return path


def test_what_is_asked_for_is_resolved_with_all_that_it_needs(folder: Path) -> None:
    needed = wheel(folder, "small")
    big = wheel(folder, "big", tag="cp311-cp311-manylinux_2_28_x86_64", needs="small")
    assert wheels.resolve(["big"], PLATFORM) == [
        Pin("big", "1.0", (big,)),
        Pin("small", "1.0", (needed,)),
    ]


def test_a_lock_is_read_as_it_is_written(tmp_path: Path) -> None:
    pins = [Pin("a", "1", ("x", "y")), Pin("b", "2+cpu", ("z",))]
    assert wheels.parse("# Made by\n" + lock(tmp_path, *pins).read_text()) == pins


@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-manylinux_2_39_x86_64",
        "cp311-cp311-manylinux_2_28_aarch64",
        "cp312-cp312-manylinux_2_28_x86_64",
    ],
)
def test_a_wheel_that_cannot_run_in_the_image_is_not_chosen(folder: Path, tag: str) -> None:
    wheel(folder, "big", tag=tag)
    with pytest.raises(ImageBuildError, match="No matching distribution found for big"):
        wheels.resolve(["big"], PLATFORM)


def test_locked_wheels_are_fetched_once(folder: Path, tmp_path: Path, log: BuildLog) -> None:
    locked = lock(tmp_path, Pin("small", "1.0", (wheel(folder, "small"),)))
    folder = wheels.download(locked, PLATFORM, log)
    assert [path.name for path in folder.iterdir()] == ["small-1.0-py3-none-any.whl"]
    (folder / "small-1.0-py3-none-any.whl").unlink()
    assert wheels.download(locked, PLATFORM, log) == folder


def test_another_file_of_that_version_is_refused_by_name(
    folder: Path, tmp_path: Path, log: BuildLog
) -> None:
    wheel(folder, "small")
    with pytest.raises(
        ImageBuildError, match=r"has other bytes than locked[\s\S]+small"
    ) as refusal:
        wheels.download(lock(tmp_path, Pin("small", "1.0", ("0" * 64,))), PLATFORM, log)
    assert "image.lock" not in refusal.value.remedy
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("harm", ["flip", "truncate", "add", "lose"])
def test_a_cache_that_was_touched_is_not_taken(
    folder: Path, tmp_path: Path, log: BuildLog, harm: str
) -> None:
    locked = lock(tmp_path, Pin("small", "1.0", (wheel(folder, "small"),)))
    (path,) = wheels.download(locked, PLATFORM, log).iterdir()
    whole = path.read_bytes()
    if harm == "flip":
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    elif harm == "truncate":
        path.write_bytes(whole[:-1])
    elif harm == "add":
        (path.parent / "sitecustomize-1.0-py3-none-any.whl").touch()
    else:
        path.unlink()
    (again,) = wheels.download(locked, PLATFORM, log).iterdir()
    assert again.read_bytes() == whole


def test_constraints_of_the_machine_do_not_contradict_the_lock(
    folder: Path, tmp_path: Path, log: BuildLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "constraints.txt").write_text("small==2.0\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    pin = Pin("small", "1.0", (wheel(folder, "small"),))
    assert wheels.resolve(["small"], PLATFORM) == [pin]
    assert wheels.download(lock(tmp_path, pin), PLATFORM, log).is_dir()


@pytest.fixture
def locked(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A lock of torch and a package more; a plain index without the torch of it, torch's own."""
    plain, cpu = tmp_path / "plain", tmp_path / "cpu"
    for path in (plain, cpu):
        path.mkdir()
    wheel(plain, "torch", note="for CUDA")
    pins = [Pin("small", "1.0", (wheel(plain, "small"),))]
    pins += [Pin("torch", "1.0+cpu", (wheel(cpu, "torch", version="1.0+cpu"),))]
    wheel(cpu, "small", note="forged")
    return lock(tmp_path, *pins), plain, cpu


def test_torch_comes_from_its_own_index_on_a_plain_machine(
    locked: tuple[Path, Path, Path],
    log: BuildLog,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, plain, cpu = locked
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    with index.served(plain) as default, index.served(cpu) as torchs:
        monkeypatch.setenv("PIP_INDEX_URL", default)
        monkeypatch.setattr(wheels, "CPU_INDEX", torchs)
        names = {file.name for file in wheels.download(path, PLATFORM, log).iterdir()}
    assert names == {"small-1.0-py3-none-any.whl", "torch-1.0+cpu-py3-none-any.whl"}
    assert "no such wheel of torch: trying 127.0.0.1" in capsys.readouterr().out


def test_torch_is_resolved_on_its_own_index_where_the_settings_have_no_such_wheel(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = tmp_path / "cpu"
    cpu.mkdir()
    small = wheel(folder, "small")
    torch = wheel(cpu, "torch", version="1.0+cpu", needs="small")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    with index.served(folder) as default, index.served(cpu) as torchs:
        monkeypatch.setenv("PIP_INDEX_URL", default)
        monkeypatch.setattr(wheels, "CPU_INDEX", torchs)
        assert wheels.resolve(["torch==1.0+cpu"], PLATFORM) == [
            Pin("small", "1.0", (small,)),
            Pin("torch", "1.0+cpu", (torch,)),
        ]


def test_another_torch_on_its_own_index_is_refused(
    locked: tuple[Path, Path, Path], log: BuildLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain, cpu = locked
    wheel(cpu, "torch", version="1.0+cpu", note="forged")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", str(plain))
    with index.served(plain) as default, index.served(cpu) as torchs:
        monkeypatch.setenv("PIP_INDEX_URL", default)
        monkeypatch.setattr(wheels, "CPU_INDEX", torchs)
        with pytest.raises(ImageBuildError, match="torch"):
            wheels.download(path, PLATFORM, log)


def test_where_pip_may_ask_no_index_torchs_own_is_not_asked(
    locked: tuple[Path, Path, Path], log: BuildLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain, cpu = locked
    monkeypatch.setenv("PIP_FIND_LINKS", str(plain))
    with index.served(cpu) as torchs:
        monkeypatch.setattr(wheels, "CPU_INDEX", torchs)
        with pytest.raises(ImageBuildError, match=r"torch==1\.0\+cpu cannot be fetched"):
            wheels.download(path, PLATFORM, log)


def test_a_wheel_that_cannot_be_had_is_named(tmp_path: Path, log: BuildLog) -> None:
    with pytest.raises(ImageBuildError, match=r"torch==1\.0 cannot be fetched") as caught:
        wheels.download(lock(tmp_path, Pin("torch", "1.0", ("0" * 64,))), PLATFORM, log)
    assert "CPU wheel" in str(caught.value)
    assert "pip config list" in str(caught.value)
