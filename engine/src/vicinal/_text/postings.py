"""Which rows hold this term, and with what weight?

One inverted index for words and for the components of sparse vectors alike: a code (a word's number, a
component's index) → rows in ascending order, with a weight each. It consists of a few segments, each in
compressed sparse rows over its distinct codes; new rows make a new segment, and `merged` joins segments
so that their sizes grow geometrically. Every version is immutable and shares its segments with the next.

* A row's entries are those of one segment, its `home`. A row that is put in again, because its text was
  altered in place, moves there, and what older segments hold of it no longer counts
  (test_an_altered_row_loses_its_old_terms).
* The index does not know which rows still hold a record: whoever asks brings that mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Rows = NDArray[np.int64]
Weights = NDArray[np.float32]
Mask = NDArray[np.bool_]

_NOWHERE = -1
_GROWTH = 4  # a segment is joined to its younger neighbour unless it is this many times as large
_SEGMENTS_MAX = 32  # each is looked into for each term, and not everybody has a background that joins them
_FORMAT = 2  # those of 1 may lack live rows, and count rows without entries


@dataclass(frozen=True)
class Segment:
    """Entries ordered by code, then row."""

    number: int
    """Its name in `Postings.home`; never used twice."""
    codes: Codes
    """The distinct codes, ascending."""
    starts: NDArray[np.int64]
    """Where each code's entries begin, and at the end how many there are."""
    rows: NDArray[np.int32]
    weights: Weights

    def __len__(self) -> int:
        return len(self.rows)

    def slice_of(self, code: int) -> slice:
        """Where a code's entries stand."""
        at = int(self.codes.searchsorted(code))
        if at == len(self.codes) or self.codes[at] != code:
            return slice(0, 0)
        return slice(int(self.starts[at]), int(self.starts[at + 1]))


@dataclass(frozen=True)
class Postings:
    """One version of the index."""

    segments: tuple[Segment, ...]
    home: NDArray[np.int32]
    """By row, the number of the segment that holds its entries; −1 for none."""
    stale: frozenset[int]
    """Numbers of segments that hold entries of rows that have moved on."""
    numbered: int
    """The number of the next segment."""

    def find(self, code: int) -> tuple[NDArray[np.int32], Weights]:
        """A code's rows, each once and in no particular order, and their weights."""
        found = [self._in(segment, code) for segment in self.segments]
        found = [pair for pair in found if len(pair[0])]
        if len(found) == 1:
            return found[0]
        if not found:
            return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
        return np.concatenate([rows for rows, _ in found]), np.concatenate([weights for _, weights in found])

    def weights_of(self, code: int, rows: Rows) -> Weights:
        """What given rows have of a code: their weights, 0 where they lack it."""
        found = np.zeros(len(rows), dtype=np.float32)
        wanted = rows.astype(np.int32)
        for segment in self.segments:
            having, weights = self._in(segment, code)
            if len(having):
                at = np.minimum(np.searchsorted(having, wanted), len(having) - 1)
                here = having[at] == wanted
                found[here] = weights[at[here]]
        return found

    def _in(self, segment: Segment, code: int) -> tuple[NDArray[np.int32], Weights]:
        where = segment.slice_of(code)
        rows, weights = segment.rows[where], segment.weights[where]
        if segment.number in self.stale and len(rows):
            current = self.home[rows] == segment.number
            return rows[current], weights[current]
        return rows, weights

    @property
    def rows(self) -> int:
        """The index covers rows below this one."""
        return len(self.home)


EMPTY = Postings((), np.empty(0, dtype=np.int32), frozenset(), 0)


def extend(
    old: Postings,
    rows: int,
    changed: Rows,
    entry_rows: NDArray[np.integer],
    codes: Codes,
    weights: Weights,
) -> Postings:
    """The next version, `rows` long. Price: the entries given, and one array as long as the rows.

    Segments are joined here only when there are many, for nobody else has done so.

    Args:
        rows: At least as many as before.
        changed: Rows, new or old, whose entries are the ones given; an old one forgets those it had. One
            that has no entries is empty from now on.
        entry_rows: For each entry its row, one of `changed`.
        codes: For each entry its code, 0 or more; no code twice in a row.
        weights: For each entry its weight.
    """
    home = np.full(rows, _NOWHERE, dtype=np.int32)
    home[: old.rows] = old.home
    before = np.unique(home[changed])
    stale = old.stale | frozenset(before[before != _NOWHERE].tolist())
    home[changed] = _NOWHERE
    segments = old.segments
    if len(codes):
        home[entry_rows] = old.numbered
        segments = (*segments, _segment(old.numbered, np.asarray(entry_rows), codes, weights))
    extended = Postings(segments, home, stale, old.numbered + 1)
    return extended if len(segments) <= _SEGMENTS_MAX else merged(extended)


