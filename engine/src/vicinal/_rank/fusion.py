"""How do several rankings become one?

Each part is a list of rows with scores, larger is nearer, best first. `reciprocal` looks at places only.
`complementary` looks at how near and how well said each row is, on scales that are the same for every
collection: what the vectors say and what the words say are added, and the more the vectors count, the more
the words are asked for what vectors cannot know, whether the very words of the question are there.

Reciprocal ranks give a row nothing for a part that did not find it. For the other, `completed` measures what
a part did not find: a row that only the words have found has a distance all the same. Equal totals stand in
order of rows.

Sources: Cormack, Clarke and Büttcher, Reciprocal Rank Fusion (SIGIR 2009). `complementary` is ours:
docs/decisions/0008-fusion.md, measured in docs/quality.md.
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

_K = 60


@dataclass(frozen=True)
class Fused:
    """The rows of all parts by descending total, then ascending row."""

    rows: Rows
    scores: Scores
    contributions: NDArray[np.float64]
    """What each part gave to each row, shape (rows, parts); their sum is the score."""


def reciprocal(parts: Sequence[Part], weights: Sequence[float] | None = None) -> Fused:
    """Σ weight / (60 + rank), ranks from 1. Weights are 1 unless given."""
    gained: list[Scores] = [1.0 / (_K + np.arange(1.0, len(rows) + 1)) for rows, _ in parts]
    found = np.unique(np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in parts)]))
    contributions = np.zeros((len(found), len(parts)))
    for at, ((rows, _), gain) in enumerate(zip(parts, gained)):
        weight = 1.0 if weights is None else weights[at]
        contributions[np.searchsorted(found, rows), at] = weight * gain
    return _fused(found, contributions)


def complementary(
    rows: Rows, distances: Scores, scores: Scores, completeness: Scores | None, alpha: float
) -> Fused:
    """alpha · nearness + (1 − alpha) · words, each from 0 to 1.

    nearness = 1 / (1 + (d / m)²) of the distance d, where m is the mean distance of these rows.
    words = (1 − alpha) · height + alpha · completeness, where height is the score as a part of the best.

    Args:
        rows: Ascending.
        distances: For each row, from 0 up.
        scores: For each row, of words or of sparse vectors. If some are negative, height counts from the
            lowest.
        completeness: For each row how completely it says the question, from 0 to 1. None where there is
            no such thing; words are then the height alone.
        alpha: The weight of nearness, from 0 to 1.
    """
    words = _heights(scores)
    if completeness is not None:
        words = (1.0 - alpha) * words + alpha * completeness
    return _fused(rows, np.column_stack([alpha * _nearness(distances), (1.0 - alpha) * words]))


def _nearness(distances: Scores) -> Scores:
    # Sorted, for a sum's last digit hangs on its order, and compaction changes that of the rows.
    mean = float(np.sort(distances).mean()) if len(distances) else 0.0
    return 1.0 / (1.0 + (distances / mean) ** 2) if mean > 0 else np.ones_like(distances)


def _heights(scores: Scores) -> Scores:
    above = scores - scores.min(initial=0.0)
    best = float(above.max(initial=0.0))
    return above / best if best > 0 else np.zeros_like(above)


def completed(part: Part, rows: Rows, measure: Callable[[Rows], Scores]) -> Scores:
    """The scores of ascending rows, which contain those of the part; `measure` gives those that it lacks."""
    found, known = part
    scores = np.empty(len(rows))
    lacking = np.ones(len(rows), dtype=np.bool_)
    places = np.searchsorted(rows, found)
    scores[places], lacking[places] = known, False
    scores[lacking] = measure(rows[lacking])
    return scores


def _fused(rows: Rows, contributions: NDArray[np.float64]) -> Fused:
    totals = contributions.sum(axis=1)
    order = np.lexsort((rows, -totals))
    return Fused(rows[order], totals[order], contributions[order])
