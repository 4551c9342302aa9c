"""Numbers agree with their nouns."""

from scripts.words import counted, shown


def test_one_and_many() -> None:
    counts = [counted(number, "picture") for number in (0, 1, 2)]
    assert counts == ["0 pictures", "1 picture", "2 pictures"]
    assert counted(2, "copy", "copies") == "2 copies"


def test_what_cannot_be_shown_is_escaped() -> None:
    assert shown("a picture é ☃.png") == "a picture é ☃.png"
    assert shown("\x1b[2J\udcff\n\u202e.png") == r"\x1b[2J\udcff\n\u202e.png"
    assert shown("a\n\x07b", lines=True) == "a\n" + r"\x07b"