def merged(old: Postings, alive: Mask | None = None) -> Postings:
    """The same entries in fewer segments: each is then several times as large as the next.

    Entries that no longer count, and those of rows that are not `alive`, are left behind where segments are
    joined. A version that needs no joining is returned as it is.
    """
    first = _joined_from(old)
    joined = old.segments[first:]
    if not joined:
        return old
    parts = [_current(old, segment, alive) for segment in joined]
    rows, codes, weights = (np.concatenate(column) for column in zip(*parts))
    home = old.home.copy()
    home[np.isin(home, [segment.number for segment in joined])] = _NOWHERE
    home[rows] = old.numbered
    segments = old.segments[:first]
    if len(rows):
        segments = (*segments, _segment(old.numbered, rows, codes, weights, in_runs=True))
    stale = old.stale & frozenset(segment.number for segment in segments)
    return Postings(segments, home, stale, old.numbered + 1)


def is_due(postings: Postings) -> bool:
    """Whether `merged` would join segments, without doing it."""
    return _joined_from(postings) < len(postings.segments)


def _joined_from(postings: Postings) -> int:
    """The first segment to be joined with those that follow it; their number when there is none."""
    sizes = [len(segment) for segment in postings.segments]
    first, total = len(sizes), 0
    for at in range(len(sizes) - 1, 0, -1):
        total += sizes[at]
        if sizes[at - 1] < _GROWTH * total:
            first = at - 1
    return first


def _segment(
    number: int, rows: NDArray[np.integer], codes: Codes, weights: Weights, *, in_runs: bool = False
) -> Segment:
    """Entries in any order, or in a few runs that are ordered."""
    # Codes and rows together are one integer, if they are small enough: sorting it is several times faster.
    if int(codes.max()) < 1 << 31:
        keys = (codes << 32) | rows
        if not (np.diff(keys) < 0).any():
            order = np.arange(len(keys))
        else:  # the stable sort finds runs and merges them
            order = np.argsort(keys, kind="stable" if in_runs else None)
    else:
        order = np.lexsort((rows, codes))
    ordered = codes[order]
    firsts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    starts = np.append(firsts, len(ordered)).astype(np.int64)
    return Segment(
        number,
        ordered[firsts],
        starts,
        rows[order].astype(np.int32, copy=False),
        weights[order].astype(np.float32, copy=False),
    )


def _current(
    postings: Postings, segment: Segment, alive: Mask | None
) -> tuple[NDArray[np.int32], Codes, Weights]:
    """A segment's entries that count."""
    codes = np.repeat(segment.codes, np.diff(segment.starts))
    keep = postings.home[segment.rows] == segment.number
    if alive is not None:
        keep &= alive[segment.rows]
    return segment.rows[keep], codes[keep], segment.weights[keep]


# --- files ------------------------------------------------------------------------------------------------


def arrays_of(postings: Postings) -> dict[str, NDArray[np.generic]]:
    """Everything, as a few named arrays."""
    arrays: dict[str, NDArray[np.generic]] = {
        "format": np.array([_FORMAT, postings.numbered], dtype=np.int64),
        "home": postings.home,
        "stale": np.array(sorted(postings.stale), dtype=np.int64),
        "numbers": np.array([segment.number for segment in postings.segments], dtype=np.int64),
    }
    for segment in postings.segments:
        for name in ("codes", "starts", "rows", "weights"):
            arrays[f"{name}-{segment.number}"] = getattr(segment, name)
    return arrays


def from_arrays(arrays: dict[str, NDArray[np.generic]]) -> Postings:
    """What `arrays_of` was given.

    Raises:
        ValueError, KeyError: The arrays are of another format, or incomplete.
    """
    form, numbered = (int(value) for value in arrays["format"].tolist())
    if form != _FORMAT:
        raise ValueError(f"postings of format {form}, known is {_FORMAT}")
    numbers: list[int] = arrays["numbers"].tolist()
    names = ("codes", "starts", "rows", "weights")
    columns = [{name: cast(Any, arrays[f"{name}-{number}"]) for name in names} for number in numbers]
    segments = [Segment(number, **column) for number, column in zip(numbers, columns)]
    stale = frozenset(arrays["stale"].tolist())
    return Postings(tuple(segments), arrays["home"].astype(np.int32), stale, numbered)
