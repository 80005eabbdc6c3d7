"""Embedding objects of LangChain and LlamaIndex may be passed as they are."""

from typing import Any

import pytest

import vicinal
from vicinal.embedding.frameworks import adapted
from vicinal.embedding.protocol import embed
from vicinal.embedding.registry import describe
from vicinal.testing import HashEmbeddingFunction
from vicinal.utils.embedding_functions import create_langchain_embedding


class LangChains:
    """Has the methods of `langchain_core.embeddings.Embeddings`; cannot be called."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(len(text)), 0.0] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(len(text)), 1.0]


class LlamaIndexs:
    """Has the methods of LlamaIndex's `BaseEmbedding`; when called, takes nodes."""

    def __call__(self, nodes: Any) -> Any:
        raise AssertionError("called with nodes")

    def get_text_embedding_batch(self, texts: list[str]) -> list[list[float]]:
        return [[float(len(text)), 0.0] for text in texts]

    def get_query_embedding(self, query: str) -> list[float]:
        return [float(len(query)), 1.0]


either = pytest.mark.parametrize("made", [LangChains, LlamaIndexs])


@either
def test_documents_and_queries_are_embedded_by_their_own_methods(made):
    function = adapted(made())
    documents, queries = (embed(function, ["a", "bbb"], query=query) for query in (False, True))
    assert ([[1, 0], [3, 0]], [[1, 1], [3, 1]]) == (documents.tolist(), queries.tolist())


@either
def test_a_collection_takes_them_as_they_are(client, made):
    collection = client.create_collection("things", embedding_function=made())
    collection.add(ids=["a", "b"], documents=["one", "three"])
    assert [["b"]] == collection.query(query_texts=["seven"], n_results=1)["ids"]


@either
def test_they_may_be_given_again_when_a_collection_is_opened(client, made):
    client.create_collection("things", embedding_function=made())
    collection = client.get_collection("things", embedding_function=made())
    collection.add(ids="a", documents="one")
    assert [[3.0, 0.0]] == collection.get(include=["embeddings"])["embeddings"].tolist()


@either
def test_without_them_a_reopened_collection_says_what_it_lacks(client, made):
    client.create_collection("things", embedding_function=made())
    with pytest.raises(vicinal.errors.EmbeddingFunctionError, match="pass embedding_function"):
        client.get_collection("things").add(ids="a", documents="one")


@either
def test_what_is_stored_names_no_function(made):
    assert {"type": "legacy"} == describe(adapted(made()))


@either
def test_pictures_are_refused(made):
    assert adapted(made()).supports_images() is False


@pytest.mark.parametrize("given", [None, len, HashEmbeddingFunction(4), LangChains])
def test_everything_else_stays_as_it_is(given):
    assert given is adapted(given)


def test_chromas_wrapper_is_there():
    assert [[3.0, 1.0]] == create_langchain_embedding(LangChains()).embed_query(["abc"])


def test_real_objects_of_langchain_work():
    fake = pytest.importorskip("langchain_core.embeddings").DeterministicFakeEmbedding(size=4)
    assert (2, 4) == embed(adapted(fake), ["a", "b"], query=False).shape


def test_real_objects_of_llama_index_work():
    mock = pytest.importorskip("llama_index.core").MockEmbedding(embed_dim=4)
    assert (2, 4) == embed(adapted(mock), ["a", "b"], query=True).shape
