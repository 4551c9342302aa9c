"""An environment of another lock is refused before anything else is done."""

import json
import sys
from pathlib import Path

import pytest
from invoke import Context, Exit

from scripts import digests
from scripts.console import Console
from scripts.errors import UsageError
from scripts.pipeline import environment
from scripts.pipeline.command import OUTPUT, command
from scripts.source import ROOT


@pytest.fixture
def stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the bootstrap's stamp would be in an environment that is empty."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return tmp_path / environment.STAMP


def line(digest: str) -> str:
    return f"{sys.version} {digest}  docker/locks/host.txt\n"


def test_an_environment_of_this_lock_or_of_none_is_taken(stamp: Path) -> None:
    environment.require()
    stamp.write_text(line(digests.of_file(environment.LOCK)))
    environment.require()


def test_the_bootstraps_own_stamp_is_understood() -> None:
    script = (ROOT / "scripts/bootstrap.sh").read_text()
    assert f"stamp=.venv/{environment.STAMP}\n" in script
    assert f"lock={environment.LOCK.relative_to(ROOT)}\n" in script
    assert '$(sha256sum "$lock")' in script


def test_every_command_refuses_an_environment_of_another_lock(
    stamp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @command(output=OUTPUT)
    def work(console: Console) -> None:
        """Work."""
        console.result("worked")

    stamp.write_text(line(64 * "0"))
    with pytest.raises(Exit, match="make venv") as ending:
        work(Context(), json=True)
    assert ending.value.code == UsageError.exit_code
    assert json.loads(capsys.readouterr().out)["error"]["class"] == "UsageError"
