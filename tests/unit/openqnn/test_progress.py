import io
import sys

import pytest

from openqnn import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def rows(text: str) -> list[str]:
    """What a terminal shows: a carriage return starts the row again."""
    screen = []
    for line in text.split("\n"):
        row = ""
        for part in line.split("\r"):
            row = part + row[len(part) :]
        screen.append(row.rstrip())
    return screen


def test_a_line_stands_above_the_bar_and_not_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    for number in progress.track(range(3), "pictures"):
        progress.say(f"skipped {number}")
    assert rows(terminal.getvalue()) == ["skipped 0", "skipped 1", "skipped 2", ""]
    assert "pictures:" in terminal.getvalue()


def test_a_log_gets_whole_lines_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", -1.0)
    assert list(progress.track(range(2), "pictures")) == [0, 1]
    assert capsys.readouterr().out == "  pictures: 1/2, 0 s\n  pictures: 2/2, 0 s\n"


def test_work_of_unknown_length_ends_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.heartbeat("packing"):
        pass
    assert capsys.readouterr().out == "  packing: 0.0 s\n"
