"""How do several rankings become one?

Each part is a list of rows with scores, larger is nearer, best first. `reciprocal` looks at places
only; `relative` brings each part's scores to [0, 1] and adds them; `theoretical` does the same with the
lowest score that a part could give, which needs no luck with what the last of its list happens to be.

A row that a part did not find gets nothing from it. Equal totals stand in order of rows.

Sources: Cormack, Clarke and Büttcher, Reciprocal Rank Fusion (SIGIR 2009); Bruch, Gai and Ingber, An
Analysis of Fusion Functions for Hybrid Retrieval (TOIS 2023), whose TM2C2 `theoretical` is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Scores = NDArray[np.float64]
Part = tuple[Rows, Scores]
"""Distinct rows and their scores, best first."""

K = 60


@dataclass(frozen=True)
class Fused:
    """The rows of all parts by descending total, then ascending row."""

    rows: Rows
    scores: Scores
    contributions: NDArray[np.float64]
    """What each part gave to each row, shape (rows, parts); their sum is the score."""

    def first(self, k: int) -> Fused:
        """The best k."""
        return Fused(self.rows[:k], self.scores[:k], self.contributions[:k])


def reciprocal(parts: Sequence[Part], weights: Sequence[float] | None = None, k: float = K) -> Fused:
    """Σ weight / (k + rank), ranks from 1. Weights are 1 unless given."""
    gained: list[Scores] = [1.0 / (k + np.arange(1.0, len(rows) + 1)) for rows, _ in parts]
    return _fused(parts, gained, weights)


def relative(parts: Sequence[Part], weights: Sequence[float] | None = None) -> Fused:
    """Σ weight · (score − lowest) / (highest − lowest), both of the part's own list.

    In a list of equal scores each row gets 1. `alpha` of two parts is `weights=(alpha, 1 - alpha)`.
    """
    lowest = [float(scores.min()) if len(scores) else 0.0 for _, scores in parts]
    return theoretical(parts, lowest, weights)


def theoretical(
    parts: Sequence[Part], lowest: Sequence[float], weights: Sequence[float] | None = None
) -> Fused:
    """Σ weight · (score − lowest) / (highest − lowest), where `lowest` is the least that a part could give.

    For BM25 that is 0, for a cosine −1. Scores below it count as it.
    """
    gained = []
    for (_, scores), least in zip(parts, lowest):
        above = np.maximum(np.asarray(scores, dtype=np.float64) - least, 0.0)
        most = float(above.max()) if len(above) else 0.0
        gained.append(above / most if most > 0 else np.ones_like(above))
    return _fused(parts, gained, weights)


def completed(parts: Sequence[Part], scores_of: Sequence[Callable[[Rows], Scores]]) -> list[Part]:
    """Each part with the rows of all the others too, scored by its own measure.

    A row that only the words have found has a distance all the same. Fusion of completed parts compares
    what is known instead of taking absence for the lowest score; for `theoretical` that is what makes it
    better than reciprocal ranks (docs/quality.md).
    """
    everything = np.unique(np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in parts)]))
    whole = []
    for (rows, scores), measure in zip(parts, scores_of):
        missing = np.setdiff1d(everything, rows, assume_unique=True)
        found = np.concatenate([rows, missing]).astype(np.int64)
        values = (
            np.concatenate([scores, measure(missing)]) if len(missing) else np.asarray(scores, np.float64)
        )
        order = np.lexsort((found, -values))
        whole.append((found[order], values[order]))
    return whole


def _fused(parts: Sequence[Part], gained: Sequence[Scores], weights: Sequence[float] | None) -> Fused:
    if not parts:
        return Fused(np.empty(0, np.int64), np.empty(0), np.empty((0, 0)))
    rows = np.unique(np.concatenate([np.asarray(found, dtype=np.int64) for found, _ in parts]))
    contributions = np.zeros((len(rows), len(parts)))
    for at, ((found, _), gain) in enumerate(zip(parts, gained)):
        weight = 1.0 if weights is None else weights[at]
        contributions[np.searchsorted(rows, found), at] = weight * gain
    totals = contributions.sum(axis=1)
    order = np.lexsort((rows, -totals))
    return Fused(rows[order], totals[order], contributions[order])
