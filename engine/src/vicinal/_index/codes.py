"""Which rows can be among the nearest, at a quarter of the bytes?

Every vector also has a code: its components divided by a scale of its own and rounded to int8. A product
of codes tells a similarity up to an error that the Cauchy–Schwarz inequality bounds, row by row, from the
length of what rounding took away:

    |v·q − s·t·(c·d)| ≤ ‖v − s·c‖ (‖q‖ + ‖q − t·d‖) + ‖v‖ ‖q − t·d‖      with v ≈ s·c and q ≈ t·d

So a row whose best possible similarity is below the worst possible one of k others is ruled out for
certain, and the few that are left are measured exactly: searching by codes loses nothing. On 70,000 real
384-dimensional text vectors some 20 rows are left for k = 10 (docs/decisions/0007-codes.md).

Codes cover rows [0, `rows`) of one generation, and are made in the background. Rows are never rewritten,
so a reader may use them for any view of that generation while more are added.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal._index import kernel
from vicinal._index.view import Mask, Rows
from vicinal.types import Space, Vector, Vectors

_GATHER_ROWS = 1024  # codes of so many rows stay in the cache while they are multiplied
_GROUP_ROWS = 64
_ROUNDING = 4e-6  # of the float32 arithmetic on similarities, relative to their size; generous
_FAR = np.float32(3e38)
_LENGTH_MIN, _LENGTH_MAX = 1e-15, 1e15
"""Vectors shorter or longer than this are never ruled out: float32 could not hold their products."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Codes:
    """Codes of the first rows; `extend` gives a longer version that shares what it can."""

    space: Space
    generation: int
    rows: int
    codes: NDArray[np.int8]
    """int8, shape (capacity, dimension); meaningful up to `rows`, like the following."""
    scales: Floats
    spreads: Floats
    """Length of what rounding took away; infinite for rows that are never ruled out."""
    lengths: Floats

    def extend(self, vectors: Vectors, stop: int) -> Codes:
        """Cover the rows up to `stop` of `vectors` as well."""
        columns: list[NDArray[Any]] = [self.codes, self.scales, self.spreads, self.lengths]
        if stop > len(self.codes):
            columns = [_longer(column, self.rows, stop) for column in columns]
        encoded = _encode(np.asarray(vectors[self.rows : stop]), self.space)
        for column, values in zip(columns, encoded):
            column[self.rows : stop] = values
        return Codes(self.space, self.generation, stop, *columns)

    def first(self, rows: int) -> Codes:
        """The same, of no more than so many rows."""
        return self if self.rows <= rows else replace(self, rows=rows)

    def candidates(self, query: Vector, k: int, rows: Rows | None, mask: Mask | None) -> Rows:
        """The rows that can be among the k nearest: ascending, at least k of them if there are k.

        Searches the given `rows` one by one, or all rows in passing and keeps those of `mask`.
        """
        code, scale, spread, length = _encode_query(query)
        if not np.isfinite(spread):
            return _selected(self.rows, rows, mask)
        if rows is None:
            dots = kernel.dots(code, self.codes[: self.rows])
            scales, spreads = self.scales[: self.rows], self.spreads[: self.rows]
            lengths = self.lengths[: self.rows]
        else:
            dots = np.empty(len(rows))
            for start in range(0, len(rows), _GATHER_ROWS):
                part = rows[start : start + _GATHER_ROWS]
                dots[start : start + len(part)] = kernel.dots(code, self.codes.take(part, axis=0))
            scales, spreads = self.scales.take(rows), self.spreads.take(rows)
            lengths = self.lengths.take(rows)
        similar: Floats = dots.astype(np.float32)
        similar *= scales
        if self.space == "cosine":  # scales and spreads are relative to the length already
            similar *= np.float32(scale / length if length else 0.0)
            relative = spread / length if length else 0.0
            error = spreads * np.float32(1 + relative)
            error += np.float32(relative + _ROUNDING)
        else:
            similar *= np.float32(scale)
            error = spreads * np.float32(length + spread)
            error += lengths * np.float32(spread + _ROUNDING * length)
            if self.space == "l2":  # half of length² − distance: the same order
                squares = lengths * lengths * np.float32(0.5)
                similar -= squares
                error += (squares + np.float32(length * length / 2)) * np.float32(_ROUNDING)
        worst = similar - error
        similar += error  # the best that can be
        if rows is not None:
            return rows[similar >= _kth(worst, k)]
        if mask is None:
            return np.flatnonzero(similar >= _kth(worst, k))
        wanted = mask[: self.rows]
        # Arithmetic instead of assignment through a mask, which is fifty times slower.
        worst += (wanted.astype(np.float32) - np.float32(1)) * _FAR
        return np.flatnonzero((similar >= _kth(worst, k)) & wanted)


