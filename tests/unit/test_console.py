import pytest

from scripts.console import Console, size


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (848_097_280, "848.1 MB"), (2e9, "2.00 GB")],
)
def test_size(count: int, text: str) -> None:
    assert size(int(count)) == text


def test_lines_are_plain_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Console().finished("export", 1.25)
    out = capsys.readouterr().out
    assert "done  export in 1.2 s" in out
    assert "\033" not in out


def test_table_aligns_columns(capsys: pytest.CaptureFixture[str]) -> None:
    Console().table("t", [("a", "1"), ("bbb", "2")])
    assert capsys.readouterr().out == "\nt\n  a    1\n  bbb  2\n"
