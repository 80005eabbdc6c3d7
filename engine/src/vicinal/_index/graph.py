"""How does a query find its neighbours without looking at every row?

The one file that imports hnswlib: a hierarchical navigable small world graph (Malkov & Yashunin, 2018)
over rows [0, `rows`), whose labels are row numbers. hnswlib must not search while it inserts, so
insertion happens in small batches behind a lock that queries share. Rows that hold no record any more
stay as stepping stones and are never returned.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
from numpy.typing import NDArray

from vicinal._index.view import Mask, Rows
from vicinal.config import HnswConfiguration
from vicinal.types import Vector, Vectors

_BATCH_ROWS = 64  # about 14 ms of insertion at 384 dimensions: how long a query can be kept waiting


class Graph:
    """A graph over the rows of one generation of a collection."""

    def __init__(self, configuration: HnswConfiguration, dimension: int, generation: int) -> None:
        self._configuration, self._dimension = configuration, dimension
        self.generation = generation
        self._threads = configuration.num_threads or max(1, (os.cpu_count() or 2) - 1)
        self._lock = _SharedLock()
        self._hidden: Mask = np.zeros(0, dtype=np.bool_)
        self.rows = 0
        self.hidden = 0
        self._index = self._empty()

    def extend(self, vectors: Vectors, alive: Mask, stop: int) -> Iterator[int]:
        """Insert rows up to `stop`, yielding the covered row count after each small batch."""
        with self._lock.exclusive():
            if stop > self._index.get_max_elements():
                self._index.resize_index(max(stop, 2 * self._index.get_max_elements()))
            self._hidden = np.concatenate([self._hidden, np.zeros(stop - len(self._hidden), np.bool_)])
        while self.rows < stop:
            end = min(self.rows + _BATCH_ROWS, stop)
            rows = np.arange(self.rows, end)
            live = alive[self.rows : end]
            with self._lock.exclusive():
                if live.any():
                    batch = rows[live]
                    self._index.add_items(vectors[batch], batch, num_threads=self._threads)
                self._hidden[rows] = ~live
                self.hidden += int(np.count_nonzero(~live))
                self.rows = end
            yield end

    def hide(self, alive: Mask) -> None:
        """Never return rows that hold no record any more."""
        with self._lock.exclusive():
            known = alive[: self.rows]
            for row in np.flatnonzero(~known & ~self._hidden[: len(known)]).tolist():
                self._index.mark_deleted(row)
                self._hidden[row] = True
                self.hidden += 1

    def nearest(self, query: Vector, ef: int, alive: Mask, wanted: Mask) -> tuple[Rows, int] | None:
        """About ef of the nearest wanted rows, nearest first, and the count of covered rows.

        `alive` and `wanted` (a part of it) are a view's. None when the graph cannot answer for that
        view: it has forgotten a record that the view still sees, or cannot reach enough rows. The
        search keeps as many candidates as it is asked for (hnswlib's ef is at least k), so callers ask
        for what their recall needs and cut the answer themselves.
        """
        with self._lock.shared():
            covered = min(self.rows, len(alive))
            dead = covered - int(np.count_nonzero(alive[:covered]))
            reachable = int(np.count_nonzero(wanted[:covered]))
            # Rows are hidden in the order in which they died, so equal counts mean equal sets.
            if self.hidden > dead:
                return None
            if not reachable:
                return np.empty(0, dtype=np.int64), covered
            # hnswlib asks about every candidate: it is spared the question where all answers are yes.
            all_wanted = reachable + dead == covered == self.rows and self.hidden == dead
            accept: Any = None if all_wanted else _padded(wanted, self.rows).__getitem__
            try:
                labels, _ = self._index.knn_query(query, k=min(ef, reachable), num_threads=1, filter=accept)
            except RuntimeError:
                return None  # fewer are reachable; the caller scans instead
        found: NDArray[np.uint64] = labels[0]
        return found.astype(np.int64), covered

    def save(self, path: Path) -> None:
        """Write the graph to a file, while queries go on."""
        with self._lock.shared():
            self._index.save_index(str(path))

    def load(self, path: Path, rows: int, hidden: Rows) -> None:
        """Take the graph from a file that `save` wrote when it covered so many rows."""
        with self._lock.exclusive():
            self._index = hnswlib.Index(space=self._configuration.space, dim=self._dimension)
            self._index.load_index(str(path))
            self._index.set_ef(1)
            self._hidden = np.zeros(rows, dtype=np.bool_)
            self._hidden[hidden] = True
            self.rows, self.hidden = rows, len(hidden)

    def hidden_rows(self) -> Rows:
        """The covered rows that are never returned."""
        with self._lock.shared():
            return np.flatnonzero(self._hidden[: self.rows])

    def _empty(self) -> Any:
        index = hnswlib.Index(space=self._configuration.space, dim=self._dimension)
        index.init_index(
            max_elements=1024,
            M=self._configuration.max_neighbors,
            ef_construction=self._configuration.ef_construction,
        )
        index.set_ef(1)  # ef is shared state in hnswlib; each query sets its own through k
        return index


def _padded(allowed: Mask, rows: int) -> bytes:
    """One byte per row of the graph, for hnswlib to ask; rows newer than the mask are refused."""
    mask = allowed[:rows]
    if len(mask) < rows:
        mask = np.concatenate([mask, np.zeros(rows - len(mask), dtype=np.bool_)])
    return mask.tobytes()


class _SharedLock:
    """Many may search, or one may insert. They take turns: searches that wait while one batch is
    inserted go before the next batch, and a batch that waits goes before later searches."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._searching = 0
        self._searches_waiting = 0
        self._searches_due = 0
        self._inserting = False
        self._inserts_waiting = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._searches_waiting += 1
            while self._inserting or (self._inserts_waiting and not self._searches_due):
                self._changed.wait()
            self._searches_waiting -= 1
            self._searches_due = max(0, self._searches_due - 1)
            self._searching += 1
        try:
            yield
        finally:
            with self._changed:
                self._searching -= 1
                self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._changed:
            self._inserts_waiting += 1
            while self._inserting or self._searching or self._searches_due:
                self._changed.wait()
            self._inserts_waiting -= 1
            self._inserting = True
        try:
            yield
        finally:
            with self._changed:
                self._inserting = False
                self._searches_due = self._searches_waiting
                self._changed.notify_all()
