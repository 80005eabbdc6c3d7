"""Every retriever of LangChain's that is built on a vector store works on this one, sync and async."""

from datetime import datetime, timedelta

import pytest
from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_classic.retrievers import (
    ContextualCompressionRetriever,
    EnsembleRetriever,
    MergerRetriever,
    MultiQueryRetriever,
    MultiVectorRetriever,
    ParentDocumentRetriever,
    RePhraseQueryRetriever,
    TimeWeightedVectorStoreRetriever,
)
from langchain_classic.retrievers.multi_vector import SearchType
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.tools import create_retriever_tool
from langchain_tests.integration_tests import RetrieversIntegrationTests
from langchain_text_splitters import CharacterTextSplitter

from langchain_vicinal import VicinalByteStore, VicinalEmbeddings, VicinalVectorStore
from vicinal.testing import HashEmbeddingFunction


class TestStandard(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self):
        return filled_retriever

    @property
    def retriever_constructor_params(self):
        return {}

    @property
    def retriever_query_example(self):
        return "space"


def filled_retriever(k=4):
    store = VicinalVectorStore.from_texts(
        [f"space {i}" for i in range(9)], VicinalEmbeddings(HashEmbeddingFunction())
    )
    return store.as_retriever(search_kwargs={"k": k})


@pytest.fixture
def filled(store, films):
    store.add_documents(films)
    return store


@pytest.fixture
def byte_store(tmp_path):
    with_path = VicinalByteStore(path=tmp_path / "vicinal")
    yield with_path
    with_path.close()


async def both(retriever, query, **options):
    """What a retriever finds, after making sure that it finds the same asynchronously."""
    found = retriever.invoke(query, **options)
    assert await retriever.ainvoke(query, **options) == found
    return found


def ids(documents):
    return [document.id for document in documents]


BOOKS = [
    Document("desert planet. spice and worms. houses at war.", metadata={"title": "Dune"}),
    Document("a ship answers. a creature comes aboard.", metadata={"title": "Alien"}),
]


async def test_parents_are_found_by_their_parts(store, byte_store):
    retriever = ParentDocumentRetriever(
        vectorstore=store,
        byte_store=byte_store,
        child_splitter=CharacterTextSplitter(separator=".", chunk_size=20, chunk_overlap=0),
        search_kwargs={"k": 2},
    )
    retriever.add_documents(BOOKS[:1])
    await retriever.aadd_documents(BOOKS[1:])
    assert store.count() == 5
    assert (await both(retriever, "creature aboard"))[0] == BOOKS[1]
    assert len(list(byte_store.yield_keys())) == 2


@pytest.mark.parametrize("search_type", ["similarity", "mmr", "similarity_score_threshold"])
async def test_documents_are_found_by_any_of_their_vectors(store, byte_store, search_type):
    retriever = MultiVectorRetriever(
        vectorstore=store,
        byte_store=byte_store,
        search_type=SearchType(search_type),
        search_kwargs={"score_threshold": 0.1} if search_type == "similarity_score_threshold" else {"k": 2},
    )
    questions = [
        Document("where are worms", metadata={"doc_id": "0"}),
        Document("who comes aboard", metadata={"doc_id": "1"}),
    ]
    retriever.vectorstore.add_documents(questions)
    retriever.docstore.mset([("0", BOOKS[0]), ("1", BOOKS[1])])
    assert (await both(retriever, "where are worms"))[0] == BOOKS[0]


async def test_several_wordings_are_searched_for(filled):
    model = FakeListChatModel(responses=["desert planet spice\ncity of paper"])
    retriever = MultiQueryRetriever.from_llm(filled.as_retriever(search_kwargs={"k": 1}), llm=model)
    assert sorted(ids(await both(retriever, "anything"))) == ["brazil", "dune"]


async def test_a_question_is_searched_for_in_other_words(filled):
    model = FakeListChatModel(responses=["desert planet spice"])
    retriever = RePhraseQueryRetriever.from_llm(filled.as_retriever(search_kwargs={"k": 1}), llm=model)
    assert ids(retriever.invoke("a book, please")) == ["dune"]


async def test_what_was_used_lately_comes_first(store):
    retriever = TimeWeightedVectorStoreRetriever(vectorstore=store, decay_rate=0.9, k=1)
    long_ago = datetime.now() - timedelta(days=30)
    retriever.add_documents([Document("space old", metadata={"last_accessed_at": long_ago})])
    await retriever.aadd_documents([Document("space new")])
    assert [d.page_content for d in retriever.invoke("space old")] == ["space new"]
    assert [d.page_content for d in await retriever.ainvoke("space old")] == ["space new"]


@pytest.mark.parametrize("id_key", [None, "key"])
async def test_retrievers_are_fused(open_store, embedding, films, id_key):
    filled = open_store("directory", embedding)  # which several threads search at a time
    for film in films:
        film.metadata["key"] = film.id
    filled.add_documents(films)
    space = filled.as_retriever(search_kwargs={"k": 3, "filter": {"genre": "sf"}})
    old = filled.as_retriever(search_type="mmr", search_kwargs={"k": 2, "filter": {"year": {"$lt": 1985}}})
    retriever = EnsembleRetriever(retrievers=[space, old], weights=[0.5, 0.5], id_key=id_key)
    found = await both(retriever, "desert planet spice")
    assert ids(found)[0] == "dune"
    assert sorted(ids(found)) == ["alien", "contact", "dune"]


async def test_retrievers_are_merged(filled):
    parts = [filled.as_retriever(search_kwargs={"k": 1, "filter": {"genre": g}}) for g in ("sf", "horror")]
    assert ids(await both(MergerRetriever(retrievers=parts), "desert planet spice")) == ["dune", "alien"]


class Recent(BaseDocumentCompressor):
    def compress_documents(self, documents, query, callbacks=None):
        return [document for document in documents if document.metadata["year"] > 1984]


async def test_what_was_found_is_compressed(filled):
    retriever = ContextualCompressionRetriever(base_compressor=Recent(), base_retriever=filled.as_retriever())
    assert sorted(ids(await both(retriever, "space"))) == ["brazil", "contact"]


async def test_an_agents_tool_gives_text_and_documents(filled):
    retriever = filled.as_retriever(search_kwargs={"k": 1})
    tool = create_retriever_tool(retriever, "films", "Finds films.", response_format="content_and_artifact")
    call = {"name": "films", "args": {"query": "desert planet spice"}, "id": "1", "type": "tool_call"}
    for message in (tool.invoke(call), await tool.ainvoke(call)):
        assert message.content == "A desert planet in space and its spice"
        assert ids(message.artifact) == ["dune"]


class Counted(VicinalEmbeddings):
    texts = 0

    def embed_documents(self, texts):
        self.texts += len(texts)
        return super().embed_documents(texts)


async def test_embeddings_are_cached_in_bytes(byte_store):
    model = Counted(HashEmbeddingFunction())
    cached = CacheBackedEmbeddings.from_bytes_store(
        model, byte_store, namespace="hash/", key_encoder="blake2b", query_embedding_cache=True
    )
    first = VicinalVectorStore.from_texts(["a", "b"], cached)
    assert model.texts == 2
    again = await VicinalVectorStore.afrom_texts(["a", "b"], cached)
    assert model.texts == 2
    assert first.similarity_search_with_score("a", 1)[0][1] == pytest.approx(1)
    assert again.count() == 2
    assert len(list(byte_store.yield_keys(prefix="hash/"))) == 2
