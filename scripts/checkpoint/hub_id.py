"""A repository of the Hugging Face hub as a user names it: `owner/name`, `owner/name@revision`."""

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEME = "hf://"
DEFAULT_REVISION = "main"
_FORM = re.compile(
    rf"(?P<scheme>{SCHEME})?(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*)"
    r"(?:@(?P<revision>[\w.][\w./-]*))?",
    re.ASCII,
)
# The hub itself allows no such names.
_FORBIDDEN = ("--", "..")


@dataclass(frozen=True)
class HubId:
    """A repository, and the branch, tag or commit that is meant."""

    repository: str
    revision: str = DEFAULT_REVISION

    @classmethod
    def parse(cls, text: str) -> HubId | None:
        """Return the repository that a text names, None where it is of no such form."""
        match = _FORM.fullmatch(text)
        if not match or any(part in text for part in _FORBIDDEN):
            return None
        return cls(match["repository"], match["revision"] or DEFAULT_REVISION)

    @property
    def owner(self) -> str:
        """The user or organisation."""
        return self.repository.partition("/")[0]

    @property
    def folder(self) -> str:
        """The name of its folder on a disk: no two repositories or revisions share one."""
        revision = "" if self.revision == DEFAULT_REVISION else f"@{self.revision}"
        return f"{self.repository}{revision}".replace("/", "--")

    def __str__(self) -> str:
        """Return the form that `parse` reads and that no path has."""
        return f"{SCHEME}{self.repository}@{self.revision}"
