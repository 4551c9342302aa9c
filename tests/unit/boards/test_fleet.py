"""Many boards: each is brought to its own end, whatever another one does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.boards import fleet, upkeep
from scripts.boards.login import Login
from scripts.console import Console, opened
from scripts.errors import DeviceError
from tests.unit.boards.local import Local

TABLE = '[devices.{}]\nhost = "h"\nuser = "u"\npath = "/p"\n'


@pytest.mark.parametrize("error", [DeviceError("it is ill"), ValueError("a fault of ours")])
def test_one_board_that_fails_does_not_stop_the_others(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    async def action(login: Login, say: object) -> tuple[str, ...]:
        if login.device.name == "ill":
            raise error
        return ("is well",)

    monkeypatch.setattr(upkeep, "rollback", action)
    file = tmp_path / "devices.toml"
    file.write_text("".join(TABLE.format(name) for name in ("ill", "a", "b")))
    with pytest.raises(type(error), match=r"it is ill|a fault of ours"):
        fleet.rollback(["ill", "a", "b"], file=file)
    table = capsys.readouterr().out
    assert table.count("is well") == 2
    assert "FAILED: " in table


def test_a_list_of_signers_that_is_none_is_said_before_a_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def action(login: Login, say: object) -> tuple[str, ...]:
        return tuple("-" for _ in upkeep.STATUS_COLUMNS)

    monkeypatch.setattr(upkeep, "status", action)
    (tmp_path / "good").write_text(f"me ssh-ed25519 {'A' * 68}\n")
    file = tmp_path / "devices.toml"
    lists = {"a": "", "b": 'signers = "nope"\n', "c": 'signers = "good"\n'}
    file.write_text("".join(TABLE.format(name) + line for name, line in lists.items()))
    fleet.status(["a", "b", "c"], file=file)
    notes = [line for line in capsys.readouterr().out.splitlines() if "signers" in line]
    assert len(notes) == 1
    assert f"signers of b: There is no file {tmp_path / 'nope'}" in notes[0]


def test_a_program_reads_what_became_of_each_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def action(login: Login, say: object) -> tuple[str, ...]:
        if login.device.name == "ill":
            raise DeviceError("it is ill", cause="a cold", remedy="wait")
        return tuple(f"<{name}>" for name in upkeep.STATUS_COLUMNS)

    monkeypatch.setattr(upkeep, "status", action)
    file = tmp_path / "devices.toml"
    file.write_text("".join(TABLE.format(name) for name in ("ill", "a")))
    console = Console()
    with pytest.raises(DeviceError):
        fleet.status(["ill", "a"], file=file, console=console)
    ill, well = console.document["devices"]
    error = {"class": "DeviceError", "exit_code": 20, "what": "it is ill", "cause": "a cold"}
    assert ill == {"device": "ill", "error": {**error, "remedy": "wait", "output": []}}
    assert (well["device"], well["in_use"]) == ("a", "<in use>")


def test_a_program_gets_one_document_whatever_several_boards_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def action(login: Login, say: Callable[[str], None]) -> tuple[str, ...]:
        say(f"this is {login.device.name}")
        if login.device.name == "ill":
            raise DeviceError("it is ill:\nvery", remedy="wait")
        return ("is well",)

    monkeypatch.setattr(upkeep, "rollback", action)
    file = tmp_path / "devices.toml"
    file.write_text("".join(TABLE.format(name) for name in ("ill", "a", "b")))
    with pytest.raises(DeviceError), opened(json=True) as console:
        fleet.rollback(["ill", "a", "b"], file=file, console=console)
    output, said = capfd.readouterr()
    document = json.loads(output)
    assert [entry.get("outcome") for entry in document["devices"]] == [None, "is well", "is well"]
    assert document["devices"][0]["error"]["remedy"] == "wait"
    assert document["error"]["what"].startswith("1 of 3 devices failed.")
    assert said.count("this is ") == 3
    assert "FAILED: it is ill: very" in said


@pytest.mark.parametrize("verbose", [False, True])
def test_what_boards_run_and_where_errors_come_from_is_said_with_verbose_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verbose: bool,
) -> None:
    async def action(login: Login, say: Callable[[str], None]) -> tuple[str, ...]:
        board = Local(tmp_path)
        await board.run("read.sh", str(tmp_path / login.device.name), "9")
        return ("is well",)

    monkeypatch.setattr(upkeep, "rollback", action)
    file = tmp_path / "devices.toml"
    file.write_text("".join(TABLE.format(name) for name in ("a", "b", "c")))
    (tmp_path / "a").write_text("it is")
    with pytest.raises(DeviceError, match="2 of 3 devices failed"):
        fleet.rollback(["a", "b", "c"], file=file, console=Console(verbose=verbose))
    output, errors = capsys.readouterr()
    lines = [line for line in output.splitlines() if line.endswith(" 9")]
    assert [f"{name}: read.sh {tmp_path}/{name} 9" in output for name in "abc"] == 3 * [verbose]
    assert len(lines) == 3 * verbose
    assert errors.count("Traceback") == 2 * verbose
