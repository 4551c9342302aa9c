"""A repository of the Hugging Face hub as a user names it: `owner/name`, `owner/name@revision`.

An address of the hub's pages, and timm's `hf-hub:owner/name`, name one as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

SCHEME = "hf://"
DEFAULT_REVISION = "main"
_REPOSITORY = r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*)"
_FORM = re.compile(
    rf"(?P<scheme>{SCHEME})?{_REPOSITORY}(?:@(?P<revision>[\w.][\w./-]*))?", re.ASCII
)
_OF_TIMM = re.compile(r"hf[-_]hub:")
_ADDRESS = re.compile(
    rf"(?:https?://)?(?:huggingface\.co|hf\.co)/{_REPOSITORY}"
    r"(?:/(?:tree|blob|resolve)/(?P<revision>[^/?#]+)[^?#]*)?/?(?:[?#].*)?",
    re.ASCII,
)
# The hub itself allows no such names.
_FORBIDDEN = ("--", "..")


def canonical(text: str) -> str:
    """Return an address of the hub, or timm's name of a repository, as `hf://owner/name@revision`.

    Any other text is returned as it is.
    """
    if match := _ADDRESS.fullmatch(text):
        revision = unquote(match["revision"] or "")
        return f"{SCHEME}{match['repository']}{'@' if revision else ''}{revision}"
    return _OF_TIMM.sub(SCHEME, text, count=1) if _OF_TIMM.match(text) else text


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
