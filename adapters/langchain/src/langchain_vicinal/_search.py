"""What is being searched for, and what do its hits look like?

A `Search` is checked before its query is embedded, and run off the event loop after. Hits are
Documents with distances; `Scale` turns a distance into the numbers that LangChain speaks of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from langchain_core.documents import Document

import vicinal
from langchain_vicinal._filters import Filter, to_where
from langchain_vicinal._rerank import Hit, Reranker, areranked, check_reranker, reranked
from vicinal.errors import ArgumentTypeError, InvalidArgumentError
from vicinal.types import Field

# --- the query ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Search:
    """Everything about one search but its vector. With `lambda_mult`, it is one by MMR.

    With `rerank`, `fetch_k` documents are fetched for the reranker to choose from.
    """

    k: int
    where: Filter | None
    ids: Iterable[str] | None
    lambda_mult: float | None
    fetch_k: int | None
    rerank: Reranker | None = None

    def run(self, collection: vicinal.Collection, vector: Any) -> list[Hit]:
        """The hits with their distances: nearest first, or in MMR's order of selection."""
        return [(hit, float(distance)) for hit, distance in self._with(collection, vector, "distances")]

    def with_vectors(self, collection: vicinal.Collection, vector: Any) -> list[tuple[Document, Any]]:
        """The hits with their vectors, float32."""
        return self._with(collection, vector, "embeddings")

    def _with(self, collection: vicinal.Collection, vector: Any, column: Field) -> list[tuple[Document, Any]]:
        if self.k == 0:
            return []
        found = collection.query(
            query_embeddings=vector,
            n_results=self._candidates(),
            where=self.where,
            ids=self.ids,
            include=("metadatas", "documents", column),
            lambda_mult=self.lambda_mult,
            fetch_k=self.fetch_k if self.rerank is None else None,
        )
        if len(found["ids"]) != 1:
            raise InvalidArgumentError(f"embedding: expected one vector, got {len(found['ids'])}")
        hits = documents(found["ids"][0], found["documents"][0], found["metadatas"][0])
        return list(zip(hits, found[column][0], strict=True))

    def _candidates(self) -> int:
        if self.rerank is None:
            return self.k
        return max(20, 4 * self.k) if self.fetch_k is None else max(self.k, self.fetch_k)

    def unjudged(self) -> Search:
        """This search, for a method that has no text for a reranker to read."""
        if self.rerank is not None:
            raise InvalidArgumentError(
                "rerank reads the query's text; it goes with similarity_search and its variants with scores"
            )
        return self

    def judged(self, query: str, hits: list[Hit], *, keep_scores: bool) -> list[Hit]:
        """The k hits that the reranker puts first, or these hits when there is none."""
        if self.rerank is None:
            return hits
        return reranked(self.rerank, query, hits, keep_scores=keep_scores)[: self.k]

    async def ajudged(self, query: str, hits: list[Hit], *, keep_scores: bool) -> list[Hit]:
        """Async `judged`."""
        if self.rerank is None:
            return hits
        return (await areranked(self.rerank, query, hits, keep_scores=keep_scores))[: self.k]


def plan(
    k: int,
    filter: Filter | None,
    where_document: Filter | None,
    *,
    where: Filter | None = None,
    ids: Iterable[str] | None = None,
    lambda_mult: float | None = None,
    fetch_k: int | None = None,
    rerank: Any = None,
    **unknown: Any,
) -> Search:
    """Check a search method's arguments."""
    if unknown:
        raise InvalidArgumentError(
            f"unknown search option {next(iter(unknown))!r}; a search takes k, filter (or where), "
            "where_document and ids, one by text also rerank and fetch_k, one by MMR also fetch_k and "
            "lambda_mult"
        )
    if rerank is not None and lambda_mult is not None:
        raise InvalidArgumentError("rerank and MMR both decide the order; ask for one of them")
    if rerank is not None and fetch_k is not None:
        fetch_k = _count(fetch_k, "fetch_k")
    where = to_where(filter, where_document, where)
    return Search(_count(k, "k"), where, ids, lambda_mult, fetch_k, check_reranker(rerank))


def _count(number: Any, argument: str) -> int:
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise ArgumentTypeError(argument=argument, expected="an int", got=number)
    if number < 0:
        raise InvalidArgumentError(f"{argument}: expected at least 0, got {number}")
    return int(number)


# --- the answer --------------------------------------------------------------------------------


def documents(ids: Any, texts: Any, metadatas: Any) -> list[Document]:
    """Records as Documents; a record without a text or metadata has an empty one."""
    return [
        Document(id=id, page_content=text or "", metadata=metadata or {})
        for id, text, metadata in zip(ids, texts, metadatas, strict=True)
    ]


@dataclass(frozen=True)
class Scale:
    """How one space's distances are told: as scores, larger is nearer, or as relevance."""

    score: Callable[[float], float]
    relevance: Callable[[float], float]


def _similarity(distance: float) -> float:
    return 1.0 - distance


def _clipped(distance: float) -> float:
    return min(1.0, max(0.0, 1.0 - distance))


def _inverse(distance: float) -> float:
    return 1.0 / (1.0 + distance)


SCALES = {
    "cosine": Scale(_similarity, _clipped),
    "ip": Scale(_similarity, _clipped),
    "l2": Scale(_inverse, _inverse),
}
