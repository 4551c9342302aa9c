"""What is said and told of builds: of one that missed its gate, and of several."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tasks
from scripts import artefacts, catalog, console
from scripts.checkpoint.shapes import of_model
from scripts.console import Console
from scripts.errors import CheckpointError, GateError, PipelineError, StageError
from scripts.pipeline import engine, pages, plan, recorded, request, session, summary
from scripts.pipeline.build import Built, Done
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store
from tests import checkpoints

Captured = pytest.CaptureFixture[str]
THREE = "int8,w8a16,fp16"


class Builder:
    """A builder whose builds end as they are told to; those that are whole wrote a context."""

    def __init__(self, *errors: PipelineError | None, console: Console | None = None) -> None:
        self.console, self.image = console or Console(), None
        self._errors = errors

    def build_together(self, plans: Sequence[session.Plan]) -> list[Built]:
        pairs = zip(plans, self._errors, strict=True)
        return [
            Built([] if error else [context(request, stages)], error)
            for (request, stages), error in pairs
        ]


def context(request: Request, stages: Sequence[plan.Stage]) -> Done:
    stage = next(stage for stage in stages if stage.verb == "context")
    name = str(artefacts.context_binary(request.precision.name))
    manifest = {"outputs": {name: {"size": 2500, "sha256": 64 * "c"}}, "seconds": 1.5}
    return Done(stage, manifest, ran=True)


@pytest.fixture(autouse=True)
def no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "write", lambda *_: None)
    monkeypatch.setattr(recorded, "verdict", lambda *_: "")


@pytest.mark.parametrize("packed", [False, True])
def test_an_archive_of_a_build_before_is_named_as_such(
    packed: bool, tmp_path: Path, capsys: Captured
) -> None:
    build_request = request.make(build_dir=str(tmp_path))
    if packed:
        build_request.archive.parent.mkdir(parents=True)
        build_request.archive.write_bytes(b"of before")
    missing: Any = Builder(GateError("It missed."))
    with pytest.raises(GateError):
        session.run(missing, build_request, plan.stages(build_request))
    text = f"{build_request.archive} is of a build before this one"
    assert (text in capsys.readouterr().out) is packed


def several(tmp_path: Path) -> list[session.Plan]:
    requests = request.each(precision=THREE, build_dir=str(tmp_path))
    return [(build_request, plan.stages(build_request)) for build_request in requests]


def test_each_of_several_precisions_has_its_row(tmp_path: Path, capsys: Captured) -> None:
    building: Any = Builder(None, GateError("w8a16 is not exact enough."), None)
    with pytest.raises(GateError):
        session.run_together(building, several(tmp_path))
    out = capsys.readouterr().out
    rows = [line.split()[:2] for line in out[out.index("precision ") :].splitlines()]
    assert rows[1:4] == [["int8", "whole"], ["w8a16", "misses"], ["fp16", "whole"]]
    assert "w8a16: w8a16 is not exact enough." in out
    assert out.count("2.5 kB") == 2


def test_a_stage_that_failed_is_among_the_stages(tmp_path: Path, capsys: Captured) -> None:
    plans = several(tmp_path)[:2]
    results = [Built([context(*plans[0])]), Built([], GateError("missed"), "verify-w8a16")]
    summary.show_together(Console(), [build_request for build_request, _ in plans], results)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["verify-w8a16", "failed"] in rows


def test_the_summary_of_ci_ends_with_a_row_on_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(pages.SUMMARY, str(tmp_path / "summary.md"))
    plans = several(tmp_path)
    archive = plans[0][0].archive
    steps = [context(*plans[0])]
    packed = {str(archive.relative_to(plans[0][0].root)): {"size": 9, "sha256": 64 * "a"}}
    manifest = {"outputs": packed, "seconds": 1.5}
    steps.append(Done(plans[0][1][-1], manifest, ran=True))
    missed = Built([], GateError("missed"))
    pages.add_together(
        [build_request for build_request, _ in plans[:2]], [Built(steps, None), missed]
    )
    rows = [line.split(" | ") for line in (tmp_path / "summary.md").read_text().splitlines()[2:]]
    assert [row[0] for row in rows] == ["| precision", "| ---", "| int8", "| w8a16"]
    assert rows[2][1:2] == ["whole"] and rows[2][-1] == f"{64 * 'a'} |"
    assert rows[3][1].startswith("misses its gate") and rows[3][-1] == "- |"
    building: Any = Builder(None, None, None)
    session.run_together(building, plans)
    assert (tmp_path / "summary.md").read_text().count("## digits, iq9075") == 2


def test_the_first_failure_gives_the_exit_code_whatever_the_others_end_with(
    tmp_path: Path,
) -> None:
    building: Any = Builder(None, StageError("a fault"), GateError("missed"))
    with pytest.raises(StageError):
        session.run_together(building, several(tmp_path))


def test_a_program_gets_one_list_of_builds(tmp_path: Path, capsys: Captured) -> None:
    with pytest.raises(GateError), console.opened(json=True) as opened:
        building: Any = Builder(None, GateError("missed"), None, console=opened)
        session.run_together(building, several(tmp_path), lambda _: {"signature": "x.sig"})
    document = json.loads(capsys.readouterr().out)
    int8, w8a16, fp16 = document["builds"]
    assert [build["precision"] for build in document["builds"]] == THREE.split(",")
    assert [build["error"] for build in (int8, fp16)] == [None, None]
    assert [build["signature"] for build in (int8, fp16)] == 2 * ["x.sig"]
    assert w8a16["error"]["class"] == document["error"]["class"] == "GateError"
    assert w8a16["error"]["exit_code"] == document["error"]["exit_code"] == GateError.exit_code
    assert "signature" not in w8a16
    assert int8["artefacts"][0]["sha256"] == 64 * "c"


def test_one_precision_is_told_as_it_always_was(tmp_path: Path, capsys: Captured) -> None:
    build_request = request.make(build_dir=str(tmp_path))
    with console.opened(json=True) as opened:
        building: Any = Builder(None, console=opened)
        session.run(building, build_request, plan.stages(build_request))
    document = json.loads(capsys.readouterr().out)
    assert document["precision"] == "int8"
    assert not {"builds", "error"} & set(document)


def test_quiet_prints_the_files_of_each_that_is_whole(tmp_path: Path, capsys: Captured) -> None:
    with console.opened(quiet=True) as opened:
        building: Any = Builder(None, None, None, console=opened)
        session.run_together(building, several(tmp_path))
    assert [line.split("/")[-2] for line in capsys.readouterr().out.splitlines()] == THREE.split(
        ","
    )


def test_weights_are_looked_at_before_an_engine_is_asked_until_they_were_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = of_model(catalog.models()["digits"], {})
    tensors = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    tensors["norm.bias"][3] = np.inf
    checkpoints.write_safetensors(tmp_path / "diverged.safetensors", tensors)
    build_request = request.make(weights=str(tmp_path), build_dir=str(tmp_path / "build"))
    monkeypatch.setattr(engine, "connect", lambda: pytest.fail("an engine is asked"))
    with pytest.raises(CheckpointError, match=r"norm\.bias has NaN or infinite"):
        tasks._builder(Console(), build_request)
    assert not (tmp_path / "build").exists()
    # What reads no weights is no matter of theirs: points of a sweep share pictures.
    with pytest.raises(pytest.fail.Exception, match="an engine is asked"):
        tasks._builder(Console(), build_request, exports=False)
    store = Store(build_request.root)
    store.partial("export")
    store.commit("export", "key", {"inputs": {}})
    session.require_sound(build_request)
