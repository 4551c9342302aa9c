"""What is asked of an engine, whatever kind it is: no engine needed."""

import os
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from scripts.pipeline import container, copies, engine
from scripts.pipeline.container import Mount, Program
from scripts.pipeline.engine import Traits
from scripts.source import ROOT

DOCKER = Traits("Docker 28", memory=10**9)


@pytest.fixture(autouse=True)
def _local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv(engine.MOUNTS_VARIABLE, raising=False)


def host(traits: Traits = DOCKER, **options: Any) -> dict[str, Any]:
    return container.host_options(Program(["true"], **options), traits)


def test_a_program_gets_no_more_than_it_needs(tmp_path: Path) -> None:
    options = host(mounts=[Mount(tmp_path, "/out", writable=True), Mount(tmp_path, "/in")])
    assert options["network_mode"] == "none"
    assert options["read_only"]
    assert options["cap_drop"] == ["ALL"]
    assert "no-new-privileges" in options["security_opt"]
    assert [mount["ReadOnly"] for mount in options["mounts"]] == [False, True]
    assert options["mem_limit"] == options["memswap_limit"] == 0.95 * 10**9
    assert list(options["tmpfs"]) == ["/tmp"]


def test_the_user_is_the_caller_and_root_where_the_engine_is_rootless() -> None:
    rootless = Traits("Docker 28", memory=1, rootless=True)
    users = [container.container_options(Program([]), t)["user"] for t in (DOCKER, rootless)]
    assert users == [f"{os.getuid()}:{os.getgid()}", "0:0"]


def test_remapped_users_are_not_for_our_containers() -> None:
    assert "userns_mode" not in host()
    assert host(Traits("Docker 28", memory=1, remaps_users=True))["userns_mode"] == "host"


def test_selinux_is_told_that_our_containers_are_unlabelled() -> None:
    assert not [option for option in host()["security_opt"] if "label" in option]
    assert "label=disable" in host(Traits("", memory=1, selinux=True))["security_opt"]


def test_podman_gets_the_path_of_the_profile_and_no_init() -> None:
    podman = host(Traits("Podman 4", memory=1, podman=True))
    assert f"seccomp={container.SECCOMP}" in podman["security_opt"]
    assert not podman["init"]
    assert host()["init"]
    assert f"seccomp={container.SECCOMP.read_text()}" in host()["security_opt"]


def test_an_engine_that_cannot_limit_memory_is_not_asked_to() -> None:
    assert "mem_limit" not in host(Traits("", memory=1, limits_memory=False))


def test_private_files_are_in_nothing_that_the_engine_keeps() -> None:
    program = Program(
        ["true"], private={"token": b"hf_secret", "environment": b"export A=hf_secret"}
    )
    engine_options = (
        container.container_options(program, DOCKER),
        container.host_options(program, DOCKER),
    )
    assert "hf_secret" not in f"{engine_options}{program}"
    assert engine_options[0]["stdin_open"] and not engine_options[0]["tty"]
    assert container.PRIVATE in engine_options[1]["tmpfs"]
    assert not container.container_options(program, DOCKER)["use_config_proxy"]


def test_elsewhere_a_file_travels_in_the_folder_that_it_is_to_be_seen_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://somebody@machine.test")
    (tmp_path / "a").write_text("1")
    mounts = [Mount(tmp_path / "a", "/src/a"), Mount(tmp_path, "/src/b"), Mount(tmp_path, "/out")]
    volumes = host(mounts=mounts)["mounts"]
    assert {volume["Type"] for volume in volumes} == {"volume"}
    assert [volume["Target"] for volume in volumes] == ["/src", "/src/b", "/out"]


def sent(mount: Mount) -> dict[str, tarfile.TarInfo]:
    scratch = BytesIO()
    copies._pack(mount, scratch, (7, 8))
    scratch.seek(0)
    with tarfile.open(fileobj=scratch) as archive:
        return {member.name: member for member in archive}


def test_of_what_a_user_gives_everything_is_sent_and_of_our_sources_no_litter(
    tmp_path: Path,
) -> None:
    names = {"build.jpg", ".gitter.jpg", ".cache.jpg", ".venv.jpg", "__pycache__"}
    for name in names:
        (tmp_path / name).touch()
    members = sent(Mount(tmp_path, "/in"))
    assert {f"./{name}" for name in names} | {"."} == set(members)
    assert {(member.uid, member.gid) for member in members.values()} == {(7, 8)}
    ours = sent(Mount(ROOT / "scripts", "/src/scripts"))
    assert "./pipeline/copies.py" in ours
    assert not [name for name in ours if "__pycache__" in name]


@pytest.mark.parametrize("change", ["environment", "tmpfs", "profile"])
def test_what_is_the_same_for_every_program_is_in_the_digest(
    change: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = container.digest()
    if change == "environment":
        monkeypatch.setitem(container.ENVIRONMENT, "LC_ALL", "C")
    elif change == "tmpfs":
        monkeypatch.setitem(container.TMPFS, "/var/tmp", "rw")
    else:
        (tmp_path / "seccomp.json").write_text(container.SECCOMP.read_text() + "\n")
        monkeypatch.setattr(container, "SECCOMP", tmp_path / "seccomp.json")
    assert container.digest() != before
