"""Signatures of packages, made and checked by OpenSSH: a team's SSH keys are its signing keys.

`ssh-keygen -Y` gets the path of a key, never the key; it asks for a passphrase on the terminal
itself, and takes keys from an agent or a security token.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import IO

from scripts import writing
from scripts.errors import KeyFileError, SignatureError, UsageError
from scripts.package import rule, scratch
from scripts.package.archive import regular

NAMESPACE = "dinov3-qnn-package"
_CHUNK = 1 << 20
# A line of OpenSSH's allowed_signers: names, maybe options, the type of the key, and the key.
_SIGNER = re.compile(rb"[^\s#].*\s(ssh|ecdsa|sk-ssh|sk-ecdsa)-[\w@.-]+\s+[A-Za-z0-9+/]{40}")
_LIST_REMEDY = 'one line a signer, e.g. `echo "NAME $(cat KEY.pub)" >> FILE`'


def path_of(archive: Path) -> Path:
    """Return where the signature of an archive stands: beside it, with `.sig` at the end."""
    return archive.with_name(archive.name + ".sig")


def key(path: Path) -> Path:
    """Return the file of a private SSH key, or of a public one whose private key an agent holds.

    Raises:
        KeyFileError: there is no such file, or nothing can be signed with it.
    """
    if not path.is_file():
        raise KeyFileError(
            f"There is no key {path}.",
            cause="a slip in the path, or a folder was given",
            remedy="`ssh-keygen -t ed25519 -f KEY` makes one",
        )
    kind = _ssh_keygen(["-l", "-f", str(path)])
    if kind.returncode:
        raise KeyFileError(
            f"{path} is no SSH key.",
            cause="another file was given",
            remedy="`ssh-keygen -t ed25519 -f KEY` makes one",
        )
    if not _is_token(kind.stdout):
        _require_use(path)
    return path


def _is_token(fingerprint: bytes) -> bool:
    """Tell whether a key is in a security token, which wants to be touched at each signature."""
    return b"-SK)" in fingerprint


def _require_use(path: Path) -> None:
    """Sign nothing with a key; where it wants a passphrase, which nobody can type, it will do."""
    done = _ssh_keygen(["-Y", "sign", "-f", str(path), "-n", NAMESPACE])
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode and "passphrase" not in said:
        raise KeyFileError(
            f"Nothing can be signed with {path}: {said.splitlines()[-1] if said else 'no reason'}.",
            cause="a public key without its private one, in a file beside it or in ssh-agent; or "
            "an old private key without its public one",
            remedy="`ssh-add KEY`, or put KEY and KEY.pub in one folder",
        )


def sign(archive: Path, key: Path) -> Path:
    """Sign an archive with a key.

    Raises:
        KeyFileError: the key cannot be used.
        UsageError: there is no archive.
    """
    options = ["-Y", "sign", "-f", str(key), "-n", NAMESPACE]
    done = _ssh_keygen(options, archive)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise KeyFileError(
            f"ssh-keygen refused to sign with {key}: {said}.",
            cause="a wrong passphrase, or an agent or a token that refused",
            remedy="run the same command again: the archive is whole and is only signed",
        )
    return writing.replace(path_of(archive), done.stdout)


@contextmanager
def verified(archive: Path, signers: Sequence[Path]) -> Iterator[tuple[Path, list[str]]]:
    """Yield what may be read of an archive, and who signed it by each of `signers`.

    `signers` are files in OpenSSH's allowed_signers format. With any, what is yielded is a private
    copy: what was verified is what is read, whoever writes to the archive meanwhile.

    Raises:
        KeyFileError: a list is missing, or is none.
        UsageError: there is no archive.
        SignatureError: it is not signed, or by nobody in `signers`, or it was changed afterwards.
    """
    if not signers:
        yield archive, []
        return
    for file in signers:
        require_list(file)
    with scratch.folder() as folder:
        with regular(archive) as content:
            copy = _copied(content, folder / archive.name, rule.MAX_PACKAGE)
        with _signature(archive) as content:
            _copied(content, path_of(copy), rule.MAX_DOCUMENT)
        yield copy, [_signer(copy, file) for file in dict.fromkeys(signers)]


def _signer(archive: Path, signers: Path) -> str:
    with scratch.folder() as folder:
        with signers.open("rb") as file:
            own = _copied(file, folder / "list", rule.MAX_DOCUMENT)
        options = ["-f", str(own), "-s", str(path_of(archive))]
        principals = _ssh_keygen(["-Y", "find-principals", *options], archive)
        who = principals.stdout.decode(errors="replace").partition("\n")[0]
        verify = ["-Y", "verify", *options, "-I", who, "-n", NAMESPACE]
        if principals.returncode or not who or _ssh_keygen(verify, archive).returncode:
            raise SignatureError(
                f"{archive.name} is not signed by anybody in {signers}, or was changed since.",
                cause="another key signed it, or the archive was rebuilt without signing it again",
                remedy="sign it with `invoke package --sign KEY`, or add the signer to the list",
            )
    return who


def require_list(file: Path) -> None:
    """Refuse what is no list of allowed signers, before it is used to judge anything.

    Raises:
        KeyFileError: it is none.
    """
    if not file.is_file():
        what = f"{file} is a folder" if file.is_dir() else f"There is no file {file}"
        raise KeyFileError(f"{what}: it should list the allowed signers.", remedy=_LIST_REMEDY)
    with file.open("rb") as stream:
        lines = stream.read(rule.MAX_DOCUMENT + 1).splitlines()
    if not any(_SIGNER.match(line) for line in lines):
        raise KeyFileError(
            f"{file} names no allowed signer: it has no line of NAME, type of key and key.",
            cause="a public key without a name before it, or another file",
            remedy=_LIST_REMEDY,
        )


def _signature(archive: Path) -> IO[bytes]:
    try:
        return regular(path_of(archive))
    except UsageError:
        raise SignatureError(
            f"{archive} is not signed: there is no signature {path_of(archive).name} beside it.",
            cause="it was built without --sign, or copied without its signature",
            remedy="sign it with `invoke package --sign KEY`, or copy the .sig too",
        ) from None


def _copied(source: IO[bytes], target: Path, most: int) -> Path:
    """Copy a file of at most `most` bytes into a private folder."""
    with writing.create(target) as copy:
        while piece := source.read(_CHUNK):
            copy.write(piece)
            if copy.tell() > most:
                raise rule.refusal(f"{source.name} has more than {most} bytes.")
    return target


def _ssh_keygen(options: list[str], archive: Path | None = None) -> CompletedProcess[bytes]:
    """Run ssh-keygen on an archive, where it may ask for a passphrase; or on nothing, alone."""
    if shutil.which("ssh-keygen") is None:
        raise KeyFileError(
            "ssh-keygen is missing, which makes and checks signatures.",
            remedy="install it: it is in openssh-client (Debian, Ubuntu)",
        )
    command = ["ssh-keygen", *options]
    if archive is None:
        silent = {**os.environ, "SSH_ASKPASS_REQUIRE": "never"}
        return subprocess.run(
            command, input=b"", capture_output=True, check=False, env=silent, start_new_session=True
        )
    with regular(archive) as content:
        return subprocess.run(command, stdin=content, capture_output=True, check=False)
