"""What boards measured: understood, kept by package, found again by release."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.boards import measured, upkeep
from scripts.errors import DeviceError
from scripts.package.manifest import Manifest

RUN = {"p50_us": 520.0, "p90_us": 600, "p99_us": 700, "perf": "burst", "npu": 0}
DIGEST = 64 * "a"


def manifest(name: str) -> Manifest:
    return Manifest({"name": name, "simulated_latency": {"milliseconds": 0.51}}, ())


def test_the_runners_last_line_is_its_report() -> None:
    assert measured.report(f"inference: 510 us\n{json.dumps(RUN)}\n") == RUN


@pytest.mark.parametrize(
    "line",
    [
        *("", "inference: 510 us", "[]", "{}", "[" * 9999),
        *(json.dumps(RUN | change) for change in ({"p99_us": "x"}, {"p50_us": 10**400})),
        *(json.dumps(RUN | change) for change in ({"perf": "\x1b[2J"}, {"\ud800": 1})),
    ],
)
def test_another_line_is_none(line: str) -> None:
    with pytest.raises(DeviceError, match="none of our scripts says"):
        measured.report(line)


@pytest.mark.parametrize("time", [0, -1, float("nan"), float("inf")])
def test_a_time_that_cannot_be_is_refused(time: float) -> None:
    with pytest.raises(DeviceError, match="measures"):
        measured.report(json.dumps(RUN | {"p99_us": time}))


def test_runs_are_kept_by_package_and_found_by_release(tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    measured.keep(folder, "bench", 64 * "b", manifest("fp16"), 1.0, RUN)
    for time in (520.0, 530.0):
        measured.keep(folder, "bench", DIGEST, manifest("int8"), 0.9999, RUN | {"p50_us": time})
    file = folder / "boards/bench.json"
    assert json.loads(file.read_text()).keys() == {"fp16", "int8"}
    run = measured.find("bench", DIGEST, tmp_path)
    assert run is not None
    assert run[0] == folder
    assert (run[1]["measured"]["p50_us"], run[1]["simulated"]) == (
        530.0,
        {"milliseconds": 0.51},
    )
    assert measured.find("other", DIGEST, tmp_path) is None
    point = tmp_path / "sweeps/grid/digits-fp16/digits"
    measured.keep(point, "bench", 64 * "c", manifest("fp16"), 1.0, RUN)
    known = measured.find("bench", 64 * "c", tmp_path)
    assert known and known[0] == point
    file.write_text("half a fi")
    assert measured.find("bench", DIGEST, tmp_path) is None


def test_the_status_has_the_simulators_time_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "BUILD", tmp_path)
    untimed = Manifest({"simulated_latency": {"milliseconds": None}}, ())
    assert upkeep._times("bench", DIGEST, manifest("int8")) == ("510 us", "-")
    assert upkeep._times("bench", DIGEST, untimed) == ("no estimate", "-")
    assert upkeep._times("bench", DIGEST, None) == ("-", "-")


def test_results_lie_beside_the_archive(tmp_path: Path) -> None:
    built = tmp_path / "build/digits"
    assert measured.beside(built / "packages/a.tar.gz") == built
    assert measured.beside(tmp_path / "a.tar.gz") == tmp_path


def test_a_link_planted_beside_the_results_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "boards/bench.json.partial").symlink_to(tmp_path / "victim")
    file = measured.keep(tmp_path, "bench", DIGEST, manifest("int8"), 1.0, RUN)
    assert (tmp_path / "victim").read_text() == "precious" and not file.is_symlink()
