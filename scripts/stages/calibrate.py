"""Preprocess a folder of pictures into raw tensors: the calibration set, or the held-out set.

Every picture is written twice, for either kind of network: normalised, float32 [3, size, size], as
`.raw`; and only resized, uint8 [size, size, 3], as `.rgb`.

Pictures (JPEG, PNG; nested folders; any size) are taken in an order that is spread evenly over the
sorted folder whatever the count, so 16 pictures are the first 16 of 32. A broken file is refused.
Constant pictures and copies of others teach nothing: they are named, skipped and replaced.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts import artefacts
from scripts.errors import CalibrationError, UsageError
from scripts.stages import preprocess, program
from scripts.stages.preprocess import Preprocessing
from scripts.stages.progress import say, track

SUFFIXES = {".jpg", ".jpeg", ".png"}
FEW = 16
IN_OTHER_SET = "is in the other set"
# Multiples of 2^32 / golden ratio, modulo 2^32: any number of first terms is spread evenly.
GOLDEN_STEP = 2654435769
BUILD = PurePosixPath("/build")


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

    def offer(self, file: Path) -> bool:
        """Take a picture and return true, or note why it is skipped.

        Raises:
            ImageFileError: it cannot be read.
        """
        source = file.relative_to(self.images).as_posix()
        values = preprocess.resized(preprocess.load(file), self.how.size)
        pixels = preprocess.normalised(values, self.how)
        digest = sha256(pixels.tobytes()).hexdigest()
        reason = self._unfit(pixels, digest)
        if reason:
            self.skipped[source] = reason
            return False
        label = file.parent.name if file.parent != self.images else None
        whole = sha256(file.read_bytes()).hexdigest()
        files = *self._write("raw", pixels), *self._write("rgb", preprocess.as_bytes(values))
        self.taken.append(Taken(source, whole, *files, label))
        return True

    def _write(self, suffix: str, values: NDArray[Any]) -> tuple[str, str]:
        """Write a file of the next picture; return its name and its hash."""
        path = self.out / f"{len(self.taken):06d}.{suffix}"
        path.write_bytes(values.tobytes())
        return path.name, sha256(values.tobytes()).hexdigest()

    def _unfit(self, pixels: NDArray[np.float32], digest: str) -> str:
        if digest in self.excluded:
            return IN_OTHER_SET
        if (pixels == pixels[:, :1, :1]).all():
            return "has one colour only"
        copies = (image.source for image in self.taken if image.raw_sha256 == digest)
        first = next(copies, None)
        return f"is a copy of {first}" if first else ""


def find(images: Path) -> list[Path]:
    """Return every picture below a folder, sorted.

    Raises:
        CalibrationError: there is no such folder, or no picture in it.
    """
    files = [file for file in images.rglob("*") if file.suffix.lower() in SUFFIXES]
    if not files:
        raise CalibrationError(
            f"There is no picture (.jpg, .jpeg, .png) in {images}.",
            remedy="give --images a folder of real pictures of what the model will see",
        )
    return sorted(files, key=lambda file: file.relative_to(images).as_posix())


def spread(files: Sequence[Path]) -> list[Path]:
    """Return the files in an order whose every beginning is spread evenly over the given one."""
    ranked = sorted(range(len(files)), key=lambda index: index * GOLDEN_STEP % 2**32)
    order = [0] * len(files)
    for place, index in enumerate(ranked):
        order[index] = place
    return [files[place] for place in order]


def collect(collector: Collector, count: int | None) -> None:
    """Fill the set with up to `count` pictures, or with all there are.

    Raises:
        CalibrationError: not one picture is fit, or most of those seen are constant or copies.
    """
    files = spread(find(collector.images))
    wanted = min(count or len(files), len(files))
    rest = iter(files)
    for _ in track(range(wanted), "pictures"):
        if not any(collector.offer(file) for file in rest):
            break
    _judge(collector, wanted)


def seen_in(set_dir: Path | None) -> set[str]:
    """Return the hashes of the tensors of another set."""
    if set_dir is None:
        return set()
    manifest = json.loads((set_dir / "manifest.json").read_text())
    return {image["raw_sha256"] for image in manifest["images"]}


def main(arguments: argparse.Namespace) -> None:
    """Write `calibration/<set>/`: raws, RGB bytes, `input_list.txt` and, last, `manifest.json`."""
    if arguments.count is not None and arguments.count < 1:
        raise UsageError(f"--count {arguments.count}: a set needs one picture at least.")
    folder = artefacts.image_set(arguments.set)
    out = arguments.out / folder
    out.mkdir(parents=True, exist_ok=True)
    how = preprocess.settings(arguments.size, arguments.weights)
    collector = Collector(arguments.images, out, how, seen_in(arguments.exclude))
    collect(collector, arguments.count)
    lines = [f"{BUILD / folder / image.raw}\n" for image in collector.taken]
    (out / "input_list.txt").write_text("".join(lines))
    manifest = {
        "set": arguments.set,
        **asdict(how),
        "layout": "NCHW",
        "rgb_layout": "NHWC",
        "colour_order": "RGB",
        "images": [asdict(image) for image in collector.taken],
        "skipped": collector.skipped,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    say(f"  {len(collector.taken)} pictures of {how.size} x {how.size} in {folder}")


def _judge(collector: Collector, wanted: int) -> None:
    taken, skipped = len(collector.taken), collector.skipped
    for source, reason in skipped.items():
        say(f"  skipped: {source} {reason}")
    unfit = sum(reason != IN_OTHER_SET for reason in skipped.values())
    if not taken or unfit > taken:
        raise CalibrationError(
            f"{collector.images} is unfit: {taken} usable pictures, {len(skipped)} skipped.",
            cause="copies of one picture, single colours, or the same folder for both sets",
            remedy="give --images a folder of different, real pictures",
        )
    if taken < wanted:
        say(f"  warning: only {taken} of the {wanted} pictures asked for are usable")
    if taken < FEW and not collector.excluded:
        say(f"  warning: {taken} pictures are few; {FEW} or more give steadier ranges")


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--set", required=True, help="name of the set, e.g. calibration")
    parser.add_argument("--size", type=int, required=True, help="side of the input in pixels")
    parser.add_argument("--count", type=int, help="how many pictures at most (default: all)")
    parser.add_argument("--weights", type=Path, help="checkpoint whose mean and std to use")
    parser.add_argument("--exclude", type=Path, help="a finished set that must stay disjoint")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
