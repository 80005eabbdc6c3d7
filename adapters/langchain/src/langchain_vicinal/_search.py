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
from vicinal.errors import ArgumentTypeError, InvalidArgumentError

Hit = tuple[Document, float]

# --- the query ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Search:
    """Everything about one search but its vector. With `lambda_mult`, it is one by MMR."""

    k: int
    where: Filter | None
    ids: Iterable[str] | None
    lambda_mult: float | None
    fetch_k: int | None

    def run(self, collection: vicinal.Collection, vector: Any) -> list[Hit]:
        """The hits with their distances: nearest first, or in MMR's order of selection."""
        if self.k == 0:
            return []
        found = collection.query(
            query_embeddings=vector,
            n_results=self.k,
            where=self.where,
            ids=self.ids,
            lambda_mult=self.lambda_mult,
            fetch_k=self.fetch_k,
        )
        if len(found["ids"]) != 1:
            raise InvalidArgumentError(f"embedding: expected one vector, got {len(found['ids'])}")
        distances = found["distances"][0]
        return list(
            zip(
                documents(found["ids"][0], found["documents"][0], found["metadatas"][0]),
                map(float, distances),
                strict=True,
            )
        )


def plan(
    k: int,
    filter: Filter | None,
    where_document: Filter | None,
    *,
    where: Filter | None = None,
    ids: Iterable[str] | None = None,
    lambda_mult: float | None = None,
    fetch_k: int | None = None,
    **unknown: Any,
) -> Search:
    """Check a search method's arguments."""
    if unknown:
        raise InvalidArgumentError(
            f"unknown search option {next(iter(unknown))!r}; a search takes k, filter (or where), "
            "where_document and ids, one by MMR also fetch_k and lambda_mult"
        )
    return Search(_count(k), to_where(filter, where_document, where), ids, lambda_mult, fetch_k)


def _count(k: Any) -> int:
    if isinstance(k, bool) or not hasattr(k, "__index__"):
        raise ArgumentTypeError(argument="k", expected="an int", got=k)
    if k < 0:
        raise InvalidArgumentError(f"k: expected at least 0, got {k}")
    return int(k)


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
