"""Signatures by SSH keys, made and checked by the real ssh-keygen."""

import subprocess
from pathlib import Path
from unittest import mock

import pytest

from scripts.errors import KeyFileError, SignatureError, UsageError
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
    with pytest.raises(SignatureError, match="is not signed: there is no signature"):
        verify(archive, signers)


def test_a_strangers_signature_is_refused(tmp_path: Path, archive: Path) -> None:
    signature.sign(archive, new_key(tmp_path / "stranger"))
    signers = allowed(tmp_path / "signers", new_key(tmp_path / "key"))
    with pytest.raises(SignatureError, match="not signed by anybody"):
        verify(archive, signers)


def test_a_change_after_signing_is_refused(tmp_path: Path, archive: Path) -> None:
    key = new_key(tmp_path / "key")
    signature.sign(archive, key)
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(SignatureError, match="was changed since"):
        verify(archive, allowed(tmp_path / "signers", key))


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of keys and of other files, without an agent."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    new_key(tmp_path / "plain")
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(tmp_path / "locked")]
    subprocess.run(command, check=True)
    new_key(tmp_path / "other").unlink()
    (tmp_path / "text").write_text("no key")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", ["plain", "plain.pub", "locked"])
def test_a_key_is_known_before_the_build(keys: Path, name: str) -> None:
    """One with a passphrase too, which is asked for when it is used."""
    assert signature.key(keys / name) == keys / name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone", "There is no key"),
        ("folder", "There is no key"),
        ("text", "is no SSH key"),
        ("other.pub", "Nothing can be signed with"),
    ],
)
def test_what_is_no_key_is_refused_before_the_build(keys: Path, name: str, says: str) -> None:
    with pytest.raises(KeyFileError, match=says) as refusal:
        signature.key(keys / name)
    assert str(keys / name) in refusal.value.what


def test_a_key_that_is_refused_leaves_no_signature(keys: Path, archive: Path) -> None:
    with pytest.raises(KeyFileError, match="refused to sign"):
        signature.sign(archive, keys / "text")
    assert not signature.path_of(archive).exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone", "There is no file"),
        ("folder", "is a folder"),
        ("text", "names no allowed signer"),
        ("plain", "names no allowed signer"),
        ("plain.pub", "names no allowed signer"),
    ],
)
def test_a_list_of_signers_is_looked_at_first(
    keys: Path, archive: Path, name: str, says: str
) -> None:
    """The archive is not signed, and the list is no list: both are wrong, the list is said."""
    with pytest.raises(KeyFileError, match=says) as refusal:
        verify(archive, keys / name)
    assert "KEY.pub" in refusal.value.remedy


def test_a_list_may_have_options_and_comments(keys: Path, archive: Path) -> None:
    public = (keys / "plain.pub").read_text()
    (keys / "list").write_text(f'# the team\n\na@b,c@d namespaces="{signature.NAMESPACE}" {public}')
    signature.sign(archive, keys / "plain")
    with signature.verified(archive, [keys / "list"]) as (_, names):
        assert names


def test_an_archive_that_is_not_there_is_no_matter_of_signatures(keys: Path) -> None:
    with pytest.raises(UsageError, match="There is no archive"):
        verify(keys / "x.tar.gz", allowed(keys / "signers", keys / "plain"))


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
        pytest.raises(SignatureError, match="not signed by anybody"),
    ):
        inspection.inspect(archive, signers).tables()


def test_a_planted_link_is_not_followed(tmp_path: Path, archive: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    archive.with_name(f"{archive.name}.sig.partial").symlink_to(victim)
    signed = signature.sign(archive, new_key(tmp_path / "key"))
    assert victim.read_text() == "precious"
    assert not signed.is_symlink()
