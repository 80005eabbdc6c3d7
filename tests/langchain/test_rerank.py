"""A reranker chooses from more than was asked for, and its order is the order of the answer."""

import math
from typing import Any

import numpy as np
import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_classic.retrievers.document_compressors import CrossEncoderReranker, DocumentCompressorPipeline
from langchain_classic.retrievers.document_compressors.cross_encoder import BaseCrossEncoder
from langchain_core.documents import BaseDocumentCompressor, Document

from vicinal.errors import ArgumentTypeError, InvalidArgumentError

WORDS = ["one", "one two", "one two three", "one two three four", "five"]


def by_length(query, texts):
    """Prefers long texts: for the query of these tests, the reverse of nearness."""
    assert query == "one"
    return [len(text) for text in texts]


class Length(BaseCrossEncoder):
    def score(self, text_pairs):
        return [length for query, text in text_pairs for length in by_length(query, [text])]


class Longest(BaseDocumentCompressor):
    """Keeps the two longest, as copies without ids, as some services' clients do."""

    score: Any = None
    awaited: int = 0

    def compress_documents(self, documents, query, callbacks=None):
        kept = sorted(documents, key=lambda d: -by_length(query, [d.page_content])[0])[:2]
        own = {} if self.score is None else {"relevance_score": self.score}
        return [Document(d.page_content, metadata={**d.metadata, **own}) for d in kept]

    async def acompress_documents(self, documents, query, callbacks=None):
        self.awaited += 1
        return self.compress_documents(documents, query)


JUDGES = {
    "function": by_length,
    "model": lambda query, texts: np.array(by_length(query, texts), dtype=np.float32)[:, np.newaxis],
    "cross-encoder": Length(),
    "compressor": Longest(),
}


@pytest.fixture
def filled(store):
    store.add_texts(WORDS, [{"n": i} for i in range(5)], ids=WORDS)
    return store


def texts(hits):
    return [(hit[0] if isinstance(hit, tuple) else hit).page_content for hit in hits]


@pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES)
async def test_the_k_are_those_that_the_reranker_puts_first(filled, judge):
    wanted = ["one two three four", "one two three"]
    assert texts(filled.similarity_search("one", 2)) == ["one", "one two"]
    assert texts(filled.similarity_search("one", 2, rerank=judge)) == wanted
    assert texts(await filled.asimilarity_search("one", 2, rerank=judge)) == wanted
    retriever = filled.as_retriever(search_kwargs={"k": 2, "rerank": judge})
    assert texts(retriever.invoke("one")) == texts(await retriever.ainvoke("one")) == wanted


def test_it_chooses_from_as_many_as_are_fetched(filled):
    assert texts(filled.similarity_search("one", 1, rerank=by_length, fetch_k=3)) == ["one two three"]
    assert texts(filled.similarity_search("one", 3, rerank=by_length, fetch_k=1))[0] == "one two three"


@pytest.mark.parametrize(("k", "candidates"), [(1, 20), (5, 20), (6, 24), (8, 30)])
async def test_it_chooses_from_20_or_from_four_times_as_many_as_asked_for(store, k, candidates):
    store.add_texts(f"one {i}" for i in range(30))
    seen = []

    def judge(query, texts):
        seen.append(len(texts))
        return [0] * len(texts)

    assert len(store.similarity_search("one", k, rerank=judge)) == k
    assert len(await store.asimilarity_search("one", k, rerank=judge)) == k
    assert seen == [candidates, candidates]


def test_it_chooses_under_the_filter(filled):
    found = filled.similarity_search("one", 1, filter={"n": {"$lt": 2}}, rerank=by_length)
    assert texts(found) == ["one two"]


async def test_the_scores_are_the_rerankers(filled):
    for judge in (by_length, Length()):
        hits = filled.similarity_search_with_score("one", 2, rerank=judge)
        assert [score for _, score in hits] == [18.0, 13.0]
        assert hits == await filled.asimilarity_search_with_score("one", 2, rerank=judge)


def test_a_compressors_scores_are_its_own_or_those_of_the_search(filled):
    search = dict(filled_scores(filled.similarity_search_with_score("one", 5)))
    kept = filled.similarity_search_with_score("one", 5, rerank=Longest())
    assert filled_scores(kept) == [(text, search[text]) for text in texts(kept)]
    for score in (0.5, np.float32(0.5)):
        own = filled.similarity_search_with_score("one", 5, rerank=Longest(score=score))
        assert [score for _, score in own] == [0.5, 0.5]


def filled_scores(hits):
    return [(document.page_content, score) for document, score in hits]


def test_distance_and_relevance_stay_those_of_the_search(filled):
    search = dict(filled_scores(filled.similarity_search_with_relevance_scores("one", 5)))
    for judge in (by_length, Length(), Longest(score=0.5)):
        hits = filled.similarity_search_with_relevance_scores("one", 2, rerank=judge)
        assert texts(hits) == ["one two three four", "one two three"]
        assert filled_scores(hits) == [(text, search[text]) for text in texts(hits)]


