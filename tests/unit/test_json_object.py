"""JSON of strangers is read or refused in words, wherever a checkpoint's files are read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import json_object
from scripts.checkpoint import contents, heads
from scripts.checkpoint.configuration import read_config
from scripts.errors import CheckpointError
from scripts.package import weights
from scripts.picture_size import PictureSize
from scripts.pictures import preprocess
from scripts.pipeline import declared_size

DEEP = 100_000 * "["


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "cannot be read as JSON"),
        (b"\xff\xff", "cannot be read as JSON"),
        (b"[]", "holds no JSON object"),
        (DEEP.encode(), "it is nested too deeply"),
        (b'{"a": ' + DEEP.encode(), "it is nested too deeply"),
        (b'{"a": ' + 5000 * b"1" + b"}", "a number in it has too many digits"),
        (b'{"a": ["\\ud800"]}', "a text in it holds characters that cannot be shown"),
        (b'{"\\u001b[2J": 1}', "a text in it holds characters that cannot be shown"),
        (b'{"a\\nb": 1}', "a text in it holds characters that cannot be shown"),
        (b'{\n"a": 1,}', "it is not JSON at line 2, column 8"),
        (b'{"a": "\xff"}', "it is not text at byte 7"),
    ],
)
def test_what_is_no_object_is_refused_by_name(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "some.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"some\.json.* {says}"):
        json_object.read(tmp_path / "some.json")


def test_a_text_may_have_several_lines(tmp_path: Path) -> None:
    (tmp_path / "some.json").write_text(json.dumps({"a": "one\n\ttwo é"}))
    assert json_object.read(tmp_path / "some.json") == {"a": "one\n\ttwo é"}


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert json_object.read(tmp_path / "some.json") == {}


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("config.json", read_config),
        ("config.json", declared_size.read),
        ("config.json", lambda folder: preprocess.settings(PictureSize.square(32), folder)),
        ("preprocessor_config.json", declared_size.read),
        (
            "preprocessor_config.json",
            lambda folder: preprocess.settings(PictureSize.square(32), folder),
        ),
        ("model.safetensors.index.json", contents.look),
    ],
)
def test_no_file_of_a_checkpoint_is_nested_too_deeply(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    (tmp_path / name).write_text('{"image_size": ' + DEEP)
    with pytest.raises(CheckpointError, match="it is nested too deeply"):
        read(tmp_path)


def test_a_note_of_fetch_that_is_nested_too_deeply_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "origin.json").write_text(DEEP)
    assert weights.origin(tmp_path) is None


ENTRY = '{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}'


@pytest.mark.parametrize(
    "header",
    [
        20_000 * "[",
        "[]",
        '{"weight": []}',
        '{"weight": {"data_offsets": [0, 4]}}',
        *(
            f'{{"weight": {ENTRY.replace(old, new)}}}'
            for old, new in (
                ('"F32"', "[]"),
                ("[1]", "1"),
                ("[1]", '["1"]'),
                ("[1]", "[-1]"),
                ("[0, 4]", "[4]"),
                ("[0, 4]", "[0, null]"),
                ("[0, 4]", '[0, "4"]'),
            )
        ),
    ],
)
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: str) -> None:
    file = tmp_path / "head.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(4))
    for read in (contents.look, lambda path: heads.check(path, 1)):
        with pytest.raises(CheckpointError, match=r"head\.safetensors is damaged: its header"):
            read(file)


@pytest.mark.parametrize(
    "names", ["[]", '{"weight_map": []}', '{"weight_map": {"a": []}}', "[1]", "{}"]
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, names: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(names)
    with pytest.raises(CheckpointError, match=r"index\.json (is damaged|holds no)"):
        contents.look(tmp_path)
