"""Preprocess a folder of pictures into raw tensors: the calibration set, or the held-out set."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from openqnn.progress import say
from scripts import artefacts, catalog, program
from scripts.errors import UsageError
from scripts.picture_folder import PictureFolder
from scripts.picture_size import PictureSize
from scripts.pictures import image_set, preprocess
from scripts.pictures.image_set import Collector, Shares
from scripts.words import counted

BUILD = PurePosixPath("/build")


def main(arguments: argparse.Namespace) -> None:
    """Write `calibration/<set>/`: raws, RGB bytes, `input_list.txt` and, last, `manifest.json`."""
    if arguments.count is not None and arguments.count < 1:
        raise UsageError(f"--count {arguments.count}: a set needs one picture at least.")
    folder = artefacts.image_set(arguments.set)
    out = arguments.out / folder
    out.mkdir(parents=True, exist_ok=True)
    model = catalog.pick(catalog.models(), arguments.model, "model")
    how = preprocess.settings(arguments.size, arguments.weights, model)
    collector = Collector(arguments.images, out, how, image_set.seen_in(arguments.exclude))
    _collect(collector, arguments)
    image_set.write(collector, arguments.set, BUILD / folder)
    pictures = counted(len(collector.taken), "picture")
    say(f"  {pictures} of {how.size.height} x {how.size.width} in {folder}")


def _collect(collector: Collector, arguments: argparse.Namespace) -> None:
    source = PictureFolder.read(arguments.images)
    if source.left_out:
        say(f"  left out: {source.counted}")
    files, share = image_set.spread(source.pictures), _share(arguments)
    if not share(files):
        image_set.collect_seen(collector, arguments.count, files)
    else:
        image_set.collect(collector, arguments.count, share(files))


def _share(arguments: argparse.Namespace) -> Callable[[Sequence[Path]], Sequence[Path]]:
    """Return what picks the files that a set may have: all where the other set has its own."""
    if not arguments.beside:
        return list
    if arguments.set == image_set.CALIBRATION:
        return Shares(arguments.count, arguments.beside).of_calibration
    return Shares(arguments.beside, arguments.count or 0).of_held_out


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
