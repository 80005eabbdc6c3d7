"""Async methods await the embedding model and never run the engine on the event loop's thread."""

import asyncio
import inspect
import threading

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

import vicinal
from langchain_vicinal import VicinalVectorStore
from vicinal.testing import HashEmbeddingFunction

HASH = HashEmbeddingFunction()
VECTOR = HASH(["space"])[0].tolist()


class AwaitedOnly(Embeddings):
    """Cannot embed but asynchronously, and yields to the loop while it does."""

    awaited = 0

    def embed_documents(self, texts):
        raise AssertionError("embedded synchronously")

    def embed_query(self, text):
        raise AssertionError("embedded synchronously")

    async def aembed_documents(self, texts):
        self.awaited += 1
        await asyncio.sleep(0)
        return HASH(texts)

    async def aembed_query(self, text):
        return (await self.aembed_documents([text]))[0].tolist()

    async def aembed_image(self, uris):
        return await self.aembed_documents(uris)


@pytest.fixture
async def store(films):
    return await VicinalVectorStore.afrom_documents(films, AwaitedOnly())


@pytest.fixture
def engine_threads(store, monkeypatch):
    """The threads on which the engine's collection is used."""
    threads = []

    def recorded(method):
        def call(*args, **kwargs):
            threads.append(threading.get_ident())
            return method(*args, **kwargs)

        return call

    for name in ("upsert", "update", "delete", "get", "query", "count"):
        monkeypatch.setattr(vicinal.Collection, name, recorded(getattr(vicinal.Collection, name)))
    return threads


EMBEDDING_CALLS = {
    "aadd_texts": lambda s: s.aadd_texts(iter(["new", "newer"]), batch_size=1),
    "aadd_documents": lambda s: s.aadd_documents([Document("new")]),
    "aupdate_document": lambda s: s.aupdate_document("dune", Document("sand")),
    "aupdate_documents": lambda s: s.aupdate_documents(["dune"], [Document("sand")]),
    "asimilarity_search": lambda s: s.asimilarity_search("space"),
    "asimilarity_search_with_score": lambda s: s.asimilarity_search_with_score("space"),
    "asimilarity_search_with_relevance_scores": lambda s: s.asimilarity_search_with_relevance_scores("space"),
    "amax_marginal_relevance_search": lambda s: s.amax_marginal_relevance_search("space"),
    "asearch": lambda s: s.asearch("space", "similarity"),
    "ainvoke": lambda s: s.as_retriever().ainvoke("space"),
    "hybrid": lambda s: s.asearch("space", "hybrid"),
    "ainvoke hybrid": lambda s: s.as_retriever(search_type="hybrid").ainvoke("space"),
    "mmr hybrid": lambda s: s.amax_marginal_relevance_search("space", mode="hybrid"),
}
OTHER_CALLS = {
    "text": lambda s: s.asearch("space", "text"),
    "ainvoke text": lambda s: s.as_retriever(search_type="text").ainvoke("space"),
    "mmr text": lambda s: s.amax_marginal_relevance_search("space", mode="text"),
    "relevance text": lambda s: s.asimilarity_search_with_relevance_scores("space", mode="text"),
    "adelete": lambda s: s.adelete(["dune"]),
    "adelete by filter": lambda s: s.adelete(filter={"genre": "sf"}),
    "aget_by_ids": lambda s: s.aget_by_ids(["dune"]),
    "aget": lambda s: s.aget(filter={"genre": "sf"}),
    "acount": lambda s: s.acount(),
    "aadd_embeddings": lambda s: s.aadd_embeddings(["x"], [VECTOR]),
    "aadd_texts with embeddings": lambda s: s.aadd_texts(["x"], embeddings=[VECTOR]),
    "asimilarity_search_by_vector": lambda s: s.asimilarity_search_by_vector(VECTOR),
    "asimilarity_search_with_score_by_vector": lambda s: s.asimilarity_search_with_score_by_vector(VECTOR),
    "by_vector_with_relevance": lambda s: s.asimilarity_search_by_vector_with_relevance_scores(VECTOR),
    "amax_marginal_relevance_search_by_vector": lambda s: s.amax_marginal_relevance_search_by_vector(VECTOR),
    "mmr_with_score": lambda s: s.amax_marginal_relevance_search_with_score_by_vector(VECTOR),
}


