"""What a package may hold: the same on the host and on a board."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.boards import shell
from scripts.errors import ArtefactError
from scripts.package import document, rule

PLAIN = ["a", "lib/libQnnHtp.so", "licences/c++/NOTICE_1-2.txt", "A_b/c.d+e", "_x"]
STRANGE = ["", "/", "/etc", "a//b", "a/", "..", "a/../b", ".x", "a/.x", "-rf", "a/-rf", "+x", "a b"]
STRANGE += [
    "a\tb",
    "a'",
    'a"',
    "a;b",
    "a$b",
    "a\\b",
    "a*",
    "a:b",
    "\u00e9",
    "a\x1b[2J",
    "a\r",
    "a,b",
]


def on_a_board(folder: Path, order: str) -> subprocess.CompletedProcess[bytes]:
    command = ["sh", "-c", shell.rendered("prepare.sh").text, "sh", str(folder), 64 * "d"]
    orders = shell.document([order])
    return subprocess.run(command, input=orders, capture_output=True, check=False)


def accepted(path: str) -> bool:
    try:
        rule.check_path(path)
    except ArtefactError as error:
        assert len(error.what.splitlines()) == 1
        assert error.what.isprintable()
        return False
    return True


@pytest.mark.parametrize("path", [*PLAIN, *STRANGE])
def test_the_host_and_the_board_take_the_same_names(tmp_path: Path, path: str) -> None:
    assert accepted(path) is (path in PLAIN)
    if path and "\t" not in path:
        assert (on_a_board(tmp_path, f"drop\t{path}").returncode == 0) is accepted(path)


def test_a_name_that_is_an_order_deletes_nothing(tmp_path: Path) -> None:
    """A newline and a tab in a name made the board take the rest of it for an order."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    name = f"x\ndrop\t{victim}"
    assert not accepted(name)
    done = on_a_board(tmp_path, f"folder\t{name}")
    assert (done.returncode, victim.read_text()) == (65, "precious")
    assert b"no name of ours" in done.stderr


def test_a_link_on_a_board_stays_within_its_releases(tmp_path: Path) -> None:
    for order in ("link\t../../../etc/passwd\tx", "link\ta/x\t../../y"):
        assert on_a_board(tmp_path, order).returncode == 65
    assert not (tmp_path / f"releases/{64 * 'd'}.partial/x").exists()


def test_number_and_size_are_bounded() -> None:
    contents = rule.Contents(packed=1000)
    for index in range(rule.MAX_FILES):
        contents.add(f"f{index}", 1, 0o644)
    with pytest.raises(ArtefactError, match="more than 1000 files"):
        contents.add("one-more", 1, 0o644)
    with pytest.raises(ArtefactError, match="have more than"):
        rule.Contents(packed=1000).add("bomb", 1 << 30, 0o644)
    with pytest.raises(ArtefactError, match="have more than"):
        two = rule.Contents()
        for name in "abc":
            two.add(name, rule.MAX_FILE, 0o644)


@pytest.mark.parametrize("depth", [9, 100_000])
def test_depth_and_length_are_bounded(depth: int) -> None:
    assert not accepted("/".join("a" * depth))
    assert not accepted("a" * (rule.MAX_PATH + 1))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[" * 500_000, "nested too deeply"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": "\\u001b[2J"}', "cannot be shown"),
        (b'{"a": [["\\ud800"]]}', "cannot be shown"),
        (b'{\n"a": 1,}', "not JSON at line 2, column 8"),
        (b'{"a": "x"}', "a is not a whole number"),
        (b'{"a": true}', "a is not a whole number"),
        (b"{}", "a is not a whole number"),
        (b"[]", "it is not an object"),
        (b"\xff", "it is not text"),
        (b"1" * 5000, "too many digits"),
        (b" " * (rule.MAX_DOCUMENT + 1), "at most 1048576 are read"),
    ],
)
def test_documents_have_one_meaning(data: bytes, words: str) -> None:
    with pytest.raises(ArtefactError, match=words) as caught:
        document.load(data, "manifest.json", {"a": int})
    assert len(caught.value.what.splitlines()) == 1
