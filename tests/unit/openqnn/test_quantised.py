"""Input lists: one sample a line, by path or by the input's name."""

from pathlib import Path

import pytest

from openqnn.converter import quantised
from openqnn.refusal import Refused


def listing(folder: Path, text: str) -> Path:
    for name in ("0.raw", "1.raw"):
        (folder / name).touch()
    path = folder / "input_list.txt"
    path.write_text(text.replace("DIR", str(folder)))
    return path


@pytest.mark.parametrize(
    "text",
    ["DIR/0.raw\nDIR/1.raw\n", "pixels:=DIR/0.raw\n\npixels:=DIR/1.raw", "DIR/0.raw\n DIR/1.raw "],
)
def test_samples_are_read_in_order(tmp_path: Path, text: str) -> None:
    listed = quantised.listed(listing(tmp_path, text), ["pixels"])
    assert listed == [tmp_path / "0.raw", tmp_path / "1.raw"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lists no inputs"),
        ("DIR/2.raw\n", "does not exist"),
        ("other:=DIR/0.raw\n", "is not one file for the input"),
        ("pixels:=DIR/0.raw second:=DIR/1.raw\n", "is not one file for the input"),
    ],
)
def test_other_lists_are_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        quantised.listed(listing(tmp_path, text), ["pixels"])


def test_models_with_several_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is not one file"):
        quantised.listed(listing(tmp_path, "DIR/0.raw"), ["pixels", "mask"])
