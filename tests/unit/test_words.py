"""Numbers agree with their nouns."""

from scripts.words import counted


def test_one_and_many() -> None:
    counts = [counted(number, "picture") for number in (0, 1, 2)]
    assert counts == ["0 pictures", "1 picture", "2 pictures"]
    assert counted(2, "copy", "copies") == "2 copies"
