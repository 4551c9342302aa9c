"""Which release comes before which, and which ones stay."""

import pytest

from scripts.boards import releases
from scripts.boards.survey import Survey
from scripts.errors import DeviceError


def board(current: str, history: str, present: str) -> Survey:
    return Survey(current, tuple(history), {name: {} for name in present}, tuple(present), {}, "")


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


@pytest.mark.parametrize("survey", [board("", "", ""), board("a", "a", "a"), board("a", "", "ab")])
def test_without_a_release_before_there_is_no_rollback(survey: Survey) -> None:
    with pytest.raises(DeviceError, match="no release before"):
        releases.previous("bench", survey)


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
    survey = board(current, history, history + current)
    before, after = releases.succession(survey, new)
    assert "".join(after) == expected
    # Cut off anywhere, a board can go back: to what it could before, or to what was in use.
    present = history + current
    assert back(current, before, present) == back(current, list(history), present)
    assert back(new, before, present) == back(new, after, present) == current


def back(current: str, history: list[str], present: str) -> str:
    try:
        return releases.previous("bench", board(current, "".join(history), present + current))
    except DeviceError:
        return ""


@pytest.mark.parametrize(
    ("digest", "expected"), [("b", True), ("a", True), ("c", False), ("d", False)]
)
def test_what_was_deployed_is_told_from_what_was_only_tried(digest: str, expected: bool) -> None:
    """c was tried, or rolled back; d is in the history and was pruned."""
    assert releases.is_of_deployment(board("b", "dab", "abc"), digest) is expected


@pytest.mark.parametrize(
    ("current", "history", "count", "expected"),
    [("d", "abcd", 1, "cd"), ("d", "abcd", 3, "abcd"), ("b", "abcd", 1, "ab"), ("x", "ab", 1, "x")],
)
def test_what_stays(current: str, history: str, count: int, expected: str) -> None:
    assert releases.keep(current, tuple(history), count) == set(expected)


A, B, C = (64 * letter for letter in "abc")


def test_nothing_is_pruned_that_the_history_cannot_place() -> None:
    names = (A, B, C, f"{C}.partial", f"{B}.partial.removed")
    for current, history in ((A, ()), (A, (B,)), ("", (B,))):
        survey = Survey(current, history, {}, names, {}, "")
        assert releases.removable(survey, 1) == [f"{C}.partial", f"{B}.partial.removed"]
    assert releases.removable(Survey("", (), {}, (A,), {}, ""), 1) == [A]  # a first one that failed
    assert releases.removable(Survey(C, (A, B, C), {}, names, {}, ""), 1) == [
        A,
        f"{C}.partial",
        f"{B}.partial.removed",
    ]


def test_going_back_twice_ends_at_the_first_release() -> None:
    survey = Survey(C, (A, B, C), {A: {}, B: {}, C: {}}, (), {}, "")
    for expected, left in ((B, [A, B]), (A, [A])):
        digest = releases.previous("bench", survey)
        history = releases.retreat(survey, digest)
        assert (digest, history) == (expected, left)
        survey = Survey(digest, tuple(history), survey.releases, (), {}, "")
    with pytest.raises(DeviceError, match="no release before"):
        releases.previous("bench", survey)
