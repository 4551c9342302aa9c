"""Where a password comes from, and that it shows nowhere."""

from pathlib import Path

import pytest

from scripts.boards.devices import Device
from scripts.boards.login import Login, logins
from scripts.errors import UsageError


def device(**more: str) -> Device:
    return Device("bench", "host", "user", "/path", **more)  # type: ignore[arg-type]


def test_the_password_shows_in_no_representation() -> None:
    assert "secret" not in repr(Login(device(), "secret"))


def test_a_password_leaves_keys_and_agent_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH", "secret")
    (login,) = logins([device(password_env="BENCH")])
    assert login.options() == {"password": "secret", "client_keys": None, "agent_path": None}


def test_a_key_file_is_the_only_key_tried(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    (login,) = logins([device(key=str(key))])
    assert login.options() == {"client_keys": [str(key)], "agent_path": None}
    assert Login(device()).options() == {}


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH", raising=False)
    with pytest.raises(
        UsageError, match=r"devices.toml: \[devices\.bench\]: password_env is BENCH"
    ):
        logins([device(password_env="BENCH")])
    with pytest.raises(
        UsageError, match=r"devices.toml: \[devices\.bench\]: key is .*no such file"
    ):
        logins([device(key=str(tmp_path / "gone"))])
