"""The stage that fetches: token, proxy and certificates of this machine reach it, and only it."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from docker.errors import NotFound

from scripts import digests
from scripts.errors import CheckpointError
from scripts.pipeline import facts, owner, request, session
from scripts.pipeline import hub as access
from scripts.pipeline.build import Builder
from tests.unit.checkpoint import hub

pytestmark = pytest.mark.pipeline
TOKEN = "hf_0123456789abcdef"


def with_certificate(server: ThreadingHTTPServer, folder: Path) -> ThreadingHTTPServer:
    """Let a server speak TLS with a certificate that nobody knows."""
    names = ["-subj", "/CN=hub", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "company.pem")]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*make, *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "company.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


@pytest.mark.parametrize("trusted", [True, False])
def test_token_and_certificates_of_this_machine_reach_the_hub(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    """A gated repository behind a company's certificate; nothing of it is in a configuration."""
    published = shutil.copytree(request.BUILTIN_WEIGHTS, tmp_path / "published")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "token").write_text(f"{TOKEN}\n")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", *access.CERTIFICATES):
        monkeypatch.delenv(name, raising=False)
    for name in access._PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))

    def secure(*arguments: object) -> ThreadingHTTPServer:
        return with_certificate(ThreadingHTTPServer(*arguments), tmp_path)  # type: ignore[arg-type]

    monkeypatch.setattr(hub, "ThreadingHTTPServer", secure)
    with hub.serve(published, hub.Behaviour(token=TOKEN)) as address:
        monkeypatch.setenv("HF_ENDPOINT", address.replace("http://", "https://"))
        if trusted:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "company.pem"))
        configurations = fetch(builder, tmp_path, trusted)
    assert configurations
    assert TOKEN not in "".join(configurations)


def fetch(builder: Builder, folder: Path, trusted: bool) -> list[str]:
    """Run the stage, and return what the engine says of its container meanwhile."""
    build_request = request.make(weights=hub.REPO, build_dir=str(folder / "build"))
    configurations: list[str] = []
    ended = threading.Event()

    def look() -> None:
        filters = {"label": f"{owner.LABEL}={owner.label()}"}
        while not ended.is_set():
            # Between the two questions a container may go.
            with suppress(NotFound):
                for container in builder.client.api.containers(all=True, filters=filters):
                    said = builder.client.api.inspect_container(container["Id"])
                    configurations.append(json.dumps(said))
            time.sleep(0.2)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        known = session.fetched(builder, build_request)
    except CheckpointError:
        assert not trusted
    else:
        assert trusted
        assert (known.model.name, known.weights_path) == ("digits", build_request.root / "weights")
        record = facts.gather(known, builder.image, digests.DigestCache(Path("none")).tree)
        assert record["parameters"]["weights"] == f"hf://{hub.REPO}@{hub.COMMIT}"
    finally:
        ended.set()
        looking.join()
    return configurations