@pytest.mark.parametrize("call", EMBEDDING_CALLS.values(), ids=EMBEDDING_CALLS)
async def test_the_model_is_awaited_and_the_engine_runs_elsewhere(store, engine_threads, call):
    before = store.embeddings.awaited
    await call(store)
    assert store.embeddings.awaited > before
    assert engine_threads
    assert threading.get_ident() not in engine_threads


@pytest.mark.parametrize("call", OTHER_CALLS.values(), ids=OTHER_CALLS)
async def test_calls_without_text_run_elsewhere(store, engine_threads, call):
    await call(store)
    assert engine_threads
    assert threading.get_ident() not in engine_threads


READING_CALLS = {
    "aadd_texts": lambda s, read: s.aadd_texts(read("new")),
    "aadd_documents": lambda s, read: s.aadd_documents(read(Document("new"))),
    "aupdate_documents": lambda s, read: s.aupdate_documents(["dune"], read(Document("sand"))),
    "aadd_images": lambda s, read: s.aadd_images(read(__file__)),
    "afrom_documents": lambda s, read: s.afrom_documents(read(Document("new")), s.embeddings),
}


@pytest.mark.parametrize("call", READING_CALLS.values(), ids=READING_CALLS)
async def test_what_is_given_is_read_elsewhere(store, call):
    threads = []

    def read(item):
        threads.append(threading.get_ident())  # a loader opens its file here
        yield item

    await call(store, read)
    assert threads
    assert threading.get_ident() not in threads


async def test_async_results_are_the_sync_ones(films, embedding):
    store = await VicinalVectorStore.afrom_documents(films, embedding)
    assert await store.asimilarity_search("space", 3) == store.similarity_search("space", 3)
    assert await store.aget_by_ids(["dune", "alien"]) == store.get_by_ids(["dune", "alien"])
    assert await store.aget(limit=2) == store.get(limit=2)
    assert await store.acount() == store.count() == 4


def test_async_methods_take_the_arguments_of_the_sync_ones():
    def described(method):
        return [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]

    methods = dict(inspect.getmembers(VicinalVectorStore, callable))
    pairs = [(name, "a" + name) for name in methods if name[0] != "_" and "a" + name in methods]
    assert len(pairs) > 20
    for name, awaited in pairs:
        assert described(methods[awaited]) == described(methods[name]), awaited


SF, SPICE = {"genre": "sf"}, {"$contains": "spice"}
NARROW = [{"k": 1}, {"filter": SF}, {"where": SF}, {"where_document": SPICE}, {"ids": ["dune"]}]
MMR = [*NARROW, {"fetch_k": 1, "k": 1, "lambda_mult": 0.0}, {"lambda_mult": 0.0}]
DISTANCE = {"return_distance": True}
SEARCHES = {
    "similarity_search": NARROW,
    "similarity_search_with_score": [*NARROW, DISTANCE],
    "similarity_search_with_relevance_scores": [*NARROW, {"score_threshold": 0.5}],
    "similarity_search_with_vectors": NARROW,
    "max_marginal_relevance_search": MMR,
    "similarity_search_by_vector": NARROW,
    "similarity_search_with_score_by_vector": [*NARROW, DISTANCE],
    "similarity_search_by_vector_with_relevance_scores": NARROW,
    "max_marginal_relevance_search_by_vector": MMR,
    "max_marginal_relevance_search_with_score_by_vector": [*MMR, DISTANCE],
}


@pytest.mark.parametrize("method", SEARCHES)
async def test_what_a_search_is_given_counts_when_it_is_awaited(films, embedding, method):
    store = VicinalVectorStore.from_documents(films, embedding)
    query = VECTOR if "by_vector" in method else "space"
    search, awaited = getattr(store, method), getattr(store, f"a{method}")
    for options in SEARCHES[method]:
        found = str(search(query, **options))
        assert found != str(search(query))
        assert str(await awaited(query, **options)) == found


