from __future__ import annotations

import argparse
import errno
import io
import json
import os
import re
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from scripts.errors import CalibrationError, UsageError
from scripts.picture_size import PictureSize
from scripts.pictures import decoding, preprocess
from scripts.pictures.collector import spread
from scripts.pictures.image_set import HeldOut
from scripts.stages import calibrate

HOW = preprocess.Preprocessing(PictureSize.square(8))


def add(folder: Path, name: str, seed: int) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    return file


def folder_of(root: Path, count: int) -> Path:
    for number in range(count):
        add(root / "pictures", f"{number % 4}/{number:03d}.png", number)
    return root / "pictures"


def run(images: Path, out: Path, **options: Any) -> dict[str, Any]:
    values = {
        "model": "vits16",
        "set": "calibration",
        "size": HOW.size,
        "count": None,
        "weights": None,
        "exclude": None,
        "beside": 0,
    }
    calibrate.main(argparse.Namespace(images=images, out=out, **(values | options)))
    name = options.get("set", "calibration")
    manifest = json.loads((out / "calibration" / name / "manifest.json").read_text())
    assert isinstance(manifest, dict)
    return manifest


def test_a_set_says_what_it_holds(tmp_path: Path) -> None:
    images, out = folder_of(tmp_path, 20), tmp_path / "out"
    manifest = run(images, out)
    assert manifest["layout"] == "NCHW"
    assert manifest["colour_order"] == "RGB"
    assert len(manifest["images"]) == 20
    for image in manifest["images"]:
        raw = (out / "calibration/calibration" / image["raw"]).read_bytes()
        file = images / image["source"]
        pixels = preprocess.of_file(file, HOW)
        assert raw == pixels.tobytes()
        assert image["raw_sha256"] == sha256(raw).hexdigest()
        rgb = (out / "calibration/calibration" / image["rgb"]).read_bytes()
        values = preprocess.resized(decoding.decoded(file), HOW.size)
        assert rgb == preprocess.as_bytes(values).tobytes()
        assert image["rgb_sha256"] == sha256(rgb).hexdigest()
        assert image["sha256"] == sha256(file.read_bytes()).hexdigest()
        assert image["label"] == file.parent.name


def test_the_input_list_names_the_tensors_as_the_container_sees_them(tmp_path: Path) -> None:
    run(folder_of(tmp_path, 3), tmp_path / "out")
    lines = (tmp_path / "out/calibration/calibration/input_list.txt").read_text().splitlines()
    assert lines == [f"/build/calibration/calibration/{number:06d}.raw" for number in range(3)]


def test_the_same_pictures_elsewhere_give_the_same_bytes(tmp_path: Path) -> None:
    for place in ("here", "there"):
        run(folder_of(tmp_path / place, 9), tmp_path / place / "out", count=5)
    here, there = (sorted((tmp_path / place / "out").rglob("*.*")) for place in ("here", "there"))
    assert [file.read_bytes() for file in here] == [file.read_bytes() for file in there]
    assert len(here) == 12


