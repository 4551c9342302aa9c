from pathlib import Path
from typing import cast

import pytest

from scripts import artefacts, source
from scripts.bench import bench, gains, peer
from scripts.bench.bench import Cost
from scripts.errors import UsageError
from scripts.picture_size import PictureSize
from scripts.pipeline import request
from scripts.pipeline.build import Builder
from scripts.pipeline.plan import Stage
from scripts.pipeline.request import Request


def test_ratios_compare_what_makes_the_binary_with_the_whole_recipe() -> None:
    ours = [
        Cost("calibrate-heldout", 99.0, 99),
        Cost("export", 10.0, 4),
        Cost("context-int8-iq9075", 10.0, 6),
        Cost("profile-int8", 99.0, 99),
    ]
    peer = [Cost("peer-export", 30.0, 12), Cost("peer-context", 10.0, 3)]
    result = bench._result(ours, peer, 1.234)
    assert result["time_ratio"] == pytest.approx(0.5)
    assert result["peak_memory_ratio"] == pytest.approx(0.5)
    assert result["warm_rebuild_seconds"] == 1.23


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_what_is_timed_reads_nothing_of_what_is_left_out(precision: str) -> None:
    build = request.make(model="vits16", weights="random", precision=precision)
    read = {str(path) for stage in bench.timed(build) for path in stage.inputs}
    assert str(artefacts.context_binary(precision)) in read
    assert not read.intersection(
        str(path(precision))
        for path in (artefacts.verify_report, artefacts.features, artefacts.report_page)
    )


def test_the_gains_are_a_row_a_rewrite() -> None:
    lowering = {
        "rewrites": [{"rewrite": "pad-tokens", "without": 120.0, "saved": 20.0}],
        "microseconds_without_any": 200.4,
        "microseconds_with_all": 100.0,
    }
    assert bench._saved(lowering) == [
        ("+20", "pad-tokens"),
        ("200 -> 100", "none and all of them"),
    ]


def test_its_programs_are_where_it_looks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    stages: list[Stage] = []

    class Recorder:
        def build(self, build: Request, added: list[Stage]) -> None:
            stages.extend(added)

    build = request.make(model="vits16", weights="random", size="384")
    bench._gains(cast(Builder, Recorder()), build)
    stages.append(bench._peer_stage(build, "export", Path("calibration")))
    assert len(stages) == 2
    for stage, parse in zip(stages, (gains._arguments, peer.arguments), strict=True):
        assert source.closure(stage.module), stage.module
        monkeypatch.setattr("sys.argv", [stage.module, *stage.arguments, "--out", "out"])
        options = parse()
        # Both measure what is built: the same network, size and board.
        assert (options.model, options.size, options.target) == (
            "vits16",
            PictureSize.square(384),
            "iq9075",
        )


@pytest.mark.parametrize(
    ("model", "precisions", "out", "says"),
    [
        ("vits16", ["int8", "int9"], "x.json", "no precision 'int9'"),
        ("vits16", ["int8", ""], "x.json", "no precision ''"),
        ("vits16", ["mixed"], "x.json", "needs a budget"),
        ("vits16", ["int8"], "", "is a folder"),
    ],
)
def test_what_would_fail_in_the_end_is_refused_first(
    tmp_path: Path, model: str, precisions: list[str], out: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        bench.check(request.make(model=model, weights="random"), precisions, tmp_path / out)
    base = request.make(model="vits16", weights="random")
    bench.check(base, ["int8"], tmp_path / "new" / "x.json")
    assert (tmp_path / "new").is_dir()


def test_without_an_estimate_there_is_nothing_to_compare(tmp_path: Path) -> None:
    base = request.make(model="vits16", weights="random", target="sm8650")
    with pytest.raises(UsageError, match="no estimate for sm8650") as refusal:
        bench.check(base, ["int8"], tmp_path / "bench.json")
    assert refusal.value.remedy == "--target iq9075"
