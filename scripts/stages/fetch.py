"""Fetch a checkpoint from the Hugging Face hub; the only stage with network access."""

from __future__ import annotations

import argparse
import json

from openqnn.progress import heartbeat, say
from scripts import digests, program
from scripts.checkpoint.hub import fetch
from scripts.checkpoint.hub_id import DEFAULT_REVISION, HubId


def main(arguments: argparse.Namespace) -> None:
    """Write `weights/`: the checkpoint as published, and its origin."""
    hub_id, folder = HubId(arguments.repo, arguments.revision), arguments.out / "weights"
    with heartbeat(f"fetching {hub_id.repository}"):
        commit = fetch(hub_id, folder)
    origin = {
        "repository": hub_id.repository,
        "revision": hub_id.revision,
        "commit": commit,
        "files": {path.name: digests.of_file(path) for path in sorted(folder.iterdir())},
    }
    (folder / "origin.json").write_text(json.dumps(origin, indent=1) + "\n")
    say(f"  {hub_id.repository} at {commit}")


if __name__ == "__main__":
    parser = program.parser(__doc__)
    parser.add_argument("--repo", required=True, help="e.g. facebook/dinov3-vits16-pretrain-...")
    parser.add_argument("--revision", default=DEFAULT_REVISION, help="branch, tag or commit")
    program.run(main, parser.parse_args())
