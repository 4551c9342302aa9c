"""Write one of the built-in picture sets: pictures of the real world, without a download."""

from __future__ import annotations

import argparse

from openqnn.progress import say, track
from scripts import program
from scripts.pictures.builtin import SETS
from scripts.words import counted


def main(arguments: argparse.Namespace) -> None:
    """Write the pictures of one set under `images/<set>/`."""
    root = arguments.out / "images" / arguments.set
    pictures = list(SETS[arguments.set]())
    for path, picture in track(pictures, "pictures"):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(file, format="PNG")
    say(f"  {counted(len(pictures), 'picture')} in images/{arguments.set}")


if __name__ == "__main__":
    parser = program.parser(__doc__)
    parser.add_argument("--set", required=True, choices=SETS, help="set to write")
    program.run(main, parser.parse_args())
