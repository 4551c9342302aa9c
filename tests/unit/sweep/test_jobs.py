"""What several points begin with runs once."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.sweep import jobs
from tests.unit.sweep.files import load


def shape(folder: Path, text: str) -> list[tuple[str, str, str]]:
    """Verb, verb that it waits for, and whether a point ends with it."""
    work = jobs.of(load(folder, text).points)
    verbs = {job.key: job.words[0] for job in work}
    assert list(verbs) == list(dict.fromkeys(job.key for job in work))
    for place, job in enumerate(work):
        assert not job.after or job.after in [other.key for other in work[:place]]
    return [(job.words[0], verbs.get(job.after, ""), "point" if job.point else "") for job in work]


def test_one_export_serves_every_precision(tmp_path: Path) -> None:
    assert shape(tmp_path, '[grid]\nprecision = ["int8", "w8a16", "fp16"]\n') == [
        ("export", "", ""),
        *[("build", "export", "point")] * 3,
    ]


def test_points_part_where_their_plans_do(tmp_path: Path) -> None:
    """Two methods share all up to `lower`, two precisions all up to `export`."""
    text = '[grid]\nprecision = ["int8", "fp16"]\nmethod = ["min-max", "mse"]\n'
    assert shape(tmp_path, text) == [
        ("export", "", ""),
        ("lower", "export", ""),
        ("build", "lower", "point"),
        ("build", "lower", "point"),
        ("build", "export", "point"),
    ]


def test_points_that_share_nothing_wait_for_nothing(tmp_path: Path) -> None:
    text = '[[grid]]\nmodel = "digits"\n[[grid]]\nmodel = "vits16"\nweights = "random"\n'
    assert shape(tmp_path, text) == [("build", "", "point")] * 2


def test_weights_of_other_seeds_share_pictures_alone(tmp_path: Path) -> None:
    text = '[grid]\nmodel = "vits16"\nweights = ["random:1", "random:2"]\n'
    assert [verb for verb, *_ in shape(tmp_path, text)] == ["calibrate", "build", "build"]


def test_a_shared_job_runs_in_the_folder_of_its_first_point(tmp_path: Path) -> None:
    sweep = load(tmp_path, '[grid]\nprecision = ["fp16", "int8"]\n')
    export, *builds = jobs.of(sweep.points)
    assert export.folder == sweep.points[0].folder == builds[0].folder != builds[1].folder
    assert f"--build-dir={export.folder}" in export.words


def test_keys_are_symbolic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for the same work, others for other code or another folder."""
    text = '[grid]\nprecision = ["int8", "fp16"]\n'
    first = jobs.of(load(tmp_path, text).points)
    assert first == jobs.of(load(tmp_path, text).points)
    assert first[0].key.startswith("export-")
    (tmp_path / "other").mkdir()
    other = jobs.of(load(tmp_path / "other", text).points)
    monkeypatch.setattr(jobs, "code", lambda: "edited")
    edited = jobs.of(load(tmp_path, text).points)
    keys = [job.key for work in (first, other, edited) for job in work]
    assert len(set(keys)) == 9


def test_a_job_says_what_memory_its_network_needs(tmp_path: Path) -> None:
    text = '[grid]\nmodel = ["digits", "vith16plus"]\nweights = "random"\n'
    small, large = (job.memory for job in jobs.of(load(tmp_path, text).points) if job.point)
    assert small < large / 3
