"""Files of pinned widths as people write them, read before any work."""

import json
from pathlib import Path

import pytest

from scripts import width_pins
from scripts.errors import UsageError

PINS = {"16": {"Softmax to MatMul": "all"}, "8": {"Add to Norm": ["layer.3.Add_2"]}}


def _written(folder: Path, text: str) -> Path:
    file = folder / "mine.json"
    file.write_text(text, encoding="utf-8")
    return file


def test_pins_are_read_and_why_does_not_count(tmp_path: Path) -> None:
    text = json.dumps({"why": {"reason": "any"}, **PINS})
    assert width_pins.read(_written(tmp_path, text)) == PINS
    assert width_pins.read(_written(tmp_path, "\ufeff" + text)) == PINS
    assert width_pins.read(_written(tmp_path, width_pins.FORM)) == PINS


KIND = '"Add to Norm"'


@pytest.mark.parametrize(
    ("text", "says", "remedy"),
    [
        ("", "it is not JSON at line 1, column 1", "the form is {"),
        ('{"16": {"Add to Norm": "all",}}', "JSON at line 1, column 30", "out the comma before"),
        ('{\n "16": {"a": "all"}\n "8": {}}', "JSON at line 3, column 2", "a comma belongs before"),
        ('{"16" {}}', "it is not JSON at line 1, column 7", "a colon belongs before"),
        ('{"16": }', "it is not JSON at line 1, column 8", 'something belongs before "}"'),
        ('{"16": {}', "it is not JSON at line 1, column 10", "close every quote and bracket"),
        ('{"16": {"Add', "it is not JSON at line 1, column 9", "close every quote and bracket"),
        ('{"16": {}}}', "it is not JSON at line 1, column 11", "behind the last bracket"),
        ('{16: {"Add to Norm": "all"}}', "JSON at line 1, column 2", 'in double quotes: "16"'),
        ('{"8": {\'Tan\': "all"}}', "JSON at line 1, column 8", 'in double quotes: "Tan"'),
        ('{"8": {"Add to Norm": all}}', "JSON at line 1, column 23", 'double quotes: "all"'),
        ('{ # mine\n"8": {}}', "JSON at line 1, column 3", "no comments"),
        (r'{"8": {"C:\x": "all"}}', "JSON at line 1, column 11", "backslash twice"),
        ("[" * 100_000, "it is nested too deeply", "the form is {"),
        ("[]", 'it is not an object of "16" and "8"', "the form is {"),
        ("{}", "it pins nothing", "the form is {"),
        ('{"7": {}}', '"7" is no width', '"16" or "8" in its place'),
        ('{"16": {}, "32": {}}', '"32" is no width', '"16" or "8" in its place'),
        ('{"int8": {}}', '"int8" is no width', '"8" in its place'),
        ('{"16 bits": {}}', '"16 bits" is no width', '"16" in its place'),
        ('{"Add to Norm": "all"}', '"Add to Norm" is no width', '{"16": {"Add to Norm": "all"}}'),
        ('{"16": {}, "16": {}}', '"16" is there twice', 'under one "16"'),
        ('{"16": ["Add to Mul"]}', '"16" is not an object', '"16": {"Add to Mul": "all"}'),
        ('{"16": "all"}', '"16" is not an object of kinds', '"16": {"Add to Norm": "all"}'),
        ('{"8": {"Add to Norm": "x.1"}}', f"{KIND} has neither", f'{KIND}: ["x.1"] for that'),
        ('{"8": {"Add to Norm": "ALL"}}', f"{KIND} has neither", f'{KIND}: "all"'),
        ('{"8": {"Add to Norm": true}}', f"{KIND} has neither", f'{KIND}: "all"'),
        ('{"8": {"Add to Norm": [1]}}', f"{KIND} has neither", 'a list of names: "Add to Norm": ['),
        (r'{"16": {"\ud800 to Add": "all"}}', r'"\ud800 to Add" holds', '" to Add", or as'),
        (r'{"16": {"Tan\u001b[31m": "all"}}', r'"Tan\u001b[31m" holds', '"Tan[31m", or as one'),
        (r'{"16": {}, "\u001b[31m": {}}', r'"\u001b[31m" holds characters', '"[31m"'),
        (r'{"8": {"Add to Norm": ["\ud800"]}}', r'"\ud800" holds characters', "that a build wrote"),
        (f'{{"8": {5000 * "1"}}}', "a number in it has too many digits", "the form is {"),
        (f'{{"16": {{"{"x" * 200} to Add": "all"}}}}', f'"{"x" * 80}..." is no', KIND),
        ('{"16": {"Sigmod to mul": "all"}}', '"Sigmod" is no operator', '"Sigmoid to Mul"'),
        (
            '{"16": {"Addd to Add and norm": "all"}}',
            '"Addd" is no operator',
            '"Add to Add and Norm"',
        ),
        ('{"16": {"Softmax": "all"}}', '"Softmax" is no kind', KIND),
        (
            '{"16": {"Add to Norm": "all"}, "8": {"Add to Norm": "all"}}',
            'all of "16", and in "8"',
            'list its tensors in "16" too',
        ),
        (
            '{"16": {"Add to Norm": ["a"]}, "8": {"Add to Norm": "all"}}',
            'all of "8", and in "16"',
            'list its tensors in "8" too',
        ),
        (
            '{"16": {"Add to Norm": ["a"]}, "8": {"Add to Norm": ["a"]}}',
            '"a" is there twice',
            'it is in "Add to Norm" of "16", "Add to Norm" of "8"',
        ),
        ('{"8": {"Add to Norm": ["a", "b", "a"]}}', 'the tensor "a" is there twice', "leave one"),
        ('{"8": {"Add to Norm": []}}', f"{KIND} pins nothing: its list", f"leave {KIND} out"),
        (
            '{"16": {}, "8": {}}',
            "it pins nothing: no kind is there",
            '"16": {"Add to Norm": "all"}',
        ),
    ],
)
def test_what_is_no_file_of_widths_is_refused_with_what_it_should_have_said(
    tmp_path: Path, text: str, says: str, remedy: str
) -> None:
    file = _written(tmp_path, text)
    with pytest.raises(UsageError) as refusal:
        width_pins.read(file)
    assert str(file) in refusal.value.what
    assert says in refusal.value.what
    assert remedy in refusal.value.remedy
    assert refusal.value.remedy.isprintable()


