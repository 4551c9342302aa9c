"""Names become distinct C identifiers."""

import re

from openqnn.converter import names

NAMES = ["a.b", "a/b", "a_b", "1st", "_x", "__y", "weight" * 40, "weight" * 40 + ".2", "größe", ""]


def test_identifiers_are_valid_and_distinct() -> None:
    made = names.identifiers(NAMES)
    assert list(made) == NAMES
    assert len(set(made.values())) == len(NAMES)
    for one in made.values():
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", one)
        assert len(f"{one}.raw") < 100


def test_plain_names_stay() -> None:
    assert names.identifiers(["fc_weight"]) == {"fc_weight": "fc_weight"}
