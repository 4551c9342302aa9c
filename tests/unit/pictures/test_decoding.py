from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from scripts.errors import ImageFileError
from scripts.picture_size import PictureSize
from scripts.pictures import decoding, preprocess
from scripts.source import ROOT
from tests.unit.pictures import whole

SIZE = PictureSize(16, 24)
ORIENTATION = 0x112


def noise(height: int, width: int, channels: int = 3) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(pixels)


def rgb(path: Path) -> np.ndarray:
    return np.concatenate(list(decoding.decoded(path, path.parent).strips()))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is a large picture, and comes in strips of a few rows."""
    monkeypatch.setattr(decoding, "IN_MEMORY", 0)
    monkeypatch.setattr(decoding, "STRIP_BYTES", 1000)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("height", "width"), [(137, 61), (9, 40), (16, 24)])
def test_strips_give_the_values_of_the_whole_picture(
    tmp_path: Path, orientation: int, height: int, width: int, narrow: None
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    for name in ("a.png", "a.jpg", "a.tif"):
        noise(height, width).save(tmp_path / name, exif=exif)
        values = preprocess.resized(decoding.decoded(tmp_path / name, tmp_path), SIZE)
        expected = whole.resized(whole.load(tmp_path / name), SIZE)
        assert np.array_equal(values, expected), name


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "RGB"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp"])
def test_every_format_and_mode_is_read_as_pillow_reads_it(
    tmp_path: Path, mode: str, suffix: str, narrow: None
) -> None:
    file = tmp_path / f"a.{suffix}"
    try:
        noise(40, 30).convert(mode).save(file)
    except OSError:
        pytest.skip(f"Pillow writes no {suffix} of mode {mode}")
    assert np.array_equal(rgb(file), np.asarray(whole.load(file)))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_scaled_to_8(tmp_path: Path, suffix: str) -> None:
    eight = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    Image.fromarray(eight.astype(np.uint16) * 257).save(tmp_path / f"a.{suffix}")
    assert np.array_equal(rgb(tmp_path / f"a.{suffix}")[..., 0], eight)


def deep_png(values: NDArray[np.uint16]) -> bytes:
    """Return a PNG of 16 bits a channel, [rows, columns, 3 or 4]; Pillow writes none in colour."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def deep_tiff(values: NDArray[np.uint16]) -> bytes:
    """Return a TIFF of 16 bits a channel, [rows, columns, 3], in one strip without compression."""
    height, width, _ = values.shape
    data, bits = values.astype("<u2").tobytes(), struct.pack("<3H", 16, 16, 16)
    tags = {256: (4, width), 257: (4, height), 258: (3, 8), 259: (3, 1), 262: (3, 2)}
    tags |= {273: (4, 14), 277: (3, 3), 278: (4, height), 279: (4, len(data))}
    counts = {258: 3}
    entries = b"".join(
        struct.pack("<HHII", tag, kind, counts.get(tag, 1), value)
        for tag, (kind, value) in tags.items()
    )
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 14 + len(data)) + bits + data + directory


def test_16_bit_colours_are_scaled_to_8(tmp_path: Path) -> None:
    eight = np.asarray(noise(20, 30))
    for name, write in {"a.png": deep_png, "a.tif": deep_tiff}.items():
        (tmp_path / name).write_bytes(write(eight.astype(np.uint16) * 257))
        assert np.array_equal(rgb(tmp_path / name), eight)


@pytest.mark.parametrize("name", ["rgb.png", "rgba.png", "rgb.tif"])
def test_dark_colours_of_16_bits_are_told_as_dark_gray_is(tmp_path: Path, name: str) -> None:
    values = np.random.default_rng(0).integers(0, 2**12, (20, 30, 3), np.uint16)
    opaque = np.full((20, 30, 1), 2**16 - 1, np.uint16)
    for levels in (values, values * 16):
        deep = np.concatenate([levels, opaque], axis=2) if name == "rgba.png" else levels
        (tmp_path / name).write_bytes((deep_tiff if name.endswith("tif") else deep_png)(deep))
        assert decoding.decoded(tmp_path / name).is_dark == (levels is values)


def test_a_dark_picture_of_8_bits_is_a_dark_picture(tmp_path: Path) -> None:
    Image.fromarray(np.asarray(noise(20, 30)) // 16).save(tmp_path / "night.png")
    assert not decoding.decoded(tmp_path / "night.png").is_dark


def test_pixels_without_a_brightest_value_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "deep.tif")
    with pytest.raises(ImageFileError, match=r"deep\.tif has F pixels"):
        rgb(tmp_path / "deep.tif")


@pytest.mark.parametrize("rest", [b"", b"\xff" * 40, b"\0" * 7])
def test_a_corrupt_exif_block_does_not_matter_but_for_its_orientation(
    tmp_path: Path, rest: bytes
) -> None:
    """Its first entry is the orientation; those after it are rubbish."""
    entries = struct.pack("<HHHIHH", 40, ORIENTATION, 3, 1, 6, 0) + rest
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + entries
    noise(20, 40).save(tmp_path / "a.jpg", exif=exif)
    raster = decoding.decoded(tmp_path / "a.jpg")
    assert raster.turn in (decoding.Turn(rows=True, swapped=True), decoding.Turn())
    preprocess.resized(raster, SIZE)


