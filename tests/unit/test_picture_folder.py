import os
import socket
from pathlib import Path

import pytest

from scripts import picture_folder
from scripts.errors import CalibrationError
from scripts.picture_folder import PictureFolder


def add(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def below(folder: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in PictureFolder.read(folder).pictures]


def test_every_format_is_found_wherever_it_lies(tmp_path: Path) -> None:
    add(tmp_path, "b/c/a.JPG", "a.jpeg", "x.jpg/y.png", "e.webp", "f.bmp", "g.tif", "h.TIFF")
    expected = ["a.jpeg", "b/c/a.JPG", "e.webp", "f.bmp", "g.tif", "h.TIFF", "x.jpg/y.png"]
    assert below(tmp_path) == expected


def test_what_systems_leave_is_left_out_and_counted(tmp_path: Path) -> None:
    add(tmp_path, "a.jpg", "._a.jpg", "__MACOSX/a.jpg", ".thumbnails/a.png", "@eaDir/a.jpg")
    add(tmp_path, "Thumbs.db", "labels.csv", "README", "b.heic")
    folder = PictureFolder.read(tmp_path)
    assert [file.name for file in folder.pictures] == ["a.jpg"]
    counted = picture_folder.by_kind(folder.left_out)
    assert counted == "5 hidden or of the system, 3 of other kinds (.csv, .heic, no suffix)"


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    images, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    add(images, "real/a.jpg")
    add(elsewhere, "b.jpg", "deep/c.jpg")
    (images / "folder").symlink_to(elsewhere)
    (images / "file.jpg").symlink_to(elsewhere / "b.jpg")
    (elsewhere / "back").symlink_to(images)
    (images / "again").symlink_to(images / "real")
    (images / "gone.jpg").symlink_to("nowhere")
    (images / "self.jpg").symlink_to("self.jpg")
    assert below(images) == ["file.jpg", "folder/b.jpg", "folder/deep/c.jpg", "real/a.jpg"]
    assert PictureFolder.read(images).left_out == {"leading to nothing new": 4}


def test_pipes_and_sockets_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")
        assert PictureFolder.read(tmp_path).left_out == {"neither file nor folder": 2}


def test_names_may_be_any_bytes(tmp_path: Path) -> None:
    for name in (b"\xff\xfe.jpg", b"new\nline.jpg", "grün ß.jpg".encode()):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"")
    assert len(below(tmp_path)) == 3


def test_a_folder_without_a_picture_is_refused_with_what_is_in_it(tmp_path: Path) -> None:
    add(tmp_path, "a.heic", "b.heic")
    with pytest.raises(CalibrationError, match=r"no picture .* 2 of other kinds \(\.heic\)"):
        PictureFolder.read(tmp_path)


@pytest.mark.parametrize("place", ["/", ".", ".."])
def test_a_link_to_a_folder_above_is_left_out_and_counted(tmp_path: Path, place: str) -> None:
    images = tmp_path / "images"
    add(tmp_path, "images/a.jpg", "b.jpg")
    (images / "deep").mkdir()
    (images / "deep" / "link").symlink_to(Path(tmp_path, place).resolve())
    folder = PictureFolder.read(images)
    assert [file.name for file in folder.pictures] == ["a.jpg"]
    assert folder.left_out == {picture_folder.UPWARDS: 1}
    assert folder.links == ()


def test_a_link_to_a_folder_above_is_left_out_behind_a_link_too(tmp_path: Path) -> None:
    images, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    add(tmp_path, "images/a.jpg", "elsewhere/b.jpg", "c.jpg")
    (images / "link").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to("..")
    folder = PictureFolder.read(images)
    assert [file.name for file in folder.pictures] == ["a.jpg", "b.jpg"]
    assert folder.left_out == {picture_folder.UPWARDS: 1}


def test_links_within_the_folder_are_none_to_a_folder_above(tmp_path: Path) -> None:
    images = tmp_path / "images"
    add(images, "a.jpg")
    (images / "deep").mkdir()
    (images / "deep" / "link").symlink_to(images)
    assert PictureFolder.read(images).left_out == {picture_folder.NOWHERE: 1}


def test_the_number_of_entries_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_folder, "MOST", 3)
    images, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    add(tmp_path, "images/a.jpg", "elsewhere/a.jpg")
    (images / "link").symlink_to(elsewhere)
    assert len(PictureFolder.read(images).pictures) == 2
    (elsewhere / "b.txt").touch()
    with pytest.raises(CalibrationError, match="more than 3 entries"):
        PictureFolder.read(images)
