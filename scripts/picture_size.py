"""The size of a picture as a network takes it: height and width in pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scripts.errors import UsageError

_FORM = re.compile(r"(\d{1,9})(?:[xX](\d{1,9}))?", re.ASCII)
# 4096 patches: attention over more is beyond what was measured on the HTP.
MOST_PATCHES = 64


@dataclass(frozen=True)
class PictureSize:
    """Height and width in pixels, in the order of a tensor's axes."""

    height: int
    width: int

    @classmethod
    def parse(cls, text: str) -> PictureSize:
        """Return the size that a text such as `512` or `480x640` (height x width) stands for.

        Raises:
            UsageError: it is of neither form.
        """
        match = _FORM.fullmatch(text.strip())
        if not match:
            raise UsageError(
                f"{text[:40]!r} is no picture size.",
                remedy="512, or 480x640: height x width in pixels",
            )
        height, width = match.groups()
        return cls(int(height), int(width or height))

    @classmethod
    def square(cls, side: int) -> PictureSize:
        """Return the size of a square picture."""
        return cls(side, side)

    @property
    def is_square(self) -> bool:
        """Whether height and width are equal."""
        return self.height == self.width

    def patches(self, patch: int) -> tuple[int, int]:
        """Return how many rows and columns of patches there are, `MOST_PATCHES` at most.

        Raises:
            UsageError: patches of `patch` pixels do not divide it, or it has too many.
        """
        counts = [min(max(1, round(side / patch)), MOST_PATCHES) for side in self.axes]
        nearest = PictureSize(*(count * patch for count in counts))
        if max(self.axes) > MOST_PATCHES * patch:
            raise UsageError(
                f"{self} has more than {MOST_PATCHES} patches of {patch} pixels a side.",
                remedy=f"--size {nearest} is the nearest that a network takes",
            )
        if self != nearest:
            raise UsageError(
                f"Patches of {patch} pixels do not divide a picture of {self}.",
                remedy=f"--size {nearest} is the nearest that they do",
            )
        return counts[0], counts[1]

    @property
    def axes(self) -> tuple[int, int]:
        """Height and width, as a tensor's last two axes in NCHW."""
        return self.height, self.width

    def __str__(self) -> str:
        return str(self.height) if self.is_square else f"{self.height}x{self.width}"
