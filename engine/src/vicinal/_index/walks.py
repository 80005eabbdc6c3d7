"""Is what a walk found nearest the nearest?

hnswlib keeps the ef nearest rows that it has met, and ends when all that it could go on to are farther. Three
times that is too early, and codes have to be scanned:

* Many rows are so near to each other that float32 does not tell them apart: those beyond ef may be as near.
* Copies of a few vectors, or what hardly differs from them, fill all that it keeps: it never leaves them.
* Inner products are negative: links lead to rows whose product with each other is large, long ones above all,
  and the least negative ones are those of short vectors.

Otherwise what it found is cut to what may be among the k nearest, which callers measure again (decision 18).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal._index import exact
from vicinal._index.view import Rows, View
from vicinal._products import products
from vicinal.types import Space, Vector

_SPARE = 8  # rows beyond the k nearest that are measured in any case
_ROUNDING = 4e-6  # of hnswlib's distances, relative to what they are made of; generous
_SEEN, _APART = 24, 8  # the nearest rows, and every which of the k nearest is compared with them
_BAND = 0.1  # of the nearest one's distance, within which those lie that stand in one place
_PLACE, _MATES_SHARE_MAX = 0.1, 1 / 3  # of their squared distance from the query; of those compared
_LEAST = 1e-30  # in place of no length
TIED = 1e-13  # so little, relative to themselves, do distances in float64 differ by rounding alone

Distances32 = NDArray[np.float32]


def believed(
    view: View, space: Space, query: Vector, k: int, rows: Rows, far: Distances32, last: float | None
) -> Rows | None:
    """Of the rows that a walk found, nearest first, those that may be among the k nearest; None when others
    may be, too. `far` are their distances, `last` that of the farthest that the walk kept, if there are more.
    """
    if last is not None and space == "ip" and far[:k].max(initial=0.0) > 1.0:
        return None
    if len(rows) <= k:
        return rows
    distance = float(far[k - 1])
    limit = distance + _blur(view, space, query, rows, distance)
    if last is not None:
        blurred = last <= limit and not _tied(view, space, query, rows, k)
        if blurred or _crowded(view, space, rows, far, k) or _huddled(view, space, rows, far, k):
            return None
    return rows[: max(k + _SPARE, int(far.searchsorted(limit, side="right")))]


def rounding(space: Space, squares: Any) -> Any:
    """By how much hnswlib's distance of a vector of this squared length from its equal can be wrong."""
    if space == "l2":
        return 0.0  # it subtracts first
    return _ROUNDING if space == "cosine" else _ROUNDING * squares + 2e-7


def _blur(view: View, space: Space, query: Vector, rows: Rows, distance: float) -> float:
    """By how much hnswlib may confuse which of some rows is nearer, about a distance."""
    if space == "l2":
        return 2 * _ROUNDING * distance
    if space == "cosine":
        return 2 * _ROUNDING
    longest = float(view.norms[rows].max())
    return 2 * _ROUNDING * longest * float(np.linalg.norm(query.astype(np.float64)))


def _tied(view: View, space: Space, query: Vector, rows: Rows, k: int) -> bool:
    """Whether the k-th nearest of some rows is as far away as the last, measured in float64."""
    distances = np.sort(exact.measure(view.vectors, space, query, rows, view.norms))
    return bool(distances[-1] - distances[k - 1] <= TIED * max(1.0, abs(distances[-1])))


def _crowded(view: View, space: Space, rows: Rows, far: Distances32, k: int) -> bool:
    """Whether most of the rows that a walk found are copies of others of them, which multiples are to the
    cosine. Not where k are equal to the query: nothing is nearer."""
    if 2 * np.count_nonzero(far[1:] == far[:-1]) <= len(rows):
        return False
    if space != "ip" and far[k - 1] <= rounding(space, 1.0):
        return False
    found: NDArray[Any] = view.vectors[rows]
    if space == "cosine":
        lengths = view.norms[rows][:, np.newaxis]
        found = np.divide(found, lengths, out=np.zeros(found.shape), where=lengths > 0)
    return bool(2 * np.count_nonzero((found[1:] == found[:-1]).all(axis=1)) > len(rows))


def _huddled(view: View, space: Space, rows: Rows, far: Distances32, k: int) -> bool:
    """Whether the nearest rows, seen from the query, stand where some of the first k stand: variants of few
    texts, which keep a walk among them as copies do. To a query that is one of them they stand apart."""
    rows, far = rows[:_SEEN], far[:_SEEN]
    if space == "ip" or far[-1] - far[0] > _BAND * far[0]:
        return False
    seen = view.vectors.take(rows, axis=0)
    some = np.arange(0, min(k, len(rows)), _APART)
    with np.errstate(over="ignore", invalid="ignore"):  # then codes are scanned
        if space == "l2":
            apart = np.array([products(side, side) for side in (seen - seen[row] for row in some)])
        else:
            lengths = np.maximum(view.norms.take(rows), _LEAST)
            dots = np.array([products(seen, seen[row]) for row in some])
            apart = 1.0 - dots / (lengths * lengths[some, np.newaxis])
    mates = np.count_nonzero(apart < _PLACE * np.minimum(far, far[some, np.newaxis])) - len(some)
    return bool(mates > _MATES_SHARE_MAX * len(some) * (len(rows) - 1))
