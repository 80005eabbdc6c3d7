"""The book of what was indexed lives with the vectors, and believes the store rather than itself."""

import time
from datetime import date
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.indexing import aindex, index

import vicinal
from langchain_vicinal import VicinalRecordManager, VicinalVectorStore
from vicinal.errors import ArgumentTypeError, InvalidArgumentError

DOCUMENTS = [Document(text, metadata={"source": text[0]}) for text in ("a1", "a2", "b1", "c1")]
OPTIONS = {"source_id_key": "source", "key_encoder": "blake2b"}


@pytest.fixture(params=["memory", "directory"])
def records(request, tmp_path):
    where = {"path": tmp_path} if request.param == "directory" else {}
    records = VicinalRecordManager("films", **where)
    records.create_schema()
    yield records
    assert records._connection.client.check() == []
    records.close()


def test_keys_are_entered_and_struck_out(records):
    assert records.exists(["a", "b"]) == [False, False]
    records.update(["a", "b"], group_ids=["x", None])
    assert records.exists(["b", "c", "a", "b"]) == [True, False, True, True]
    assert records.exists(iter("bc")) == [True, False]
    records.delete_keys(["a", "unknown"])
    assert records.list_keys() == ["b"]


async def test_the_async_methods_do_the_same(records):
    await records.acreate_schema()
    await records.aupdate(["a", "b"], group_ids=["x", "y"], time_at_least=await records.aget_time())
    assert await records.aexists(["a", "c"]) == [True, False]
    assert await records.alist_keys(group_ids=["y"]) == ["b"]
    assert await records.alist_keys(limit=1) == ["a"]
    now = await records.aget_time()
    assert await records.alist_keys(before=now + 9) == ["a", "b"]
    assert await records.alist_keys(after=now + 9) == []
    with pytest.raises(InvalidArgumentError, match="has not come yet"):
        await records.aupdate(["c"], time_at_least=now + 9)
    await records.adelete_keys(["a"])
    assert await records.alist_keys() == ["b"]


def test_keys_are_listed_by_time_group_and_number(records):
    records.update(["a", "b"], group_ids=["x", "y"])
    middle = records.get_time()
    records.update(["c", "d"], group_ids=["x", None])
    assert records.list_keys(before=middle) == ["a", "b"]
    assert records.list_keys(after=middle) == ["c", "d"]
    assert records.list_keys(before=middle, after=middle) == []
    assert records.list_keys(group_ids=["x"]) == ["a", "c"]
    assert records.list_keys(after=middle, group_ids=["x"]) == ["c"]
    assert records.list_keys(group_ids=[]) == ["a", "b", "c", "d"]
    assert records.list_keys(limit=1) == ["a"]
    assert records.list_keys(limit=0) == records.list_keys()  # as LangChain's own


@pytest.mark.parametrize(
    "group", [("x", 1), Path("x"), ["x"], {"x": 1}, object()], ids=lambda group: type(group).__name__
)
def test_a_group_that_could_not_be_listed_again_is_refused_by_name(records, group):
    wanted = r"Expected group_ids\[1\] to be a str, got"
    with pytest.raises(ArgumentTypeError, match=wanted):
        records.update(["a", "b"], group_ids=["x", group])
    with pytest.raises(ArgumentTypeError, match=wanted):
        records.list_keys(group_ids=["x", group])
    assert records.list_keys() == []


@pytest.mark.parametrize("group", ["", 1, 2.5, True, UUID(int=7), date(2026, 1, 2), np.str_("x")], ids=repr)
def test_a_group_may_be_any_plain_value(records, group):
    records.update(["a", "b"], group_ids=[group, None])
    assert records.list_keys(group_ids=[group]) == ["a"]


def test_a_key_entered_again_is_as_new(records):
    records.update(["a", "b"], group_ids=["x", "x"])
    middle = records.get_time()
    records.update(["a", "a"], group_ids=["y", "z"])
    assert records.list_keys(after=middle) == records.list_keys(group_ids=["z"]) == ["a"]


def test_one_string_is_one_key_and_not_its_letters(records):
    records.update(["a", "b"])
    records.update("ab", group_ids="group")
    assert records.exists("ab") == [True]
    assert records.list_keys(group_ids="group") == ["ab"]
    records.delete_keys("ab")
    assert records.list_keys() == ["a", "b"]


def test_nothing_is_nothing(records):
    records.update([])
    records.delete_keys([])
    assert records.exists([]) == records.list_keys() == []


def test_time_never_goes_back(records, monkeypatch):
    before = records.get_time()
    monkeypatch.setattr(time, "time", lambda: before - 3600)
    assert before < records.get_time() < before + 1


def test_a_run_cleans_up_whatever_the_clock_has_done_since_the_last(records, store, monkeypatch):
    now = time.time()
    for clock, texts, deleted in ((now, "ab", 0), (now, "b", 1), (now - 3600, "c", 1)):
        monkeypatch.setattr(time, "time", lambda clock=clock: clock)
        told = index([Document(text) for text in texts], records, store, cleanup="full", key_encoder="sha256")
        assert told["num_deleted"] == deleted
    again = VicinalRecordManager(records.namespace, client=records._connection.client)
    assert index([], again, store, cleanup="full", key_encoder="sha256")["num_deleted"] == 1


