"""The command line, where it answers before any work starts."""

import subprocess
import sys
from pathlib import Path

from scripts.errors import ArtefactError
from scripts.source import ROOT
from tests import checkpoints, packages

INVOKE = str(Path(sys.executable).with_name("invoke"))


def invoke(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [INVOKE, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_weights_without_their_licence_are_refused_before_the_build(tmp_path: Path) -> None:
    checkpoints.write(tmp_path)
    done = invoke("build", "--model", "vits16", "--weights", tmp_path)
    assert (done.returncode, done.stdout) == (ArtefactError.exit_code, "")
    assert "holds no LICENSE" in done.stderr


def test_a_missing_key_is_named_before_the_build(tmp_path: Path) -> None:
    done = invoke("package", "--sign", tmp_path / "none")
    assert (done.returncode, done.stdout) == (ArtefactError.exit_code, "")
    assert "There is no key" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    command = [INVOKE, "inspect", str(packages.package(tmp_path))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as shown:
        assert shown.stdout and shown.stderr
        shown.stdout.close()
        assert (shown.stderr.read(), shown.wait()) == ("", 141)
