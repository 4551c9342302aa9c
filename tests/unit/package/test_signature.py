"""Signatures by SSH keys, made and checked by the real ssh-keygen."""

import subprocess
from pathlib import Path

import pytest

from scripts.errors import ArtefactError
from scripts.package import inspection, signature
from tests import packages


def new_key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def allowed(path: Path, key: Path) -> Path:
    path.write_text(f"team@example {key.with_suffix('.pub').read_text()}")
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return packages.package(tmp_path / "build")


def test_a_signature_names_its_signer(tmp_path: Path, archive: Path) -> None:
    key = new_key(tmp_path / "key")
    signed = signature.sign(archive, key)
    assert signed.name == f"{archive.name}.sig"
    signers = allowed(tmp_path / "signers", key)
    assert signature.verify(archive, signers) == "team@example"
    assert ("signature", "by team@example") in inspection.tables(archive, signers)[0][1]


def test_the_same_key_gives_the_same_signature(tmp_path: Path, archive: Path) -> None:
    key = new_key(tmp_path / "key")
    first = signature.sign(archive, key).read_bytes()
    assert signature.sign(archive, key).read_bytes() == first


def test_unsigned_is_refused(tmp_path: Path, archive: Path) -> None:
    signers = allowed(tmp_path / "signers", new_key(tmp_path / "key"))
    with pytest.raises(ArtefactError, match="There is no signature"):
        signature.verify(archive, signers)


def test_a_strangers_signature_is_refused(tmp_path: Path, archive: Path) -> None:
    signature.sign(archive, new_key(tmp_path / "stranger"))
    signers = allowed(tmp_path / "signers", new_key(tmp_path / "key"))
    with pytest.raises(ArtefactError, match="not signed by anybody"):
        signature.verify(archive, signers)


def test_a_change_after_signing_is_refused(tmp_path: Path, archive: Path) -> None:
    key = new_key(tmp_path / "key")
    signature.sign(archive, key)
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(ArtefactError, match="was changed since"):
        signature.verify(archive, allowed(tmp_path / "signers", key))


def test_what_is_no_key_is_refused(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(ArtefactError, match="There is no key"):
        signature.key(str(tmp_path / "gone"))
    (tmp_path / "text").write_text("no key")
    with pytest.raises(ArtefactError, match="refused to sign"):
        signature.sign(archive, tmp_path / "text")
    assert not signature.path_of(archive).exists()
