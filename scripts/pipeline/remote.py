"""A cache that machines share, over plain HTTP as bazel-remote speaks it.

`/cas/<sha256>` is a file, `/ac/<key>` an `ActionResult` of the Remote Execution API in protobuf's
JSON, whose `stdoutRaw` holds the stage's manifest. bazel-remote keeps it in binary and answers in
JSON to who accepts that; a server of plain files gives back what it got.

Nothing that comes is believed: a file is hashed before it has its name, a result is held to its
form here and to what this build would record of its run by who asked for it.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import get_netrc_auth
from urllib3.util import Retry

from scripts.errors import UsageError
from scripts.loopback import is_loopback
from scripts.pipeline import cas
from scripts.pipeline.cas import Manifest
from scripts.pipeline.hub import CERTIFICATES
from scripts.pipeline.incoming import Incoming

TOKEN, TOKEN_FILE = "DINOV3_QNN_CACHE_TOKEN", "DINOV3_QNN_CACHE_TOKEN_FILE"
# To connect, and between two reads.
_SECONDS = (5, 60)
_TRIES = 3
_CHUNK = 1 << 20
_LARGEST_RESULT = 16 << 20
_JSON = "application/json"
# What says that a file, or that part of it, is not there.
_NOT_THERE = (404, 410, 416)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MODE = re.compile(r"0[0-7]{3}")
# What a folder of a network holds apart from outputs.
_RESERVED = ("manifests", "failed")


class _Useless(Exception):
    """The server gave what is no use, and the reason is the text."""


class _Absent(Exception):
    """The server has no such file."""


Kind = TypeVar("Kind")


class _Bearer(AuthBase):
    """A token, which no `repr` shows; requests takes it off where another host is named."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass
