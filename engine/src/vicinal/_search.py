"""THE read path of a query: one snapshot, filter, search, rank, fetch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from vicinal import _request as r
from vicinal._expiry import allowed
from vicinal._index import exact, planner
from vicinal._index.view import Rows
from vicinal._rank import mmr
from vicinal._ranking import ranked
from vicinal._snapshot import Snapshot
from vicinal._storage.metadata import decode_all
from vicinal._text.snippets import snippets
from vicinal.errors import InvalidDimensionError
from vicinal.types import Snippet

_NO_ROWS: Rows = np.empty(0, dtype=np.int64)


def answer(snapshot: Snapshot, request: r.Search) -> r.Answer:
    """One part per query."""
    view = snapshot.view
    if not view.rows or not len(request.embeddings):
        none = fetch(snapshot, _NO_ROWS, request.fields)
        if request.ranking is not None:
            none = replace(none, scores=[], snippets=[] if request.snippets else None)
        empty = (none,) * len(request.embeddings)
        nothing = r.Explanation("nothing to search", view.rows, 0, max_distance=request.max_distance)
        return r.Answer(empty, nothing)
    if request.ranking is None or request.ranking.mode == "hybrid":
        given = request.embeddings.shape[1]
        check_dimension(snapshot.live.info.name, view.vectors.shape[1], given, item=None)
    mask = allowed(snapshot, request.ids, request.where)
    if request.ranking is not None:
        return _by_words(snapshot, request, request.ranking, mask)
    found, plan = _nearest(snapshot, request, mask)
    parts = fetch_many(snapshot, found, request.fields)
    explanation = r.Explanation(plan.strategy, view.rows, plan.matches, plan.ef, request.max_distance)
    return r.Answer(tuple(parts), explanation)


def _by_words(snapshot: Snapshot, request: r.Search, ranking: r.Ranking, mask: Any) -> r.Answer:
    """Words alone or with vectors; then distances are measured for what was found."""
    parts, given = [], []
    for number, query in enumerate(request.embeddings):
        found = ranked(snapshot, request, ranking, number, mask)
        rows, scores, shares = found.rows, found.scores, found.parts
        distances = None
        if "distances" in request.fields:
            distances = exact.measure(snapshot.view.vectors, snapshot.live.hnsw.space, query, rows)
        wanted = request.fields | {"documents"} if request.snippets else request.fields
        fetched = fetch(snapshot, rows, wanted, distances)
        shown = _snippets(snapshot, request, ranking, fetched.documents or [], number)
        documents = fetched.documents if "documents" in request.fields else None
        parts.append(replace(fetched, documents=documents, scores=scores.tolist(), snippets=shown))
        part = "text" if ranking.sparse is None else "sparse"
        names = ("dense", part) if ranking.mode == "hybrid" else (part,)
        given.append(tuple(dict(zip(names, share)) for share in shares.tolist()))
    explanation = r.Explanation(
        found.strategy,
        snapshot.view.rows,
        found.matches,
        max_distance=request.max_distance,
        contributions=tuple(given),
    )
    return r.Answer(tuple(parts), explanation)


def _snippets(
    snapshot: Snapshot, request: r.Search, ranking: r.Ranking, documents: list[str | None], number: int
) -> list[list[Snippet]] | None:
    """The fragments of each document that speak of the query's words."""
    if not request.snippets:
        return None
    analyser = snapshot.live.words.analyser()
    terms = analyser.tokens(ranking.texts[number])
    return [snippets(analyser, document or "", terms, request.snippets) for document in documents]


def _nearest(snapshot: Snapshot, request: r.Search, mask: Any) -> tuple[list[tuple[Rows, Any]], planner.Plan]:
    """For each query the k nearest allowed rows within `max_distance`, or MMR's choice of the nearest."""
    wanted = request.k if request.mmr is None else request.mmr.fetch_k
    found, plan = snapshot.nearest(request.embeddings, wanted, mask)
    if request.max_distance is None and request.mmr is None:
        return found, plan
    space, chosen = snapshot.live.hnsw.space, []
    for rows, distances in found:
        if request.max_distance is not None:
            near = distances <= request.max_distance
            rows, distances = rows[near], distances[near]  # noqa: PLW2901
        if request.mmr is not None:
            vectors = snapshot.view.vectors[rows]
            picked = mmr.select(space, distances, vectors, request.k, request.mmr.lambda_mult)
            rows, distances = rows[picked], distances[picked]  # noqa: PLW2901
        chosen.append((rows, distances))
    return chosen, plan


def fetch(snapshot: Snapshot, rows: Rows, fields: frozenset[str], distances: Any = None) -> r.Records:
    """The wanted columns of rows, in their order."""
    return fetch_many(snapshot, [(rows, distances)], fields)[0]


def fetch_many(
    snapshot: Snapshot, parts: Sequence[tuple[Rows, Any]], fields: frozenset[str]
) -> list[r.Records]:
    """The wanted columns of several answers, each rows and their distances or None; read together."""
    texts = {"documents": "document", "metadatas": "metadata", "uris": "uri"}
    wanted = [name for name in texts if name in fields]
    numbers = [rows.tolist() for rows, _ in parts]
    every = numbers[0] if len(numbers) == 1 else list(dict.fromkeys(chain.from_iterable(numbers)))
    found = snapshot.fetch(every, ", ".join(["id", *(texts[name] for name in wanted)]))
    fetched = []
    for (rows, distances), own in zip(parts, numbers):
        entries = [found[row] for row in own]
        columns: dict[str, Any] = {
            name: [entry[i] for entry in entries] for i, name in enumerate(wanted, start=2)
        }
        if "metadatas" in columns:
            columns["metadatas"] = decode_all(columns["metadatas"])
        if "embeddings" in fields:
            columns["embeddings"] = snapshot.view.vectors[rows]
        if "distances" in fields:
            columns["distances"] = [] if distances is None else distances.tolist()
        fetched.append(r.Records(ids=[entry[1] for entry in entries], **columns))
    return fetched


def check_dimension(collection: str, expected: int, got: int, item: int | None) -> None:
    """Raise when vectors of another dimension are given; `item` names the first of them."""
    if expected != got:
        raise InvalidDimensionError(collection=collection, expected=expected, got=got, item=item)
