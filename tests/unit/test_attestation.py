"""Signed statements, checked by tools of others: openssl, and in-toto's own types."""

import base64
import getpass
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from google.protobuf import json_format  # type: ignore[import-untyped]
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from scripts import attestation, digests
from scripts.errors import KeyFileError
from scripts.image import lanes, locks, provenance
from scripts.image.image import Image
from scripts.package import attest
from scripts.source import ROOT
from tests import packages

STATEMENT = attestation.statement("thing", {"sha256": 64 * "a"}, attestation.PROVENANCE, {"n": 1})
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
PULLED_BY = f"registry.test/image@sha256:{7:064x}"


def new_key(path: Path, *options: str, passphrase: str = "") -> Path:
    options = options or ("-t", "ed25519")
    command = ["ssh-keygen", "-q", *options, "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return new_key(tmp_path / "signer")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return packages.package(tmp_path / "build")


def payload(envelope: bytes) -> Any:
    return json.loads(base64.b64decode(json.loads(envelope)["payload"]))


def checked_by_hand(archive: Path) -> subprocess.CompletedProcess[str]:
    """Run the lines that docs/attestations.md gives, beside the public key."""
    (lines,) = SHELL.findall((ROOT / "docs/attestations.md").read_text())
    script = f"set -e\nARCHIVE={archive}\n{lines}"
    folder = archive.parents[1]
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )


def test_openssl_verifies_an_archive_as_the_documents_say(archive: Path, key: Path) -> None:
    assert attest.attest(archive, key) == attest.path_of(archive)
    done = checked_by_hand(archive)
    assert done.returncode == 0, done.stderr
    assert "Signature Verified Successfully" in done.stdout


@pytest.mark.parametrize("what", ["statement", "archive", "signer"])
def test_openssl_sees_what_was_changed(archive: Path, key: Path, what: str) -> None:
    path = attest.attest(archive, key)
    assert path
    if what == "archive":
        archive.write_bytes(archive.read_bytes() + b"\0")
    elif what == "signer":
        attest.attest(archive, new_key(key.with_name("stranger")))
    else:
        envelope = json.loads(path.read_text())
        changed = payload(path.read_bytes()) | {"predicateType": "another"}
        envelope["payload"] = base64.b64encode(json.dumps(changed).encode()).decode()
        path.write_text(json.dumps(envelope))
    assert checked_by_hand(archive).returncode != 0


def test_the_library_verifies_it_by_the_public_key_alone(key: Path) -> None:
    envelope = attestation.envelope(STATEMENT, attestation.required(key))
    public = SSlibKey.from_crypto(load_ssh_public_key(key.with_suffix(".pub").read_bytes()))
    Envelope.from_dict(json.loads(envelope)).verify([public], 1)
    stranger = new_key(key.with_name("stranger")).with_suffix(".pub")
    other = SSlibKey.from_crypto(load_ssh_public_key(stranger.read_bytes()))
    with pytest.raises(VerificationError):
        Envelope.from_dict(json.loads(envelope)).verify([other], 1)


def test_in_totos_own_types_take_the_statements(archive: Path, key: Path) -> None:
    path = attest.attest(archive, key)
    assert path
    image = Image("id", "tag", "bookworm", f"sha256:{1:064x}", f"sha256:{2:064x}", 0)
    statement = provenance.make(image, lanes.load("bookworm"), PULLED_BY)
    for content in (payload(path.read_bytes()), statement):
        parsed = json_format.ParseDict(content, statement_pb2.Statement())
        Statement.copy_from_pb(parsed).validate()


def test_an_archives_statement_is_that_of_its_own_provenance(archive: Path, key: Path) -> None:
    path = attest.attest(archive, key)
    assert path
    content = payload(path.read_bytes())
    digest = {"sha256": digests.of_file(archive)}
    assert content["subject"] == [{"name": archive.name, "digest": digest}]
    assert content["predicateType"] == attestation.PROVENANCE
    assert content["predicate"]["buildDefinition"]["externalParameters"]["model"] == "digits"


def test_an_images_statement_names_all_that_went_in() -> None:
    image = Image("id", "tag", "bookworm", f"sha256:{1:064x}", f"sha256:{2:064x}", 0)
    content = provenance.make(image, lanes.load("bookworm"), PULLED_BY)
    assert content["subject"] == [
        {"name": "registry.test/image", "digest": {"sha256": f"{7:064x}"}}
    ]
    definition = content["predicate"]["buildDefinition"]
    hashes = {item["digest"].get("sha256") for item in definition["resolvedDependencies"]}
    assert set(locks.packages(lanes.load("bookworm")).hashes.values()) <= hashes


def test_the_same_key_and_statement_give_the_same_bytes(archive: Path, key: Path) -> None:
    first, second = (attest.attest(archive, key) for _ in range(2))
    assert first and second and first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("options", [("-m", "PEM", "-t", "rsa"), ("-t", "ecdsa")])
def test_other_keys_sign_too(tmp_path: Path, options: tuple[str, ...]) -> None:
    key = new_key(tmp_path / "key", *options)
    envelope = attestation.envelope(STATEMENT, attestation.required(key))
    public = SSlibKey.from_crypto(load_ssh_public_key(key.with_suffix(".pub").read_bytes()))
    Envelope.from_dict(json.loads(envelope)).verify([public], 1)


def test_a_passphrase_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key(tmp_path / "key", passphrase="open sesame")
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "open sesame")
    assert attestation.required(key)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "wrong")
    with pytest.raises(KeyFileError, match="cannot sign"):
        attestation.required(key)


def test_a_key_that_is_elsewhere_signs_none(archive: Path, key: Path) -> None:
    public = key.with_suffix(".pub")
    assert attest.attest(archive, key)
    assert attest.attest(archive, public) is None
    assert not attest.path_of(archive).exists()
    with pytest.raises(KeyFileError, match="no private key"):
        attestation.required(public)


def test_a_damaged_key_is_refused(tmp_path: Path, key: Path) -> None:
    lines = key.read_text().splitlines()
    key.write_text("\n".join([lines[0], lines[1][::-1], lines[-1]]))
    with pytest.raises(KeyFileError, match="cannot sign"):
        attestation.required(key)