@pytest.mark.parametrize("wrong", [{"store": "films"}, {"store": 5}])
def test_what_is_no_store_is_refused_by_name(wrong):
    with pytest.raises(ArgumentTypeError, match="store to be a VicinalVectorStore"):
        VicinalRecordManager("films", **wrong)


def test_what_is_no_time_is_refused_by_name(records):
    with pytest.raises(ArgumentTypeError, match="time_at_least to be seconds"):
        records.update(["a"], time_at_least="now")


def test_a_clock_that_is_behind_is_noticed_and_nothing_written(records):
    with pytest.raises(InvalidArgumentError, match="has not come yet"):
        records.update(["a"], time_at_least=records.get_time() + 60)
    with pytest.raises(InvalidArgumentError, match="group_ids for each of the 1 keys, got 2"):
        records.update(["a"], group_ids=["x", "y"])
    assert records.list_keys() == []


@pytest.mark.parametrize("namespace", ["films", "pg/my docs", "ü ✓", "x" * 1000, ""])
def test_namespaces_are_any_text_and_know_nothing_of_each_other(namespace):
    client = vicinal.EphemeralClient()
    mine = VicinalRecordManager(namespace, client=client)
    VicinalRecordManager("another", client=client).update(["a"])
    mine.update(["b"])
    assert VicinalRecordManager(namespace, client=client).list_keys() == ["b"]
    assert mine.collection.metadata == {"namespace": namespace}


def test_what_the_book_is_kept_with_is_clear(embedding):
    with pytest.raises(InvalidArgumentError, match="needs a namespace"):
        VicinalRecordManager()
    with pytest.raises(InvalidArgumentError, match="kept with store="):
        VicinalRecordManager(store=VicinalVectorStore(embedding), path="x")
    with pytest.raises(ArgumentTypeError, match="namespace to be a str; the vector store is given by name"):
        VicinalRecordManager(VicinalVectorStore(embedding))
    with pytest.raises(InvalidArgumentError, match="no store= to compare"):
        VicinalRecordManager("x").drift()


def test_a_book_of_a_store_that_was_given_a_collection_is_kept_with_the_client_that_is_given(embedding):
    client = vicinal.EphemeralClient()
    store = VicinalVectorStore(embedding, collection=client.create_collection("notes"))
    with pytest.raises(InvalidArgumentError, match="client= of a record manager"):
        VicinalRecordManager(store=store)
    book = VicinalRecordManager(store=store, client=client)
    book.update(["a"])
    assert (book.namespace, book.exists(["a"]), book.drift().missing) == ("notes", [False], ["a"])
    assert VicinalRecordManager("notes", client=client).list_keys() == ["a"]


# --- with a store --------------------------------------------------------------------------------


@pytest.fixture
def indexed(tmp_path, embedding):
    """A store in a directory and its book, after a first run."""
    with VicinalVectorStore(embedding, "films", path=tmp_path) as store:
        records = VicinalRecordManager(store=store)
        assert index(DOCUMENTS, records, store, **OPTIONS)["num_added"] == 4
        yield store, records


def test_a_second_run_in_another_process_skips(indexed, tmp_path, embedding):
    with VicinalVectorStore(embedding, "films", path=tmp_path) as store:
        result = index(DOCUMENTS, VicinalRecordManager(store=store), store, **OPTIONS)
    assert result["num_skipped"] == 4


LOSSES = {
    "deleted": lambda store: store.delete(filter={"source": "a"}),
    "emptied": lambda store: store.delete(),
    "reset": lambda store: store.reset_collection(),
}


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("cleanup", [None, "incremental", "full", "scoped_full"])
async def test_what_the_store_has_lost_is_written_again(indexed, lose, cleanup):
    store, records = indexed
    lose(store)
    assert (await records.adrift()).missing
    result = await aindex(DOCUMENTS, records, store, cleanup=cleanup, **OPTIONS)
    assert result["num_added"] + result["num_skipped"] == 4
    assert sorted(store.get()["documents"]) == ["a1", "a2", "b1", "c1"]
    assert records.drift() == ([], [])


def test_what_came_by_other_ways_is_told(indexed):
    store, records = indexed
    store.add_texts(["by hand"], ids=["1"])
    assert records.drift() == ([], ["1"])


def test_a_backup_holds_both(indexed, tmp_path_factory, embedding):
    store, _ = indexed
    target = tmp_path_factory.mktemp("copy")
    store.client.backup(target)
    with VicinalVectorStore(embedding, "films", path=target) as copy:
        records = VicinalRecordManager(store=copy)
        assert len(records.list_keys()) == copy.count() == 4
        assert index(DOCUMENTS, records, copy, **OPTIONS)["num_skipped"] == 4
