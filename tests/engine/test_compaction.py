"""Compaction gives space back and changes nothing else that anyone can see, even when it is cut short.

A collection is filled, loses most of its records, and is compacted, in memory and on disk; others read,
write and stop in the middle of it meanwhile. The process that is killed is this file, run as a program.
"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal import _upkeep
from vicinal._compact import compact
from vicinal._index import planner
from vicinal._request import Status
from vicinal._storage import database
from vicinal._storage.database import Database, Transaction
from vicinal._storage.files import Files
from vicinal.errors import StorageError
from vicinal.testing import FaultyFiles, check, dump, open_with, wait_for_index

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows every signal ends a process
KILLED = KILL if os.name == "nt" else -KILL
DIMENSION = 64
STEPS = ["compact: before vectors", "compact: vectors synced", "compact: before commit", "compact: committed"]
FILE_STEPS = ["file: grow", "file: write", "file: sync"]


def vectors(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)


def fill(client: vicinal.Client, count: int = 400) -> vicinal.Collection:
    """Records with long texts."""
    things = client.create_collection("things", embedding_function=None)
    things.add(
        ids=[f"id {i}" for i in range(count)],
        embeddings=vectors(count),
        documents=[f"text {i} " * 50 for i in range(count)],
        metadatas=[{"n": i, "even": i % 2 == 0} for i in range(count)],
        uris=[f"file:{i}" for i in range(count)],
    )
    return things


def thin_out(things: vicinal.Collection) -> None:
    """Three of four records go, some move, some change in place."""
    things.delete(where={"n": {"$gte": things.count() // 4}})
    things.upsert(ids=["id 3", "new", "id 1"], embeddings=vectors(3, seed=1))
    things.update(ids=["id 5"], metadatas=[{"n": -5}])


def answers(things: vicinal.Collection) -> Any:
    """Everything that can be asked of a collection."""
    queries = [things.query(query_embeddings=vector, n_results=20) for vector in vectors(5, seed=2)]
    filtered = things.query(query_embeddings=vectors(1), n_results=9, where={"even": True})
    mixed = things.query(vectors(9, seed=3), ["text 1"] * 9, mode="hybrid", n_results=60)
    conditions = [{"n": {"$lt": 30}}, {"even": {"$ne": True}}, {"#id": {"$in": ["id 3", "new"]}}]
    return (
        dump(things),
        [(found["ids"], found["distances"]) for found in [*queries, filtered, mixed]],
        mixed["scores"],
        [things.get(where=condition)["ids"] for condition in conditions],
        things.get(where_document={"$contains": "text 1"})["ids"],
        things.get(limit=7, offset=3)["ids"],
    )


def rows_of(client: vicinal.Client, things: vicinal.Collection) -> int:
    return client._backend.status(Status(things.id)).rows


def size_of(path: Path) -> dict[str, int]:
    """Bytes on disk by kind of file."""
    sizes = {"vectors": 0, "records": 0}
    for kind in sizes:
        for file in path.rglob(f"{kind}*"):
            found = file.stat()
            sizes[kind] += found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size
    return sizes


@pytest.fixture
def thinned(client: vicinal.Client) -> vicinal.Collection:
    """A collection most of whose rows are dead, in a client of each kind."""
    things = fill(client)
    thin_out(things)
    return things


# --- what it does, and does not ------------------------------------------------------------------


def test_compaction_changes_no_answer(client: vicinal.Client, thinned: vicinal.Collection) -> None:
    before = answers(thinned)
    thinned.compact()
    assert answers(thinned) == before
    assert (rows_of(client, thinned), check(client)) == (thinned.count(), [])


def test_reopened_after_compaction_it_answers_the_same(store: Any) -> None:
    things = fill(store.client)
    thin_out(things)
    before = answers(things)
    things.compact()
    assert answers(store.reopen(things)) == before


@pytest.mark.skipif(os.name == "nt", reason="files have no holes there")
def test_the_space_of_vectors_and_texts_comes_back(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = fill(client, 20_000)
        things.delete(where={"n": {"$gte": 1000}})
        before = size_of(tmp_path)
        things.compact()
        after = size_of(tmp_path)
        assert before["vectors"] >= 20_000 * DIMENSION * 4
        assert after["vectors"] <= 1000 * DIMENSION * 4 + 8192
        assert after["records"] <= before["records"] / 10
        assert len(list(tmp_path.rglob("vectors-*"))) == 1


def test_the_space_comes_back_when_a_reader_ends_a_little_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_upkeep, "_DEAD_BYTES_MIN", 1 << 40)  # nobody else compacts
    ended = threading.Event()

    def read(records: Any, begun: threading.Event) -> None:
        with records.read() as tx:
            tx.execute("SELECT count(*) FROM records").fetchall()
            begun.set()
            ended.wait(60)

    with vicinal.PersistentClient(tmp_path) as client:
        things = fill(client, 5_000)
        things.delete(where={"n": {"$gte": 100}})
        wait_for_index(things)
        before, begun = size_of(tmp_path), threading.Event()
        with client._backend._opened.using(things.id) as live:
            reader = threading.Thread(target=read, args=(live.database, begun))
            reader.start()
            begun.wait(60)
            # The first try is over: now the reader ends.
            monkeypatch.setattr(
                database, "time", SimpleNamespace(sleep=lambda _: (ended.set(), reader.join()))
            )
            things.compact()
        reader.join()
        assert size_of(tmp_path)["records"] <= before["records"] / 5


def test_when_everything_was_deleted_nothing_is_left(client: vicinal.Client) -> None:
    things = fill(client)
    things.delete(where={"n": {"$gte": 0}})
    things.compact()
    assert (rows_of(client, things), dump(things), check(client)) == (0, [], [])
    things.add(ids=["new"], embeddings=vectors(1))
    assert things.query(query_embeddings=vectors(1))["ids"] == [["new"]]


def test_when_nothing_is_dead_nothing_happens(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = fill(client)
        before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("vectors-*")}
        change = client._backend.status(Status(things.id))
        things.compact()
        assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("vectors-*")} == before
        assert client._backend.status(Status(things.id)) == change


def test_an_empty_collection_can_be_compacted(collection: vicinal.Collection) -> None:
    collection.compact()
    assert collection.count() == 0


def test_writes_after_compaction_keep_their_places(
    client: vicinal.Client, thinned: vicinal.Collection
) -> None:
    ids = thinned.get()["ids"]
    thinned.compact()
    thinned.add(ids=["last"], embeddings=vectors(1))
    thinned.upsert(ids=["id 0"], embeddings=vectors(1, seed=5))
    thinned.delete(ids=["id 2"])
    thinned.compact()
    thinned.add(ids=["id 2"], embeddings=vectors(1))
    assert thinned.get()["ids"] == [id for id in ids if id != "id 2"] + ["last", "id 2"]
    assert check(client) == []


def test_many_compactions_in_turn_lose_nothing(client: vicinal.Client) -> None:
    things, rng = fill(client, 60), np.random.default_rng(3)
    expected = {record["id"]: record for record in dump(things)}
    for turn in range(12):
        gone = rng.choice(list(expected), 4, replace=False).tolist()
        things.delete(ids=gone)
        things.compact()
        things.add(ids=[f"turn {turn}"], embeddings=vectors(1, turn), metadatas=[{"n": turn}])
        expected = {id: record for id, record in expected.items() if id not in gone}
        expected[f"turn {turn}"] = things.get(ids=[f"turn {turn}"]) and dump(things)[-1]
        assert {record["id"]: record for record in dump(things)} == expected


def test_the_graph_is_made_anew(client: vicinal.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 1 << 10)
    things = fill(client)
    wait_for_index(things)
    thin_out(things)
    before = answers(things)
    things.compact()
    assert client._backend.status(Status(things.id)).rows_in_graph == things.count()
    assert answers(things) == before


# --- by itself -------------------------------------------------------------------------------------


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small collections are worth compacting, too."""
    monkeypatch.setattr(_upkeep, "_DEAD_BYTES_MIN", 100 * DIMENSION * 4)


