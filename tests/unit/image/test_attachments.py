"""Documents beside an image: appended or replaced, in a registry that speaks plain HTTP."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests

from scripts import digests
from scripts.errors import ImageBuildError
from scripts.image import attachments

DIGEST = f"sha256:{5:064x}"
TAG = DIGEST.replace(":", "-")


class Registry(BaseHTTPRequestHandler):
    """As much of the distribution protocol as a push of one document needs."""

    store: dict[str, bytes]

    def do_GET(self) -> None:
        data = b"{}" if self.path == "/v2/" else self.store.get(self.path)
        self._answer(404 if data is None else 200, data or b"")

    def do_HEAD(self) -> None:
        self._answer(200 if self.path in self.store else 404)

    def do_POST(self) -> None:
        self._answer(202, location=f"{self.path}one")

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        place = self.path
        if "/uploads/" in place:
            place = place.partition("/uploads/")[0] + f"/sha256:{digests.of_bytes(data)}"
        self.store[place] = data
        self._answer(201, location=place)

    def _answer(self, code: int, data: bytes = b"", location: str = "") -> None:
        self.send_response(code)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def store(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker")))
    monkeypatch.setenv("NO_PROXY", "*")
    return {}


@pytest.fixture
def registry(store: dict[str, bytes]) -> Iterator[str]:
    handler = type("Handler", (Registry,), {"store": store})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def contents(store: dict[str, bytes], kind: str) -> list[bytes]:
    manifest = json.loads(store[f"/v2/x/manifests/{TAG}.{kind}"])
    config = json.loads(store[f"/v2/x/blobs/{manifest['config']['digest']}"])
    names = [layer["digest"] for layer in manifest["layers"]]
    assert config["rootfs"]["diff_ids"] == names
    assert all("annotations" in layer for layer in manifest["layers"])
    return [store[f"/v2/x/blobs/{name}"] for name in names]


def attach(registry: str, document: attachments.Document) -> str:
    return attachments.attach(f"{registry}/x@{DIGEST}", document)


def test_an_attestation_stands_beside_those_that_are_there(
    registry: str, store: dict[str, bytes]
) -> None:
    for envelope in (b"first", b"second", b"first"):
        place = attach(registry, attachments.provenance(envelope))
    assert place == f"{registry}/x:{TAG}.att"
    assert sorted(contents(store, "att")) == [b"first", b"second"]


def test_a_bill_of_materials_is_replaced(registry: str, store: dict[str, bytes]) -> None:
    for bill in (b"first", b"second"):
        attach(registry, attachments.sbom(bill))
    assert contents(store, "sbom") == [b"second"]


@pytest.mark.parametrize("data", [b"[]", b'{"layers": [{}]}', b"{", b"\xff"])
def test_what_is_no_attestation_is_not_written_over(
    registry: str, store: dict[str, bytes], data: bytes
) -> None:
    store[f"/v2/x/manifests/{TAG}.att"] = data
    with pytest.raises(ImageBuildError, match="is pushed, but not its att"):
        attach(registry, attachments.provenance(b"first"))
    assert store[f"/v2/x/manifests/{TAG}.att"] == data


@pytest.mark.parametrize(
    ("registry", "is_plain"),
    [
        ("127.0.0.1:5000", True),
        ("localhost", True),
        ("LOCALHOST:5000", True),
        ("[::1]:5000", True),
        ("127.evil.test", False),
        ("localhost.evil.test:5000", False),
        ("registry.test", False),
    ],
)
def test_plain_http_is_spoken_on_the_loopback_alone(
    monkeypatch: pytest.MonkeyPatch, registry: str, is_plain: bool
) -> None:
    places: list[str] = []

    def get(place: str, timeout: float) -> requests.Response:
        places.append(re.sub("://.*", "", place))
        if places[-1] == "https":
            raise requests.ConnectionError("no TLS")
        answer = requests.Response()
        answer.status_code = 200
        return answer

    monkeypatch.setattr(requests, "get", get)
    if is_plain:
        assert attachments._challenge(registry) == ("http", "")
    else:
        with pytest.raises(requests.ConnectionError):
            attachments._challenge(registry)
    assert places == ["https", "http"][: 1 + is_plain]
