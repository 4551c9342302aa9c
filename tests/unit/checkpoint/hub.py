"""The few answers of the Hugging Face hub that a download needs, served on the loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "facebook/dinov3-tiny"
REVISIONS = ("main", "v1", COMMIT)


@dataclass(frozen=True)
class Request:
    """What a server was asked."""

    method: str
    path: str
    range: str
    authorization: str


@dataclass
class Behaviour:
    """How a hub answers; `requests` and `elsewhere` are what came to it and to its file store.

    With `token`, nobody else gets the files, as of a gated repository, but `refusal`; `status`
    answers everything so; `stalls` holds weights back after so many bytes; `flips` changes a byte
    of them on the way; `redirects` has large files on another host, as the hub has.
    """

    token: str = ""
    refusal: int = 403
    status: int = 0
    stalls: int = 0
    flips: bool = False
    redirects: bool = False
    requests: list[Request] = field(default_factory=list)
    elsewhere: list[Request] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    """Answers HEAD as GET, without a body."""

    behaviour: Behaviour
    folder: Path
    log: list[Request]
    ended: Event

    def do_HEAD(self) -> None:
        self._take()

    def do_GET(self) -> None:
        self._take()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def answer(self) -> None:
        raise NotImplementedError

    def _take(self) -> None:
        ranges, secret = self.headers["Range"] or "", self.headers["Authorization"] or ""
        self.log.append(Request(self.command, self.path, ranges, secret))
        self.answer()

    def send(self, code: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def send_file(self, file: Path, headers: dict[str, str]) -> None:
        content = file.read_bytes()
        if self.behaviour.flips and file.suffix == ".safetensors":
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = int((self.headers["Range"] or "bytes=0-")[len("bytes=") :].partition("-")[0])
        code = 206 if start else 200
        stalls = self.behaviour.stalls
        if stalls and self.command == "GET" and stalls < len(content):
            self.send_response(code)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:stalls])
            self.wfile.flush()
            self.ended.wait()
        else:
            self.send(code, content[start:], headers)


@contextmanager
def serve(folder: Path, behaviour: Behaviour | None = None) -> Iterator[str]:
    """Yield the address of a hub that has one repository, `REPO`."""
    own = behaviour or Behaviour()

    class Hub(_Handler):
        log = own.requests

        def answer(self) -> None:
            path = self.path.partition("?")[0]
            if own.status:
                self.send(own.status, b"{}")
            elif path == "/api/models":
                self.send(200, json.dumps([{"id": REPO}]).encode())
            elif not path.removeprefix("/api/models").startswith(f"/{REPO}/"):
                self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
            elif path.startswith("/api/models/"):
                self._about(path.partition("/revision/")[2])
            elif own.token and self.headers["Authorization"] != f"Bearer {own.token}":
                self.send(own.refusal, b"", {"X-Error-Code": "GatedRepo"})
            else:
                self._resolve(folder / path.rpartition("/")[2])

        def _about(self, revision: str) -> None:
            if revision not in REVISIONS:
                self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
                return
            siblings = [_sibling(file) for file in sorted(folder.iterdir())]
            about = {"id": REPO, "sha": COMMIT, "siblings": siblings}
            self.send(200, json.dumps(about).encode())

        def _resolve(self, file: Path) -> None:
            linked = {"X-Repo-Commit": COMMIT, "ETag": f'"{_blob(file)}"'}
            if file.suffix != ".safetensors" or not own.redirects:
                self.send_file(file, linked)
                return
            linked["Location"] = f"{store}/{file.name}"
            linked["X-Linked-Size"] = str(file.stat().st_size)
            self.send(302, b"", linked)

    class Store(_Handler):
        log = own.elsewhere

        def answer(self) -> None:
            self.send_file(folder / self.path.rpartition("/")[2], {})

    with ExitStack() as stack:
        _Handler.behaviour, _Handler.folder, _Handler.ended = own, folder, Event()
        store = stack.enter_context(_running(Store, _Handler.ended))
        yield stack.enter_context(_running(Hub, _Handler.ended))


@contextmanager
def _running(handler: type[_Handler], ended: Event) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


def _sibling(file: Path) -> dict[str, object]:
    about = {"rfilename": file.name, "size": file.stat().st_size, "blobId": _blob(file)}
    if file.suffix != ".safetensors":
        return about
    digest = sha256(file.read_bytes()).hexdigest()
    return {**about, "lfs": {"sha256": digest, "size": about["size"], "pointerSize": 134}}


def _blob(file: Path) -> str:
    """Return the name that git gives a file: of its pointer's text where LFS has it."""
    content = file.read_bytes()
    if file.suffix == ".safetensors":
        content = sha256(content).hexdigest().encode()
    return sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
