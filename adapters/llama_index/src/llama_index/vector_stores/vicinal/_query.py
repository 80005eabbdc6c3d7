"""What does a `VectorStoreQuery` ask of the collection?

Translates a query into the engine's words and runs it, or says what cannot be done. No mode ever runs
as another one: what cannot be done raises by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llama_index.vector_stores.vicinal._documents import from_documents
from llama_index.vector_stores.vicinal._filters import all_of, to_where
from llama_index.vector_stores.vicinal._found import NOTHING, Found, found_by
from llama_index.vector_stores.vicinal._learners import LEARNERS, decisions
from llama_index.vector_stores.vicinal._nodes import stored_key
from llama_index.vector_stores.vicinal._values import count, number, texts, vector
from llama_index.vector_stores.vicinal._words import HYBRID_MODES, TEXT_MODES, by_both, by_words, size
from vicinal import Collection
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown

MMR_THRESHOLD = 0.5
"""LlamaIndex's own default."""
PREFETCH_FACTOR_MAX = 1_000_000_000
"""Times top k is more than any collection holds, and still a number that can be told."""

_Mode = VectorStoreQueryMode
_MODES = (_Mode.DEFAULT, _Mode.MMR, *TEXT_MODES, *HYBRID_MODES, *LEARNERS)
_RERANKED = (_Mode.DEFAULT, *TEXT_MODES, *HYBRID_MODES)
_OWN_KEYWORDS: dict[str, tuple[_Mode, ...]] = {
    "mmr_threshold": (_Mode.MMR, _Mode.HYBRID),
    "mmr_prefetch_factor": (_Mode.MMR,),
    "mmr_prefetch_k": (_Mode.MMR,),
    "fusion": HYBRID_MODES,
    "text_key": (*TEXT_MODES, *HYBRID_MODES),
    "rerank": _RERANKED,
}
"""Keywords that mean something in these modes alone."""
_KEYWORDS = ("where", "where_document", *_OWN_KEYWORDS)
_FIELDS: dict[str, Callable[[Any, str], Any]] = {
    "similarity_top_k": count,
    "sparse_top_k": count,
    "hybrid_top_k": count,
    "alpha": number,
    "mmr_threshold": number,
    "node_ids": texts,
    "doc_ids": texts,
}
"""Of a query, what each must be."""


class UnsupportedQueryModeError(InvalidArgumentError, NotImplementedError):
    """A query mode that needs what is not there. Nothing was searched instead."""

    def __init__(self, *, mode: VectorStoreQueryMode) -> None:
        way_out = f"it runs {_listed(_MODES)}, and never one for another."
        if mode is _Mode.SEMANTIC_HYBRID:
            way_out = (
                "it has no reranker. Give VicinalVectorStore(rerank=…), or the query's keyword rerank, a "
                "function (question, texts) -> scores, a cross-encoder, or the name of a registered "
                "reranker; the mode 'hybrid' needs none."
            )
        super().__init__(f"VicinalVectorStore cannot run the query mode {mode.value!r}; {way_out}", mode=mode)


def answer(
    collection: Collection, query: VectorStoreQuery, keywords: Mapping[str, Any], rerank: Any = None
) -> Found:
    """Run the query in its mode; raises as `VicinalVectorStore.query` does.

    Args:
        rerank: The store's reranker, for `semantic_hybrid`; one among the keywords goes before it.
    """
    mode = _mode(query)
    judge = keywords.get("rerank")
    if judge is None and mode is _Mode.SEMANTIC_HYBRID:
        judge = rerank
    query = _checked(mode, query)
    _refuse(mode, query, keywords, judge)
    asked = _arguments(collection, query, keywords, judge)
    if asked["n_results"] == 0:
        return NOTHING
    if mode in LEARNERS:
        return _learned(collection, query, asked)
    if mode in TEXT_MODES:
        return by_words(collection, asked)
    if mode in HYBRID_MODES:
        return by_both(collection, query, asked)
    return found_by(collection, asked)


def _learned(collection: Collection, query: VectorStoreQuery, asked: Mapping[str, Any]) -> Found:
    """Every candidate's vector is read: a classifier has to see them all."""
    collection.query(**{**asked, "n_results": 1, "include": ()})  # is it a vector of this collection?
    restriction = {name: asked[name] for name in ("ids", "where", "where_document")}
    candidates = collection.get(**restriction, include=("embeddings",))
    if not candidates["ids"]:
        return NOTHING
    scores = decisions(_Mode(query.mode), asked["query_embeddings"], candidates["embeddings"])
    order = np.argsort(-scores, kind="stable")[: query.similarity_top_k]
    best = {candidates["ids"][i]: float(scores[i]) for i in order}
    found = collection.get(ids=list(best))
    rows = {row[0]: row for row in zip(found["ids"], found["documents"], found["metadatas"])}
    kept = [id for id in best if id in rows]  # all, unless somebody has deleted in between
    return Found(kept, [rows[id][1] for id in kept], [rows[id][2] for id in kept], [best[id] for id in kept])


