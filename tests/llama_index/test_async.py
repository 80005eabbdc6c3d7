"""The asynchronous methods do what the others do, in another thread than the event loop's."""

import asyncio
import threading

import pytest
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQuery

import vicinal
from llama_index.vector_stores.vicinal import VicinalVectorStore
from llama_index.vector_stores.vicinal._batch import PIECE
from vicinal.errors import InvalidDimensionError

QUERY = VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=3)
ONE = MetadataFilters(filters=[MetadataFilter(key="n", value=1)])
CALLS = [
    ("upsert", lambda store, node: store.async_add([node("b")])),
    ("query", lambda store, node: store.aquery(QUERY)),
    ("get", lambda store, node: store.aget_nodes()),
    ("delete", lambda store, node: store.adelete("d1")),
    ("delete", lambda store, node: store.adelete_nodes(["a"])),
    ("delete", lambda store, node: store.aclear()),
]


@pytest.mark.parametrize(("method", "call"), CALLS)
async def test_the_engine_runs_off_the_loops_thread(monkeypatch, store, node, method, call):
    threads = []
    original = getattr(vicinal.Collection, method)

    def recording(self, *args, **kwargs):
        threads.append(threading.get_ident())
        return original(self, *args, **kwargs)

    monkeypatch.setattr(vicinal.Collection, method, recording)
    await call(store, node)
    assert threads
    assert threading.get_ident() not in threads


async def test_the_loop_runs_on_while_the_engine_works(monkeypatch, store):
    loop_has_run = threading.Event()
    monkeypatch.setattr(VicinalVectorStore, "query", lambda *_: loop_has_run.wait(10))
    waiting = asyncio.create_task(store.aquery(QUERY))
    await asyncio.sleep(0)
    loop_has_run.set()
    assert await waiting is True


async def test_what_is_added_is_found_got_and_deleted(store, node, ids):
    nodes = [node("a", "d1", n=1), node("b", n=2), node("c", n=1)]
    assert await store.async_add(nodes) == ["a", "b", "c"]
    assert (await store.aquery(QUERY)).ids == store.query(QUERY).ids
    assert ids(await store.aget_nodes(["a", "b"], ONE)) == ["a"]
    await store.adelete("d1")
    await store.adelete_nodes(["b", "c"], filters=ONE)
    (left,) = await store.aget_nodes(include_embeddings=True)
    assert (left.node_id, left.embedding) == ("b", [1.0, 0.0])
    await store.aclear()
    assert store.get_nodes() == []


async def test_more_nodes_than_a_piece_are_added_all_or_none(store, node):
    nodes = [node(str(i), n=i) for i in range(3 * PIECE + 1)]
    await store.async_add(nodes)
    with pytest.raises(InvalidDimensionError):
        await store.async_add([node(str(i), at=[1.0], n=-1) for i in range(3 * PIECE)])
    assert [n.metadata["n"] for n in await store.aget_nodes()] == list(range(3 * PIECE + 1))


async def test_adding_that_is_cancelled_in_time_adds_nothing(store, node):
    adding = asyncio.create_task(store.async_add([node(str(i)) for i in range(20 * PIECE)]))
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert store.get_nodes() == []


async def test_many_at_once_agree(store, node):
    await asyncio.gather(*(store.async_add([node(str(i), n=i)]) for i in range(20)))
    answers = await asyncio.gather(*(store.aquery(QUERY) for _ in range(20)))
    assert len(store.get_nodes()) == 20
    assert len({tuple(answer.ids) for answer in answers}) == 1


async def test_keywords_reach_the_query(store, node):
    await store.async_add([node("a", n=1), node("b", n=2)])
    assert (await store.aquery(QUERY, where={"n": 2})).ids == ["b"]


async def test_errors_come_through(store):
    with pytest.raises(NotImplementedError, match="linear_regression"):
        await store.aquery(VectorStoreQuery(query_embedding=[1.0], mode="linear_regression"))
