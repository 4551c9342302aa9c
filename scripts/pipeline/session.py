"""One command's connection to engine and image, and the build it runs there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from scripts.console import Console
from scripts.image import image
from scripts.pipeline import engine, summary
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.plan import Stage
from scripts.pipeline.request import Request

DEFAULT_LANE = "bookworm"
_TOKEN_FILE = Path("~/.cache/huggingface/token")


def builder(*, lane: str = DEFAULT_LANE, memory_gb: int = 0, hostname: str = "") -> Builder:
    """Return a builder on the running engine, with the image present; makes what is missing."""
    client = engine.connect()
    return Builder(
        client=client,
        image=image.ensure(client, lane),
        console=Console(),
        secrets=secrets(),
        memory_bytes=memory_gb * 10**9,
        hostname=hostname or "dinov3-qnn",
    )


def run(made: Builder, request: Request, stages: Sequence[Stage]) -> list[Done]:
    """Bring stages up to date and print the summary."""
    done = made.build(request, stages)
    summary.show(made.console, request, done)
    return done


def secrets() -> dict[str, str]:
    """Return the hub's token, from the environment or where `hf auth login` keeps it."""
    token = os.environ.get("HF_TOKEN", "")
    if not token and (path := _TOKEN_FILE.expanduser()).is_file():
        token = path.read_text().strip()
    passed = {"HF_TOKEN": token, "HF_ENDPOINT": os.environ.get("HF_ENDPOINT", "")}
    return {name: value for name, value in passed.items() if value}
