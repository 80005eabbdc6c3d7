"""What does an answer look like to the caller?

The backend's columns become Chroma's dictionaries: every key always present, None for what was not asked
for, and what URIs name under `data` when the collection has a loader.
"""

from __future__ import annotations

from typing import Any

from vicinal import _request as r
from vicinal._inputs import Inputs
from vicinal.types import GetResult, IndexingStatus, QueryResult, Stats

_COLUMNS = ("embeddings", "documents", "uris", "metadatas")


def wanted(include: tuple[str, ...]) -> frozenset[str]:
    """The columns to fetch for what is included: data is read from URIs."""
    return frozenset((*include, "uris") if "data" in include else include)


def get_result(found: r.Records, include: tuple[str, ...], inputs: Inputs) -> GetResult:
    """One list a column."""
    columns = {name: getattr(found, name) if name in include else None for name in _COLUMNS}
    data = inputs.load(found.uris or []) if "data" in include else None
    return GetResult(ids=found.ids, **columns, data=data, included=list(include))


def query_result(answer: r.Answer, include: tuple[str, ...], inputs: Inputs) -> QueryResult:
    """One list a column, with a list for each query in it."""
    result = QueryResult(ids=[part.ids for part in answer.parts])
    for name in (*_COLUMNS, "distances"):
        given = [getattr(part, name) for part in answer.parts]
        absent = name == "distances" and any(one is None for one in given)  # words alone have none
        result[name] = given if name in include and not absent else None
    for name in ("scores", "snippets", "rerank_scores"):  # there only where they were asked for
        given = [getattr(part, name) for part in answer.parts]
        if any(one is not None for one in given):
            result[name] = given
    loads = "data" in include and inputs.loader is not None
    result["data"] = [inputs.load(part.uris or []) for part in answer.parts] if loads else None
    result["included"] = list(include)
    return result


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
