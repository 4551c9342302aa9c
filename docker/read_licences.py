"""Print, as JSON, under which licence each package of the image is, as the package itself says.

Runs in the finished image: `python -c` of this text. Debian's packages say it in their copyright
file, where that has the machine-readable form; Python's in their metadata.
"""

import json
import re
from importlib import metadata
from pathlib import Path

_SHORT_NAME = re.compile(r"^License:[ \t]*(\S.*)$", re.MULTILINE)
_CLASSIFIER = "License :: "


def debian(name: str) -> str:
    """Return the licences in a package's copyright file, in its order; empty for plain text."""
    path = Path("/usr/share/doc", name, "copyright")
    text = path.read_text(errors="replace") if path.is_file() else ""
    names = _SHORT_NAME.findall(text) if "copyright-format/1.0" in text[:400] else []
    return ", ".join(dict.fromkeys(" ".join(name.split()) for name in names))


def python(package: metadata.Distribution) -> str:
    """Return the expression, else the one-line text, else the classifiers of a package."""
    said = package.metadata
    if expression := said.get("License-Expression"):
        return expression
    text = (said.get("License") or "").strip()
    if text and "\n" not in text and text != "UNKNOWN":
        return text
    classifiers = (value for value in said.get_all("Classifier") or () if _CLASSIFIER in value)
    return ", ".join(value.rpartition(" :: ")[2] for value in classifiers)


def normalised(name: str) -> str:
    """Return a package's name as the locks write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    names = sorted(path.name for path in Path("/usr/share/doc").iterdir())
    found = {
        "debian": {name: debian(name) for name in names},
        "python": {
            normalised(package.name): python(package) for package in metadata.distributions()
        },
    }
    print(json.dumps(found, sort_keys=True))
