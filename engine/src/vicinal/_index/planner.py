"""Which way of searching is cheapest for this query, and still finds what is there?

Three ways: measure every candidate (exact), rule most of them out by their codes first (which loses
nothing), or walk the graph. The choice is a comparison of estimates; their constants stand in one table
below and were measured on 70,000 × 384-dimensional real text. Rows that the graph or the codes do not
cover yet are always measured, so that a write is found the moment it is acknowledged; and whenever the
graph cannot reach enough matches, they are measured too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vicinal._index import exact
from vicinal._index.codes import Codes
from vicinal._index.exact import Distances
from vicinal._index.graph import Graph
from vicinal._index.view import Mask, Rows, View
from vicinal.config import HnswConfiguration
from vicinal.types import Vector, Vectors

GRAPH_BYTES_MIN = 16 << 20
"""Collections with fewer bytes of vectors are scanned in some 0.2 ms by their codes and get no graph."""
CODES_BYTES_MIN = 1 << 20
"""Collections with fewer bytes of vectors are measured in some 0.1 ms and get no codes either."""

# Seconds per row: a part for each byte of the vector, and a part for the bookkeeping.
_SCAN = (1 / 8e9, 2e-9)  # vectors in order: the memory bus
_GATHER = (1 / 3e9, 2e-9)  # some vectors: every one a cache miss
_SCAN_CODES = (1 / 34e9, 5e-9)
_GATHER_CODES = (1 / 12e9, 6e-9)
_CACHE_BYTES = 32 << 20  # codes beyond this come from memory, at half the speed
_CODES_ROWS_MIN = 512  # fewer are measured as quickly as they are ruled out
_WALK_S_PER_CANDIDATE = 1.8e-6  # one unit of ef, at 384 dimensions
_IP_EF = 2  # an inner product is no metric: the walk needs to look about more for the same recall
_ASTRAY = 4  # how much longer a walk may take among neighbours that the filter refuses
_BATCH_MIN = 8  # queries that are worth starting threads for
_WALKED_MAX = 64  # candidates of a walk that are measured without asking their codes
_MASKED_SHARE_MIN = 0.3  # below it, refused neighbours lead the walk astray for good


@dataclass(frozen=True)
class Plan:
    """What will be done, and why: `explain` shows it."""

    strategy: str
    matches: int
    ef: int | None = None


def wants_graph(view: View) -> bool:
    """Whether a collection is large enough for a graph to pay."""
    dimension = int(view.vectors.shape[1])
    return dimension > 1 and view.records * 4 * dimension > GRAPH_BYTES_MIN  # a line needs no graph


def wants_codes(view: View) -> bool:
    """Whether a collection is large enough for codes to pay."""
    return view.records * 4 * int(view.vectors.shape[1]) > min(CODES_BYTES_MIN, GRAPH_BYTES_MIN)


def choose(
    view: View, graph: Graph | None, codes: Codes | None, k: int, matches: int, hnsw: HnswConfiguration
) -> Plan:
    """The cheaper of scanning the matches and walking the graph."""
    filtered = matches < view.rows
    scan = Plan("scan matches" if filtered else "scan all", matches)
    if graph is None or graph.reviewed_rows == 0 or not matches:
        return scan
    share = matches / view.rows
    if share < _MASKED_SHARE_MIN:
        return scan
    wide = hnsw.ef_search * (_IP_EF if hnsw.space == "ip" else 1)
    ef = min(max(wide, 2 * k), matches)
    walk_s = ef * _WALK_S_PER_CANDIDATE * (_ASTRAY / share**2 if filtered else 1.0)
    dimension = view.vectors.shape[1]
    uncovered = max(0, view.rows - graph.reviewed_rows)
    walk_s += uncovered * (
        _seconds(_SCAN, 4 * dimension) if codes is None else _seconds(_GATHER_CODES, dimension)
    )
    if min(_ways(view, codes, matches)) <= walk_s:
        return scan
    return Plan("graph with filter" if filtered else "graph", matches, ef)


def search(
    view: View,
    graph: Graph | None,
    codes: Codes | None,
    hnsw: HnswConfiguration,
    queries: Vectors,
    k: int,
    allowed: Mask | None,
) -> tuple[list[tuple[Rows, Distances]], Plan]:
    """For each query the k nearest rows among those allowed (and alive), with their distances."""
    mask = view.alive if allowed is None else view.alive & allowed
    matches = view.records if allowed is None else int(np.count_nonzero(mask))
    codes = None if codes is None else codes.first(view.rows)
    plan = choose(view, graph, codes, k, matches, hnsw)
    walked = None
    if plan.ef is not None and graph is not None:
        walked = _walk(view, graph, codes, queries, k, plan.ef, mask)
        if walked is None:
            plan = Plan("scan after graph", matches)
    if walked is not None:
        return [exact.nearest(view, hnsw.space, query, k, rows) for query, rows in zip(queries, walked)], plan

    def scanned(query: Vector) -> tuple[Rows, Distances]:
        return exact.nearest(view, hnsw.space, query, k, _scan(view, codes, query, k, mask, matches))

    return _for_each(queries, scanned), plan


def _for_each(
    queries: Vectors, search: Callable[[Vector], tuple[Rows, Distances]]
) -> list[tuple[Rows, Distances]]:
    """One after the other; many of them on all cores, for the kernels let go of the GIL."""
    if len(queries) < _BATCH_MIN:
        return [search(query) for query in queries]
    from concurrent.futures import ThreadPoolExecutor  # not needed for one question

    with ThreadPoolExecutor(os.cpu_count() or 1, "vicinal-batch") as threads:
        return list(threads.map(search, queries))


def _scan(view: View, codes: Codes | None, query: Vector, k: int, mask: Mask, matches: int) -> Rows:
    """The rows that have to be measured, ascending."""
    if codes is None or not codes.rows or matches < max(_CODES_ROWS_MIN, 4 * k):
        return np.flatnonzero(mask)
    in_order, gathered = _ways(view, codes, matches)
    if in_order <= gathered:
        everything = matches == view.rows
        covered = codes.candidates(query, k, None, None if everything else mask)
    else:
        rows = np.flatnonzero(mask[: codes.rows])
        covered = codes.candidates(query, k, rows, None)
    if codes.rows == view.rows:
        return covered
    return np.concatenate([covered, codes.rows + np.flatnonzero(mask[codes.rows :])])


def _ways(view: View, codes: Codes | None, matches: int) -> tuple[float, float]:
    """Seconds for scanning all rows in order, and for scanning the matches alone."""
    dimension = view.vectors.shape[1]
    if codes is None or not codes.rows:
        in_order = view.rows * _seconds(_SCAN, 4 * dimension) if matches == view.rows else np.inf
        return in_order, matches * _seconds(_GATHER, 4 * dimension)
    uncovered = (view.rows - codes.rows) * _seconds(_SCAN, 4 * dimension)
    size = dimension if codes.rows * dimension <= _CACHE_BYTES else 2 * dimension
    in_order = codes.rows * _seconds(_SCAN_CODES, size) + uncovered
    return in_order, matches * _seconds(_GATHER_CODES, size) + uncovered


def _seconds(cost: tuple[float, float], size_bytes: int) -> float:
    return cost[0] * size_bytes + cost[1]


def _walk(
    view: View, graph: Graph, codes: Codes | None, queries: Vectors, k: int, ef: int, mask: Mask
) -> list[Rows] | None:
    """For each query candidates from the graph, and every match that it does not cover; ascending."""
    found = graph.nearest(queries, k, ef, view.alive, mask)
    if found is None:
        return None
    walked, covered = found
    tail = covered + np.flatnonzero(mask[covered:]) if covered < view.rows else None
    return [_narrowed(codes, query, k, rows, tail) for query, rows in zip(queries, walked)]


def _narrowed(codes: Codes | None, query: Vector, k: int, rows: Rows, tail: Rows | None) -> Rows:
    """Candidates, fewer where codes rule some out."""
    if tail is not None:
        rows = np.concatenate([rows, tail])
    if codes is None or len(rows) <= _WALKED_MAX:
        return rows
    coded = int(np.searchsorted(rows, codes.rows))
    return np.concatenate([codes.candidates(query, k, rows[:coded], None), rows[coded:]])
