"""How a command of the SDK ends is said in words."""

from pathlib import Path

import pytest

from scripts.errors import CompileError, DiskFullError, OutOfMemoryError, PipelineError
from scripts.htp import sdk, tools


def run(folder: Path, script: str, *arguments: str | Path) -> None:
    tool = folder / "bin" / sdk.HOST / "tool"
    tool.parent.mkdir(parents=True)
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    root = sdk.Sdk(folder, "2.51.0", "openqnn")
    tools.run(root, "tool", *arguments, cwd=folder, error=CompileError, cause="a bad graph")


def test_success_shows_what_was_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "echo one; echo two >&2")
    assert capsys.readouterr().out == "  one\n  two\n"


def test_runs_in_the_folder_given_with_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(tmp_path, 'pwd > out; echo "$@" >> out', Path("x"), "--flag")
    assert (tmp_path / "out").read_text() == f"{tmp_path}\n{tmp_path}/x --flag\n"


@pytest.mark.parametrize(
    ("script", "error", "says"),
    [
        ("echo first; echo broken; exit 3", CompileError, r"tool ended with 3:\nfirst\nbroken"),
        ("kill -9 $$", OutOfMemoryError, "killed for its memory"),
        ("echo x: No space left on device; exit 1", DiskFullError, "while tool ran"),
    ],
)
def test_failures_have_their_class(
    tmp_path: Path, script: str, error: type[PipelineError], says: str
) -> None:
    with pytest.raises(error, match=says):
        run(tmp_path, script)


def test_only_the_last_lines_are_kept(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        run(tmp_path, "seq 1 100; exit 1")
    assert caught.value.what.splitlines()[1:] == [str(number) for number in range(89, 101)]
    assert caught.value.cause == "a bad graph"
