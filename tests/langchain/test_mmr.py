"""MMR picks in order what is near the query and unlike what it has picked; λ means what it says."""

import numpy as np
import pytest
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from langchain_vicinal import VicinalVectorStore
from vicinal.errors import InvalidArgumentError

DIMENSION = 8
LAMBDAS = [0.0, 0.1, 0.3, 0.5, 0.8, 1.0]
POINTS = np.random.default_rng(7).normal(size=(60, DIMENSION)).round(3)
QUERY = (POINTS[0] + 0.4 * POINTS[1]).tolist()


def similarity(space, a, b):
    if space == "cosine":
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return float(a @ b) if space == "ip" else 1 - float(np.sum((a - b) ** 2)) / 2


def picked(space, query, points, k, fetch_k, lambda_mult):
    """Carbonell & Goldstein's rule, spelled out: positions in the order of picking."""
    near = [similarity(space, np.asarray(query), point) for point in points]
    left = sorted(range(len(points)), key=lambda i: -near[i])[: max(fetch_k, k)]
    chosen = [left.pop(0)]
    while left and len(chosen) < k:
        overlap = {i: max(similarity(space, points[i], points[j]) for j in chosen) for i in left}
        best = max(left, key=lambda i: lambda_mult * near[i] - (1 - lambda_mult) * overlap[i])
        left.remove(best)
        chosen.append(best)
    return chosen


@pytest.fixture(params=["cosine", "l2", "ip"])
def space(request):
    return request.param


@pytest.fixture
def store(space, table):
    vectors = {str(i): point.tolist() for i, point in enumerate(POINTS)} | {"query": QUERY}
    store = VicinalVectorStore(table(vectors), collection_configuration={"hnsw": {"space": space}})
    store.add_texts([str(i) for i in range(len(POINTS))], ids=[str(i) for i in range(len(POINTS))])
    return store


def ids(documents):
    return [int(document.id) for document in documents]


@pytest.mark.parametrize("lambda_mult", LAMBDAS)
@pytest.mark.parametrize(("k", "fetch_k"), [(5, 20), (10, 60), (7, 3), (1, 20)])
def test_mmr_picks_what_the_rule_picks(store, space, k, fetch_k, lambda_mult):
    found = store.max_marginal_relevance_search("query", k, fetch_k, lambda_mult)
    assert ids(found) == picked(space, QUERY, POINTS, k, fetch_k, lambda_mult)


def test_mmr_picks_what_langchains_own_function_picks(table):
    vectors = {str(i): point.tolist() for i, point in enumerate(POINTS)} | {"query": QUERY}
    store = VicinalVectorStore.from_texts(map(str, range(60)), table(vectors), ids=map(str, range(60)))
    for lambda_mult in LAMBDAS[1:]:
        theirs = maximal_marginal_relevance(np.array(QUERY), POINTS.tolist(), lambda_mult, k=8)
        assert ids(store.max_marginal_relevance_search("query", 8, 60, lambda_mult)) == theirs


def test_with_lambda_1_mmr_is_the_plain_search(store):
    mmr = store.max_marginal_relevance_search("query", k=9, lambda_mult=1)
    assert mmr == store.similarity_search("query", k=9)


def test_with_lambda_0_only_difference_counts_after_the_nearest(table):
    vectors = {"near": [1, 0], "twin": [1, 0.01], "far": [-1, 0.1], "side": [0.1, 1], "query": [1, 0]}
    store = VicinalVectorStore.from_texts(["near", "twin", "far", "side"], table(vectors))
    texts = [doc.page_content for doc in store.max_marginal_relevance_search("query", 3, lambda_mult=0)]
    assert texts == ["near", "far", "side"]


def test_a_near_duplicate_gives_way_and_the_order_is_that_of_picking(table):
    vectors = {"best": [1, 0], "copy": [0.999, 0.01], "other": [0.6, 0.8], "query": [1, 0.1]}
    store = VicinalVectorStore.from_texts(["copy", "other", "best"], table(vectors))
    search = store.max_marginal_relevance_search
    assert [d.page_content for d in search("query", 3, lambda_mult=0.4)] == ["copy", "other", "best"]
    assert [d.page_content for d in search("query", 3, lambda_mult=1.0)] == ["copy", "best", "other"]


