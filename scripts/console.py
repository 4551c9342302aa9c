"""What a user sees: lines of stages and tables on stdout, or one JSON document for a program.

Tasks and stages print plain text to stdout. `opened` decides where that goes: to the user, to
stderr where stdout carries JSON, or, in quiet mode, to a few last lines that only a failure shows.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import rich.console
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from scripts import errors, overview
from scripts.refusal import as_here
from scripts.turns import Turns, show

# What opens and closes a fold in the log of a CI service, by the variable that tells of it.
_FOLDS = {
    "GITHUB_ACTIONS": ("::group::{title}", "::endgroup::"),
    "GITLAB_CI": (
        "\033[0Ksection_start:{now}:{key}\r\033[0K{title}",
        "\033[0Ksection_end:{now}:{key}\r\033[0K",
    ),
}
_LAST_LINES = 15
# Nothing is cut or wrapped: a terminal wraps by itself, a log has no width.
_WIDTH = 10_000
_INDENT = "  "


@dataclass
class Console:
    """Full lines anywhere, colour on a terminal that wants it (NO_COLOR), folds on CI.

    `document` and `line` are the result: all of it for a program, and the line that says it.
    """

    verbose: bool = False
    started_at: float = field(default_factory=time.monotonic)
    document: dict[str, Any] = field(default_factory=dict)
    line: str = ""

    def __post_init__(self) -> None:
        self._rich = rich.console.Console(
            width=_WIDTH,
            highlight=False,
            color_system=None if os.environ.get("NO_COLOR") else "auto",
        )
        # What the paths of the container that is running, or ran last, are on this machine.
        self.places: Mapping[str, Path] = {}
        # What the program printed last that the error is about; else, whatever was printed last.
        self.last: list[str] = []
        self._fold = ""
        self.turns = Turns()
        self._sections: list[Section] = []
        self._has_overview = False

    @contextmanager
    def side_by_side(self, total: Callable[[], str]) -> Iterator[None]:
        """Show on a terminal which sections are open, and `total`, until the block ends."""
        self._has_overview = overview.fits()
        rows = overview.shown(lambda: list(self._sections), total)
        try:
            with (
                rows if self._has_overview else nullcontext(show) as above,
                self.turns.through(above),
            ):
                yield
        finally:
            self._has_overview = False
            self._sections.clear()

    def section(self, step: str) -> Section:
        """Say that a step begins, beside others: its lines stay together, and are a fold on CI."""
        section = Section(self, step, draws=self._has_overview)
        self._sections.append(section)
        return section

    def closed(self, section: Section) -> None:
        """Take a section out of those that are open."""
        self._sections.remove(section)

    def started(self, stage: str) -> None:
        """Say that a stage begins; what is printed until it ends is folded on CI."""
        self._end_fold()
        if marks := _fold_marks():
            self._fold = stage
            self._mark(marks[0])
        self._line("bold cyan", "run ", stage)

    def finished(self, stage: str, seconds: float) -> None:
        """Say that a stage's outputs are in place."""
        self._end_fold()
        self._line("bold green", "done", f"{stage} in {seconds:.1f} s")

    def skipped(self, stage: str) -> None:
        """Say that a stage's outputs were whole already."""
        self._line("dim", "same", f"{stage}: nothing changed, skipped")

    def restored(self, stage: str, place: str) -> None:
        """Say that an earlier run had the same key, and its outputs are back from a place."""
        self._line("dim", "have", f"{stage}: built before, taken from {place}")

    def note(self, text: str) -> None:
        """Say something a user should know."""
        self._line("bold yellow", "note", text)

    def detail(self, text: str) -> None:
        """Say something that a user hears with --verbose only."""
        if self.verbose:
            self._line("dim", "more", text)

    def table(
        self, title: str, rows: Sequence[Sequence[str | Text]], header: Sequence[str] = ()
    ) -> None:
        """Print rows in aligned columns under a title, each row in one line."""
        grid = Table(*header, box=None, show_header=bool(header), header_style="dim")
        grid.padding, grid.pad_edge = (0, 2, 0, 0), False
        for row in rows:
            grid.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
        self._print(Text(f"\n{title}", style="bold"))
        self._print(grid, _INDENT)

    def result(self, line: str = "", **fields: Any) -> None:
        """Add fields to the JSON document; `line` is all that --quiet prints."""
        self.document |= fields
        self.line = line

    def failed(self, error: BaseException, output: list[str]) -> None:
        """Add an error to the JSON document, and with --verbose say where it comes from."""
        self._end_fold()
        self.turns.close_all()
        lines = self.last or output
        self.document["error"] = record(error, [as_here(line, self.places) for line in lines])
        self.traced(error)

    def traced(self, error: BaseException) -> None:
        """Say with --verbose where an error comes from; a usage error's is the command line."""
        if self.verbose and not isinstance(error, errors.UsageError):
            traceback.print_exception(error)

    def _end_fold(self) -> None:
        if self._fold and (marks := _fold_marks()):
            self._mark(marks[1])
        self._fold = ""

    def _mark(self, template: str) -> None:
        self.turns.say(marked(template, self._fold))

    def _line(self, style: str, mark: str, text: str) -> None:
        self.turns.say(self.line_of(style, mark, text))

    def _print(self, renderable: RenderableType, indent: str = "") -> None:
        self.turns.say(self.rendered(renderable, indent))

    def line_of(self, style: str, mark: str, text: str) -> str:
        """Return a line: how long after the start, a coloured mark, and what it is about."""
        elapsed = time.monotonic() - self.started_at
        return self.rendered(Text.assemble(f"[{elapsed:7.1f} s] ", (mark, style), f"  {text}"))

    def rendered(self, renderable: RenderableType, indent: str = "") -> str:
        """Return what is shown of text or a table, each line indented."""
        with self._rich.capture() as capture:
            self._rich.print(renderable)
        return "".join(f"{indent}{line.rstrip()}\n" for line in capture.get().splitlines())


