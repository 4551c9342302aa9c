"""What a sweep came to: rows, frontiers, the best within bounds; as JSON and as a page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from scripts.console import Console
from scripts.errors import ClusterError, GateError, SweepError, UsageError
from scripts.sweep import grid, page, sweep
from scripts.sweep.grid import Sweep
from scripts.sweep.jobs import Job
from scripts.sweep.machine import Outcome
from tests.unit.sweep.files import built, failed, load, table

TEXT = """
[grid]
precision = ["int8", "w8a16", "fp16", "mixed"]
max_ms = 1
[within]
max_ms = 0.05
min_cosine = [0.999, 0.99999]
"""
MISSED = failed(GateError.exit_code, "cls_mean is <low>", **built(0.2, 0.5).document)


@pytest.fixture
def four(tmp_path: Path) -> Sweep:
    return load(tmp_path, TEXT)


def test_the_frontier_is_what_nothing_beats(four: Sweep) -> None:
    outcomes = built(0.1, 0.99), built(0.2, 0.9999), built(0.3, 0.999), MISSED
    (network,) = table(four, *outcomes).networks
    assert [row.point.options["precision"] for row in network.frontier] == ["int8", "w8a16"]
    assert len(network.timed) == 3
    best = {best.bound: best.row and best.row.point.options["precision"] for best in network.best()}
    assert best == {
        "at most 0.05 ms: the most exact": None,
        "at most 1 ms: the most exact": "w8a16",
        "cosine of at least 0.999: the fastest": "w8a16",
        "cosine of at least 0.99999: the fastest": None,
    }


def test_of_two_as_fast_the_more_exact_counts(four: Sweep) -> None:
    outcomes = built(0.1, 0.99), built(0.1, 0.999), built(0.1, 0.999), None
    (network,) = table(four, *outcomes).networks
    assert [row.point.options["precision"] for row in network.frontier] == ["w8a16"]


def test_networks_are_not_compared_with_each_other(tmp_path: Path) -> None:
    text = (
        '[grid]\nmodel = ["vits16", "vitb16"]\nweights = "random"\nprecision = ["int8", "fp16"]\n'
    )
    outcomes = built(1, 0.99), built(2, 0.999), built(5, 0.98), built(9, 0.99)
    networks = table(load(tmp_path, text), *outcomes).networks
    assert {network.title: len(network.frontier) for network in networks} == {
        "vitb16": 2,
        "vits16": 2,
    }


def test_without_an_estimate_there_is_no_frontier(four: Sweep, tmp_path: Path) -> None:
    shown = table(four, built(None, 0.99), None, None, None)
    assert shown.networks[0].frontier == []
    assert "there is no frontier" in page.html(shown, tmp_path)


def test_a_row_says_all_of_its_point(four: Sweep) -> None:
    rows = table(four, built(0.1, 0.99), MISSED, failed(7, "no engine"), None).record()["rows"]
    assert [row["state"] for row in rows] == ["built", "missed its gate", "failed", "open"]
    assert (rows[1]["milliseconds"], rows[1]["cosine"], rows[1]["bytes"]) == (0.2, 0.5, 745472)
    assert rows[2]["error"]["what"] == "no engine"
    assert rows[3]["command"].startswith("invoke build --precision=mixed --max-ms=1.0 ")


def test_the_page_stands_alone_and_escapes_what_it_shows(four: Sweep, tmp_path: Path) -> None:
    shown = table(four, built(0.1, 0.99), MISSED, failed(7, "<script>alert(1)</script>"), None)
    text = page.html(shown, tmp_path)
    assert text == page.html(shown, tmp_path)
    assert "<low>" not in text and "<script>alert" not in text
    assert not re.search(r"(src|href)=\"(?!data:,|#)", text)
    (record,) = re.findall(r'<script type="application/json" id="record">(.*?)</script>', text)
    assert json.loads(record) == json.loads(json.dumps(shown.record()))
    for words in ("1 built, 1 missed its gate, 1 failed, 1 open", "on here, log:", ">none<"):
        assert words in text


def test_a_point_leads_to_its_own_page(four: Sweep, tmp_path: Path) -> None:
    own = tmp_path / "a point" / "build.html"
    own.parent.mkdir()
    own.touch()
    first = Outcome("here", 1, {**built(0.1, 0.99).document, "report": str(own)})
    elsewhere = Outcome("there", 1, {**built(0.1, 0.99).document, "report": "/there/build.html"})
    text = page.html(table(four, first, elsewhere, None, None), tmp_path)
    assert re.findall(r'href="(?!data)(.*?)"', text) == ["a point/build.html"]


def test_rows_are_kept_as_points_end_and_failures_end_nothing(
    four: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = four.points[0].folder.parent
    outcomes = iter([built(0.1, 0.99), MISSED, failed(7, "no engine"), built(0.3, 1.0)])
    states: list[list[str]] = []

    def runner(work: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        for job in work:
            yield job, next(outcomes) if job.point else built(None, 1)
            rows = json.loads((folder / "sweep.json").read_text())["rows"]
            states.append([row["state"] for row in rows])

    with pytest.raises(SweepError, match=r"2 points of 4 not built, the first: w8a16, missed"):
        sweep.run(Console(), four, runner)
    assert states[0] == ["open"] * 4
    assert states[-2:] == [
        ["built", "missed its gate", "failed", "open"],
        ["built", "missed its gate", "failed", "built"],
    ]
    assert "2 built, 1 missed its gate, 1 failed" in (folder / "sweep.html").read_text()
    out = capsys.readouterr().out
    assert "w8a16: missed its gate: cls_mean is <low>" in out
    (row,) = re.findall(r"^ *fp16 .*$", out, re.MULTILINE)
    assert row.split() == ["fp16", "failed", "no", "engine"]


def test_a_sweep_that_does_not_begin_leaves_what_there_was(four: Sweep) -> None:
    folder = four.points[0].folder.parent
    folder.mkdir(parents=True)
    for name in ("sweep.json", "sweep.html"):
        (folder / name).write_text("earlier")

    def runner(work: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        raise ClusterError("nobody there")

    with pytest.raises(ClusterError):
        sweep.run(Console(), four, runner)
    assert {path.read_text() for path in folder.iterdir()} == {"earlier"}


def test_files_of_one_name_do_not_share_a_folder(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "mine.toml", tmp_path / "b" / "mine.toml"
    for file in (first, second):
        file.parent.mkdir()
        file.write_text('[grid]\nprecision = ["int8", "fp16"]\n')

    def swept(file: Path) -> str:
        mine = grid.load(file, {"build_dir": str(tmp_path / "build")})
        with suppress(SweepError):
            sweep.run(Console(), mine, lambda work: ((job, failed(7, "no")) for job in work))
        table = mine.points[0].folder.parent / "sweep.json"
        return str(json.loads(table.read_text())["file"])

    assert swept(first) == str(first)
    with pytest.raises(UsageError, match=f"has the table of {first}, another file") as refused:
        swept(second)
    assert "rename mine.toml, or give another --build-dir" in refused.value.remedy
    first.write_text('[grid]\nprecision = "fp16"\n')
    assert swept(first) == str(first)  # an edited file is the same one
    (tmp_path / "link").symlink_to("a")
    assert swept(tmp_path / "link" / "mine.toml").endswith("link/mine.toml")
    second.unlink()
    first.rename(second)
    assert swept(second) == str(second)  # and so is one that was moved


def test_a_file_that_a_table_names_is_shown_as_far_as_it_can_be(tmp_path: Path) -> None:
    other, file = tmp_path / "a\x1b[31m" / "mine.toml", tmp_path / "mine.toml"
    other.parent.mkdir()
    for written in (other, file):
        written.write_text('[grid]\nprecision = "int8"\n')
    mine = grid.load(file, {"build_dir": str(tmp_path / "build")})
    table = mine.points[0].folder.parent / "sweep.json"
    table.parent.mkdir(parents=True)
    for name in (str(other), f"{other.parent}/{f'../{other.parent.name}/' * 60}mine.toml"):
        table.write_text(json.dumps({"file": name}))
        with pytest.raises(UsageError, match="has the table of") as refused:
            sweep.run(Console(), mine, lambda work: iter(()))
        assert refused.value.what.isprintable() and r"a\x1b[31m/" in refused.value.what
        assert len(refused.value.what) < 350 + len(f"{table.parent}{file}")


@pytest.mark.parametrize("text", ['{"file": "' + 5000 * "x" + '"}', "[" * 100_000, '{"file": 1}'])
def test_a_table_that_names_no_file_is_of_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text)
    assert sweep._owner(tmp_path / "sweep.json") is None


def test_what_has_ended_is_shown_after_an_interrupt_too(four: Sweep) -> None:
    folder = four.points[0].folder.parent

    def runner(work: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        yield next(job for job in work if job.point), built(0.1, 0.99)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.run(Console(), four, runner)
    assert "1 built, 3 open" in (folder / "sweep.html").read_text()
    assert json.loads((folder / "sweep.json").read_text())["counts"]["built"] == 1


def test_a_chart_of_one_build_names_its_time_once(four: Sweep, tmp_path: Path) -> None:
    text = page.html(table(four, built(0.126, 0.99999987654321), None, None, None), tmp_path)
    labels = re.findall(r"<text[^>]*>(.*?)</text>", text)
    assert labels.count("0.126 ms") == 1
    assert "0.999999" in labels and "0.9999999" not in labels
    # The tables say what the chart shows: nearly 1 is not 1.
    assert re.findall(r'data-name="cosine">(.*?)<', text)[1:2] == ["0.999999"]


def test_times_that_are_nearly_the_same_are_told_apart(four: Sweep, tmp_path: Path) -> None:
    shown = table(four, built(0.12601, 0.99), built(0.12604, 0.999), None, None)
    text = page.html(shown, tmp_path)
    assert "0.12601 ms" in text and "0.12604 ms" in text


def test_a_message_is_prose_and_what_stages_took_is_all_of_it(four: Sweep, tmp_path: Path) -> None:
    missed = failed(GateError.exit_code, "See `invoke diagnose`: <b>.")
    text = page.html(table(four, built(0.1, 0.99, seconds=1), missed, missed, None), tmp_path)
    assert "See <code>invoke diagnose</code>: &lt;b&gt;." in text
    assert "1 built, 2 missed their gates, 1 open" in text
    assert 'data-name="stages took">123 s<' in text
