"""A cluster as far as it goes without one: what is refused before any work."""

from __future__ import annotations

import importlib.util
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from scripts.console import Console
from scripts.errors import ClusterError, UsageError
from scripts.sweep import cluster, sweep


@pytest.fixture
def _dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


@pytest.mark.parametrize("options", [{"scheduler": "tcp://a.test:1"}, {"hosts": "hosts.txt"}])
def test_without_dask_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="Dask is not installed") as refused:
        sweep.runner(Console(), **options)
    assert "`make cluster`" in refused.value.remedy
    sweep.runner(Console())


@pytest.mark.usefixtures("_dask")
@pytest.mark.parametrize(
    "address", ["a.test:8786", "http://a.test:8786", "8786", "tcp://a.test:99999", "tcp://:1"]
)
def test_what_is_no_address_of_a_scheduler(address: str) -> None:
    with pytest.raises(UsageError, match=r"--scheduler .*: must be an address"):
        sweep.runner(Console(), scheduler=address)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"jobs": "2", "hosts": "x"}, "--jobs and --hosts contradict each other"),
        ({"hosts": "http://a.test/x"}, "--hosts http://a.test/x: is an address"),
        ({"scheduler": "x", "hosts": "x"}, "--scheduler and --hosts contradict"),
        ({"jobs": "0"}, "--jobs 0: must be 1 or more"),
        ({"jobs": "many"}, "--jobs many: must be 1 or more"),
        ({"jobs": "1.5"}, "--jobs 1.5: must be 1 or more"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        sweep.runner(Console(), **options)


def test_hosts_are_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "hosts.txt"
    file.write_text("# of the lab\none.test\n\n  two.test  # the large one\n")
    assert cluster.hosts(file) == ["one.test", "two.test"]


@pytest.mark.parametrize("content", [None, b"", b"# nobody\n", b"\xff\xfe"])
def test_a_file_without_hosts_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "hosts.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=r"--hosts .*hosts\.txt (cannot be read|names no host)"):
        cluster.hosts(file)


@pytest.mark.parametrize("error", [OSError("Comm closed"), CancelledError("export-1")])
def test_a_scheduler_that_goes_away_is_said_in_words(error: Exception) -> None:
    with pytest.raises(ClusterError, match=r"at a\.test went away"), cluster._there("a.test"):
        raise error
