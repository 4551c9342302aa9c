"""Attestations: in-toto statements in DSSE envelopes, signed with a private key in a file.

An Ed25519 key of OpenSSH's or in PEM signs raw, as every tool for DSSE verifies it; RSA and ECDSA
keys sign as securesystemslib has it. Only programs on the host use this: it is slow to import.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, Signer

from scripts.errors import KeyFileError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"
PROVENANCE = "https://slsa.dev/provenance/v1"
_STATEMENT = "https://in-toto.io/Statement/v1"
_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"


def statement(
    name: str, digest: Mapping[str, str], predicate_type: str, predicate: Mapping[str, Any]
) -> dict[str, Any]:
    """Return an in-toto v1 statement about one thing, named by its digest, e.g. its `sha256`."""
    return {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": dict(digest)}],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }


def signer(key: Path) -> Signer | None:
    """Return what signs with a key; asks for its passphrase on the terminal.

    None where the file holds no private key: that is an agent's, or in a security token.

    Raises:
        KeyFileError: the key cannot be used.
    """
    data = key.read_bytes()
    if b"PRIVATE KEY-----" not in data:
        return None
    try:
        return CryptoSigner(_private(data, key))
    except UnsupportedAlgorithm:
        return None
    except (ValueError, TypeError) as error:
        raise KeyFileError(
            f"{key} cannot sign: {error}.",
            cause="a wrong passphrase, or a damaged file",
            remedy="run the same command again, or make a key with `ssh-keygen -t ed25519 -f KEY`",
        ) from error


def required(key: Path) -> Signer:
    """Return what signs with a key, as `signer`.

    Raises:
        KeyFileError: the key cannot be used, or is not in the file.
    """
    own = signer(key)
    if own is None:
        raise KeyFileError(
            f"{key} holds no private key that signs attestations.",
            cause="the key is in an agent or a security token, which sign archives only",
            remedy="give the file of a private Ed25519 key",
        )
    return own


def envelope(content: Mapping[str, Any], signer: Signer) -> bytes:
    """Return a statement in a signed envelope: one line of JSON."""
    payload = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    signed = Envelope(payload, PAYLOAD_TYPE, {})
    signed.sign(signer)
    return json.dumps(signed.to_dict(), sort_keys=True).encode() + b"\n"


def _private(data: bytes, key: Path) -> Any:
    """Return a private key; one with a passphrase is known by the refusal to load it without."""
    is_openssh = data.lstrip().startswith(_OPENSSH)
    load = getattr(serialization, f"load_{'ssh' if is_openssh else 'pem'}_private_key")
    try:
        return load(data, None)
    except TypeError:
        return load(data, getpass.getpass(f"Passphrase of {key}: ").encode())
