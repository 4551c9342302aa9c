"""Every exit code in one table: `python -m scripts.exit_codes` writes `docs/errors.md`.

The codes of the pipeline are those of `scripts/errors.py`, with the docstrings of their classes.
Those of openqnn's native programs are read from the C++ that defines them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.errors import INTERRUPTED, PipelineError
from scripts.source import ROOT

PAGE = ROOT / "docs" / "errors.md"
NATIVE = ROOT / "toolchains" / "openqnn" / "src" / "common" / "failure.hpp"
_NATIVE_LINE = re.compile(r"^\s*(\w+) = (\d+),\s*///< (.+)$", re.MULTILINE)
_TEXT = """\
# Exit codes

Made by `python -m scripts.exit_codes` from `scripts/errors.py` and
`toolchains/openqnn/src/common/failure.hpp`; a test holds this page to them.

A refusal says on stderr what failed, what usually causes it, and what to do about it. Every number
means one cause, except 1, 2 and those of signals:

* **1** is no cause of its own: `doctor` found something missing, or the bootstrap gave up.
  openqnn's Python programs (`qnn-onnx-converter`, `qnn-model-lib-generator`) exit with 1 on every
  refusal, as Qualcomm's do.
* **2** is also what openqnn's Python programs say of a command line that they cannot read, and what
  `make` says of any failure: the code of the build is in make's last line.
* **128 + n** is a program that signal n ended. {interrupted} is Ctrl-C, and what
  `invoke` makes of SIGTERM and a lost terminal; 137 is a kill, most often by the kernel for want
  of memory; 141 is a reader, `head` for example, that closed the pipe.

"from" says who ends with the code: `invoke` and the stages, or openqnn's native programs
(`qnn-context-binary-generator`, `qnn-net-run`, `qnn-context-binary-utility`, and `dinov3-run` on a
board). A stage that runs one of the latter turns its refusal into a cause of its own.

| code | name | from | cause |
|---|---|---|---|
{rows}
"""


@dataclass(frozen=True)
class Row:
    """One exit code: its number, its name in the code, who ends with it, and what it means."""

    code: int
    name: str
    source: str
    cause: str


def table() -> list[Row]:
    """Return every exit code that means one cause, in order."""
    return sorted([*_ours(PipelineError), *_natives()], key=lambda row: row.code)


def page() -> str:
    """Return the text of `docs/errors.md`."""
    rows = "\n".join(f"| {r.code} | `{r.name}` | {r.source} | {r.cause} |" for r in table())
    return _TEXT.format(rows=rows, interrupted=INTERRUPTED)


def _ours(base: type[PipelineError]) -> Iterator[Row]:
    for cls in base.__subclasses__():
        yield Row(cls.exit_code, cls.__name__, "invoke, stages", _first_sentence(cls))
        yield from _ours(cls)


def _first_sentence(cls: type[PipelineError]) -> str:
    return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def _natives() -> Iterator[Row]:
    for name, code, cause in _NATIVE_LINE.findall(NATIVE.read_text()):
        yield Row(int(code), name, "openqnn", f"{cause[0].upper()}{cause[1:]}.")


def write(path: Path = PAGE) -> None:
    """Write the page."""
    path.write_text(page())


if __name__ == "__main__":
    write()
