"""A cache that machines share, kept by nginx: what is taken is right, or nothing is taken."""

from __future__ import annotations

import base64
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.digests import of_file as digest_of
from scripts.errors import ReproducibilityError, UsageError
from scripts.pipeline import doctor, plan
from scripts.pipeline.build import Builder, Done
from scripts.pipeline.hub import CERTIFICATES
from scripts.pipeline.remote import Remote
from scripts.pipeline.request import Request
from scripts.pipeline.shared import SharedCache
from scripts.pipeline.store import Store
from scripts.source import ROOT
from tests.pipeline import nginx
from tests.pipeline.nginx import Nginx
from tests.pipeline.test_kill import digests

pytestmark = pytest.mark.pipeline

# What a run of ours would record.
KNOWN = {"code": "c", "image": "sha256:0", "inputs": {}, "sdk": "openqnn", "synthetic": True}
FILES = {"models/a": b"1234" * 1000, "models/b": b"", "libs/l.so": b"\x7fELF"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with nginx.running(tmp_path_factory.mktemp("nginx")) as server:
        yield server


@pytest.fixture(autouse=True)
def _known(server: Nginx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    monkeypatch.setenv("DINOV3_QNN_CACHE_TOKEN", nginx.TOKEN)


class Machine:
    """A folder of builds with a cache, and all that it was told."""

    def __init__(self, root: Path, url: str, *, writes: bool = False) -> None:
        self.notes: list[str] = []
        self.store = Store(root / "digits")
        self.shared = SharedCache(self.store, Remote(url, self.notes.append), writes)

    def run(self, key: str, files: dict[str, bytes] = FILES) -> None:
        """Run the stage `export`, and offer what it wrote."""
        partial = self.store.partial("export")
        for name, data in files.items():
            (partial / name).parent.mkdir(exist_ok=True)
            (partial / name).write_bytes(data)
        self.store.commit("export", key, {**KNOWN, "seconds": 1.5})
        self.store.keep("export")
        self.shared.offer("export", key, KNOWN, ran=True)

    def takes(self, key: str, known: dict[str, Any] = KNOWN) -> bool:
        """Tell whether a result is taken from the cache; what is, is whole."""
        taken = self.shared.bring("export", key, known) is not None
        files = {name: self.store.root / name for name in FILES}
        assert not taken or {name: path.read_bytes() for name, path in files.items()} == FILES
        assert taken is self.store.is_whole("export", key)
        return taken


@pytest.fixture
def key(server: Nginx, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The key of a result that another machine gave the cache."""
    key = os.urandom(32).hex()
    other = Machine(tmp_path / "other", server.url, writes=True)
    other.run(key)
    assert not other.notes
    other.shared.require_same()
    return key


def machine(server: Nginx, tmp_path: Path) -> Machine:
    return Machine(tmp_path / "ours", server.url)


def blob(server: Nginx, store: Store, name: str) -> Path:
    manifest = store.manifest("export")
    assert manifest
    return server.file("cas", manifest["outputs"][name]["sha256"])


def test_what_one_machine_built_another_takes(server: Nginx, tmp_path: Path, key: str) -> None:
    ours = machine(server, tmp_path)
    assert ours.takes(key)
    assert not ours.takes("0" * 64)
    assert ours.notes == []
    theirs = Store(tmp_path / "other" / "digits").manifest("export")
    assert ours.store.manifest("export") == theirs


def test_a_result_is_an_action_result_of_the_remote_execution_api(
    server: Nginx, tmp_path: Path, key: str
) -> None:
    document = json.loads(server.file("ac", key).read_text())
    assert set(document) == {"outputFiles", "stdoutRaw"}
    assert [file["path"] for file in document["outputFiles"]] == sorted(FILES)
    assert document["outputFiles"][1]["digest"]["sizeBytes"] == "4000"


def test_nothing_is_written_unless_asked_for(server: Nginx, tmp_path: Path) -> None:
    ours = machine(server, tmp_path)
    ours.run("1" * 64)
    assert not server.file("ac", "1" * 64).exists()


def test_a_cache_of_wrong_bytes_is_not_asked_for_all_of_a_stage(
    server: Nginx, tmp_path: Path, key: str
) -> None:
    pictures = {f"inputs/{index}.png": f"picture {index}".encode() for index in range(60)}
    theirs = Machine(tmp_path / "pictures", server.url, writes=True)
    theirs.run("2" * 64, pictures)
    for name, data in pictures.items():
        blob(server, theirs.store, name).write_bytes(b"x" * len(data))
    ours = machine(server, tmp_path)
    assert not ours.takes("2" * 64)
    assert 0 < len(ours.notes) <= 4  # as many as come at a time


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone", "longer"])
def test_files_that_are_damaged_there_are_not_taken(
    server: Nginx, tmp_path: Path, key: str, damage: str
) -> None:
    path = blob(server, Store(tmp_path / "other" / "digits"), "models/a")
    data, ours = path.read_bytes(), machine(server, tmp_path)
    damaged = {"flipped": b"x" + data[1:], "truncated": data[:-1], "longer": data + b"x"}
    path.unlink()
    if damage != "gone":
        path.write_bytes(damaged[damage])
    # The first bytes of a longer one are all that is read: they are right.
    assert ours.takes(key) is (damage == "longer")
    assert [note for note in ours.notes if "other bytes" in note] or damage != "flipped"
    # What came before it is no obstacle, once the cache has the file.
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    assert machine(server, tmp_path).takes(key)


@pytest.mark.parametrize(
    "edit",
    [
        {"image": "sha256:evil"},
        {"code": "another"},
        {"inputs": {"models/x": "1"}},
        {"key": "0" * 64},
        {"stage": "verify"},
        {"outputs": {"../../escape": {"size": 1, "mode": "0644", "sha256": "0" * 64}}},
        {"outputs": {"/etc/x": {"size": 1, "mode": "0644", "sha256": "0" * 64}}},
        {"outputs": {"manifests/x.json": {"size": 1, "mode": "0644", "sha256": "0" * 64}}},
        {"outputs": {".lock": {"size": 1, "mode": "0644", "sha256": "0" * 64}}},
        {"outputs": {"a": {"size": 1, "mode": "4755", "sha256": "0" * 64}}},
        {"outputs": {"a": {"size": -1, "mode": "0644", "sha256": "0" * 64}}},
        {"outputs": {"a": {"size": 1, "mode": "0644", "sha256": "../../x"}}},
        {"outputs": []},
        {"usage": 1},
    ],
)
def test_a_result_that_is_not_of_ours_is_not_taken(
    server: Nginx, tmp_path: Path, key: str, edit: dict[str, Any]
) -> None:
    path = server.file("ac", key)
    manifest = json.loads(base64.b64decode(json.loads(path.read_text())["stdoutRaw"])) | edit
    text = base64.b64encode(json.dumps(manifest).encode()).decode()
    path.write_text(json.dumps({"stdoutRaw": text}))
    ours = machine(server, tmp_path)
    assert not ours.takes(key)
    assert not ours.store.root.exists() or not list(ours.store.root.rglob("escape"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"<html>", b'{"stdoutRaw": 7}', b"\xff"])
def test_what_is_no_result_is_not_taken(
    server: Nginx, tmp_path: Path, key: str, content: bytes
) -> None:
    server.file("ac", key).write_bytes(content)
    assert not machine(server, tmp_path).takes(key)


def test_a_download_goes_on_where_it_was_ended(server: Nginx, tmp_path: Path, key: str) -> None:
    ours, data = machine(server, tmp_path), FILES["models/a"]
    theirs = blob(server, Store(tmp_path / "other" / "digits"), "models/a")
    begun = ours.store.contents.blob(theirs.name)
    begun.parent.mkdir(parents=True)
    begun.with_name(f"{begun.name}.incoming").write_bytes(data[:1500])
    assert ours.takes(key)
    assert f'/cas/{theirs.name} HTTP/1.1" 206 2500 ' in server.log()


def test_other_bytes_for_a_key_are_an_alarm_with_both_sides(
    server: Nginx, tmp_path: Path, key: str
) -> None:
    for writes in (False, True):
        ours = Machine(tmp_path / f"ours{writes}", server.url, writes=writes)
        before = server.file("ac", key).read_bytes()
        ours.run(key, {**FILES, "models/a": b"another"})
        with pytest.raises(ReproducibilityError, match="export: models/a is ae448ac") as alarm:
            ours.shared.require_same()
        assert blob(server, Store(tmp_path / "other" / "digits"), "models/a").name in str(alarm)
        assert server.file("ac", key).read_bytes() == before


def test_a_server_that_takes_nothing_is_a_note(server: Nginx, tmp_path: Path) -> None:
    ours = Machine(tmp_path, server.url.replace("/cache", "/small"), writes=True)
    ours.run("2" * 64)
    ours.run("3" * 64)
    (note,) = ours.notes
    assert "it takes nothing (413 " in note


def test_a_full_server_is_a_note(server: Nginx, tmp_path: Path) -> None:
    place = server.folder / "data" / "cache" / "full"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount")
    try:
        ours = Machine(tmp_path, f"{server.url}/full", writes=True)
        ours.run("4" * 64, {"models/a": os.urandom(100_000)})
    finally:
        subprocess.run(["umount", str(place)], check=True)
    (note,) = ours.notes
    assert "going on without the cache" in note and "(5" in note
    assert ours.store.is_whole("export", "4" * 64)


def test_who_it_does_not_know_is_told_how(
    server: Nginx, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DINOV3_QNN_CACHE_TOKEN")
    ours = machine(server, tmp_path)
    assert not ours.takes(key)
    assert "401" in ours.notes[0] and "DINOV3_QNN_CACHE_TOKEN" in ours.notes[0]
    file = tmp_path / "token"
    file.write_text(f"{nginx.TOKEN}\n")
    monkeypatch.setenv("DINOV3_QNN_CACHE_TOKEN_FILE", str(file))
    ours = machine(server, tmp_path)
    assert ours.takes(key)
    assert nginx.TOKEN not in repr(ours.shared)


def test_a_password_is_in_netrc(
    server: Nginx, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DINOV3_QNN_CACHE_TOKEN")
    file = tmp_path / "netrc"
    file.write_text(f"machine 127.0.0.1 login me password {nginx.TOKEN}\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    assert machine(server, tmp_path).takes(key)


def test_doctor_says_whether_it_answers(
    server: Nginx, ask: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doctor._cache(ask()) == []
    (finding,) = doctor._cache(ask(cache=server.url))
    assert (finding.well, finding.state) == (True, f"{server.url} answers")
    monkeypatch.setenv("DINOV3_QNN_CACHE_TOKEN", "another")
    (finding,) = doctor._cache(ask(cache=server.url))
    assert finding.well and "it does not know us (401 " in finding.state


def test_a_certificate_of_nobody_is_a_note(
    server: Nginx, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CERTIFICATES:
        monkeypatch.delenv(name, raising=False)
    ours = machine(server, tmp_path)
    assert not ours.takes(key)
    assert "certificate" in ours.notes[0]


def test_a_dead_cache_is_a_note_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}"
    ours = Machine(tmp_path, url, writes=True)
    assert not ours.takes("5" * 64)
    ours.run("5" * 64)
    assert ours.notes == [f"going on without the cache {url}: it does not answer"]


def test_a_token_does_not_travel_in_clear(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="in clear"):
        Machine(tmp_path, "http://cache.test")


def test_a_build_of_nothing_but_the_cache(
    builder: Builder,
    build: Callable[..., list[Done]],
    ask: Callable[..., Request],
    server: Nginx,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One folder gives what it has, and an empty one is filled from there, byte for byte."""
    build()
    written = build(cache=server.url, cache_write=True)
    assert not any(done.is_new for done in written)
    build_request = ask(cache=server.url, build_dir=str(tmp_path))
    taken = builder.build(build_request, plan.stages(build_request))
    assert all(done.restored for done in taken)
    assert "taken from the shared cache" in capsys.readouterr().out
    stages = [done.stage.name for done in taken]
    assert [done.manifest["outputs"] for done in taken] == [
        done.manifest["outputs"] for done in written
    ], stages
    assert set(digests(build_request.root).items()) <= set(digests(ask().root).items())


TAKE = """
import sys
from pathlib import Path
from tests.pipeline.test_cache import Machine
ours = Machine(Path(sys.argv[1]), sys.argv[2])
print("begins", flush=True)
assert ours.takes(sys.argv[3])
"""


@pytest.mark.parametrize("moments", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_killed_while_it_downloads_the_next_one_goes_on(
    server: Nginx, tmp_path: Path, moments: int
) -> None:
    key = os.urandom(32).hex()
    files = {**FILES, **{f"models/{count}": os.urandom(1 << 20) for count in range(30)}}
    Machine(tmp_path / "other", server.url, writes=True).run(key, files)
    command = [sys.executable, "-c", TAKE, str(tmp_path / "ours"), server.url, key]
    choice = random.Random(0)
    for _ in range(moments):
        taking = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert taking.stdout and taking.stdout.readline() == b"begins\n"
        time.sleep(choice.uniform(0, 0.4))
        taking.kill()
        taking.communicate()
        ours = Store(tmp_path / "ours" / "digits")
        assert not ours.damaged("export")
    assert machine(server, tmp_path).takes(key)
    assert digests(tmp_path / "ours" / "digits") == digests(tmp_path / "other" / "digits")
    blobs = (tmp_path / "ours" / ".store" / "cas").glob("*/[0-9a-f]*")
    assert all(digest_of(path) == path.name for path in blobs if "." not in path.name)
