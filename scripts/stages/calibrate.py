"""Preprocess a folder of pictures into raw tensors: the calibration set, or the held-out set."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from openqnn.progress import say
from scripts import artefacts, catalog, program
from scripts.errors import UsageError
from scripts.picture_folder import PictureFolder
from scripts.picture_size import PictureSize
from scripts.pictures import image_set, preprocess
from scripts.pictures.collector import Collector, Shares, spread
from scripts.words import counted

BUILD = PurePosixPath("/build")
OF_HELD_OUT = (
    "give --heldout a folder of real pictures, others than those of --images; or leave it out, "
    "and some of --images are held out"
)


def main(arguments: argparse.Namespace) -> None:
    """Write `calibration/<set>/`: raws, RGB bytes, `input_list.txt` and, last, `manifest.json`."""
    if arguments.count is not None and arguments.count < 1:
        raise UsageError(f"--count {arguments.count}: a set needs one picture at least.")
    place = artefacts.image_set(arguments.set)
    out = arguments.out / place
    out.mkdir(parents=True, exist_ok=True)
    model = catalog.pick(catalog.models(), arguments.model, "model")
    how = preprocess.settings(arguments.size, arguments.weights, model)
    folder = PictureFolder.read(arguments.images)
    collector = Collector(folder, out, how, image_set.seen_in(arguments.exclude))
    _collect(collector, arguments, spread(folder.pictures))
    image_set.write(collector, arguments.set, BUILD / place)
    pictures = counted(len(collector.taken), "picture")
    say(f"  {pictures} of {how.size.height} x {how.size.width} in {place}")


def _collect(collector: Collector, arguments: argparse.Namespace, files: Sequence[Path]) -> None:
    is_calibration = arguments.set == image_set.CALIBRATION
    if arguments.beside and is_calibration:
        image_set.collect_both(collector, Shares(arguments.count, arguments.beside), files)
    elif arguments.beside:
        image_set.collect_aside(collector, arguments.count, files, arguments.exclude)
    else:
        collector.remedy = collector.remedy if is_calibration else OF_HELD_OUT
        image_set.collect(collector, arguments.count, files)


def _arguments() -> argparse.Namespace:
    parser = program.parser(__doc__)
    parser.add_argument("--model", required=True, help="name in the catalog, for its colours")
    parser.add_argument("--images", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--set", required=True, help="name of the set, e.g. calibration")
    parser.add_argument("--size", type=PictureSize.parse, required=True, help="224 or 480x640")
    parser.add_argument("--count", type=int, help="how many pictures at most (default: all)")
    parser.add_argument(
        "--weights", type=Path, help="checkpoint with the mean and standard deviation to use"
    )
    parser.add_argument(
        "--beside", type=int, default=0, help="size of the other set, if it is of the same folder"
    )
    parser.add_argument("--exclude", type=Path, help="a set whose pictures to leave out")
    return parser.parse_args()


if __name__ == "__main__":
    program.run(main, _arguments())