def _arguments(
    collection: Collection, query: VectorStoreQuery, keywords: Mapping[str, Any], judge: Any
) -> dict[str, Any]:
    """The keyword arguments of `Collection.query` for this query.

    Empty `node_ids`, `doc_ids` and filters restrict nothing: the framework's retriever always sends
    a list of node ids, empty for an index of text nodes.
    """
    mode = _Mode(query.mode)
    source = from_documents(collection, query.doc_ids) if query.doc_ids else None
    asked: dict[str, Any] = {
        "query_embeddings": query.query_embedding,
        "n_results": size(query),
        "where": all_of([to_where(query.filters), source, keywords.get("where")]),
        "where_document": keywords.get("where_document"),
        "ids": query.node_ids or None,
    }
    if mode is _Mode.MMR:
        asked |= _mmr(query, keywords)
    if judge is not None:
        asked |= {"query_texts": query.query_str, "rerank": judge}
    if mode in TEXT_MODES or mode in HYBRID_MODES:
        key = keywords.get("text_key")
        asked |= {
            "query_texts": query.query_str,
            "text_key": stored_key(key) if isinstance(key, str) else key,
        }
    if mode in HYBRID_MODES:
        given = {"fusion": keywords.get("fusion"), "lambda_mult": _threshold(keywords)}
        asked |= {name: value for name, value in given.items() if value is not None}
    return asked


def _refuse(
    mode: VectorStoreQueryMode, query: VectorStoreQuery, keywords: Mapping[str, Any], judge: Any
) -> None:
    """Raise for what cannot be done or meant."""
    if mode not in _MODES or (mode is _Mode.SEMANTIC_HYBRID and judge is None):
        raise UnsupportedQueryModeError(mode=mode)
    _refuse_keywords(mode, keywords)
    if query.embedding_field is not None:
        raise InvalidArgumentError(
            f"embedding_field {shown(query.embedding_field)}: a Vicinal record has one embedding; leave "
            "embedding_field at None, or keep each kind of embedding in a collection of its own"
        )
    embedding = query.query_embedding
    if mode not in TEXT_MODES and (embedding is None or len(embedding) == 0):
        raise InvalidArgumentError(
            f"The query mode {mode.value!r} needs query_embedding; got {embedding}. The retriever of an "
            "index with an embed_model sets it, unless the question is empty; "
            f"{_listed(TEXT_MODES)} need none"
        )
    if query.query_str is None and (judge is not None or mode in TEXT_MODES or mode in HYBRID_MODES):
        who = f"The query mode {mode.value!r}" if judge is None else "A reranker"
        raise InvalidArgumentError(
            f"{who} reads words and needs query_str; got None. Set VectorStoreQuery.query_str to the "
            "question; an index's retriever does"
        )
    if judge is not None and keywords.get("mmr_threshold") is not None:
        raise InvalidArgumentError("mmr_threshold and rerank both decide the order; give one of them")
    if not isinstance(query.query_str, (str, type(None))):
        raise ArgumentTypeError(argument="query_str", expected="a str", got=query.query_str)


def _refuse_keywords(mode: VectorStoreQueryMode, keywords: Mapping[str, Any]) -> None:
    unknown = sorted(keywords.keys() - set(_KEYWORDS))
    if unknown:
        raise InvalidArgumentError(
            f"VicinalVectorStore.query got unknown keywords: {', '.join(unknown)}; "
            f"it knows {', '.join(_KEYWORDS)}"
        )
    for name, modes in _OWN_KEYWORDS.items():
        if keywords.get(name) is not None and mode not in modes:
            raise InvalidArgumentError(
                f"The query mode {mode.value!r} has no use for the keyword {name}; it belongs to "
                f"{_listed(modes)}"
            )


def _mode(query: VectorStoreQuery) -> VectorStoreQueryMode:
    try:
        return _Mode(query.mode)
    except (ValueError, RecursionError):  # the enum's own text of the error shows the mode, too
        known = _listed(_MODES)
        raise InvalidArgumentError(f"mode: expected one of {known}, got {shown(query.mode)}") from None


def _checked(mode: VectorStoreQueryMode, query: VectorStoreQuery) -> VectorStoreQuery:
    """The query, its values in the form that the engine takes; what a field cannot be raises by name."""
    given = {name: getattr(query, name) for name in _FIELDS}
    values = {
        name: _FIELDS[name](value, name)
        for name, value in given.items()
        if value is not None or name == "similarity_top_k"
    }
    if mode not in TEXT_MODES and query.query_embedding is not None:
        values["query_embedding"] = vector(query.query_embedding, "query_embedding")
    return replace(query, **values)


def _listed(modes: tuple[VectorStoreQueryMode, ...]) -> str:
    return ", ".join(repr(each.value) for each in modes)


def _mmr(query: VectorStoreQuery, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords win over the query's own field; 0 is a value, not an absence."""
    threshold = _threshold(keywords)
    if threshold is None:
        threshold = MMR_THRESHOLD if query.mmr_threshold is None else query.mmr_threshold
    return {"lambda_mult": threshold, "fetch_k": _fetch_k(query.similarity_top_k, keywords)}


def _threshold(keywords: Mapping[str, Any]) -> float | None:
    given = keywords.get("mmr_threshold")
    return None if given is None else number(given, "mmr_threshold")


def _fetch_k(top_k: int, keywords: Mapping[str, Any]) -> int | None:
    factor, wanted = keywords.get("mmr_prefetch_factor"), keywords.get("mmr_prefetch_k")
    if factor is not None and wanted is not None:
        raise InvalidArgumentError(
            "mmr_prefetch_factor and mmr_prefetch_k both say how many MMR picks from; give one"
        )
    if factor is not None:
        return max(math.ceil(number(factor, "mmr_prefetch_factor", PREFETCH_FACTOR_MAX) * top_k), top_k)
    return None if wanted is None else max(count(wanted, "mmr_prefetch_k"), top_k)
