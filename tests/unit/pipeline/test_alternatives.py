"""What is said of a network that missed its gate comes from builds of that network alone."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from scripts import artefacts, catalog
from scripts.pipeline import alternatives, request
from scripts.pipeline.request import Request
from scripts.pipeline.store import Store

EAGER = artefacts.eager_onnx("digits")
NETWORK = (EAGER, artefacts.with_suffix(EAGER, ".onnx_data"))
PICTURES = artefacts.image_set("heldout")


def _commit(
    store: Store,
    stage: str,
    files: dict[PurePosixPath, str],
    inputs: tuple[PurePosixPath, ...] = (),
) -> None:
    folder = store.partial(stage)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    store.commit(stage, "key", {"inputs": {str(path): store.digest(path) for path in inputs}})


def _exported(build_request: Request, weights: str = "weights", pictures: str = "pictures") -> None:
    store = Store(build_request.root)
    _commit(store, "export", dict.fromkeys(NETWORK, weights))
    _commit(store, "calibrate-heldout", {PICTURES / "0.raw": pictures})


def _built(
    build_request: Request, precision: str, microseconds: int | None, **figures: float
) -> None:
    """Leave in the build folder what a whole build of a precision leaves there."""
    store = Store(build_request.root)
    context, verify = artefacts.context_binary(precision), artefacts.verify_report(precision)
    estimate = None if microseconds is None else {"microseconds": microseconds}
    files = {context: precision, artefacts.estimate(precision): json.dumps(estimate)}
    _commit(store, f"context-{precision}-{build_request.target.name}", files)
    all_figures = dict.fromkeys(build_request.precision.gate, 1.0) | figures
    report = {verify: json.dumps({"figures": all_figures})}
    _commit(store, f"verify-{precision}", report, (context, *NETWORK, PICTURES))


def _request(folder: Path, precision: str, **options: Any) -> Request:
    return request.make(build_dir=str(folder), model="digits", precision=precision, **options)


@pytest.mark.parametrize(
    ("precision", "says"),
    [("w4a8", "int8"), ("w4a16", "w8a16"), ("int8", "w8a16"), ("w8a16", "fp16"), ("fp16", "")],
)
def test_without_another_build_the_next_precision_is_named_and_no_time(
    tmp_path: Path, precision: str, says: str
) -> None:
    _exported(build_request := _request(tmp_path, precision))
    assert alternatives.line(build_request) == (says and f"try --precision {says}")


def test_the_fastest_build_that_passes_is_named_with_its_time(tmp_path: Path) -> None:
    _exported(build_request := _request(tmp_path, "int8"))
    _built(build_request, "fp16", 71000)
    _built(build_request, "w8a16", 28_740)
    _built(build_request, "w4a8", 15_000, cls_p1=0.9)
    assert alternatives.line(build_request) == "passes at: w8a16, 28.7 ms"


def test_a_build_must_reach_the_gate_that_was_missed(tmp_path: Path) -> None:
    _exported(build_request := _request(tmp_path, "w4a16"))
    _built(build_request, "int8", 1000, cls_mean=0.992)  # enough for itself
    assert alternatives.line(build_request) == "try --precision w8a16"


def test_no_time_is_said_where_the_compiler_has_none(tmp_path: Path) -> None:
    _exported(build_request := _request(tmp_path, "int8", target="sm8650"))
    _built(build_request, "w8a16", None)
    assert alternatives.line(build_request) == "passes at: w8a16"


@pytest.mark.parametrize("change", ["weights", "pictures", "target", "context", "report"])
def test_builds_of_something_else_do_not_count(tmp_path: Path, change: str) -> None:
    _exported(build_request := _request(tmp_path, "int8"))
    _built(build_request, "w8a16", 1000)
    assert alternatives.line(build_request).startswith("passes at")
    if change in ("weights", "pictures"):
        _exported(build_request, **{change: "others"})
    elif change == "target":
        build_request = _request(tmp_path, "int8", target="sa8255")
    else:
        path = {"context": artefacts.context_binary, "report": artefacts.verify_report}[change]
        (build_request.root / path("w8a16")).write_text("another")
    assert alternatives.line(build_request) == "try --precision w8a16"


def test_what_was_tried_in_vain_or_the_target_lacks_is_not_advised(tmp_path: Path) -> None:
    _exported(build_request := _request(tmp_path, "w4a8"))
    (build_request.root / artefacts.failed("verify-int8")).mkdir(parents=True)
    assert alternatives.line(build_request) == "try --precision w8a16"
    (build_request.root / artefacts.failed("verify-w8a16")).mkdir()
    assert alternatives.line(build_request) == "try --precision fp16"
    other = _request(tmp_path, "w8a16", target="qcs6490")
    assert "fp16" in other.target.lacks
    assert alternatives.line(other) == ""


def test_every_precision_leads_to_the_most_exact_one() -> None:
    known = catalog.precisions()
    for precision in known.values():
        names = [precision.name]
        while known[names[-1]].next:
            names.append(known[names[-1]].next)
        assert names[-1] == "fp16"
        assert len(names) == len(set(names))
