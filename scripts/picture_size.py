"""The size of a picture as a network takes it: height and width in pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scripts.errors import UsageError

_FORM = re.compile(r"(\d+)(?:x(\d+))?", re.ASCII)


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
                f"{text!r} is no picture size.", remedy="512, or 480x640: height x width in pixels"
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
        """Return how many rows and columns of patches there are.

        Raises:
            UsageError: patches of `patch` pixels do not divide it.
        """
        if self.height % patch or self.width % patch or not self.height or not self.width:
            rounded = PictureSize(*(max(1, round(side / patch)) * patch for side in self.axes))
            raise UsageError(
                f"Patches of {patch} pixels do not divide a picture of {self}.",
                remedy=f"--size {rounded} is the nearest that they do",
            )
        return self.height // patch, self.width // patch

    @property
    def axes(self) -> tuple[int, int]:
        """Height and width, as a tensor's last two axes in NCHW."""
        return self.height, self.width

    def __str__(self) -> str:
        return str(self.height) if self.is_square else f"{self.height}x{self.width}"