class Remote:
    """One cache; `note` is told, once, why it is of no use any more."""

    url: str
    note: Callable[[str], None]
    is_alive: bool = True
    _is_remarked: bool = field(default=False, init=False, repr=False)
    _session: requests.Session = field(init=False, repr=False)
    _certificates: str | bool = field(init=False, repr=False)
    _turn: Lock = field(default_factory=Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self._session = _session(self.url)
        self._certificates = _certificates()

    def result(self, key: str) -> Manifest | None:
        """Return the manifest that the cache has under a key; None where it has none of use."""

        def ask() -> Manifest | None:
            wish = {"Accept": _JSON}
            with self._ask("GET", f"/ac/{key}", headers=wish, stream=True) as answer:
                content = _bounded(answer) if answer.ok else b""
            if content and not content.lstrip().startswith(b"{"):
                raise _Useless("it answers with a page (a log-in page?)")
            manifest = _manifest(content)
            if answer.ok and not manifest:
                self._remark(f"no result of a stage under {key}")
            return manifest

        return self._while_alive(ask, None)

    def fetch(self, sha256: str, size: int, path: Path) -> bool:
        """Bring a file, going on where an earlier try was ended; False where that is not possible.

        Raises:
            OSError: it cannot be written.
        """

        def ask() -> bool:
            with _locked(path.with_name(cas.LOCK)):
                incoming = Incoming(path.with_name(f"{sha256}.incoming"))
                is_there = self._download(sha256, size, incoming)
                return is_there and self._accept(incoming, sha256, path)

        return self._while_alive(ask, False)

    def has_file(self, sha256: str) -> bool:
        """Tell whether the cache has a file."""
        return self._while_alive(lambda: self._ask("HEAD", f"/cas/{sha256}").ok, False)

    def put_file(self, sha256: str, path: Path) -> bool:
        """Send a file; False where the cache does not take it."""

        def send() -> bool:
            with path.open("rb") as file:
                # An empty file has no length that requests would name.
                data: BinaryIO | bytes = file if path.stat().st_size else b""
                return self._put(f"/cas/{sha256}", data, "application/octet-stream")

        return self._while_alive(send, False)

    def put_result(self, manifest: Manifest) -> bool:
        """Send a stage's manifest, whose files the cache has; False where it does not take it."""
        place, document = f"/ac/{manifest['key']}", _action_result(manifest)
        return self._while_alive(lambda: self._put(place, document, _JSON), False)

    def _accept(self, incoming: Incoming, sha256: str, path: Path) -> bool:
        if incoming.sha256 == sha256:
            incoming.path.replace(path)
            return True
        incoming.path.unlink()
        self._remark(f"other bytes under {sha256}")
        return False

    def _remark(self, what: str) -> None:
        """Say, once, that the cache has something that is damaged: the next may be whole."""
        with self._turn:
            if not self._is_remarked:
                self.note(f"{self.url} has {what}: not used, nor is what else is damaged there")
            self._is_remarked = True

    def _put(self, place: str, data: BinaryIO | bytes, kind: str) -> bool:
        answer = self._ask("PUT", place, data=data, headers={"Content-Type": kind})
        if not answer.ok:
            raise _Useless(f"it takes nothing ({_status(answer)})")
        return True

    def _download(self, sha256: str, size: int, incoming: Incoming) -> bool:
        """Bring what is missing of a file, as far as the cache has it; False where it has none."""
        ended = True
        for _ in range(_TRIES):
            if incoming.size >= size:
                return True
            try:
                ended = self._receive(sha256, size, incoming)
            except _Absent:
                return False
        if incoming.size < size and not ended:
            raise _Useless("its files break off before their end")
        return True

    def _receive(self, sha256: str, size: int, incoming: Incoming) -> bool:
        """Append to a file what is missing of it; False where the answer broke off."""
        start = incoming.size
        wish = {"Range": f"bytes={start}-"} if start else {}
        try:
            with self._ask("GET", f"/cas/{sha256}", headers=wish, stream=True) as answer:
                if answer.status_code == requests.codes.requested_range_not_satisfiable:
                    incoming.clear()
                    return True
                if not answer.ok:
                    raise _Absent
                if not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                    incoming.clear()
                incoming.append(answer.iter_content(_CHUNK), size)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            return False
        return True

    def _ask(self, method: str, place: str, **options: Any) -> requests.Response:
        # Said here, for requests would take REQUESTS_CA_BUNDLE before what a session has.
        options |= {"timeout": _SECONDS, "verify": self._certificates}
        answer = self._session.request(method, f"{self.url}{place}", **options)
        if answer.status_code in (401, 403):
            raise _Useless(f"it does not know us ({_status(answer)}): set {TOKEN}, or ~/.netrc")
        if answer.status_code >= 500:
            raise _Useless(f"it fails ({_status(answer)})")
        if method == "GET" and not answer.ok and answer.status_code not in _NOT_THERE:
            raise _Useless(f"it refuses ({_status(answer)})")
        return answer

    def _while_alive(self, act: Callable[[], Kind], otherwise: Kind) -> Kind:
        """Return what comes of a question; once the cache was of no use, it is asked no more."""
        if not self.is_alive:
            return otherwise
        try:
            return act()
        except (_Useless, requests.RequestException) as error:
            with self._turn:
                if self.is_alive:
                    self.note(f"going on without the cache {self.url}: {_reason(error)}")
                self.is_alive = False
            return otherwise


def _session(url: str) -> requests.Session:
    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"
    # A server that says when to come back is not waited for: stages can run instead.
    again = Retry(
        total=_TRIES,
        read=1,  # each of them takes a minute
        backoff_factor=0.5,
        status_forcelist=(429, 502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=again))
    if token := _token():
        session.auth = _Bearer(token)
    if (token or get_netrc_auth(url)) and not _is_private(url):
        raise UsageError(
            f"--cache {url}: a token or password would travel in clear.",
            remedy=f"https://, or unset {TOKEN} and {TOKEN_FILE}",
        )
    return session


def _token() -> str:
    """Return the bearer token of the environment or of a file, empty where there is none.

    Raises:
        UsageError: the file cannot be read.
    """
    if token := os.environ.get(TOKEN, "").strip():
        return token
    if not (file := os.environ.get(TOKEN_FILE)):
        return ""
    try:
        return Path(file).expanduser().read_text().strip()
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{TOKEN_FILE} {file} cannot be read: {error}.") from None


def _is_private(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def _certificates() -> str | bool:
    """Return the machine's own certificates, those of requests where it has none.

    The same variables count as for the hub, in the same order.

    Raises:
        UsageError: the variable names no file or folder of certificates.
    """
    if name := next((name for name in CERTIFICATES if os.environ.get(name)), ""):
        _require_certificates(name, os.environ[name])
        return os.environ[name]
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True


def _require_certificates(name: str, path: str) -> None:
    try:
        is_folder = Path(path).is_dir()
        ssl.create_default_context(
            cafile=None if is_folder else path, capath=path if is_folder else None
        )
    except OSError as error:  # an SSLError is one, too
        reason = "it has none" if isinstance(error, ssl.SSLError) else error.strerror
        raise UsageError(
            f"{name}={path} cannot be read as certificates: {reason}.",
            remedy=f"name a file of certificates (PEM), or unset {name}",
        ) from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time append to what comes in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _bounded(answer: requests.Response) -> bytes:
    content = b""
    for chunk in answer.iter_content(_CHUNK):
        content += chunk
        if len(content) > _LARGEST_RESULT:
            raise _Useless("a result of it is too large to be one")
    return content


def _action_result(manifest: Manifest) -> bytes:
    """Return a manifest as an `ActionResult`, so that the server knows the files it needs."""
    files = [
        {
            "path": name,
            "digest": {"hash": output["sha256"], "sizeBytes": str(output["size"])},
            "isExecutable": bool(int(output["mode"], 8) & 0o111),
        }
        for name, output in sorted(manifest["outputs"].items())
    ]
    text = json.dumps(manifest, sort_keys=True).encode()
    return json.dumps({"outputFiles": files, "stdoutRaw": base64.b64encode(text).decode()}).encode()


def _manifest(content: bytes) -> Manifest | None:
    """Return the manifest in an `ActionResult`; None where it has not the form of one of ours."""
    try:
        manifest = json.loads(base64.b64decode(json.loads(content)["stdoutRaw"]))
        outputs = manifest["outputs"].items()
        whole = all(_is_path(name) and _is_output(output) for name, output in outputs)
        whole &= isinstance(manifest["usage"], dict) and manifest["seconds"] >= 0
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return manifest if whole else None


def _is_path(name: str) -> bool:
    """Tell whether a name is of a file that a stage may write: plain, below the folder, no other's.

    The parts that begin with a dot are the store's own.
    """
    parts = PurePosixPath(name).parts
    plain = "/".join(parts) == name and parts[0] not in _RESERVED
    return plain and name.isprintable() and not any(part.startswith((".", "/")) for part in parts)


def _is_output(output: Any) -> bool:
    is_size = type(output["size"]) is int and output["size"] >= 0
    digest, mode = output["sha256"], output["mode"]
    return bool(is_size and _SHA256.fullmatch(digest) and _MODE.fullmatch(mode))


def _status(answer: requests.Response) -> str:
    return f"{answer.status_code} {answer.reason}"


def _reason(error: Exception) -> str:
    """Return why in one line; requests' own texts name objects of Python."""
    if isinstance(error, requests.exceptions.SSLError):
        return _tls_reason(error)
    if isinstance(error, requests.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return "what it answers cannot be unpacked"
    if isinstance(error, requests.TooManyRedirects | requests.exceptions.InvalidSchema):
        return "it sends requests elsewhere, and that is no cache"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "it does not answer"
    return str(error).splitlines()[0]


def _tls_reason(error: Exception) -> str:
    """Return why there is no TLS; OpenSSL's own words are all that tells the causes apart."""
    text = str(error)
    if mismatch := re.search(r"(Hostname|IP address) mismatch", text):
        return f"its certificate is of another server ({mismatch[0]})"
    if "has expired" in text:
        return "its certificate has expired, or the clock here is wrong"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its certificate is not one of this machine's (SSL_CERT_FILE names others)"
    return "it does not speak https:// there (plain http://, or a TLS that is not ours)"
