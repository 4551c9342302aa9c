"""A set of preprocessed pictures on disk: made from a folder, and read again.

Every picture is written twice, for either kind of network: normalised, float32
[3, height, width], as `.raw`; and only resized, uint8 [height, width, 3], as `.rgb`.
`input_list.txt` names the raws, and `manifest.json` every picture with its hashes, where it came
from, and its label.

Pictures are taken in an order that is spread evenly over the sorted folder whatever the count, so
16 pictures are the first 16 of 32. A broken file is refused. Pictures without content (`content`)
and copies of others teach nothing: they are skipped and replaced.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.typing import NDArray

from openqnn.progress import say, track
from scripts import digests
from scripts.errors import CalibrationError
from scripts.metrics import Features
from scripts.picture_size import PictureSize
from scripts.pictures import content, decoding, preprocess
from scripts.pictures.preprocess import Preprocessing
from scripts.words import counted, shown

CALIBRATION = "calibration"
FEW = 16
IN_OTHER_SET, EMPTY, COPY = "in the other set", "without content", "copies of others"
# Multiples of 2^32 / golden ratio, modulo 2^32: any number of first terms is spread evenly.
GOLDEN_STEP = 2654435769


@dataclass(frozen=True)
class Taken:
    """A picture of the set: its file and the file's hash; its tensor and its bytes, with theirs."""

    source: str
    sha256: str
    raw: str
    raw_sha256: str
    rgb: str
    rgb_sha256: str
    label: str | None


class Collector:
    """Writes the tensors of fit pictures, and remembers why others were not taken."""

    def __init__(self, images: Path, out: Path, how: Preprocessing, excluded: set[str]) -> None:
        self.images, self.out, self.how = images, out, how
        self.excluded = excluded
        self.taken: list[Taken] = []
        self.skipped: dict[str, str] = {}
        self.masks: list[str] = []
        self.held_out = True

    def offer(self, file: Path) -> bool:
        """Take a picture and return true, or note why it is skipped.

        Raises:
            ImageFileError: it cannot be read.
        """
        source = file.relative_to(self.images).as_posix()
        picture = decoding.decoded(file, self.out)
        values = preprocess.resized(picture, self.how.size)
        pixels = preprocess.normalised(values, self.how)
        digest = sha256(pixels.tobytes()).hexdigest()
        if reason := self._unfit(content.is_empty(picture, values), digest):
            self.skipped[source] = reason
            return False
        if picture.is_mask:
            self.masks.append(source)
        label = file.parent.name if file.parent != self.images else None
        whole = digests.of_file(file)
        files = *self._write("raw", pixels), *self._write("rgb", preprocess.as_bytes(values))
        self.taken.append(Taken(source, whole, *files, label))
        return True

    def _write(self, suffix: str, values: NDArray[Any]) -> tuple[str, str]:
        """Write a file of the next picture; return its name and its hash."""
        path = self.out / f"{len(self.taken):06d}.{suffix}"
        path.write_bytes(values.tobytes())
        return path.name, sha256(values.tobytes()).hexdigest()

    def _unfit(self, is_empty: bool, digest: str) -> str:
        if digest in self.excluded:
            return IN_OTHER_SET
        if is_empty:
            return EMPTY
        return COPY if any(image.raw_sha256 == digest for image in self.taken) else ""


@dataclass(frozen=True)
class Shares:
    """How many pictures two sets want from one folder: all for calibration, or none held out.

    The held-out share is set aside first: what is asked for, at most a quarter of the folder.
    """

    calibration: int | None
    held_out: int

    def of_calibration(self, files: Sequence[Path]) -> list[Path]:
        """Return the files to calibrate on, best first, without the held-out share."""
        border, end = self._border(len(files))
        return [*files[:border], *files[end:]]

    def of_held_out(self, files: Sequence[Path]) -> list[Path]:
        """Return the files to hold out, best first; none of a folder that is too small."""
        border, _ = self._border(len(files))
        return [*files[border:]]

    def _border(self, count: int) -> tuple[int, int]:
        aside = min(self.held_out, count // 4)
        border = min(self.calibration or count, count - aside)
        return border, border + aside


def spread(files: Sequence[Path]) -> list[Path]:
    """Return the files reordered: for every n, the first n are spread evenly over the list."""
    ranked = sorted(range(len(files)), key=lambda index: index * GOLDEN_STEP % 2**32)
    order = [0] * len(files)
    for place, index in enumerate(ranked):
        order[index] = place
    return [files[place] for place in order]


def collect(collector: Collector, count: int | None, files: Sequence[Path]) -> None:
    """Fill the set with up to `count` of the files, or with all there are.

    Raises:
        CalibrationError: not one picture is fit, or most of those seen are empty or copies.
    """
    goal = min(count or len(files), len(files))
    rest = iter(files)
    for _ in track(range(goal), "pictures"):
        if not any(collector.offer(file) for file in rest):
            break
    _judge(collector, goal)


def collect_seen(collector: Collector, count: int | None, files: Sequence[Path]) -> None:
    """Fill a held-out set with pictures that calibration has seen: there are no others."""
    say(
        f"  warning: of {counted(len(files), 'picture')} none can be held out: verify judges "
        "those that calibration has seen"
    )
    collector.held_out, collector.excluded = False, set()
    collect(collector, count, files)


def seen_in(set_dir: Path | None) -> set[str]:
    """Return the hashes of the tensors of another set."""
    if set_dir is None:
        return set()
    manifest = json.loads((set_dir / "manifest.json").read_text())
    return {image["raw_sha256"] for image in manifest["images"]}


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
        made = PictureSize(**self.manifest["size"])
        if made != size:
            raise CalibrationError(
                f"{self.folder} holds pictures of {made} pixels, the network takes {size}.",
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


def _judge(collector: Collector, goal: int) -> None:
    taken, reasons = len(collector.taken), Counter(collector.skipped.values())
    if reasons:
        say("  skipped: " + ", ".join(f"{number} {kind}" for kind, number in reasons.items()))
    unfit = reasons.total() - reasons[IN_OTHER_SET]
    if not taken or unfit > taken:
        raise CalibrationError(
            f"{collector.images} is unfit: {counted(taken, 'usable picture')}, "
            f"{reasons.total()} skipped.",
            cause="copies of one picture; transparent ones, or of nearly one colour, such as 10 "
            "bits in files of 16; or the same folder for both sets",
            remedy="give --images a folder of different, real pictures",
        )
    if taken < goal:
        say(f"  warning: {counted(goal, 'picture')} asked for, {taken} usable")
    if taken < FEW and not collector.excluded:
        say(f"  warning: {counted(taken, 'picture')} only; {FEW} or more give steadier ranges")
    _warn_of_strange(collector)


def _warn_of_strange(collector: Collector) -> None:
    empty = [source for source, reason in collector.skipped.items() if reason == EMPTY]
    why = f"{EMPTY}, of nearly one colour or transparent"
    for sources, what in ((empty, why), (collector.masks, "with few values, as in masks")):
        if sources:
            say(f"  warning: {counted(len(sources), 'picture')} {what}, first {shown(sources[0])}")
