"""Two builds side by side, from pages, folders and archives; what is none is refused by name."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.errors import ArtefactError, UsageError
from scripts.package import archive
from scripts.package.item import Item
from scripts.package.manifest import PAGE
from scripts.pipeline import options
from scripts.report import comparison, figures, markdown, page
from tests import packages, reports
from tests.unit.test_tasks import invoke


@pytest.fixture
def builds(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of two builds, the second with more noise, a slower context and another width."""
    folders = tmp_path / "a", tmp_path / "b"
    for folder, precision, noise in zip(folders, ("int8", "w8a16"), (0.01, 0.1), strict=True):
        reports.build(folder, precision, noise)
        path = folder / f"reports/{precision}/report.html"
        path.write_text(reports.html(folder, precision))
    return folders


def row(compared: comparison.Comparison, name: str) -> comparison.Row:
    (only,) = [row for row in compared.rows if row.name == name]
    return only


def test_figures_time_and_ranges_stand_side_by_side(builds: tuple[Path, Path]) -> None:
    compared = comparison.compare(*map(comparison.load, builds))
    assert (compared.before, compared.after) == ("A: digits int8", "B: digits w8a16")
    cosine = row(compared, "cls_mean")
    assert float(cosine.after) - float(cosine.before) == pytest.approx(float(cosine.change))
    assert float(cosine.change) < 0
    simulated = row(compared, "simulated")
    assert (simulated.before, simulated.after) == ("0.122", "0.212")
    assert row(compared, "layer.0.Add").after == "8 bits, -1.1 to 2"
    assert row(compared, "precision").part == "origin"


def test_a_build_differs_from_itself_in_nothing(builds: tuple[Path, Path]) -> None:
    record = comparison.load(builds[0])
    compared = comparison.compare(record, record)
    assert [*compared.parts()] == [
        "verdict",
        "accuracy",
        "milliseconds",
        "microseconds by layer",
        "microseconds by kind of operator",
        "bytes",
        "widths",
    ]
    assert not any(row.change for row in compared.rows)


def changed(record: dict[str, Any], part: str, **values: Any) -> dict[str, Any]:
    """A record in which some values of a part are others; those of None are not there."""
    merged = {**record[part], **values}
    return {**record, part: {name: value for name, value in merged.items() if value is not None}}


def test_decibels_change_by_decibels_and_cosines_by_cosines(builds: tuple[Path, Path]) -> None:
    record = comparison.load(builds[0])
    decibels, cosine = (record["figures"][name] for name in ("snr_db", "cls_mean"))
    other = changed(record, "figures", snr_db=decibels - 2, cls_mean=cosine - 0.5)
    compared = comparison.compare(record, other)
    assert row(compared, "snr_db").change == "-2.00 dB"
    assert row(compared, "cls_mean").change == "-0.500000"


def test_time_is_compared_layer_by_layer_and_by_kind(builds: tuple[Path, Path]) -> None:
    record = comparison.load(builds[0])
    record = changed(record, "layers", **{"layer 10": 55.0, "layer 2": 55.0})
    other = changed(record, "layers", **{"layer 1": 110.0})
    other = changed(other, "kinds", **{"Softmax": 5.0, "Kind<0>": None})
    compared = comparison.compare(record, other)
    assert row(compared, "layer 1").change == "+100.0 %"
    assert row(compared, "layer 0").change == ""
    layers = [row.name for row in compared.parts()["microseconds by layer"]]
    assert layers == ["layer 0", "layer 1", "layer 2", "layer 10"]
    softmax, gone = row(compared, "Softmax"), row(compared, "Kind<0>")
    assert (softmax.before, softmax.after, softmax.change) == ("-", "5", "only in B")
    assert (gone.after, gone.change) == ("-", "only in A")
    for text in (page.side_by_side(compared), markdown.comparison(compared)):
        assert "icroseconds by layer" in text and "only in B" in text


