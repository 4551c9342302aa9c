from typing import Any

from scripts.pipeline import forecast, plan, request
from scripts.pipeline.cas import Manifest


def ran(peak: int, seconds: float) -> Manifest:
    return {"outputs": {}, "seconds": seconds, "usage": {"peak_memory_bytes": peak}}


def memory(past: dict[str, Manifest], name: str = "verify-int8", **texts: Any) -> int:
    build_request = request.make(**texts)
    stage = next(stage for stage in plan.stages(build_request) if stage.name == name)
    return forecast.cost(build_request, stage, past).memory


def test_without_an_earlier_run_the_size_of_the_network_counts() -> None:
    build_request = request.make(model="vith16plus", weights="random")
    assert memory({}, model="vith16plus", weights="random") == 9 * build_request.model.parameters
    assert memory({}) == 2_000_000_000


def test_an_earlier_run_of_the_stage_counts_before_one_of_another_precision() -> None:
    past = {"verify-fp16": ran(4_000_000_000, 9), "verify-int8": ran(1_000_000_000, 5)}
    assert memory(past) == 1_500_000_000
    del past["verify-int8"]
    assert memory(past) == 6_000_000_000


def test_a_record_without_memory_is_none() -> None:
    assert memory({"verify-int8": {"outputs": {}}}) == 2_000_000_000


def test_no_stage_takes_more_than_its_limit() -> None:
    assert memory({}, memory="0.5") == 500_000_000


def test_seconds_are_those_of_the_earlier_run() -> None:
    build_request = request.make()
    (stage,) = (stage for stage in plan.stages(build_request) if stage.name == "verify-int8")
    assert forecast.cost(build_request, stage, {"verify-int8": ran(1, 7.5)}).seconds == 7.5


def test_of_a_first_run_what_usually_takes_long_is_expected_to() -> None:
    build_request = request.make(precision="int8")
    seconds = {
        stage.verb: forecast.cost(build_request, stage, {}).seconds
        for stage in plan.stages(build_request)
    }
    assert seconds["verify"] > seconds["quantize"] > seconds["export"] > seconds["convert"] > 0
