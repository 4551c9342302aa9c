"""The report of a build for a SoC whose time Qualcomm's compiler does not simulate."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.report import comparison, files, markdown
from tests import reports

REASON = "no estimate for SM8650: Qualcomm's compiler does not simulate its time"


def without_estimate(root: Path, precision: str) -> str:
    reports.build(root, precision)
    profile = root / files.paths(reports.names(precision))["profile"]
    said = {"context_bytes": 745472, "milliseconds": None, "no_estimate": REASON}
    profile.write_text(json.dumps(said))
    return reports.html(root, precision)


def record(folder: Path, text: str) -> dict[str, object]:
    folder.mkdir(exist_ok=True)
    (folder / "report.html").write_text(text)
    return comparison.load(folder / "report.html")


def test_the_page_says_so(tmp_path: Path) -> None:
    for precision in ("int8", "mixed"):
        text = without_estimate(tmp_path / precision, precision)
        assert f"There is {REASON.replace(chr(39), '&#39;')}." in text
        assert "an inference" not in text
        assert "These times are another target's" in text
        assert ("The times are another target&#39;s" in text) == (precision == "mixed")


def test_the_summary_and_the_comparison_say_so(tmp_path: Path) -> None:
    before = record(tmp_path / "a", reports.html(reports.build(tmp_path / "timed")))
    after = record(tmp_path / "b", without_estimate(tmp_path / "untimed", "int8"))
    assert "| simulated time | no estimate for this SoC |" in markdown.build(after)
    rows = {row.name: row for row in comparison.compare(before, after).rows}
    assert (rows["simulated"].before, rows["simulated"].after) == ("0.122", "no estimate")
    assert rows["simulated"].change == ""
    assert rows["ddr"].after == "-"
