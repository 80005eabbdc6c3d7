"""Which rows have the largest dot product with this sparse vector?

The components of sparse embeddings (SPLADE and its kin, or BM25 weights made by a model) stand in the same
inverted index as words. Rows that share no component with the question are not found, whatever k.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from vicinal._text import postings
from vicinal._text.best import Scores, aged, best
from vicinal._text.postings import Codes, Mask, Postings, Rows, Weights

_NOTHING: tuple[Codes, Weights] = np.empty(0, np.int64), np.empty(0, np.float32)


def extend(
    old: Postings,
    rows: int,
    vectors: Iterable[tuple[int, ArrayLike, ArrayLike]],
    forgotten: Rows | None = None,
) -> Postings:
    """The next version, `rows` long, with `(row, indices, values)` of new and altered rows, each row once.

    No index twice in a vector. A row that is not named keeps what it has; `forgotten` ones lose it first. A
    vector that int64 and float32 cannot hold, as earlier versions accepted, has no entries.
    """
    given = [(row, *_held(indices, values)) for row, indices, values in vectors]
    numbers = np.array([row for row, _, _ in given], dtype=np.int64)
    changed = numbers if forgotten is None else np.concatenate([numbers, np.asarray(forgotten, np.int64)])
    entry_rows = np.repeat(numbers, [len(indices) for _, indices, _ in given])
    codes = np.concatenate([_NOTHING[0], *(indices for _, indices, _ in given)])
    values = np.concatenate([_NOTHING[1], *(weights for _, _, weights in given)])
    return postings.extend(old, rows, changed, entry_rows, codes, values)


def _held(indices: ArrayLike, values: ArrayLike) -> tuple[Codes, Weights]:
    """A vector's entries; none when they cannot be held."""
    try:
        with np.errstate(over="ignore"):
            codes, weights = np.asarray(indices, np.int64), np.asarray(values, np.float32)
    except OverflowError:
        return _NOTHING
    return (codes, weights) if np.isfinite(weights).all() else _NOTHING


def search(
    index: Postings,
    indices: ArrayLike,
    values: ArrayLike,
    k: int,
    alive: Mask,
    allowed: Mask | None = None,
    idf: bool = False,
    positions: Rows | None = None,
) -> tuple[Rows, Scores]:
    """The best k rows that share a component with the question: by descending dot product, then age.

    Args:
        alive: By row of the index, whether it holds a record.
        allowed: By row, whether it may be found; None: all live rows.
        idf: Weight each component by ln(1 + (N − df + 0.5) / (df + 0.5)) over the live rows that have
            components, as Chroma does for sparse vectors that carry BM25's weights.
        positions: By row, which record is older; None where rows say so.
    """
    scores = np.zeros(index.rows, dtype=np.float64)
    touched = np.zeros(index.rows, dtype=np.bool_)
    for code, value in _weighted(index, indices, values, alive if idf else None):
        rows, weights = index.find(code)
        at = rows.astype(np.intp)
        scores[at] += np.multiply(weights, value, dtype=np.float64)
        touched[at] = True
    touched &= alive if allowed is None else alive & allowed
    if (scores[touched] > 0).sum() >= k:
        return best(scores, k, touched, positions)
    found = np.flatnonzero(touched)  # products of 0 and less count too where there is nothing better
    order = np.lexsort((aged(found, positions), -scores[found]))[:k]
    return found[order], scores[found[order]]


def score(
    index: Postings, indices: ArrayLike, values: ArrayLike, rows: Rows, alive: Mask, idf: bool = False
) -> Scores:
    """The dot products of given live rows with the question, the same as in `search`; 0 without a share."""
    found = np.zeros(len(rows), dtype=np.float64)
    for code, value in _weighted(index, indices, values, alive if idf else None):
        found += np.multiply(index.weights_of(code, rows), value, dtype=np.float64)
    return found


def _weighted(
    index: Postings, indices: ArrayLike, values: ArrayLike, living: Mask | None
) -> Iterator[tuple[int, float]]:
    """The question's components and weights; times their idf over the living, when those are given."""
    records = 0 if living is None else int(np.count_nonzero(living & (index.home >= 0)))
    for code, value in zip(np.asarray(indices, np.int64).tolist(), np.asarray(values, np.float64).tolist()):
        if living is None:
            yield code, value
        else:
            having = int(np.count_nonzero(living[index.find(code)[0]]))
            yield code, value * float(np.log1p((records - having + 0.5) / (having + 0.5)))
