"""Source and weights must belong together, and be whole."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from openqnn.modellib import weights
from openqnn.refusal import Refused

WEIGHTS = {"fc_weight": b"w" * 4000, "fc_bias": b"b" * 12}


def source(folder: Path, names: tuple[str, ...] = tuple(WEIGHTS)) -> Path:
    lines = []
    for name in names:
        digest = hashlib.sha256(WEIGHTS.get(name, b"")).hexdigest()
        lines.append(f"    {{BINVARSTART({name}), BINLEN({name})}},  // sha256 {digest}")
    path = folder / "m.cpp"
    path.write_text("\n".join(lines) + "\n")
    return path


def archive(folder: Path, members: dict[str, bytes], suffix: str = ".raw") -> Path:
    path = folder / "m.bin"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name + suffix)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_what_belongs_together_is_accepted_and_found(tmp_path: Path) -> None:
    tar = archive(tmp_path, WEIGHTS)
    entries = weights.checked(tar, source(tmp_path))
    data = tar.read_bytes()
    assert {
        entry.name: data[entry.offset : entry.offset + entry.size] for entry in entries
    } == WEIGHTS


def test_weights_are_assembled_from_where_they_lie(tmp_path: Path) -> None:
    (text,) = weights.assembly(
        Path("w.bin"), weights.checked(archive(tmp_path, WEIGHTS), source(tmp_path))
    )
    assert text.startswith('  .section WEIGHTS,"a",%progbits\n  .balign 64\n')
    assert '_fc_weight_raw_start:\n  .incbin "w.bin", 512, 4000\n_binary' in text
    assert '_fc_bias_raw_start:\n  .incbin "w.bin", 5120, 12\n_binary' in text


def test_no_group_is_larger_than_it_must_be() -> None:
    sizes = [weights.GROUP - 1, 1, 1, 2 * weights.GROUP, 5]
    entries = [weights.Weight(f"w{size}", 0, size) for size in sizes]
    groups = list(weights.assembly(Path("w.bin"), entries))
    assert [text.count(".incbin") for text in groups] == [2, 1, 1, 1]


def test_an_empty_weight_stays_empty() -> None:
    (text,) = weights.assembly(Path("w.bin"), [weights.Weight("w", 512, 0)])
    assert "_w_raw_start:\n_binary_obj_binary_w_raw_end:\n" in text


def test_a_model_without_weights_assembles_nothing() -> None:
    assert list(weights.assembly(Path("w.bin"), [])) == []


def test_a_source_of_another_model_is_refused(tmp_path: Path) -> None:
    cpp = source(tmp_path, ("fc_weight", "conv_weight"))
    with pytest.raises(Refused, match=r"does not belong to .*: it lacks conv_weight"):
        weights.checked(archive(tmp_path, WEIGHTS), cpp)


def test_weights_that_the_source_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"holds, unknown to the source, fc_bias"):
        weights.checked(archive(tmp_path, WEIGHTS), source(tmp_path, ("fc_weight",)))


def test_a_model_with_weights_needs_its_bin(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"needs 2 weights; give their \.bin with -b"):
        weights.checked(None, source(tmp_path))


def test_a_model_without_weights_needs_none(tmp_path: Path) -> None:
    assert weights.checked(None, source(tmp_path, ())) == []


@pytest.mark.parametrize("byte", [0, 150])
@pytest.mark.parametrize("member", [0, 1])
def test_a_damaged_header_is_damage_and_no_other_model(
    tmp_path: Path, byte: int, member: int
) -> None:
    """tarfile takes all but the first for the end of the archive, with members missing."""
    tar = archive(tmp_path, WEIGHTS)
    data = bytearray(tar.read_bytes())
    data[member * (512 + 4096) + byte] ^= 0xFF
    tar.write_bytes(data)
    with pytest.raises(Refused, match=r"is damaged|not a tar archive"):
        weights.checked(tar, source(tmp_path))


def test_bytes_behind_the_end_are_refused(tmp_path: Path) -> None:
    tar = archive(tmp_path, WEIGHTS)
    tar.write_bytes(tar.read_bytes() + b"x" + bytes(1023))
    with pytest.raises(Refused, match="is damaged"):
        weights.checked(tar, source(tmp_path))


@pytest.mark.parametrize("size", [0, 100, 600, 3000, 5000, -512, -1024, -1])
def test_a_truncated_bin_is_refused(tmp_path: Path, size: int) -> None:
    tar = archive(tmp_path, WEIGHTS)
    tar.write_bytes(tar.read_bytes()[:size] if size >= 0 else whole(tar)[: size + len(whole(tar))])
    with pytest.raises(Refused, match="truncated"):
        weights.checked(tar, source(tmp_path))


def whole(tar: Path) -> bytes:
    """The archive up to the two blocks that end it; tarfile pads beyond them."""
    data = tar.read_bytes().rstrip(b"\0")
    return data + bytes(-len(data) % 512) + bytes(1024)


@pytest.mark.parametrize("offset", [512, 512 + 3999])
def test_a_flipped_bit_in_a_weight_is_refused(tmp_path: Path, offset: int) -> None:
    cpp, tar = source(tmp_path), archive(tmp_path, WEIGHTS)
    data = bytearray(tar.read_bytes())
    data[offset] ^= 1
    tar.write_bytes(data)
    with pytest.raises(Refused, match="the weight fc_weight is damaged"):
        weights.checked(tar, cpp)


def test_a_flipped_bit_in_a_header_is_refused(tmp_path: Path) -> None:
    tar = archive(tmp_path, WEIGHTS)
    data = bytearray(tar.read_bytes())
    data[0] ^= 1
    tar.write_bytes(data)
    with pytest.raises(Refused):
        weights.checked(tar, source(tmp_path))


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "folder/fc_weight", "a b"])
def test_members_that_are_no_weights_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="not a model's weights"):
        weights.checked(archive(tmp_path, {name: b"x"}), source(tmp_path))


def test_a_zip_under_the_name_of_a_bin_is_refused(tmp_path: Path) -> None:
    tar = tmp_path / "m.bin"
    tar.write_bytes(b"PK\3\4" + bytes(2000))
    with pytest.raises(Refused):
        weights.checked(tar, source(tmp_path))
