"""How do words rank nodes, alone or together with embeddings?

`sparse` and `text_search` are BM25 over the nodes' texts; `hybrid` mixes that with nearness, and
`semantic_hybrid` lets a reranker order what the mixture has found. The engine ranks and mixes; here is
what LlamaIndex's three numbers mean. They are limits for those who give them: `similarity_top_k` and
`sparse_top_k` nodes are the candidates by nearness and by words, `hybrid_top_k` of them the answer. Who
gives `similarity_top_k` alone says how many nodes he wants, and each part ranks as many candidates as
the engine's own mixture does, whose quality is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llama_index.vector_stores.vicinal._found import NOTHING, Found, found_by
from vicinal import Collection

TEXT_MODES = (VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.TEXT_SEARCH)
HYBRID_MODES = (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID)

CANDIDATES = 100
"""Of each part, when the query names no limits: as many as the engine's mixture has."""


def size(query: VectorStoreQuery) -> int:
    """How many nodes the answer has at most."""
    mode = VectorStoreQueryMode(query.mode)
    named = {TEXT_MODES: query.sparse_top_k, HYBRID_MODES: query.hybrid_top_k}
    given = next((count for modes, count in named.items() if mode in modes), None)
    return query.similarity_top_k if given is None else given


def by_words(collection: Collection, asked: Mapping[str, Any]) -> Found:
    """Nodes by BM25, those that have a word of the question; `asked` is for `Collection.query`."""
    return found_by(collection, {**asked, "mode": "text", "query_embeddings": None})


def by_both(collection: Collection, query: VectorStoreQuery, asked: Mapping[str, Any]) -> Found:
    """Nodes by the mixture of nearness, weight alpha, and words; then by `asked["rerank"]`, if any."""
    mixed = {**asked, "mode": "hybrid", "alpha": query.alpha}
    limited = query.sparse_top_k is not None or query.hybrid_top_k is not None
    if limited or query.alpha == 0:  # with 0, nodes without any of the words are no answers
        candidates = _candidates(collection, query, asked, limited)
        if not candidates:
            return NOTHING
        mixed["ids"] = candidates
        if limited:
            mixed["fetch_k"] = len(candidates)
    return found_by(collection, mixed)


def _candidates(
    collection: Collection, query: VectorStoreQuery, asked: Mapping[str, Any], limited: bool
) -> list[str]:
    """The ids of each part's best; a part without weight has none."""
    near = said = max(CANDIDATES, query.similarity_top_k)
    if limited:
        near = query.similarity_top_k
        said = near if query.sparse_top_k is None else query.sparse_top_k
    restriction = {name: asked[name] for name in ("ids", "where", "where_document")}
    words = {name: asked[name] for name in ("query_texts", "text_key")}
    ids: list[str] = []
    for count, part in (
        (near if query.alpha != 0 else 0, {"query_embeddings": asked["query_embeddings"]}),
        (said if query.alpha != 1 else 0, {**words, "mode": "text"}),
    ):
        if count:
            ids += collection.query(**restriction, **part, n_results=count, include=())["ids"][0]
    return list(dict.fromkeys(ids))
