from pathlib import Path

import pytest
from PIL import Image

from scripts.errors import CalibrationError
from scripts.pipeline import option_values, picture_mounts
from scripts.pipeline.mount import Mount


def add(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
    return folder


def test_a_folder_that_holds_its_pictures_is_at_images(tmp_path: Path) -> None:
    images = add(tmp_path / "pictures", "a.jpg")
    (images / "b.jpg").symlink_to("a.jpg")
    assert picture_mounts.of(images) == ("/images", (Mount(images, "/images"),))


def test_what_links_lead_to_comes_along_at_its_own_path(tmp_path: Path) -> None:
    images = add(tmp_path / "pictures", "a.jpg")
    store, album = add(tmp_path / "store" / "aa", "blob"), add(tmp_path / "album", "c.png")
    chain = add(tmp_path / "chain", "other.jpg")
    (chain / "d.jpg").symlink_to(store / "blob")
    (images / "blob.jpg").symlink_to("../store/aa/blob")
    (images / "album").symlink_to(album)
    (images / "d.jpg").symlink_to(chain / "d.jpg")
    place, mounts = picture_mounts.of(images)
    assert place == str(images)
    assert mounts[0] == Mount(images, str(images))
    assert {mount.target for mount in mounts[1:]} == {str(store), str(album), str(chain)}
    assert all(str(mount.source) == mount.target and not mount.keyed for mount in mounts[1:])


def test_a_folder_inside_another_comes_with_it(tmp_path: Path) -> None:
    images, album = add(tmp_path / "pictures", "a.jpg"), add(tmp_path / "album", "b.jpg")
    add(album / "deep", "c.jpg")
    (images / "album").symlink_to(album)
    (images / "c.jpg").symlink_to(album / "deep" / "c.jpg")
    assert [mount.target for mount in picture_mounts.of(images)[1]] == [str(images), str(album)]


def test_links_into_a_folder_of_the_container_are_refused(tmp_path: Path) -> None:
    images = add(tmp_path / "pictures", "a.jpg")
    (images / "b.jpg").symlink_to("/etc/hostname")
    with pytest.raises(CalibrationError, match="leads to /etc, and a container has") as refusal:
        picture_mounts.of(images)
    assert str(images / "b.jpg") in refusal.value.what


def test_such_a_link_is_refused_with_the_option_before_any_work(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    option_values.pictures(str(tmp_path))
    (tmp_path / "x.png").symlink_to("/etc/hostname")
    with pytest.raises(CalibrationError, match=r"x\.png leads to /etc"):
        option_values.pictures(str(tmp_path))
