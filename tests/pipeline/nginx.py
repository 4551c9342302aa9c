"""nginx with WebDAV over TLS, out of Debian's package: nothing is installed, no service started."""

from __future__ import annotations

import base64
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import debian

TOKEN = "secret"
CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/data/temporary; client_max_body_size 0;
  proxy_temp_path {folder}/t1; fastcgi_temp_path {folder}/t2;
  uwsgi_temp_path {folder}/t3; scgi_temp_path {folder}/t4;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    root {folder}/data;
    if ($http_authorization !~ "^(Bearer {token}|Basic {password})$") {{ return 401; }}
    location /cache/ {{ dav_methods PUT; create_full_put_path on; }}
    location /small/ {{ dav_methods PUT; create_full_put_path on; client_max_body_size 1k; }}
  }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running server: what it keeps is under `data`, its certificate in `cert.pem`."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """The cache's address."""
        return f"https://127.0.0.1:{self.port}/cache"

    @property
    def certificate(self) -> Path:
        """What a client has to know it by."""
        return self.folder / "cert.pem"

    def file(self, kind: str, name: str) -> Path:
        """Return where it keeps an entry of `ac` or `cas`."""
        return self.folder / "data" / "cache" / kind / name

    def log(self) -> str:
        """Return what it was asked for."""
        return (self.folder / "access.log").read_text()


@contextmanager
def running(folder: Path) -> Iterator[Nginx]:
    """Yield a server that keeps what it has under a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Nginx(folder, free.getsockname()[1])
    debian.certify(folder)
    (folder / "data").mkdir()
    password = base64.b64encode(f"me:{TOKEN}".encode()).decode()
    config = CONFIG.format(folder=folder, port=server.port, token=TOKEN, password=password)
    (folder / "nginx.conf").write_text(config)
    program = debian.program("nginx", "usr/sbin/nginx", folder)
    command = [str(program), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    process = subprocess.Popen(command)
    try:
        _wait_for(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(server: Nginx, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        with socket.socket() as client:
            if not client.connect_ex(("127.0.0.1", server.port)):
                return
        assert process.poll() is None, (server.folder / "error.log").read_text()
        time.sleep(0.1)
    pytest.fail("nginx does not answer")
