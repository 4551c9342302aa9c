"""The .bin: each weight once, the same bytes always, matrices as 16-bit floats where asked for."""

import hashlib
import io
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openqnn import qnn
from openqnn.converter import archive
from tests.unit.openqnn import recorded


def write(
    folder: Path, bits: int, name: str = "m.bin", lines: Any = None
) -> tuple[Path, archive.Contents]:
    path = folder / name
    return path, archive.write(path, recorded.graph(folder / "record", lines), bits)


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar}


def test_holds_each_weight_once(tmp_path: Path) -> None:
    path, contents = write(tmp_path, 32)
    assert members(path) == {
        "fc_weight.raw": recorded.WEIGHT.tobytes(),
        "fc_bias.raw": recorded.BIAS.tobytes(),
    }
    assert contents.weights[2].sha256 == hashlib.sha256(recorded.WEIGHT.tobytes()).hexdigest()


def test_only_matrices_are_halved(tmp_path: Path) -> None:
    path, contents = write(tmp_path, 16)
    packed = members(path)
    assert packed["fc_weight.raw"] == recorded.WEIGHT.astype(np.float16).tobytes()
    assert packed["fc_bias.raw"] == recorded.BIAS.tobytes()
    assert [contents.weights[number].is_half for number in (2, 3)] == [True, False]


@pytest.mark.parametrize("large", [65536.0, -3e38])
def test_what_overflows_in_16_bits_keeps_32(
    tmp_path: Path, large: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = recorded.WEIGHT.copy()
    weight[0, 0] = large
    monkeypatch.setattr(recorded, "WEIGHT", weight)
    path, contents = write(tmp_path, 16)
    assert not contents.weights[2].is_half
    assert members(path)["fc_weight.raw"] == weight.tobytes()


def test_encodings_along_an_axis_are_kept_as_qnn_has_them(tmp_path: Path) -> None:
    lines = recorded.calls()
    value = {"axis": 0, "scales": recorded.SCALES, "offsets": [0, -1, 2]}
    lines[3]["quantization"] = {"encoding": qnn.AXIS_SCALE_OFFSET, "value": value}
    lines[4]["quantization"] = {
        "encoding": qnn.BW_AXIS_SCALE_OFFSET,
        "value": {"bitwidth": 4, **value},
    }
    path, contents = write(tmp_path, 32, lines=lines)
    data = members(path)["encodings_per_axis.raw"]
    pairs, columns = struct.unpack("<fififi", data[:24]), struct.unpack("<fffiii", data[24:])
    assert pairs == (0.5, 0, 0.25, -1, 0.125, 2)
    assert columns == (0.5, 0.25, 0.125, 0, -1, 2)
    assert contents.encodings is not None
    assert contents.encodings.sha256 == hashlib.sha256(data).hexdigest()


def test_scales_keep_every_bit(tmp_path: Path) -> None:
    lines = recorded.calls()
    scales = np.array([0.1, 1e-45, 3.4028234e38], np.float32)
    value = {"axis": 0, "scales": [float(f"{scale:.9g}") for scale in scales], "offsets": [0, 0, 0]}
    lines[3]["quantization"] = {"encoding": qnn.AXIS_SCALE_OFFSET, "value": value}
    path, _ = write(tmp_path, 32, lines=lines)
    saved = np.frombuffer(members(path)["encodings_per_axis.raw"], np.float32)
    assert saved[::2].tobytes() == scales.tobytes()


def test_a_weight_may_have_the_name_of_the_encodings(tmp_path: Path) -> None:
    lines = recorded.calls()
    lines[3]["name"] = archive.ENCODINGS
    value = {"axis": 0, "scales": recorded.SCALES, "offsets": recorded.OFFSETS}
    lines[3]["quantization"] = {"encoding": qnn.AXIS_SCALE_OFFSET, "value": value}
    path, contents = write(tmp_path, 32, lines=lines)
    assert contents.weights[2].identifier == archive.ENCODINGS
    assert set(members(path)) == {
        "encodings_per_axis.raw",
        "fc_bias.raw",
        "encodings_per_axis_2.raw",
    }


def test_same_bytes_every_time(tmp_path: Path) -> None:
    first, _ = write(tmp_path, 16, "a.bin")
    second, _ = write(tmp_path, 16, "b.bin")
    assert first.read_bytes() == second.read_bytes()


def test_recorded_files_are_removed_as_they_are_stored(tmp_path: Path) -> None:
    write(tmp_path, 32)
    assert sorted(path.name for path in (tmp_path / "record").glob("*.raw")) == ["5.raw"]
