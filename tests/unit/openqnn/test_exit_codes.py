"""The native programs' exit codes, as three places have them."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.errors import INTERRUPTED, PipelineError, StageError, with_exit_code

OPENQNN = Path(__file__).parents[3] / "toolchains/openqnn"
CODES = re.findall(r"^  \w+ = (\d+),", (OPENQNN / "src/common/failure.hpp").read_text(), re.M)


def test_no_code_is_also_one_of_the_pipelines() -> None:
    assert len(CODES) == len(set(CODES)) == 13
    assert {with_exit_code(int(code)) for code in CODES} == {StageError}
    assert str(INTERRUPTED) not in CODES
    assert str(PipelineError.exit_code) not in CODES


def test_the_readme_lists_every_code() -> None:
    assert re.findall(r"^\| (\d+) \|", (OPENQNN / "README.md").read_text(), re.M) == CODES
