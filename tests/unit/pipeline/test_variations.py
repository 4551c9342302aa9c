"""Each variation changes what it says, in the program that a container gets."""

import subprocess
from pathlib import Path

import pytest

from scripts.pipeline import container, engine, variations
from scripts.pipeline.container import Program
from scripts.pipeline.variations import Variation

PLAIN = Program(["python", "-m", "scripts.stages.export"], environment={"A": "1"})
TRAITS = engine.Traits("Docker", memory=1 << 30)


def named(part: str) -> Variation:
    (variation,) = [variation for variation in variations.every() if part in variation.name]
    return variation


def environment(variation: Variation) -> dict[str, str]:
    """What a program in the container has in its environment."""
    options = container.container_options(variation.applied(PLAIN), TRAITS)
    return dict(options["environment"])


def test_a_plain_build_runs_as_it_is() -> None:
    applied = variations.AS_IT_IS.applied(PLAIN)
    assert container.container_options(applied, TRAITS) == container.container_options(
        PLAIN, TRAITS
    )
    assert container.host_options(applied, TRAITS) == container.host_options(PLAIN, TRAITS)
    assert "cpuset_cpus" not in container.host_options(PLAIN, TRAITS)


def test_one_core_is_one_core_of_the_container() -> None:
    assert container.host_options(named("one core").applied(PLAIN), TRAITS)["cpuset_cpus"] == "0"


def test_locale_and_time_zone_come_before_those_of_every_build() -> None:
    assert environment(named("locale"))["LC_ALL"] == "C"
    assert environment(named("time zone"))["TZ"] == "AHEAD-14"
    assert environment(named("time zone"))["A"] == "1"


def test_the_time_zone_is_one_without_a_database_of_zones() -> None:
    zone = {"TZ": environment(named("time zone"))["TZ"]}
    command = ["python3", "-c", "import time; print(time.localtime(0).tm_hour)"]
    done = subprocess.run(command, env={"PATH": "/usr/bin:/bin", **zone}, capture_output=True)
    assert done.stdout == b"14\n"


def test_the_umask_holds_where_the_stage_runs(tmp_path: Path) -> None:
    program = Program(["sh", "-c", "umask; echo $1", "sh", "a b"])
    command = named("umask 0077 in").applied(program).command
    assert subprocess.run(command, capture_output=True, text=True).stdout == "0077\na b\n"


def test_older_processors_are_emulated_where_the_emulator_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = tmp_path / variations.EMULATOR
    emulator.write_text("#!/bin/sh\n")
    emulator.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    program = named("Haswell").applied(PLAIN)
    assert "-cpu Haswell" in program.command[2]
    assert program.command[3:] == PLAIN.command
    assert [mount.source for mount in program.mounts] == [emulator]
    assert not any(variations.EMULATOR in text for text in variations.left_out())


def test_what_cannot_be_varied_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(variations, "MEMORY", tmp_path / "none")
    said = " ".join(variations.left_out())
    assert variations.EMULATOR in said and "directory entries" in said
    assert not [variation for variation in variations.every() if variation.parent]
