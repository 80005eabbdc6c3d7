"""LlamaIndex's retrievers, engines and tools that stand on others' retrievers stand on ours too."""

import json

import pytest
from llama_index.core import StorageContext, SummaryIndex, VectorStoreIndex
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.llms import MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import (
    HierarchicalNodeParser,
    SentenceSplitter,
    SentenceWindowNodeParser,
    get_leaf_nodes,
)
from llama_index.core.postprocessor import MetadataReplacementPostProcessor, PrevNextNodePostprocessor
from llama_index.core.query_engine import (
    CitationQueryEngine,
    RetrieverQueryEngine,
    RouterQueryEngine,
    SubQuestionQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.retrievers import (
    AutoMergingRetriever,
    QueryFusionRetriever,
    RecursiveRetriever,
    RouterRetriever,
    TransformRetriever,
    VectorIndexRetriever,
)
from llama_index.core.schema import Document, IndexNode, QueryBundle, TextNode
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.tools import QueryEngineTool, RetrieverTool

DESERT = "A desert planet and its spice"
SENTENCES = [f"This sentence speaks of {word}." for word in ("apples", "pears", "plums", "figs")]


def words(text: str) -> list[str]:
    return [part + "." for part in text.split(".") if part.strip()]


# --- fusion, routing, transformation -----------------------------------------------------------


@pytest.mark.parametrize("mode", ["reciprocal_rerank", "relative_score", "dist_based_score", "simple"])
async def test_a_fusion_retriever_fuses_in_every_mode(film_index, sources, mode):
    parts = [
        film_index.as_retriever(similarity_top_k=3),
        film_index.as_retriever(similarity_top_k=3, vector_store_query_mode="mmr"),
    ]
    fused = QueryFusionRetriever(
        parts, llm=MockLLM(), num_queries=1, mode=mode, use_async=False, similarity_top_k=2
    )
    assert sources(fused.retrieve(DESERT))[0] == "dune"
    assert sources(await fused.aretrieve(DESERT))[0] == "dune"


def test_a_fusion_retriever_asks_what_the_model_adds(film_index, canned, sources):
    llm = canned("a crew meets a creature\na clerk dreams in a city of paper forms")
    parts = [film_index.as_retriever(similarity_top_k=1)]
    fused = QueryFusionRetriever(parts, llm=llm, num_queries=3, use_async=False, similarity_top_k=9)
    assert set(sources(fused.retrieve(DESERT))) == {"dune", "alien", "brazil"}


def test_a_router_chooses_the_retriever(film_index, canned, sources):
    choice = canned(json.dumps([{"choice": 2, "reason": "old"}]))
    tools = [
        RetrieverTool.from_defaults(film_index.as_retriever(doc_ids=[id]), description=id)
        for id in ("alien", "dune")
    ]
    router = RouterRetriever(LLMSingleSelector.from_defaults(llm=choice), tools, llm=choice)
    assert sources(router.retrieve("anything")) == ["dune"]


def test_a_router_mixes_with_an_index_that_is_none_of_ours(film_index, films, canned):
    summary = SummaryIndex.from_documents(films)
    engines = [film_index.as_query_engine(llm=MockLLM()), summary.as_query_engine(llm=MockLLM())]
    tools = [QueryEngineTool.from_defaults(engine, description="films") for engine in engines]
    for choice, count in ((1, 2), (2, 4)):
        llm = canned(json.dumps([{"choice": choice, "reason": ""}]))
        router = RouterQueryEngine(LLMSingleSelector.from_defaults(llm=llm), tools, llm=llm)
        assert len(router.query(DESERT).source_nodes) == count


def test_a_query_is_transformed_before_it_is_asked(film_index, canned, sources):
    hyde = HyDEQueryTransform(llm=canned(DESERT), include_original=False)
    transformed = TransformRetriever(film_index.as_retriever(similarity_top_k=1), hyde)
    assert sources(transformed.retrieve("sand")) == ["dune"]
    engine = TransformQueryEngine(film_index.as_query_engine(llm=MockLLM(), similarity_top_k=1), hyde)
    assert sources(engine.query("sand").source_nodes) == ["dune"]


def test_questions_are_split_and_asked_one_by_one(film_index, canned, sources):
    plan = {"items": [{"sub_question": DESERT, "tool_name": "films"}]}
    tool = QueryEngineTool.from_defaults(
        film_index.as_query_engine(llm=MockLLM(), similarity_top_k=1), name="films", description="films"
    )
    engine = SubQuestionQueryEngine.from_defaults(
        [tool],
        llm=MockLLM(),
        question_gen=LLMQuestionGenerator.from_defaults(llm=canned(f"```json\n{json.dumps(plan)}\n```")),
        use_async=False,
    )
    assert "dune" in sources(engine.query("what is dune about").source_nodes)


# --- from small to large -----------------------------------------------------------------------


def test_a_recursive_retriever_follows_index_nodes(store, embedder):
    index = store.as_index(embedder)
    index.insert_nodes(
        [
            IndexNode(id_="pointer", text="plums", index_id="whole"),
            TextNode(id_="other", text="pears"),
        ]
    )
    whole = TextNode(id_="whole", text="All about fruit")
    retriever = RecursiveRetriever(
        "root",
        retriever_dict={"root": index.as_retriever(similarity_top_k=1)},
        node_dict={"whole": whole},
    )
    assert [each.node.text for each in retriever.retrieve("plums")] == ["All about fruit"]
    assert [each.node.text for each in retriever.retrieve("pears")] == ["pears"]


def test_objects_of_index_nodes_are_retrieved_in_their_place(store, embedder):
    inner = SummaryIndex(nodes=[TextNode(text="the inside")]).as_retriever()
    index = VectorStoreIndex(
        objects=[IndexNode(id_="i", text="plums", index_id="i", obj=inner)],
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=embedder,
    )
    found = index.as_retriever(similarity_top_k=1).retrieve("plums")
    assert [each.node.text for each in found] == ["the inside"]


def test_an_auto_merging_retriever_merges_leaves_into_their_parent(store, embedder):
    parser = HierarchicalNodeParser.from_defaults(
        node_parser_ids=["large", "small"],
        node_parser_map={
            "large": SentenceSplitter(chunk_size=200, chunk_overlap=0, chunking_tokenizer_fn=words),
            "small": SentenceSplitter(chunk_size=20, chunk_overlap=0, chunking_tokenizer_fn=words),
        },
    )
    nodes = parser.get_nodes_from_documents([Document(id_="d", text=" ".join(SENTENCES))])
    leaves = get_leaf_nodes(nodes)
    storage = StorageContext.from_defaults(vector_store=store, docstore=SimpleDocumentStore())
    storage.docstore.add_documents(nodes)
    index = VectorStoreIndex(leaves, storage_context=storage, embed_model=embedder)
    merging = AutoMergingRetriever(index.as_retriever(similarity_top_k=9), storage)
    assert len(leaves) > 1
    assert [each.node.text for each in merging.retrieve("apples")] == [" ".join(SENTENCES)]


def test_a_window_of_sentences_takes_the_place_of_one(store, embedder):
    parser = SentenceWindowNodeParser.from_defaults(window_size=1, sentence_splitter=words)
    nodes = parser.get_nodes_from_documents([Document(text="".join(SENTENCES))])
    index = store.as_index(embedder)
    index.insert_nodes(nodes)
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("pears")
    replaced = MetadataReplacementPostProcessor("window").postprocess_nodes([found])
    assert "apples" in replaced[0].node.text
    assert "plums" in replaced[0].node.text


def test_neighbours_are_fetched_by_their_relations(store, embedder):
    split = SentenceSplitter(chunk_size=20, chunk_overlap=0, chunking_tokenizer_fn=words)
    nodes = split.get_nodes_from_documents([Document(text=" ".join(SENTENCES))])
    docstore = SimpleDocumentStore()
    docstore.add_documents(nodes)
    index = store.as_index(embedder)
    index.insert_nodes(nodes)
    found = index.as_retriever(similarity_top_k=1).retrieve("apples")
    wider = PrevNextNodePostprocessor(docstore=docstore, num_nodes=1, mode="next").postprocess_nodes(found)
    assert [each.node_id for each in wider] == [node.node_id for node in nodes[:2]]


# --- engines and tools -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["context", "condense_question", "condense_plus_context"])
def test_a_chat_engine_answers_in_every_mode_that_retrieves(film_index, canned, sources, mode):
    memory = ChatMemoryBuffer.from_defaults(llm=MockLLM())  # the default leaves a connection open
    engine = film_index.as_chat_engine(chat_mode=mode, llm=canned(DESERT), memory=memory, similarity_top_k=1)
    for message in (DESERT, DESERT):
        response = engine.chat(message)
    assert sources(response.source_nodes) == ["dune"]


async def test_a_chat_engine_answers_asynchronously(film_index, canned, sources):
    memory = ChatMemoryBuffer.from_defaults(llm=MockLLM())
    engine = film_index.as_chat_engine(
        chat_mode="context", llm=canned("x"), memory=memory, similarity_top_k=1
    )
    assert sources((await engine.achat(DESERT)).source_nodes) == ["dune"]


def test_a_streaming_engine_streams(film_index):
    engine = film_index.as_query_engine(llm=MockLLM(), streaming=True, similarity_top_k=1)
    assert "spice" in "".join(engine.query(DESERT).response_gen)


@pytest.mark.parametrize("mode", ["refine", "compact", "tree_summarize", "accumulate", "simple_summarize"])
def test_every_way_to_answer_gets_the_sources(film_index, sources, mode):
    engine = film_index.as_query_engine(llm=MockLLM(), response_mode=mode, similarity_top_k=2)
    assert sources(engine.query(DESERT).source_nodes)[0] == "dune"


def test_a_citation_engine_cites(film_index, sources):
    engine = CitationQueryEngine.from_args(film_index, llm=MockLLM(), similarity_top_k=2)
    assert sources(engine.query(DESERT).source_nodes)[0] == "dune"


def test_a_tool_retrieves_for_an_agent(film_index):
    tool = RetrieverTool.from_defaults(film_index.as_retriever(similarity_top_k=1), description="films")
    assert "spice" in str(tool.call(DESERT))


async def test_a_tool_answers_for_an_agent_asynchronously(film_index):
    engine = film_index.as_query_engine(llm=MockLLM(), similarity_top_k=1)
    answer = await QueryEngineTool.from_defaults(engine, description="films").acall(DESERT)
    assert "spice" in str(answer)


def test_a_retriever_takes_a_query_with_its_own_embedding(film_index, embedder, sources):
    retriever = VectorIndexRetriever(film_index, similarity_top_k=1)
    asked = QueryBundle("nothing", embedding=embedder.get_text_embedding(DESERT))
    assert sources(retriever.retrieve(asked)) == ["dune"]
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM())
    assert sources(engine.query(asked).source_nodes) == ["dune"]
