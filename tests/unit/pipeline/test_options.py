from dataclasses import dataclass
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
        ({"table": "\udcff"}, "--table \udcff: its name is not UTF-8"),
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


@pytest.mark.parametrize("text", ["https://a.test/x", "S3://bucket/x", "git+ssh://a/b", "file:/x"])
def test_an_address_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="no address: fetch it first"):
        options.path(text)


@pytest.mark.parametrize("text", ["a:b/c", "C:/x", "./https:/x", "/tmp/https://x"])
def test_a_path_may_have_a_colon(text: str) -> None:
    assert options.path(text).is_absolute()
