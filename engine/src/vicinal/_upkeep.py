"""What is done in the background?

After a write, and when a collection is opened: compaction when most rows are dead, then the graph is
brought closer to the newest rows, in slices, so that collections take turns; when it is complete, a
checkpoint is written, and the vectors' pages are put in place. Of several processes on one directory, one
does this at a time; the others load its checkpoints, and any of them goes on when it dies. None of it is
needed for a right answer.
"""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from vicinal import _derived
from vicinal._compact import compact
from vicinal._index import planner
from vicinal._index.effort import QUESTIONS
from vicinal._index.graph import Graph
from vicinal._index.view import View
from vicinal._live import LiveCollection
from vicinal._machine import memory_bytes
from vicinal._storage import changes, checkpoint
from vicinal._storage.files import Files
from vicinal._storage.readonly import UnsettledError
from vicinal._turns import anybody_reads, give_way
from vicinal.errors import ClosedError, NotFoundError, StorageError

_CODED_ROWS = 1024  # at a time, so that queries and writes get their turn
_SLICE_S = 0.1  # of indexing, before another collection has its turn
_SLICE_READING_S = 0.02  # while queries run: the newest rows get their codes, which they need more
_UNREVIEWED_MAX = 1 << 16  # rows that queries measure by their codes because nobody has looked for them
_UNKEPT_S = 60.0  # of building, before what there is gets its checkpoint
_KEEPING_SHARE_MAX = 0.05  # of the time that writing them may take
_ASK_AGAIN_S = 1.0  # while another process indexes
_DEAD_SHARE_MAX = 0.5  # then compaction copies at most as many rows as it frees
_DEAD_BYTES_MIN = 4 << 20  # of their vectors and, by their share, of the database
_TOUCHED_BYTES = 4 << 20  # at a time: some 2 ms
_PAGE_BYTES = 4096


