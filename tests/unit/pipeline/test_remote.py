"""A shared cache that answers what it should not: one note that says why, and nothing is taken."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.errors import UsageError
from scripts.pipeline.hub import CERTIFICATES
from scripts.pipeline.remote import Remote

PAGE = b"<!doctype html>\n<form>Log in</form>"
FILE = bytes(range(256)) * 40
NAME = hashlib.sha256(FILE).hexdigest()
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Answer every GET on the loopback; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def answered(content: bytes, status: int = 200, length: int | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def redirected(place: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", place)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def unpackable(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", "4")
    handler.end_headers()
    handler.wfile.write(b"none")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CERTIFICATES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answered(PAGE), "it answers with a page (a log-in page?)"),
        (answered(b"please log in"), "it answers with a page (a log-in page?)"),
        (answered("\ufeff<form>".encode("utf-16")), "it answers with a page (a log-in page?)"),
        (redirected("ftp://x/"), "it sends requests elsewhere, and that is no cache"),
        (redirected("/again"), "it sends requests elsewhere, and that is no cache"),
        (unpackable, "what it answers cannot be unpacked"),
        (answered(b"", 400), "it refuses (400 Bad Request)"),
        (answered(b'{"outputFiles": ['), "no result of a stage under " + "0" * 64),
        (answered(b"{}"), "no result of a stage under " + "0" * 64),
    ],
)
def test_results_that_are_none_are_one_note(answer: Answer, reason: str) -> None:
    notes: list[str] = []
    with serving(answer) as url:
        remote = Remote(url, notes.append)
        assert [remote.result(digit * 64) for digit in "0123"] == [None] * 4
    (note,) = notes
    assert reason in note


def test_a_result_that_is_not_there_is_no_note() -> None:
    notes: list[str] = []
    with serving(answered(PAGE, 404)) as url:
        assert Remote(url, notes.append).result("0" * 64) is None
    assert notes == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answered(FILE[:5000], length=len(FILE)), "its files break off before their end"),
        (answered(FILE[:5000]), f"other bytes under {NAME}"),
        (answered(PAGE), f"other bytes under {NAME}"),
        (answered(b"", 410), ""),
    ],
)
def test_files_that_are_cut_are_one_note(answer: Answer, reason: str, tmp_path: Path) -> None:
    notes: list[str] = []
    with serving(answer) as url:
        remote = Remote(url, notes.append)
        for _ in range(3):
            assert not remote.fetch(NAME, len(FILE), tmp_path / "cas" / NAME)
    assert len(notes) == bool(reason)
    assert reason in "".join(notes)


def test_a_file_that_is_cut_once_is_gone_on_with(tmp_path: Path) -> None:
    notes: list[str] = []
    wishes: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        wishes.append(handler.headers["Range"])
        answered(FILE[: 5000 * len(wishes)] if len(wishes) < 2 else FILE, 200, len(FILE))(handler)

    with serving(answer) as url:
        assert Remote(url, notes.append).fetch(NAME, len(FILE), tmp_path / "cas" / NAME)
    assert len(wishes) == 2 and wishes[0] is None
    assert notes == []
    assert (tmp_path / "cas" / NAME).read_bytes() == FILE


def test_a_port_of_plain_http_is_no_matter_of_certificates() -> None:
    notes: list[str] = []
    with serving(answered(b"", 404)) as url:
        Remote(url.replace("http:", "https:"), notes.append).result("0" * 64)
    (note,) = notes
    assert "does not speak https://" in note and "certificate" not in note


def test_certificates_that_are_none_are_refused_by_the_name_of_their_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_text("no certificate")
    for name, reason in [("text", "it has none"), ("nothing", "No such file")]:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / name))
        with pytest.raises(UsageError, match=f"SSL_CERT_FILE=.* as certificates: {reason}"):
            Remote("https://cache.test", print)
