"""Who we are, also where the system has no name for us, as in containers of CI."""

from __future__ import annotations

import getpass
import os
from pathlib import Path


def user() -> str:
    """Return the name of the user, or else the number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def name_the_nameless() -> None:
    """Give a user without an account a name and a home for the libraries that ask for them."""
    os.environ.setdefault("LOGNAME", user())
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"
