"""In which order does a reranker put what a search has found?

A search with `rerank=` fetches more than it is asked for and lets a slower, better judge choose. The
judge is one of

    a function         (query, texts) -> one number per text, larger is better
    a cross-encoder    `score(pairs of query and text)`, as LangChain's `BaseCrossEncoder`; likewise
    a compressor       any `BaseDocumentCompressor`: it returns the documents that it keeps, in its order

A function's and a cross-encoder's numbers become the scores. A compressor's documents have the score
that it wrote into their metadata, as `relevance_score` (a stored one is not its), or else the one that they
were found with; NaN when neither their id, their text nor their metadata tells which of the found documents
they were, and then no threshold lets them through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any, Protocol, runtime_checkable

from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables.config import run_in_executor

from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown

Hit = tuple[Document, float]
_Told = tuple[float, Any]
"""The score that a document was found with, and the `relevance_score` that was stored with it."""

Judge = Callable[[str, list[str]], Iterable[float]]


@runtime_checkable
class CrossEncoder(Protocol):
    """What LangChain's `BaseCrossEncoder` is, which the first releases of langchain-core 1 lack."""

    def score(self, text_pairs: list[tuple[str, str]]) -> Iterable[float]:
        """One number per pair of query and text, larger is better."""


Reranker = Judge | CrossEncoder | BaseDocumentCompressor


def check_reranker(rerank: Any) -> Reranker | None:
    """A reranker or None."""
    if rerank is None or isinstance(rerank, (CrossEncoder, BaseDocumentCompressor)) or callable(rerank):
        return rerank  # type: ignore[no-any-return]
    raise ArgumentTypeError(
        argument="rerank",
        expected="a function of query and texts, a cross-encoder or a BaseDocumentCompressor",
        got=rerank,
    )


def reranked(rerank: Reranker, query: str, hits: list[Hit], *, keep_scores: bool) -> list[Hit]:
    """The hits in the reranker's order; with its scores, unless the found ones are to be kept."""
    if not hits:
        return []
    if isinstance(rerank, BaseDocumentCompressor):
        found = _Found(hits)
        return found.compressed(rerank.compress_documents(_documents(hits), query), keep_scores)
    return _judged(rerank, query, hits, keep_scores)


async def areranked(rerank: Reranker, query: str, hits: list[Hit], *, keep_scores: bool) -> list[Hit]:
    """Async `reranked`: a compressor is awaited, the others run in a thread."""
    if not hits:
        return []
    if isinstance(rerank, BaseDocumentCompressor):
        found = _Found(hits)
        return found.compressed(await rerank.acompress_documents(_documents(hits), query), keep_scores)
    return await run_in_executor(None, _judged, rerank, query, hits, keep_scores)


def _judged(rerank: Judge | CrossEncoder, query: str, hits: list[Hit], keep_scores: bool) -> list[Hit]:
    texts = [document.page_content for document, _ in hits]
    if isinstance(rerank, CrossEncoder):
        scores = _numbers(rerank.score([(query, text) for text in texts]))
    else:
        scores = _numbers(rerank(query, texts))
    if len(scores) != len(hits):
        raise InvalidArgumentError(
            f"rerank: expected one number for each of the {len(hits)} texts, got {len(scores)}"
        )
    best_first = sorted(range(len(hits)), key=lambda i: -scores[i])
    return [(hits[i][0], hits[i][1] if keep_scores else scores[i]) for i in best_first]


def _numbers(given: Any) -> list[float]:
    """Numbers, or arrays of one, as some models shape them. NaN has no place in an order: it is refused."""
    try:
        scores = [float(one.item() if hasattr(one, "item") else one) for one in given]
    except OverflowError as error:
        raise InvalidArgumentError(
            "rerank: the reranker gave a score that is too large for a float"
        ) from error
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"rerank: expected one number for each text, got {shown(given, 80)}"
        ) from error
    if any(map(math.isnan, scores)):
        raise InvalidArgumentError("rerank: the reranker gave a score that is not a number")
    return scores


class _Found:
    """What a search had found before a compressor had it, which may copy documents, change their texts, lose
    their ids, and write into them."""

    def __init__(self, hits: list[Hit]) -> None:
        self._by_id: dict[str | None, _Told] = {}
        self._by_text: dict[str, _Told] = {}
        self._metadata: list[tuple[dict[Any, Any], _Told]] = []
        for document, score in reversed(hits):  # of equal texts the first counts
            told = score, document.metadata.get("relevance_score")
            self._by_id[document.id] = self._by_text[document.page_content] = told
            self._metadata.append((dict(document.metadata), told))

    def compressed(self, kept: Sequence[Document], keep_scores: bool) -> list[Hit]:
        return [(document, self._score(document, keep_scores)) for document in kept]

    def _score(self, document: Document, keep_scores: bool) -> float:
        own = document.metadata.get("relevance_score")
        found, stored = self._told(document)
        if isinstance(own, Real) and own != stored and not keep_scores:  # NumPy's numbers, too
            return float(own)
        return found

    def _told(self, document: Document) -> _Told:
        told = self._by_id.get(document.id) or self._by_text.get(document.page_content)
        if told is None:
            same = [told for metadata, told in self._metadata if metadata == document.metadata]
            told = same[0] if len(same) == 1 else (math.nan, None)
        return told


def _documents(hits: list[Hit]) -> list[Document]:
    return [document for document, _ in hits]