def test_it_happens_by_itself_when_more_than_half_is_dead(soon: None, client: vicinal.Client) -> None:
    things = fill(client)
    things.delete(where={"n": {"$gte": 199}})
    wait_for_index(things)
    assert (rows_of(client, things), things.count()) == (199, 199)


def test_it_does_not_happen_by_itself_while_half_is_alive(soon: None, client: vicinal.Client) -> None:
    things = fill(client)
    things.delete(where={"n": {"$gte": 200}})
    wait_for_index(things)
    assert rows_of(client, things) == 400


def test_a_few_dead_rows_are_left_where_they_are(client: vicinal.Client) -> None:
    things = fill(client)
    things.delete(where={"n": {"$gte": 1}})
    wait_for_index(things)
    assert rows_of(client, things) == 400


def test_four_mebibytes_of_dead_rows_are_not(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        for turn in range(3):
            things.upsert(ids=list(map(str, range(3000))), embeddings=np.full((3000, 256), turn))
        wait_for_index(things)
        assert (rows_of(client, things), check(client)) == (3000, [])
        assert size_of(tmp_path)["vectors"] < 4 << 20


def test_nor_are_four_mebibytes_of_their_texts(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        for turn in range(3):
            texts = [f"{turn} of {i} " * 300 for i in range(1000)]
            things.upsert(ids=list(map(str, range(1000))), embeddings=[[turn, 1]] * 1000, documents=texts)
        wait_for_index(things)
        assert (rows_of(client, things), check(client)) == (1000, [])
        assert size_of(tmp_path)["records"] < 5 << 20


def test_what_was_deleted_is_in_no_file_afterwards(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = fill(client)
        things.update(ids=["id 7"], embeddings=[[1] * DIMENSION], documents=["nobody else says so"])
        things.update(ids=["id 7"], embeddings=[[2] * DIMENSION], documents=["something else"])
        things.add(ids=["an id to forget"], embeddings=[[3] * DIMENSION])
        things.delete(ids=["an id to forget"])
        things.compact()
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert (b"something else" in held, b"nobody else" in held, b"to forget" in held) == (True, False, False)


def test_nor_in_what_a_compaction_left_that_another_process_was_killed_in(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = fill(client)
        things.delete(where={"n": {"$gte": 9}})
        [file] = tmp_path.rglob("vectors-0.f32")
        file.with_name("vectors-1.f32").write_bytes(file.read_bytes() + b"to forget")
        things.compact()
        [file] = tmp_path.rglob("vectors-*")
        assert (file.name, b"to forget" in file.read_bytes()) == ("vectors-1.f32", False)


def test_not_even_when_another_writer_is_first_after_the_rows_were_dropped(tmp_path: Path) -> None:
    class Interrupted(Files):
        def step(self, name: str) -> None:
            if name == "compact: committed":
                [table] = tmp_path.rglob("records.sqlite3")
                other = sqlite3.connect(table, isolation_level=None, check_same_thread=False)
                other.execute("BEGIN IMMEDIATE")
                threading.Timer(0.5, other.close).start()

    with open_with(tmp_path, Interrupted()) as client:
        things = fill(client)
        things.update(ids=["id 7"], embeddings=[[1] * DIMENSION], documents=["nobody else says so"])
        things.delete(ids=["id 7"])
        things.compact()
        held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert (b"text 8" in held, b"nobody else" in held) == (True, False)


def test_nor_is_what_was_replaced_in_its_row_where_none_is_dead(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add("a", [1, 2], documents="hush " * 200_000)
        things.update("a", [1, 2], documents="nothing")
        things.compact()
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert (b"nothing" in held, b"hush" in held) == (True, False)
    assert size_of(tmp_path)["records"] < 1 << 19


@pytest.mark.skipif(os.name == "nt", reason="files have no limit there")
@pytest.mark.parametrize("limit", [50_000, 500_000])  # the first page, and the middle
def test_if_that_cannot_be_done_it_says_so_and_can_be_asked_again(
    tmp_path: Path, limit: int, files_at_most: Callable[[int], AbstractContextManager[None]]
) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        ids = [f"id {i}" for i in range(3000)]
        things.add(ids, vectors(3000), metadatas=[{"said": f"hush {i} " * 30, "n": i} for i in range(3000)])
        things.update(ids[::2], metadatas=[{"said": None}] * 1500)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        before = dump(things)
        with files_at_most(limit), pytest.raises(StorageError, match="SQLite says: "):
            things.compact()
        assert (dump(things), check(client)) == (before, [])
        things.compact()
        assert (dump(things), check(client)) == (before, [])
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert (b"hush 1 " in held, b"hush 2 " in held) == (True, False)


@pytest.fixture
def files_at_most() -> Callable[[int], AbstractContextManager[None]]:
    """Lets no file of this process grow beyond so many bytes while a block runs."""
    import resource

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


def test_no_checkpoint_is_left_of_rows_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 100 * DIMENSION * 4)
    with vicinal.PersistentClient(tmp_path) as client:
        things = fill(client)
        wait_for_index(things)
        [checkpoints] = tmp_path.rglob("checkpoints")
        assert list(checkpoints.iterdir()) != []
        things.delete(where={"n": {"$gte": 1}})
        wait_for_index(things)
        compact(opened(client, things))  # as the background does
        wait_for_index(things)
        assert list(checkpoints.iterdir()) == []


COMPACTING = """
import sys, vicinal
from vicinal._index import planner

planner.GRAPH_BYTES_MIN = 1 << 10  # so that its background waits for the lock
vicinal.PersistentClient(sys.argv[1]).get_collection("things").compact()
"""


def test_background_work_that_fails_leaves_its_lock_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the disk is full: another client goes on, and `compact` comes to its end."""
    refused = threading.Event()

    class FullDisk(Files):
        def step(self, name: str) -> None:
            if name == "checkpoint: file written":
                refused.set()
                raise StorageError(path="checkpoints", problem="No space left on device", errno=errno.ENOSPC)

    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 1 << 10)
    with open_with(tmp_path, FullDisk()) as full:
        fill(full)
        assert refused.wait(60)
        subprocess.run([sys.executable, "-c", COMPACTING, str(tmp_path)], timeout=60, check=True)


def said(path: Path) -> tuple[bool, bool]:
    """Whether any file holds a word of `id 2`'s text, and its metadata's value."""
    held = b"".join(entry.read_bytes() for entry in path.rglob("*") if entry.is_file())
    return b"hushca" in held, b"whisper2x" in held


@pytest.mark.parametrize("left", [300, 1])
def test_nor_is_it_in_what_was_derived(left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a text is replaced in its row; and where so many are deleted that no graph is wanted any more."""
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 100 * DIMENSION * 4)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        ids, vectors = [f"id {i}" for i in range(300)], np.eye(300, DIMENSION) + 1
        told = ["hush" + chr(97 + i % 26) + chr(97 + i // 26) for i in range(300)]
        things.add(ids, vectors, [{"secret": f"whisper{i}x"} for i in range(300)], told)
        things.query(query_texts=["hushca"], mode="text")
        things.get(where_document={"$contains": "hushca"}, where={"secret": "whisper2x"})
        things.optimize()
        assert said(tmp_path / "collections" / str(things.id) / "checkpoints") == (True, True)
        if left == 1:
            things.delete(ids[1:])
        else:
            things.update(ids[2], vectors[2], {"secret": "none"}, "nothing")
        things.compact()
        assert (things.count(), check(client)) == (left, [])
        assert things.query(query_texts=["hushca"], mode="text")["ids"] == [[]]
        assert things.query(query_texts=["hushaa"], mode="text")["ids"] == [["id 0"]]
        assert things.get(where={"secret": "whisper0x"})["ids"] == ["id 0"]
    assert said(tmp_path) == (False, False)


def test_a_collection_left_half_dead_is_compacted_when_it_is_next_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        fill(client).delete(where={"n": {"$gte": 100}})
    monkeypatch.setattr(_upkeep, "_DEAD_BYTES_MIN", 100 * DIMENSION * 4)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        things.update(ids=["id 1"], metadatas=[{"n": 0}])
        wait_for_index(things)
        assert rows_of(client, things) == 100


# --- while others read and write -------------------------------------------------------------------


def test_a_long_reader_holds_up_neither_compaction_nor_writers(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client, vicinal.PersistentClient(tmp_path) as other:
        things = fill(client)
        thin_out(things)
        with other._backend._opened.using(things.id) as live, live.read() as snapshot:
            threads = [threading.Thread(target=work) for work in (things.compact, lambda: fill_one(things))]
            for thread in threads:
                thread.start()
                thread.join(8)
            waiting = [thread.is_alive() for thread in threads]
            assert snapshot.view.vectors[:400].tolist() == vectors(400).tolist()
        for thread in threads:
            thread.join()
        assert waiting == [False, False]


def fill_one(things: vicinal.Collection) -> None:
    things.upsert(ids=["written meanwhile"], embeddings=vectors(1))


def test_another_client_that_is_behind_catches_up(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client, vicinal.PersistentClient(tmp_path) as other:
        things = fill(client)
        seen = other.get_collection("things")
        assert answers(seen) == answers(things)
        thin_out(things)
        things.compact()
        things.add(ids=["after"], embeddings=vectors(1), metadatas=[{"n": 1}])
        assert answers(seen) == answers(things)
        seen.delete(ids=["after"])
        seen.compact()
        assert answers(things) == answers(seen)


def test_another_process_that_is_behind_catches_up(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = fill(client)
        thin_out(things)
        before = answers(things)
        assert run(tmp_path, "") == 0
        assert (answers(things), rows_of(client, things)) == (before, things.count())
        fill_one(things)
        assert things.get()["ids"][-1] == "written meanwhile"


def test_queries_go_on_while_it_happens_again_and_again(client: vicinal.Client) -> None:
    things = fill(client, 100)
    expected = things.query(query_embeddings=vectors(1), n_results=5)["ids"]
    stop = threading.Event()

    def churn() -> None:
        for number in range(30):
            things.upsert(ids=["moving"], embeddings=[[1000 + number] * DIMENSION])
            things.compact()
        stop.set()

    thread = threading.Thread(target=churn)
    thread.start()
    while not stop.is_set():
        assert things.query(query_embeddings=vectors(1), n_results=5)["ids"] == expected
    thread.join()
    assert rows_of(client, things) == 101


# --- when it is cut short ----------------------------------------------------------------------------


def run(path: Path, step: str) -> int:
    """Compact in another process, which is killed when it reaches a step; its exit code."""
    return subprocess.run([sys.executable, __file__, str(path), step], check=False).returncode


@pytest.mark.parametrize("step", STEPS + FILE_STEPS)
def test_a_kill_in_the_middle_loses_nothing(tmp_path: Path, step: str) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = fill(client)
        thin_out(things)
        before = answers(things)
    assert run(tmp_path, step) == KILLED
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        assert (answers(things), check(client)) == (before, [])
        things.compact()
        assert (answers(things), check(client), rows_of(client, things)) == (before, [], things.count())
        assert len(list(tmp_path.rglob("vectors-*"))) == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("step", STEPS + FILE_STEPS)
def test_an_error_in_the_middle_loses_nothing(tmp_path: Path, step: str, code: int) -> None:
    armed: list[str] = []

    def fail(reached: str) -> None:
        if reached in armed:
            raise OSError(code, os.strerror(code))

    with open_with(tmp_path, FaultyFiles(fail)) as client:
        things = fill(client)
        thin_out(things)
        before = answers(things)
        armed.append(step)
        with pytest.raises(OSError, match=os.strerror(code)):
            things.compact()
        armed.clear()
        assert (answers(things), check(client)) == (before, [])
        assert len(list(tmp_path.rglob("vectors-*"))) == (2 if step == "compact: committed" else 1)
        fill_one(things)
        things.delete(ids=["written meanwhile"])
        things.compact()
        assert (answers(things), check(client)) == (before, [])
    with vicinal.PersistentClient(tmp_path) as client:
        assert answers(client.get_collection("things")) == before
        assert len(list(tmp_path.rglob("vectors-*"))) == 1


class Clinging(Files):
    """Removes, as Windows does, no file that this process has open or mapped."""

    def remove(self, path: Path) -> None:
        from tests.engine.held import held_of  # not where this file is a program

        if path.name in held_of(path.parent):
            raise StorageError(path=str(path), problem="is in use")
        super().remove(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_it_happens_where_a_file_that_is_mapped_cannot_be_removed(tmp_path: Path) -> None:
    with open_with(tmp_path, Clinging()) as client:
        things = fill(client)
        thin_out(things)
        before = answers(things)
        things.compact()
        assert (answers(things), check(client), rows_of(client, things)) == (before, [], things.count())
        assert [path.name for path in tmp_path.rglob("vectors-*")] == ["vectors-1.f32"]
        fill_one(things)
        things.delete(ids=["written meanwhile"])
        with opened(client, things).read() as snapshot:
            things.compact()
            assert len(snapshot.view.vectors) == things.count() + 1
        assert len(list(tmp_path.rglob("vectors-*"))) == 2
    with vicinal.PersistentClient(tmp_path) as client:
        assert answers(client.get_collection("things")) == before
        assert [path.name for path in tmp_path.rglob("vectors-*")] == ["vectors-2.f32"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_nor_is_a_file_left_there_when_the_commit_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_with(tmp_path, Clinging()) as client:
        things = fill(client)
        thin_out(things)
        before, live = answers(things), opened(client, things)
        fail_commit(monkeypatch)
        with pytest.raises(StorageError, match="I/O"):
            compact(live)
        assert [path.name for path in tmp_path.rglob("vectors-*")] == ["vectors-0.f32"]
        assert (answers(things), check(client)) == (before, [])


def fail_commit(
    monkeypatch: pytest.MonkeyPatch,
    *,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> None:
    """Roll the next write transaction back at its end; something happens before and after that."""
    write = Database.write

    @contextmanager
    def failing(database: Database) -> Iterator[Transaction]:
        monkeypatch.setattr(Database, "write", write)
        with suppress(RuntimeError), write(database) as tx:
            yield tx
            before()
            raise RuntimeError
        after()
        raise StorageError(path="records.sqlite3", problem="SQLite says: disk I/O error")

    monkeypatch.setattr(Database, "write", failing)


def test_an_error_in_the_middle_loses_nothing_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    write, seen = Database.write, list[list[str]]()

    @contextmanager
    def watched(database: Database) -> Iterator[Transaction]:
        try:
            with write(database) as tx:
                yield tx
        except RuntimeError:
            seen.append(check(client))  # as another thread may as soon as it is rolled back
            raise

    with vicinal.EphemeralClient() as client:
        things = fill(client)
        thin_out(things)
        before = answers(things)
        monkeypatch.setattr(Database, "write", watched)
        for step in STEPS[:-1]:

            def fail(reached: str, step: str = step) -> None:
                if reached == step:
                    raise RuntimeError(step)

            monkeypatch.setattr(opened(client, things), "files", FaultyFiles(fail))
            with pytest.raises(RuntimeError, match=step):
                things.compact()
            assert (answers(things), check(client)) == (before, [])
    assert seen == [[]] * len(STEPS[:-1])


def test_a_compaction_whose_commit_fails_loses_nothing(
    client: vicinal.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = client.create_collection("things", embedding_function=None)
    things.add(ids=["a", "b", "c"], embeddings=[[1, 2], [3, 4], [5, 6]])
    things.delete(ids=["a"])
    before, live = dump(things), opened(client, things)
    fail_commit(monkeypatch)
    with pytest.raises(StorageError, match="I/O"):
        compact(live)
    assert [path.name for path in live.vectors.found()] == ["vectors-0.f32"] * (live.directory is not None)
    assert (dump(things), check(client)) == (before, [])
    compact(live)
    assert (dump(things), check(client)) == (before, [])


def test_a_compaction_interrupted_in_its_commit_loses_nothing(
    client: vicinal.Client, interrupted: Any
) -> None:
    """What a signal raises in the middle of a COMMIT comes when rows have their new numbers."""
    things = client.create_collection("things", embedding_function=None)
    things.add(ids=["a", "b", "c"], embeddings=[[1, 2], [3, 4], [5, 6]])
    things.delete(ids=["a"])
    before, live = dump(things), opened(client, things)
    with interrupted(live.database), pytest.raises(KeyboardInterrupt):
        compact(live)
    assert [path.name for path in live.vectors.found()] == ["vectors-1.f32"] * (live.directory is not None)
    assert (dump(things), check(client)) == (before, [])


def test_what_another_compacted_after_a_commit_failed_is_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file has the name of the one that came to nothing."""

    def compact_there() -> None:
        others.delete(ids=["b"])
        others.compact()

    with vicinal.PersistentClient(tmp_path) as client, vicinal.PersistentClient(tmp_path) as other:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=["a", "b", "c", "d"], embeddings=[[1, 2], [3, 4], [5, 6], [7, 8]])
        things.delete(ids=["a"])
        others, live = other.get_collection("things"), opened(client, things)
        fail_commit(monkeypatch, after=compact_there)
        with pytest.raises(StorageError, match="I/O"):
            compact(live)
        assert (dump(things), check(client)) == (dump(others), [])
        assert [path.name for path in live.vectors.found()] == ["vectors-1.f32"]


@pytest.mark.parametrize("end", ["fails", "is closed"])
def test_what_keeps_a_failed_compaction_from_being_tidied_up_is_not_what_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    write = Database.write

    def broken(database: Database) -> Any:
        raise StorageError(path="records.sqlite3", problem="SQLite says: another error")

    def hinder() -> None:
        if end == "is closed":
            client.close()
        else:
            monkeypatch.setattr(Database, "write", broken)

    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=["a", "b", "c"], embeddings=[[1, 2], [3, 4], [5, 6]])
        things.delete(ids=["a"])
        before, live = dump(things), opened(client, things)
        fail_commit(monkeypatch, before=hinder)
        with pytest.raises(StorageError, match="disk I/O"):
            compact(live)
        monkeypatch.setattr(Database, "write", write)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        assert (dump(things), check(client)) == (before, [])
        assert [path.name for path in tmp_path.rglob("vectors-*")] == ["vectors-0.f32"]


def opened(client: vicinal.Client, things: vicinal.Collection) -> Any:
    with client._backend._opened.using(things.id) as live:
        return live


def main(path: str, step: str) -> None:
    def die(reached: str) -> None:
        if step and reached == step:
            os.kill(os.getpid(), KILL)

    with open_with(Path(path), FaultyFiles(die)) as client:
        client.get_collection("things").compact()


if __name__ == "__main__":
    main(*sys.argv[1:])
