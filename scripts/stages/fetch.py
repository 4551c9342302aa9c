"""Fetch a checkpoint from the Hugging Face hub; the only stage with network access."""

from __future__ import annotations

import argparse
import json

from openqnn.progress import heartbeat, say
from scripts import digests, program
from scripts.checkpoint.hub import fetch


def main(arguments: argparse.Namespace) -> None:
    """Write `weights/`: the checkpoint as published, and its origin."""
    folder = arguments.out / "weights"
    with heartbeat(f"fetching {arguments.repo}"):
        commit = fetch(arguments.repo, arguments.revision, folder)
    files = {path.name: digests.of_file(path) for path in sorted(folder.iterdir())}
    origin = {"repository": arguments.repo, "commit": commit, "files": files}
    (folder / "origin.json").write_text(json.dumps(origin, indent=1) + "\n")
    say(f"  {arguments.repo} at {commit}")


if __name__ == "__main__":
    parser = program.parser(__doc__)
    parser.add_argument("--repo", required=True, help="e.g. facebook/dinov3-vits16-pretrain-...")
    parser.add_argument("--revision", default="main", help="branch, tag or commit")
    program.run(main, parser.parse_args())
