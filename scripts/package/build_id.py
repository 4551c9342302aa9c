"""The build id that Qualcomm writes in clear text into every library and context binary.

`v2.51.0.260929181845` is version 2.51.0, built on 2026-09-29 at 18:18:45. Host library, device
libraries, skel and context must all come from one build: others refuse each other on the board.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.errors import ArtefactError

_FULL = re.compile(rb"v\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{12}(?!\d)")
_SOC = re.compile(rb"soc_type=(\w+);arch=(\d+)")


def find(path: Path) -> str | None:
    """Return the first build id in a file, e.g. `v2.51.0.260929181845`, or None.

    Raises:
        ArtefactError: the file is missing or empty.
    """
    with _mapped(path) as data:
        match = _FULL.search(data)
        return match[0].decode() if match else None


def carried(path: Path, build_id: str) -> bool:
    """Return whether a file is of a build. `libQnnSystem.so` holds only its time stamp.

    Raises:
        ArtefactError: the file is missing or empty.
    """
    stamp = build_id.rpartition(".")[2]
    with _mapped(path) as data:
        return any(data.find(text) >= 0 for text in (build_id.encode(), f"\0{stamp}\0".encode()))


def compiled_for(path: Path) -> tuple[str, str] | None:
    """Return the SoC and the HTP architecture in a context binary, e.g. ("QCS9100", "v73").

    None where the compiler did not write them.

    Raises:
        ArtefactError: the file is missing or empty.
    """
    with _mapped(path) as data:
        match = _SOC.search(data)
        return (match[1].decode(), f"v{match[2].decode()}") if match else None


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except FileNotFoundError:
        raise ArtefactError(
            f"{path} does not exist.", remedy="run the stage that makes it"
        ) from None
    except ValueError:
        raise ArtefactError(f"{path} is empty.", cause="what wrote it was interrupted") from None
