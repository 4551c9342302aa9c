"""How lessons are read, and when output is what a lesson shows."""

import itertools
from pathlib import Path

import pytest

from scripts.source import ROOT
from tests import lessons
from tests.lessons import Step


def test_commands_and_their_output_are_read_in_order(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(
        "# A lesson\n\n```console\n$ one\n$ two \\\n  more\na\n\nb\n```\n\n"
        "```sh\nnot run\n```\n\n```console\n$ three\n...\n```\n"
    )
    steps = [Step("one", ""), Step("two \\\n  more", "a\n\nb"), Step("three", "...")]
    assert lessons.steps(readme) == steps


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a", "a\n"),
        ("", ""),
        ("...", ""),
        ("...\nb\n...", "b\n"),
        ("...\nb\n...", "a\n\nb\nc\n"),
        ("0.99... ms", "0.9912 ms  \n"),
        ("[... s] done", "[  3.1 s] done\n"),
    ],
)
def test_dots_stand_for_lines_and_parts_of_lines(shown: str, printed: str) -> None:
    assert lessons.matches(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a", "b\n"),
        ("a", "a\nb\n"),
        ("...\nb", "b\nc\n"),
        ("0.99...", "0.98\n"),
        ("a...b", "a\nb\n"),
    ],
)
def test_anything_else_is_not_what_is_shown(shown: str, printed: str) -> None:
    assert not lessons.matches(shown, printed)


def test_every_lesson_is_in_the_index_and_leads_to_the_next() -> None:
    folder = ROOT / "examples"
    names = [path.parent.name for path in sorted(folder.glob("0*/README.md"))]
    index = (folder / "README.md").read_text()
    assert names and all(f"]({name}/README.md)" in index for name in names)
    for name, following in itertools.pairwise(names):
        assert f"(../{following}/README.md)" in (folder / name / "README.md").read_text()
