"""What does an answer look like to the caller?

The backend's columns become Chroma's dictionaries: every key always present, None for what was not asked
for, and what URIs name under `data` when the collection has a loader.
"""

from __future__ import annotations

from typing import Any

from vicinal import _request as r
from vicinal._filter.values import is_missing, lookup
from vicinal._inputs import Inputs
from vicinal.search import K
from vicinal.types import GetResult, IndexingStatus, QueryResult, SearchResult, Stats

_COLUMNS = ("embeddings", "documents", "uris", "metadatas")


def included(include: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of an answer: data is read from URIs, which come along then, as in Chroma."""
    return (*include, "uris") if "data" in include and "uris" not in include else include


def get_result(found: r.Records, include: tuple[str, ...], inputs: Inputs) -> GetResult:
    """One list a column."""
    columns = {name: getattr(found, name) if name in include else None for name in _COLUMNS}
    data = inputs.load(found.uris or []) if "data" in include else None
    return GetResult(ids=found.ids, **columns, data=data, included=list(include))


def query_result(
    answer: r.Answer,
    request: r.Search,
    include: tuple[str, ...],
    inputs: Inputs,
    *,
    reranks: bool,
    explain: bool,
) -> QueryResult:
    """One list a column, with a list for each query in it; which there are is the request's to say."""
    result = QueryResult(ids=[part.ids for part in answer.parts])
    for name in (*_COLUMNS, "distances"):
        wanted = name in include and name in request.fields  # words alone have no distances
        result[name] = [getattr(part, name) for part in answer.parts] if wanted else None
    ranks, shows = request.ranking is not None, request.snippets > 0
    for name, asked in (("scores", ranks), ("snippets", shows), ("rerank_scores", reranks)):
        if asked:
            result[name] = [getattr(part, name) for part in answer.parts]
    loads = "data" in include and inputs.loader is not None
    result["data"] = [inputs.load(part.uris or []) for part in answer.parts] if loads else None
    result["included"] = list(include)
    if explain:
        result["explain"] = answer.explanation
    return result


def search_result(found: tuple[r.Records, ...], selected: tuple[tuple[str, ...], ...]) -> SearchResult:
    """One list a column, with a list for each search in it, or None where it was not selected."""
    result = SearchResult(ids=[part.ids for part in found])
    for name in ("documents", "embeddings"):
        result[name] = [getattr(part, name) for part in found]
    result["metadatas"] = [_metadatas(part, keys) for part, keys in zip(found, selected)]
    result["scores"] = [
        (part.scores or [None] * len(part.ids)) if K.SCORE.name in keys else None
        for part, keys in zip(found, selected)
    ]
    result["select"] = [list(keys) for keys in selected]
    return result


def _metadatas(part: r.Records, keys: tuple[str, ...]) -> list[dict[str, Any] | None] | None:
    """Whole, or of single keys only what was selected."""
    if part.metadatas is None or K.METADATA.name in keys:
        return part.metadatas
    chosen: list[dict[str, Any] | None] = []
    for metadata in part.metadatas:
        values = {key: lookup(metadata, key) for key in keys}
        chosen.append({key: value for key, value in values.items() if not is_missing(value)} or None)
    return chosen


def stats(summary: r.Summary) -> Stats:
    """What a summary says of one key."""
    missing = summary.records - summary.present
    return Stats(summary.present, missing, summary.distinct, summary.minimum, summary.maximum)


def indexing_status(status: r.StatusInfo) -> IndexingStatus:
    """How much of a collection's rows the graph covers."""
    covered = status.rows - status.rows_waiting
    progress = covered / status.rows if status.rows else 1.0
    return IndexingStatus(covered, status.rows_waiting, status.rows, progress)


def facts(collection: Any, records: int, status: r.StatusInfo) -> dict[str, Any]:
    """What a notebook shows of a collection."""
    function = collection.configuration_json["embedding_function"] or {}
    return {
        "records": f"{records:,}",
        "dimension": status.dimension or "set by the first write",
        "space": collection.configuration_json["hnsw"]["space"],
        "embedding function": function.get("name") or function.get("type") or "none",
        "metadata": collection.metadata or "none",
    }