def test_every_form_of_mmr_picks_the_same(store):
    wanted = store.max_marginal_relevance_search("query", 6, lambda_mult=0.3)
    assert wanted == store.max_marginal_relevance_search_by_vector(QUERY, 6, lambda_mult=0.3)
    scored = store.max_marginal_relevance_search_with_score_by_vector(QUERY, 6, lambda_mult=0.3)
    assert wanted == [doc for doc, _ in scored]
    retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 6, "lambda_mult": 0.3})
    assert wanted == retriever.invoke("query") == store.search("query", "mmr", k=6, lambda_mult=0.3)


async def test_every_async_form_of_mmr_picks_the_same(store):
    wanted = store.max_marginal_relevance_search("query", 6, lambda_mult=0.3)
    assert wanted == await store.amax_marginal_relevance_search("query", 6, lambda_mult=0.3)
    assert wanted == await store.amax_marginal_relevance_search_by_vector(QUERY, 6, lambda_mult=0.3)
    search = store.amax_marginal_relevance_search_with_score_by_vector
    assert wanted == [doc for doc, _ in await search(QUERY, 6, lambda_mult=0.3)]


def test_the_scores_of_mmr_are_those_of_the_plain_search(store):
    plain = {doc.id: score for doc, score in store.similarity_search_with_score("query", k=60)}
    hits = store.max_marginal_relevance_search_with_score_by_vector(QUERY, 5, lambda_mult=0.2)
    assert {doc.id: score for doc, score in hits} == pytest.approx({doc.id: plain[doc.id] for doc, _ in hits})


def test_a_larger_fetch_k_lets_more_different_ones_in(store, space):
    few = ids(store.max_marginal_relevance_search("query", 5, fetch_k=5, lambda_mult=0))
    many = ids(store.max_marginal_relevance_search("query", 5, fetch_k=60, lambda_mult=0))
    assert set(few) == set(ids(store.similarity_search("query", k=5)))
    assert many == picked(space, QUERY, POINTS, 5, 60, 0)


UNSAID = {"fetch_k": None, "lambda_mult": None}


async def test_none_is_as_good_as_the_default(store):
    by_text, by_vector = store.max_marginal_relevance_search, store.max_marginal_relevance_search_by_vector
    scored = store.max_marginal_relevance_search_with_score_by_vector
    wanted = ids(by_text("query", 6))
    assert wanted == ids(by_text("query", 6, None, None)) == ids(by_vector(QUERY, 6, None, None))
    assert wanted == ids(doc for doc, _ in scored(QUERY, 6, **UNSAID))
    assert wanted == ids(store.search("query", "mmr", k=6, **UNSAID))
    assert wanted == ids(await store.amax_marginal_relevance_search("query", 6, **UNSAID))
    assert wanted == ids(await store.amax_marginal_relevance_search_by_vector(QUERY, 6, **UNSAID))
    found = await store.amax_marginal_relevance_search_with_score_by_vector(QUERY, 6, **UNSAID)
    assert wanted == ids(doc for doc, _ in found)
    retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 6, **UNSAID})
    assert wanted == ids(retriever.invoke("query")) == ids(await retriever.ainvoke("query"))


async def test_a_reranker_beside_mmr_is_refused_also_where_the_default_is_meant(store):
    for options in ({}, UNSAID):
        with pytest.raises(InvalidArgumentError, match="rerank and MMR both decide the order"):
            store.max_marginal_relevance_search("query", rerank=len, **options)
        with pytest.raises(InvalidArgumentError, match="rerank and MMR both decide the order"):
            await store.amax_marginal_relevance_search("query", rerank=len, **options)


def test_mmr_over_fewer_documents_than_asked_for_gives_them_all(store):
    assert len(store.max_marginal_relevance_search("query", k=100, fetch_k=200)) == len(POINTS)
    assert len(store.max_marginal_relevance_search("query", k=5, ids=["1", "2"])) == 2
    assert store.max_marginal_relevance_search("query", k=0) == []


def test_mmr_on_an_empty_store_is_empty(table):
    assert VicinalVectorStore(table({"q": [1.0]})).max_marginal_relevance_search("q") == []
