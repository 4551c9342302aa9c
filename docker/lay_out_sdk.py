"""Lay Qualcomm's libraries out like their SDK does; runs while the image is built.

Usage: lay_out_sdk.py FOLDER ARCHS ROOT VENV; FOLDER has sdk.toml, qairt.txt (the lock) and wheels/
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import sys
import zipfile
from pathlib import Path, PurePosixPath

if sys.version_info >= (3, 11):
    import tomllib
else:  # the jammy lane's Python 3.10 has it only inside pip
    from pip._vendor import tomli as tomllib

_BUILD_ID = re.compile(rb"v\d+\.\d+\.\d+\.\d{12}")


def main(given: Path, archs: str, root: Path, venv: Path) -> None:
    """Fill `root`; then let the provider's package in `venv`, where there is one, use its files."""
    data = tomllib.loads((given / "sdk.toml").read_text())
    machines = {folder["machine"] for folder in data["folders"].values()}
    lock = (given / "qairt.txt").read_text()
    wheels = {machine: locked(given / "wheels", machine, lock) for machine in machines}
    for pattern, folder in data["folders"].items():
        wheel = wheels[folder["machine"]]
        if "{arch}" in pattern:
            for arch in archs.split():
                target = root / pattern.format(arch=arch)
                extract(wheel, expand(folder["files"], [arch]), target)
        else:
            extract(wheel, expand(folder["files"], archs.split()), root / pattern)
    for link, target in data["links"].items():
        (root / link).symlink_to(target)
    check(root / "lib/x86_64-linux-clang/libQnnHtp.so", data["build_id"])
    share(root / "lib/x86_64-linux-clang", venv)


def locked(wheels: Path, machine: str, lock: str) -> Path:
    """Return the wheel for a machine, once it is found to be the locked one."""
    (wheel,) = wheels.glob(f"onnxruntime_qnn-*_{machine}.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if f"--hash=sha256:{digest}" not in lock.split():
        sys.exit(f"{wheel.name} is not the wheel that is locked: its SHA-256 is {digest}")
    return wheel


def expand(patterns: list[str], archs: list[str]) -> list[str]:
    """Return file patterns with `{arch}` filled in for every architecture."""
    return sorted({pattern.format(arch=arch) for pattern in patterns for arch in archs})


def extract(wheel: Path, patterns: list[str], target: Path) -> None:
    """Write the members of a wheel whose names fit; each pattern must fit one."""
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        members = {PurePosixPath(name).name: name for name in archive.namelist()}
        for pattern in patterns:
            names = fnmatch.filter(members, pattern)
            if not names:
                sys.exit(f"{wheel.name} has no {pattern}")
            for name in names:
                (target / name).write_bytes(archive.read(members[name]))


def check(library: Path, build_id: str) -> None:
    """Make sure that the libraries are of the SDK build that we say they are."""
    found = {match.decode() for match in _BUILD_ID.findall(library.read_bytes())}
    if found != {build_id}:
        sys.exit(f"{library.name} is of build {sorted(found)}, docker/sdk.toml says {build_id}")


def share(libraries: Path, venv: Path) -> None:
    """Replace the Python package's copies by links; drop those that nobody here uses."""
    for package in venv.glob("lib/python3.*/site-packages/onnxruntime_qnn*"):
        for copy in package.glob("lib*.so*"):
            if (libraries / copy.name).exists():
                copy.unlink()
                copy.symlink_to(libraries / copy.name)
            elif copy.name != "libonnxruntime_providers_qnn.so":
                copy.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
