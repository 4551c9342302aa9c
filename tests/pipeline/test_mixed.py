"""A build within a budget: what was promised by the frontier is what the build gives."""

import json
from collections.abc import Callable
from itertools import pairwise

import pytest

from scripts import artefacts
from scripts.pipeline.build import Done
from scripts.pipeline.request import Request

pytestmark = pytest.mark.pipeline
LEAST = 0.9993


def test_a_build_is_as_fast_and_as_exact_as_its_frontier_says(
    build: Callable[..., list[Done]], ask: Callable[..., Request]
) -> None:
    build(precision="mixed", min_cosine=LEAST)
    root = ask().root
    points = json.loads((root / artefacts.frontier("digits", "mixed")).read_text())
    for cheap, dear in pairwise(points):
        assert cheap["cosine"] < dear["cosine"]
    fastest = next(point for point in points if point["cosine"] >= LEAST)
    profile = json.loads((root / artefacts.profile_report("mixed")).read_text())
    assert fastest["simulated"]
    assert profile["milliseconds"] == fastest["milliseconds"]
    figures = json.loads((root / artefacts.verify_report("mixed")).read_text())["figures"]
    assert figures["cls_mean"] > points[0]["cosine"]
