"""What is done in the background?

After a write, and when a collection is opened: compaction when most rows are dead, then the graph is
brought closer to the newest rows, in slices, so that collections take turns; when it is complete, a
checkpoint is written. Of several processes on one directory, one does this at a time; the others load its
checkpoints, and any of them goes on when it dies. None of it is needed for a right answer.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from vicinal._compact import compact
from vicinal._index import planner
from vicinal._index.graph import Graph
from vicinal._index.view import View
from vicinal._live import LiveCollection
from vicinal._storage import checkpoint
from vicinal.errors import ClosedError, NotFoundError

_SLICE_S = 0.1  # of indexing, before another collection has its turn
_ASK_AGAIN_S = 1.0  # while another process indexes
_CHECKPOINT_GROWTH = 1.1
_DEAD_SHARE_MAX = 0.5  # then compaction copies at most as many rows as it frees
_DEAD_BYTES_MIN = 4 << 20


@dataclass(frozen=True)
class Upkeep:
    """The background work of one collection: each call does a little and says when to go on."""

    live: LiveCollection

    def __call__(self) -> float | None:
        live = self.live
        again: float | None = None
        try:
            view = self._view()
            if not compaction_is_due(view) and not planner.wants_graph(view):
                live.graph = None
            elif live.upkeep_lock.acquire():
                if compaction_is_due(view):
                    compact(live)
                    view = self._view()
                again = self._index(view)
            else:
                again = self._follow(view)
        except (NotFoundError, ClosedError):
            pass  # deleted, or closed by another thread
        if again is None:
            live.upkeep_lock.release()
        return again

    def _view(self) -> View:
        with self.live.read() as snapshot:
            return snapshot.view

    def _index(self, view: View) -> float | None:
        """One slice of building; 0 while there is more."""
        if not planner.wants_graph(view):
            return None
        graph = _newest(self.live, view) or Graph(self.live.hnsw, view.vectors.shape[1], view.generation)
        self.live.graph = graph
        graph.hide(view.alive)
        deadline = time.monotonic() + _SLICE_S
        for _ in graph.extend(view.vectors, view.alive, view.rows):
            if time.monotonic() > deadline:
                return 0.0
        if graph.rows >= _CHECKPOINT_GROWTH * graph.reviewed_rows:
            graph.review(view.vectors)
        _save(self.live, graph, view)
        return 0.0 if self._view().change != view.change else None

    def _follow(self, view: View) -> float:
        """Another process is at work: take what it has finished, and ask again."""
        graph = _newest(self.live, view)
        if graph is not None:
            graph.hide(view.alive)
        self.live.graph = graph
        return _ASK_AGAIN_S


def compaction_is_due(view: View) -> bool:
    """Whether so many rows are dead that copying the others is worth it."""
    dead = view.rows - view.records
    return dead > _DEAD_SHARE_MAX * view.rows and dead * view.vectors.shape[1] * 4 > _DEAD_BYTES_MIN


def _newest(live: LiveCollection, view: View) -> Graph | None:
    """The graph in memory, or that of the checkpoint when it covers more; None when there is neither."""
    held = live.graph_of(view)
    if live.directory is None:
        return held
    directory = live.directory / "checkpoints"
    covers = checkpoint.covers(directory, "graph")
    try:
        newer = covers["generation"] == view.generation and covers["rows"] <= view.rows
        if not newer or covers["rows"] <= (0 if held is None else held.rows):
            return held
        found = checkpoint.load(directory, "graph")
        if found is None:
            return held
        path, covers = found
        graph = Graph(live.hnsw, view.vectors.shape[1], view.generation)
        # A row that the checkpoint hides stays hidden: rows never come back to life.
        hidden, strays = (np.array(covers[key], dtype=np.int64) for key in ("hidden", "strays"))
        graph.load(path, covers["rows"], hidden, strays)
    except (RuntimeError, KeyError, TypeError, ValueError, IndexError):
        return held  # not to be believed after all
    return graph


def _save(live: LiveCollection, graph: Graph, view: View) -> None:
    """Write a checkpoint when the last one covers much less."""
    if live.directory is None:
        return
    directory = live.directory / "checkpoints"
    covered = checkpoint.covers(directory, "graph")
    same = covered.get("generation") == view.generation
    with suppress(TypeError):
        enough = same and graph.rows < _CHECKPOINT_GROWTH * covered.get("rows", 0)
        if enough and not checkpoint.check(directory, "graph"):
            return
    covers = {
        "generation": view.generation,
        "rows": graph.rows,
        "hidden": graph.hidden_rows().tolist(),
        "strays": graph.strays().tolist(),
    }
    checkpoint.save(directory, "graph", covers, graph.save, live.files)
