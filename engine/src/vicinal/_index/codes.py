"""Which rows can be among the nearest, at a quarter of the bytes?

Every vector also has a code: its components divided by a scale of its own and rounded to int8. A product
of codes tells a similarity up to an error that the Cauchy–Schwarz inequality bounds, row by row, from the
length of what rounding took away:

    |v·q − s·t·(c·d)| ≤ ‖v − s·c‖ (‖q‖ + ‖q − t·d‖) + ‖v‖ ‖q − t·d‖      with v ≈ s·c and q ≈ t·d

So a row whose best possible similarity is below the worst possible one of k others is ruled out for
certain, and the few that are left are measured exactly: searching by codes loses nothing. On 70,000 real
384-dimensional text vectors some 20 rows are left for k = 10 (docs/decisions/0007-codes.md).

Codes cover rows [0, `rows`) of one generation, and are made in the background, or by the writer after its
commit where there is room for them. Rows are never rewritten, so a reader may use them for any view of that
generation while more are added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vicinal._index import kernel, view
from vicinal._index.helpers import in_parts
from vicinal._index.view import Mask, Rows
from vicinal._kth import reached
from vicinal._turns import crowded
from vicinal.types import Space, Vector, Vectors

_GATHERED_BYTES = 768 << 10  # codes of scattered rows, brought together at once: they stay in the cache
_GATHERED_BYTES_CROWDED = 32 << 20  # not so, but each time the interpreter is let go of
_SHARED_BYTES = 4 << 20  # to bring so many together takes most of a millisecond: helpers pay
_ROUNDING = 4e-6  # of the float32 arithmetic on similarities, relative to their size; generous
_SLACK = 1e-4  # of others' float32 arithmetic, relative to the sizes that go into a distance; generous
_FAR = np.float32(1e38)  # twice it is still a float32
_LENGTH_MIN, _LENGTH_MAX = 1e-15, 1e15
"""Vectors shorter or longer than this are never ruled out: float32 could not hold their products."""

Floats = NDArray[np.float32]


class Query(NamedTuple):
    """A query in the form in which codes are compared with it; lengths in float64."""

    code: NDArray[np.int8]
    scale: float
    spread: float
    """Length of what rounding took away; infinite where codes cannot tell anything."""
    length: float


class Extremes(NamedTuple):
    """What holds of all rows that are covered."""

    spread: float
    """The largest finite spread."""
    length: float
    strange: Rows
    """The rows that are never ruled out, ascending."""

    def joined(self, spreads: Floats, lengths: Floats, first: int) -> Extremes:
        """The same with more rows, from the first on."""
        told = np.isfinite(spreads)
        strange = first + np.flatnonzero(~told)
        return Extremes(
            float(spreads.max(initial=self.spread, where=told)),
            float(lengths.max(initial=self.length)),
            np.concatenate([self.strange, strange]),
        )


_NOTHING = Extremes(0.0, 0.0, np.empty(0, dtype=np.int64))


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
    extremes: Extremes

    @property
    def room(self) -> int:
        """So many rows can be covered without taking other memory."""
        return len(self.codes)

    def extend(self, vectors: Vectors, stop: int) -> Codes:
        """Cover the rows up to `stop` of `vectors` as well."""
        return self.more(np.asarray(vectors[self.rows : stop]))

    def more(self, vectors: Vectors) -> Codes:
        """The same and the next rows, which have these vectors."""
        stop = self.rows + len(vectors)
        columns: list[NDArray[Any]] = [self.codes, self.scales, self.spreads, self.lengths]
        if stop > len(self.codes):
            columns = [_longer(column, self.rows, stop) for column in columns]
        encoded = _encode(vectors, self.space)
        for column, values in zip(columns, encoded):
            column[self.rows : stop] = values
        extremes = self.extremes.joined(encoded[2], encoded[3], self.rows)
        codes, scales, spreads, lengths = columns
        return Codes(self.space, self.generation, stop, codes, scales, spreads, lengths, extremes)

    def first(self, rows: int) -> Codes:
        """The same, of no more than so many rows."""
        return self if self.rows <= rows else replace(self, rows=rows)

    def covered(self, rows: range) -> range:
        """Those of some rows, which follow each other, that have codes."""
        return rows[: max(0, self.rows - rows.start)]

    def candidates(self, query: Vector, k: int, rows: Rows | range, mask: Mask | None = None) -> Rows:
        """The covered rows that can be among the k nearest: ascending, at least k of them if there are k.

        Rows are searched one by one, those of a range all in passing, and those of `mask` kept. Two steps:
        the largest error of any row leaves a few hundred, their own errors some twenty.
        """
        wanted = None
        if isinstance(rows, range):
            rows = self.covered(rows)
            wanted = None if mask is None else mask[rows.start : rows.stop]
        asked = _encode_query(query)
        if not np.isfinite(asked.spread):
            return _all(rows, wanted)
        likeness = self._likeness(asked, slice(rows.start, rows.stop) if isinstance(rows, range) else rows)
        strange = self._strange(rows)
        if len(strange):
            likeness[strange] = -_FAR
        if wanted is not None:
            # Arithmetic instead of assignment through a mask, which is ten times slower.
            likeness += (wanted.astype(np.float32) - np.float32(1)) * _FAR
        near = likeness >= np.float32(reached(likeness, k) - 2 * self._largest_error(asked))
        if len(strange):
            near[strange] = True
        if wanted is not None:
            near &= wanted
        left = np.flatnonzero(near)
        chosen = left + rows.start if isinstance(rows, range) else rows[left]
        error = self._errors(asked, chosen)
        possible = likeness[left] + error >= reached(likeness[left] - error, k)
        return chosen[possible]

    def within(self, query: Vector, limit: float) -> Rows:
        """The rows whose distance, in float32, may be no more than a limit."""
        asked = _encode_query(query)
        if not np.isfinite(asked.spread):
            return np.arange(self.rows)
        likeness = self._likeness(asked, slice(0, self.rows))
        sizes = asked.length * self.extremes.length
        least = 1 - limit
        if self.space == "l2":
            sizes = (asked.length + self.extremes.length) ** 2
            least = (asked.length**2 - limit) / 2
        elif self.space == "cosine":
            sizes = 1.0
        near = likeness >= np.float32(least - _SLACK * (1 + sizes) - self._largest_error(asked))
        strange = self._strange(range(self.rows))
        if len(strange):
            near[strange] = True
        return np.flatnonzero(near)

    def _likeness(self, asked: Query, at: slice | Rows) -> Floats:
        """What codes say of the similarity; for l2, of half of length² − distance: the same order."""
        likeness: Floats = (
            kernel.dots(asked.code, self.codes[at]) if isinstance(at, slice) else self._gathered(asked, at)
        )
        likeness *= _at(self.scales, at)
        if self.space == "cosine":  # scales and spreads are relative to the length already
            likeness *= np.float32(asked.scale / asked.length if asked.length else 0.0)
            return likeness
        likeness *= np.float32(asked.scale)
        if self.space == "l2":
            lengths = _at(self.lengths, at)
            likeness -= lengths * lengths * np.float32(0.5)
        return likeness

    def _gathered(self, asked: Query, rows: Rows) -> Floats:
        """Products with the codes of scattered rows."""
        if len(rows) * self.codes.shape[1] < _SHARED_BYTES:
            return self._brought_together(asked, rows)
        return in_parts(lambda part: self._brought_together(asked, rows[part]), len(rows))

    def _brought_together(self, asked: Query, rows: Rows) -> Floats:
        """The same, on this thread, in memory that is used again and again."""
        dimension = self.codes.shape[1]
        size = max(1, (_GATHERED_BYTES_CROWDED if crowded() else _GATHERED_BYTES) // dimension)
        held = np.empty((min(size, len(rows)), dimension), dtype=np.int8)
        products: Floats = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            codes = self.codes.take(part, axis=0, out=held[: len(part)], mode="clip")
            products[start : start + size] = kernel.dots(asked.code, codes)
        return products

    def _errors(self, asked: Query, rows: Rows) -> Floats:
        """By how much each row's likeness can be wrong, at most."""
        spreads = self.spreads.take(rows)
        with np.errstate(invalid="ignore"):  # a query of zeros, and a row that is never ruled out
            error = _error(self.space, asked, spreads, self.lengths.take(rows))
        return np.where(np.isfinite(spreads), error, np.inf).astype(np.float32)

    def _largest_error(self, asked: Query) -> float:
        """The same of any row."""
        error = _error(self.space, asked, np.float64(self.extremes.spread), np.float64(self.extremes.length))
        return float(error) * (1 + 1e-5)

    def _strange(self, rows: Rows | range) -> Rows:
        """Where, among the rows that are searched, those stand that are never ruled out."""
        strange = self.extremes.strange
        if not len(strange):
            return strange
        if isinstance(rows, range):
            return strange[(strange >= rows.start) & (strange < rows.stop)] - rows.start
        return np.flatnonzero(np.isin(rows, strange))


