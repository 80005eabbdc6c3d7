"""How are documents found?  The search half of `VicinalVectorStore`.

Text is embedded here, awaited in the async methods, and not at all when only its words are searched;
then one engine call, in a worker thread when the caller is async. `search` and `as_retriever` are
`_retriever.py`'s; thresholds are inherited from LangChain, whose version does right already.

Every search takes these, besides its own arguments:

    filter            on metadata: Chroma's operators or Mongo's shorter forms (`_filters.py`);
                      `where` is another name for it
    where_document    on the text: {"$contains": "…"}, {"$regex": "…"}, {"$not_contains": "…"} …
    ids               only these records

and a search for a text also

    mode              "dense" ranks by distance, "text" by the query's words (BM25; nothing is embedded),
                      "hybrid" by both
    alpha             the weight of distance in "hybrid", from 0 to 1; 0.5 unless given
    fusion            how "hybrid" mixes: "relative" adds scores, "rrf" reciprocal ranks
    text_key          search the words of this metadata key in place of the text's
    snippets          at most so many fragments of the text that match, in `metadata["snippets"]`
    rerank            a function, a cross-encoder or a compressor that picks the k (`_rerank.py`) from
    fetch_k           so many, 1 or more, that are fetched for it; the larger of 20 and 4 × k unless given. In
                      "hybrid" without rerank: how deep each part is searched; 100 unless given

Filters run before the search: when k records match, k come back ("text": k that have a word).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.runnables.config import run_in_executor
from numpy.typing import NDArray

from langchain_vicinal._base import StoreBase
from langchain_vicinal._filters import Filter
from langchain_vicinal._rerank import Hit
from langchain_vicinal._search import (
    FETCH_K,
    LAMBDA_MULT,
    SCALES,
    SCALES_OF_WORDS,
    Measure,
    Scale,
    Search,
    plan,
    plan_mmr,
)


class SearchMethods(StoreBase):
    """The methods that find."""

    _relevance_score_fn: Callable[[float], float] | None

    # --- documents with scores -------------------------------------------------------------------

    def similarity_search_with_score(
        self,
        query: str,
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        *,
        return_distance: bool = False,
        **kwargs: Any,
    ) -> list[Hit]:
        """The k nearest documents with their scores, larger is nearer; nearest first.

        Args:
            query: The text to embed.
            k: At most so many; 0 gives an empty list.
            filter, where_document: Only documents that these select.
            return_distance: Give distances (smaller is nearer) in place of scores; not in text mode.
            **kwargs: `ids`, `where`, `mode`, `alpha`, `fusion`, `text_key`, `snippets`, and `rerank`,
                `fetch_k`. With `rerank`, the scores are the reranker's.
        """
        search = plan(k, filter, where_document, **kwargs)
        return self._for_text(search.telling("distance" if return_distance else "score"), query)

    async def asimilarity_search_with_score(
        self,
        query: str,
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        *,
        return_distance: bool = False,
        **kwargs: Any,
    ) -> list[Hit]:
        """Async `similarity_search_with_score`."""
        search = plan(k, filter, where_document, **kwargs)
        return await self._afor_text(search.telling("distance" if return_distance else "score"), query)

    def similarity_search_with_score_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        *,
        return_distance: bool = False,
        **kwargs: Any,
    ) -> list[Hit]:
        """Like `similarity_search_with_score`, for a vector at hand."""
        search = plan(k, filter, where_document, **kwargs).of_vector()
        return self._found(search.telling("distance" if return_distance else "score"), None, embedding)

    async def asimilarity_search_with_score_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        *,
        return_distance: bool = False,
        **kwargs: Any,
    ) -> list[Hit]:
        """Async `similarity_search_with_score_by_vector`."""
        search = partial(self.similarity_search_with_score_by_vector, return_distance=return_distance)
        return await run_in_executor(None, search, embedding, k, filter, where_document, **kwargs)

    def _for_text(self, search: Search, query: str) -> list[Hit]:
        return search.judged(query, self._found(search, query, self._vector(search, query)))

    async def _afor_text(self, search: Search, query: str) -> list[Hit]:
        vector = await self._avector(search, query)
        hits = await run_in_executor(None, self._found, search, query, vector)
        return await search.ajudged(query, hits)

    def _vector(self, search: Search, query: str) -> Any:
        search.check_query(query)
        return self._embedder().embed_query(query) if search.embeds else None

    async def _avector(self, search: Search, query: str) -> Any:
        search.check_query(query)
        return await self._embedder().aembed_query(query) if search.embeds else None

    def _found(self, search: Search, query: str | None, vector: Any) -> list[Hit]:
        hits = search.run(self._collection, query, vector)
        if search.measure == "distance":
            return hits
        scale = self._scale if search.by_distance else SCALES_OF_WORDS[search.scale]
        if search.measure == "score":
            tell = scale.score
        else:
            tell = self._select_relevance_score_fn() if search.by_distance else scale.relevance
        return [(document, tell(number)) for document, number in hits]

    # --- documents alone -------------------------------------------------------------------------

    def similarity_search(
        self,
        query: str,
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The k nearest documents, nearest first; arguments: `similarity_search_with_score`."""
        return _alone(self.similarity_search_with_score(query, k, filter, where_document, **kwargs))

    async def asimilarity_search(
        self,
        query: str,
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Async `similarity_search`."""
        hits = await self.asimilarity_search_with_score(query, k, filter, where_document, **kwargs)
        return _alone(hits)

    def similarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Like `similarity_search`, for a vector at hand."""
        search = self.similarity_search_with_score_by_vector
        return _alone(search(embedding, k, filter, where_document, **kwargs))

    async def asimilarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Async `similarity_search_by_vector`."""
        search = self.similarity_search_by_vector
        return await run_in_executor(None, search, embedding, k, filter, where_document, **kwargs)

    def similarity_search_with_vectors(
        self,
        query: str,
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[tuple[Document, NDArray[np.float32]]]:
        """The k nearest documents with their vectors, nearest first; not for `rerank`."""
        search = plan(k, filter, where_document, **kwargs).unjudged()
        return search.with_vectors(self._collection, query, self._vector(search, query))

    async def asimilarity_search_with_vectors(
        self,
        query: str,
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[tuple[Document, NDArray[np.float32]]]:
        """Async `similarity_search_with_vectors`."""
        search = plan(k, filter, where_document, **kwargs).unjudged()
        vector = await self._avector(search, query)
        return await run_in_executor(None, search.with_vectors, self._collection, query, vector)

    # --- relevance -------------------------------------------------------------------------------

    @property
    def _scale(self) -> Scale:
        return SCALES[self._collection.configuration_json["hnsw"]["space"]]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """From a distance to a relevance, as in every other store of LangChain's."""
        return self._relevance_score_fn or self._scale.relevance

    def _similarity_search_with_relevance_scores(
        self,
        query: str,
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[Hit]:
        return self._for_text(plan(k, filter, where_document, **kwargs).telling("relevance"), query)

    async def _asimilarity_search_with_relevance_scores(
        self,
        query: str,
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[Hit]:
        return await self._afor_text(plan(k, filter, where_document, **kwargs).telling("relevance"), query)

    def similarity_search_by_vector_with_relevance_scores(
        self,
        embedding: list[float],
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[Hit]:
        """The k nearest documents with their relevance in [0, 1], for a vector at hand."""
        search = plan(k, filter, where_document, **kwargs).of_vector()
        return self._found(search.telling("relevance"), None, embedding)

    async def asimilarity_search_by_vector_with_relevance_scores(
        self,
        embedding: list[float],
        k: int = 4,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[Hit]:
        """Async `similarity_search_by_vector_with_relevance_scores`."""
        search = self.similarity_search_by_vector_with_relevance_scores
        return await run_in_executor(None, search, embedding, k, filter, where_document, **kwargs)

    # --- maximal marginal relevance --------------------------------------------------------------

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int | None = FETCH_K,
        lambda_mult: float | None = LAMBDA_MULT,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """k documents that are near the query and unlike each other, in the order of selection.

        None for `fetch_k` or `lambda_mult` is as good as leaving it out.

        Args:
            query: The text to embed.
            k: At most so many.
            fetch_k: How many of the nearest to choose from; at least k are. With `mode="hybrid"`, so
                many of the nearest and so many of the best by words.
            lambda_mult: From 1 (nearness alone: the order of `similarity_search`) to 0 (after the
                nearest, difference from the chosen alone).
            filter, where_document: Only documents that these select.
            **kwargs: `ids`, `where`, `mode`, `alpha`, `fusion`, `text_key`, `snippets`.
        """
        search = plan_mmr(k, fetch_k, lambda_mult, filter, where_document, **kwargs)
        return _alone(search.run(self._collection, query, self._vector(search, query)))

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int | None = FETCH_K,
        lambda_mult: float | None = LAMBDA_MULT,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Async `max_marginal_relevance_search`."""
        search = plan_mmr(k, fetch_k, lambda_mult, filter, where_document, **kwargs)
        vector = await self._avector(search, query)
        return _alone(await run_in_executor(None, search.run, self._collection, query, vector))

    def max_marginal_relevance_search_with_score_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int | None = FETCH_K,
        lambda_mult: float | None = LAMBDA_MULT,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        *,
        return_distance: bool = False,
        **kwargs: Any,
    ) -> list[Hit]:
        """Like `max_marginal_relevance_search`, for a vector, with each document's score."""
        search = plan_mmr(k, fetch_k, lambda_mult, filter, where_document, **kwargs)
        measure: Measure = "distance" if return_distance else "score"
        return self._found(search.of_vector().telling(measure), None, embedding)

    async def amax_marginal_relevance_search_with_score_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int | None = FETCH_K,
        lambda_mult: float | None = LAMBDA_MULT,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        *,
        return_distance: bool = False,
        **kwargs: Any,
    ) -> list[Hit]:
        """Async `max_marginal_relevance_search_with_score_by_vector`."""
        by_vector = self.max_marginal_relevance_search_with_score_by_vector
        search = partial(by_vector, return_distance=return_distance)
        return await run_in_executor(
            None, search, embedding, k, fetch_k, lambda_mult, filter, where_document, **kwargs
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int | None = FETCH_K,
        lambda_mult: float | None = LAMBDA_MULT,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Like `max_marginal_relevance_search`, for a vector at hand."""
        search = self.max_marginal_relevance_search_with_score_by_vector
        return _alone(search(embedding, k, fetch_k, lambda_mult, filter, where_document, **kwargs))

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int | None = FETCH_K,
        lambda_mult: float | None = LAMBDA_MULT,
        filter: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Async `max_marginal_relevance_search_by_vector`."""
        search = self.max_marginal_relevance_search_by_vector
        return await run_in_executor(
            None, search, embedding, k, fetch_k, lambda_mult, filter, where_document, **kwargs
        )


def _alone(hits: list[Hit]) -> list[Document]:
    return [document for document, _ in hits]
