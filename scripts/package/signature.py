"""Signatures of packages, made and checked by OpenSSH: a team's SSH keys are its signing keys.

`ssh-keygen -Y` gets the path of a key, never the key; it asks for a passphrase on the terminal
itself, and takes keys from an agent or a security token.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from scripts.errors import ArtefactError

NAMESPACE = "dinov3-qnn-package"


def path_of(archive: Path) -> Path:
    """Return where the signature of an archive stands: beside it, with `.sig` at the end."""
    return archive.with_name(archive.name + ".sig")


def key(given: str) -> Path:
    """Return the file of a private SSH key, or of a public one whose private key an agent holds.

    Raises:
        ArtefactError: there is no such file.
    """
    path = Path(given).expanduser()
    if not path.is_file():
        raise ArtefactError(f"There is no key {path}.", remedy="ssh-keygen -t ed25519 -f KEY")
    return path


def sign(archive: Path, key: Path) -> Path:
    """Sign an archive with a key.

    Raises:
        ArtefactError: the key cannot be used, or the archive cannot be read.
    """
    text = _ssh_keygen("sign", ["-f", str(key), "-n", NAMESPACE], archive)
    signature = path_of(archive)
    scratch = signature.with_suffix(".partial")
    scratch.write_bytes(text)
    return scratch.replace(signature)


def verify(archive: Path, signers: Path) -> str:
    """Return who signed an archive, by `signers`, a file in OpenSSH's allowed_signers format.

    Raises:
        ArtefactError: it is not signed, or by nobody in `signers`, or it was changed afterwards.
    """
    signature = path_of(archive)
    for file, what in ((signature, "signature"), (signers, "list of allowed signers")):
        if not file.is_file():
            raise ArtefactError(
                f"There is no {what} {file}.", remedy="sign with `invoke package --sign KEY`"
            )
    options = ["-f", str(signers), "-s", str(signature)]
    try:
        who = _ssh_keygen("find-principals", options, archive).decode().split()[0]
        _ssh_keygen("verify", [*options, "-I", who, "-n", NAMESPACE], archive)
    except (ArtefactError, IndexError) as error:
        raise ArtefactError(
            f"{archive.name} is not signed by anybody in {signers}, or was changed since.",
            cause="another key signed it, or the archive was rebuilt without signing it again",
            remedy="sign it with `invoke package --sign KEY`, or add the signer to the list",
        ) from error
    return who


def _ssh_keygen(action: str, options: list[str], archive: Path) -> bytes:
    command = ["ssh-keygen", "-Y", action, *options]
    try:
        with archive.open("rb") as content:
            done = subprocess.run(command, stdin=content, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise ArtefactError(
            f"{error.filename} is missing.",
            remedy="make the archive with `invoke package`; ssh-keygen is in openssh-client",
        ) from error
    if done.returncode:
        raise ArtefactError(f"ssh-keygen refused to {action}: {done.stderr.decode().strip()}")
    return done.stdout
