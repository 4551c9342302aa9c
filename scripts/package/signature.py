"""Signatures of packages, made and checked by OpenSSH: a team's SSH keys are its signing keys.

`ssh-keygen -Y` gets the path of a key, never the key; it asks for a passphrase on the terminal
itself, and takes keys from an agent or a security token.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts.errors import ArtefactError
from scripts.package import rule, scratch

NAMESPACE = "dinov3-qnn-package"
_CHUNK = 1 << 20


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
    partial = signature.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with scratch.create(partial) as file:
        file.write(text)
    return partial.replace(signature)


@contextmanager
def verified(archive: Path, signers: Sequence[Path]) -> Iterator[tuple[Path, list[str]]]:
    """Yield what may be read of an archive, and who signed it by each of `signers`.

    `signers` are files in OpenSSH's allowed_signers format. With any, what is yielded is a private
    copy: what was verified is what is read, whoever writes to the archive meanwhile.

    Raises:
        ArtefactError: it is not signed, or by nobody in `signers`, or it was changed afterwards.
    """
    if not signers:
        yield archive, []
        return
    with scratch.folder() as folder:
        copy = _copied(archive, folder / archive.name, "archive", rule.MAX_PACKAGE)
        _copied(path_of(archive), path_of(copy), "signature", rule.MAX_DOCUMENT)
        yield copy, [_signer(copy, file) for file in dict.fromkeys(signers)]


def _signer(archive: Path, signers: Path) -> str:
    with scratch.folder() as folder:
        own = _copied(signers, folder / "list", "list of allowed signers", rule.MAX_DOCUMENT)
        options = ["-f", str(own), "-s", str(path_of(archive))]
        try:
            who = _ssh_keygen("find-principals", options, archive).decode().splitlines()[0]
            _ssh_keygen("verify", [*options, "-I", who, "-n", NAMESPACE], archive)
        except (ArtefactError, IndexError, UnicodeDecodeError) as error:
            raise ArtefactError(
                f"{archive.name} is not signed by anybody in {signers}, or was changed since.",
                cause="another key signed it, or the archive was rebuilt without signing it again",
                remedy="sign it with `invoke package --sign KEY`, or add the signer to the list",
            ) from error
    return who


def _copied(source: Path, target: Path, what: str, most: int) -> Path:
    """Copy a regular file of at most `most` bytes into a private folder."""
    if not source.is_file():
        raise ArtefactError(
            f"There is no {what} {source}.", remedy="sign with `invoke package --sign KEY`"
        )
    with source.open("rb") as file, scratch.create(target) as copy:
        while piece := file.read(_CHUNK):
            copy.write(piece)
            if copy.tell() > most:
                raise ArtefactError(f"{source} has more than {most} bytes.")
    return target


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
