"""The environment that runs this program: made from the lock that stands here, or refused."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts import digests
from scripts.errors import UsageError
from scripts.source import ROOT

# `scripts/bootstrap.sh` writes it: the version of Python, and what `sha256sum` says of the lock.
STAMP = ".made-from"
LOCK = ROOT / "docker" / "locks" / "host.txt"


def require() -> None:
    """Refuse an environment that was made from another lock; one without a stamp is the user's own.

    Raises:
        UsageError: a package that the code needs may be missing in it.
    """
    stamp = Path(sys.prefix) / STAMP
    if not stamp.is_file() or digests.of_file(LOCK) in stamp.read_text().split():
        return
    raise UsageError(
        f"{sys.prefix} was made from another lock than {LOCK.relative_to(ROOT)}.",
        cause="`git pull` or a checkout of another commit since",
        remedy="run `make venv`, then the same command again",
    )
