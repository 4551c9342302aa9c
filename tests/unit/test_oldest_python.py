"""What runs in the image runs on the oldest Python of a lane, 3.10 of jammy.

No interpreter of that version is at hand where the tests run: the sources are read instead.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import source
from scripts.image import lanes

OLDEST = (3, 10)
# What came with 3.11 and 3.12, and `filter` of tarfile: 3.10.4, the release pocket's, has none.
NEWER = {
    "asyncio": {"Runner", "TaskGroup", "timeout"},
    "builtins": {"BaseExceptionGroup", "ExceptionGroup"},
    "contextlib": {"chdir"},
    "datetime": {"UTC"},
    "enum": {"EnumCheck", "ReprEnum", "StrEnum", "member", "nonmember", "verify"},
    "hashlib": {"file_digest"},
    "itertools": {"batched"},
    "math": {"cbrt", "exp2", "sumprod"},
    "operator": {"call"},
    "tomllib": {"loads", "load", "TOMLDecodeError"},
    "typing": {
        *("LiteralString", "Never", "NotRequired", "Required", "Self", "TypeAliasType"),
        *("TypeVarTuple", "Unpack", "assert_never", "assert_type", "override", "reveal_type"),
    },
}
METHODS = {"add_note", "is_junction", "walk"}
MODULES = {"tomllib"}
# These take another module where Python has none.
GUARDED = {"scripts/toml.py", "docker/lay_out_sdk.py"}


def sources() -> list[Path]:
    """Every file that a stage imports, and those that the image is made with."""
    stages = (source.ROOT / "scripts/stages").glob("*.py")
    paths = {path for stage in stages for path in source.closure(f"scripts.stages.{stage.stem}")}
    commands = (source.ROOT / "toolchains/openqnn/lib").rglob("*.py")
    return sorted(paths | set(commands) | {source.ROOT / "docker/lay_out_sdk.py"})


def newer(tree: ast.AST) -> Iterator[str]:
    """Yield what the oldest Python has not, by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            known = NEWER.get(node.module or "", set())
            yield from (f"{node.module}.{a.name}" for a in node.names if a.name in known)
        elif isinstance(node, ast.Name) and node.id in NEWER["builtins"]:
            yield node.id
        elif isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in NEWER.get(owner, set()):
                yield f"{owner}.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _called(node, node.func)


def _called(node: ast.Call, called: ast.Attribute) -> Iterator[str]:
    owner = called.value.id if isinstance(called.value, ast.Name) else ""
    if called.attr in METHODS and owner not in ("ast", "os"):
        yield f".{called.attr}()"
    if called.attr in ("extract", "extractall") and any(k.arg == "filter" for k in node.keywords):
        yield f"{called.attr}(filter=)"


def test_the_oldest_python_of_a_lane_is_the_one_meant_here() -> None:
    versions = [lanes.load(name).python.split(".") for name in lanes.names()]
    assert min((int(major), int(minor)) for major, minor in versions) == OLDEST


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(source.ROOT)))
def test_source_is_read_by_the_oldest_python(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=OLDEST)
    names = set(newer(tree))
    if str(path.relative_to(source.ROOT)) in GUARDED:
        names = {name for name in names if not name.startswith("tomllib")}
    assert not names


@pytest.mark.parametrize(
    "text",
    [
        "import tomllib",
        "from typing import Self",
        "import hashlib\nhashlib.file_digest(f, 'sha256')",
        "from datetime import UTC",
        "raise ExceptionGroup('a', [])",
        "error.add_note('x')",
        "archive.extractall(folder, filter='data')",
    ],
)
def test_what_is_newer_is_seen(text: str) -> None:
    assert list(newer(ast.parse(text)))


def test_newer_syntax_is_seen() -> None:
    with pytest.raises(SyntaxError):
        ast.parse("try: pass\nexcept* ValueError: pass", feature_version=OLDEST)


def test_a_lane_without_a_toml_reader_brings_one() -> None:
    for name in lanes.names():
        lane = lanes.load(name)
        has_reader = tuple(map(int, lane.python.split("."))) >= (3, 11)
        assert has_reader or "tomli" in lane.requirements
