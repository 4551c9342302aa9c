"""What boards measured, kept on this machine beside what the simulator says.

`build/<model>/boards/<device>.json` holds the last golden run of each package on a device.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from scripts import board_runs, json_object, writing
from scripts.boards import shell
from scripts.errors import DeviceError
from scripts.package.manifest import Manifest
from scripts.source import ROOT

BUILD = ROOT / "build"
# Folders of builds, and of those of sweeps' points.
_DEPTHS = ("*/", "sweeps/*/*/*/")
# Microseconds that a runner must say: half, nine tenths and nearly all of its runs took no longer.
TIMES = ("p50_us", "p90_us", "p99_us")


def report(said: str) -> dict[str, Any]:
    """Return the JSON that `dinov3-run --repeat` ends with: times, votes for clocks, NPU.

    Raises:
        DeviceError: it is not there, or lacks a time.
    """
    line = said.strip().rpartition("\n")[2]
    try:
        words = dict(json_object.parse(line))
        times = [float(words[name]) for name in TIMES]
    except (ValueError, KeyError, TypeError, OverflowError):
        raise shell.nonsense(line.encode(), "the package's runner is of an older build") from None
    if not all(0 < time < 1e12 for time in times):
        raise DeviceError(f"The board measures {', '.join(map(str, times))} us.")
    return words


def beside(archive: Path) -> Path:
    """Return the folder of what is measured with an archive: that of its build, else its own."""
    return archive.parent.parent if archive.parent.name == "packages" else archive.parent


def keep(
    folder: Path,
    device: str,
    digest: str,
    manifest: Manifest,
    cosine: float,
    run: Mapping[str, Any],
) -> Path:
    """Note a golden run under `folder`, in place of the last one of this package on this device."""
    file = board_runs.file_of(folder, device)
    runs = board_runs.read(file) | {
        manifest.name: {
            "release": digest,
            "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "golden_cosine": cosine,
            "measured": run,
            "simulated": manifest.facts["simulated_latency"],
        }
    }
    text = json.dumps(runs, indent=1, sort_keys=True) + "\n"
    return writing.replace(file, text.encode())


def find(
    device: str, digest: str, build: Path | None = None
) -> tuple[Path, Mapping[str, Any]] | None:
    """Return the build folder and the run of a release on a device, where one was noted."""
    for folder in (folder for depth in _DEPTHS for folder in sorted((build or BUILD).glob(depth))):
        for name, run in board_runs.of_release(folder, digest):
            if name == device:
                return folder, run
    return None