def test_fewer_pictures_are_the_first_of_more_and_evenly_spread() -> None:
    files = [Path(str(number)) for number in range(1000)]
    order = spread(files)
    assert sorted(order) == sorted(files)
    assert order[:100] == spread(files)[:100]
    tenths = Counter(int(file.name) // 100 for file in order[:100])
    assert len(tenths) == 10
    assert set(tenths.values()) <= {9, 10, 11}


def test_pictures_that_cannot_be_used_are_left_out_and_counted_by_kind(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    images = folder_of(tmp_path, 20)
    for name in ("2/002.png", "3/003.png"):
        (images / name).write_bytes((images / name).read_bytes()[:80])
    (images / "empty.jpg").touch()
    (images / "page.png").write_text("<html>")
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(images / "depth.tif")
    (images / "notes.txt").touch()
    manifest = run(images, tmp_path / "out")
    assert len(manifest["images"]) == 18
    said, errors = capfd.readouterr()
    assert (
        "  left out: 2 damaged or cut short, 2 of no known format, 1 of other kinds (.txt), "
        "1 without a brightest value\n" in said
    )
    assert re.search(r"warning: 2 pictures damaged or cut short, first ./00.\.png\n", said)
    assert not errors


def test_files_that_may_not_be_read_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images, opened = folder_of(tmp_path, 17), io.FileIO

    def refuse(path: Path) -> io.FileIO:
        if path.name == "007.png":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path)

    monkeypatch.setattr(io, "FileIO", refuse)
    assert len(run(images, tmp_path / "out")["images"]) == 16
    said = capsys.readouterr().out
    assert "left out: 1 that may not be read" in said
    assert "1 picture that may not be read, first 3/007.png" in said


@pytest.mark.parametrize("kind", ["damaged", "one colour"])
def test_a_folder_without_one_usable_picture_is_refused(tmp_path: Path, kind: str) -> None:
    file = add(tmp_path / "pictures", "a.png", 0)
    if kind == "damaged":
        file.write_bytes(file.read_bytes()[:80])
    else:
        Image.new("RGB", (9, 9)).save(file)
    with pytest.raises(CalibrationError, match="0 usable pictures, left out: 1 ") as refusal:
        run(tmp_path / "pictures", tmp_path / "out")
    assert refusal.value.cause
    assert "--images" in refusal.value.remedy


def test_copies_and_single_colours_are_skipped_by_name_and_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = folder_of(tmp_path, 8)
    add(images, "copy.png", 0)
    Image.new("RGB", (9, 9), (40, 50, 60)).save(images / "grey.png")
    manifest = run(images, tmp_path / "out", count=8)
    assert len(manifest["images"]) == 8
    assert len({image["raw_sha256"] for image in manifest["images"]}) == 8
    everything = run(images, tmp_path / "all")
    assert set(everything["skipped"]) <= {"copy.png", "0/000.png", "grey.png"}
    assert len(everything["skipped"]) == 2
    assert (
        "1 picture without content, of nearly one colour or transparent, first grey.png"
        in capsys.readouterr().out
    )


def noise(size: int, levels: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, levels, (size, size, 3)).astype(np.uint8)


def without_content() -> dict[str, Image.Image]:
    """Pictures of which nothing is to be seen: their names, sorted, end."""
    stuck = noise(256, 6)
    stuck[100, 100] = 255
    clear = np.dstack([noise(32, 256), np.zeros((32, 32, 1), np.uint8)])
    palette = Image.fromarray(noise(32, 256)).quantize(16)
    palette.info["transparency"] = bytes(16)
    return {
        "black.png": Image.fromarray(noise(32, 6)),
        "clear.png": Image.fromarray(clear, "RGBA"),
        "palette.png": palette,
        "red.png": Image.fromarray(noise(32, 6) + np.array([249, 0, 0], np.uint8)),
        "stuck.png": Image.fromarray(stuck),
    }


def dark(levels: int) -> Image.Image:
    """Numbers of 10 or 12 bits in a picture of 16."""
    rows = np.linspace(0, levels - 1, 32).astype(np.uint16)
    return Image.fromarray(np.repeat(rows[:, None], 32, axis=1) + np.arange(32, dtype=np.uint16))


def test_scans_of_fewer_bits_in_16_are_warned_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = folder_of(tmp_path, 16)
    for name, levels in {"10.tif": 2**10, "12.tif": 2**12, "full.tif": 2**16 - 32}.items():
        dark(levels).save(images / name)
    manifest = run(images, tmp_path / "out")
    assert manifest["skipped"] == {"10.tif": "dark, perhaps 12 bits stored in 16"}
    lines = capsys.readouterr().out.splitlines()
    assert "  left out: 1 dark, perhaps 12 bits stored in 16" in lines
    assert "  warning: 1 picture dark, perhaps 12 bits stored in 16, first 12.tif" in lines


def test_masks_of_small_labels_are_left_out_as_masks(tmp_path: Path) -> None:
    images, dice = tmp_path / "masks", np.random.default_rng(0)
    images.mkdir()
    for number in range(4):
        labels = dice.integers(0, 3, (20, 20), np.uint8)
        Image.fromarray(labels).save(images / f"{number}.png")
    with pytest.raises(CalibrationError, match="left out: 4 with few values, as in mask") as error:
        run(images, tmp_path / "out")
    assert error.value.cause == "masks of labels in place of pictures"


def test_pictures_without_content_are_skipped_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = folder_of(tmp_path, 16)
    for name, picture in without_content().items():
        picture.save(images / name)
    some = noise(32, 256)
    three = np.dstack([some, np.zeros((32, 32, 1), np.uint8)])
    three[8:12, 8:12, 3] = 255
    Image.fromarray(three, "RGBA").save(images / "cut-out.png")
    Image.fromarray(noise(8, 256) // 20).resize((32, 32), 0).save(images / "dark.png")
    target = np.full((32, 32, 3), 240, np.uint8)
    target[4:6, 4:6] = 0
    Image.fromarray(target).save(images / "small-target.png")
    manifest = run(images, tmp_path / "out")
    assert set(manifest["skipped"]) == set(without_content())
    said = capsys.readouterr().out
    assert "left out: 5 without content" in said
    assert "5 pictures without content, of nearly one colour or transparent, first " in said


def test_copies_of_a_picture_count_once_as_it_does_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        add(tmp_path / "pictures", f"{number}.png", 0)
    run(tmp_path / "pictures", tmp_path / "out")
    said = capsys.readouterr().out
    assert "left out: 5 the same as others" in said and "1 picture only" in said


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="no picture"):
        run(tmp_path, tmp_path / "out")


def test_a_count_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run(folder_of(tmp_path, 2), tmp_path / "out", count=0)


def test_few_pictures_are_warned_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder_of(tmp_path, 20), tmp_path / "out", count=16)
    assert "warning" not in capsys.readouterr().out
    run(folder_of(tmp_path, 20), tmp_path / "few", count=15)
    assert "15 pictures only; 16 or more" in capsys.readouterr().out