def test_what_one_build_alone_has_stands_on_its_side(builds: tuple[Path, Path]) -> None:
    record = comparison.load(builds[0])
    names = {f"new.{index}": [8, 0.0, 1.0] for index in range(7)}
    other = changed(record, "tensors", **names, **{"layer.0.Add": None})
    other = changed(other, "measures", accuracy="0.99")
    compared = comparison.compare(record, other)
    new, more, less = (row(compared, name) for name in ("new.4", "more activations", "layer.0.Add"))
    assert (new.before, new.after, new.change) == ("-", "8 bits, 0 to 1", "only in B")
    assert (more.before, more.after, more.change) == ("-", "2", "only in B")
    assert (less.after, less.change) == ("-", "only in A")
    assert row(compared, "accuracy").change == "only in B"


def test_builds_of_one_title_are_told_apart_by_what_differs(builds: tuple[Path, Path]) -> None:
    record = comparison.load(builds[0])
    output = {"input": "uint8, 32 x 32 pixels, RGB, NHWC", "output": "cls [1, 96], patches [1, 16]"}
    other = changed(record, "facts", **output)
    compared = comparison.compare(record, other)
    assert compared.before == "A: digits int8, float32"
    assert compared.after == "B: digits int8, uint8"
    cls = changed(record, "facts", output="cls [1, 96]")
    compared = comparison.compare(changed(record, "facts", output=output["output"]), cls)
    assert compared.before == "A: digits int8, patches [1, 16]"
    assert compared.after == "B: digits int8"
    moved = changed(record, "origin", source="commit 5")
    assert comparison.compare(record, moved).after == "B: digits int8, commit 5"


def test_a_build_that_misses_its_gate_is_told_by_that(builds: tuple[Path, Path]) -> None:
    record = comparison.load(builds[0])
    passed = {**record, "missed": []}
    missed = {**record, "missed": ["cls_mean", "cls_p1"], "pictures": "9 held-out pictures"}
    compared = comparison.compare(missed, passed)
    assert compared.before == "A: digits int8, misses its gate: cls_mean"
    assert compared.after == "B: digits int8, passes its gate"
    gate, judged = row(compared, "gate"), row(compared, "judged on")
    assert (gate.before, gate.after) == ("misses its gate: cls_mean, cls_p1", "passes its gate")
    assert judged.before == "9 held-out pictures" != judged.after


def test_sets_of_pictures_are_compared(builds: tuple[Path, Path]) -> None:
    path = builds[0] / "calibration/heldout/manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "images": manifest["images"][::-1]}))
    other = builds[0] / "other.html"
    other.write_text(reports.html(builds[0]))
    compared = comparison.compare(*map(comparison.load, (builds[0], other)))
    assert [row.name for row in compared.rows if row.part == "origin"] == ["held-out pictures"]


def test_a_magnitude_is_not_taken_for_a_range(builds: tuple[Path, Path], tmp_path: Path) -> None:
    page_of_float = tmp_path / "fp16.html"
    page_of_float.write_text(reports.html(reports.build(tmp_path / "c", "fp16"), "fp16"))
    quantised, floats = comparison.load(builds[0]), comparison.load(page_of_float)
    quantised = changed(quantised, "tensors", softmax=[8, 0.0, 0.9961], norm=[8, -1.0, 3.0])
    floats = changed(floats, "tensors", softmax=[16, -0.9933, 0.9933], norm=[16, -5.0, 5.0])
    compared = comparison.compare(quantised, floats)
    assert row(compared, "softmax").after == "float16, magnitude 0.9933"
    assert row(compared, "softmax").record()["after"] == {"type": "float16", "magnitude": 0.9933}
    names = [row.name for row in compared.rows if row.part == "ranges"]
    assert names.index("norm") < names.index("softmax")


