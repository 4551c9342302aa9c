"""Whether the process that a container belongs to still lives, judged by its lock."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.pipeline import owner
from scripts.source import ROOT

HOLDER = """
from scripts.pipeline import owner
import sys
print(owner.label(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def holder() -> tuple[subprocess.Popen[str], str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLDER]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)
    assert process.stdout
    return process, process.stdout.readline().strip()


def test_a_process_is_gone_once_it_is_killed_and_no_sooner() -> None:
    process, label = holder()
    assert not owner.is_gone(label)
    process.kill()
    process.wait()
    assert owner.is_gone(label)
    owner.forget(label)
    assert not owner.is_gone(label)


def test_a_process_that_ends_well_leaves_nothing(locks: Path) -> None:
    process, label = holder()
    process.communicate("")
    assert not list(owner.folder().iterdir())
    assert not owner.is_gone(label)


def test_what_cannot_be_judged_is_not_gone(locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process, label = holder()
    process.kill()
    process.wait()
    (locks / "target").touch()
    (owner.folder() / ("a" * 32)).symlink_to(locks / "target")
    name, _, boot = label.partition(".")
    for other in (f"{name}.another-boot", f"{'b' * 32}.{boot}", f"../target.{boot}", "", "vm:1234"):
        assert not owner.is_gone(other), other
    assert not owner.is_gone(f"{'a' * 32}.{boot}")
    assert owner.is_gone(label)


def test_a_folder_that_another_user_took_is_not_used(
    locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = owner.folder()
    usual.rmdir()
    (locks / "theirs").mkdir()
    usual.symlink_to(locks / "theirs")
    assert owner.folder() not in (usual, locks / "theirs")
