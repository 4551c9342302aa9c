"""A stage's refusal reaches the host as data, with the paths that the user knows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from unittest import mock

import pytest

from scripts import program, refusal
from scripts.console import Console
from scripts.errors import CheckpointError, DiskFullError, GateError, PipelineError, StageError
from scripts.pipeline import container, plan, request
from scripts.pipeline.build import Builder
from scripts.pipeline.container import Outcome, Program
from scripts.pipeline.store import Store

PLACES = {
    "/images": Path("/home/me/out/photographs"),
    "/out": Path("/home/me/build/.partial/x"),
    "/weights": Path("/home/me/weights"),
    "/weights/config.json": Path("/home/me/blobs/ab12"),
}


def passed(text: str, tmp_path: Path) -> PipelineError:
    """An error as a stage writes it and the host reads it."""
    path = tmp_path / refusal.NAME
    refusal.save(CheckpointError(text, cause=text, remedy=text), path)
    error = refusal.take(path, "export", CheckpointError.exit_code, PLACES)
    assert error
    return error


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("/images/a.jpg is none", "/home/me/out/photographs/a.jpg is none"),
        ("There is nothing in /images.", "There is nothing in /home/me/out/photographs."),
        ("'/weights/config.json'", "'/home/me/blobs/ab12'"),
        ("/weights/config.json.bak", "/home/me/weights/config.json.bak"),
        ("/weights", "/home/me/weights"),
        # Parts of other paths, and of longer names.
        ("/data/images/a.jpg", "/data/images/a.jpg"),
        ("/images-2 /images.old /imagesque", "/images-2 /images.old /imagesque"),
    ],
)
def test_paths_of_the_container_are_those_of_the_user(text: str, here: str, tmp_path: Path) -> None:
    error = passed(text, tmp_path)
    assert type(error) is CheckpointError
    assert (error.what, error.cause, error.remedy) == (f"export: {here}", here, here)


@pytest.mark.parametrize("data", ["", "{", "[]", '"x"', '{"what": "x"}', None])
def test_a_stage_that_left_no_refusal_has_none(data: str | None, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / refusal.NAME).write_text(data)
    assert refusal.take(tmp_path / refusal.NAME, "export", 3, PLACES) is None


def refused(arguments: argparse.Namespace) -> None:
    raise CheckpointError("torn", cause="a break", remedy="again")


def test_a_stage_prints_what_nobody_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = argparse.Namespace(out=tmp_path)
    said = "torn\n  usual cause: a break\n  what to do:  again\n"
    # Nor can it hand over what cannot be written.
    for place in (None, "/dev/full/x", tmp_path / refusal.NAME):
        if place:
            monkeypatch.setenv(refusal.VARIABLE, str(place))
        with pytest.raises(SystemExit) as exit:
            program.run(refused, arguments)
        assert exit.value.code == CheckpointError.exit_code
        assert capsys.readouterr().err == ("" if place == tmp_path / refusal.NAME else said)


def build_with(
    outcome: Outcome,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    **options: str,
) -> None:
    """Build with an engine whose container writes `text` as its refusal and ends."""

    def run(client: object, image: str, program: Program, *rest: object) -> Outcome:
        out = next(mount.source for mount in program.mounts if mount.target == "/out")
        assert program.environment[refusal.VARIABLE] == f"/out/{refusal.NAME}"
        if text:
            (out / refusal.NAME).write_text(text)
        return outcome

    monkeypatch.setattr(container, "run", run)
    monkeypatch.setattr(container, "sweep", lambda client: None)
    monkeypatch.setattr(Store, "inputs", lambda store, paths: {str(p): str(p) for p in paths})
    weights = tmp_path / "weights"
    weights.mkdir()
    for file in request.BUILTIN_WEIGHTS.glob("*.*"):
        (weights / file.name).symlink_to(file)
    build_request = request.make(weights=str(weights), build_dir=str(tmp_path / "build"), **options)
    export = next(stage for stage in plan.stages(build_request) if stage.verb == "export")
    image = mock.Mock(content_digest="sha256:0", id="id")
    Builder(client=mock.Mock(), image=image, console=Console()).build(build_request, [export])


def test_a_stages_refusal_is_the_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"what": "/weights/model.safetensors ends early", "cause": "", "remedy": "/build"}
    outcome = Outcome(CheckpointError.exit_code, out_of_memory=False, tail="")
    with pytest.raises(CheckpointError) as error:
        build_with(outcome, json.dumps(parts), tmp_path, monkeypatch)
    assert error.value.what == f"export: {tmp_path}/weights/model.safetensors ends early"
    assert error.value.remedy == f"{tmp_path}/build/digits"


def test_a_missed_gate_names_the_encodings_that_were_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {"what": "cls_mean is 0.5", "cause": "too few bits", "remedy": "more pictures"}
    outcome = Outcome(GateError.exit_code, out_of_memory=False, tail="")
    file = tmp_path / "mine.encodings"
    file.write_text('{"version": "2.0.0", "encodings": []}')
    with pytest.raises(GateError) as error:
        build_with(outcome, json.dumps(parts), tmp_path, monkeypatch, encodings=str(file))
    assert error.value.cause == f"the ranges of {file}, which are not ours; too few bits"


@pytest.mark.parametrize(
    ("code", "cls", "says"),
    [(1, StageError, "exit code 1"), (DiskFullError.exit_code, DiskFullError, "is full")],
)
def test_a_stage_without_a_refusal_says_what_is_known(
    code: int,
    cls: type[PipelineError],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(cls, match=says) as error:
        build_with(Outcome(code, out_of_memory=False, tail=""), "", tmp_path, monkeypatch)
    assert error.value.cause and error.value.remedy
