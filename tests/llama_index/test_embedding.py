"""An embedding function of Vicinal's embeds for LlamaIndex."""

import threading
from typing import ClassVar

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding

from llama_index.vector_stores.vicinal import VicinalEmbedding, VicinalVectorStore
from vicinal.embedding import EmbeddingFunction


class Lengths(EmbeddingFunction):
    """Long texts are near long texts; queries are told from documents by their sign."""

    threads: ClassVar[set[int]] = set()

    def __call__(self, input):
        self.threads.add(threading.get_ident())
        return [[float(len(text)), 1.0] for text in input]

    def embed_query(self, input):
        return [[-x, y] for x, y in self(input)]

    @staticmethod
    def name() -> str:
        return "lengths"


def test_documents_and_queries_are_embedded_each_in_their_way():
    model = VicinalEmbedding(Lengths())
    assert isinstance(model, BaseEmbedding)
    assert model.get_text_embedding("abc") == [3.0, 1.0]
    assert model.get_text_embedding_batch(["a", "ab"]) == [[1.0, 1.0], [2.0, 1.0]]
    assert model.get_query_embedding("abc") == [-3.0, 1.0]
    assert model.model_name == "lengths"


async def test_the_asynchronous_methods_embed_off_the_loop():
    Lengths.threads.clear()
    model = VicinalEmbedding(Lengths())
    assert await model.aget_text_embedding("abc") == [3.0, 1.0]
    assert await model.aget_text_embedding_batch(["a", "ab"]) == [[1.0, 1.0], [2.0, 1.0]]
    assert await model.aget_query_embedding("abc") == [-3.0, 1.0]
    assert threading.get_ident() not in Lengths.threads


def test_any_callable_embeds():
    model = VicinalEmbedding(lambda texts: [(1, 2) for _ in texts], embed_batch_size=3)
    assert model.get_query_embedding("x") == [1.0, 2.0]
    assert (model.model_name, model.embed_batch_size) == ("function", 3)


def test_the_default_works_offline(films):
    pytest.importorskip("wordllama")
    index = VectorStoreIndex.from_vector_store(VicinalVectorStore(), VicinalEmbedding())
    for film in films:
        index.insert(film)
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("sand dunes on another world")
    assert found.node.ref_doc_id == "dune"