class Section:
    """What is said of a step that runs beside others, with all that its program prints."""

    def __init__(self, console: Console, step: str, *, draws: bool = False) -> None:
        """Take where it is shown; `draws` says that its bars are a line of an overview."""
        self._console, self.step, self.began = console, step, time.monotonic()
        self.status, self._lines = "", overview.Lines() if draws else None
        self._block = console.turns.open()
        self._marks = _fold_marks() or ()
        self._mark(0)
        self._line("bold cyan", "run ", step)

    def write(self, output: bytes) -> None:
        """Show what the program prints."""
        if not self._lines:
            self._console.turns.write(self._block, output)
            return
        lines, drawn = self._lines.take(output)
        for line in lines:
            self._console.turns.write(self._block, f"{line}\n")
        self.status = drawn or (lines[-1].strip() if lines else self.status)

    def isatty(self) -> bool:
        """Tell whether the program may draw: what it draws is a line of the overview.

        On a terminal without one, it may where it is shown as it comes.
        """
        is_shown = self._lines is not None or self._console.turns.is_shown(self._block)
        return sys.stdout.isatty() and is_shown

    def detail(self, text: str) -> None:
        """Say something that a user hears with --verbose only."""
        if self._console.verbose:
            self._line("dim", "more", text)

    def finished(self, seconds: float) -> None:
        """Say that the step's outputs are in place."""
        self._end("bold green", "done", f"{self.step} in {seconds:.1f} s")

    def failed(self, reason: str) -> None:
        """Say in a few words how the step ended, where not well."""
        self._end("bold red", "FAIL", f"{self.step}: {reason}")

    def _end(self, style: str, mark: str, text: str) -> None:
        self._mark(1)
        self._line(style, mark, text)
        self._console.turns.close(self._block)
        self._console.closed(self)

    def _mark(self, place: int) -> None:
        for template in self._marks[place : place + 1]:
            self._console.turns.write(self._block, marked(template, self.step))

    def _line(self, style: str, mark: str, text: str) -> None:
        self._console.turns.write(self._block, self._console.line_of(style, mark, text))


def marked(template: str, title: str) -> str:
    """Return what opens or closes a fold of a title."""
    text = template.format(title=title, key=title.replace(" ", "_"), now=int(time.time()))
    return f"{text}\n"


@contextmanager
def opened(*, quiet: bool = False, verbose: bool = False, json: bool = False) -> Iterator[Console]:
    """Yield a console while stdout is the user's, or kept for the result alone.

    With `quiet`, what is printed is withheld, and its last lines go to stderr after a failure.
    With `json`, stdout gets one document at the end, after a failure too.
    """
    stdout = sys.stdout
    lines = _LastLines(None if quiet else sys.stderr)
    with redirect_stdout(lines.text() if quiet or json else stdout):
        console = Console(verbose=verbose)
        try:
            yield console
        except BrokenPipeError:
            raise
        except BaseException as error:
            console.failed(error, lines.last())
            if quiet:
                sys.stderr.writelines(f"{line}\n" for line in console.last or lines.last())
            raise
        finally:
            _print_result(stdout, console, quiet, json)


def _print_result(stdout: TextIO, console: Console, quiet: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps(console.document, indent=1), file=stdout, flush=True)
    elif quiet and console.line:
        print(console.line, file=stdout, flush=True)


class _LastLines(io.RawIOBase):
    """Bytes that go to a text stream, or nowhere; the last lines of them are kept."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lines: deque[bytes] = deque(maxlen=_LAST_LINES)
        self._rest = b""

    def text(self) -> TextIO:
        """Return a stream that encodes text into this one."""
        return io.TextIOWrapper(self, errors="replace", write_through=True)  # type: ignore[type-var]

    def last(self) -> list[str]:
        """Return the last lines, one that has no end too."""
        lines = [*self._lines, *([self._rest] if self._rest else [])]
        return [line.decode(errors="replace") for line in lines]

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def write(self, data: Any) -> int:
        """Take bytes, whole lines or not."""
        *lines, self._rest = (self._rest + bytes(data)).split(b"\n")
        self._lines.extend(lines)
        if self._stream:
            self._stream.buffer.write(data)
            self._stream.flush()
        return len(data)


def _fold_marks() -> tuple[str, str] | None:
    return next((marks for name, marks in _FOLDS.items() if os.environ.get(name)), None)


def record(error: BaseException, output: list[str]) -> dict[str, Any]:
    """Return an error as JSON has it: by its class, with what was printed before it."""
    named = errors.named(error)
    code = errors.INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return {
        "class": type(named or error).__name__,
        "exit_code": named.exit_code if named else code,
        "what": named.what if named else _in_words(error),
        "cause": named.cause if named else "",
        "remedy": named.remedy if named else "",
        "output": output,
    }


def _in_words(error: BaseException) -> str:
    return errors.INTERRUPTION if isinstance(error, KeyboardInterrupt) else str(error)


def size(count: int) -> str:
    """Return a byte count as people read it, e.g. `848.1 MB` (powers of ten)."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"
