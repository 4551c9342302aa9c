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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is not JSON at line 1, column 1"),
        ('{"16": {"Add to Norm": "all",}}', "it is not JSON at line 1, column 30"),
        ('{\n "16": {"a": "all"}\n "8": {}}', "it is not JSON at line 3, column 2"),
        ("[" * 100_000, "it is nested too deeply"),
        ("[]", 'it is not an object of "16" and "8"'),
        ("{}", "it pins nothing"),
        ('{"7": {}}', '"7" is no width'),
        ('{"16": {}, "32": {}}', '"32" is no width'),
        ('{"16": {}, "16": {}}', '"16" is there twice'),
        ('{"16": ["Add to Norm"]}', '"16" is not an object of kinds'),
        ('{"8": {"Add to Norm": "some"}}', '"Add to Norm" has neither'),
        ('{"8": {"Add to Norm": [1]}}', '"Add to Norm" has neither'),
        (r'{"16": {"\ud800 to Add": "all"}}', r'"\ud800 to Add" holds characters'),
        (r'{"16": {"Add to Foo\u001b[31m": "all"}}', r'"Add to Foo\u001b[31m" holds characters'),
        (r'{"16": {}, "\u001b[31m": {}}', r'"\u001b[31m" holds characters'),
        (r'{"8": {"Add to Norm": ["\ud800"]}}', r'"\ud800" holds characters that no name has'),
        (f'{{"8": {5000 * "1"}}}', "a number in it has too many digits"),
        (f'{{"16": {{"{"x" * 200} to Add": "all"}}}}', f'"{"x" * 80}..." is no kind'),
        ('{"16": {"Add to Norm": "all"}, "8": {"Add to Norm": "all"}}', 'all of "16", and in "8"'),
        ('{"16": {"Add to Norm": ["a"]}, "8": {"Add to Norm": "all"}}', 'all of "8", and in "16"'),
        ('{"16": {"Add to Norm": ["a"]}, "8": {"Add to Norm": ["a"]}}', '"a" is there twice'),
        ('{"8": {"Add to Norm": ["a", "b", "a"]}}', 'the tensor "a" is there twice'),
        ('{"8": {"Add to Norm": []}}', '"Add to Norm" pins nothing: its list is empty'),
        ('{"16": {}, "8": {}}', "it pins nothing: no kind is there"),
    ],
)
def test_what_is_no_file_of_widths_is_refused_by_its_own_name(
    tmp_path: Path, text: str, says: str
) -> None:
    file = _written(tmp_path, text)
    with pytest.raises(UsageError) as refusal:
        width_pins.read(file)
    assert str(file) in refusal.value.what
    assert says in refusal.value.what
    assert width_pins.FORM in refusal.value.remedy


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
