"""Signatures by SSH keys, made and checked by the real ssh-keygen."""

import subprocess
from pathlib import Path
from unittest import mock

import pytest

from scripts.errors import ArtefactError
from scripts.package import inspection, package, signature
from tests import packages


def new_key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def allowed(path: Path, key: Path) -> Path:
    path.write_text(f"team@example {key.with_suffix('.pub').read_text()}")
    return path


def verify(archive: Path, signers: Path) -> None:
    with signature.verified(archive, [signers]):
        pass


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return packages.package(tmp_path / "build")


def test_a_signature_names_its_signer(tmp_path: Path, archive: Path) -> None:
    key = new_key(tmp_path / "key")
    signed = signature.sign(archive, key)
    assert signed.name == f"{archive.name}.sig"
    signers = allowed(tmp_path / "signers", key)
    with signature.verified(archive, [signers, signers]) as (_, names):
        assert names == ["team@example"]
    assert ("signature", "by team@example") in inspection.inspect(archive, signers).tables()[0][1]


def test_the_same_key_gives_the_same_signature(tmp_path: Path, archive: Path) -> None:
    key = new_key(tmp_path / "key")
    first = signature.sign(archive, key).read_bytes()
    assert signature.sign(archive, key).read_bytes() == first


def test_unsigned_is_refused(tmp_path: Path, archive: Path) -> None:
    signers = allowed(tmp_path / "signers", new_key(tmp_path / "key"))
    with pytest.raises(ArtefactError, match="There is no signature"):
        verify(archive, signers)


def test_a_strangers_signature_is_refused(tmp_path: Path, archive: Path) -> None:
    signature.sign(archive, new_key(tmp_path / "stranger"))
    signers = allowed(tmp_path / "signers", new_key(tmp_path / "key"))
    with pytest.raises(ArtefactError, match="not signed by anybody"):
        verify(archive, signers)


def test_a_change_after_signing_is_refused(tmp_path: Path, archive: Path) -> None:
    key = new_key(tmp_path / "key")
    signature.sign(archive, key)
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(ArtefactError, match="was changed since"):
        verify(archive, allowed(tmp_path / "signers", key))


def test_what_is_no_key_is_refused(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(ArtefactError, match="There is no key"):
        signature.key(str(tmp_path / "gone"))
    (tmp_path / "text").write_text("no key")
    with pytest.raises(ArtefactError, match="refused to sign"):
        signature.sign(archive, tmp_path / "text")
    assert not signature.path_of(archive).exists()


def test_what_is_read_is_what_was_verified(tmp_path: Path, archive: Path) -> None:
    key = new_key(tmp_path / "key")
    signature.sign(archive, key)
    with signature.verified(archive, [allowed(tmp_path / "signers", key)]) as (own, _):
        archive.write_bytes(b"changed after the signature was verified")
        assert package.check(own).manifest.name == "dinov3_digits_int8_iq9075"
    assert not own.exists()


def test_nothing_is_read_before_it_is_verified(tmp_path: Path, archive: Path) -> None:
    signature.sign(archive, new_key(tmp_path / "stranger"))
    signers = allowed(tmp_path / "signers", new_key(tmp_path / "key"))
    with (
        mock.patch.object(package, "read", side_effect=AssertionError("read")),
        pytest.raises(ArtefactError, match="not signed by anybody"),
    ):
        inspection.inspect(archive, signers).tables()


def test_a_planted_link_is_not_followed(tmp_path: Path, archive: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    signature.path_of(archive).with_suffix(".partial").symlink_to(victim)
    signed = signature.sign(archive, new_key(tmp_path / "key"))
    assert victim.read_text() == "precious"
    assert not signed.is_symlink()
