"""The page docs/options.md, written from the options by `python -m scripts.pipeline.manual`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from scripts.pipeline.command import BUILD, OUTPUT
from scripts.pipeline.options import Option

# The fields of what --json prints, by what prints them.
STAGES = {
    "model, precision, target": "names of the catalog",
    "pixels": "height and width of the network's input",
    "synthetic": "whether the weights are random numbers",
    "archive": "`path`, `size` in bytes and `sha256` of the package, null without it",
    "artefacts": "the same of every file that the stages wrote, pictures left out",
    "stages": "`name`, `ran` (false where it was whole already), `restored` (from the store), "
    "`seconds`, `peak_memory_bytes`",
    "verify, profile": "the reports of those stages, empty where they were not asked for",
    "builds": "with several precisions, a list: of each all of this, and `error`, null where it is "
    "whole; of one that failed `model`, `precision`, `target`, `error`, of a missed gate `verify`, "
    "`profile` and `report` too",
    "report": "path of the page to look at, of a missed gate too; what was measured is beside it; "
    "null where the stages end before it",
    "signature": "path of the signature, where `--sign` was given",
    "provenance": "path of the signed provenance; empty where the key is an agent's or a token's",
}
ARCHIVE = {
    "name, digest": "of the package; the digest is that of its `SHA256SUMS`",
    "signature": "who signed it, where `--signers` was given; else whether there is a signature",
    "build_id": "the build of QNN that compiled it",
    "facts": "those of its `manifest.json`",
    "files": "`path`, `size` in bytes, `mode`, `sha256` and `role` of each",
}
REBUILT = {
    "equal": "whether every file is, byte for byte",
    "commit": "the commit that built both",
    "files": "what comes of each: equal, differs, not rebuilt, not published",
}
DIFF = {
    "a, b": "titles of the builds",
    "rows": "`part`, `name`, `before` and `after` (numbers, texts or null), `change` (a number or "
    "null), its `unit` (`dB`, `%` or empty) and `only_in` (`A`, `B` or null) of each",
}
SWEEP = {
    "sweep": "the name of the file",
    "file": "its path",
    "counts": "points by state: built, missed its gate, failed, failed on boards, open",
    "rows": "of each point `point`, `options`, `state`, `milliseconds`, `measured_milliseconds` "
    "(on boards: the median of their medians), `cosine`, `bytes`, `figures`, `accuracy`, "
    "`archive`, `report`, `boards`, `error`, `seconds`, `machine`, `log`, `command`; of each board "
    "`board`, `state`, `milliseconds`, `cosine` and `error`",
    "networks": "`network`, `frontier`, and `best` by bound, of each network and board",
    "report": "path of the page to look at",
}
CACHE = {
    "results": "of `cache`: what is kept, with `key`, `stage`, `size` in bytes, `used_at` in "
    "seconds since 1970, `in_use`",
    "used": "of `cache`: the bytes that folders of builds use",
    "removed": "of `cache.gc`: what it removed, as `results`",
    "size": "the bytes of all files, of `cache.gc` those that are left",
}
DOCTOR = {
    "findings": "`part`, `well`, `state`, `remedy` and `warns` of each check; a warning is well: a "
    "build does without"
}
BOARDS = {
    "devices": "`device`, and `outcome`, the columns of `device.status`, or `error`, as below, of "
    "each board"
}
ERROR = {
    "class": "the kind of error ([errors.md](errors.md))",
    "exit_code": "that of the command too",
    "what, cause, remedy": "its message",
    "output": "the last lines printed before it",
}
_HEAD = """\
# Options

Written from the code by `python -m scripts.pipeline.manual > docs/options.md`: edit
`scripts/pipeline/build_options.py` instead.

    invoke build --model vits16 --precision w8a16 --weights DIR --images DIR
    invoke build --help       # every option
    invoke --list             # every task
"""
_TASKS = """\
`build` and every stage take all of them, and like `doctor` several precisions; `doctor` and
`reproduce` take all but `--sign`, so that the options of a build can be tried on them as they are;
`bench` takes `--model`, `--size`, `--weights`, `--target` and `--lane`; `sweep` takes those that
say where a build goes and by what it is made, and has all others from its file; `image.build`,
`image.lock` and `image.reproduce` take `--lane`; `rebuild` takes `--sign`, `--sdk` and
`--build-dir`, and has all else from the archive. `~` is expanded in paths.
"""
_OUTPUT = """\
Lines have no colour where stdout is no terminal or `NO_COLOR` is set. On GitHub and GitLab each
stage's output is a fold. An error is a sentence on stderr and an exit code; what is no slip on the
command line has a traceback above it with `--verbose`, and never without.
"""
_JSON = """\
Stdout holds one document, after a failure too; everything else goes to stderr. Fields may be added,
and are not renamed.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [
        _HEAD,
        "## Of a build\n",
        _TASKS,
        *_items(BUILD),
        "\n## Of the output\n",
        _OUTPUT,
        *_items(OUTPUT),
        "\n## Fields of `--json`\n",
        _JSON,
        *_table("`build` and every stage", STAGES),
        *_table("`sweep`, and `sweep.json`", SWEEP),
        *_table("`inspect`", ARCHIVE),
        *_table("`rebuild`", REBUILT),
        *_table("`diff`", DIFF),
        *_table("`doctor`", DOCTOR),
        *_table("`cache` and `cache.gc`", CACHE),
        *_table("`deploy`, `rollback`, `remote-verify`, `device.status`", BOARDS),
        *_table("`error`, in each of them after a failure", ERROR),
    ]
    return "\n".join(parts)


def _items(entries: Mapping[str, Option]) -> Iterator[str]:
    for entry in entries.values():
        flag = entry.flag if entry.default is not True else f"--[no-]{entry.flag[2:]}"
        flags = f"{flag} {entry.metavar}".strip()
        text = f"* `{flags}`: {entry.summary}. {entry.details}".strip()
        yield textwrap.fill(text, 100, subsequent_indent="  ", break_on_hyphens=False)


def _table(title: str, fields: Mapping[str, str]) -> Iterator[str]:
    yield f"### {title}\n\n| field | what it is |\n|---|---|"
    yield from (f"| {_code(names)} | {text} |" for names, text in fields.items())
    yield ""


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", "))


if __name__ == "__main__":
    print(page(), end="")
