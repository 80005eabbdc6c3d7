"""THE read path of a query: one snapshot, filter, search, rank, fetch."""

from __future__ import annotations

from typing import Any

import numpy as np

from vicinal import _request as r
from vicinal._index import planner
from vicinal._index.view import Rows
from vicinal._live import Snapshot
from vicinal._rank import mmr
from vicinal._storage import records
from vicinal._storage.metadata import decode
from vicinal.errors import InvalidDimensionError
from vicinal.types import Vector

_NO_ROWS: Rows = np.empty(0, dtype=np.int64)


def answer(snapshot: Snapshot, request: r.Search) -> r.Answer:
    """One part per query."""
    view = snapshot.view
    if not view.rows or not len(request.embeddings):
        empty = tuple(fetch(snapshot, _NO_ROWS, request.fields) for _ in request.embeddings)
        return r.Answer(empty, r.Explanation("nothing to search", view.rows, matches=0))
    check_dimension(snapshot.live.info.name, view.vectors.shape[1], request.embeddings.shape[1], item=None)
    allowed = snapshot.select(request.ids, request.where)
    parts = []
    for query in request.embeddings:
        rows, distances, plan = _nearest(snapshot, request, query, allowed)
        parts.append(fetch(snapshot, rows, request.fields, distances))
    return r.Answer(tuple(parts), r.Explanation(plan.strategy, view.rows, plan.matches, plan.ef))


def _nearest(
    snapshot: Snapshot, request: r.Search, query: Vector, allowed: Any
) -> tuple[Rows, Any, planner.Plan]:
    """The k nearest allowed rows, or MMR's choice of k among the fetch_k nearest."""
    live, view = snapshot.live, snapshot.view
    wanted = request.k if request.mmr is None else request.mmr.fetch_k
    rows, distances, plan = planner.search(view, live.graph_of(view), live.hnsw, query, wanted, allowed)
    if request.mmr is not None:
        vectors = view.vectors[rows]
        picked = mmr.select(live.hnsw.space, distances, vectors, request.k, request.mmr.lambda_mult)
        rows, distances = rows[picked], distances[picked]
    return rows, distances, plan


def fetch(snapshot: Snapshot, rows: Rows, fields: frozenset[str], distances: Any = None) -> r.Records:
    """The wanted columns of rows, in their order."""
    texts = {"documents": "document", "metadatas": "metadata", "uris": "uri"}
    wanted = [name for name in texts if name in fields]
    numbers = rows.tolist()
    found = records.fetch(snapshot.tx, numbers, ", ".join(["id", *(texts[name] for name in wanted)]))
    entries = [found[row] for row in numbers]
    columns: dict[str, Any] = {
        name: [entry[i] for entry in entries] for i, name in enumerate(wanted, start=2)
    }
    if "metadatas" in columns:
        columns["metadatas"] = [decode(text) for text in columns["metadatas"]]
    if "embeddings" in fields:
        columns["embeddings"] = snapshot.view.vectors[rows]
    if distances is not None and "distances" in fields:
        columns["distances"] = distances.tolist()
    elif "distances" in fields:
        columns["distances"] = []
    return r.Records(ids=[entry[1] for entry in entries], **columns)


def check_dimension(collection: str, expected: int, got: int, item: int | None) -> None:
    """Raise when vectors of another dimension are given; `item` names the first of them."""
    if expected != got:
        raise InvalidDimensionError(collection=collection, expected=expected, got=got, item=item)
