"""The few answers of the Hugging Face hub that a download needs, served on the loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "facebook/dinov3-tiny"


@contextmanager
def serve(folder: Path, *, token: str = "", status: int = 0, cut: int = 0) -> Iterator[str]:
    """Yield the address of a hub that has one repository.

    With `token`, nobody else gets the files, as of a gated repository; `status` answers everything
    so; `cut` leaves the last bytes of the weights away.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(head=True)

        def do_GET(self) -> None:
            self._answer(head=False)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

        def _answer(self, head: bool) -> None:
            if status:
                self._send(status, b"{}", head)
            elif self.path.startswith("/api/models/") and "/tree/" in self.path:
                tree = [_entry(file) for file in sorted(folder.iterdir())]
                self._send(200, json.dumps(tree).encode(), head)
            elif self.path.startswith("/api/models/"):
                names = [{"rfilename": file.name} for file in sorted(folder.iterdir())]
                about = {"id": REPO, "sha": COMMIT, "siblings": names}
                self._send(200, json.dumps(about).encode(), head)
            elif token and self.headers["Authorization"] != f"Bearer {token}":
                self._send(403, b"", head, {"X-Error-Code": "GatedRepo"})
            else:
                self._file(folder / self.path.rsplit("/", 1)[1], head)

        def _file(self, file: Path, head: bool) -> None:
            content = file.read_bytes()
            content = content[: len(content) - cut] if file.suffix == ".safetensors" else content
            etag = f'"{sha256(content).hexdigest()}"'
            self._send(200, content, head, {"X-Repo-Commit": COMMIT, "ETag": etag})

        def _send(
            self, code: int, body: bytes, head: bool, extra: dict[str, str] | None = None
        ) -> None:
            self.send_response(code)
            for name, value in {"Content-Length": str(len(body)), **(extra or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if not head:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _entry(file: Path) -> dict[str, object]:
    digest = sha256(file.read_bytes()).hexdigest()[:40]
    return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": digest}
