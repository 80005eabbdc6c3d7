"""Code that was written for another store finds the names that it calls, or is told that there is none."""

import inspect

import numpy as np
import pytest
from langchain_core.documents import Document

import vicinal
from langchain_vicinal import VicinalVectorStore
from vicinal.errors import ArgumentTypeError, InvalidArgumentError

# What programs call on the stores of Chroma, FAISS, PGVector, Qdrant and InMemoryVectorStore.
NAMES = (
    "add_documents",
    "add_embeddings",
    "add_images",
    "add_texts",
    "as_retriever",
    "count",
    "delete",
    "delete_collection",
    "from_documents",
    "from_embeddings",
    "from_texts",
    "get",
    "get_by_ids",
    "max_marginal_relevance_search",
    "max_marginal_relevance_search_by_vector",
    "max_marginal_relevance_search_with_score_by_vector",
    "reset_collection",
    "search",
    "similarity_search",
    "similarity_search_by_image",
    "similarity_search_by_image_with_relevance_score",
    "similarity_search_by_vector",
    "similarity_search_by_vector_with_relevance_scores",
    "similarity_search_with_relevance_scores",
    "similarity_search_with_score",
    "similarity_search_with_score_by_vector",
    "similarity_search_with_vectors",
    "update_document",
    "update_documents",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_there_in_both_colours(name):
    assert callable(getattr(VicinalVectorStore, name))
    if name != "as_retriever":
        assert inspect.iscoroutinefunction(getattr(VicinalVectorStore, f"a{name}"))


async def test_vectors_come_with_the_documents(store, films, embedding):
    store.add_documents(films)
    found = store.similarity_search_with_vectors("desert planet", 2, filter={"genre": "sf"})
    assert [document for document, _ in found] == store.similarity_search(
        "desert planet", 2, filter={"genre": "sf"}
    )
    for document, vector in found:
        assert vector.dtype == np.float32
        assert vector.tolist() == pytest.approx(embedding.embed_query(document.page_content))
    [(document, _)] = await store.asimilarity_search_with_vectors("desert planet", 1)
    assert document.id == "dune"
    assert store.similarity_search_with_vectors("desert", filter={"genre": "none"}) == []


async def test_pairs_of_text_and_vector_make_a_store(embedding):
    pairs = [("a", [1.0, 0.0]), ("b", [0.0, 1.0])]
    store = VicinalVectorStore.from_embeddings(iter(pairs), embedding, [{"n": 1}, {"n": 2}], ids=["1", "2"])
    assert store.similarity_search_by_vector([1.0, 0.1], 1)[0].id == "1"
    other = await VicinalVectorStore.afrom_embeddings(iter(pairs), embedding)
    assert await other.acount() == 2


def test_the_client_holds_what_else_belongs_to_the_store(embedding, tmp_path):
    with VicinalVectorStore(embedding, path=tmp_path) as store:
        assert VicinalVectorStore(embedding, client=store.client).collection == store.collection
    collection = vicinal.EphemeralClient().create_collection("abc", embedding_function=None)
    with pytest.raises(InvalidArgumentError, match="was given a collection, not the client"):
        assert VicinalVectorStore(embedding, collection=collection).client


async def test_ids_may_stand_where_chroma_and_faiss_have_them(embedding):
    store = VicinalVectorStore.from_texts(["a"], embedding, [{"n": 1}], ["1"])
    assert store.add_texts(["b"], None, ["2"]) == await store.aadd_texts(["c"], None, ["2"]) == ["2"]
    assert store.add_documents([Document("d")], ["3"]) == await store.aadd_documents([Document("e")], ["3"])
    assert store.get()["ids"] == ["1", "2", "3"]
    pairs = [("a", [1.0, 0.0])]
    for made in (
        VicinalVectorStore.from_documents([Document("a")], embedding, ["1"]),
        VicinalVectorStore.from_embeddings(pairs, embedding, None, ["1"]),
        await VicinalVectorStore.afrom_texts(["a"], embedding, None, ["1"]),
        await VicinalVectorStore.afrom_documents([Document("a")], embedding, ["1"]),
        await VicinalVectorStore.afrom_embeddings(pairs, embedding, None, ["1"]),
    ):
        assert made.get()["ids"] == ["1"]


@pytest.mark.parametrize("search_type", ["sparse", "semantic_hybrid"])
async def test_a_search_type_that_is_not_there_is_refused_by_name(store, search_type):
    with pytest.raises(ValueError, match=rf"search_type of {search_type} not allowed"):
        store.as_retriever(search_type=search_type)
    with pytest.raises(ValueError, match=rf"search_type of {search_type} not allowed"):
        store.search("x", search_type)
    with pytest.raises(ValueError, match=rf"search_type of {search_type} not allowed"):
        await store.asearch("x", search_type)


# --- progress ------------------------------------------------------------------------------------


@pytest.fixture
def told():
    return []


@pytest.fixture
def tell(told):
    return lambda done, total: told.append((done, total))


async def test_progress_is_told_while_texts_are_embedded(store, told, tell):
    store.add_texts((str(i) for i in range(2500)), progress=tell)
    assert told == [(1000, 2500), (2000, 2500), (2500, 2500)]
    told.clear()
    await store.aadd_texts(["a", "b", "c"], batch_size=2, progress=tell)
    assert told == [(2, 3), (3, 3)]


async def test_progress_is_told_when_vectors_are_written(store, films, told, tell):
    vectors = np.eye(4)
    store.add_documents(iter(films), embeddings=vectors, batch_size=3, progress=tell)
    assert told == [(3, 4), (4, 4)]
    told.clear()
    await store.aadd_documents(films, embeddings=vectors, progress=tell)
    assert told == [(4, 4)]


async def test_a_new_store_tells_its_progress_too(embedding, films, told, tell):
    VicinalVectorStore.from_documents(films, embedding, progress=tell)
    await VicinalVectorStore.afrom_texts(["a"], embedding, progress=tell)
    assert told == [(4, 4), (1, 1)]


def test_nothing_to_do_is_not_told(store, told, tell):
    assert store.add_texts([], progress=tell) == []
    assert told == []


def test_progress_is_a_function(store):
    with pytest.raises(ArgumentTypeError, match="Expected progress to be a function"):
        store.add_texts(["a"], progress=True)
    assert store.count() == 0
