from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from scripts.errors import UsageError
from scripts.pipeline import options
from scripts.pipeline.options import option


@dataclass(frozen=True)
class Order:
    kind: str = option("tea", "what to drink", options.one_of(("tea", "coffee")))
    sugar: float = option("", "lumps", options.number("a number above 0", lambda n: n >= 0))
    table: Path = option("here", "where", options.path, variable="TABLE")
    milk: bool = option(True, "with milk")
    guest: int = 0


def test_an_entry_is_all_that_an_option_needs() -> None:
    names = list(options.of(Order))
    assert names == ["kind", "sugar", "table", "milk"]
    order = options.checked(Order, {"sugar": "2", "milk": False})
    assert (order.kind, order.sugar, order.milk) == ("tea", 2.0, False)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"kind": "beer"}, "--kind beer: must be one of: tea, coffee."),
        ({"sugar": "-1"}, "--sugar -1: must be a number above 0."),
        ({"sugar": "much"}, "--sugar much: must be a number above 0."),
        ({"sugar": "nan"}, "--sugar nan: must be a number above 0."),
        ({"sugar": "inf"}, "--sugar inf: must be a number above 0."),
        ({"table": "~nobody-of-this-name/x"}, "--table ~nobody-of-this-name/x: there is no such"),
        ({"table": "x" * 256}, f"--table {'x' * 200}...: no path is that long."),
        ({"table": "\udcff"}, "--table \\udcff: its name is not UTF-8"),
    ],
)
def test_a_text_without_a_value_is_refused_by_the_options_name(
    texts: dict[str, str], says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        options.checked(Order, texts)
    assert str(caught.value).startswith(says)


def test_a_misspelt_option_is_a_fault_of_the_caller() -> None:
    with pytest.raises(TypeError, match="shugar"):
        options.checked(Order, {"shugar": "1"})


def test_home_is_expanded_and_the_path_made_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert options.path("~/x") == Path("/home/someone/x")
    assert options.path("x") == Path.cwd() / "x"


def test_the_environment_counts_where_the_command_line_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = options.of(Order)["table"]
    monkeypatch.delenv("TABLE", raising=False)
    assert table.standing == "here"
    monkeypatch.setenv("TABLE", "there")
    assert table.standing == "there"


def test_a_file_that_cannot_be_written_is_refused_with_its_option(tmp_path: Path) -> None:
    assert options.new_file("html", str(tmp_path / "x.html")) == tmp_path / "x.html"
    (tmp_path / "file").touch()
    for place, says in (
        (tmp_path, "it is a folder"),
        (tmp_path / "no" / "x.html", f"there is no folder {tmp_path}/no"),
        (tmp_path / "file" / "x.html", "there is no folder"),
    ):
        with pytest.raises(UsageError) as refusal:
            options.new_file("html", str(place))
        assert refusal.value.what.startswith(f"--html {place}: {says}")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("https://a.test/x", "`curl -fLO https://a.test/x`"),
        ("https://a.test/x?a=1&b", "`curl -fLO 'https://a.test/x?a=1&b'`"),
        ("S3://bucket/x", "to a folder here, and give the path of the copy"),
        ("git+ssh://a/b", "to a folder here, and give the path of the copy"),
        ("file:/x", "give /x"),
        ("file:///opt/my sdk", "give '/opt/my sdk'"),
    ],
)
def test_an_address_is_no_path(text: str, remedy: str) -> None:
    with pytest.raises(options.NoPathError, match="is an address, and this takes a path") as error:
        options.path(text)
    assert remedy in error.value.remedy
    for refused in (partial(options.checked_text, "html", text, options.path), _new(text)):
        with pytest.raises(UsageError, match="--html") as refusal:
            refused()
        assert refusal.value.remedy == error.value.remedy


def _new(text: str) -> Callable[[], Path]:
    return partial(options.new_file, "html", text)


def test_what_is_no_path_is_refused_with_what_to_give_in_its_place() -> None:
    for text, reason, remedy in (
        ("~nobody-at-all/x", "there is no such user", "give the whole path"),
        ("a" * 256, "no path is that long", "255 bytes"),
        ("\udcff", "not UTF-8", "rename it"),
    ):
        with pytest.raises(options.NoPathError, match=reason) as error:
            options.path(text)
        assert remedy in error.value.remedy


@pytest.mark.parametrize("text", ["a:b/c", "C:/x", "./https:/x", "/tmp/https://x"])
def test_a_path_may_have_a_colon(text: str) -> None:
    assert options.path(text).is_absolute()
