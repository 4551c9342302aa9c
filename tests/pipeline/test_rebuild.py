"""A package of digits, rebuilt from itself alone: equal, and a file that was changed is seen."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import digests, source
from scripts.console import Console
from scripts.errors import ReproducibilityError
from scripts.package import archive, package, provenance, sbom
from scripts.package.item import Item
from scripts.package.manifest import MANIFEST, SUMS, dump, sums
from scripts.pipeline import rebuild, request

# Two builds of digits from nothing.
pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

CONTEXT = "model/dinov3_int8_htp.serialized.bin"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive as another person would publish it, built in a clone of the last commit."""
    folder = tmp_path_factory.mktemp("publisher")
    commit = subprocess.run(
        ["git", "-C", str(source.ROOT), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    source.check_out(commit, folder / "clone")
    (folder / "clone/.venv").symlink_to(sys.prefix)
    (source.ROOT / ".cache").mkdir(exist_ok=True)
    (folder / "clone/.cache").symlink_to(source.ROOT / ".cache")
    command = [".venv/bin/invoke", "build", f"--build-dir={folder / 'build'}"]
    subprocess.run(command, cwd=folder / "clone", check=True)
    (path,) = (folder / "build").glob("*/packages/*.tar.gz")
    return path


def changed(path: Path, folder: Path) -> Path:
    """Return the archive with another context binary, and all that names its hash as it must be."""
    with package.unpacked(path) as unpacked:
        context = unpacked.folder / CONTEXT
        before = digests.of_file(context)
        context.write_bytes(context.read_bytes()[:-1] + b"\1")
        for name in (provenance.FILE, sbom.FILE):
            document = unpacked.folder / name
            document.write_text(document.read_text().replace(before, digests.of_file(context)))
        known = unpacked.package.manifest
        items = [
            Item(entry.path, unpacked.folder / entry.path, entry.role, int(entry.mode, 8))
            for entry in known.entries
        ]
        entries = [item.entry() for item in items]
        facts = {name: value for name, value in known.facts.items() if name != "schema"}
        manifest = dump(facts, entries)
        items += [Item(MANIFEST, manifest, "manifest")]
        items += [Item(SUMS, sums(entries, manifest), "sums")]
        folder.mkdir()
        archive.write(folder / path.name, known.name, items)
    return folder / path.name


def test_a_package_is_rebuilt_and_a_changed_file_is_seen(published: Path, tmp_path: Path) -> None:
    build_request = request.make(build_dir=str(tmp_path / "build"))
    forged = changed(published, tmp_path / "forged")
    with pytest.raises(ReproducibilityError, match=f"{CONTEXT} differs"):
        rebuild.run(Console(), build_request, forged, [])
    # The stages that were built for it stand: the one that was published is their very result.
    console = Console()
    rebuild.run(console, build_request, published, [])
    assert console.document["equal"] is True
    assert set(console.document["files"].values()) == {"equal"}
    assert not list((tmp_path / "build").glob("rebuild-*"))
    json.dumps(console.document)
