"""Documented options are taken or refused by name; none is ignored."""

from pathlib import Path

import pytest

from openqnn.converter import options
from openqnn.refusal import Refused


@pytest.fixture
def network(tmp_path: Path) -> str:
    (tmp_path / "x.onnx").touch()
    (tmp_path / "e.json").touch()
    (tmp_path / "l.txt").touch()
    return str(tmp_path / "x.onnx")


def beside(network: str, name: str) -> str:
    return str(Path(network).with_name(name))


def test_output_stands_beside_the_input(network: str) -> None:
    assert options.parse(["-i", network]).output_path == Path(network).with_suffix(".cpp")


@pytest.mark.parametrize("name", ["y", "y.cpp"])
def test_output_gets_its_suffix(network: str, name: str) -> None:
    assert options.parse(["-i", network, "-o", name]).output_path == Path("y.cpp")


def test_another_suffix_is_refused(network: str) -> None:
    with pytest.raises(Refused, match=r"must end in \.cpp"):
        options.parse(["-i", network, "-o", "y.dlc"])


@pytest.mark.parametrize("option", sorted(options.UNSUPPORTED))
def test_unsupported_options_are_refused_by_name(network: str, option: str) -> None:
    with pytest.raises(Refused, match=f"^{option} is not supported by this SDK: "):
        options.parse(["-i", network, option, "x"])


def test_an_unsupported_option_is_seen_in_its_long_form(network: str) -> None:
    with pytest.raises(Refused, match="--input_layout"):
        options.parse(["-i", network, "--input_layout=NHWC"])


@pytest.mark.parametrize(("old", "new"), sorted(options.DEPRECATED.items()))
def test_deprecated_options_name_their_successor(network: str, old: str, new: str) -> None:
    with pytest.raises(Refused, match=f"{old} is deprecated: use {new}"):
        options.parse(["-i", network, old, "16"])


def test_unknown_options_end_with_usage(network: str) -> None:
    with pytest.raises(SystemExit):
        options.parse(["-i", network, "--no_such_option"])


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not exist"):
        options.parse(["-i", str(tmp_path / "x.onnx")])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--float_fallback"], "needs --quantization_overrides"),
        (["--input_list", "l.txt", "--float_fallback"], "contradict"),
        (["--input_list", "l.txt", "--quantization_overrides", "e.json"], "cannot be combined"),
        (["--input_list", "l.txt"], "pass --bias_bitwidth 32"),
        (["--input_list", "l.txt", "--bias_bitwidth", "32"], "pass --use_per_row_quantization"),
    ],
)
def test_contradictions_are_refused(network: str, words: list[str], says: str) -> None:
    paths = [beside(network, word) if "." in word else word for word in words]
    with pytest.raises(Refused, match=says):
        options.parse(["-i", network, *paths])
