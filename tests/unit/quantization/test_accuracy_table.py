"""The table of docs/accuracy.md, and that it is what the command writes from its data."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import catalog
from tests.networks import accuracy
from tests.networks.accuracy import DATA, END, GROWTH, PAGE, START


def row(network: str, precision: str, **others: Any) -> dict[str, Any]:
    figures = {"cls_mean": 0.995, "cls_p1": 0.98, "patch_mean": 0.999}
    return {"network": network, "precision": precision, "figures": figures, **others}


def test_the_page_has_the_table_of_its_data() -> None:
    page = PAGE.read_text()
    assert accuracy.with_table(page, json.loads(DATA.read_text())) == page


def test_the_page_has_what_grew_in_training() -> None:
    page = PAGE.read_text()
    assert accuracy.with_growth(page, json.loads(GROWTH.read_text())) == page


def test_what_grew_stands_beside_what_it_was() -> None:
    spreads = [{"gains": {"max / median": ratio, "kurtosis": 3.0}} for ratio in (1.0, 40.0)]
    lines = accuracy.growth({"before": spreads[0], "after": spreads[1]}).splitlines()
    assert lines[0].startswith("| magnitudes | max / median, before | max / median, after |")
    assert lines[2] == "| gains | 1.0 | 40.0 | 3.0 | 3.0 |"


def test_all_precisions_of_the_catalog_are_asked_for() -> None:
    assert set(accuracy.PRECISIONS) == set(catalog.precisions())


def test_a_row_says_what_it_misses() -> None:
    gate = {"cls_mean": 0.99, "cls_p1": 0.985}
    assert accuracy.gate(row("G", "w4a16", gate=gate)) == "cls_p1 0.9800 < 0.985"
    assert accuracy.gate(row("G", "int8", gate={"cls_mean": 0.99})) == "passes"
    assert accuracy.gate(row("G", "AIMET w8a8")) == "-"


def test_rows_have_the_order_of_the_table_and_new_ones_replace_old_ones() -> None:
    old = [row("M", "int8"), row("G", "AIMET w8a8"), row("G", "int8", milliseconds=2.0)]
    rows = accuracy.merged(old, [row("G", "int8", milliseconds=1.0)])
    names = [(entry["network"], entry["precision"]) for entry in rows]
    assert names == [("G", "int8"), ("G", "AIMET w8a8"), ("M", "int8")]
    assert rows[0]["milliseconds"] == 1.0


def test_the_table_names_what_was_not_measured() -> None:
    text = accuracy.table([row("G", name) for name in accuracy.COLUMNS if name != "fp16"])
    assert "G in fp16;" in text
    assert "; M;" in text


def test_the_table_takes_the_place_of_the_old_one() -> None:
    page = f"before {START}\nold\n{END} after"
    made = accuracy.with_table(page, [row("G", "int8")])
    assert made.startswith("before ")
    assert made.endswith(" after")
    assert "old" not in made


def test_cells_that_are_there_are_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = row("G", "AIMET w8a8")
    for how in accuracy.HOWS:
        folder = tmp_path / f"G-AIMET {how}"
        folder.mkdir()
        (folder / accuracy.FIGURES).write_text(json.dumps(kept))
    monkeypatch.setattr(accuracy, "_by_aimet", pytest.fail)
    accuracy.with_aimet(tmp_path, ["G"], accuracy.HOWS)


def test_a_cell_that_was_not_finished_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "G-AIMET w8a8").mkdir()
    monkeypatch.setattr(accuracy, "_by_aimet", lambda *_: row("G", "AIMET w8a8"))
    accuracy.with_aimet(tmp_path, ["G"], ["w8a8"])
    (file,) = tmp_path.rglob(accuracy.FIGURES)
    assert json.loads(file.read_text())["network"] == "G"
