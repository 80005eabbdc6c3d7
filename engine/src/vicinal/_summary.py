"""How many records are there, and which values does a key have among them?

From columns, like filters and sorting. A list counts as the values in it, each once per record; null and
the empty list are no values. A value comes back as one of its records wrote it, so that a date stays a date,
though 1 and 1.0 are one value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal import _request as r
from vicinal._filter.ast import ID, Kind
from vicinal._filter.values import lookup
from vicinal._index.columns import Column, Dictionary, of_kinds
from vicinal._index.view import Rows
from vicinal._order import ranks_of
from vicinal._snapshot import Snapshot
from vicinal._storage.metadata import decode
from vicinal.types import Facet


def summarize(snapshot: Snapshot, rows: Rows, request: r.Summarize) -> r.Summary:
    """The number of rows, and of the request's key its values there, the most frequent first."""
    assert request.key is not None
    column = snapshot.columns([request.key])[request.key]
    values = _Values(column, rows)
    if not len(values.rows):
        return r.Summary(len(rows))
    firsts, counts = values.distinct()
    chosen = np.argsort(-counts, kind="stable")[: request.limit]
    wanted = np.concatenate([firsts[chosen], firsts[[0, -1]]])
    found = _written(snapshot, request.key, values, wanted)
    facets = tuple(Facet(value, int(count)) for value, count in zip(found, counts[chosen]))
    return r.Summary(len(rows), values.records(), len(firsts), facets, found[-2], found[-1])


class _Values:
    """Every value of a key among some rows: that of a row itself, and those in its list."""

    def __init__(self, column: Column, rows: Rows) -> None:
        kinds = column.kinds[rows]
        self.rows = rows[~of_kinds(kinds, Kind.MISSING, Kind.NULL, Kind.LIST)]
        self.places = np.full(len(self.rows), -1, dtype=np.int64)
        """Where in its row's list each value stands; −1 is no list."""
        lists = of_kinds(kinds, Kind.LIST)
        if column.items is None or not lists.any():
            self.ranks = ranks_of(column, self.rows)
            return
        chosen = np.zeros(len(column.kinds), dtype=np.bool_)
        chosen[rows] = lists
        items = np.flatnonzero((column.item_rows >= 0) & chosen[column.item_rows])
        items = items[~of_kinds(column.items.kinds[items], Kind.NULL)]
        joined = _joined([(column, self.rows), (column.items, items)])
        self.rows = np.concatenate([self.rows, column.item_rows[items]])
        self.places = np.concatenate([self.places, _places(column.item_rows)[items]])
        self.ranks = ranks_of(joined, np.arange(len(self.rows), dtype=np.int64))

    def distinct(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each value, least first: where it occurs first, and in how many records."""
        ranks, once = self.ranks, np.arange(len(self.ranks))
        if np.any(self.places >= 0):
            once = np.unique(ranks * (self.rows.max() + 1) + self.rows, return_index=True)[1]
        _, at, counts = np.unique(ranks[once], return_index=True, return_counts=True)
        return once[at], counts

    def records(self) -> int:
        """How many records have a value at all."""
        return len(np.unique(self.rows))


def _places(item_rows: Rows) -> NDArray[np.int64]:
    """The place of each item in its list; a list's items follow each other."""
    count = np.arange(len(item_rows), dtype=np.int64)
    starts = np.concatenate([[True], item_rows[1:] != item_rows[:-1]])
    return count - np.maximum.accumulate(np.where(starts, count, 0))


def _joined(parts: list[tuple[Column, Rows]]) -> Column:
    """Some values of several columns as one column, with a dictionary of its own."""
    dictionary, start = Dictionary(), 0
    big: dict[int, int] = {}
    kinds, values = [], []
    for column, rows in parts:
        kinds.append(column.kinds[rows])
        values.append(column.values[rows])
        texts = np.flatnonzero(of_kinds(kinds[-1], Kind.STRING, Kind.LIST, Kind.OBJECT))
        if len(texts):
            codes, inverse = np.unique(values[-1][texts], return_inverse=True)
            own = [dictionary.code(column.dictionary.strings[code]) for code in codes]
            values[-1][texts] = np.array(own, dtype=np.int64)[inverse.reshape(-1)]
        if column.big:
            big |= {start + i: column.big[row] for i, row in enumerate(rows.tolist()) if row in column.big}
        start += len(rows)
    nothing = np.empty(0, dtype=np.int64)
    return Column(np.concatenate(kinds), np.concatenate(values), big, dictionary, nothing, None)


def _written(snapshot: Snapshot, key: str, values: _Values, wanted: NDArray[np.int64]) -> list[Any]:
    """The values at some places of `values`, as they stand in their records' metadata."""
    rows = values.rows[wanted].tolist()
    column = "id" if key == ID else "metadata"
    texts = dict(snapshot.fetch(sorted(set(rows)), column).values())
    if key == ID:
        return [texts[row] for row in rows]
    stored = [lookup(decode(texts[row]), key) for row in rows]
    return [v if place < 0 else v[place] for v, place in zip(stored, values.places[wanted].tolist())]
