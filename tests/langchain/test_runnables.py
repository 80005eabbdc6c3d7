"""The store works inside LangChain: retrievers of every kind, in chains, sync, async, in batches."""

import pytest
from langchain_core.example_selectors import (
    MaxMarginalRelevanceExampleSelector,
    SemanticSimilarityExampleSelector,
)
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnablePassthrough
from langchain_core.tools import create_retriever_tool

from langchain_vicinal import VicinalVectorStore


@pytest.fixture
def filled(store, films):
    store.add_documents(films)
    return store


def ids(documents):
    return [document.id for document in documents]


def rag(retriever):
    """A chain that answers with the prompt that it was given."""
    texts = RunnableLambda(lambda documents: " | ".join(d.page_content for d in documents))
    prompt = ChatPromptTemplate.from_template("context: {context}\nquestion: {question}")
    return {"context": retriever | texts, "question": RunnablePassthrough()} | prompt


async def test_a_chain_retrieves_with_a_filter(filled, films):
    search = {"k": 2, "filter": {"genre": "sf", "year": {"$gt": 1990}}}
    chain = rag(filled.as_retriever(search_kwargs=search))
    wanted = f"context: {films[2].page_content}\nquestion: desert in space"
    assert chain.invoke("desert in space").messages[0].content == wanted
    assert (await chain.ainvoke("desert in space")).messages[0].content == wanted


async def test_a_chain_answers_through_a_model(filled):
    model = FakeListChatModel(responses=["answer"])
    chain = rag(filled.as_retriever()) | model | StrOutputParser()
    assert chain.invoke("spice") == await chain.ainvoke("spice") == "answer"
    assert chain.batch(["a", "b"]) == await chain.abatch(["a", "b"]) == ["answer", "answer"]
    assert "".join(chain.stream("spice")) == "answer"


def test_traces_know_the_retriever_by_langchains_name(filled):
    retriever = filled.as_retriever()
    assert retriever.get_name() == "VectorStoreRetriever"
    assert retriever._get_ls_params()["ls_retriever_name"] == "vectorstore"


def test_arguments_of_the_call_win_over_those_of_the_retriever(filled):
    retriever = filled.as_retriever(search_kwargs={"k": 3, "filter": {"genre": "sf"}})
    assert ids(retriever.invoke("spice of the desert", k=1)) == ["dune"]
    assert ids(retriever.invoke("spice of the desert", filter={"genre": "horror"})) == ["alien"]


def test_options_of_the_search_beside_the_retrievers_count_too(filled):
    assert ids(filled.as_retriever(k=1).invoke("A desert planet in space and its spice")) == ["dune"]
    horror = filled.as_retriever(search_type="mmr", filter={"genre": "horror"})
    assert ids(horror.invoke("spice of the desert")) == ["alien"]
    both = filled.as_retriever(k=3, filter={"genre": "sf"}, search_kwargs={"k": 1})
    assert both.search_kwargs == {"k": 1, "filter": {"genre": "sf"}}


def test_a_retriever_keeps_what_is_relevant_enough(filled):
    query = "A desert planet in space and its spice"
    search = {"score_threshold": 0.8, "k": 4}
    retriever = filled.as_retriever(search_type="similarity_score_threshold", search_kwargs=search)
    assert ids(retriever.invoke(query)) == ["dune"]
    everything = filled.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.0}
    )
    assert len(everything.invoke(query)) == 4


async def test_a_retriever_picks_by_mmr_under_a_filter(filled):
    search = {"k": 3, "fetch_k": 20, "lambda_mult": 0.25, "filter": {"year": {"$gt": 1980}}}
    retriever = filled.as_retriever(search_type="mmr", search_kwargs=search)
    found = retriever.invoke("desert planet")
    assert found[0].id == "dune"
    assert sorted(ids(found)) == ["brazil", "contact", "dune"]
    assert found == await retriever.ainvoke("desert planet")


def test_a_retriever_writes_too(filled):
    retriever = filled.as_retriever()
    retriever.add_documents(retriever.invoke("spice", k=1))
    assert filled.count() == 4


@pytest.mark.parametrize("search_type", ["similarity", "mmr", "similarity_score_threshold"])
async def test_search_knows_every_search_type(filled, search_type):
    query = "A desert planet in space and its spice"
    options = {"score_threshold": 0.8} if search_type == "similarity_score_threshold" else {"k": 1}
    assert ids(filled.search(query, search_type, **options)) == ["dune"]
    assert ids(await filled.asearch(query, search_type, **options)) == ["dune"]


def test_search_refuses_other_search_types(filled):
    with pytest.raises(ValueError, match="search_type of telepathy not allowed"):
        filled.search("x", "telepathy")


def test_a_retriever_is_configured_at_run_time(filled):
    retriever = filled.as_retriever(search_kwargs={"k": 1}).configurable_fields(
        search_kwargs=ConfigurableField(id="search_kwargs")
    )
    config = {"configurable": {"search_kwargs": {"k": 2}}}
    assert len(retriever.invoke("space")) == 1
    assert len(retriever.with_config(config).invoke("space")) == 2


def test_a_retriever_is_a_tool(filled):
    tool = create_retriever_tool(filled.as_retriever(search_kwargs={"k": 1}), "films", "Searches films.")
    assert tool.invoke({"query": "desert planet spice"}) == "A desert planet in space and its spice"


def test_examples_are_selected_by_meaning(embedding):
    examples = [{"input": "cold", "output": "hot"}, {"input": "tall man", "output": "short man"}]
    for selector in (SemanticSimilarityExampleSelector, MaxMarginalRelevanceExampleSelector):
        chosen = selector.from_examples(examples, embedding, VicinalVectorStore, k=1)
        assert chosen.select_examples({"input": "tall man"}) == [examples[1]]
        chosen.add_example({"input": "old man", "output": "young man"})
        assert chosen.vectorstore.count() == 3
