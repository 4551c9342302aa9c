"""AIMET's files: four versions say one thing, and what cannot be used is refused by name."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts import aimet_encodings
from scripts.aimet_encodings import Grid
from scripts.errors import UsageError

WEIGHT = Grid(8, (0.5, 0.25), (-128, -128))
INPUT = Grid(16, (0.125,), (-7,))
OLDEST = {
    "version": "0.6.1",
    "activation_encodings": {
        "x": [
            {"bitwidth": 16, "dtype": "int", "is_symmetric": "False", "offset": -7, "scale": 0.125}
        ]
    },
    "param_encodings": {
        "w": [
            {"bitwidth": 8, "dtype": "int", "is_symmetric": "True", "offset": -128, "scale": scale}
            for scale in WEIGHT.scales
        ]
    },
}
SECOND: dict[str, Any] = {
    "version": "1.0.0",
    "activation_encodings": [
        {"name": "x", "bw": 16, "dtype": "INT", "enc_type": "PER_TENSOR", "offset": [-7.0]}
        | {"scale": [0.125], "is_sym": False}
    ],
    "param_encodings": [
        {"name": "w", "bw": 8, "dtype": "INT", "enc_type": "PER_CHANNEL", "is_sym": True}
        | {"scale": [0.5, 0.25], "offset": [-128.0, -128.0]}
    ],
}


def newest(**changes: object) -> dict[str, Any]:
    weight = {"name": "w", "output_dtype": "int8", "y_scale": [0.5, 0.25], "axis": 0}
    pixels = {"name": "x", "output_dtype": "uint16", "y_scale": 0.125, "y_zero_point": 7}
    return {"version": "2.1.0", "encodings": [{**weight, **changes}, pixels]}


def file(folder: Path, document: object) -> Path:
    path = folder / "net.encodings"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.mark.parametrize("document", [OLDEST, SECOND])
def test_the_older_versions_say_the_same(tmp_path: Path, document: object) -> None:
    assert aimet_encodings.read(file(tmp_path, document)) == {"x": INPUT, "w": WEIGHT}


@pytest.mark.parametrize("version", ["2.0.0", "2.1.0"])
def test_the_newer_ones_say_the_axis_as_well(tmp_path: Path, version: str) -> None:
    grids = aimet_encodings.read(file(tmp_path, newest() | {"version": version}))
    assert grids == {"x": INPUT, "w": Grid(8, WEIGHT.scales, WEIGHT.offsets, axis=0)}


def test_a_signed_activation_is_the_unsigned_one_of_the_same_range(tmp_path: Path) -> None:
    document = newest(axis=None, y_scale=0.5, y_zero_point=5)
    assert aimet_encodings.read(file(tmp_path, document))["w"] == Grid(8, (0.5,), (-133,))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    grids = {
        "x": INPUT,
        "middle": Grid(8, (0.5,), (-128,)),
        "w": Grid(8, WEIGHT.scales, WEIGHT.offsets, axis=1),
        "norm.bias": Grid(32, (1e-6,), (-(2**31),)),
    }
    aimet_encodings.write(tmp_path / "a", grids)
    assert aimet_encodings.read(tmp_path / "a") == grids
    entries = json.loads((tmp_path / "a").read_text())["encodings"]
    assert [entry["output_dtype"] for entry in entries] == ["uint16", "uint8", "int8", "int32"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "not JSON at line 1"),
        ("[" * 100_000, "nested too deeply"),
        ([], "it is not a JSON object"),
        ("null", "it is not a JSON object"),
        ({}, "it has no version, and those that are read are 0.6.1"),
        ({"version": 2}, "its version is 2, and"),
        ({"version": "3.0.0"}, 'version is "3.0.0", and those that are read are 0.6.1, 1.0.0'),
        ({"version": "1.0.0", **{key: {} for key in OLDEST if key != "version"}}, "not a list"),
        ({**OLDEST, "param_encodings": []}, "not an object"),
        ({"version": "2.0.0"}, "not a list"),
        (newest(output_dtype="float16"), '"w" is "float16", not an integer'),
        (newest(block_size=64), '"w" is quantised in blocks'),
        (
            newest(y_scale=[0.5, 0]),
            '"w" has the scale 0: with 8 bits, scales are from 1.1e-19',
        ),
        (newest(y_scale=[0.5, float("nan")]), '"w" has the scale NaN: '),
        (newest(y_scale=-0.5), '"w" has the scale -0.5: '),
        (newest(y_scale=1e-300), '"w" has the scale 1e-300: '),
        (newest(y_scale=1e-42), '"w" has the scale 1e-42: '),
        (newest(y_scale=1e38), '"w" has the scale 1e+38: with 8 bits, scales are from'),
        (newest(y_scale=10**400), '"w" has the scale 1000'),
        (newest(y_scale=True), '"w" has as scale true, which is no number'),
        (newest(y_zero_point=[1, 2, 3]), '"w" has 2 scales and 3 offsets'),
        (newest(y_zero_point=0.5), '"w" has as zero point 0.5, which is no whole number'),
        (newest(name="x"), 'the tensor "x" is there twice'),
        (newest(y_zero_point="0"), '"w" has as zero point "0", which is no number'),
        (newest(y_scale="wide"), '"w" has as scale "wide", which is no number'),
        (newest(y_scale={}), '"w" has as scale an object, which is no number'),
        (newest(axis=True), '"w" has as axis true, which is no number'),
        (newest(output_dtype="int99"), '"w" has 99 bits, and a tensor has 1 to 32'),
        ({"version": "2.0.0", "encodings": [{"name": "w"}]}, '"w" has no `output_dtype`'),
        ({**OLDEST, "param_encodings": {"w": []}}, '"w" is not a list of objects, one a channel'),
        ({**OLDEST, "param_encodings": {"w": [{"dtype": "int"}]}}, '"w" has no `scale`'),
        (newest(name=3), "an entry of encodings has no name"),
        (
            {**SECOND, "param_encodings": [{**SECOND["param_encodings"][0], "enc_type": "LPBQ"}]},
            "LPBQ",
        ),
        ({**SECOND, "param_encodings": [{"name": "w", "dtype": "FLOAT", "bw": 16}]}, '"FLOAT"'),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    tmp_path: Path, document: object, reason: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        aimet_encodings.read(file(tmp_path, document))
    assert reason in str(refusal.value)


STRANGE: tuple[Any, ...] = (None, True, "x", "0.5", [], {}, [[1]], -1, 0.5, float("inf"), 10**400)
# What Python would say, and we do not.
LEAK = re.compile(r"Error\b|'\w+'|None|operand|object is|could not convert|too large")


def replaced(document: Any) -> Iterator[Any]:
    """Yield a document with each of its values, at any depth, replaced by strange ones or gone."""
    if not isinstance(document, dict | list):
        return
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        for other in (*STRANGE, *replaced(value)):
            copy = document.copy()
            copy[key] = other
            yield copy
        copy = document.copy()
        del copy[key]
        yield copy


@pytest.mark.parametrize("document", [OLDEST, SECOND, newest(y_zero_point=0)])
def test_a_refusal_is_never_in_pythons_words(tmp_path: Path, document: Any) -> None:
    reasons = []
    for variant in (*STRANGE, *replaced(document)):
        try:
            aimet_encodings.read(file(tmp_path, json.dumps(variant)))
        except UsageError as error:
            reasons.append(error.what.partition(" cannot be used: ")[2])
    assert len(reasons) > 50
    assert not [reason for reason in reasons if not reason or LEAK.search(reason)]


@pytest.mark.parametrize(("bits", "power"), [(8, 1), (16, 1), (32, 2)])
def test_scales_at_both_ends_of_the_range_are_read(tmp_path: Path, bits: int, power: int) -> None:
    for scale in (2.0 ** (-63 * power), 2.0 ** (64 * power - bits - 1)):
        grid = aimet_encodings.read(
            file(tmp_path, newest(y_scale=scale, output_dtype=f"int{bits}", axis=None))
        )["w"]
        assert grid.scales == (scale,)
        assert np.isfinite(np.float32(scale * 2**bits))
        assert np.float32(scale) >= np.finfo(np.float32).tiny


def test_what_is_said_to_do_is_what_a_build_takes(tmp_path: Path) -> None:
    """`--encodings` is refused beside precisions with weights of 4 bits."""
    with pytest.raises(UsageError) as refusal:
        aimet_encodings.read(file(tmp_path, newest(output_dtype="float16")))
    assert "weights of 8 bits, activations of 8 or 16" in refusal.value.remedy


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        aimet_encodings.read(tmp_path)
    with pytest.raises(UsageError, match="is not there"):
        aimet_encodings.read(tmp_path / "none")
