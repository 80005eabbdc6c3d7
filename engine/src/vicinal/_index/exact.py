"""Which rows are nearest, exactly?

A float32 matrix product ranks all candidates; then every row that rounding could have kept out of the
first k is measured again in float64. The bound on the rounding error is the textbook one (Higham,
Accuracy and Stability of Numerical Algorithms, 2nd ed., §3.1), so the answer is exact, not merely
close; ties go to the older record. Cost: one pass over the candidates' vectors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vicinal._index.view import Rows, View
from vicinal._products import products
from vicinal.types import Space, Vector, Vectors

Distances = NDArray[np.float64]

_BLOCK_ROWS = 4096
_WIDE_COMPONENTS = 1 << 18  # as many at once in float64 stay in the cache
_MEASURED_MAX = 64  # so few rows are measured at once in float64
_UNIT_ROUNDOFF = 2.0**-24
_SAME = 1e-14  # below it the rounding of float64, and of an ulp in float32: the same direction
_PRODUCT_MIN, _PRODUCT_MAX = 1e-30, 1e30
"""Where |v|·|q| lies outside, a float32 product of the two may under- or overflow."""


def nearest(view: View, space: Space, query: Vector, k: int, rows: Rows) -> tuple[Rows, Distances]:
    """The k nearest of `rows` (ascending), by distance and then by age, with their distances."""
    if k < len(rows) and len(rows) > _MEASURED_MAX:
        rough, uncertain = _rough(view, space, query, rows)
        kth = np.partition(rough, k - 1)[k - 1]
        rows = rows[(rough <= kth + 2 * _error(view, space, query)) | uncertain]
    distances = measure(view.vectors, space, query, rows, view.norms)
    if view.positions is None:  # rows ascend, and so does their age
        best = distances.argsort(kind="stable")[:k]
    else:
        best = np.lexsort((view.positions[rows], distances))[:k]
    return rows[best], distances[best]


def measure(
    vectors: Vectors, space: Space, query: Vector, rows: Rows, norms: Distances | None = None
) -> Distances:
    """The distances of rows from a query, in float64: what users are told. `norms` by row, where known."""
    wide = query.astype(np.float64)
    parts = []
    size = max(1, _WIDE_COMPONENTS // vectors.shape[1])
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        known = None if norms is None else norms.take(part)
        parts.append(between(space, wide, vectors.take(part, axis=0).astype(np.float64), known))
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.empty(0), *parts])


def between(
    space: Space, query: NDArray[np.float64], vectors: NDArray[np.float64], norms: Distances | None = None
) -> Distances:
    """l2: squared Euclidean; ip: 1 − dot; cosine: 1 − cos, and 1 where a vector is zero. A vector's distance
    from its equal, for cosine also from its multiple, is 0.

    `norms` are the lengths of the vectors, where they are known. The vectors may be written over.
    """
    if space == "l2":
        difference = np.subtract(vectors, query, out=vectors)  # other memory would take ten times as long
        return products(difference, difference)
    dots = products(vectors, query)
    if space == "ip":
        return 1.0 - dots
    if norms is None:
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    sizes = norms * np.sqrt(query @ query)
    cosines = np.divide(dots, sizes, out=np.zeros(len(dots)), where=sizes > 0)
    cosines[cosines > 1.0 - _SAME] = 1.0
    distances: Distances = 1.0 - np.maximum(cosines, -1.0)
    return distances


def _rough(view: View, space: Space, query: Vector, rows: Rows) -> tuple[Distances, NDArray[np.bool_]]:
    """Distances from float32 products, good to `_error`; and where float32 cannot tell, infinite there."""
    dots: NDArray[np.float32] = np.empty(len(rows), dtype=np.float32)
    everything = len(rows) == view.rows
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for start in range(0, len(rows), _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, len(rows))
            block = view.vectors[start:stop] if everything else view.vectors.take(rows[start:stop], axis=0)
            dots[start:stop] = products(block, query)
    norms = view.norms if everything else view.norms[rows]
    length = float(np.linalg.norm(query.astype(np.float64)))
    sizes = norms * length
    if space == "l2":
        rough: Distances = norms * norms - 2.0 * dots.astype(np.float64) + length * length
    elif space == "ip":
        rough = 1.0 - dots.astype(np.float64)
    else:
        rough = 1.0 - np.divide(dots, sizes, out=np.zeros(len(rows)), where=sizes > 0)
    uncertain: NDArray[np.bool_] = (sizes < _PRODUCT_MIN) & (sizes > 0) | (sizes > _PRODUCT_MAX)
    rough[uncertain] = np.inf
    return rough, uncertain


def _error(view: View, space: Space, query: Vector) -> float:
    """How far a rough distance can lie from the true one, for any row."""
    gamma = (len(query) + 8) * _UNIT_ROUNDOFF
    if space == "cosine":
        return 4 * gamma
    length = float(np.linalg.norm(query.astype(np.float64)))
    longest = float(view.norms.max(initial=0.0))
    if space == "ip":
        return gamma * (1 + longest * length)
    return 2 * gamma * (longest + length) ** 2
