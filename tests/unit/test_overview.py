import io
import sys
from collections.abc import Sequence

import pytest

from scripts import overview
from scripts.console import Console
from scripts.overview import Lines

SHOW_CURSOR = "\033[?25h"


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, kind: str = "xterm-256color") -> Terminal:
    screen = Terminal(io.BytesIO(), encoding="utf-8", write_through=True)
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setattr(sys, "stdout", screen)
    return screen


def printed(terminal: Terminal) -> str:
    buffer = terminal.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@pytest.mark.parametrize(
    ("pieces", "lines", "drawn"),
    [
        ([b"one\r\ntwo\r\n"], ["one", "two"], ""),
        ([b"  quan", b"tize\nnext"], ["  quantize"], "next"),
        ([b"\r  a: 10%|#   | 1/10", b"\r  a: 20%|##  | 2/10"], [], "a: 20%|##  | 2/10"),
        ([b"\r  a: 10%|#\r          \rsaid\n\r  a: 20%|##"], ["said"], "a: 20%|##"),
        ([b"\r  a: 100%|####\r           \r"], [], "a: 100%|####"),
        ([b"\x1b[1;36mblue\x1b[0m\x1b[K\n"], ["blue"], ""),
        (["50 µs\n".encode()[:4], "50 µs\n".encode()[4:]], ["50 µs"], ""),
        ([b"\xff\n\n"], ["�"], ""),
    ],
)
def test_a_line_is_what_a_terminal_shows_of_it_in_the_end(
    pieces: Sequence[bytes], lines: Sequence[str], drawn: str
) -> None:
    taken, whole = Lines(), list[str]()
    for piece in pieces:
        more, last = taken.take(piece)
        whole += more
    assert (whole, last) == (list(lines), drawn)


def test_a_terminal_shows_what_runs_and_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, console = on_terminal(monkeypatch), Console()
    with console.side_by_side(lambda: "3 of 9 stages are whole"):
        first, second = console.section("export"), console.section("lower-int8")
        assert first.isatty()
        assert second.isatty()
        first.write(b"traced\n\r  weights: 40%|####")
        second.write(b"12 rewrites\n")
        assert (first.status, second.status) == ("weights: 40%|####", "12 rewrites")
        second.finished(1.0)
        first.finished(2.0)
    out = printed(terminal)
    assert "3 of 9 stages are whole" in out
    assert out.index("traced") < out.index("export in 2.0 s") < out.index("lower-int8 in 1.0 s")
    assert "12 rewrites" in out[out.index("export in 2.0 s") :]
    assert out.rindex(SHOW_CURSOR) > out.rindex("lower-int8 in 1.0 s")


def test_an_interrupt_leaves_the_cursor_and_all_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, console = on_terminal(monkeypatch), Console()
    with pytest.raises(KeyboardInterrupt), console.side_by_side(lambda: ""):
        console.section("export")
        console.section("lower").write(b"kept\n")
        raise KeyboardInterrupt
    assert "kept" in printed(terminal)
    assert SHOW_CURSOR in printed(terminal)


def test_nothing_is_drawn_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    with console.side_by_side(lambda: "3 of 9"):
        section = console.section("export")
        assert not section.isatty()
        section.write(b"10%\r20%\n")
        section.finished(1.0)
    out = capsys.readouterr().out
    assert "10%\r20%\n" in out
    assert "3 of 9" not in out
    assert "\033" not in out


def test_a_terminal_that_cannot_be_drawn_on_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, console = on_terminal(monkeypatch, "dumb"), Console()
    assert not overview.fits()
    with console.side_by_side(lambda: "3 of 9"):
        first, second = console.section("export"), console.section("lower")
        assert (first.isatty(), second.isatty()) == (True, False)
    assert "3 of 9" not in printed(terminal)
