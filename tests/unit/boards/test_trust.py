"""Pinning a host key in `devices.toml` changes one line and nothing else."""

import pytest

from scripts.boards.trust import pinned
from scripts.errors import UsageError

TWO = """\
# boards
[devices.one]
host = "a"  # a comment

[devices."one-b"]
host_key = "SHA256:old"
host = "b"

[groups]
all = ["one"]
"""


def test_a_new_key_is_put_into_its_table() -> None:
    expected = TWO.replace("[devices.one]\n", '[devices.one]\nhost_key = "SHA256:new"\n')
    assert pinned(TWO, "one", "SHA256:new") == expected


def test_a_changed_key_replaces_the_old_one() -> None:
    assert pinned(TWO, "one-b", "SHA256:new") == TWO.replace("SHA256:old", "SHA256:new")


def test_a_table_at_the_end_without_newline() -> None:
    assert (
        pinned("[devices.x]\nhost = 'h'", "x", "k") == "[devices.x]\nhost_key = \"k\"\nhost = 'h'"
    )


def test_a_device_without_a_table_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no table \[devices\.none\]"):
        pinned(TWO, "none", "SHA256:new")
