"""A set of preprocessed pictures on disk: made from a folder, and read again.

Every picture is written twice, for either kind of network: normalised, float32
[3, height, width], as `.raw`; and only resized, uint8 [height, width, 3], as `.rgb`.
`input_list.txt` names the raws, and `manifest.json` every picture with its hashes, where it came
from, and its label.

Pictures are taken in an order that is spread evenly over the sorted folder whatever the count, so
16 pictures are the first 16 of 32. What cannot be used is left out, replaced, and counted by kind:
files that cannot be read, pictures without content (`content`), copies of others.

Two sets of one folder are divided when calibration is made, among pictures that are known to be
usable; its manifest names those that it sets aside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from openqnn.progress import say, track
from scripts import digests
from scripts.errors import CalibrationError
from scripts.metrics import Features
from scripts.picture_size import PictureSize
from scripts.pictures import preprocess
from scripts.pictures.collector import (
    CAUSES,
    COPY,
    DARK,
    EMPTY,
    FEW,
    IN_OTHER_SET,
    MASK,
    Collector,
    Shares,
    causes,
)
from scripts.words import counted, shown

CALIBRATION = "calibration"


def collect(collector: Collector, count: int | None, files: Sequence[Path]) -> None:
    """Fill the set with up to `count` of the files, or with all that are usable.

    Raises:
        CalibrationError: not one is.
    """
    _fill(collector, count, files)
    _warn_of_few(collector)


def collect_both(collector: Collector, shares: Shares, files: Sequence[Path]) -> None:
    """Fill the calibration set, and set the other set's share of the same files aside.

    Raises:
        CalibrationError: as `collect`.
    """
    _fill(collector, shares.most, files)
    collector.divide(shares)
    _warn_of_few(collector)


def collect_aside(
    collector: Collector, count: int | None, files: Sequence[Path], set_dir: Path
) -> None:
    """Fill a held-out set with what calibration set aside; where that is none, with what it has.

    Raises:
        CalibrationError: as `collect`.
    """
    if aside := _manifest(set_dir)["aside"]:
        return _fill(collector, count, [collector.images / source for source in aside])
    say(
        "  warning: fewer than 4 usable pictures, of which none can be held out: verify judges "
        "those that calibration has seen"
    )
    collector.held_out, collector.excluded = False, ()
    return _fill(collector, count, files)


def seen_in(set_dir: Path | None) -> set[str]:
    """Return the hashes of the tensors of another set."""
    if set_dir is None:
        return set()
    return {image["raw_sha256"] for image in _manifest(set_dir)["images"]}


def _manifest(set_dir: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((set_dir / "manifest.json").read_text())
    return manifest


def write(collector: Collector, name: str, listed_at: PurePosixPath) -> None:
    """Write `input_list.txt`, with paths below `listed_at`, and last `manifest.json`."""
    lines = [f"{listed_at / image.raw}\n" for image in collector.taken]
    (collector.out / "input_list.txt").write_text("".join(lines))
    manifest = {
        "set": name,
        **asdict(collector.how),
        "layout": "NCHW",
        "rgb_layout": "NHWC",
        "colour_order": "RGB",
        "held_out": collector.held_out,
        "images": [asdict(image) for image in collector.taken],
        "skipped": collector.skipped,
        **({} if collector.aside is None else {"aside": collector.aside}),
    }
    (collector.out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def raws(set_dir: Path, suffix: str = ".raw") -> list[Path]:
    """Return the files of an image set, of one kind, in the order of its `input_list.txt`.

    Raises:
        CalibrationError: the set is missing, empty, or lacks a file.
    """
    listing = set_dir / "input_list.txt"
    if not listing.is_file():
        raise CalibrationError(f"There is no {listing}.", remedy="run `invoke calibrate`")
    files = [set_dir / Path(line).with_suffix(suffix).name for line in listing.read_text().split()]
    missing = [file for file in files if not file.is_file()]
    if missing or not files:
        raise CalibrationError(
            f"{listing} names {len(files)} files, of which {len(missing)} are missing.",
            remedy="run `invoke calibrate` again",
        )
    return files


@dataclass(frozen=True)
class HeldOut:
    """The held-out pictures: raws for the context, sources and labels as the manifest has them."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> HeldOut:
        """Return the set of a folder.

        Raises:
            CalibrationError: it is not there, or empty.
        """
        raws(folder)
        return cls(folder, json.loads((folder / "manifest.json").read_text()))

    def first(self, count: int) -> HeldOut:
        """Return the set of the first pictures alone."""
        return replace(self, manifest={**self.manifest, "images": self.manifest["images"][:count]})

    def require(self, size: PictureSize) -> None:
        """Hold the set to the size that a network takes.

        Raises:
            CalibrationError: it was made for another one.
        """
        own = PictureSize(**self.manifest["size"])
        if own != size:
            raise CalibrationError(
                f"{self.folder} holds pictures of {own} pixels, the network takes {size}.",
                remedy=f"run `invoke calibrate --size {size}`, or export that size again",
            )

    def files(self, suffix: str) -> list[Path]:
        """Return the pictures' files of one kind, see `raws`."""
        return raws(self.folder, suffix)[: len(self.sources)]

    @property
    def is_unseen(self) -> bool:
        """Whether calibration has seen none of the pictures."""
        return bool(self.manifest.get("held_out", True))

    @property
    def folders(self) -> list[str]:
        """Return the names of the pictures' folders, nothing where they lie in one."""
        labels = [image["label"] for image in self.manifest["images"]]
        return [] if None in labels else labels

    @property
    def sources(self) -> list[str]:
        """Return the pictures' paths below their folder."""
        return [image["source"] for image in self.manifest["images"]]

    def pixels(
        self, images: Path, size: PictureSize, scratch: Path | None = None
    ) -> list[Features]:
        """Return every picture, preprocessed again, as [1, 3, height, width].

        Large ones take room in the folder `scratch` for a while.

        Raises:
            CalibrationError: a picture is not the one that the set was made of.
        """
        how = preprocess.Preprocessing(
            size, tuple(self.manifest["mean"]), tuple(self.manifest["std"])
        )
        tensors = []
        for image in self.manifest["images"]:
            path = images / image["source"]
            if not path.is_file() or digests.of_file(path) != image["sha256"]:
                raise CalibrationError(
                    f"{path} is not the picture that the held-out set was made of.",
                    remedy="run `invoke calibrate` again",
                )
            tensors.append(preprocess.of_file(path, how, scratch)[None])
        return tensors

    def labels(self, classes: int) -> list[int] | None:
        """Return the pictures' classes: their folders' names, None unless each is one of `classes`.

        A class is a number from 0, in the digits 0 to 9.
        """
        numbers = {str(number): number for number in range(classes)}
        labels = [numbers.get(str(image["label"])) for image in self.manifest["images"]]
        known = [label for label in labels if label is not None]
        return known if len(known) == len(labels) else None