TWO = [Document("x", metadata={"n": 1}), Document("y")]
WRITES = [
    ("add_texts", (["x", "y"], [{"n": 1}, {}], ["1", "2"]), {"embeddings": [VECTOR] * 2, "batch_size": 1}),
    ("add_texts", (["x", "y"],), {"ids": ["1", "2"], "batch_size": 1}),
    ("add_documents", (TWO, ["1", "2"]), {"embeddings": [VECTOR] * 2, "batch_size": 1}),
    ("add_documents", (TWO, ["1", "2"]), {"batch_size": 1}),
    ("add_embeddings", (["x"], [VECTOR]), {"metadatas": [{"n": 1}], "ids": ["1"]}),
    ("update_documents", (["dune"], TWO[:1]), {}),
    ("update_documents", (), {"document_id": "dune", "document": TWO[0]}),
    ("update_document", ("dune", TWO[0]), {}),
    ("delete", (["dune"],), {}),
    ("delete", (), {"filter": SF}),
    ("delete", (), {"where": SF}),
    ("delete", (), {"where_document": SPICE}),
]


@pytest.mark.parametrize(("method", "args", "options"), WRITES)
async def test_what_a_write_is_given_counts_when_it_is_awaited(films, embedding, method, args, options):
    stores = [VicinalVectorStore.from_documents(films, embedding) for _ in range(2)]
    told = [[], []]
    both = [{**options, "progress": lambda *step, steps=steps: steps.append(step)} for steps in told]
    both = both if "batch_size" in options else [options, options]
    answer = getattr(stores[0], method)(*args, **both[0])
    assert await getattr(stores[1], f"a{method}")(*args, **both[1]) == answer
    assert told[0] == told[1] == ([(1, 2), (2, 2)] if "batch_size" in options else [])
    there = [store.get(include=("metadatas", "documents", "embeddings")) for store in stores]
    assert str(there[0]) == str(there[1])
    assert stores[0].get() != VicinalVectorStore.from_documents(films, embedding).get()


GETS = [
    (["dune"],),
    (None, SF),
    (None, None, 2),
    (None, None, None, 2),
    (None, None, None, None, SPICE),
    (None, None, None, None, None, ["uris"]),
]


async def test_what_get_is_given_counts_when_it_is_awaited(films, embedding):
    store = VicinalVectorStore.from_documents(films, embedding)
    for given in GETS:
        assert store.get() != store.get(*given) == await store.aget(*given), given
    assert await store.aget(filter=SF) == store.get(where=SF)


MADE = {
    "texts": (["x", "y"], [{"n": 1}, {}], ["1", "2"]),
    "documents": (TWO, ["1", "2"]),
    "embeddings": ([("x", VECTOR), ("y", VECTOR)], [{"n": 1}, {}], ["1", "2"]),
}


@pytest.mark.parametrize("kind", MADE)
async def test_what_a_store_is_made_of_counts_when_it_is_awaited(embedding, kind):
    given, *columns = MADE[kind]
    options = {"collection_name": "abc"}
    told = []
    if kind != "embeddings":
        options |= {"batch_size": 1, "progress": lambda *step: told.append(step)}
    store = getattr(VicinalVectorStore, f"from_{kind}")(given, embedding, *columns, **options)
    other = await getattr(VicinalVectorStore, f"afrom_{kind}")(given, embedding, *columns, **options)
    assert told == ([] if kind == "embeddings" else [(1, 2), (2, 2)] * 2)
    for made in (store, other):
        assert made.embeddings is embedding
        assert made.collection.name == "abc"
        assert (made.get()["ids"], made.get()["metadatas"]) == (["1", "2"], [{"n": 1}, {}])


async def test_texts_make_a_store(embedding):
    store = await VicinalVectorStore.afrom_texts(iter(["a", "b"]), embedding, [{"n": 1}, {}], ids=["1", "2"])
    assert await store.aget_by_ids(["1"]) == [Document("a", id="1", metadata={"n": 1})]


async def test_writes_and_searches_at_the_same_time_all_succeed(store):
    writes = [store.aadd_texts([f"star {i}"], ids=[f"star {i}"]) for i in range(30)]
    searches = [store.asimilarity_search("space", k=2) for _ in range(30)]
    found = (await asyncio.gather(*writes, *searches))[30:]
    assert await store.acount() == 34
    assert all(len(documents) == 2 for documents in found)


async def test_a_collection_is_dropped_and_made_anew(store):
    await store.areset_collection()
    assert await store.acount() == 0
    await store.adelete_collection()
    with pytest.raises(KeyError):
        await store.acount()


async def test_errors_come_through(store):
    with pytest.raises(ValueError, match="k: expected at least 0"):
        await store.asimilarity_search("space", k=-1)
    with pytest.raises(ValueError, match=r'where\["a"\]\["\$near"\]'):
        await store.asimilarity_search("space", filter={"a": {"$near": 1}})
