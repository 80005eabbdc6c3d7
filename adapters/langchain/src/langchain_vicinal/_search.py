"""What is being searched for, and what do its hits look like?

A `Search` is checked before its query is embedded, and run off the event loop after. Hits are
Documents with distances, or with scores where words decide; `Scale` turns either into the numbers that
LangChain speaks of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from langchain_core.documents import Document

import vicinal
from langchain_vicinal._batch import whole
from langchain_vicinal._filters import Filter, to_where
from langchain_vicinal._rerank import Hit, Reranker, areranked, check_reranker, reranked
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown
from vicinal.types import Field, Snippet

Mode = Literal["dense", "text", "hybrid"]
Measure = Literal["score", "distance", "relevance"]

FETCH_K, LAMBDA_MULT = 20, 0.5
"""LangChain's own defaults for MMR."""

# --- the query ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Search:
    """Everything about one search but its query. With `lambda_mult`, it is one by MMR.

    With `rerank`, `fetch_k` documents are fetched for the reranker to choose from.
    """

    k: int
    where: Filter | None
    ids: Iterable[str] | None
    lambda_mult: float | None
    fetch_k: int | None
    rerank: Reranker | None
    mode: Mode
    words: dict[str, Any]
    """What only a search for words has: alpha, fusion, text_key, snippets, as far as given."""
    measure: Measure = "score"

    @property
    def embeds(self) -> bool:
        """Whether the query's vector is needed."""
        return self.mode != "text"

    @property
    def by_distance(self) -> bool:
        """Whether hits come with distances; otherwise with the scores that words have given them."""
        return self.mode == "dense" or self.measure == "distance"

    @property
    def scale(self) -> str:
        """The name of the scale of the scores, where these are no distances."""
        return "text" if self.mode == "text" else str(self.words.get("fusion", "relative"))

    def check_query(self, query: Any) -> None:
        """Words are in a text alone; what a vector is made of is for the model to say."""
        if self.mode != "dense" and not isinstance(query, str):
            raise ArgumentTypeError(argument="query", expected="a str", got=query)

    def telling(self, measure: Measure) -> Search:
        """This search, its hits with those numbers."""
        if measure == "distance" and self.mode == "text":
            raise InvalidArgumentError('return_distance: mode="text" measures no distance, only scores')
        return replace(self, measure=measure)

    def run(self, collection: vicinal.Collection, query: str | None, vector: Any) -> list[Hit]:
        """The best hits, or MMR's choice in its order, with their distances or scores (`by_distance`)."""
        column: Literal["distances", "scores"] = "distances" if self.by_distance else "scores"
        return [(hit, float(number)) for hit, number in self._with(collection, query, vector, column)]

    def with_vectors(
        self, collection: vicinal.Collection, query: str | None, vector: Any
    ) -> list[tuple[Document, Any]]:
        """The hits with their vectors, float32."""
        return self._with(collection, query, vector, "embeddings")

    def _with(
        self,
        collection: vicinal.Collection,
        query: str | None,
        vector: Any,
        column: Field | Literal["scores"],
    ) -> list[tuple[Document, Any]]:
        if self.k == 0:
            return []
        found = collection.query(
            query_embeddings=vector,
            query_texts=None if self.mode == "dense" else query,
            n_results=self._candidates(),
            where=self.where,
            ids=self.ids,
            include=("metadatas", "documents") if column == "scores" else ("metadatas", "documents", column),
            lambda_mult=self.lambda_mult,
            fetch_k=self.fetch_k if self.rerank is None else None,
            mode=self.mode,
            **self.words,
        )
        if len(found["ids"]) != 1:
            raise InvalidArgumentError(f"embedding: expected one vector, got {len(found['ids'])}")
        hits = documents(found["ids"][0], found["documents"][0], found["metadatas"][0])
        if "snippets" in self.words:
            for hit, fragments in zip(hits, found["snippets"][0], strict=True):
                hit.metadata["snippets"] = [_plain(fragment) for fragment in fragments]
        return list(zip(hits, found[column][0], strict=True))

    def _candidates(self) -> int:
        if self.rerank is None:
            return self.k
        return max(20, 4 * self.k) if self.fetch_k is None else max(self.k, self.fetch_k)

    def of_vector(self) -> Search:
        """This search, for a method that has a vector in place of a text."""
        if self.mode != "dense":
            raise InvalidArgumentError(
                f'mode="{self.mode}" reads the query\'s words, and this method is given a vector; use '
                "similarity_search or its variants with scores"
            )
        return self.unjudged()

    def unjudged(self) -> Search:
        """This search, for a method that has no text for a reranker to read."""
        if self.rerank is not None:
            raise InvalidArgumentError(
                "rerank reads the query's text; it goes with similarity_search and its variants with scores"
            )
        return self

    def judged(self, query: str, hits: list[Hit]) -> list[Hit]:
        """The k hits that the reranker puts first, or these hits when there is none.

        They have the reranker's scores; distances and relevances stay those of the search.
        """
        if self.rerank is None:
            return hits
        return reranked(self.rerank, query, hits, keep_scores=self.measure != "score")[: self.k]

    async def ajudged(self, query: str, hits: list[Hit]) -> list[Hit]:
        """Async `judged`."""
        if self.rerank is None:
            return hits
        return (await areranked(self.rerank, query, hits, keep_scores=self.measure != "score"))[: self.k]