def test_a_compressor_may_return_texts_of_its_own(filled):
    class Shout(Longest):
        def compress_documents(self, documents, query, callbacks=None):
            return [Document("NEW")]

    [(document, score)] = filled.similarity_search_with_score("one", rerank=Shout())
    assert document.page_content == "NEW"
    assert math.isnan(score)


@pytest.mark.parametrize("known", [{"n": 1}, {"n": 2}])
def test_a_compressor_that_rewrites_texts_is_known_by_what_metadata_tells(store, known):
    class Shout(Longest):
        def compress_documents(self, documents, query, callbacks=None):
            return [Document(d.page_content.upper(), metadata=d.metadata) for d in documents]

    store.add_texts(["one", "two"], [{"n": 1}, known])
    found = store.similarity_search_with_relevance_scores("one", 2)
    hits = store.similarity_search_with_relevance_scores("one", 2, rerank=Shout())
    assert texts(hits) == [text.upper() for text in texts(found)]
    if known == {"n": 1}:
        assert all(math.isnan(score) for _, score in hits)
        assert store.similarity_search_with_relevance_scores("one", rerank=Shout(), score_threshold=0) == []
    else:
        assert [score for _, score in hits] == [score for _, score in found]


def test_a_score_that_is_stored_is_not_a_compressors(store):
    store.add_texts(["one", "two three"], [{"relevance_score": 0.01}, {}], ids=["a", "b"])
    search = dict(filled_scores(store.similarity_search_with_score("one", 2)))
    hits = store.similarity_search_with_score("one", 2, rerank=Longest())
    assert filled_scores(hits) == [(text, search[text]) for text in texts(hits)]
    own = store.similarity_search_with_score("one", 2, rerank=Longest(score=0.5))
    assert [score for _, score in own] == [0.5, 0.5]


async def test_a_compressor_is_awaited(filled):
    judge = Longest()
    await filled.asimilarity_search("one", rerank=judge)
    assert judge.awaited == 1


def test_equal_scores_keep_the_order_of_the_search(filled):
    plain = filled.similarity_search("one two", 5)
    assert filled.similarity_search("one two", 5, rerank=lambda query, texts: [0] * len(texts)) == plain


async def test_an_empty_answer_needs_no_reranker(store):
    assert store.similarity_search("one", rerank=lambda query, texts: 1 / 0) == []
    assert await store.asimilarity_search("one", rerank=lambda query, texts: 1 / 0) == []
    store.add_texts(WORDS)
    assert store.similarity_search("one", 0, rerank=lambda query, texts: 1 / 0) == []


REFUSED = {
    "no reranker": (
        lambda s: s.similarity_search("one", rerank="cohere"),
        ArgumentTypeError,
        "Expected rerank",
    ),
    "too few numbers": (
        lambda s: s.similarity_search("one", rerank=lambda query, texts: [1]),
        InvalidArgumentError,
        "rerank: expected one number for each of the 5 texts, got 1",
    ),
    "no numbers": (
        lambda s: s.similarity_search("one", rerank=lambda query, texts: None),
        InvalidArgumentError,
        "rerank: expected one number for each text, got None",
    ),
    "too large a number": (
        lambda s: s.similarity_search("one", rerank=lambda query, texts: [10**5000] * 5),
        InvalidArgumentError,
        "rerank: the reranker gave a score that is too large for a float",
    ),
    "not a number": (
        lambda s: s.similarity_search("one", rerank=lambda query, texts: [1, 2, math.nan, 4, 5]),
        InvalidArgumentError,
        "rerank: the reranker gave a score that is not a number",
    ),
    "by vector": (
        lambda s: s.similarity_search_by_vector([1.0], rerank=by_length),
        InvalidArgumentError,
        "rerank reads the query's text",
    ),
    "with vectors": (
        lambda s: s.similarity_search_with_vectors("one", rerank=by_length),
        InvalidArgumentError,
        "rerank reads the query's text",
    ),
    "with MMR": (
        lambda s: s.max_marginal_relevance_search("one", rerank=by_length),
        InvalidArgumentError,
        "rerank and MMR both decide the order",
    ),
    "fetch_k": (
        lambda s: s.similarity_search("one", rerank=by_length, fetch_k="5"),
        ArgumentTypeError,
        "Expected fetch_k to be an int",
    ),
    "fetch_k of 0": (
        lambda s: s.similarity_search("one", rerank=by_length, fetch_k=0),
        InvalidArgumentError,
        "fetch_k: expected at least 1, got 0",
    ),
}


@pytest.mark.parametrize(("call", "error", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_reranked_is_refused_by_name(filled, call, error, text):
    with pytest.raises(error, match=text):
        call(filled)


def test_langchains_own_rerankers_work_after_the_store_and_in_it(filled):
    ours = CrossEncoderReranker(model=Length(), top_n=2)
    wanted = ["one two three four", "one two three"]
    outside = ContextualCompressionRetriever(
        base_compressor=ours, base_retriever=filled.as_retriever(search_kwargs={"k": 5})
    )
    assert texts(outside.invoke("one")) == wanted
    assert texts(filled.similarity_search("one", 2, rerank=ours)) == wanted
    both = DocumentCompressorPipeline(transformers=[Longest(), ours])
    assert texts(filled.similarity_search("one", 5, rerank=both)) == wanted