@dataclass(frozen=True)
class Upkeep:
    """The background work of one collection: each call does a little and says when to go on."""

    live: LiveCollection

    def __call__(self) -> float | None:
        again: float | None = None
        try:
            again = self._explained()
        except (NotFoundError, ClosedError):  # deleted, or closed by another thread
            self.live.tidy()
        except UnsettledError:  # of a client that only reads: a writer came or went
            again = _ASK_AGAIN_S
        finally:
            if again is None:  # done, or failed: another process may go on
                self.live.upkeep_lock.release()
        return again

    def _explained(self) -> float | None:
        try:
            return self._little()
        except StorageError as error:
            self.live.explain(error)
            raise

    def _little(self) -> float | None:
        live = self.live
        view = self._view()
        if not live.files.read_only:
            live.database.settle()
        self._encode(view)
        more = live.prepares(view) and self._prepare()
        due = compaction_is_due(live, view)
        again: float | None = None
        if not planner.wants_graph(view):
            live.graph = None
        awaited = due or planner.wants_graph(view)
        if not live.files.read_only and (awaited or live.prepares(view)) and live.upkeep_lock.acquire():
            if due:
                del view  # it maps the file that compaction is to remove
                compact(live)
                view = self._view()
            again = self._index(view)
        elif awaited:
            again = self._follow(view)
        again = 0.0 if more else again
        if again is None or again > 0:
            self._touch(view)
        return again

    def _view(self) -> View:
        with self.live.read() as snapshot:
            return snapshot.view

    def _encode(self, view: View) -> None:
        """Codes of the newest rows; a few milliseconds for a thousand, so all in one go."""
        if not planner.wants_codes(view):
            self.live.codes.forget()
            return
        self.live.codes.of(view)
        while self.live.codes.extend(view, _CODED_ROWS):
            give_way()

    def _prepare(self) -> bool:
        """A few rows of columns and of words; whether there are more."""
        with self.live.read() as snapshot:
            more = self.live.columns.refresh(snapshot.tx, snapshot.view)
            return self.live.words.refresh(snapshot.tx, snapshot.view) or more

    def _touch(self, view: View) -> None:
        """Read a little of every page of a mapped vector file, unless it would not fit into memory.

        The first reading of a page costs some 10 us beyond the reading, and a query meets some ten.
        """
        place = view.vectors.ctypes.data
        if self.live.directory is None or self.live.touched == place:
            return
        self.live.touched = place
        if view.vectors.nbytes <= memory_bytes() / 2:
            numbers = view.vectors.reshape(-1).view(np.uint32)
            size = _TOUCHED_BYTES // 4
            for start in range(0, len(numbers), size):
                np.bitwise_or.reduce(numbers[start : start + size : _PAGE_BYTES // 4])
                give_way()

    def _keep(self, graph: Graph | None, view: View) -> None:
        """Write the checkpoints that are far behind; of a small collection none is worth it."""
        directory, files = self.live.checkpoints, self.live.files
        if directory is None or not self.live.prepares(view):
            return
        if graph is not None and _is_due(self.live, "graph", view):
            _derived.save_graph(directory, graph, view, files)
        with self.live.read() as snapshot:
            is_due = partial(_is_due, self.live, view=view, oldest=changes.oldest(snapshot.tx))
        if is_due("rows"):
            _derived.save_rows(directory, view, files)
        held = self.live.codes.of(view)
        if held is not None and _is_due(self.live, "codes", view):  # without a log: vectors do not change
            _derived.save_codes(directory, held, view, files)
        if is_due("columns"):
            self.live.columns.save(directory, view, files)
        self.live.words.save(directory, view, files, is_due)

    def _index(self, view: View) -> float | None:
        """One slice of building, and checkpoints when all is built; 0 while there is more."""
        graph = None
        try:
            if planner.wants_graph(view):
                graph = self._built(view)
                if graph is None:
                    return 0.0
            self._keep(graph, view)
        except OSError as error:
            if error.errno != errno.ENOENT:  # somebody has removed the directory, or what was just written
                raise
        return 0.0 if self._view().change != view.change else None

    def _built(self, view: View) -> Graph | None:
        """The graph when it covers the view; None when there is more to build than fits into a slice."""
        graph = _newest(self.live, view, self.live.files)
        if graph is None:
            graph = Graph(self.live.hnsw, view.vectors.shape[1], view.generation)
        if graph is not self.live.graph:
            self.live.graph, self.live.graph_kept_s = graph, time.monotonic()
        graph.hide(view.alive)
        deadline = time.monotonic() + (_SLICE_READING_S if anybody_reads() else _SLICE_S)
        while graph.rows < view.rows or graph.reviewed_rows < graph.rows:
            backlog = graph.rows - graph.reviewed_rows
            inserting = graph.rows < view.rows and backlog < _UNREVIEWED_MAX
            if inserting and self._is_to_be_tried(graph):
                self._try_out(graph, view, deadline)
            work = (
                graph.extend(view.vectors, view.alive, view.rows) if inserting else graph.review(view.vectors)
            )
            for _ in work:
                if time.monotonic() > deadline:
                    self._keep_unfinished(graph, view)
                    return None
                if inserting and graph.rows - graph.reviewed_rows >= _UNREVIEWED_MAX:
                    break
                if inserting and view.rows - graph.rows >= QUESTIONS and self._is_to_be_tried(graph):
                    break
        return graph

    def _is_to_be_tried(self, graph: Graph) -> bool:
        """Whether walks of a graph are to be tried out; an ef that is given is kept to."""
        return self.live.hnsw.ef_search is None and graph.effort.is_due(graph.rows)

    def _try_out(self, graph: Graph, view: View, deadline: float) -> None:
        """Ask how well walks find what is nearest to rows that are not in the graph yet."""
        effort, hnsw, codes = graph.effort, self.live.hnsw, self.live.codes.of(view)
        known, waiting = view.first(graph.rows), np.flatnonzero(view.alive[graph.rows :]) + graph.rows
        for _ in waiting:  # where they are few, the other questions when more have been written
            if not effort.is_due(graph.rows):
                break
            give_way()
            row = waiting[len(waiting) * effort.asked // QUESTIONS]
            planner.look(known, graph, codes, hnsw, view.vectors[row])
            if time.monotonic() > deadline:  # after one at least, however busy the machine is
                break

    def _keep_unfinished(self, graph: Graph, view: View) -> None:
        """Write the checkpoint of a graph that takes long to build: who stops then loses a few minutes of it,
        or the last tenth."""
        began = time.monotonic()
        if self.live.checkpoints is None or began < self.live.graph_kept_s + _UNKEPT_S:
            return
        if _derived.is_behind(self.live.checkpoints, "graph", view):
            _derived.save_graph(self.live.checkpoints, graph, view, self.live.files)
        ended = time.monotonic()
        self.live.graph_kept_s = ended + (ended - began) / _KEEPING_SHARE_MAX

    def _follow(self, view: View) -> float:
        """Another process is at work, or may be: take what it has finished, and ask again."""
        graph = _newest(self.live, view, None)
        if graph is not None:
            graph.hide(view.alive)
        self.live.graph = graph
        return _ASK_AGAIN_S


def compaction_is_due(live: LiveCollection, view: View) -> bool:
    """Whether so many rows are dead that copying the others is worth it."""
    dead = view.rows - view.records
    if dead <= _DEAD_SHARE_MAX * view.rows:
        return False
    return (view.vectors.nbytes + live.database.size_bytes()) * dead > _DEAD_BYTES_MIN * view.rows


def _newest(live: LiveCollection, view: View, files: Files | None) -> Graph | None:
    """The graph in memory, or that of the checkpoint when it covers more; None when there is neither. With
    `files`, a checkpoint that cannot be taken back is discarded."""
    held = live.graph_of(view)
    if live.checkpoints is None:
        return held
    known = 0 if held is None else held.rows
    kept = _derived.load_graph(live.checkpoints, live.hnsw, view, known, files)
    if kept is None:
        return held
    live.verified.add("graph")  # loading compared its checksum
    return kept


def _is_due(live: LiveCollection, name: str, view: View, oldest: int = 0) -> bool:
    """Whether a checkpoint is to be written: it is far behind, or was found damaged after opening."""
    assert live.checkpoints is not None
    if _derived.is_behind(live.checkpoints, name, view, oldest):
        return True
    if name in live.verified:
        return False
    live.verified.add(name)
    return bool(checkpoint.check(live.checkpoints, name))
