"""Debian's archive through the years, with real apt and mmdebstrap and archives on this machine.

A mirror that has the locked versions, one that has moved on, one whose signature has run out, one
that was tampered with; beside them an archive of the past. Only essential packages, so that each
base takes seconds.
"""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.errors import ImageBuildError
from scripts.image import base, lanes
from scripts.image.buildlog import BuildLog
from scripts.image.lanes import Lane

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("apt-get"), reason="needs root on Debian or Ubuntu"
    ),
]

DATE = "20240101T000000Z"
CHANGED = "hostname"
FIELDS = ("Suite=bookworm", "Codename=bookworm", "Architectures=amd64", "Components=main")


def run(*command: str | Path, cwd: Path | None = None, **variables: str) -> str:
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that apt's own user may read, as pytest's are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def ftparchive(folder: Path) -> str:
    """apt-ftparchive, from where it is installed or out of Debian's package."""
    if installed := shutil.which("apt-ftparchive"):
        return installed
    run("apt-get", "update", "-qq")
    run("apt-get", "-o", "APT::Sandbox::User=root", "download", "apt-utils", cwd=folder)
    run("dpkg-deb", "-x", next(folder.glob("apt-utils_*.deb")), folder / "tools")
    return str(folder / "tools/usr/bin/apt-ftparchive")


@pytest.fixture(scope="module")
def key(folder: Path) -> Path:
    """A key to sign archives with; the keyring that has it."""
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", "")
    run(*gpg, "--quick-gen-key", "archive@example.org", "default", "default", "never")
    (folder / "archive.gpg").write_bytes(
        subprocess.run([*gpg, "--export"], check=True, capture_output=True).stdout
    )
    return folder / "archive.gpg"


@pytest.fixture(scope="module")
def debs(folder: Path) -> Path:
    """Every `.deb` of the essential packages, as the distribution's mirror has them."""
    copies = folder / "debs"
    copies.mkdir()
    run(
        *("mmdebstrap", "--variant=essential", "--architectures=amd64", "--format=null"),
        *("--skip=essential/unlink", '--aptopt=APT::Keep-Downloaded-Packages "true"'),
        f"--customize-hook=sync-out /var/cache/apt/archives {copies}",
        *("bookworm", "/dev/null"),
    )
    assert len(list(copies.glob("*.deb"))) > 20
    return copies


@pytest.fixture(scope="module")
def archive(folder: Path, debs: Path, key: Path, ftparchive: str) -> Callable[..., Path]:
    """Make an archive of the packages; `version` is what `hostname` is rebuilt as, if at all."""

    def make(name: str, *, version: str = "", valid_until: str = "") -> Path:
        place = folder / name
        index = place / "dists/bookworm/main/binary-amd64"
        index.mkdir(parents=True)
        shutil.copytree(debs, place / "pool", ignore=shutil.ignore_patterns("partial", "lock"))
        if version:
            rebuild(next(place.glob(f"pool/{CHANGED}_*.deb")), version)
        (index / "Packages").write_text(run(ftparchive, "packages", "pool", cwd=place))
        options = [f"-oAPT::FTPArchive::Release::{field}" for field in FIELDS]
        release = run(ftparchive, *options, "release", "dists/bookworm", cwd=place)
        if valid_until:
            release = f"Valid-Until: {valid_until}\n{release}"
        (place / "Release").write_text(release)
        gpg = ("gpg", "--homedir", folder / "gnupg", "--batch", "--passphrase", "")
        run(*gpg, "-o", place / "dists/bookworm/InRelease", "--clearsign", place / "Release")
        return place

    return make


def rebuild(deb: Path, version: str) -> None:
    """Put another package of this name, with these contents and a note, in place of a `.deb`."""
    tree = deb.with_suffix(".tree")
    run("dpkg-deb", "-R", deb, tree)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines(keepends=True)
    lines = [f"Version: {version}\n" if line.startswith("Version:") else line for line in lines]
    control.write_text("".join(lines) + " Rebuilt.\n")
    deb.unlink()
    run("dpkg-deb", "-b", tree, deb)
    shutil.rmtree(tree)


@pytest.fixture(scope="module")
def lock(debs: Path) -> base.Packages:
    """What the essential packages are, read from the files themselves."""
    versions, hashes = {}, {}
    for deb in debs.glob("*.deb"):
        name, version = run("dpkg-deb", "-f", deb, "Package", "Version").split("\n")[:2]
        name, version = name.removeprefix("Package: "), version.removeprefix("Version: ")
        versions[name] = version
        hashes[name] = hashlib.sha256(deb.read_bytes()).hexdigest()
    return base.Packages(DATE, versions, hashes)


@pytest.fixture(scope="module")
def lane(folder: Path, archive: Callable[..., Path], key: Path) -> Lane:
    """The default lane with a past of this machine, long run out."""
    archive(f"past/{DATE}", valid_until="Tue, 02 Jan 2024 00:00:00 UTC")
    place = f"copy://{folder}/past/{{date}} bookworm"
    known = lanes.load("bookworm")
    pockets = ("bookworm",)
    return dataclasses.replace(
        known, packages=(), snapshot=(place,), keyring=str(key), pockets=pockets
    )


@pytest.fixture
def make(
    lane: Lane, lock: base.Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path], str]:
    """Make the base from a mirror; return what is said meanwhile."""
    monkeypatch.setattr(base, "VARIANT", "essential")
    monkeypatch.setattr(base, "CACHE", tmp_path)

    def run_(mirror: Path) -> str:
        log = BuildLog(tmp_path / "image.log")
        sources = f"deb [signed-by={lane.keyring}] copy://{mirror} bookworm main\n"
        (tmp_path / "mirror.list").write_text(sources)
        monkeypatch.setenv(base.SOURCES_VARIABLE, str(tmp_path / "mirror.list"))
        path = base.tarball(None, lane, lock, log, fresh=False)  # type: ignore[arg-type]
        assert base.installed(path) == lock.versions
        return log.path.read_text()

    return run_


def test_a_mirror_that_has_the_locked_versions_is_enough(
    make: Callable[[Path], str], archive: Callable[..., Path]
) -> None:
    assert "taking the archive" not in make(archive("mirror"))


@pytest.mark.parametrize(
    "change",
    [{"version": "99"}, {"valid_until": "Tue, 02 Jan 2024 00:00:00 UTC"}],
    ids=["moved on", "run out"],
)
def test_else_the_archive_of_the_locks_date_is_taken(
    make: Callable[[Path], str], archive: Callable[..., Path], change: dict[str, str]
) -> None:
    said = make(archive("-".join(change), **change))
    assert f"taking the archive of {DATE}" in said


def test_other_bytes_under_a_locked_version_are_refused(
    make: Callable[[Path], str], archive: Callable[..., Path], lock: base.Packages
) -> None:
    mirror = archive("tampered", version=lock.versions[CHANGED])
    with pytest.raises(ImageBuildError, match=f"other bytes than those locked of {CHANGED}"):
        make(mirror)
