"""Which way of searching is cheapest for this query, and still finds what is there?

Two ways: measure every candidate (exact), or walk the graph. The choice is a comparison of two
estimates; their constants stand in one table below and were measured by `make bench` on 384-dimensional
real text. Rows that the graph does not cover yet are always measured, so that a write is found the
moment it is acknowledged; and whenever the graph cannot reach enough matches, they are measured too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vicinal._index import exact
from vicinal._index.exact import Distances
from vicinal._index.graph import Graph
from vicinal._index.view import Mask, Rows, View
from vicinal.config import HnswConfiguration
from vicinal.types import Vector

GRAPH_BYTES_MIN = 4 << 20
"""Collections with fewer bytes of vectors are scanned in about a millisecond and get no graph."""

_SCAN_S_PER_BYTE = 1 / 8e9  # all rows in order: the memory bus
_GATHER_S_PER_BYTE = 1 / 3e9  # some rows: every one a cache miss
_WALK_S_PER_CANDIDATE = 2.7e-6  # one unit of ef: about 1.5 distances and their bookkeeping
_IP_EF = 2  # an inner product is no metric: the walk needs to look about more for the same recall
_MASKED_SHARE_MIN = 0.3  # below it, neighbours that the filter refuses lead the walk astray


@dataclass(frozen=True)
class Plan:
    """What will be done, and why: `explain` shows it."""

    strategy: str
    matches: int
    ef: int | None = None


def wants_graph(view: View) -> bool:
    """Whether a collection is large enough for a graph to pay."""
    return view.records * 4 * int(view.vectors.shape[1]) > GRAPH_BYTES_MIN


def choose(view: View, graph: Graph | None, k: int, matches: int, hnsw: HnswConfiguration) -> Plan:
    """The cheaper of scanning the matches and walking the graph."""
    filtered = matches < view.rows
    scan = Plan("scan matches" if filtered else "scan all", matches)
    if graph is None or graph.rows == 0 or not matches:
        return scan
    share = matches / view.rows
    if share < _MASKED_SHARE_MIN:
        return scan
    wide = hnsw.ef_search * (_IP_EF if hnsw.space == "ip" else 1)
    ef = min(max(wide, 2 * k), matches)
    stride = 4 * view.vectors.shape[1]
    per_byte = _GATHER_S_PER_BYTE if filtered else _SCAN_S_PER_BYTE
    scan_s = matches * stride * per_byte
    walk_s = ef * _WALK_S_PER_CANDIDATE / share + (view.rows - graph.rows) * stride * _SCAN_S_PER_BYTE
    if scan_s <= walk_s:
        return scan
    return Plan("graph with filter" if filtered else "graph", matches, ef)


def search(
    view: View,
    graph: Graph | None,
    hnsw: HnswConfiguration,
    query: Vector,
    k: int,
    allowed: Mask | None,
) -> tuple[Rows, Distances, Plan]:
    """The k nearest rows among those allowed (and alive), with their distances."""
    mask = view.alive if allowed is None else view.alive & allowed
    matches = int(np.count_nonzero(mask))
    plan = choose(view, graph, k, matches, hnsw)
    if plan.ef is not None and graph is not None:
        rows = _walk(view, graph, query, k, plan.ef, mask)
        if rows is not None:
            found = exact.nearest(view, hnsw.space, query, k, rows)
            return *found, plan
        plan = Plan("scan after graph", matches)
    rows = np.flatnonzero(mask)
    return *exact.nearest(view, hnsw.space, query, k, rows), plan


def _walk(view: View, graph: Graph, query: Vector, k: int, ef: int, mask: Mask) -> Rows | None:
    """Candidates from the graph, and every match that the graph does not cover; ascending."""
    found = graph.nearest(query, k, ef, view.alive, mask)
    if found is None:
        return None
    rows, covered = found
    tail = covered + np.flatnonzero(mask[covered:])
    return np.sort(np.concatenate([rows, tail]))
