"""What a network gives: `--outputs`, and the tensors that it stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.errors import UsageError

TOKENS, CLS, PATCHES, FEATURES, HEAD, PATCH_HEAD = (
    "last_hidden_state",
    "cls",
    "patches",
    "features",
    "head",
    "patch_head",
)
# The words of `--outputs` that stand alone, and those that take a file.
WORDS = {"tokens": TOKENS, "cls": CLS, "patches": PATCHES, "features": FEATURES}
HEADS = {"head": HEAD, "patch-head": PATCH_HEAD}
LAYERS = "layers"
TOKENS_ALONE = "tokens"
# How the path of a head ends.
HEAD_SUFFIX = ".safetensors"
# More than any network has layers, and fewer than Python refuses to read.
_DIGITS = 9
GRAMMAR = "tokens, cls, patches, features, layers=7,15, head=FILE, patch-head=FILE"
MEANINGS = {
    TOKENS: "CLS, registers, patches",
    CLS: "the CLS token",
    PATCHES: "the patches, row by row",
    FEATURES: "the patches as channels, height, width",
    HEAD: "logits of a linear layer on the CLS token",
    PATCH_HEAD: "logits of a linear layer on every patch, as classes, height, width",
}


@dataclass(frozen=True)
class Output:
    """One output: the `word` that asks for it, and the layer or the file of a head that it takes.

    Layers are counted from 0, as DINO's `get_intermediate_layers` counts them: layer k is what
    transformers has in `hidden_states[k + 1]`.
    """

    word: str
    layer: int = -1
    file: Path | None = None

    @property
    def name(self) -> str:
        """The tensor's name."""
        if self.word == LAYERS:
            return f"layer_{self.layer}"
        return WORDS.get(self.word) or HEADS[self.word]

    @property
    def meaning(self) -> str:
        """What the tensor holds, in words."""
        layer = f"the patches after layer {self.layer} and the last norm: channels, height, width"
        return MEANINGS.get(self.name, layer)


@dataclass(frozen=True)
class Outputs:
    """The outputs of a network, in the order of its tensors."""

    entries: tuple[Output, ...] = (Output(TOKENS_ALONE),)

    @classmethod
    def parse(cls, text: str) -> Outputs:
        """Return what a list stands for; numbers behind `layers=` continue it.

        Raises:
            ValueError: an unknown word, a layer that is no number, an output twice, or none.
        """
        entries = tuple(_entries(text))
        names = [entry.name for entry in entries]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"{twice} stands there twice")
        return cls(entries)

    def __str__(self) -> str:
        """Return the list that `parse` takes, layers together where they follow one another."""
        texts: list[str] = []
        for before, entry in zip((None, *self.entries), self.entries, strict=False):
            follows = before is not None and before.word == entry.word == LAYERS
            value = entry.layer if entry.word == LAYERS else entry.file
            text = entry.word if value is None else f"{entry.word}={value}"
            texts.append(str(entry.layer) if follows else text)
        return ",".join(texts)

    def __iter__(self) -> Iterator[Output]:
        """Yield the outputs in order."""
        return iter(self.entries)

    @property
    def names(self) -> list[str]:
        """The tensors' names."""
        return [entry.name for entry in self.entries]

    @property
    def layers(self) -> list[int]:
        """The layers whose features are outputs."""
        return [entry.layer for entry in self.entries if entry.word == LAYERS]

    @property
    def heads(self) -> dict[str, Path]:
        """The files of heads by the name of their tensors."""
        return {entry.name: entry.file for entry in self.entries if entry.file}

    @property
    def is_usual(self) -> bool:
        """Whether these are the tokens alone, the default."""
        return self.names == [TOKENS]

    @property
    def folder(self) -> str:
        """What the name of a build's folder says of them, nothing for the usual ones."""
        words = (entry.word if entry.layer < 0 else entry.name for entry in self.entries)
        return "" if self.is_usual else "-".join(words)

    def require_layers(self, depth: int) -> None:
        """Refuse layers that a network of `depth` layers does not have.

        Raises:
            UsageError: there is one.
        """
        if missing := [layer for layer in self.layers if layer >= depth]:
            raise UsageError(
                f"--outputs {self}: the network has no layer {missing[0]}.",
                remedy=f"choose among layers 0 to {depth - 1}",
            )

    def at(self, files: Mapping[str, Path]) -> Outputs:
        """Return the same outputs with other files of heads, by the names of their tensors."""
        return Outputs(tuple(replace(entry, file=files.get(entry.name)) for entry in self.entries))


USUAL = Outputs()


def has_cls(name: str) -> bool:
    """Tell whether the first row of an output is CLS, or what is computed of it."""
    return name in (TOKENS, CLS, HEAD)


def _entries(text: str) -> Iterator[Output]:
    in_layers = False
    for part in _parts(text):
        word, has_value, value = part.partition("=")
        is_number = in_layers and not has_value and _is_number(part)
        in_layers = is_number or word == LAYERS
        if is_number or (word == LAYERS and _is_number(value)):
            yield Output(LAYERS, layer=int(value or part))
        elif word in HEADS and value:
            yield Output(word, file=Path(value))
        elif word in WORDS and not has_value:
            yield Output(word)
        elif word in HEADS:
            raise ValueError(f"{word} names no file: {word}=FILE")
        elif word == LAYERS:
            what = f"{value!r} is no layer" if value else f"{part!r} names no layer"
            raise ValueError(f"{what}; layers are counted from 0: {LAYERS}=2,5")
        else:
            raise ValueError(f"there is no output {part!r}; there are {GRAMMAR}")


def _parts(text: str) -> list[str]:
    """Return what commas part, except those in the path of a head, which ends with `.safetensors`.

    What follows a path without that end belongs to it, if an end comes before another word does.
    """
    parts: list[str] = []
    pieces = text.split(",")
    while pieces:
        part = pieces.pop(0)
        if part.strip().partition("=")[0] in HEADS:
            more = _rest_of_path([part, *pieces])
            part = ",".join([part, *pieces[:more]])
            pieces = pieces[more:]
        parts.append(part.strip())
    return parts


def _rest_of_path(pieces: Sequence[str]) -> int:
    """Return how many pieces behind the first continue its path."""
    for number, piece in enumerate(pieces):
        if number and piece.strip().partition("=")[0] in (*WORDS, *HEADS, LAYERS):
            return 0
        if piece.rstrip().lower().endswith(HEAD_SUFFIX):
            return number
    return 0


def _is_number(text: str) -> bool:
    """Tell whether a text is a whole number as a command line has it: 1 to 9 ASCII digits."""
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS
