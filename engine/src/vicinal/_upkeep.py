"""What is done in the background?

After a write, and when a collection is opened: compaction when most rows are dead, then the graph is
brought closer to the newest rows, in slices, so that collections take turns; when it is complete, a
checkpoint is written. None of it is needed for a right answer.
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
from vicinal.errors import NotFoundError

_SLICE_S = 0.1  # of indexing, before another collection has its turn
_CHECKPOINT_GROWTH = 1.1
_DEAD_SHARE_MAX = 0.5  # then compaction copies at most as many rows as it frees
_DEAD_BYTES_MIN = 4 << 20


@dataclass(frozen=True)
class Upkeep:
    """The background work of one collection: each call does a little and says whether there is more."""

    live: LiveCollection

    def __call__(self) -> bool:
        with suppress(NotFoundError):
            view = self._view()
            if compaction_is_due(view):
                compact(self.live)
                view = self._view()
            return self._index(view)
        return False

    def _view(self) -> View:
        with self.live.read() as snapshot:
            return snapshot.view

    def _index(self, view: View) -> bool:
        live = self.live
        if not planner.wants_graph(view):
            live.graph = None
            return False
        graph = live.graph_of(view)
        if graph is None:
            graph, live.checkpointed_rows = _load(live, view)
            live.graph = graph
        graph.hide(view.alive)
        deadline = time.monotonic() + _SLICE_S
        for _ in graph.extend(view.vectors, view.alive, view.rows):
            if time.monotonic() > deadline:
                return True
        _save(live, graph, view)
        return self._view().change != view.change


def compaction_is_due(view: View) -> bool:
    """Whether so many rows are dead that copying the others is worth it."""
    dead = view.rows - view.records
    return dead > _DEAD_SHARE_MAX * view.rows and dead * view.vectors.shape[1] * 4 > _DEAD_BYTES_MIN


def _load(live: LiveCollection, view: View) -> tuple[Graph, int]:
    """The graph of the last checkpoint, if it is this generation's, and the rows it covers."""
    graph = Graph(live.hnsw, view.vectors.shape[1], view.generation)
    found = None if live.directory is None else checkpoint.load(live.directory / "checkpoints", "graph")
    if found is None:
        return graph, 0
    path, covers = found
    try:
        if covers["generation"] == view.generation and 0 < covers["rows"] <= view.rows:
            # A row that the checkpoint hides stays hidden: rows never come back to life.
            graph.load(path, covers["rows"], np.array(covers["hidden"], dtype=np.int64))
    except (RuntimeError, KeyError, TypeError, ValueError, IndexError):
        return Graph(live.hnsw, view.vectors.shape[1], view.generation), 0  # not to be believed after all
    return graph, graph.rows


def _save(live: LiveCollection, graph: Graph, view: View) -> None:
    if live.directory is None or graph.rows < _CHECKPOINT_GROWTH * live.checkpointed_rows:
        return
    hidden = graph.hidden_rows().tolist()
    covers = {"generation": view.generation, "rows": graph.rows, "hidden": hidden}
    checkpoint.save(live.directory / "checkpoints", "graph", covers, graph.save, live.files)
    live.checkpointed_rows = graph.rows