def test_a_file_that_is_not_there_may_be_one_beside_it_or_in_it(tmp_path: Path) -> None:
    written = tmp_path / "models" / "dinov3_digits_int8.widths.json"
    written.parent.mkdir()
    written.write_text(width_pins.FORM)
    for meant in (tmp_path, written.with_name("dinov3_digit_int8.widths.json")):
        with pytest.raises(UsageError) as refusal:
            width_pins.read(meant)
        assert written.name in refusal.value.remedy


def test_a_tensor_of_a_layer_that_there_is_not_is_shown_in_the_last_one(tmp_path: Path) -> None:
    for number in ("12", 5000 * "9"):
        file = _written(tmp_path, f'{{"16": {{"Add to Norm": ["layer.{number}.Add_2"]}}}}')
        with pytest.raises(UsageError, match="has layers 0 to 11") as refusal:
            width_pins.require_layers(file, 12)
        assert '"layer.11.Add_2"' in refusal.value.remedy
        assert len(refusal.value.what) < 200 + len(str(file))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_bytes(b'{"16": "\xff"}')
    with pytest.raises(UsageError, match="not text at byte 8"):
        width_pins.read(file)
    with pytest.raises(UsageError, match="is a folder"):
        width_pins.read(tmp_path)
    with pytest.raises(UsageError, match="is not there"):
        width_pins.read(tmp_path / "other.json")


def test_a_kind_may_be_shared_out_between_both_widths(tmp_path: Path) -> None:
    """As a build writes it that gives 16 bits to some of a kind only."""
    pins = {"16": {"Add to Norm": ["a"]}, "8": {"Add to Norm": ["b"]}}
    assert width_pins.read(_written(tmp_path, json.dumps(pins))) == pins
