"""LangChain's indexing API keeps the store equal to the source, in every cleanup mode."""

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index

import vicinal
from langchain_vicinal import VicinalRecordManager

OLD = [
    Document("a1", metadata={"source": "a"}),
    Document("a2", metadata={"source": "a"}),
    Document("b1", metadata={"source": "b"}),
    Document("c1", metadata={"source": "c"}),
]
NEW = [OLD[0], Document("a2 changed", metadata={"source": "a"}), OLD[2]]
LEFT = {
    None: ["a1", "a2", "a2 changed", "b1", "c1"],
    "incremental": ["a1", "a2 changed", "b1", "c1"],
    "full": ["a1", "a2 changed", "b1"],
    "scoped_full": ["a1", "a2 changed", "b1", "c1"],
}


BOOKS = {
    "LangChain's": lambda store: InMemoryRecordManager("films"),
    "ours": lambda store: VicinalRecordManager("films"),
    "beside the vectors": lambda store: (
        VicinalRecordManager("films", path=store.client.path)
        if isinstance(store.client, vicinal.PersistentClient)
        else VicinalRecordManager(store=store)
    ),
}


@pytest.fixture(params=BOOKS)
def records(request, store):
    records = BOOKS[request.param](store)
    records.create_schema()
    yield records
    if isinstance(records, VicinalRecordManager):
        records.close()


@pytest.fixture(params=["index", "aindex"])
def run(request, store, records):
    """Index documents with one record manager, synchronously or not."""

    async def index_all(documents, **options):
        options = {"source_id_key": "source", "key_encoder": "blake2b"} | options
        if request.param == "aindex":
            return await aindex(documents, records, store, **options)
        return index(documents, records, store, **options)

    return index_all


def contents(store):
    return sorted(store.get()["documents"])


def counts(added=0, updated=0, skipped=0, deleted=0):
    return {
        "num_added": added,
        "num_updated": updated,
        "num_skipped": skipped,
        "num_deleted": deleted,
    }


@pytest.mark.parametrize("cleanup", LEFT)
async def test_a_changed_source_is_followed(store, run, cleanup):
    assert await run(OLD, cleanup=cleanup) == counts(added=4)
    gone = 5 - len(LEFT[cleanup])
    assert await run(NEW, cleanup=cleanup) == counts(added=1, skipped=2, deleted=gone)
    assert contents(store) == LEFT[cleanup]


async def test_an_unchanged_source_costs_nothing(store, run):
    await run(OLD, cleanup="full")
    before = store.get()
    assert await run(OLD, cleanup="full") == counts(skipped=4)
    assert store.get() == before


async def test_a_forced_update_writes_over_itself(store, run):
    await run(OLD)
    assert await run(OLD, force_update=True) == counts(updated=4)
    assert contents(store) == ["a1", "a2", "b1", "c1"]


async def test_an_empty_source_empties_the_store_on_full_cleanup(store, run):
    await run(OLD, batch_size=3)
    assert await run([], cleanup="full") == counts(deleted=4)
    assert contents(store) == []


async def test_a_cleanup_in_batches_of_none_is_one_at_once(run, store):
    """As LangChain's own record managers take a limit of 0."""
    await run(OLD, cleanup="full")
    assert await run(NEW, cleanup="full", cleanup_batch_size=0) == counts(added=1, skipped=2, deleted=2)
    assert contents(store) == LEFT["full"]


async def test_repeats_in_the_source_are_indexed_once(store, run):
    await run([*OLD, *OLD], batch_size=2)
    assert contents(store) == ["a1", "a2", "b1", "c1"]
