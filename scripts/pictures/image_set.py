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
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.typing import NDArray

from openqnn.progress import say, track
from scripts import digests
from scripts.errors import CalibrationError, ImageFileError
from scripts.metrics import Features
from scripts.picture_folder import PictureFolder, by_kind
from scripts.picture_size import PictureSize
from scripts.pictures import content, decoding, preprocess
from scripts.pictures.preprocess import Preprocessing
from scripts.words import counted, shown

CALIBRATION = "calibration"
FEW = 16
IN_OTHER_SET, EMPTY, COPY = "in the other set", "without content", "copies of others"
# What pictures are that nothing can be calibrated on.
CAUSES = {
    EMPTY: "of nearly one colour or transparent",
    COPY: "copies of one picture",
    IN_OTHER_SET: "the same pictures for both sets",
    decoding.DAMAGED: "an interrupted copy",
    decoding.STRANGE: "files that are no pictures, whatever their names say",
}
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
    """Writes the tensors of usable pictures, and remembers why others were not taken.

    `aside` are the pictures that are left to another set of the same folder, None without one.
    """

    def __init__(
        self, folder: PictureFolder, out: Path, how: Preprocessing, excluded: Collection[str] = ()
    ) -> None:
        self.images, self.out, self.how = folder.root, out, how
        self.others = folder.left_out
        self.excluded = excluded
        self.remedy = "give --images a folder of different, real pictures"
        self.taken: list[Taken] = []
        self.aside: list[str] | None = None
        self.skipped: dict[str, str] = {}
        self.masks: list[str] = []
        self.held_out = True

    @property
    def left_out(self) -> str:
        """How many files were not taken, by kind, in words; nothing where all were."""
        return by_kind({**self.others, **Counter(self.skipped.values())})

    @property
    def summary(self) -> str:
        """How many of how many files can be used, and what is strange, in one line."""
        seen = len(self.taken) + len(self.skipped)
        texts = [f"{len(self.taken)} of {counted(seen, 'picture')} looked at can be used"]
        texts += [f"{len(self.masks)} with few values, as in masks"] if self.masks else []
        return "; ".join([*texts, *([f"left out: {self.left_out}"] if self.left_out else [])])

    def offer(self, file: Path) -> bool:
        """Take a picture and return true, or note why it is skipped."""
        source = file.relative_to(self.images).as_posix()
        try:
            picture = decoding.decoded(file, self.out)
        except ImageFileError as error:
            self.skipped[source] = error.kind
            return False
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

    def divide(self, shares: Shares) -> None:
        """Keep calibration's share of what was taken, and set the other set's aside."""
        border = shares.border(len(self.taken))
        rest = self.taken[border:]
        for image in rest:
            for name in (image.raw, image.rgb):
                (self.out / name).unlink()
        self.taken = self.taken[:border]
        self.aside = [image.source for image in rest[: shares.held_out]]

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

    @property
    def most(self) -> int | None:
        """How many usable pictures are enough for both, None where all are wanted."""
        return self.calibration and self.calibration + self.held_out

    def border(self, usable: int) -> int:
        """Return how many of the usable pictures calibration has; the next are held out."""
        aside = min(self.held_out, usable // 4)
        return min(self.calibration or usable, usable - aside)


def require_readable(folder: PictureFolder) -> None:
    """Refuse a folder of which no file begins as a picture.

    Raises:
        CalibrationError: says what its files are instead, by kind.
    """
    kinds: Counter[str] = Counter()
    for file in folder.pictures:
        try:
            return decoding.require_header(file)
        except ImageFileError as error:
            kinds[error.kind] += 1
    raise CalibrationError(
        f"{folder.root} has no usable picture: {by_kind({**folder.left_out, **kinds})}.",
        cause=_causes(kinds),
        remedy="give a folder of real pictures of what the model will see",
    )


def examined(folder: PictureFolder, size: PictureSize, scratch: Path) -> Collector:
    """Return what comes of the first pictures of a folder: as many as a set should have.

    More are looked at until one can be used; files are written to the folder `scratch`.
    """
    collector = Collector(folder, scratch, Preprocessing(size))
    for number, file in enumerate(spread(folder.pictures)):
        if number >= FEW and collector.taken:
            break
        collector.offer(file)
    return collector


def spread(files: Sequence[Path]) -> list[Path]:
    """Return the files reordered: for every n, the first n are spread evenly over the list."""
    ranked = sorted(range(len(files)), key=lambda index: index * GOLDEN_STEP % 2**32)
    order = [0] * len(files)
    for place, index in enumerate(ranked):
        order[index] = place
    return [files[place] for place in order]


def collect(collector: Collector, count: int | None, files: Sequence[Path]) -> None:
    """Fill the set with up to `count` of the files, or with all that are usable.

    Raises:
        CalibrationError: not one is, or all are copies of one.
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
        say(f"  warning: {counted(goal, 'picture')} asked for, {len(collector.taken)} usable")
    _warn_of_strange(collector)


def _require_usable(collector: Collector) -> None:
    """Refuse pictures of which none can be used, or that are all one picture."""
    taken, reasons = len(collector.taken), collector.skipped.values()
    if taken > 1 or (taken and COPY not in reasons):
        return
    raise CalibrationError(
        f"{collector.images} is unfit: {counted(taken, 'usable picture')}, left out: "
        f"{collector.left_out}.",
        cause=_causes(reasons),
        remedy=collector.remedy,
    )


def _causes(kinds: Collection[str]) -> str:
    return "; ".join(cause for kind, cause in CAUSES.items() if kind in kinds)


def _warn_of_few(collector: Collector) -> None:
    if (taken := len(collector.taken)) < FEW and not collector.excluded:
        say(f"  warning: {counted(taken, 'picture')} only; {FEW} or more give steadier ranges")


def _warn_of_strange(collector: Collector) -> None:
    """Name the first picture of every kind that is left out, except copies; and masks."""
    strange = [(collector.masks, "with few values, as in masks")]
    for kind in sorted({*collector.skipped.values()} - {COPY, IN_OTHER_SET}):
        sources = [source for source, reason in collector.skipped.items() if reason == kind]
        strange.append((sources, f"{kind}, {CAUSES[kind]}" if kind == EMPTY else kind))
    for sources, what in strange:
        if sources:
            say(f"  warning: {counted(len(sources), 'picture')} {what}, first {shown(sources[0])}")
