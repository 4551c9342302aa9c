"""An engine behind `ssh://`: a real sshd, our own keys, and everything copied there and back."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.pipeline import container, engine
from scripts.pipeline.build import Builder
from scripts.pipeline.container import Mount, Program
from scripts.source import ROOT
from tests import sshd

pytestmark = pytest.mark.image
CLIENT = """
Host *
  IdentityFile {folder}/me
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
"""


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of this machine's engine through a server that only this test knows."""
    (tmp_path / "config").write_text(CLIENT.format(folder=tmp_path))
    # ssh reads no HOME: the user's own settings are kept out in this way.
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {tmp_path}/config "$@"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    with sshd.running(tmp_path) as port:
        yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}"


def test_everything_is_copied_there_and_back(
    builder: Builder, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    monkeypatch.delenv(engine.MOUNTS_VARIABLE, raising=False)
    client = engine.connect(start=False)
    assert "elsewhere" in engine.describe(engine.traits(client))
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "build.jpg").write_text("carried")
    mounts = [Mount(tmp_path / "in", "/in"), Mount(tmp_path / "out", "/out", writable=True)]
    program = Program(
        ["sh", "-c", "cp /in/build.jpg /out/b; . /run/private/environment; echo $A"], mounts
    )
    outcome = container.run(client, builder.image.id, program)
    assert outcome.exit_code == 2, outcome.tail
    private = {"environment": b"export A=handed\n"}
    program = Program(program.command, mounts, private=private)
    outcome = container.run(client, builder.image.id, program)
    assert outcome.tail.strip() == "handed"
    assert (tmp_path / "out" / "b").read_text() == "carried"


CONNECTED = (
    "from scripts.pipeline import engine; engine.connect(start=False); print('up', flush=True)"
)


def test_ssh_ends_with_the_process_that_started_it_however_that_ends(address: str) -> None:
    code = f"{CONNECTED}; import time; time.sleep(600)"
    environment = os.environ | {"DOCKER_HOST": address}
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and "up" in process.stdout.readline()
    port = address.rpartition(":")[2]
    assert tunnels(port)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while tunnels(port) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not tunnels(port)


def tunnels(port: str) -> list[str]:
    """The processes of ssh's client that lead to a port."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_bytes().decode(errors="replace").split("\0"))
        except OSError:
            continue
    return [words[0] for words in lines if "ssh" in Path(words[0]).name and port in words]
