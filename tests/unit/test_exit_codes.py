import re
from collections import Counter
from pathlib import Path

import pytest

from scripts import exit_codes
from scripts.errors import UsageError
from scripts.source import ROOT


def test_the_page_is_what_the_code_says() -> None:
    assert exit_codes.PAGE.read_text() == exit_codes.page(), "run `python -m scripts.exit_codes`"


def test_no_number_means_two_causes() -> None:
    counts = Counter(row.code for row in exit_codes.table())
    assert [code for code, count in counts.items() if count > 1] == []


def test_the_table_has_our_causes_and_the_native_programs() -> None:
    rows = {row.name: row for row in exit_codes.table()}
    assert rows["UsageError"].code == UsageError.exit_code
    assert rows["usage"].source == "openqnn"
    enumerators = re.findall(r"^  \w+ = \d+,", exit_codes.NATIVE.read_text(), re.MULTILINE)
    assert len([row for row in rows.values() if row.source == "openqnn"]) == len(enumerators) > 10


def test_every_cause_is_said() -> None:
    assert all(len(row.cause.split()) > 2 for row in exit_codes.table())


def test_a_changed_cause_is_missed_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UsageError, "__doc__", "Something else.\n\nAnd more.")
    assert "| 2 | `UsageError` | invoke, stages | Something else. |" in exit_codes.page()
    assert exit_codes.PAGE.read_text() != exit_codes.page()


def test_openqnns_readme_lists_the_same_codes() -> None:
    text = (ROOT / "toolchains" / "openqnn" / "README.md").read_text()
    listed = [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    natives = [row.code for row in exit_codes.table() if row.source == "openqnn"]
    assert listed == natives


def test_writing_it_gives_the_page(tmp_path: Path) -> None:
    exit_codes.write(tmp_path / "errors.md")
    assert (tmp_path / "errors.md").read_text() == exit_codes.page()
