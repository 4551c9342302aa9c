"""How alike two sets of features are: cosines a token, signal to noise, neighbours, accuracy.

Features are float32 [pictures, tokens, hidden], token 0 being CLS, the patches last; or another
output of a network: [pictures, channels] of CLS, or [pictures, channels, height, width] of patches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Head = tuple[NDArray[np.float32], NDArray[np.float32]]
FP16_MAX = 65504.0
# Each picture is described by its nearest others; fewer pictures than this say nothing.
NEIGHBOURS, ENOUGH = 5, 20
# Neighbours that vote for a picture's label.
VOTERS = 10
# Pictures that the residual stream is compared on, the first: all of it is in memory.
LAYERED = 2
# Noise below this share of the signal counts as this much: 300 dB instead of infinity.
SILENCE = 1e-30
# Digits of a figure that is written down, behind the point and in all.
DIGITS = 6


def vectors(features: Features) -> Features:
    """Return features as [pictures, rows, channels]: CLS is one row, a patch is one row."""
    if features.ndim == 2:
        return features[:, None]
    if features.ndim == 4:
        return np.moveaxis(features.reshape(*features.shape[:2], -1), 1, 2)
    return features


def figures(reference: Features, other: Features, patches: int) -> dict[str, float]:
    """Return cosines of CLS and of the last `patches` tokens, SNR in dB, and the largest error.

    An output without CLS, or without patches, has no cosines of these.
    """
    cosines = cosine(vectors(reference), vectors(other))
    has_patches = reference.ndim > 2
    has_cls = not has_patches or cosines.shape[1] > patches
    return {
        **(_spread("cls", cosines[:, 0]) if has_cls else {}),
        **(_spread("patch", cosines[:, -patches:]) if has_patches else {}),
        "snr_db": snr_db(reference, other),
        "max_abs": float(np.abs(other.astype(np.float64) - reference).max()),
    }


def worst(figures: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the worst of each figure: the largest error, the least of all others."""
    merged: dict[str, float] = {}
    for entry in figures:
        for name, value in entry.items():
            choose = max if name == "max_abs" else min
            merged[name] = choose(merged.get(name, value), value)
    return merged


def snr_db(reference: Features, other: Features) -> float:
    """Return the signal to noise ratio in decibels."""
    error = other.astype(np.float64) - reference
    signal = float((reference.astype(np.float64) ** 2).sum())
    noise = max(float((error**2).sum()), signal * SILENCE)
    return float(10 * np.log10(signal / noise))


def cosine(reference: Features, other: Features) -> NDArray[np.float64]:
    """Return the cosines of vectors along the last axis; that of a zero vector is 0."""
    a, b = reference.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    dots: NDArray[np.float64] = (a * b).sum(axis=-1)
    return dots / np.where(lengths > 0, lengths, np.inf)


def neighbour_agreement(reference: Features, other: Features) -> float:
    """Return the share of each picture's nearest others, by CLS cosine, that stays the same."""
    near, far = (_neighbours(vectors(side)[:, 0], NEIGHBOURS) for side in (reference, other))
    shared = [len(set(a) & set(b)) for a, b in zip(near.tolist(), far.tolist(), strict=True)]
    return float(np.mean(shared)) / NEIGHBOURS


def accuracy(features: Features, head: Head, labels: Sequence[int]) -> float:
    """Return the share of pictures that a linear head (weight, bias) on CLS labels correctly."""
    weight, bias = head
    return hits(vectors(features)[:, 0] @ weight.T + bias, labels)


def hits(logits: Features, labels: Sequence[int]) -> float:
    """Return the share of pictures whose largest logit [pictures, classes] is that of the label."""
    return float((logits.argmax(axis=1) == np.array(labels)).mean())


def knn_accuracy(vectors: Features, labels: Sequence[str]) -> float:
    """Return the share of pictures whose label most of the nearest others have, by cosine.

    Vectors are [pictures, channels]; no picture votes for itself. Of labels with as many votes the
    first in order counts, as in scikit-learn.
    """
    names, numbers = np.unique(np.array(labels, dtype=object), return_inverse=True)
    votes = np.eye(len(names))[numbers[_neighbours(vectors, VOTERS)]].sum(axis=1)
    return float((votes.argmax(axis=1) == numbers).mean())


def rounded(value: Any) -> Any:
    """Return figures, in dictionaries or alone, without the digits that processors disagree in.

    float32 has seven significant digits. A sum of it differs in the last between processors with
    and without AVX-512 or FMA, which add in other orders. Only what is 1 in float32 becomes 1: a
    cosine that is nearly 1 does not.
    """
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if not isinstance(value, float):
        return value
    figure = round(float(f"{value:.{DIGITS}g}"), DIGITS)
    return round(1 - 10**-DIGITS, DIGITS) if figure == 1 > np.float32(value) else figure


def _spread(name: str, cosines: NDArray[np.float64]) -> dict[str, float]:
    return {
        f"{name}_mean": float(cosines.mean()),
        f"{name}_p1": float(np.percentile(cosines, 1)),
        f"{name}_min": float(cosines.min()),
    }


def _neighbours(vectors: Features, count: int) -> NDArray[np.int64]:
    closeness = cosine(vectors[:, None], vectors[None])
    np.fill_diagonal(closeness, -np.inf)
    return np.argsort(-closeness, axis=1, kind="stable")[:, :count]
