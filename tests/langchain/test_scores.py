"""A larger score is nearer, a relevance lies in [0, 1], and both follow the table of the docstring."""

import math

import numpy as np
import pytest
from langchain_core.vectorstores import VectorStore

import vicinal
from langchain_vicinal import VicinalVectorStore

SPACES = ["cosine", "l2", "ip"]
VECTORS = {
    "same": [3.0, 4.0],
    "near": [4.0, 3.0],
    "across": [-4.0, 3.0],
    "opposite": [-3.0, -4.0],
    "query": [3.0, 4.0],
}
UNIT = {name: [x / 5 for x in vector] for name, vector in VECTORS.items()}


@pytest.fixture(params=SPACES)
def space(request):
    return request.param


@pytest.fixture(params=["unit vectors", "long vectors"])
def vectors(request):
    return UNIT if request.param == "unit vectors" else VECTORS


@pytest.fixture
def store(space, table, vectors):
    store = VicinalVectorStore(table(vectors), collection_configuration={"hnsw": {"space": space}})
    store.add_texts([name for name in vectors if name != "query"])
    return store


def distance(space, a, b):
    dot = float(np.dot(a, b))
    if space == "cosine":
        return 1 - dot / (np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.sum(np.subtract(a, b) ** 2)) if space == "l2" else 1 - dot


def score(space, d):
    return 1 / (1 + d) if space == "l2" else 1 - d


def by_text(hits):
    return {doc.page_content: number for doc, number in hits}


def test_scores_are_those_of_the_table(store, space, vectors):
    got = by_text(store.similarity_search_with_score("query"))
    query = vectors["query"]
    wanted = {text: score(space, distance(space, vectors[text], query)) for text in got}
    assert got == pytest.approx(wanted, abs=1e-6)


def test_distances_come_on_request(store, space, vectors):
    got = by_text(store.similarity_search_with_score("query", return_distance=True))
    query = vectors["query"]
    wanted = {text: distance(space, vectors[text], query) for text in got}
    assert got == pytest.approx(wanted, abs=1e-6)


def test_results_are_ordered_by_falling_score(store):
    scores = [score for _, score in store.similarity_search_with_score("query")]
    assert scores == sorted(scores, reverse=True)
    assert store.similarity_search("query", k=2)[0].page_content == "same"


def test_relevance_lies_between_0_and_1(store):
    hits = by_text(store.similarity_search_with_relevance_scores("query"))
    assert all(0 <= relevance <= 1 for relevance in hits.values())
    assert hits["same"] == pytest.approx(1.0)
    assert hits["opposite"] < 0.5


def test_relevance_by_vector_is_relevance_by_text(store, vectors):
    by_vector = store.similarity_search_by_vector_with_relevance_scores(vectors["query"])
    assert by_vector == store.similarity_search_with_relevance_scores("query")


def test_a_threshold_keeps_what_is_at_least_as_relevant(store):
    everything = store.similarity_search_with_relevance_scores("query")
    kept = store.similarity_search_with_relevance_scores("query", score_threshold=0.9)
    assert kept == [(doc, relevance) for doc, relevance in everything if relevance >= 0.9] != []


async def test_async_scores_are_the_same(store, vectors):
    query = vectors["query"]
    search = store.similarity_search_with_score("query")
    assert search == await store.asimilarity_search_with_score("query")
    assert search == await store.asimilarity_search_with_score_by_vector(query)
    relevance = store.similarity_search_with_relevance_scores("query")
    assert relevance == await store.asimilarity_search_with_relevance_scores("query")
    assert relevance == await store.asimilarity_search_by_vector_with_relevance_scores(query)


def test_scores_by_vector_are_scores_by_text(store, vectors):
    by_vector = store.similarity_search_with_score_by_vector(vectors["query"], k=3)
    assert by_vector == store.similarity_search_with_score("query", 3)


def test_scores_are_plain_floats(store):
    assert {type(score) for _, score in store.similarity_search_with_score("query")} == {float}


def test_scores_of_a_plain_l2_collection_are_those_of_l2(table):
    collection = vicinal.EphemeralClient().create_collection("plain", embedding_function=None)
    collection.add(ids=["a"], embeddings=[[1.0, 0.0]], documents=["a"])
    store = VicinalVectorStore(table({"q": [0.0, 0.0]}), collection=collection)
    assert by_text(store.similarity_search_with_score("q")) == {"a": 0.5}


def test_an_own_relevance_function_takes_the_distance(table):
    store = VicinalVectorStore(table(VECTORS), relevance_score_fn=lambda d: 1 - d / 2)
    store.add_texts(["same", "opposite"])
    got = by_text(store.similarity_search_with_relevance_scores("query"))
    assert got == pytest.approx({"same": 1.0, "opposite": 0.0}, abs=1e-6)


def test_langchains_own_relevance_functions_fit(table):
    own = VectorStore._euclidean_relevance_score_fn
    configuration = {"hnsw": {"space": "l2"}}
    store = VicinalVectorStore(table(UNIT), relevance_score_fn=own, collection_configuration=configuration)
    store.add_texts(["near"])
    [(_, relevance)] = store.similarity_search_with_relevance_scores("query")
    assert relevance == pytest.approx(1 - distance("l2", UNIT["near"], UNIT["query"]) / math.sqrt(2))