def test_programs_are_given_numbers(builds: tuple[Path, Path]) -> None:
    record = comparison.load(builds[0])
    other = changed(record, "figures", snr_db=record["figures"]["snr_db"] - 2, cls_p1=None)
    other = changed(other, "bytes", context=2 * record["bytes"]["context"])
    rows = {row["name"]: row for row in comparison.compare(record, other).record()["rows"]}
    decibels, size, alone = (rows[name] for name in ("snr_db", "context", "cls_p1"))
    assert decibels["after"] - decibels["before"] == pytest.approx(-2)
    assert (decibels["change"], decibels["unit"]) == (pytest.approx(-2), "dB")
    assert (size["before"], size["change"], size["unit"]) == (745472, 100.0, "%")
    assert (alone["after"], alone["change"], alone["only_in"]) == (None, None, "A")
    assert rows["accuracy of float32"]["before"] == 0.99


def test_a_rewrite_that_never_fired_is_no_difference(builds: tuple[Path, Path]) -> None:
    record = comparison.load(builds[0])
    compared = comparison.compare(record, changed(record, "rewrites", never=0))
    assert not [row for row in compared.rows if row.part == "rewrites"]


def test_an_archive_is_compared_by_the_page_in_it(
    builds: tuple[Path, Path], tmp_path: Path
) -> None:
    path = builds[0] / "reports/int8/report.html"
    build = replace(packages.build(tmp_path / "package"), page=path)
    packed = packages.pack(build, tmp_path / "x.tar.gz")
    assert comparison.load(packed) == comparison.load(path)


def read(member: archive.Member) -> bytes:
    data = bytearray()
    archive.copy(member.stream, data.extend)
    return bytes(data)


