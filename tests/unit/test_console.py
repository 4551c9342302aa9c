import io
import json
import re
import sys
import time
from pathlib import Path

import pytest

from scripts import console
from scripts.console import Console, size
from scripts.errors import INTERRUPTED, INTERRUPTION, GateError, UsageError

Captured = pytest.CaptureFixture[str]
NAMES_OF_CI = ("GITHUB_ACTIONS", "GITLAB_CI")


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES_OF_CI, "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (848_097_280, "848.1 MB"), (2e9, "2.00 GB")],
)
def test_size(count: int, text: str) -> None:
    assert size(int(count)) == text


def test_lines_are_plain_where_there_is_no_terminal(capsys: Captured) -> None:
    Console().finished("export", 1.25)
    out = capsys.readouterr().out
    assert "done  export in 1.2 s\n" in out
    assert "\033" not in out


def test_table_aligns_columns(capsys: Captured) -> None:
    Console().table("t", [("a", "1"), ("bbb", "2")])
    assert capsys.readouterr().out == "\nt\n  a    1\n  bbb  2\n"


def test_a_header_stands_over_its_columns(capsys: Captured) -> None:
    Console().table("t", [("a", "1")], ("name", "count"))
    assert capsys.readouterr().out == "\nt\n  name  count\n  a     1\n"


def test_a_long_row_stays_whole_and_brackets_are_text(capsys: Captured) -> None:
    Console().table("[t]", [("[bold]x[/]", "y" * 500)])
    assert capsys.readouterr().out == f"\n[t]\n  [bold]x[/]  {'y' * 500}\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", terminal)
    Console().finished("export", 1.0)
    Console().table("t", [("a",)], ("b",))
    return terminal.getvalue()


def test_a_terminal_has_colours_unless_it_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\033[1;32mdone\033[0m" in on_terminal(monkeypatch)
    assert "\033" not in on_terminal(monkeypatch, NO_COLOR="1")


def test_details_are_for_those_who_ask(capsys: Captured) -> None:
    Console().detail("python -m export")
    Console(verbose=True).detail("python -m lower")
    assert capsys.readouterr().out.splitlines()[0].endswith("more  python -m lower")


def folds_of(text: str) -> list[str]:
    """The marks of folds, in order: + opens, - closes."""
    marks = re.findall(r"::group::|::endgroup::|section_start:|section_end:", text)
    return ["+" if mark in ("::group::", "section_start:") else "-" for mark in marks]


@pytest.mark.parametrize("service", NAMES_OF_CI)
def test_folds_are_balanced(
    service: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv(service, "true")
    with pytest.raises(GateError), console.opened() as opened:
        opened.started("unit tests")  # never said to be finished
        opened.started("export")
        opened.finished("export", 1.0)
        opened.skipped("lower")
        opened.started("verify")
        raise GateError("missed")
    out = capsys.readouterr().out
    assert folds_of(out) == ["+", "-"] * 3
    assert all(line for line in out.splitlines())


def test_a_section_of_gitlab_has_one_key_and_two_times(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setattr(time, "time", iter((7.0, 9.0)).__next__)
    opened = Console()
    opened.started("unit tests")
    opened.finished("unit tests", 2.0)
    out = capsys.readouterr().out
    assert out.startswith("\033[0Ksection_start:7:unit_tests\r\033[0Kunit tests\n")
    assert "\n\033[0Ksection_end:9:unit_tests\r\033[0K\n" in out


def test_no_folds_where_nothing_reads_them(capsys: Captured) -> None:
    Console().started("export")
    assert folds_of(capsys.readouterr().out) == []


def work(opened: Console) -> None:
    """What a build prints: our own lines, a table, and the raw bytes of a container."""
    opened.started("export")
    sys.stdout.buffer.write("half a line, ½".encode())
    sys.stdout.buffer.write(b" and the rest\n")
    sys.stdout.flush()
    opened.table("artefacts", [("x", "y")])
    opened.result("abc  x.tar.gz", archive={"path": "x.tar.gz"})


def test_quiet_prints_the_result_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with console.opened(quiet=True) as opened:
        work(opened)
    assert capfd.readouterr() == ("abc  x.tar.gz\n", "")


def test_quiet_shows_the_last_lines_of_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GateError), console.opened(quiet=True) as opened:
        work(opened)
        for number in range(100):
            print("line", number)
        print("no end", end="")
        raise GateError("missed")
    captured = capfd.readouterr()
    lines = captured.err.splitlines()
    assert (lines[-3:], len(lines)) == (["line 98", "line 99", "no end"], 16)


def test_json_is_all_there_is_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    with console.opened(json=True) as opened:
        work(opened)
    out, err = capfd.readouterr()
    assert json.loads(out) == {"archive": {"path": "x.tar.gz"}}
    assert "half a line, ½ and the rest\n" in err and "artefacts" in err


def test_quiet_json_is_the_document_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with console.opened(json=True, quiet=True) as opened:
        work(opened)
    out, err = capfd.readouterr()
    assert (json.loads(out), err) == ({"archive": {"path": "x.tar.gz"}}, "")


def test_an_error_is_a_part_of_the_document(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GateError), console.opened(json=True) as opened:
        work(opened)
        raise GateError("It missed.", cause="outliers", remedy="invoke diagnose")
    document = json.loads(capfd.readouterr().out)
    assert document["archive"] == {"path": "x.tar.gz"}
    assert document["error"].pop("output")[-1] == "  x  y"
    assert document["error"] == {
        "class": "GateError",
        "exit_code": 16,
        "what": "It missed.",
        "cause": "outliers",
        "remedy": "invoke diagnose",
    }


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), INTERRUPTED), (ZeroDivisionError("by 0"), 1)]
)
def test_what_is_no_error_of_ours_is_in_the_document_too(
    error: BaseException, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(error)), console.opened(json=True):
        raise error
    assert json.loads(capfd.readouterr().out)["error"]["exit_code"] == code


def test_an_interrupted_build_says_so_and_names_files_of_this_machine(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(KeyboardInterrupt), console.opened(json=True) as opened:
        opened.places = {"/build": Path("/home/me/digits")}
        print("reading /build/models/x.onnx and /builds")
        raise KeyboardInterrupt
    error = json.loads(capfd.readouterr().out)["error"]
    assert error["what"] == INTERRUPTION
    assert error["output"] == ["reading /home/me/digits/models/x.onnx and /builds"]


def test_a_slip_on_the_command_line_comes_from_there(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError), console.opened(verbose=True):
        raise UsageError("--quiet and --verbose contradict each other.")
    assert capfd.readouterr().err == ""


def test_verbose_says_where_an_error_comes_from(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GateError), console.opened(verbose=True):
        raise GateError("missed")
    assert Path(__file__).name in capfd.readouterr().err