def empty(space: Space, dimension: int, generation: int) -> Codes:
    """Codes of no row yet."""
    nothing = np.empty(0, dtype=np.float32)
    return Codes(space, generation, 0, np.empty((0, dimension), np.int8), nothing, nothing, nothing)


def _encode(vectors: Vectors, space: Space) -> tuple[NDArray[np.int8], Floats, Floats, Floats]:
    """(codes, scales, spreads, lengths) of vectors; for cosine, relative to each vector's length."""
    with np.errstate(all="ignore"):  # dead rows may hold anything, and are never asked for
        largest = np.abs(vectors).max(axis=1, initial=0.0)
        scales = largest / np.float32(127)
        rounded = np.rint(vectors / np.where(scales > 0, scales, 1)[:, np.newaxis])
        left = vectors - rounded * scales[:, np.newaxis]
        spreads = np.sqrt(np.einsum("ij,ij->i", left, left)) * np.float32(1 + 1e-5)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        strange = ~((lengths >= _LENGTH_MIN) & (lengths <= _LENGTH_MAX)) & ~(largest == 0)
        codes = np.where(strange[:, np.newaxis], 0, rounded).astype(np.int8)
        # What float32 lost in computing the length of what is left is little beside the length.
        spreads += lengths * np.float32(1e-6)
        if space == "cosine":
            divisor = np.where(lengths > 0, lengths, 1)
            scales, spreads = scales / divisor, spreads / divisor
        scales[strange], lengths[strange], spreads[strange] = 0, 0, np.inf
    return codes, scales, spreads, lengths


def _encode_query(query: Vector) -> tuple[NDArray[np.int8], float, float, float]:
    """(code, scale, length of what is left, length) of a query, in float64."""
    wide = query.astype(np.float64)
    length = float(np.sqrt(wide @ wide))
    if length and not _LENGTH_MIN <= length <= _LENGTH_MAX:
        return np.zeros(len(query), dtype=np.int8), 0.0, np.inf, length
    scale = float(np.abs(wide).max(initial=0.0)) / 127
    rounded = np.rint(wide / (scale or 1.0))
    left = wide - rounded * scale
    return rounded.astype(np.int8), scale, float(np.sqrt(left @ left)), length


def _kth(worst: Floats, k: int) -> float:
    """A similarity that at least k rows reach; −∞ when there are fewer rows.

    The k-th largest of the largest of each group is below the k-th largest of all, hardly so when k is
    small beside the number of groups, and much faster found.
    """
    if len(worst) < k:
        return -np.inf
    groups = len(worst) // _GROUP_ROWS
    if groups > 4 * k:
        worst = worst[: groups * _GROUP_ROWS].reshape(_GROUP_ROWS, groups).max(axis=0)
    return float(np.partition(worst, len(worst) - k)[len(worst) - k])


def _selected(count: int, rows: Rows | None, mask: Mask | None) -> Rows:
    if rows is not None:
        return rows
    return np.arange(count) if mask is None else np.flatnonzero(mask[:count])


def _longer(column: NDArray[Any], rows: int, stop: int) -> NDArray[Any]:
    """Room for more rows than asked for, with the first `rows` in place."""
    longer = np.empty((max(stop, 2 * len(column), 1024), *column.shape[1:]), dtype=column.dtype)
    longer[:rows] = column[:rows]
    return longer
