import json
from pathlib import Path

import numpy as np
import pytest

from openqnn.quantization import encodings
from openqnn.quantization.encodings import Encodings
from openqnn.refusal import Refused


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.5, 2.0), (-7.0, -2.0), (0.0, 0.0)])
def test_asymmetric_covers_the_range_and_holds_zero(low: float, high: float, bits: int) -> None:
    grid = encodings.asymmetric(low, high, bits)
    least, most = grid.range()
    assert least <= 0 <= most
    assert least <= low + grid.scale / 2
    assert most >= high - grid.scale / 2
    assert 0 <= grid.zero_point < 2**bits
    assert grid.scale * (grid.zero_point + grid.offset) == 0


def test_scales_do_not_feel_the_last_bits_of_a_sum() -> None:
    values = np.random.default_rng(0).uniform(1, 100, 1000).astype(np.float32)
    after = np.nextafter(values, np.float32(np.inf))
    pairs = zip(values, after, strict=True)
    differ = sum(encodings.round_up(float(a)) != encodings.round_up(float(b)) for a, b in pairs)
    assert differ <= 1
    assert all(encodings.round_up(float(value)) >= value for value in values)


def test_infinite_range_is_refused() -> None:
    with pytest.raises(Refused, match="range"):
        encodings.asymmetric(0.0, float("inf"), 8)


def test_symmetric_reaches_the_limit_with_127_steps() -> None:
    grid = encodings.symmetric([1.27, 0.0], 8)
    assert grid.scales[0] == pytest.approx(0.01)
    assert grid.scales[1] > 0
    assert (grid.zero_point, grid.offset, grid.dtype.name) == (0, -128, "int8")


def test_file_keeps_everything_and_looks_as_aimet_has_it(tmp_path: Path) -> None:
    saved = Encodings(
        {"a": encodings.asymmetric(-1, 2, 16)}, {"w": encodings.symmetric([1.0, 0.1], 8)}
    )
    saved.save(tmp_path / "e.json")
    assert Encodings.load(tmp_path / "e.json") == saved
    raw = json.loads((tmp_path / "e.json").read_text())
    (entry,) = raw["activation_encodings"]["a"]
    assert entry["bitwidth"] == 16
    assert entry["is_symmetric"] == "False"
    # Qualcomm: real = scale * (q + offset), the offset being negative.
    assert entry["min"] == pytest.approx(entry["scale"] * entry["offset"])
    assert entry["offset"] < 0
    assert [entry["offset"] for entry in raw["param_encodings"]["w"]] == [-128, -128]


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"activation_encodings": {"a": []}, "param_encodings": {}}'],
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "e.json").write_text(text)
    with pytest.raises(Refused, match="AIMET"):
        Encodings.load(tmp_path / "e.json")


@pytest.mark.parametrize("scale", ["-1", "0", "NaN", "Infinity"])
def test_a_scale_that_is_no_positive_number_is_refused(tmp_path: Path, scale: str) -> None:
    entry = f'[{{"bitwidth": 8, "scale": {scale}, "offset": 0, "is_symmetric": "False"}}]'
    (tmp_path / "e.json").write_text(
        f'{{"activation_encodings": {{"a": {entry}}}, "param_encodings": {{}}}}'
    )
    with pytest.raises(Refused, match="positive"):
        Encodings.load(tmp_path / "e.json")


@pytest.mark.parametrize("bits", ["5", "64", "0", "true"])
def test_a_width_that_no_tensor_has_is_refused(tmp_path: Path, bits: str) -> None:
    entry = f'[{{"bitwidth": {bits}, "scale": 1, "offset": 0, "is_symmetric": "False"}}]'
    (tmp_path / "e.json").write_text(
        f'{{"activation_encodings": {{"a": {entry}}}, "param_encodings": {{}}}}'
    )
    with pytest.raises(Refused, match="width"):
        Encodings.load(tmp_path / "e.json")


def test_four_bits_are_seven_steps_to_either_side_and_read_back(tmp_path: Path) -> None:
    saved = Encodings({}, {"w": encodings.symmetric([1.4, 0.7], 4)})
    weight = saved.params["w"]
    assert weight.scales == pytest.approx((0.2, 0.1))
    assert (weight.limits, weight.offset, weight.dtype.name) == ((-8, 7), -8, "int4")
    saved.save(tmp_path / "e.json")
    assert Encodings.load(tmp_path / "e.json") == saved


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (
            '{"version": "1.0.0", "activation_encodings": [], "param_encodings": []}',
            "version 1.0.0",
        ),
        ('{"activation_encodings": [], "param_encodings": []}', "AttributeError"),
        ("[]", "AttributeError"),
        ("[" * 100_000, "RecursionError"),
        ('{"activation_encodings": {"x": {}}, "param_encodings": {}}', "KeyError"),
        ("{", "JSONDecodeError"),
    ],
)
def test_another_form_or_version_is_refused(tmp_path: Path, document: str, reason: str) -> None:
    path = tmp_path / "net.encodings.json"
    path.write_text(document)
    with pytest.raises(Refused, match=reason):
        Encodings.load(path)
