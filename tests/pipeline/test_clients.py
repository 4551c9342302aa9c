"""The package in the hands of a client that is not ours: stock ONNX Runtime."""

from collections.abc import Callable

import onnx
import pytest

from scripts.package import epcontext, package
from scripts.package.package import Unpacked
from scripts.pipeline.build import Done
from scripts.pipeline.request import Request

pytestmark = pytest.mark.pipeline


@pytest.mark.parametrize("precision", ["fp16", "int8", "w8a16"])
def test_onnx_runtime_gives_the_golden_output_to_the_bit(
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    onnx_runtime: Callable[[Unpacked], dict[str, bytes]],
    precision: str,
) -> None:
    build(precision=precision)
    with package.unpacked(ask(precision=precision).archive) as unpacked:
        expected = (unpacked.folder / "golden/output.raw").read_bytes()
        assert onnx_runtime(unpacked) == {"last_hidden_state": expected}


def test_a_viewer_shows_what_it_is_and_whose(
    build: Callable[..., list[Done]], ask: Callable[..., Request]
) -> None:
    build()
    with package.unpacked(ask().archive) as unpacked:
        (path,) = unpacked.package.manifest.role(epcontext.ROLE)
        model = onnx.load(unpacked.folder / path)
        facts = unpacked.package.manifest.facts
    onnx.checker.check_model(model, full_check=True)
    says = {row.key: row.value for row in model.metadata_props}
    assert (model.producer_name, says["precision"]) == ("dinov3-qnn", "int8")
    assert says["licence"] == facts["weights"]["licence"]
    assert says["weights_sha256"] == facts["weights"]["sha256"]