def test_a_held_out_set_from_the_same_folder_stays_disjoint(tmp_path: Path) -> None:
    images, out = folder_of(tmp_path, 24), tmp_path / "out"
    calibration = run(images, out, count=16)
    held_out = run(images, out, set="heldout", count=8, exclude=out / "calibration" / "calibration")
    names = [
        {image["source"] for image in image_set["images"]} for image_set in (calibration, held_out)
    ]
    assert len(names[0]) == 16
    assert len(names[1]) == 8
    assert not names[0] & names[1]


def test_a_set_with_nothing_left_for_it_is_refused(tmp_path: Path) -> None:
    images, out = folder_of(tmp_path, 6), tmp_path / "out"
    run(images, out)
    with pytest.raises(CalibrationError, match="0 usable") as refusal:
        run(images, out, set="heldout", exclude=out / "calibration" / "calibration")
    assert "--heldout" in refusal.value.remedy
    assert "both sets" in refusal.value.cause


def both_sets(images: Path, out: Path, counts: tuple[int, int]) -> tuple[dict[str, Any], ...]:
    calibration = run(images, out, count=counts[0], beside=counts[1])
    folder = out / "calibration" / "calibration"
    held_out = run(images, out, set="heldout", count=counts[1], beside=counts[0], exclude=folder)
    return calibration, held_out


@pytest.mark.parametrize(
    ("pictures", "calibrated", "held_out"),
    [(4, 3, 1), (8, 6, 2), (28, 21, 7), (40, 30, 10), (44, 32, 12), (100, 32, 16)],
)
def test_the_held_out_share_is_set_aside_first(
    tmp_path: Path, pictures: int, calibrated: int, held_out: int
) -> None:
    sets = both_sets(folder_of(tmp_path, pictures), tmp_path / "out", (32, 16))
    names = [{image["source"] for image in image_set["images"]} for image_set in sets]
    assert [len(group) for group in names] == [calibrated, held_out]
    assert not names[0] & names[1]
    assert sets[1]["held_out"]