def made(
    space: Space, generation: int, codes: NDArray[np.int8], scales: Floats, spreads: Floats, lengths: Floats
) -> Codes:
    """Codes as they were kept, of all rows that there are."""
    extremes = _NOTHING.joined(spreads, lengths, 0)
    return Codes(space, generation, len(codes), codes, scales, spreads, lengths, extremes)


def empty(space: Space, dimension: int, generation: int) -> Codes:
    """Codes of no row yet."""
    nothing = np.empty(0, dtype=np.float32)
    return made(space, generation, np.empty((0, dimension), np.int8), nothing, nothing, nothing)


def _error(space: Space, asked: Query, spread: Any, length: Any) -> Any:
    """The bound of this file's first lines, and what float32 adds to it."""
    if space == "cosine":
        relative = asked.spread / asked.length if asked.length else 0.0
        return spread * (1 + relative) + (relative + _ROUNDING)
    error = spread * (asked.length + asked.spread) + length * (asked.spread + _ROUNDING * asked.length)
    if space == "l2":
        error = error + (length * length + asked.length * asked.length) * (_ROUNDING / 2)
    return error


def _encode(vectors: Vectors, space: Space) -> tuple[NDArray[np.int8], Floats, Floats, Floats]:
    """(codes, scales, spreads, lengths) of vectors; for cosine, relative to each vector's length."""
    with np.errstate(all="ignore"):  # dead rows may hold anything, and are never asked for
        largest = np.abs(vectors).max(axis=1, initial=0.0)
        scales = largest / np.float32(127)
        rounded = np.rint(vectors / np.where(scales > 0, scales, 1)[:, np.newaxis])
        left = vectors - rounded * scales[:, np.newaxis]
        spreads = view.lengths(left).astype(np.float32) * np.float32(1 + 1e-5)
        lengths = view.lengths(vectors).astype(np.float32)
        strange = ~((lengths >= _LENGTH_MIN) & (lengths <= _LENGTH_MAX)) & ~(largest == 0)
        codes = np.where(strange[:, np.newaxis], 0, rounded).astype(np.int8)
        # What float32 lost in computing the length of what is left is little beside the length.
        spreads += lengths * np.float32(1e-6)
        if space == "cosine":
            divisor = np.where(lengths > 0, lengths, 1)
            scales, spreads = scales / divisor, spreads / divisor
        scales[strange], lengths[strange], spreads[strange] = 0, 0, np.inf
    return codes, scales, spreads, lengths


