"""Why a board cannot be reached, in one line of words that a terminal can be given."""

from __future__ import annotations

import asyncssh
import pytest

from scripts.boards import board, connection
from scripts.boards.devices import Device, Hop
from scripts.errors import DeviceError, TransferError

HOP = Hop("bench", "bench", "192.0.2.1", 22, "root", "", "key")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('192.0.2.1', 22)"), "nobody listens"),
        (TimeoutError(), "no answer in time"),
        (asyncssh.ConnectionLost("\x1b[2J\x1b]0;gone\a\nand more"), "?[2J?]0;gone? and more"),
        (asyncssh.PermissionDenied("\x1b[2J"), "refuses to log in root: ?[2J"),
    ],
)
def test_a_reason_is_one_line_of_words(error: Exception, says: str) -> None:
    with pytest.raises(DeviceError) as caught, connection._refusals(HOP, connection._Guard(HOP)):
        raise error
    assert says in caught.value.what
    assert caught.value.what.isprintable()
    assert "Errno" not in caught.value.what and "call failed" not in caught.value.what


def test_a_connection_that_is_lost_says_why_in_the_same_way() -> None:
    device = Device("bench", "192.0.2.1", "root", "/p")
    with pytest.raises(TransferError) as caught, board.losses(device):
        raise asyncssh.ConnectionLost("\x1b[2J\ngone")
    assert "was lost: ?[2J gone." in caught.value.what
