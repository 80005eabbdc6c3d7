"""What LlamaIndex builds on a vector store works on this one: indexes, pipelines, memory …"""

import json

import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.indices.vector_store import VectorIndexAutoRetriever
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.memory import ChatMemoryBuffer, VectorMemory, VectorMemoryBlock
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.schema import Document, ImageNode, IndexNode, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    MetadataInfo,
    VectorStoreInfo,
)

SPACE = MetadataFilters(filters=[MetadataFilter(key="tags", value="space", operator=FilterOperator.CONTAINS)])


def found(retriever, text="space"):
    return [each.node.ref_doc_id or each.node_id for each in retriever.retrieve(text)]


# --- indexes ------------------------------------------------------------------------------------


def test_an_index_of_documents_answers_after_reopening(store, films, embedder, reopen):
    context = StorageContext.from_defaults(vector_store=store)
    VectorStoreIndex.from_documents(films, storage_context=context, embed_model=embedder)
    index = VectorStoreIndex.from_vector_store(reopen(store), embed_model=embedder)
    assert found(index.as_retriever(similarity_top_k=1), "a radio signal from space") == ["contact"]


async def test_an_index_is_built_and_asked_asynchronously(store, films, embedder):
    index = VectorStoreIndex.from_vector_store(store, embed_model=embedder)
    for film in films:
        await index.ainsert(film)
    answer = await index.as_retriever(similarity_top_k=1).aretrieve("a desert planet")
    assert [each.node.ref_doc_id for each in answer] == ["dune"]


def test_a_retriever_filters(film_index):
    assert sorted(found(film_index.as_retriever(similarity_top_k=9, filters=SPACE))) == [
        "alien",
        "contact",
        "dune",
    ]


def test_a_retriever_is_restricted_to_documents(film_index):
    assert found(film_index.as_retriever(similarity_top_k=9, doc_ids=["dune"])) == ["dune"]


def test_a_retriever_returns_whole_nodes_with_scores(film_index):
    (best,) = film_index.as_retriever(similarity_top_k=1).retrieve("A desert planet and its spice")
    assert best.score > 0.5
    assert (best.node.metadata["year"], best.node.text) == (1984, "A desert planet and its spice")
    assert best.node.source_node.hash is not None


def test_a_retriever_takes_mmr_with_its_threshold(film_index):
    def ask(threshold):
        keywords = {"mmr_threshold": threshold, "mmr_prefetch_k": 4}
        retriever = film_index.as_retriever(
            vector_store_query_mode="mmr", similarity_top_k=4, vector_store_kwargs=keywords
        )
        return found(retriever, "A signal from space")

    assert ask(1) == found(film_index.as_retriever(similarity_top_k=4), "A signal from space")
    assert ask(0) != ask(1)


@pytest.mark.parametrize("mode", ["linear_regression", "semantic_hybrid"])
def test_a_retriever_says_what_it_cannot_do(film_index, mode):
    with pytest.raises(NotImplementedError, match=mode):
        found(film_index.as_retriever(vector_store_query_mode=mode))


@pytest.mark.parametrize("mode", ["svm", "logistic_regression"])
def test_a_retriever_learns(film_index, mode):
    retriever = film_index.as_retriever(vector_store_query_mode=mode, similarity_top_k=2)
    assert found(retriever, "A desert planet and its spice")[0] == "dune"


def test_a_query_engine_answers_from_the_filtered_nodes(film_index):
    engine = film_index.as_query_engine(llm=MockLLM(), similarity_top_k=9, filters=SPACE)
    response = engine.query("space")
    assert {node.node.ref_doc_id for node in response.source_nodes} == {"alien", "contact", "dune"}
    assert "desert planet" in str(response)


async def test_a_query_engine_answers_asynchronously(film_index):
    engine = film_index.as_query_engine(llm=MockLLM(), similarity_top_k=1)
    assert "radio" in str(await engine.aquery("a radio signal"))


def test_a_chat_engine_answers(film_index):
    memory = ChatMemoryBuffer.from_defaults(llm=MockLLM())  # the default leaves a connection open
    engine = film_index.as_chat_engine(chat_mode="context", llm=MockLLM(), memory=memory, similarity_top_k=1)
    response = engine.chat("a radio signal")
    assert [each.node.ref_doc_id for each in response.source_nodes] == ["contact"]


def test_a_similarity_cutoff_works_on_the_scores(film_index):
    nodes = film_index.as_retriever(similarity_top_k=4).retrieve("A desert planet and its spice")
    kept = SimilarityPostprocessor(similarity_cutoff=0.5).postprocess_nodes(nodes)
    assert [each.node.ref_doc_id for each in kept] == ["dune"]


def test_an_auto_retriever_filters_with_what_the_model_says(film_index, canned):
    chosen = [
        {"key": "tags", "value": ["space", "satire"], "operator": "any"},
        {"key": "year", "value": 1985, "operator": "<"},
    ]
    spec = {"query": "space", "filters": chosen, "top_k": 5}
    about = VectorStoreInfo(
        content_info="films",
        metadata_info=[MetadataInfo(name="year", type="int", description="its year")],
    )
    llm = canned(f"```json\n{json.dumps(spec)}\n```")
    retriever = VectorIndexAutoRetriever(film_index, about, llm=llm, max_top_k=5)
    assert sorted(found(retriever)) == ["alien", "dune"]


# --- mixed nodes --------------------------------------------------------------------------------


def mixed(embedder):
    nodes = [
        TextNode(id_="text", text="deep space"),
        IndexNode(id_="index", text="space index", index_id="other"),
        ImageNode(id_="image", text="space image", image="aGVsbG8="),
    ]
    for each in nodes:
        each.embedding = embedder.get_text_embedding(each.text)
    return nodes


