"""What of the user's pip settings reaches pip: with the real pip, and indexes on the loopback."""

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import pip_settings
from scripts.source import ROOT
from tests import index

SCRIPT = ROOT / "scripts" / "pip_settings.py"


Passed = Callable[..., dict[str, str]]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of pip's settings, empty at first; pip reads the machine's own beside it."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "pip.conf"
    path.touch()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)  # the machine's own come before any file
    monkeypatch.setenv("PIP_CONFIG_FILE", str(path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path))
    return path


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    return folder


@pytest.fixture
def passed(config: Path) -> Passed:
    """What reaches pip of the settings that a test makes, less what /etc/pip.conf has."""
    machines = pip_settings.environment("install").items()

    def added(verb: str = "install") -> dict[str, str]:
        settings = dict(pip_settings.environment(verb).items() - machines)
        return {name: value for name, value in settings.items() if name.startswith("PIP_")}

    return added


def test_where_to_look_and_how_to_get_there_reach_pip(
    config: Path, monkeypatch: pytest.MonkeyPatch, passed: Passed
) -> None:
    config.write_text(
        "[global]\nindex-url = https://me:secret@index.test/simple\n"
        "find-links =\n    /one\n    /two\nproxy = http://proxy.test\n"
        "[install]\ntrusted-host = index.test\n[download]\ntrusted-host = other.test\n"
    )
    monkeypatch.setenv("PIP_CERT", "/ca.pem")
    assert passed() == {
        "PIP_INDEX_URL": "https://me:secret@index.test/simple",
        "PIP_FIND_LINKS": "\n/one\n/two",
        "PIP_PROXY": "http://proxy.test",
        "PIP_TRUSTED_HOST": "index.test",
        "PIP_CERT": "/ca.pem",
    }
    assert passed("download")["PIP_TRUSTED_HOST"] == "other.test"


def test_a_variable_comes_before_a_file_as_pip_has_it(
    config: Path, monkeypatch: pytest.MonkeyPatch, passed: Passed
) -> None:
    config.write_text("[global]\ntimeout = 1\n[install]\ntimeout = 2\n")
    assert passed()["PIP_TIMEOUT"] == "2"
    monkeypatch.setenv("PIP_TIMEOUT", "3")
    assert passed()["PIP_TIMEOUT"] == "3"


def test_what_changes_the_choice_does_not_reach_pip(
    config: Path, monkeypatch: pytest.MonkeyPatch, passed: Passed
) -> None:
    config.write_text("[global]\nconstraint = /c\nno-binary = :all:\npre = true\nprefix = /p\n")
    for name in ("USER", "TARGET", "REQUIRE_VIRTUALENV", "NO_DEPS", "DRY_RUN"):
        monkeypatch.setenv(f"PIP_{name}", "1")
    assert passed() == {}


def test_of_the_features_only_those_of_certificates_reach_pip(config: Path, passed: Passed) -> None:
    config.write_text("[global]\nuse-feature = fast-deps truststore\n")
    assert passed() == {"PIP_USE_FEATURE": "truststore"}


def test_one_index_in_place_of_all_places(config: Path) -> None:
    config.write_text(
        "[global]\nextra-index-url = https://a.test\nfind-links = /x\nproxy = http://p.test\n"
    )
    settings = pip_settings.environment("install", index="https://b.test")
    assert settings["PIP_INDEX_URL"] == "https://b.test"
    assert settings["PIP_PROXY"] == "http://p.test"
    assert not {"PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"} & settings.keys()


def test_settings_that_pip_cannot_read_are_pips_to_explain(config: Path) -> None:
    config.write_text("index-url = without a section\n")
    with pytest.raises(ValueError, match=r"pip\.conf"):
        pip_settings.environment("install")


@pytest.mark.parametrize("name", ["user = true", "global = true", "quiet = 3"])
def test_settings_that_pip_would_list_less_for_do_not_hide_others(
    config: Path, name: str, passed: Passed
) -> None:
    config.write_text(f"[global]\n{name}\nproxy = http://proxy.test\n")
    assert passed() == {"PIP_PROXY": "http://proxy.test"}


def hostile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that each, alone, keep the locked file from being installed where it must be."""
    (folder / "constraints.txt").write_text("small==2.0\n")
    variables = {
        "CONSTRAINT": str(folder / "constraints.txt"),
        "NO_BINARY": ":all:",
        "PREFIX": str(folder / "prefix"),
        "ROOT": str(folder / "root"),
        "TARGET": str(folder / "target"),
    }
    switches = dict.fromkeys(("DRY_RUN", "PRE", "REQUIRE_VIRTUALENV", "USER"), "1")
    for name, value in {**variables, **switches}.items():
        monkeypatch.setenv(f"PIP_{name}", value)


def test_the_lock_is_installed_whatever_the_settings_say(
    config: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index has another file of the same name; the settings contradict the lock in all else."""
    forged = tmp_path / "forged"
    forged.mkdir()
    index.wheel(forged, "small", note="forged")
    digest = index.wheel(wheels, "small", note="locked")
    lock = tmp_path / "lock.txt"
    lock.write_text(f"small==1.0 --hash=sha256:{digest}\n")
    venv.create(tmp_path / "venv", with_pip=True)
    hostile(tmp_path, monkeypatch)
    with index.served(forged) as wrong, index.served(wheels) as right:
        config.write_text(f"[global]\nindex-url = {wrong}\nextra-index-url = {right}\n")
        python = str(tmp_path / "venv/bin/python")
        command = [python, "-I", str(SCRIPT), "install", "--require-hashes", "-r", str(lock)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    note = [python, "-c", "import small; print(small.NOTE)"]
    assert subprocess.run(note, capture_output=True, text=True, check=True).stdout == "locked\n"


def test_no_address_is_on_a_command_line(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("[global]\nindex-url = https://me:secret@index.test/simple\n")
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda path, argv, env: started.append([path, *argv]))
    pip_settings.main(["install", "-r", "lock.txt"])
    assert started == [[sys.executable, sys.executable, *started[0][2:]]]
    assert started[0][2:] == ["-I", "-m", "pip", "install", "-r", "lock.txt"]
