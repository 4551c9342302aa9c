"""What the CI files say, read line by line: no reader of YAML is in the host's environment."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.source import ROOT

GITHUB = [*sorted((ROOT / ".github/workflows").glob("*.yml")), ROOT / "examples/ci/github.yml"]
GITLAB = [ROOT / ".gitlab-ci.yml", ROOT / "examples/ci/gitlab.yml"]
_STEP = re.compile(r"^ +(?:- )?run: (.+)$", re.MULTILINE)
_LINE_OF_SCRIPT = re.compile(r"^  script:\n((?:    - .+\n)+)", re.MULTILINE)
_VARIABLE = re.compile(r"^ +([A-Z]+): ([\w.-]+)$", re.MULTILINE)


def commands(path: Path) -> list[str]:
    """Return the commands of a file's jobs, in order; one line each."""
    text = path.read_text()
    scripts = "".join(_LINE_OF_SCRIPT.findall(text))
    return _STEP.findall(text) + re.findall(r"^    - (.+)$", scripts, re.MULTILINE)


def variables(path: Path) -> dict[str, str]:
    """Return the plain variables that a file sets for its jobs."""
    return dict(_VARIABLE.findall(path.read_text()))
