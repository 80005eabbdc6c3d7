"""How does a query find its neighbours without looking at every row?

The one file that imports hnswlib: a hierarchical navigable small world graph (Malkov & Yashunin, 2018)
over rows [0, `rows`), whose labels are row numbers. hnswlib must not search while it inserts, so
insertion happens in small batches behind a lock that queries share. Rows that hold no record any more
stay as stepping stones and are never returned.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import hnswlib
import numpy as np

from vicinal._index import codes, links, walks
from vicinal._index.codes import Codes
from vicinal._index.effort import Effort
from vicinal._index.view import Mask, Rows, View, lengths
from vicinal._locks import RLock
from vicinal._machine import cores
from vicinal._turns import anybody_reads, computing, pause
from vicinal.config import HnswConfiguration
from vicinal.types import Space, Vector, Vectors

_STRAY_TRIES = (4, 30)  # neighbours asked for, before as many as queries look at; the cheapest sequence
_STRAYS_CODED = 24  # fewer strays are measured as quickly as they are ruled out by their codes
_NO_ROWS: Rows = np.empty(0, dtype=np.int64)
_REVIEW_ROWS = 256
_BATCH_ROWS = 32  # about 10 ms of insertion at 384 dimensions: how long a query can be kept waiting
_BATCH_ROWS_READING = 4  # while queries run
_PAUSE_S = 0.004  # after each batch while queries run: the core is theirs for most of the time


@dataclass(frozen=True)
class Strays:
    """Rows that a walk may miss, and their codes beside each other, so that each query can look at all."""

    rows: Rows
    codes: Codes

    @classmethod
    def among(cls, vectors: Vectors, rows: Rows, space: Space) -> Strays:
        """Take these rows of a collection's vectors."""
        none = codes.empty(space, vectors.shape[1], generation=0)
        return cls(_NO_ROWS, none).more(vectors, rows)

    def more(self, vectors: Vectors, rows: Rows) -> Strays:
        """The same and those of these rows that are not among them."""
        added = np.setdiff1d(rows, self.rows)
        if not len(added):
            return self
        return Strays(np.concatenate([self.rows, added]), self.codes.more(vectors[added]))

    def within(self, query: Vector, limit: float, wanted: Mask | None) -> Rows:
        """Those that may be no farther than a limit, of the rows that a mask allows and covers."""
        near = self.rows
        if len(near) >= _STRAYS_CODED:
            near = near[self.codes.within(query, limit)]
        if wanted is None:
            return near
        near = near[near < len(wanted)]
        return near[wanted[near]]


class Coverage(NamedTuple):
    """What a graph knows of some vectors: the first `rows` of them, of which some have been looked for."""

    rows: int
    reviewed: int
    hidden: Rows
    """Those that hold no record any more."""
    strays: Rows
    """Those that walking does not find."""
    ef_factor: int
    """By what walks multiply their ef."""
    judged_at: int
    """How many rows there were when that was found out."""

    def mask(self) -> Mask:
        """Which rows are hidden."""
        mask = np.zeros(self.rows, dtype=np.bool_)
        mask[self.hidden] = True
        return mask


