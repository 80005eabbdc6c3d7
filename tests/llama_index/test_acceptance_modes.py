"""Retrievers, engines and fusions of LlamaIndex run on words and on mixtures as they do on embeddings."""

import json

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.indices.vector_store import VectorIndexAutoRetriever
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever, VectorIndexRetriever
from llama_index.core.schema import IndexNode, QueryBundle, TextNode
from llama_index.core.vector_stores.types import MetadataInfo, VectorStoreInfo

from llama_index.vector_stores.vicinal import VicinalVectorStore

DESERT = "A desert planet and its spice"
WORD_MODES = ["text_search", "sparse"]


class Silent(BaseEmbedding):
    """Embeds nothing: who asks it has asked too much."""

    def _get_text_embedding(self, text: str) -> list[float]:
        raise AssertionError("embedded a text")

    def _get_query_embedding(self, query: str) -> list[float]:
        raise AssertionError("embedded a question")

    async def _aget_query_embedding(self, query: str) -> list[float]:
        raise AssertionError("embedded a question")


@pytest.mark.skipif(
    not hasattr(VectorIndexRetriever, "_needs_embedding"), reason="this framework embeds for every mode"
)
@pytest.mark.parametrize("mode", WORD_MODES)
async def test_words_are_retrieved_without_embedding(film_index, sources, mode):
    silent = VectorStoreIndex.from_vector_store(film_index.vector_store, embed_model=Silent())
    retriever = silent.as_retriever(vector_store_query_mode=mode, similarity_top_k=3)
    assert sources(retriever.retrieve("a radio signal")) == ["contact"]
    assert sources(await retriever.aretrieve("a radio signal")) == ["contact"]


@pytest.mark.parametrize("alpha", [None, 0.0, 0.5, 1.0])
async def test_a_retriever_mixes_by_alpha(film_index, sources, alpha):
    limits = {"similarity_top_k": 2, "sparse_top_k": 10, "hybrid_top_k": 3}
    retriever = film_index.as_retriever(vector_store_query_mode="hybrid", alpha=alpha, **limits)
    found = retriever.retrieve(DESERT)
    assert sources(found)[0] == "dune"
    assert 0 < found[0].score <= 1
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert sources(await retriever.aretrieve(DESERT)) == sources(found)


def test_an_engine_answers_from_words_and_filters(film_index, sources):
    engine = film_index.as_query_engine(
        llm=MockLLM(),
        vector_store_query_mode="hybrid",
        alpha=0.2,
        doc_ids=["alien", "contact"],
        similarity_top_k=9,
        vector_store_kwargs={"fusion": "rrf", "where": {"year": {"$gt": 1980}}},
    )
    assert sources(engine.query("a signal from space").source_nodes) == ["contact"]


async def test_the_stores_reranker_is_reached_by_a_retriever(film_index, embedder, sources):
    store = VicinalVectorStore(
        collection=film_index.vector_store.collection,
        rerank=lambda question, texts: [float("clerk" in text) for text in texts],
    )
    retriever = store.as_index(embedder).as_retriever(
        vector_store_query_mode="semantic_hybrid", similarity_top_k=1
    )
    for found in (retriever.retrieve(DESERT), await retriever.aretrieve(DESERT)):
        assert sources(found) == ["brazil"]
        assert found[0].score == 1.0


@pytest.mark.parametrize("mode", ["reciprocal_rerank", "relative_score", "dist_based_score", "simple"])
async def test_a_fusion_retriever_fuses_words_with_embeddings(film_index, sources, mode):
    parts = [
        film_index.as_retriever(similarity_top_k=3, vector_store_query_mode=each)
        for each in ("default", "text_search", "hybrid")
    ]
    fused = QueryFusionRetriever(
        parts, llm=MockLLM(), num_queries=1, mode=mode, use_async=False, similarity_top_k=2
    )
    assert sources(fused.retrieve(DESERT))[0] == "dune"
    assert sources(await fused.aretrieve(DESERT))[0] == "dune"


@pytest.mark.parametrize("mode", [*WORD_MODES, "hybrid"])
def test_an_auto_retriever_searches_words_with_the_filters_of_the_model(film_index, canned, sources, mode):
    asked = {"query": "space", "filters": [{"key": "year", "value": 1980, "operator": ">"}], "top_k": 3}
    about = VectorStoreInfo(
        content_info="films", metadata_info=[MetadataInfo(name="year", type="int", description="year")]
    )
    llm = canned(f"```json\n{json.dumps(asked)}\n```")
    retriever = VectorIndexAutoRetriever(
        film_index, about, llm=llm, similarity_top_k=3, vector_store_query_mode=mode
    )
    found = sources(retriever.retrieve("films in space after 1980"))
    assert found[0] == "contact"
    assert len(found) == (1 if mode in WORD_MODES else 3)


@pytest.mark.parametrize("mode", [*WORD_MODES, "hybrid"])
def test_every_kind_of_node_is_found_by_its_words(store, embedder, mode):
    index = store.as_index(embedder)
    nodes = [TextNode(id_="text", text="deep space"), IndexNode(id_="index", text="space", index_id="x")]
    index.insert_nodes(nodes)
    found = index.as_retriever(vector_store_query_mode=mode, similarity_top_k=9).retrieve("space")
    assert {each.node_id for each in found} == {"text", "index"}


def test_a_question_with_its_own_embedding_is_mixed(film_index, embedder, sources):
    retriever = VectorIndexRetriever(film_index, vector_store_query_mode="hybrid", similarity_top_k=2)
    asked = QueryBundle("clerk", embedding=embedder.get_text_embedding(DESERT))
    assert set(sources(retriever.retrieve(asked))) == {"dune", "brazil"}
