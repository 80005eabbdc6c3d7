"""What can one question ask, and of which state?

The view, records, columns and words of a collection, as one change left them. Most questions need a single
statement of SQL at their end, to fetch what was found; so a transaction begins when somebody asks for it,
and the statement itself tells whether it saw the state that was searched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vicinal._derived import MovedError
from vicinal._filter import Node, keys_of
from vicinal._filter.ast import Document
from vicinal._filter.masks import Fields, Mask, evaluate
from vicinal._filter.patterns import Predicate
from vicinal._index import planner
from vicinal._index.columns import Column
from vicinal._index.exact import Distances
from vicinal._index.view import Rows, View
from vicinal._storage import changes, records
from vicinal._storage.database import Transaction
from vicinal._text import literals, trigrams
from vicinal._text.postings import Postings
from vicinal._words import Words
from vicinal.types import Vectors

if TYPE_CHECKING:
    from vicinal._live import LiveCollection


class Snapshot:
    """One committed state of a collection; valid inside the block, or the question, that it was made for.

    Where the question can be asked `again`, `MovedError` tells that it should be, of a newer state.
    """

    def __init__(
        self, live: LiveCollection, connection: Transaction, view: View, *, begun: bool, again: bool
    ) -> None:
        self.live, self.view, self._again = live, view, again
        self.rows = view.rows
        self._connection, self._begun, self._confirmed = connection, begun, begun
        self._columns: dict[str, Column] = {}

    @property
    def tx(self) -> Transaction:
        """The transaction, which begins now if it has not; `MovedError` if it would see another state."""
        if not self._begun:
            self._connection.execute("BEGIN")
            self._begun = True
            if changes.state(self._connection).change != self.view.change:
                raise MovedError
            self._confirmed = True
        return self._connection

    def fetch(self, rows: Sequence[int], columns: str) -> dict[int, tuple[Any, ...]]:
        """row → (row, *columns) of live rows. A few need no transaction: one statement sees one state."""
        if self._begun or len(rows) > records.FETCHED_MAX:
            return records.fetch(self.tx, rows, columns)
        found = records.fetch_at(self._connection, self.view.change, rows, columns)
        if found is None:
            raise MovedError
        self._confirmed = True
        return found

    def confirm(self) -> None:
        """Raise `MovedError` unless something was read that shows that the view was the newest."""
        if not self._confirmed:
            self.fetch((), "id")

    def select(self, ids: Sequence[str] | None, where: Node | None) -> Mask | None:
        """The rows that ids and filter allow, dead ones perhaps among them; None allows all."""
        mask = None
        if ids is not None:
            mask = np.zeros(self.rows, dtype=np.bool_)
            mask[list(records.rows_of(self.tx, ids).values())] = True
        if where is None:
            return mask
        known = self.live.columns.known_mask(self.view, where)
        if known is not None:
            return known if mask is None else mask & known
        self._columns = self.columns(keys_of(where))
        if mask is None:
            return self.live.columns.mask(self.tx, self.view, where, self)
        return mask & evaluate(where, self, mask)

    def columns(self, keys: Iterable[str]) -> dict[str, Column]:
        """The columns of keys, each of which may be named more than once."""
        return self.live.columns.prepare(self.tx, self.view, list(dict.fromkeys(keys)), self._again)

    def living(self, mask: Mask | None) -> Mask:
        """The rows that a mask allows and that hold a record."""
        return self.view.alive if mask is None else self.view.alive & mask

    def listed(self, mask: Mask | None) -> Rows:
        """Their numbers, in the order of `get`."""
        return self.view.order(np.flatnonzero(self.living(mask)))

    def nearest(
        self, queries: Vectors, k: int, mask: Mask | None
    ) -> tuple[list[tuple[Rows, Distances]], planner.Plan]:
        """For each query the k nearest living rows that a mask allows, with their distances."""
        live, view = self.live, self.view
        return planner.search(view, live.graph_of(view), live.codes.of(view), live.hnsw, queries, k, mask)

    def words(self, field: str) -> Words:
        """The words of a field."""
        return self.live.words.words(self.tx, self.view, field, self._have_kept, self._again)

    def sparse(self, field: str) -> Postings:
        """The sparse vectors of a metadata field."""
        return self.live.words.sparse(self.tx, self.view, field, self._have_kept, self._again)

    def _have_kept(self) -> None:
        """Have the background write what is made of texts now: perhaps nobody writes a record for long.

        It waits for the question that makes it, and who closes waits for the background.
        """
        if self.live.prepares(self.view):
            self.live.wake()

    # --- what a filter asks ----------------------------------------------------------------------

    def values(self, key: str) -> Column:
        """The column of a key; `select` has prepared it."""
        return self._columns[key]

    def documents(self, node: Document, predicate: Predicate, candidates: Mask | None) -> Mask:
        """Rows whose document satisfies a predicate, of the candidates if there are any."""
        mask = np.zeros(self.rows, dtype=np.bool_)
        wanted = self.view.alive if candidates is None else self.view.alive & candidates
        can_match = self._can_match(node)
        if can_match is not None:
            wanted = wanted & can_match
        rows = np.flatnonzero(wanted)
        pairs: Iterator[tuple[Any, ...]]  # one text in memory at a time
        if len(rows) < self.view.records // 8:
            pairs = records.walk(self.tx, rows.tolist(), "document")
        else:
            pairs = (pair for pair in records.scan(self.tx, "document") if wanted[pair[0]])
        mask[_matching(pairs, predicate)] = True
        return mask

    def _can_match(self, node: Document) -> Mask | None:
        """The rows whose document is to be read; None when none can be excluded, or nothing is known yet."""
        known = self.live.words.signatures(self.tx, self.view, self._again)
        behind = known is None or known[0].rows < self.rows or len(known[1])
        if behind:
            self._have_kept()  # they are made now, for the questions to come
        if known is None:
            return None
        signatures, altered = known
        of = literals.of_substring if node.operator == "contains" else literals.of_regex
        mask = trigrams.candidates(signatures, of(node.text), self.rows)
        if mask is not None:
            mask[altered] = True
        return mask

    def picked(self, rows: Rows) -> Fields:
        """What a filter can ask about some ascending rows alone."""
        return _Picked(self, rows)


class _Picked:
    """Some rows of a snapshot, numbered from 0."""

    def __init__(self, whole: Snapshot, rows: Rows) -> None:
        self._whole, self._chosen = whole, rows
        self.rows = len(rows)

    def values(self, key: str) -> Column:
        return self._whole.values(key).pick(self._chosen)

    def documents(self, node: Document, predicate: Predicate, candidates: Mask | None) -> Mask:  # noqa: ARG002
        mask = np.zeros(self.rows, dtype=np.bool_)
        pairs = records.walk(self._whole.tx, self._chosen.tolist(), "document")
        mask[np.searchsorted(self._chosen, _matching(pairs, predicate))] = True
        return mask


def _matching(pairs: Iterable[tuple[Any, ...]], predicate: Predicate) -> list[int]:
    """The rows whose text satisfies a predicate."""
    return [row for row, text in pairs if text is not None and predicate(text)]