def test_as_index_searches_all_nodes_of_a_mixed_store(store, embedder):
    index = store.as_index(embedder)
    index.insert_nodes(mixed(embedder))
    nodes = index.as_retriever(similarity_top_k=9).retrieve("space")
    assert {type(each.node) for each in nodes} == {TextNode, ImageNode, IndexNode}


def test_as_index_still_takes_node_ids(store, embedder):
    index = store.as_index(embedder)
    index.insert_nodes(mixed(embedder))
    assert found(index.as_retriever(similarity_top_k=9, node_ids=["image"])) == ["image"]


def test_a_plain_index_restricts_itself_to_the_nodes_that_it_knows(store, embedder):
    """The reason for as_index(): should this fail, LlamaIndex has repaired it."""
    index = VectorStoreIndex.from_vector_store(store, embed_model=embedder)
    index.insert_nodes(mixed(embedder))
    assert sorted(found(index.as_retriever(similarity_top_k=9))) == ["image", "index"]


# --- deleting and refreshing --------------------------------------------------------------------


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_index_deletes_documents(film_index, asynchronous):
    if asynchronous:
        await film_index.adelete_ref_doc("dune", delete_from_docstore=True)
    else:
        film_index.delete_ref_doc("dune", delete_from_docstore=True)
    left = found(film_index.as_retriever(similarity_top_k=9))
    assert sorted(left) == ["alien", "brazil", "contact"]


def test_an_index_deletes_nodes(film_index, store):
    node = store.get_nodes()[0]
    film_index.delete_nodes([node.node_id])
    assert len(store.get_nodes()) == 3


def test_refreshing_replaces_what_changed_and_adds_what_is_new(film_index, films, store):
    films[0].set_content("A crew meets nothing")
    films.append(Document(id_="eraser", text="A man erases names"))
    assert film_index.refresh_ref_docs(films) == [True, False, False, False, True]
    texts = {node.text for node in store.get_nodes()}
    assert len(texts) == 5
    assert "A crew meets nothing" in texts


# --- pipelines ----------------------------------------------------------------------------------


def pipeline(store, embedder, strategy, split=True):
    return IngestionPipeline(
        transformations=[*([SentenceSplitter()] if split else []), embedder],
        vector_store=store,
        docstore=SimpleDocumentStore(),
        docstore_strategy=strategy,
    )


@pytest.mark.parametrize("strategy", DocstoreStrategy)
def test_a_pipeline_run_twice_stores_everything_once(store, films, embedder, strategy):
    pipe = pipeline(store, embedder, strategy)
    assert [len(pipe.run(documents=films)) for _ in range(2)] == [4, 0]
    assert len(store.get_nodes()) == 4


@pytest.mark.parametrize("split", [True, False])
def test_a_pipeline_replaces_changed_documents_and_deletes_missing_ones(store, films, embedder, split):
    pipe = pipeline(store, embedder, DocstoreStrategy.UPSERTS_AND_DELETE, split)
    pipe.run(documents=films)
    changed = [Document(id_="alien", text="A crew meets nothing"), *films[1:3]]
    assert len(pipe.run(documents=changed)) == 1
    stored = {node.ref_doc_id or node.node_id: node.get_content() for node in store.get_nodes()}
    assert sorted(stored) == ["alien", "brazil", "contact"]
    assert stored["alien"] == "A crew meets nothing"


async def test_a_pipeline_runs_asynchronously(store, films, embedder):
    pipe = pipeline(store, embedder, DocstoreStrategy.UPSERTS)
    assert [len(await pipe.arun(documents=films)) for _ in range(2)] == [4, 0]
    assert len(store.get_nodes()) == 4


def test_a_splitter_makes_linked_chunks_that_come_back_whole(store, embedder):
    text = "The quick brown fox jumps over the lazy dog. " * 40
    split = SentenceSplitter(
        chunk_size=64, chunk_overlap=8, chunking_tokenizer_fn=lambda text: text.split(". ")
    )
    nodes = split([Document(id_="d", text=text)])
    store.add(embedder(nodes))
    assert len(nodes) > 3
    stored = {node.node_id: node for node in store.get_nodes()}
    whole = [node.model_copy(update={"embedding": None}) for node in nodes]
    assert [stored[node.node_id] for node in nodes] == whole


# --- persistence, memory --------------------------------------------------------------------------


def test_a_storage_context_persists_beside_the_store(film_index, tmp_path):
    film_index.storage_context.persist(str(tmp_path / "context"))
    written = sorted(path.name for path in (tmp_path / "context").iterdir())
    assert "docstore.json" in written
    assert not [name for name in written if "default__vector_store" in name]


def test_vector_memory_remembers_and_forgets(store, embedder):
    memory = VectorMemory.from_defaults(
        vector_store=store, embed_model=embedder, retriever_kwargs={"similarity_top_k": 1}
    )
    assert memory.get("anything") == []
    said = ("I like jazz", "My cat is grey")
    memory.set([ChatMessage(role="user", content=text) for text in said])
    assert [message.content for message in memory.get("my cat")] == ["My cat is grey"]
    memory.reset()
    assert memory.get("my cat") == []
    memory.put(ChatMessage(role="user", content="A new start"))
    assert [message.content for message in memory.get("start")] == ["A new start"]


async def test_a_vector_memory_block_keeps_sessions_apart(store, embedder):
    block = VectorMemoryBlock(vector_store=store, embed_model=embedder)
    for session, text in (("s1", "my cat is grey"), ("s2", "my cat is black")):
        message = ChatMessage(role="user", content=text)
        await block.aput([message], from_short_term_memory=True, session_id=session)
    question = ChatMessage(role="user", content="what colour is my cat")
    text = await block.aget([question], session_id="s1")
    assert "grey" in str(text)
    assert "black" not in str(text)