def test_an_archive_whose_page_is_not_its_manifests_is_refused(
    builds: tuple[Path, Path], tmp_path: Path
) -> None:
    pages = [next(folder.glob("reports/*/report.html")) for folder in builds]
    build = replace(packages.build(tmp_path / "package"), page=pages[0])
    whole = packages.pack(build, tmp_path / "whole.tar.gz")
    with archive.opened(whole) as members:
        items = [Item(file.path, read(file), "", file.mode) for file in members]
    strange = [replace(item, source=pages[1]) if item.path == PAGE else item for item in items]
    archive.write(tmp_path / "x.tar.gz", build.name, strange)
    with pytest.raises(ArtefactError, match=f"{PAGE} is not as the manifest says"):
        comparison.load(tmp_path / "x.tar.gz")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<html></html>", "holds no report"),
        (page.embedded({"schema": figures.SCHEMA}), "not a record of ours"),
        (page.embedded({"schema": 9}), "schema"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "report.html"
    wrapped = f'<script type="application/json" id="record">{text}</script>'
    path.write_text(wrapped if text.startswith("{") else text)
    with pytest.raises(ArtefactError, match=says):
        comparison.load(path)


@pytest.mark.parametrize(
    ("part", "name", "value", "says"),
    [
        ("bytes", "context", "x", "context is not a number"),
        ("bytes", "context", {"a": 1}, "context is not a number"),
        ("bytes", "context", 10**400, "context is too large a number"),
        ("figures", "snr_db", "x", "snr_db is not a number"),
        ("figures", "snr_db", None, "snr_db is not a number"),
        ("time", "simulated", True, "simulated is not a number"),
        ("measures", "accuracy", [], "accuracy is not a text"),
        ("rewrites", "rms-norms", "x", "rms-norms is not a whole number"),
        ("tensors", "layer.0.Add", [8, 0.5], "layer.0.Add has 2 members, not 3"),
        ("tensors", "layer.0.Add", [8, "x", 1], "layer.0.Add is not a number"),
    ],
)
def test_a_damaged_record_is_refused_by_the_name_of_what_is_damaged(
    builds: tuple[Path, Path], part: str, name: str, value: object, says: str
) -> None:
    record = comparison.load(builds[0])
    path = builds[0] / "reports/int8/report.html"
    damaged = {**record, part: {**record[part], name: value}}
    path.write_text(path.read_text().replace(page.embedded(record), page.embedded(damaged)))
    with pytest.raises(ArtefactError, match=f"record.json is not a record of ours: {says}"):
        comparison.load(path)


@pytest.mark.parametrize("place", ["report.html", "reports/report.html"])
def test_a_folder_that_holds_a_page_is_its_build(
    builds: tuple[Path, Path], tmp_path: Path, place: str
) -> None:
    """That of one precision or of a refused build, and that of an unpacked package."""
    whole = builds[0] / "reports/int8/report.html"
    (copy := tmp_path / "folder" / place).parent.mkdir(parents=True)
    copy.write_bytes(whole.read_bytes())
    assert comparison.load(tmp_path / "folder") == comparison.load(whole)


def test_json_and_markdown_are_not_printed_at_once(builds: tuple[Path, Path]) -> None:
    done = invoke("diff", *builds, "--json", "--markdown")
    assert done.returncode == UsageError.exit_code
    assert "--json and --markdown contradict each other" in done.stdout


def test_a_folder_of_two_reports_asks_for_one_of_them(builds: tuple[Path, Path]) -> None:
    second = builds[0] / "reports/fp16/report.html"
    second.parent.mkdir()
    second.write_text("")
    with pytest.raises(ArtefactError, match="2 reports") as caught:
        comparison.load(builds[0])
    assert str(second) in str(caught.value)
    with pytest.raises(ArtefactError, match="models holds no report"):
        comparison.load(builds[0] / "models")


def test_a_folder_whose_last_build_missed_its_gate_asks_which_report_is_meant(
    builds: tuple[Path, Path],
) -> None:
    (folder := builds[0] / "failed/verify-int8").mkdir(parents=True)
    measured = folder / "report.html"
    before = builds[0] / "reports/int8/report.html"
    measured.write_bytes(before.read_bytes())
    with pytest.raises(ArtefactError, match="missed its gate") as caught:
        comparison.load(builds[0])
    assert f"{measured}, {before}" in str(caught.value)
    assert comparison.load(measured) == comparison.load(before)


def test_names_of_a_strangers_report_are_no_markup(builds: tuple[Path, Path]) -> None:
    record = comparison.load(builds[0])
    strange = {**record, "measures": {"<b>|x": "1"}}
    compared = comparison.compare(record, strange)
    assert "<b>" not in page.side_by_side(compared)
    assert "\\<b\\>\\|x" in markdown.comparison(compared)


def test_the_command_shows_tables_json_markdown_and_a_page(
    builds: tuple[Path, Path], tmp_path: Path
) -> None:
    done = invoke("diff", *builds, "--html", tmp_path / "x.html")
    assert done.returncode == 0, done.stderr
    assert "cls_mean" in done.stdout
    assert "<h2>Accuracy</h2>" in (tmp_path / "x.html").read_text()
    document = json.loads(invoke("diff", *builds, "--json").stdout)
    assert document["a"] == "A: digits int8"
    assert "| cls\\_mean | 0." in invoke("diff", *builds, "--markdown").stdout


def test_a_page_of_a_build_is_not_replaced_by_one_of_two(
    builds: tuple[Path, Path], tmp_path: Path
) -> None:
    path = builds[0] / "reports/int8/report.html"
    before = path.read_bytes()
    done = invoke("diff", *builds, "--html", path)
    assert done.returncode == UsageError.exit_code
    assert "another file is there, which would be lost" in done.stderr
    assert path.read_bytes() == before
    own = tmp_path / "x.html"
    own.write_text(page.side_by_side(comparison.compare(*map(comparison.load, builds))))
    assert options.new_file("html", str(own), replaces=comparison.MARK) == own


def test_the_summary_of_a_build_says_its_verdict_first(tmp_path: Path) -> None:
    from scripts.report import reading

    report = reading.read(reports.build(tmp_path, noise=1.0), reports.names(), reports.HOST)
    lines = markdown.build(figures.of(report)).splitlines()
    assert lines[0] == "## digits int8"
    assert lines[2] == "❌ misses its gate: cls_mean, cls_p1, patch_mean"
    assert any(line.startswith("| simulated time | ") for line in lines)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "report.html")
    for path, says in ((tmp_path / "report.html", "is not a file"), (tmp_path / "x", "not there")):
        with pytest.raises(ArtefactError, match=says):
            comparison.load(path)
