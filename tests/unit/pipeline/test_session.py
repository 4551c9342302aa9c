"""What is said beside the refusal of a build that missed its gate."""

from pathlib import Path
from typing import Any

import pytest

from scripts.console import Console
from scripts.errors import GateError
from scripts.pipeline import plan, request, session


class Missing:
    """A builder whose every build misses its gate."""

    console = Console()

    def build(self, *_: object) -> None:
        raise GateError("It missed.")


@pytest.mark.parametrize("packed", [False, True])
def test_an_archive_of_a_build_before_is_named_as_such(
    packed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = request.make(build_dir=str(tmp_path))
    if packed:
        asked.archive.parent.mkdir(parents=True)
        asked.archive.write_bytes(b"of before")
    missing: Any = Missing()
    with pytest.raises(GateError):
        session.run(missing, asked, plan.stages(asked))
    text = f"{asked.archive} is of a build before this one"
    assert (text in capsys.readouterr().out) is packed
