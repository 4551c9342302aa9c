"""AIMET's files: four versions say one thing, and what cannot be used is refused by name."""

import json
from pathlib import Path
from typing import Any

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
        ([], 'version is "None"'),
        ({"version": "3.0.0"}, 'version is "3.0.0", and those that are read are 0.6.1, 1.0.0'),
        ({"version": "1.0.0", **{key: {} for key in OLDEST if key != "version"}}, "not a list"),
        ({**OLDEST, "param_encodings": []}, "not an object"),
        ({"version": "2.0.0"}, "not a list"),
        (newest(output_dtype="float16"), '"w" is "float16", not an integer'),
        (newest(block_size=64), '"w" is quantised in blocks'),
        (newest(y_scale=[0.5, 0]), '"w" has a scale that is no positive number'),
        (newest(y_scale=[0.5, float("nan")]), '"w" has a scale that is no positive number'),
        (newest(y_zero_point=[1, 2, 3]), '"w" has 2 scales and 3 offsets'),
        (newest(y_zero_point=0.5), '"w" has an offset that is no whole number'),
        (newest(name="x"), 'the tensor "x" is there twice'),
        (newest(y_scale="wide"), '"w" could not convert'),
        (newest(y_scale={}), 'what it says of "w" is not understood'),
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


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        aimet_encodings.read(tmp_path)
    with pytest.raises(UsageError, match="is not there"):
        aimet_encodings.read(tmp_path / "none")
