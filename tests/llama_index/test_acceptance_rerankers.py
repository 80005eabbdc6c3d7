"""LlamaIndex's postprocessors rerank and choose among what the store found."""

from datetime import date

import pytest
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor import (
    FixedRecencyPostprocessor,
    LLMRerank,
    LongContextReorder,
    SimilarityPostprocessor,
)
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode


class CrossEncoder(BaseNodePostprocessor):
    """Scores each pair of query and text, as a cross-encoder does, and keeps the best."""

    top_n: int = 2

    @staticmethod
    def score(query: str, text: str) -> float:
        return float(len(set(query.lower().split()) & set(text.lower().split())))

    def _postprocess_nodes(self, nodes, query_bundle=None):
        scored = [NodeWithScore(node=n.node, score=self.score(query_bundle.query_str, n.text)) for n in nodes]
        return sorted(scored, key=lambda each: -each.score)[: self.top_n]


def test_a_cross_encoder_reranks_more_than_are_wanted(film_index, sources):
    retriever = film_index.as_retriever(similarity_top_k=4, vector_store_query_mode="mmr")
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM(), node_postprocessors=[CrossEncoder()])
    best = engine.query("a signal from space reaches a crew").source_nodes
    assert sources(best)[0] == "contact"
    assert [each.score for each in best] == [5.0, 3.0]


async def test_a_reranker_works_asynchronously(film_index, sources):
    engine = film_index.as_query_engine(
        llm=MockLLM(), similarity_top_k=4, node_postprocessors=[CrossEncoder(top_n=1)]
    )
    assert sources((await engine.aquery("a signal from space")).source_nodes) == ["contact"]


def test_a_language_model_reranks(film_index, canned):
    found = film_index.as_retriever(similarity_top_k=4).retrieve("space")
    rerank = LLMRerank(llm=canned("Doc: 3, Relevance: 9\nDoc: 1, Relevance: 2"), top_n=2)
    kept = rerank.postprocess_nodes(found, query_str="space")
    assert [(each.node_id, each.score) for each in kept] == [(found[2].node_id, 9.0), (found[0].node_id, 2.0)]


def test_a_cutoff_and_an_order_apply(film_index, sources):
    found = film_index.as_retriever(similarity_top_k=4).retrieve("A desert planet and its spice")
    assert sources(SimilarityPostprocessor(similarity_cutoff=0.5).postprocess_nodes(found)) == ["dune"]
    reordered = LongContextReorder().postprocess_nodes(found)
    assert sorted(sources(reordered)) == sorted(sources(found))


@pytest.mark.parametrize("newest", ["a", "b"])
def test_the_newest_is_kept_by_its_stored_date(store, embedder, newest):
    pytest.importorskip("pandas")
    index = store.as_index(embedder)
    years = {"a": 2020, "b": 2021, newest: 2024}
    index.insert_nodes(
        [TextNode(id_=id, text="news", metadata={"date": date(years[id], 1, 1).isoformat()}) for id in "ab"]
    )
    found = index.as_retriever(similarity_top_k=2).retrieve("news")
    kept = FixedRecencyPostprocessor(top_k=1).postprocess_nodes(found, query_bundle=QueryBundle("news"))
    assert [each.node_id for each in kept] == [newest]
