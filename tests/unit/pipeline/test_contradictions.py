from pathlib import Path

import pytest

from scripts import catalog
from scripts.errors import UsageError
from scripts.pipeline import contradictions, request

VALUES = {"max_ms": "20", "min_cosine": "0.99", "method": "mse"}
WIDTHS = '{"16": {"Softmax to MatMul": "all"}}'


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"method": "mse", "precision": "fp16"}, "no ranges to calibrate"),
        ({"precision": "mixed"}, "needs a budget"),
        ({"max_ms": 20.0}, "--precision mixed"),
        ({"precision": "mixed", "max_ms": 20.0, "target": "sm8650"}, "no estimate for sm8650"),
        ({"cache_write": True}, "--cache-write needs a cache"),
        ({"precision": "int8,fp16"}, "takes one"),
    ],
)
def test_options_that_do_not_go_together_are_named(
    texts: dict[str, str | float], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DINOV3_QNN_CACHE", raising=False)
    with pytest.raises(UsageError) as caught:
        request.make(**texts)
    assert says in str(caught.value)


@pytest.mark.parametrize("precision", catalog.precisions())
def test_what_a_precision_has_no_use_for_is_refused_with_it(tmp_path: Path, precision: str) -> None:
    (tmp_path / "widths.json").write_text(WIDTHS)
    (tmp_path / "some.encodings").write_text("{}")
    files = {"widths": "widths.json", "encodings": "some.encodings"}
    values = VALUES | {name: str(tmp_path / file) for name, file in files.items()}
    budget = {"min_cosine": "0.9"} if catalog.precisions()[precision].budgeted else {}
    for name in contradictions.unused(catalog.precisions()[precision]):
        with pytest.raises(UsageError, match=f"Precision {precision} "):
            request.make(**{"precision": precision, **budget, name: values[name]})
