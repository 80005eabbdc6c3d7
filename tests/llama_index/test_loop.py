"""While the store works, everything else on the event loop goes on: no turn comes 5 ms late.

Measured by a task that wakes every millisecond. Python lets threads take turns every 5 ms, and its
garbage collection stops them all; so turns are made shorter here and collection waits: what is left
are the steps of ours that let nobody else run. A stall of ours is there in every round, one of the
machine's is not: the best round counts, and a machine so busy that a thread which only counts makes
turns late too excuses as much. It needs a clock: no count tells how long a step in C lets nobody run.
"""

import asyncio
import contextlib
import gc
import sys
import time

import numpy as np
import pytest
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llama_index.vector_stores.vicinal import VicinalVectorStore

pytestmark = pytest.mark.slow
STALL_S = 0.005
ROUNDS = 6
VECTORS = np.random.default_rng(3).normal(size=(8000, 128)).tolist()


@pytest.fixture(scope="module")
def nodes():
    return [
        TextNode(id_=str(i), text="some words " * 30, metadata={"page": i}, embedding=vector)
        for i, vector in enumerate(VECTORS)
    ]


@pytest.fixture(scope="module")
def store(nodes):
    full = VicinalVectorStore()
    full.add(nodes)
    return full


@contextlib.contextmanager
def short_turns():
    before = sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(0.0002)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        gc.enable()
        gc.unfreeze()


async def longest_wait(work) -> float:
    """Seconds by which the ticking task came late at most, while the work was done."""
    late = [0.0]

    async def tick():
        while True:
            due = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            late.append(time.perf_counter() - due)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    late.clear()
    await work()
    await asyncio.sleep(0.002)  # a tick that work() made late
    ticking.cancel()
    return max(late)


async def counting() -> None:
    def count():
        end = time.perf_counter() + 0.3
        while time.perf_counter() < end:
            pass

    await asyncio.to_thread(count)


async def stalls(work) -> bool:
    """Whether every round has a wait that is long, also beside one of mere counting."""
    with short_turns():
        for _ in range(ROUNDS):
            waited = await longest_wait(work)
            if waited < STALL_S or waited < await longest_wait(counting):
                return False
    return True


async def test_the_ruler_sees_work_on_the_loop(nodes):
    async def work():
        VicinalVectorStore().add(nodes)

    assert await longest_wait(work) > STALL_S


async def test_adding_many_nodes_lets_the_loop_run(nodes):
    async def work():
        await VicinalVectorStore().async_add(nodes)

    assert not await stalls(work)


async def test_a_node_of_a_slow_generator_comes_off_the_loop(nodes):
    def slowly():
        for each in nodes[:20]:
            time.sleep(0.01)
            yield each

    async def work():
        await VicinalVectorStore().async_add(slowly())

    assert not await stalls(work)


QUERIES = {
    "default": {},
    "mmr": {"mode": VectorStoreQueryMode.MMR, "mmr_threshold": 0.5},
    "many": {"similarity_top_k": 300},
    "words": {"mode": VectorStoreQueryMode.TEXT_SEARCH, "query_str": "some words"},
    "both": {"mode": VectorStoreQueryMode.HYBRID, "query_str": "some words"},
}


@pytest.mark.parametrize("fields", QUERIES.values(), ids=QUERIES)
async def test_queries_let_the_loop_run(store, fields):
    async def work():
        for vector in VECTORS[:10]:
            await store.aquery(VectorStoreQuery(query_embedding=vector, **{"similarity_top_k": 10, **fields}))

    assert not await stalls(work)
