"""Which release comes before which, and which ones stay."""

import pytest

from scripts.boards import releases
from scripts.boards.survey import Survey
from scripts.errors import DeviceError


def board(current: str, history: str, present: str) -> Survey:
    return Survey(current, tuple(history), {one: {} for one in present}, tuple(present), {}, "")


@pytest.mark.parametrize(
    ("current", "history", "present", "expected"),
    [
        ("c", "abc", "abc", "b"),
        ("b", "abc", "abc", "a"),  # rolled back once already
        ("c", "abc", "ac", "a"),  # b was pruned
        ("b", "abc", "ab", "a"),  # killed between writing the history and switching to c
    ],
)
def test_rollback_goes_to_what_was_before(
    current: str, history: str, present: str, expected: str
) -> None:
    assert releases.previous("bench", board(current, history, present)) == expected


@pytest.mark.parametrize("found", [board("", "", ""), board("a", "a", "a"), board("a", "", "ab")])
def test_without_a_release_before_there_is_no_rollback(found: Survey) -> None:
    with pytest.raises(DeviceError, match="no release before"):
        releases.previous("bench", found)


@pytest.mark.parametrize(
    ("current", "history", "new", "expected"),
    [
        ("", "", "a", "a"),
        ("b", "ab", "c", "abc"),
        ("a", "ab", "c", "ac"),  # b was rolled back
        ("b", "ab", "a", "ba"),  # a again
        ("x", "ab", "c", "xc"),  # a history that does not know what is in use
    ],
)
def test_history_leads_up_to_what_is_in_use(
    current: str, history: str, new: str, expected: str
) -> None:
    assert "".join(releases.succession(board(current, history, history), new)) == expected


@pytest.mark.parametrize(
    ("current", "history", "count", "expected"),
    [("d", "abcd", 1, "cd"), ("d", "abcd", 3, "abcd"), ("b", "abcd", 1, "ab"), ("x", "ab", 1, "x")],
)
def test_what_stays(current: str, history: str, count: int, expected: str) -> None:
    assert releases.keep(current, tuple(history), count) == set(expected)