def _fill(collector: Collector, count: int | None, files: Sequence[Path]) -> None:
    goal = min(count or len(files), len(files))
    rest = iter(files)
    for _ in track(range(goal), "pictures"):
        if not any(collector.offer(file) for file in rest):
            break
    _require_usable(collector)
    if collector.left_out:
        say(f"  left out: {collector.left_out}")
    if len(collector.taken) < goal:
        usable = len(collector.taken)
        say(f"  warning: only {usable} of {counted(len(files), 'picture')} can be used")
    _warn_of_strange(collector)


def _require_usable(collector: Collector) -> None:
    """Refuse pictures of which none can be used; copies of one picture count once, as it does."""
    if collector.taken:
        return
    raise CalibrationError(
        f"{collector.images} is unfit: {counted(0, 'usable picture')}, left out: "
        f"{collector.left_out}.",
        cause=causes(collector.skipped.values()),
        remedy=collector.remedy,
    )


def _warn_of_few(collector: Collector) -> None:
    if (taken := len(collector.taken)) < FEW and not collector.excluded:
        say(f"  warning: {counted(taken, 'picture')} only; {FEW} or more give steadier ranges")


def _warn_of_strange(collector: Collector) -> None:
    """Name the first picture of every kind that is left out, except copies; masks; dark ones."""
    strange = [(collector.masks, MASK), (collector.dark, DARK)]
    for kind in sorted({*collector.skipped.values()} - {COPY, IN_OTHER_SET}):
        sources = [source for source, reason in collector.skipped.items() if reason == kind]
        strange.append((sources, f"{kind}, {CAUSES[kind]}" if kind == EMPTY else kind))
    for sources, what in strange:
        if sources:
            say(f"  warning: {counted(len(sources), 'picture')} {what}, first {shown(sources[0])}")
