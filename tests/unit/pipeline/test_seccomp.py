"""Our seccomp profile is Docker's own with one more value."""

import json
from typing import Any

from scripts.pipeline.container import SECCOMP

ADDR_NO_RANDOMIZE = 0x0040000


def rules() -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = json.loads(SECCOMP.read_text())["syscalls"]
    return rules


def test_what_is_not_allowed_is_refused() -> None:
    assert json.loads(SECCOMP.read_text())["defaultAction"] == "SCMP_ACT_ERRNO"


def test_personality_is_allowed_for_dockers_values_and_one_more() -> None:
    mine = [rule for rule in rules() if "personality" in rule["names"]]
    assert {rule["action"] for rule in mine} == {"SCMP_ACT_ALLOW"}
    values = [argument["value"] for rule in mine for argument in rule["args"]]
    assert sorted(values) == sorted([0, 8, 0x20000, 0x20008, 0xFFFFFFFF, ADDR_NO_RANDOMIZE])
    assert {argument["op"] for rule in mine for argument in rule["args"]} == {"SCMP_CMP_EQ"}


def test_nothing_dangerous_is_allowed_without_its_capability() -> None:
    free = [rule for rule in rules() if not rule.get("includes")]
    names = {name for rule in free if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert {"read", "mmap", "execve"} <= names
    assert not names & {"mount", "bpf", "kexec_load", "init_module", "setns", "reboot"}
