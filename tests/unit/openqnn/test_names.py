"""Names become distinct C identifiers."""

import re

from openqnn.converter import names

NAMES = ["a.b", "a/b", "a_b", "1st", "_x", "__y", "weight" * 40, "weight" * 40 + ".2", "größe", ""]


def test_identifiers_are_valid_and_distinct() -> None:
    identifiers = names.identifiers(NAMES)
    assert list(identifiers) == NAMES
    assert len(set(identifiers.values())) == len(NAMES)
    for identifier in identifiers.values():
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", identifier)
        assert len(f"{identifier}.raw") < 100


def test_plain_names_stay() -> None:
    assert names.identifiers(["fc_weight"]) == {"fc_weight": "fc_weight"}