def is_strange(query: Vector) -> bool:
    """Whether products with a query may not fit into float32, so that only measuring tells what is near."""
    wide = query.astype(np.float64)
    return _is_strange(math.sqrt(wide @ wide))


def _is_strange(length: float) -> bool:
    return length > 0 and not _LENGTH_MIN <= length <= _LENGTH_MAX


def _encode_query(query: Vector) -> Query:
    wide = query.astype(np.float64)
    length = math.sqrt(wide @ wide)
    if _is_strange(length):
        return Query(np.zeros(len(query), dtype=np.int8), 0.0, np.inf, length)
    scale = float(np.abs(wide).max(initial=0.0)) / 127
    rounded = np.rint(wide / (scale or 1.0))
    wide -= rounded * scale
    return Query(rounded.astype(np.int8), scale, math.sqrt(wide @ wide), length)


def _all(rows: Rows | range, wanted: Mask | None) -> Rows:
    if not isinstance(rows, range):
        return rows
    return np.arange(rows.start, rows.stop) if wanted is None else rows.start + np.flatnonzero(wanted)


def _at(column: NDArray[Any], at: slice | Rows) -> NDArray[Any]:
    """Some rows of a column. Those that do not follow each other are copied in half of an index's time."""
    return column[at] if isinstance(at, slice) else column.take(at)


def _longer(column: NDArray[Any], rows: int, stop: int) -> NDArray[Any]:
    """Room for more rows than asked for, with the first `rows` in place."""
    longer = np.empty((max(stop, 2 * len(column), 1024), *column.shape[1:]), dtype=column.dtype)
    longer[:rows] = column[:rows]
    return longer
