"""The .bin: each weight once, the same bytes always, matrices as 16-bit floats where asked for."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from openqnn.converter import archive, names
from tests.unit.openqnn import recorded


def write(folder: Path, bits: int, name: str = "m.bin") -> tuple[Path, dict[int, archive.Stored]]:
    graph = recorded.graph(folder / "record")
    identifiers = names.identifiers(one.name for one in graph.tensors)
    path = folder / name
    return path, archive.write(path, graph, identifiers, bits)


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {one.name: (tar.extractfile(one) or io.BytesIO()).read() for one in tar}


def test_holds_each_weight_once(tmp_path: Path) -> None:
    path, stored = write(tmp_path, 32)
    assert members(path) == {
        "fc_weight.raw": recorded.WEIGHT.tobytes(),
        "fc_bias.raw": recorded.BIAS.tobytes(),
    }
    assert stored[2].sha256 == hashlib.sha256(recorded.WEIGHT.tobytes()).hexdigest()


def test_only_matrices_are_halved(tmp_path: Path) -> None:
    path, stored = write(tmp_path, 16)
    found = members(path)
    assert found["fc_weight.raw"] == recorded.WEIGHT.astype(np.float16).tobytes()
    assert found["fc_bias.raw"] == recorded.BIAS.tobytes()
    assert [stored[number].is_half for number in (2, 3)] == [True, False]


@pytest.mark.parametrize("large", [65536.0, -3e38])
def test_what_overflows_in_16_bits_keeps_32(
    tmp_path: Path, large: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = recorded.WEIGHT.copy()
    weight[0, 0] = large
    monkeypatch.setattr(recorded, "WEIGHT", weight)
    path, stored = write(tmp_path, 16)
    assert not stored[2].is_half
    assert members(path)["fc_weight.raw"] == weight.tobytes()


def test_same_bytes_every_time(tmp_path: Path) -> None:
    first, _ = write(tmp_path, 16, "a.bin")
    second, _ = write(tmp_path, 16, "b.bin")
    assert first.read_bytes() == second.read_bytes()


def test_recorded_files_are_removed_as_they_are_stored(tmp_path: Path) -> None:
    write(tmp_path, 32)
    assert sorted(path.name for path in (tmp_path / "record").glob("*.raw")) == ["5.raw"]
