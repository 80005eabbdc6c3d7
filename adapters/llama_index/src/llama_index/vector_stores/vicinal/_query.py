"""What does a `VectorStoreQuery` ask of the collection, and how near is an answer?

Translates a query into the engine's words and runs it, or says what cannot be done. No mode ever runs
as another one: what cannot be done raises by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llama_index.vector_stores.vicinal._filters import all_of, to_where
from llama_index.vector_stores.vicinal._learners import LEARNERS, decisions
from llama_index.vector_stores.vicinal._nodes import REF_DOC_ID
from vicinal import Collection
from vicinal.errors import InvalidArgumentError

MMR_THRESHOLD = 0.5
"""LlamaIndex's own default."""

SIMILARITY: dict[str, Callable[[float], float]] = {
    "cosine": lambda distance: 1.0 - distance,
    "ip": lambda distance: 1.0 - distance,
    "l2": lambda distance: 1.0 / (1.0 + distance),
}
"""By space, larger is nearer: the cosine, the inner product, 1 / (1 + squared L2 distance)."""

_MODES = (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR, *LEARNERS)
_MMR_KEYWORDS = ("mmr_threshold", "mmr_prefetch_factor", "mmr_prefetch_k")
_KEYWORDS = (*_MMR_KEYWORDS, "where", "where_document")


class UnsupportedQueryModeError(InvalidArgumentError, NotImplementedError):
    """A query mode that needs what is not there. Nothing was searched instead."""

    def __init__(self, *, mode: VectorStoreQueryMode) -> None:
        super().__init__(
            f"VicinalVectorStore cannot run the query mode {mode.value!r}; it runs "
            f"{', '.join(repr(each.value) for each in _MODES)}, and never one for another.",
            mode=mode,
        )


@dataclass(frozen=True)
class Found:
    """Nodes in order, as columns, with their similarities."""

    ids: list[str]
    documents: list[str | None]
    metadatas: list[Mapping[str, Any] | None]
    similarities: list[float]


def answer(collection: Collection, query: VectorStoreQuery, keywords: Mapping[str, Any]) -> Found:
    """Run the query in its mode; raises as `VicinalVectorStore.query` does."""
    asked = _arguments(query, keywords)
    if query.similarity_top_k == 0:
        return Found([], [], [], [])
    if query.mode in LEARNERS:
        return _learned(collection, query, asked)
    found = collection.query(**asked)
    similarity = SIMILARITY[collection.configuration_json["hnsw"]["space"]]
    similarities = [similarity(distance) for distance in found["distances"][0]]
    return Found(found["ids"][0], found["documents"][0], found["metadatas"][0], similarities)


def _learned(collection: Collection, query: VectorStoreQuery, asked: Mapping[str, Any]) -> Found:
    """Every candidate's vector is read: a classifier has to see them all."""
    collection.query(**{**asked, "n_results": 1, "include": ()})  # is it a vector of this collection?
    restriction = {name: asked[name] for name in ("ids", "where", "where_document")}
    candidates = collection.get(**restriction, include=("embeddings",))
    if not candidates["ids"] or query.query_embedding is None:
        return Found([], [], [], [])
    scores = decisions(VectorStoreQueryMode(query.mode), query.query_embedding, candidates["embeddings"])
    order = np.argsort(-scores, kind="stable")[: query.similarity_top_k]
    best = {candidates["ids"][i]: float(scores[i]) for i in order}
    found = collection.get(ids=list(best))
    rows = {row[0]: row for row in zip(found["ids"], found["documents"], found["metadatas"])}
    kept = [id for id in best if id in rows]  # all, unless somebody has deleted in between
    return Found(kept, [rows[id][1] for id in kept], [rows[id][2] for id in kept], [best[id] for id in kept])


def _arguments(query: VectorStoreQuery, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `Collection.query` for this query.

    Empty `node_ids`, `doc_ids` and filters restrict nothing: the framework's retriever always sends
    a list of node ids, empty for an index of text nodes.
    """
    mode = VectorStoreQueryMode(query.mode)
    if mode not in _MODES:
        raise UnsupportedQueryModeError(mode=mode)
    _refuse(query, keywords)
    source = {REF_DOC_ID: {"$in": list(query.doc_ids)}} if query.doc_ids else None
    asked: dict[str, Any] = {
        "query_embeddings": query.query_embedding,
        "n_results": query.similarity_top_k,
        "where": all_of([to_where(query.filters), source, keywords.get("where")]),
        "where_document": keywords.get("where_document"),
        "ids": query.node_ids or None,
    }
    return {**asked, **_mmr(query, keywords)} if mode is VectorStoreQueryMode.MMR else asked


def _refuse(query: VectorStoreQuery, keywords: Mapping[str, Any]) -> None:
    unknown = sorted(keywords.keys() - set(_KEYWORDS))
    if unknown:
        raise InvalidArgumentError(
            f"VicinalVectorStore.query got unknown keywords: {', '.join(unknown)}; "
            f"it knows {', '.join(_KEYWORDS)}"
        )
    if query.embedding_field is not None:
        raise InvalidArgumentError(
            f"embedding_field {query.embedding_field!r}: a Vicinal record has one embedding; leave "
            "embedding_field at None, or keep each kind of embedding in a collection of its own"
        )
    if query.query_embedding is None:
        raise InvalidArgumentError(
            "A query needs query_embedding; got None. The retriever of an index with an embed_model sets it"
        )


def _mmr(query: VectorStoreQuery, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords win over the query's own field; 0 is a value, not an absence."""
    threshold = keywords.get("mmr_threshold")
    if threshold is None:
        threshold = MMR_THRESHOLD if query.mmr_threshold is None else query.mmr_threshold
    return {"lambda_mult": threshold, "fetch_k": _fetch_k(query.similarity_top_k, keywords)}


def _fetch_k(top_k: int, keywords: Mapping[str, Any]) -> int | None:
    factor, count = keywords.get("mmr_prefetch_factor"), keywords.get("mmr_prefetch_k")
    if factor is not None and count is not None:
        raise InvalidArgumentError(
            "mmr_prefetch_factor and mmr_prefetch_k both say how many MMR picks from; give one"
        )
    if (factor or count or 0) < 0:
        raise InvalidArgumentError("mmr_prefetch_factor and mmr_prefetch_k cannot be negative")
    if factor is not None:
        count = math.ceil(factor * top_k)
    return None if count is None else max(count, top_k)