def test_a_folder_too_small_to_hold_any_back_is_verified_on_what_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibration, held_out = both_sets(folder_of(tmp_path, 3), tmp_path / "out", (32, 16))
    assert calibration["images"] == held_out["images"]
    assert not held_out["held_out"]
    assert "verify judges those that calibration has seen" in capsys.readouterr().out


def test_copies_of_calibration_pictures_are_not_held_out(tmp_path: Path) -> None:
    images = folder_of(tmp_path, 20)
    for number in range(20):
        add(images, f"copies/{number:03d}.png", number)
    calibration, held_out = both_sets(images, tmp_path / "out", (20, 20))
    hashes = [{image["raw_sha256"] for image in part["images"]} for part in (calibration, held_out)]
    assert [len(part) for part in hashes] == [15, 5]
    assert not hashes[0] & hashes[1]


def sources(manifest: dict[str, Any]) -> list[str]:
    return [image["source"] for image in manifest["images"]]


def test_what_cannot_be_used_takes_no_place_in_either_share(tmp_path: Path) -> None:
    """Whichever files are drawn for the held-out share, it is as large as usable ones allow."""
    images = folder_of(tmp_path, 8)
    for number in range(30):
        Image.fromarray(np.full((9, 9), number % 2, np.uint8)).save(images / f"mask-{number}.png")
    (images / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    calibration, held_out = both_sets(images, tmp_path / "out", (32, 16))
    assert [len(sources(calibration)), len(sources(held_out))] == [6, 2]
    assert not {*sources(calibration)} & {*sources(held_out)}
    assert held_out["held_out"]
    files = (tmp_path / "out/calibration/calibration").iterdir()
    assert Counter(file.suffix for file in files) == {".raw": 6, ".rgb": 6, ".txt": 1, ".json": 1}


def test_good_pictures_are_divided_along_the_spread_files(tmp_path: Path) -> None:
    images = folder_of(tmp_path, 60)
    files = spread(sorted(images.rglob("*.png")))
    order = [file.relative_to(images).as_posix() for file in files]
    calibration, held_out = both_sets(images, tmp_path / "out", (32, 16))
    assert sources(calibration) == order[:32]
    assert sources(held_out) == order[32:48]


def test_what_was_left_out_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = folder_of(tmp_path, 16)
    for name in ("._000.png", "Thumbs.db", "notes.txt"):
        (images / name).write_text("")
    run(images, tmp_path / "out")
    lines = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert lines == ["  left out: 2 hidden or of the system, 1 of other kinds (.txt)"]


def test_masks_are_warned_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = folder_of(tmp_path, 16)
    labels = np.random.default_rng(0).integers(0, 9, (20, 20), np.uint8)
    Image.fromarray(labels * 9).save(images / "labels.png")
    run(images, tmp_path / "out")
    expected = "  warning: 1 picture with few values, as in masks, first labels.png"
    assert expected in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2"])
def test_pictures_of_many_values_are_no_masks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Every value of 16 bits may be above what 8 bits hold, or far below its brightest."""
    images, dice = folder_of(tmp_path, 16), np.random.default_rng(0)
    bright = np.iinfo(kind).max
    for name, low in (("all", 0), ("bright", bright // 2)):
        noise = dice.integers(low, bright, (40, 40)).astype(kind)
        Image.fromarray(noise).save(images / f"{name}.tif")
    run(images, tmp_path / "out")
    assert "warning" not in capsys.readouterr().out
    labels = dice.integers(0, 9, (40, 40)).astype(kind) * (bright // 9)
    Image.fromarray(labels.astype(kind)).save(images / "labels.tif")
    run(images, tmp_path / "again")
    assert "few values, as in masks, first labels.tif" in capsys.readouterr().out


def test_names_that_are_not_utf_8_come_through(tmp_path: Path) -> None:
    images, out = folder_of(tmp_path, 3), tmp_path / "out"
    name = os.fsdecode(b"\xff\xfe.png")
    add(images, "other.png", 7).rename(images / name)
    manifest = run(images, out)
    assert name in {image["source"] for image in manifest["images"]}
    pixels = HeldOut.load(out / "calibration" / "calibration").pixels(images, HOW.size)
    assert len(pixels) == 4
