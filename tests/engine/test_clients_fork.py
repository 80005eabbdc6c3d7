"""`collection.fork` makes a collection that holds what its source held, and the two go on apart."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import vicinal
from vicinal._index import planner
from vicinal._storage import checkpoint
from vicinal.errors import (
    ClosedError,
    InvalidArgumentError,
    NotFoundError,
    StorageError,
    UniqueConstraintError,
)
from vicinal.testing import FaultyFiles, HashEmbeddingFunction, check, dump, open_with

STEPS = ["fork: vectors copied", "fork: collection replaced", "fork: before commit", "fork: committed"]


def fill(client: vicinal.Client, count: int = 5, dimension: int = 3) -> vicinal.Collection:
    things = client.create_collection("things", metadata={"a": 1}, embedding_function=None)
    numbers = np.arange(count * dimension, dtype=np.float32).reshape(count, dimension)
    ids = [f"id-{i}" for i in range(count)]
    things.add(ids=ids, embeddings=numbers, documents=ids, metadatas=[{"n": i} for i in range(count)])
    return things


def test_a_fork_holds_what_its_source_holds(store):
    things = fill(store.client)
    things.delete(ids=["id-1"])
    things.upsert(ids=["id-2"], embeddings=[9.0, 9.0, 9.0])
    forked = store.reopen(things.fork("copied"))
    assert dump(forked) == dump(store.client.get_collection("things"))
    assert (forked.name, forked.metadata) == ("copied", {"a": 1})


def test_the_two_go_on_apart(store):
    things = fill(store.client)
    forked = things.fork("copied")
    things.add(ids="new", embeddings=[0.0, 0.0, 0.0])
    forked.delete(ids=["id-0", "id-1"])
    forked.add(ids="other", embeddings=[7.0, 7.0, 7.0], documents="theirs")
    forked.update(ids="id-4", metadatas={"n": 44})
    things = store.reopen(things)
    forked = store.client.get_collection("copied")
    assert things.get()["ids"] == ["id-0", "id-1", "id-2", "id-3", "id-4", "new"]
    assert things.get(ids="id-4")["metadatas"] == [{"n": 4}]
    assert forked.get()["ids"] == ["id-2", "id-3", "id-4", "other"]
    assert forked.query(query_embeddings=[7.0, 7.0, 7.0], n_results=1)["documents"] == [["theirs"]]


def test_a_fork_outlives_its_source(client):
    things = fill(client)
    forked = things.fork("copied")
    client.delete_collection("things")
    assert forked.count() == 5


def test_a_collection_that_is_just_being_deleted_is_not_forked(tmp_path):
    with vicinal.PersistentClient(tmp_path / "data") as client:
        things = fill(client)
        with closing(sqlite3.connect(next(tmp_path.rglob("records.sqlite3")))) as database, database:
            database.execute("UPDATE state SET dropped = 1")
        with pytest.raises(NotFoundError):
            things.fork("copied")
        assert [held.name for held in client.list_collections()] == ["things"]


@pytest.mark.parametrize("error", [FileNotFoundError(), StorageError(path="x", problem="y")])
def test_a_checkpoint_that_cannot_be_copied_is_done_without(tmp_path, monkeypatch, error):
    """Another process may just have replaced or removed it."""

    def failing(*_):
        raise error

    monkeypatch.setattr(checkpoint, "copy", failing)
    with vicinal.PersistentClient(tmp_path / "data") as client:
        things = fill(client)
        assert dump(things.fork("copied")) == dump(things)


def test_a_collection_that_holds_nothing_can_be_forked(client):
    empty = client.create_collection("empty", embedding_function=None)
    forked = empty.fork("copied")
    forked.add(ids="a", embeddings=[1.0])
    assert (empty.count(), forked.count()) == (0, 1)


def test_a_compacted_collection_can_be_forked(client):
    things = fill(client)
    things.delete(ids=["id-0"])
    things.compact()
    assert things.fork("copied").get()["ids"] == ["id-1", "id-2", "id-3", "id-4"]


def test_a_fork_has_its_sources_configuration_and_function(client):
    function = HashEmbeddingFunction()
    things = client.create_collection(
        "things", configuration={"hnsw": {"space": "cosine", "ef_search": 33}}, embedding_function=function
    )
    things.add(ids=["a", "b"], documents=["one", "two"])
    forked = things.fork("copied")
    assert forked.query(query_texts="two", n_results=1)["ids"] == [["b"]]
    assert forked.configuration_json == things.configuration_json


def test_relatives_count_each_other(client):
    things = fill(client)
    assert things.fork_count() == 0
    first, second = things.fork("first"), things.fork("second")
    third = first.fork("third")
    assert {collection.fork_count() for collection in (things, first, second, third)} == {3}
    client.delete_collection("second")
    assert things.fork_count() == 2


def test_a_name_that_is_taken_is_refused(client):
    things = fill(client)
    with pytest.raises(UniqueConstraintError):
        things.fork("things")
    with pytest.raises(InvalidArgumentError, match="new_name"):
        things.fork("a")
    assert client.count_collections() == 1


def test_a_deleted_collection_cannot_be_forked(client):
    things = fill(client)
    client.delete_collection("things")
    with pytest.raises(NotFoundError):
        things.fork("copied")


def test_what_is_derived_is_copied_too(tmp_path, monkeypatch):
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 0)
    rng = np.random.default_rng(1)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None, configuration={"text": True})
        things.add(
            ids=[str(i) for i in range(1000)],
            embeddings=rng.normal(size=(1000, 32)),
            metadatas=[{"n": i} for i in range(1000)],
            documents=[f"text {i}" for i in range(1000)],
        )
        things.compact()  # returns when the graph is complete
        things.delete(ids=["7"])
        forked = things.fork("copied")
        kept = [
            {path.name for path in (tmp_path / "collections" / str(one.id) / "checkpoints").glob("*.json")}
            for one in (things, forked)
        ]
        assert (
            kept[0] == kept[1] == {f"{name}.json" for name in ("graph", "rows", "codes", "columns", "words")}
        )
        forked.compact()
        query = rng.normal(size=32)
        assert forked.get_indexing_status().num_unindexed_ops == 0
        assert forked.query(query_embeddings=query)["ids"] == things.query(query_embeddings=query)["ids"]
        assert forked.get(where={"n": {"$lt": 3}})["ids"] == ["0", "1", "2"]
        assert forked.query(query_texts=["7"], mode="text")["ids"] == [[]]
        assert check(client) == []


@pytest.mark.parametrize("step", STEPS)
def test_a_fork_cut_short_is_whole_or_is_not_there(tmp_path, step):
    class Stop(Exception):
        pass

    def on(reached: str) -> None:
        if reached == step:
            raise Stop

    with vicinal.PersistentClient(tmp_path) as client:
        fill(client)
    stopped = open_with(tmp_path, FaultyFiles(on))
    with pytest.raises(Stop):
        stopped.get_collection("things").fork("copied")
    stopped.close()
    with vicinal.PersistentClient(tmp_path) as client:
        names = [collection.name for collection in client.list_collections()]
        assert names == (["copied", "things"] if step == "fork: committed" else ["things"])
        assert len(list((tmp_path / "collections").iterdir())) == len(names)
        assert {dump_of["ids"][0] for dump_of in map(vicinal.Collection.get, client.list_collections())} == {
            "id-0"
        }
        assert check(client) == []
    assert list(tmp_path.glob("forking-*")) == []


def test_a_fork_interrupted_in_its_commit_is_whole(store, interrupted):
    """What a signal raises in the middle of a COMMIT comes when the name has been entered."""
    things = fill(store.client)
    with interrupted(store.client._backend._opened.catalog), pytest.raises(KeyboardInterrupt):
        things.fork("copied")
    forked = store.reopen(store.client.get_collection("copied"))
    assert dump(forked) == dump(store.client.get_collection("things"))


def test_a_fork_whose_client_is_closed_meanwhile_leaves_nothing(tmp_path):
    with vicinal.PersistentClient(tmp_path) as client:
        fill(client)

    def close(step):
        if step == "fork: vectors copied":
            client.close()

    with open_with(tmp_path, FaultyFiles(close)) as client, pytest.raises(ClosedError):
        client.get_collection("things").fork("copied")
    assert list(tmp_path.glob("forking-*")) == []


def test_what_a_killed_fork_has_left_goes_when_it_is_old(tmp_path):
    with vicinal.PersistentClient(tmp_path) as client:
        fill(client)
    for name in ("forking-young", "forking-old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vectors-0.f32").write_bytes(b"1234")
    hours_ago = time.time() - 7200
    for path in (tmp_path / "forking-old" / "vectors-0.f32", tmp_path / "forking-old"):
        os.utime(path, (hours_ago, hours_ago))
    with vicinal.PersistentClient(tmp_path):
        assert [path.name for path in tmp_path.glob("forking-*")] == ["forking-young"]


def test_opening_the_directory_in_the_middle_of_a_fork_harms_nothing(tmp_path):
    def on(step: str) -> None:
        if step in STEPS[:2]:
            with vicinal.PersistentClient(tmp_path) as other:
                assert other.count_collections() == 1

    with vicinal.PersistentClient(tmp_path) as client:
        fill(client)
    client = open_with(tmp_path, FaultyFiles(on))
    forked = client.get_collection("things").fork("copied")
    assert (forked.count(), check(client)) == (5, [])
    client.close()


@pytest.mark.parametrize("persistent", [False, True])
def test_a_fork_holds_one_committed_state_while_others_write(tmp_path: Path, persistent: bool) -> None:
    client = vicinal.PersistentClient(tmp_path) if persistent else vicinal.EphemeralClient()
    things = client.create_collection("things", embedding_function=None)
    done = threading.Event()

    def write() -> None:
        for batch in range(60):
            things.add(ids=[f"{batch}-{i}" for i in range(10)], embeddings=[[batch, i] for i in range(10)])
            if batch % 20 == 19:
                things.delete(ids=[f"{batch - 1}-{i}" for i in range(10)])
                things.compact()
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    forks = []
    while not done.is_set() and len(forks) < 20:
        forks.append(things.fork(f"fork-{len(forks)}"))
    writer.join()
    counts = [forked.count() for forked in forks]
    assert [count % 10 for count in counts] == [0] * len(forks)
    for forked in forks:
        found = forked.get(include=["embeddings"])
        for id, vector in zip(found["ids"], found["embeddings"] if found["ids"] else [], strict=True):
            assert id == f"{vector[0]:.0f}-{vector[1]:.0f}"
    assert check(client) == []
    client.close()


def test_indexing_is_complete_when_a_collection_needs_no_graph(client):
    status = fill(client).get_indexing_status()
    assert (status.num_unindexed_ops, status.total_ops, status.op_indexing_progress) == (0, 5, 1.0)