def plan(
    k: int,
    filter: Filter | None,
    where_document: Filter | None,
    lambda_mult: float | None = None,
    /,
    *,
    where: Filter | None = None,
    ids: Iterable[str] | None = None,
    fetch_k: int | None = None,
    rerank: Any = None,
    mode: Mode = "dense",
    alpha: float | None = None,
    fusion: Literal["relative", "rrf"] | None = None,
    text_key: str | None = None,
    snippets: int | bool = False,
    **unknown: Any,
) -> Search:
    """Check a search method's arguments. With `lambda_mult`, which is no option of others, one by MMR."""
    if unknown:
        raise InvalidArgumentError(
            f"unknown search option {next(iter(unknown))!r}; a search takes k, filter (or where), "
            "where_document and ids, one by text also rerank, fetch_k, mode, alpha, fusion, text_key and "
            "snippets, one by MMR also fetch_k and lambda_mult"
        )
    if rerank is not None and lambda_mult is not None:
        raise InvalidArgumentError("rerank and MMR both decide the order; ask for one of them")
    words = _words(mode, alpha=alpha, fusion=fusion, text_key=text_key, snippets=snippets or None)
    if mode != "hybrid" and fetch_k is not None and rerank is None and lambda_mult is None:
        raise InvalidArgumentError(
            'fetch_k goes with rerank, MMR or mode="hybrid"; a filter needs none: it comes before the search'
        )
    if fetch_k is not None:
        fetch_k = whole(fetch_k, "fetch_k", least=1)
    where = to_where(filter, where_document, where)
    return Search(whole(k, "k"), where, ids, lambda_mult, fetch_k, check_reranker(rerank), mode, words)


def plan_mmr(
    k: int,
    fetch_k: int | None,
    lambda_mult: float | None,
    filter: Filter | None,
    where_document: Filter | None,
    /,
    **options: Any,
) -> Search:
    """Check the arguments of a method that searches by MMR; None stands for its defaults."""
    wide = FETCH_K if fetch_k is None else fetch_k
    weight = LAMBDA_MULT if lambda_mult is None else lambda_mult
    return plan(k, filter, where_document, weight, fetch_k=wide, **options)


def _words(mode: Any, **options: Any) -> dict[str, Any]:
    """The options that were given, when they mean something in this mode."""
    if mode not in ("dense", "text", "hybrid"):
        raise InvalidArgumentError(f'mode: expected "dense", "text" or "hybrid", got {shown(mode)}')
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if mode == "dense":
            raise InvalidArgumentError(f'{name}= goes with mode="hybrid"{_OR_TEXT.get(name, "")}')
        if mode == "text" and name not in _OR_TEXT:
            raise InvalidArgumentError(
                f'{name}= mixes vectors and words: it goes with mode="hybrid", not "text"'
            )
        if name == "fusion" and value not in ("relative", "rrf"):
            raise InvalidArgumentError(f'fusion: expected "relative" or "rrf", got {shown(value)}')
    return given


_OR_TEXT = {"text_key": ' or "text"', "snippets": ' or "text"'}
"""The options that do not need vectors."""


# --- the answer --------------------------------------------------------------------------------


def documents(ids: Any, texts: Any, metadatas: Any) -> list[Document]:
    """Records as Documents; a record without a text or metadata has an empty one."""
    return [
        Document(id=id, page_content=text or "", metadata=metadata or {})
        for id, text, metadata in zip(ids, texts, metadatas, strict=True)
    ]


def _plain(fragment: Snippet) -> dict[str, Any]:
    """As JSON would have it, so that a document with it can be written back."""
    plain = asdict(fragment)
    return {**plain, "highlights": [list(word) for word in fragment.highlights]}


@dataclass(frozen=True)
class Scale:
    """How distances, or the scores of words, are told: as scores, larger is nearer, or as relevance."""

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
"""By space, from its distance."""


def _itself(score: float) -> float:
    return score


def _within(score: float) -> float:
    return min(1.0, max(0.0, score))


def _saturated(score: float) -> float:
    return score / (1.0 + score)


def _of_ranks(score: float) -> float:
    return min(1.0, 61.0 * score)


SCALES_OF_WORDS = {
    "text": Scale(_itself, _saturated),
    "relative": Scale(_itself, _within),
    "rrf": Scale(_itself, _of_ranks),
}
"""By what the score is: BM25, from 0 up; a mixture, in [0, 1]; reciprocal ranks, at most 1 / 61."""
