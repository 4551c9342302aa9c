"""What is pushed, under which name, and what is signed of it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import ImageNotFound

from scripts import source
from scripts.errors import ImageBuildError, UsageError
from scripts.image import attachments, content, locks, publication
from scripts.image import image as images
from scripts.image.attachments import Document
from scripts.image.image import Image

LANE = "bookworm"
PLACE = "registry.test/x:1"
DIGEST = f"sha256:{5:064x}"
LISTING = {"opt": "[]"}
CONTENT = content.digest(LISTING)
REFUSED = "dial tcp 127.0.0.1:9: connect: connection refused"


class Engine:
    """An engine that has images by their tag, and a registry that ends a push with an event."""

    def __init__(self) -> None:
        self.api = self.images = self
        self.tags = {"dinov3-qnn:bookworm": "ours"}
        self.event: dict[str, Any] = {"aux": {"Digest": DIGEST}}
        self.pushed: list[str] = []

    def get(self, name: str) -> SimpleNamespace:
        id_ = name if name in ("ours", "another") else self.tags.get(name)
        if id_ is None:
            raise ImageNotFound(name)
        tag = lambda repository, tag: self.tags.update({f"{repository}:{tag}": id_})  # noqa: E731
        return SimpleNamespace(id=id_, tag=tag)

    def remove(self, name: str, noprune: bool = False) -> None:
        del self.tags[name]

    def push(self, repository: str, tag: str, **_: bool) -> Iterator[dict[str, Any]]:
        assert self.tags[f"{repository}:{tag}"] == "ours"
        self.pushed.append(f"{repository}:{tag}")
        yield {"status": "Preparing"}
        yield self.event


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    ours = Image("ours", "dinov3-qnn:bookworm", LANE, CONTENT, "sha256:inputs", 1)
    recorded = {"inputs": "sha256:inputs", "content": CONTENT}
    monkeypatch.setattr(images, "ensure", lambda client, lane: ours)
    monkeypatch.setattr(images, "contents", lambda client, id_: LISTING)
    monkeypatch.setattr(locks, "recorded", lambda lane: recorded)
    monkeypatch.setattr(source, "revision", lambda: {"gitCommit": f"{7:040x}"})
    return Engine()


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> list[Document]:
    documents: list[Document] = []
    monkeypatch.setattr(attachments, "attach", lambda place, document: documents.append(document))
    return documents


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def push(engine: Engine, key: Path | None = None) -> str:
    return publication.push(engine, LANE, PLACE, key)  # type: ignore[arg-type]


def test_an_image_that_is_as_recorded_is_signed(
    engine: Engine, attached: list[Document], key: Path
) -> None:
    assert push(engine, key) == f"registry.test/x@{DIGEST}"
    assert [document.kind for document in attached] == ["sbom", "att"]
    assert engine.pushed == [PLACE] and PLACE in engine.tags


def test_what_is_in_it_is_looked_at_before_it_is_signed(
    engine: Engine, attached: list[Document], key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "contents", lambda client, id_: {**LISTING, "evil": "[]"})
    with pytest.raises(ImageBuildError, match="not signed, and not pushed"):
        push(engine, key)
    assert not attached and not engine.pushed and PLACE not in engine.tags


def test_a_label_that_is_not_the_record_is_not_signed(
    engine: Engine, attached: list[Document], key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = {"inputs": "sha256:inputs", "content": "sha256:other"}
    monkeypatch.setattr(locks, "recorded", lambda lane: recorded)
    with pytest.raises(ImageBuildError, match="not signed, and not pushed"):
        push(engine, key)
    monkeypatch.setattr(locks, "recorded", lambda lane: {"inputs": "sha256:others"})
    with pytest.raises(UsageError, match="No content is recorded"):
        push(engine, key)
    assert not attached and not engine.pushed


def test_edited_sources_sign_nothing(
    engine: Engine, attached: list[Document], key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "revision", lambda: {"sha256": "1"})
    with pytest.raises(UsageError, match="sources here are edited"):
        push(engine, key)
    assert not attached and not engine.pushed
    assert push(engine)  # without a signature it says of no commit that it is made by it
    assert [document.kind for document in attached] == ["sbom"]


@pytest.mark.parametrize("before", ["", "another", "ours"])
def test_a_push_that_fails_leaves_the_name_as_it_was(engine: Engine, before: str) -> None:
    if before:
        engine.tags[PLACE] = before
    tags = dict(engine.tags)
    engine.event = {"error": "denied"}
    with pytest.raises(ImageBuildError, match="docker login"):
        push(engine)
    assert engine.pushed and engine.tags == tags


@pytest.mark.parametrize(
    "message",
    [
        f'Get "http://127.0.0.1:9/v2/": {REFUSED}',
        'Get "https://a.test/v2/": dial tcp: lookup a.test: no such host',
        "net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
    ],
)
def test_a_registry_that_does_not_answer_is_said_not_to(engine: Engine, message: str) -> None:
    engine.event = {"error": message}
    with pytest.raises(ImageBuildError, match="does not answer") as caught:
        push(engine)
    assert "logged in" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("host:5000/a/b:c", ("host:5000/a/b", "c")),
        ("host:5000/a", ("host:5000/a", "latest")),
        ("a", ("a", "latest")),
    ],
)
def test_a_place_to_push_to_has_a_repository_and_a_tag(
    reference: str, parts: tuple[str, str]
) -> None:
    assert publication.split(reference) == parts


@pytest.mark.parametrize(
    "reference",
    [
        "",
        ":a",
        f"registry.test/x@sha256:{'1' * 64}",
        "https://host/a",
        "host/A",
        "host/a:b c",
        "host/",
    ],
)
def test_a_place_to_push_to_is_no_digest(reference: str) -> None:
    with pytest.raises(UsageError, match="not a place to push to"):
        publication.split(reference)


def test_an_address_of_ipv6_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"\[::1\]:5000/a .* IPv6") as caught:
        publication.split("[::1]:5000/a")
    assert "localhost:5000" in str(caught.value)
