"""The graph of real plans, and schedules of invented ones: nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.pipeline import graph, plan, request
from scripts.pipeline.graph import Cost, Room, Schedule, Task
from scripts.pipeline.plan import Stage

GB = 10**9
REQUEST = request.make()


def tasks(**texts: Any) -> list[Task]:
    build_request = request.make(**texts)
    return graph.tasks(build_request, plan.stages(build_request))


def keys(every: Iterable[Task]) -> dict[str, str]:
    return {task.stage.name: task.key for task in every}


def needed(every: Iterable[Task]) -> dict[str, set[str]]:
    names = {task.key: task.stage.name for task in every}
    return {task.stage.name: {names[key] for key in task.needs} for task in every}


@pytest.mark.parametrize("precision", ["int8", "w8a16", "fp16", "w4a8"])
def test_every_file_that_a_stage_reads_is_made_by_one_before_it(precision: str) -> None:
    builders: list[Path] = []
    for stage in plan.stages(request.make(precision=precision)):
        for read in map(Path, stage.inputs):
            assert any(read.is_relative_to(path) for path in builders), (stage.name, read)
        builders += map(Path, stage.outputs)


def test_no_two_stages_of_a_build_make_one_file() -> None:
    tasks = [
        path
        for stage in plan.stages(request.make(precision="mixed", max_ms=1))
        for path in stage.outputs
    ]
    assert len(tasks) == len(set(tasks))


def test_a_stage_waits_for_what_it_reads_and_for_nothing_else() -> None:
    needs = needed(tasks())
    assert needs["images-digits"] == set()
    assert needs["calibrate-heldout"] == {"images-digits", "calibrate-calibration"}
    assert needs["export"] == {"calibrate-heldout"}
    assert needs["compile-int8"] == {"convert-int8"}
    assert needs["context-int8-iq9075"] == {"compile-int8"}
    assert needs["profile-int8"] == {"context-int8-iq9075"}
    verify = {"export", "lower-int8", "quantize-int8", "context-int8-iq9075"}
    assert needs["verify-int8"] == {*verify, "images-digits", "calibrate-heldout"}
    assert {"verify-int8", "profile-int8", "report-int8"} <= needs["package-int8-iq9075"]


def test_precisions_share_what_is_the_same_for_all_of_them() -> None:
    builds = [tasks(precision=name) for name in ("int8", "w8a16", "fp16")]
    of_all = set.intersection(*({task.key for task in build} for build in builds))
    shared = [task.stage.verb for task in builds[0] if task.key in of_all]
    assert shared == ["images", "calibrate", "calibrate", "export"]
    every = graph.together(builds)
    assert len(every) == sum(map(len, builds)) - 2 * len(shared)
    assert len({task.stage.name for task in every}) == len(every)
    places = {task.key: place for place, task in enumerate(every)}
    assert all(places[key] < places[task.key] for task in every for key in task.needs)


def test_a_key_holds_whatever_folder_a_build_is_in(tmp_path: Path) -> None:
    assert keys(tasks()) == keys(tasks(build_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({"size": "32x16"}, "calibrate-calibration"),
        ({"weights": "random:3"}, "calibrate-calibration"),
        ({"method": "mse"}, "quantize-int8"),
        ({"gate": False}, "verify-int8"),
    ],
)
def test_an_option_changes_the_keys_from_the_first_stage_on_that_it_reaches(
    options: Mapping[str, Any], first: str
) -> None:
    before, after = keys(tasks()), keys(tasks(**options))
    same = [name for name in before if before[name] == after[name]]
    assert first not in same
    assert same[: list(before).index(first)] == list(before)[: list(before).index(first)]
    assert "package-int8-iq9075" not in same


# --- schedules of invented stages ---


def invented(needs: Mapping[str, str]) -> list[Task]:
    """Return tasks by the keys that each needs, in words: `{"a": "", "b": "a"}`."""
    return [
        Task(key, REQUEST, Stage(key, key, ()), tuple(names.split()))
        for key, names in needs.items()
    ]


def schedule(
    needs: Mapping[str, str],
    *,
    stages: int = 2,
    memory: int = 10 * GB,
    costs: Mapping[str, Cost] | None = None,
) -> Schedule:
    known = {key: Cost(GB) for key in needs} | dict(costs or {})
    return Schedule(invented(needs), known, Room(stages, memory))


def started(plan: Schedule) -> list[str]:
    """Start all that may start now."""
    plan.due()
    names = []
    while task := plan.next():
        names.append(task.key)
    return names


DIAMOND = {"a": "", "b": "a", "c": "a", "d": "b c"}


def test_what_has_its_inputs_runs_side_by_side() -> None:
    plan = schedule(DIAMOND)
    assert started(plan) == ["a"]
    plan.end("a")
    assert started(plan) == ["b", "c"]
    plan.end("c")
    assert started(plan) == []
    plan.end("b")
    assert started(plan) == ["d"]
    plan.end("d")
    assert plan.is_over


def test_no_more_run_than_there_are_cores() -> None:
    plan = schedule(dict.fromkeys("abcde", ""), stages=3)
    assert started(plan) == ["a", "b", "c"]
    plan.end("b")
    assert started(plan) == ["d"]


def test_one_by_one_stages_run_in_the_order_of_the_plan() -> None:
    costs = {"c": Cost(GB, seconds=100)}
    plan = schedule({"a": "", "b": "", "c": ""}, stages=1, costs=costs)
    order = []
    while not plan.is_over:
        (name,) = started(plan)
        order.append(name)
        plan.end(name)
    assert order == ["a", "b", "c"]


def test_what_most_work_waits_for_starts_first() -> None:
    chain = {"short": "", "long": "", "behind": "long", "last": "behind"}
    assert started(schedule(chain, stages=2)) == ["long", "short"]
    costs = {"short": Cost(GB, seconds=60)}
    assert started(schedule(chain, stages=2, costs=costs)) == ["short", "long"]


def test_nothing_starts_that_does_not_fit_beside_what_runs() -> None:
    costs = {
        "large": Cost(8 * GB, seconds=9),
        "other": Cost(3 * GB, seconds=5),
        "small": Cost(2 * GB),
    }
    plan = schedule(dict.fromkeys(costs, ""), stages=3, costs=costs)
    assert started(plan) == ["large", "small"]
    plan.end("small")
    assert started(plan) == []
    plan.end("large")
    assert started(plan) == ["other"]


def test_what_fits_nowhere_runs_by_itself() -> None:
    costs = {"huge": Cost(50 * GB), "small": Cost(GB, seconds=2)}
    plan = schedule({"small": "", "huge": "", "other": ""}, stages=3, costs=costs)
    assert started(plan) == ["small", "other"]
    plan.end("small")
    assert started(plan) == []
    plan.end("other")
    assert started(plan) == ["huge"]
    assert [task.key for task in plan.running] == ["huge"]


def test_what_is_whole_already_takes_no_room() -> None:
    plan = schedule({"runs": "", "whole": "", "next": "whole"}, stages=2)
    assert [task.key for task in plan.due()] == ["runs", "whole"]
    plan.end("whole")
    assert started(plan) == ["runs", "next"]
    assert plan.due() == []


def test_a_failure_takes_what_waits_for_it_and_nothing_else() -> None:
    plan = schedule({"a": "", "x": "", "b": "a", "c": "b", "y": "x", "z": "y a"})
    assert started(plan) == ["a", "x"]
    assert [task.key for task in plan.fail("a")] == ["b", "c", "z"]
    plan.end("x")
    assert started(plan) == ["y"]
    plan.end("y")
    assert plan.is_over


def test_once_little_counts_what_runs_may_end_and_only_that_little_starts() -> None:
    plan = schedule({"a": "", "b": "a", "c": "", "d": ""}, stages=1)
    assert started(plan) == ["a"]
    plan.only({"d"})
    assert not plan.is_over
    plan.end("a")
    assert started(plan) == ["d"]
    plan.only(())
    plan.end("d")
    assert plan.is_over


def test_what_ran_out_of_memory_beside_others_runs_again_by_itself() -> None:
    plan = schedule({"a": "", "b": "", "c": ""})
    assert started(plan) == ["a", "b"]
    plan.again("a")
    assert started(plan) == ["c"]
    plan.end("b")
    assert started(plan) == []
    plan.end("c")
    assert started(plan) == ["a"]


def test_a_whole_build_of_three_precisions_comes_to_its_end_in_every_room() -> None:
    every = graph.together([tasks(precision=name) for name in ("int8", "w8a16", "fp16")])
    for stages in (1, 2, 16):
        plan = Schedule(every, {task.key: Cost(GB) for task in every}, Room(stages, 3 * GB))
        ended: set[str] = set()
        while not plan.is_over:
            started(plan)
            running = plan.running
            assert 0 < len(running) <= min(stages, 3)
            assert all(ended.issuperset(task.needs) for task in running)
            plan.end(running[0].key)
            ended.add(running[0].key)
        assert ended == {task.key for task in every}