def test_exif_that_cannot_be_written_again_is_turned_by(tmp_path: Path) -> None:
    # A text where the standard wants a rational: Pillow's own turning ends in a traceback.
    entry = struct.pack("<HHI4s", 0x11A, 2, 4, b"abc\0")
    turn = struct.pack("<HHIHH", ORIENTATION, 3, 1, 6, 0)
    body = struct.pack("<H", 2) + turn + entry + struct.pack("<I", 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + body
    noise(20, 40).save(tmp_path / "a.jpg", exif=exif)
    assert decoding.decoded(tmp_path / "a.jpg").turn == decoding.Turn(rows=True, swapped=True)


@pytest.mark.parametrize("keep", [0, 10, 200])
@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "bmp", "tif"])
def test_a_cut_file_is_refused_by_name(tmp_path: Path, kind: str, keep: int) -> None:
    file = tmp_path / f"cut.{kind}"
    noise(64, 64).save(file)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ImageFileError, match=f"cut.{kind}"):
        rgb(file)


def test_a_large_cut_file_is_refused_too(tmp_path: Path, narrow: None) -> None:
    file = tmp_path / "cut.jpg"
    noise(64, 64).save(file)
    file.write_bytes(file.read_bytes()[:-900])
    with pytest.raises(ImageFileError, match=r"cut\.jpg"):
        rgb(file)


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "tiff_deflate"])
def test_decoders_write_nothing_to_the_console(
    tmp_path: Path, compression: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """libtiff writes from C, and Pillow warns of what EXIF has wrong."""
    file = tmp_path / "a.tif"
    noise(64, 64).save(file, compression=compression)
    whole_file, dice = file.read_bytes(), np.random.default_rng(0)
    for keep in (*range(len(whole_file) - 200, len(whole_file), 9), None):
        damaged = bytearray(whole_file[:keep])
        for place in dice.integers(8, len(damaged), 20):
            damaged[place] ^= 0x55
        file.write_bytes(damaged)
        with contextlib.suppress(ImageFileError):
            rgb(file)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"not a picture", "no format that is known"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no format that is known"),
        (None, "damaged or cut"),
    ],
)
def test_a_refusal_shows_nothing_of_python(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    noise(64, 64).save(tmp_path / "a.png")
    cut = (tmp_path / "a.png").read_bytes()[:900]
    (tmp_path / "a.png").write_bytes(cut if content is None else content)
    with pytest.raises(ImageFileError, match=says) as refusal:
        rgb(tmp_path / "a.png")
    assert "<" not in str(refusal.value)


@pytest.mark.parametrize("method", ["open", "load"])
def test_a_lack_of_memory_is_no_fault_of_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise MemoryError

    noise(64, 64).save(tmp_path / "a.png")
    monkeypatch.setattr(Image if method == "open" else PngImageFile, method, fail)
    with pytest.raises(MemoryError):
        rgb(tmp_path / "a.png")


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not a picture")
    with pytest.raises(ImageFileError, match=r"a\.png"):
        rgb(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("a.jpg", {"progressive": True}, "progressive JPEG"),
        ("a.webp", {}, "WEBP"),
        ("a.tif", {"compression": "tiff_lzw"}, "TIFF that is compressed"),
    ],
)
def test_what_can_only_be_read_as_a_whole_is_refused_above_a_size(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    options: dict[str, Any],
    kind: str,
) -> None:
    noise(100, 80).save(tmp_path / name, **options)
    rgb(tmp_path / name)
    monkeypatch.setattr(decoding, "AT_ONCE", 20_000)
    with pytest.raises(ImageFileError, match=kind):
        rgb(tmp_path / name)


def test_more_than_500_megapixels_are_refused(tmp_path: Path) -> None:
    header = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
    info = struct.pack("<IiiHHIIiiII", 40, 30_000, 20_000, 1, 24, 0, 0, 0, 0, 0, 0)
    (tmp_path / "huge.bmp").write_bytes(header + info)
    with pytest.raises(ImageFileError, match=r"huge\.bmp has 600 megapixels"):
        rgb(tmp_path / "huge.bmp")


PROGRAM = """
import json, sys
from pathlib import Path
from typing import Any
from scripts.picture_size import PictureSize
from scripts.pictures import decoding, preprocess
path = Path(sys.argv[1])
values = preprocess.resized(decoding.decoded(path, path.parent), PictureSize.square(224))
status = Path("/proc/self/status").read_text().split()
peak = int(status[status.index("VmHWM:") + 1])
print(json.dumps([peak * 1024, values.mean(axis=(1, 2)).tolist()]))
"""


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize(
    "size", [(10_000, 10_000), pytest.param((25_000, 20_000), marks=pytest.mark.slow)]
)
def test_large_pictures_take_less_than_300_mb(
    tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    """The mean of each channel says that the whole picture was seen.

    `ru_maxrss` of a child would be that of its parent before it.
    """
    file, gradient = tmp_path / name, Image.radial_gradient("L")
    gradient.resize(size, Image.Resampling.NEAREST).convert("RGB").save(
        file, quality=60, subsampling=2, compress_level=1
    )
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file)],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT}/toolchains/openqnn/lib/python"},
    )
    peak, means = json.loads(run.stdout)
    expected = np.asarray(gradient).mean() / 255
    assert peak < 300e6
    assert np.allclose(means, expected, atol=2e-3)


def test_nothing_is_left_of_a_large_picture(tmp_path: Path, narrow: None) -> None:
    noise(64, 64).save(tmp_path / "a.png")
    rgb(tmp_path / "a.png")
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
