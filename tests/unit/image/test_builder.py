"""The classic builder's context and its answers, with a client that only plays them."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.errors import DiskFullError, ImageBuildError
from scripts.image import builder
from scripts.image.buildlog import BuildLog

ID = "sha256:0123"


class Client:
    """An engine that keeps the context it is sent and answers what it is told to."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.api = self
        self.events = events
        self.context = b""
        self.options: dict[str, Any] = {}

    def build(self, *, fileobj: io.BytesIO, **options: Any) -> Iterator[dict[str, Any]]:
        self.context, self.options = fileobj.read(), options
        return iter(self.events)


@pytest.fixture
def log(tmp_path: Path) -> BuildLog:
    return BuildLog(tmp_path / "image.log")


def build(client: Client, context: builder.Context, log: BuildLog) -> str:
    return builder.build(client, context, log)  # type: ignore[arg-type]


def test_the_id_of_the_image_comes_back(log: BuildLog) -> None:
    client = Client({"stream": "Step 1/1 : FROM base\n"}, {"aux": {"ID": ID}}, {"stream": "ok"})
    assert build(client, {"Dockerfile": b"FROM base\n"}, log) == ID
    assert client.options["network_mode"] == "none"


def test_a_context_depends_on_names_bytes_and_the_owners_right_to_run(
    tmp_path: Path, log: BuildLog
) -> None:
    (tmp_path / "run").write_bytes(b"x")
    (tmp_path / "run").chmod(0o700)
    (tmp_path / "read").write_bytes(b"y")
    first, second = Client({"aux": {"ID": ID}}), Client({"aux": {"ID": ID}})
    files = {"b/run": tmp_path / "run", "a": tmp_path / "read"}
    build(first, files, log)
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "read").chmod(0o600)
    (tmp_path / "read").touch()
    build(second, dict(reversed(files.items())), log)
    assert first.context == second.context
    with tarfile.open(fileobj=io.BytesIO(first.context)) as archive:
        members = {member.name: (member.mode, member.uid, member.mtime) for member in archive}
    assert members == {"a": (0o644, 0, 0), "b/run": (0o755, 0, 0)}


def test_a_failed_step_shows_the_last_lines(log: BuildLog) -> None:
    client = Client({"stream": "\x1b[91mmake: no such file\x1b[0m"}, {"error": "returned 2"})
    with pytest.raises(ImageBuildError, match="    make: no such file\n    returned 2") as caught:
        build(client, {}, log)
    assert str(log.path) in str(caught.value)


def test_a_full_disk_is_said_in_words(log: BuildLog) -> None:
    client = Client({"error": "write /x: no space left on device"})
    with pytest.raises(DiskFullError, match="No space left"):
        build(client, {}, log)
