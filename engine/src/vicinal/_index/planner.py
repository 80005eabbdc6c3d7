"""Which way of searching is cheapest for this query, and still finds what is there?

Three ways: measure every candidate (exact), rule most of them out by their codes first (which loses
nothing), or walk the graph, and with a filter drop from what it finds the rows that are not wanted. The
choice is a comparison of estimates; their constants stand in one table below and were measured on 70,000 ×
384-dimensional real text. A filter that refuses a question's neighbours, so that a walk would wander, is
noticed by looking at a few of them first. Rows that the graph does not cover yet are scanned beside it, so
that a write is found the moment it is acknowledged; and whenever the graph cannot reach enough matches, or a
walk may have gone astray, all of them are scanned. Where enough scanned rows have codes, codes rule most
out first; others are measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vicinal._index import exact, walks
from vicinal._index.codes import Codes, is_strange
from vicinal._index.effort import K
from vicinal._index.exact import Distances
from vicinal._index.graph import Graph
from vicinal._index.helpers import in_pieces
from vicinal._index.view import Mask, Matches, Rows, View
from vicinal.config import HnswConfiguration
from vicinal.types import Vector, Vectors

GRAPH_BYTES_MIN = 16 << 20
"""Collections with fewer bytes of vectors are scanned in some 0.2 ms by their codes and get no graph."""
CODES_BYTES_MIN = 1 << 20
"""Collections with fewer bytes of vectors are measured in some 0.1 ms and get no codes either."""

# Seconds per row: a part for each byte of the vector, and a part for the bookkeeping.
_SCAN = (1 / 8e9, 2e-9)  # vectors in order: the memory bus
_GATHER = (1 / 3e9, 2e-9)  # some vectors: every one a cache miss
_SCAN_CODES = (1 / 28e9, 2e-9)
_GATHER_CODES = (1 / 6e9, 6e-9)
_CODES_ROWS_MIN = 512  # fewer are measured as quickly as they are ruled out
_WALK_S_PER_CANDIDATE = 2.1e-6  # one unit of ef, at 384 dimensions
_WALK_DIMENSION = 900  # from here on, what a candidate costs is measuring it: it grows with the dimension
_IP_EF = 2  # an inner product is no metric: the walk needs to look about more for the same recall
_BATCH_MIN = 8  # queries that are worth starting threads for
_WALKED_MAX = 1024  # queries that walk at once: each takes 20 bytes a candidate, and rows wait to be inserted
_PROBE_EF = 32  # neighbours that are looked at first, to see how many of them a filter lets pass
_PROBED_SHARE_MIN = 0.6  # of the share of all rows that pass; fewer, and the neighbourhood is refused
_PASSING = 4  # times k of a walk's candidates are expected to pass: then k of the nearest quarter do
_DOUBT = 1.1  # so much cheaper than a scan a walk in a refused neighbourhood has to be: a few are in vain
_DEARER = 2.0  # a walk that takes so many times as long as a scan need not be tried out
_PROBED_BELOW = 0.9  # a filter that so many rows pass is tried without


@dataclass(frozen=True)
class Plan:
    """What will be done: `explain` shows it."""

    strategy: str
    matches: int
    ef: int | None = None
    probe: int = 0
    """Neighbours that are looked at first, to see how many of them pass the filter."""
    scan_s: float = np.inf
    """What scanning would cost instead."""


def wants_graph(view: View) -> bool:
    """Whether a collection is large enough for a graph to pay."""
    return graph_pays(view.records, int(view.vectors.shape[1]))


def graph_pays(records: int, dimension: int) -> bool:
    """The same, asked with so many vectors of a dimension."""
    return dimension > 1 and records * 4 * dimension > GRAPH_BYTES_MIN  # a line needs no graph


def wants_codes(view: View) -> bool:
    """Whether a collection is large enough for codes to pay; one that has a graph has codes, too."""
    return view.records * 4 * int(view.vectors.shape[1]) > min(CODES_BYTES_MIN, GRAPH_BYTES_MIN)


def choose(
    view: View,
    graph: Graph | None,
    codes: Codes | None,
    k: int,
    matches: int,
    span: range,
    hnsw: HnswConfiguration,
) -> Plan:
    """The cheaper of scanning the matches, which are all in a span of rows, and walking the graph."""
    filtered = matches < view.rows
    scan = Plan("scan matches" if filtered else "scan all", matches)
    if graph is None or graph.reviewed_rows == 0 or not matches:
        return scan
    ef, probe = _usual(view, hnsw, graph.effort.factor, k), 0
    if filtered:
        share = matches / view.rows
        ef = int(ef * _wider(share))
        probe = _PROBE_EF if share < _PROBED_BELOW else 0
    dimension = view.vectors.shape[1]
    uncovered = max(0, view.rows - graph.reviewed_rows)
    scan_s = min(_ways(view, codes, matches, span)) - uncovered * (
        _seconds(_SCAN, 4 * dimension) if codes is None else _seconds(_SCAN_CODES, dimension)
    )
    if scan_s <= _walk_s(view, ef + probe):
        return scan
    strategy = "graph, then filter" if filtered else "graph"
    return Plan(strategy, matches, min(ef, view.rows), probe, scan_s)


def _usual(view: View, hnsw: HnswConfiguration, factor: int, k: int) -> int:
    """How many candidates a walk keeps without a filter."""
    return max(hnsw.ef(view.records, factor) * (_IP_EF if hnsw.space == "ip" else 1), 2 * k)


def _wider(share: float) -> float:
    """How many times as far a walk looks where such a share of the rows that it meets passes a filter: then
    about as many pass as without one."""
    return max(1.0 / math.sqrt(share), _PROBED_SHARE_MIN / share)


def _walk_s(view: View, ef: int) -> float:
    """Seconds for a walk that keeps so many candidates."""
    candidate_s: float = _WALK_S_PER_CANDIDATE * max(1.0, view.vectors.shape[1] / _WALK_DIMENSION)
    return ef * candidate_s


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
    k = min(k, max(1, view.rows))  # no float holds what may be asked for
    matches = view.matches(allowed)
    codes = None if codes is None else codes.first(view.rows)
    plan = choose(view, graph, codes, k, matches.count, matches.span, hnsw)
    walked: list[Rows | None] = [None] * len(queries)
    if plan.ef is not None and graph is not None:
        for start in range(0, len(queries), _WALKED_MAX):
            part = slice(start, start + _WALKED_MAX)
            walked[part] = _walk(view, graph, codes, queries[part], k, plan, matches.mask)

    def answer(asked: tuple[Vector, Rows | None]) -> tuple[Rows, Distances]:
        query, rows = asked
        if rows is None:
            rows = _scan(view, codes, query, k, matches)
        return exact.nearest(view, hnsw.space, query, k, rows)

    scans = sum(rows is None for rows in walked)
    if plan.ef is not None and scans == len(queries):
        plan = Plan("scan after graph", matches.count)
    each = in_pieces if scans >= _BATCH_MIN else map
    return list(each(answer, zip(queries, walked))), plan


def look(view: View, graph: Graph, codes: Codes | None, hnsw: HnswConfiguration, query: Vector) -> None:
    """Try whether a walk finds what is nearest to a vector, of a view of exactly the rows of the graph."""
    effort, asked = graph.effort, query[np.newaxis]
    ef = _usual(view, hnsw, effort.trial, K)
    codes = None if codes is None else codes.first(view.rows)
    if _walk_s(view, ef) >= _DEARER * min(_ways(view, codes, view.records, range(view.rows))):
        effort.settle(graph.rows)  # scanning costs less, and will until this is asked again
        return
    [(_, nearest)], _ = search(view, None, codes, hnsw, asked, K, None)
    met = graph.met(asked, ef, view, view.alive)
    rows = None
    if met is not None and view.records > K:
        [(rows, far)] = met
        rows = walks.believed(view, hnsw.space, query, K, rows, far, float(far[-1]) if len(far) > K else None)
    missed = 0
    if rows is not None:  # else all is scanned
        _, walked = exact.nearest(view, hnsw.space, query, K, np.sort(rows))
        farthest = nearest[-1] + walks.TIED * max(1.0, abs(nearest[-1]))
        missed = K - int(np.count_nonzero(walked <= farthest))
    effort.missed(missed, graph.rows)


def _scan(view: View, codes: Codes | None, query: Vector, k: int, matches: Matches) -> Rows:
    """The rows that have to be measured, ascending."""
    if codes is None or not codes.rows or matches.count < max(_CODES_ROWS_MIN, 4 * k):
        return matches.rows
    in_order, gathered = _ways(view, codes, matches.count, matches.span)
    if in_order <= gathered:
        return _scan_in_order(matches.span, codes, query, k, matches.mask)
    coded = matches.rows
    if codes.rows < view.rows:
        coded = coded[: coded.searchsorted(codes.rows)]
    return _with_uncoded(codes.candidates(query, k, coded), codes, matches.mask)


def _scan_in_order(span: range, codes: Codes, query: Vector, k: int, mask: Mask) -> Rows:
    """The matches in a span that have to be measured; it is read in order, and reaches to the last match."""
    rows = codes.candidates(query, k, span, None if mask[span.start : span.stop].all() else mask)
    return _with_uncoded(rows, codes, mask)


def _with_uncoded(rows: Rows, codes: Codes, mask: Mask) -> Rows:
    """Coded rows, and every match that has no code yet."""
    if codes.rows == len(mask):
        return rows
    return np.concatenate([rows, codes.rows + np.flatnonzero(mask[codes.rows :])])


def _ways(view: View, codes: Codes | None, matches: int, span: range) -> tuple[float, float]:
    """Seconds for scanning a span of rows in order, and for scanning the matches alone."""
    dimension = view.vectors.shape[1]
    if codes is None or not codes.rows:
        in_order = view.rows * _seconds(_SCAN, 4 * dimension) if matches == view.rows else np.inf
        return in_order, matches * _seconds(_GATHER, 4 * dimension)
    uncovered = (view.rows - codes.rows) * _seconds(_SCAN, 4 * dimension)
    in_order = len(codes.covered(span)) * _seconds(_SCAN_CODES, dimension) + uncovered
    return in_order, matches * _seconds(_GATHER_CODES, dimension) + uncovered


def _seconds(cost: tuple[float, float], size_bytes: int) -> float:
    return cost[0] * size_bytes + cost[1]


def _walk(
    view: View, graph: Graph, codes: Codes | None, queries: Vectors, k: int, plan: Plan, mask: Mask
) -> list[Rows | None]:
    """For each query candidates from the graph, and of the rows that it does not cover; ascending.

    None where so few neighbours pass a filter that a walk, which would wander among those that it refuses,
    costs more than a scan; and for a query whose distances hnswlib's float32 cannot hold.
    """
    assert plan.ef is not None
    walked: list[Rows | None] = [None] * len(queries)
    share = plan.matches / view.rows
    passing = None
    if plan.probe:
        met = graph.met(queries, plan.probe, view, mask)
        if met is None:
            return walked
        passing = [len(rows) for rows, _ in met]
    for passes, chosen in _by_share(queries, share, passing, plan.probe).items():
        ef = plan.ef
        if passes < share:
            usual = ef / _wider(share)
            ef = int(min(usual * _wider(passes), max(usual, _PASSING * k / passes)))
            if _walk_s(view, ef) * _DOUBT >= plan.scan_s:
                continue
        least = min(k, plan.matches)
        if plan.matches < view.rows:
            least = max(least, int(ef * _PROBED_SHARE_MIN * passes))
        found = graph.nearest(queries[chosen], k, ef, view, mask, least)
        if found is not None:
            nearest, covered = found
            for number, rows in zip(chosen, nearest):
                walked[number] = _with_uncovered(view, codes, queries[number], k, mask, rows, covered)
    return walked


def _by_share(
    queries: Vectors, share: float, passing: list[int] | None, probed: int
) -> dict[float, list[int]]:
    """Which share of the rows that a walk meets passes → for which queries: the share of all rows, unless
    fewer of a query's neighbours pass than that promises."""
    groups: dict[float, list[int]] = {}
    for number, count in enumerate(passing or [probed] * len(queries)):
        passes = share if count >= int(probed * _PROBED_SHARE_MIN * share) else count / probed
        if passes and not is_strange(queries[number]):
            groups.setdefault(passes, []).append(number)
    return groups


def _with_uncovered(
    view: View, codes: Codes | None, query: Vector, k: int, mask: Mask, rows: Rows | None, covered: int
) -> Rows | None:
    """What a walk has found, and of the rows that the graph does not cover those that have to be measured."""
    if rows is None or covered == view.rows:
        return rows
    if codes is None or codes.rows - covered < _CODES_ROWS_MIN:
        rest = covered + np.flatnonzero(mask[covered:])
    else:
        rest = _scan_in_order(range(covered, view.rows), codes, query, k, mask)
    return np.concatenate([rows, rest])