class Graph:
    """A graph over the rows of one generation of a collection."""

    def __init__(self, configuration: HnswConfiguration, dimension: int, generation: int) -> None:
        self._configuration, self._dimension = configuration, dimension
        self.generation = generation
        self._threads = configuration.num_threads or max(1, cores() - 1)
        self._lock = _SharedLock()
        self._hidden: Mask = np.zeros(0, dtype=np.bool_)
        self._strays = Strays.among(np.empty((0, dimension), np.float32), _NO_ROWS, configuration.space)
        self.rows = 0
        self.reviewed_rows = 0
        self._reviewing: int | None = None
        self._reviewing_all = False
        self._all_reviewed_at = 0
        self.hidden = 0
        self.effort = Effort()
        self._index = self._empty()

    def extend(self, vectors: Vectors, alive: Mask, stop: int) -> Iterator[int]:
        """Insert rows up to `stop`, yielding the covered row count after each small batch."""
        with self._lock.exclusive():
            if stop > self._index.get_max_elements():
                self._index.resize_index(max(stop, 2 * self._index.get_max_elements()))
            self._hidden = np.concatenate([self._hidden, np.zeros(stop - len(self._hidden), np.bool_)])
        while self.rows < stop:
            end = min(self.rows + (_BATCH_ROWS_READING if anybody_reads() else _BATCH_ROWS), stop)
            rows = np.arange(self.rows, end)
            live = alive[self.rows : end]
            with self._lock.exclusive():
                if live.any():
                    batch = rows[live]
                    self._index.add_items(self._given(vectors[batch]), batch, num_threads=self._threads)
                self._hidden[rows] = ~live
                self.hidden += int(np.count_nonzero(~live))
                self.rows = end
            pause(_PAUSE_S)
            yield end

    def review(self, vectors: Vectors) -> Iterator[int]:
        """Look for rows by their own vectors: the new ones, and all when the graph has doubled since all
        were looked for, for later rows may have cut earlier ones off. Yields after each few; stopped
        halfway, it goes on there.
        """
        if self._reviewing is None:
            self._reviewing = 0 if self.rows >= 2 * self._all_reviewed_at else self.reviewed_rows
            self._reviewing_all = self._reviewing == 0
        while self._reviewing < self.rows:
            stop = min(self._reviewing + _REVIEW_ROWS, self.rows)
            rows = np.arange(self._reviewing, stop)
            self._note_strays(vectors, rows[~self._hidden[rows]])
            self._reviewing = stop
            self.reviewed_rows = max(self.reviewed_rows, stop)
            pause(_PAUSE_S)
            if stop < self.rows:
                yield stop
        if self._reviewing_all:
            self._all_reviewed_at = self.rows
            strays = self._lost(vectors, self._strays.rows)  # later rows may have led to the others
            self._strays = Strays.among(vectors, strays, self._configuration.space)
        self._reviewing = None
        yield self.rows

    def _note_strays(self, vectors: Vectors, rows: Rows) -> None:
        """Remember rows that a search for their own vector does not find: `nearest` adds them always.

        hnswlib leaves a few rows without links that lead to them, outliers above all. (Linking them a second
        time mends nine of ten, but can cut others off, so that all would have to be looked for again.)
        """
        self._strays = self._strays.more(vectors, self._lost(vectors, rows))

    def _lost(self, vectors: Vectors, rows: Rows) -> Rows:
        """Those of the rows that a search for their own vector does not find."""
        for k in (*_STRAY_TRIES, max(_STRAY_TRIES[-1], self._configuration.ef(self.rows))):
            if not len(rows):
                return rows
            own = self._given(vectors[rows])
            with np.errstate(over="ignore"):
                squares = np.einsum("ij,ij->i", own, own)
            nothing = 1 - squares if self._configuration.space == "ip" else np.zeros(len(rows))
            with self._lock.shared():
                reachable = min(k, self.rows - self.hidden)
                try:
                    labels, distances = self._index.knn_query(own, k=reachable, num_threads=self._threads)
                except RuntimeError:
                    continue  # so many are out of reach that none of these can be ruled out
            # Among many equals a row need not be one of the k; it is no stray for that.
            with np.errstate(invalid="ignore"):  # NaN where a square is infinite: not to be told from others
                tied = distances[:, -1] <= nothing + walks.rounding(self._configuration.space, squares)
            rows = rows[~((labels == rows[:, np.newaxis]).any(axis=1) | tied)]
        return rows

    def _given(self, vectors: Vectors) -> Vectors:
        """What hnswlib is given. For cosine it divides by a length whose square float32 may not hold: then it
        would take a tiny vector for a long one, which is near to everything.
        """
        if self._configuration.space != "cosine":
            return vectors
        sizes = lengths(vectors)
        units: Vectors = np.empty_like(vectors)
        np.divide(vectors, np.where(sizes > 0, sizes, 1)[:, np.newaxis], out=units, casting="same_kind")
        return units

    def hide(self, alive: Mask) -> None:
        """Never return rows that hold no record any more."""
        with self._lock.exclusive():
            known = alive[: self.rows]
            for row in np.flatnonzero(~known & ~self._hidden[: len(known)]).tolist():
                self._index.mark_deleted(row)
                self._hidden[row] = True
                self.hidden += 1

    def nearest(
        self, queries: Vectors, k: int, ef: int, view: View, wanted: Mask, least: int = 0
    ) -> tuple[list[Rows | None], int] | None:
        """For each query somewhat more than its k nearest wanted rows of the covered ones, ascending, or None
        where fewer than `least` of its ef nearest are wanted, and not k of the nearest quarter of them, or
        the walk is not to be believed; and how many rows are covered.

        Covered are the rows that have been inserted and looked for, up to the view's.

        `wanted` is a part of the view's `alive`. None when the graph cannot answer for that
        view: it has forgotten a record that the view still sees, or cannot reach enough rows. hnswlib
        keeps as many candidates as it is asked for, so it is asked for ef and the answer is cut;
        its distances are float32 and callers measure again, hence somewhat more. It could ask about each
        row itself, but in Python, holding up every other thread.
        """
        with self._lock.shared():
            covered = min(self.reviewed_rows, view.rows)
            inserted = min(self.rows, view.rows)
            dead = self._dead(view)
            reachable = self.rows - self.hidden
            everything = wanted is view.alive and inserted == self.rows and self.hidden == dead
            met = self._met(queries, ef, dead)
            strays = self._strays
        if met is None:
            return None
        labels, distances = met
        space = self._configuration.space
        simple = everything and covered == inserted
        allowed = None if simple and not dead else wanted[:covered]
        found: list[Rows | None] = []
        for query, own, far in zip(queries, labels, distances):
            last = None if ef >= reachable else float(far[-1])
            if not simple:
                quarter = float(far[len(far) // 4]) if len(far) else np.inf
                own, far = _wanted(own, far, wanted)  # noqa: PLW2901
                if len(own) < least and (len(own) < k or far[k - 1] > quarter):
                    found.append(None)
                    continue
                if covered < len(wanted):  # some may have been inserted: the caller measures those anyhow
                    own, far = _wanted(own, far, wanted[:covered])  # noqa: PLW2901
            nearest = walks.believed(view, space, query, k, own, far, last)
            if nearest is not None:
                near = strays.within(query, float(far[k - 1]) if len(far) >= k else np.inf, allowed)
                nearest = _merged(nearest, near) if len(near) else np.sort(nearest)
            found.append(nearest)
        return found, covered

    def met(
        self, queries: Vectors, ef: int, view: View, wanted: Mask
    ) -> list[tuple[Rows, walks.Distances32]] | None:
        """For each query those that are wanted of the ef rows that a walk keeps, nearest first, whether they
        have been looked for or not, and their distances; None as in `nearest`."""
        with self._lock.shared():
            met = self._met(queries, ef, self._dead(view))
        if met is None:
            return None
        return [_wanted(own, far, wanted) for own, far in zip(*met)]

    def _met(self, queries: Vectors, ef: int, dead: int) -> tuple[Rows, walks.Distances32] | None:
        """What walks keep, nearest first, and how far it is; None when they cannot answer for a view in which
        so many rows are dead. The caller has the lock."""
        # Rows are hidden in the order in which they died, so equal counts mean equal sets.
        if self.hidden > dead:
            return None
        reachable = self.rows - self.hidden
        if not reachable:
            return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        alone = len(queries) == 1
        threads = 1 if alone else cores()
        try:
            with computing() if alone else nullcontext():
                labels, distances = self._index.knn_query(queries, k=min(ef, reachable), num_threads=threads)
        except RuntimeError:
            return None  # fewer are reachable; the caller scans instead
        return labels.astype(np.int64), distances

    def _dead(self, view: View) -> int:
        """How many of the rows that have been inserted hold no record in a view."""
        inserted = min(self.rows, view.rows)
        known = view.records if inserted == view.rows else int(np.count_nonzero(view.alive[:inserted]))
        return inserted - known

    def pack(self) -> dict[str, links.Array]:
        """The graph without its vectors. For a moment, all that it holds is in memory twice."""
        with self._lock.shared():
            [state] = self._index.__getstate__()
        return links.pack(state)

    def save(self, path: Path) -> None:
        """Write the graph with its vectors to a file of hnswlib's, while queries go on.

        Raises `OSError` when not all of it could be written, which hnswlib does not notice.
        """
        with self._lock.shared():
            self._index.save_index(_named(path))
            if path.stat().st_size != self._index.index_file_size():
                raise OSError(errno.EIO, "The graph was not written whole", str(path))

    def coverage(self) -> Coverage:
        """What is to be told when the graph is taken back."""
        with self._lock.shared():
            hidden = np.flatnonzero(self._hidden[: self.rows])
            effort = self.effort.factor, self.effort.judged_at
            return Coverage(self.rows, self.reviewed_rows, hidden, self._strays.rows, *effort)

    def unpack(self, packed: Mapping[str, links.Array], covered: Coverage, vectors: Vectors) -> None:
        """Take the graph that `pack` gave; else what `links.unpack` raises."""
        state = links.unpack(packed, self._nothing(), covered.mask(), lambda at: self._given(vectors[at]))
        self._take(hnswlib.Index(state), covered, vectors)

    def load(self, path: Path, covered: Coverage, vectors: Vectors) -> None:
        """Take the graph that `save` wrote; else what `links.unpack` raises, or hnswlib's `RuntimeError`."""
        elements = links.check_file(path, self._nothing(), covered.mask())
        index = hnswlib.Index(space=self._configuration.space, dim=self._dimension)
        index.load_index(_named(path), max_elements=max(1, elements))  # it would believe the file's number
        self._take(index, covered, vectors)

    def _take(self, index: Any, covered: Coverage, vectors: Vectors) -> None:
        rows, reviewed, hidden, strays, ef_factor, judged_at = covered
        with self._lock.exclusive():
            self._index = index
            self._index.set_ef(1)
            self._hidden = covered.mask()
            strays = strays[(strays >= 0) & (strays < rows)]
            self._strays = Strays.among(vectors, strays, self._configuration.space)
            self.reviewed_rows = self._all_reviewed_at = min(reviewed, rows)
            self.rows, self.hidden = rows, len(hidden)
            self.effort = Effort(max(1, ef_factor), judged_at)

    def _nothing(self) -> Any:
        """What hnswlib says of an index of this kind that has no elements."""
        [state] = self._empty().__getstate__()
        return state

    def _empty(self) -> Any:
        index = hnswlib.Index(space=self._configuration.space, dim=self._dimension)
        index.init_index(
            max_elements=1024,
            M=self._configuration.max_neighbors,
            ef_construction=self._configuration.ef_construction,
        )
        index.set_ef(1)  # ef is shared state in hnswlib; each query sets its own through k
        return index


def can_name(path: Path) -> bool:
    """Whether hnswlib can be told of a file: on Windows it knows the characters of one code page."""
    try:
        _named(path)
    except OSError:
        return False
    return True


def _named(path: Path) -> bytes:
    """A path as hnswlib opens it, whose name need not be text; `OSError` when it cannot."""
    try:
        return str(path).encode("mbcs") if sys.platform == "win32" else os.fsencode(path)
    except UnicodeEncodeError:
        raise OSError(errno.EINVAL, "hnswlib cannot open a file of this name", str(path)) from None


def _wanted(own: Rows, far: walks.Distances32, wanted: Mask) -> tuple[Rows, walks.Distances32]:
    """Of the rows that a walk found, those that a mask allows, and their distances; those that are newer than
    the mask, it does not."""
    chosen = np.flatnonzero((own < len(wanted)) & wanted.take(own, mode="clip"))
    return own[chosen], far[chosen]


def _merged(own: Rows, others: Rows) -> Rows:
    """Both, ascending, each row once. (`np.union1d` takes twenty calls for two dozen numbers.)"""
    both = np.concatenate([own, others])
    both.sort()
    first = np.ones(len(both), dtype=np.bool_)
    np.not_equal(both[1:], both[:-1], out=first[1:])
    return both[first]


class _SharedLock:
    """Many may search, or one may insert. They take turns: searches that wait while one batch is
    inserted go before the next batch, and a batch that waits goes before later searches."""

    def __init__(self) -> None:
        self._lock = RLock()  # itself, in `with`: a signal cannot leave it taken
        self._changed = threading.Condition(self._lock)
        self._searching = 0
        self._searches_waiting = 0
        self._searches_due = 0
        self._inserting = False
        self._inserts_waiting = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """One of those who search."""
        searches = False
        try:
            with self._lock:
                self._searches_waiting += 1
                try:
                    while self._inserting or (self._inserts_waiting and not self._searches_due):
                        self._changed.wait()
                finally:
                    self._searches_waiting -= 1
                    self._searches_due = max(0, self._searches_due - 1)
                self._searching += 1
                searches = True
            yield
        finally:
            if searches:
                with self._lock:
                    self._searching -= 1
                    if self._inserts_waiting:
                        self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """The one who inserts."""
        with self._lock:
            self._inserts_waiting += 1
            try:
                while self._inserting or self._searching or self._searches_due:
                    self._changed.wait()
            finally:
                self._inserts_waiting -= 1
            self._inserting = True
        try:
            yield
        finally:
            with self._lock:
                self._inserting = False
                self._searches_due = self._searches_waiting
                self._changed.notify_all()
