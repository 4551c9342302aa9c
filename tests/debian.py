"""Servers out of Debian's packages: nothing is installed and no service started."""

import shutil
import subprocess
from pathlib import Path

import pytest


def program(package: str, path: str, folder: Path) -> Path:
    """Return a program, from where it is installed or out of its package, where it is `path`."""
    if installed := shutil.which(Path(path).name):
        return Path(installed)
    if not shutil.which("apt-get"):
        pytest.skip(f"needs Debian's {package}")
    download = ["apt-get", "-o", "APT::Sandbox::User=root", "download", package]
    subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True)
    subprocess.run(download, cwd=folder, check=True, capture_output=True)
    (archive,) = folder.glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, folder / "root"], check=True)
    return folder / "root" / path


def certify(folder: Path) -> Path:
    """Make a certificate for the loopback, `cert.pem` with its `key.pem`; return its file."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "cert.pem"
