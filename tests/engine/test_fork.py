"""A forked child goes on with the client of its parent as if it had opened one of its own.

On disk both share the directory; in memory the child has a copy. It does not matter what the parent's
threads were doing when it forked.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal import _opened
from vicinal._index import planner
from vicinal._index.indexer import Indexer
from vicinal._local import LocalBackend
from vicinal._storage import database, forks
from vicinal._storage.schema import CATALOG
from vicinal.errors import ClosedError
from vicinal.testing import FaultyFiles, check, open_with, wait_for_index

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

DEADLINE_S = 60  # then a child hangs


class Child:
    """A forked process that runs a function; `result` is "" when all went well, else its traceback."""

    def __init__(self, work: Callable[[], None]) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(reading)
            self._run(work, writing)
        os.close(writing)
        self._answer = os.fdopen(reading, "rb")

    @staticmethod
    def _run(work: Callable[[], None], writing: int) -> None:

        signal.alarm(DEADLINE_S)
        try:
            work()
            os.write(writing, b"well")
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
        os._exit(0)

    def result(self) -> str:
        answer = self._answer.read().decode()
        self._answer.close()
        os.waitpid(self.pid, 0)
        return answer or "the child hung"


def fill(client: vicinal.Client, count: int = 3) -> vicinal.Collection:
    things = client.create_collection("things", embedding_function=None)
    things.add(
        ids=[f"parent {i}" for i in range(count)],
        embeddings=[[i, 1] for i in range(count)],
        metadatas=[{"n": i} for i in range(count)],
    )
    return things


def test_a_child_sees_what_its_parent_wrote_and_may_write(
    client: vicinal.Client, collection: vicinal.Collection
) -> None:
    collection.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[{"n": 1}, {"n": 2}])

    def work() -> None:
        assert collection.get(where={"n": {"$gt": 1}})["ids"] == ["b"]
        collection.add(ids=["c"], embeddings=[[5, 6]], metadatas=[{"n": 3}])
        assert collection.query(query_embeddings=[5, 6], n_results=1)["ids"] == [["c"]]
        collection.delete(ids=["a"])
        collection.compact()
        assert (collection.get()["ids"], check(client)) == (["b", "c"], [])

    assert Child(work).result() == "well"
    shared = isinstance(client, vicinal.PersistentClient)
    assert collection.get()["ids"] == (["b", "c"] if shared else ["a", "b"])
    collection.add(ids=["after"], embeddings=[[7, 8]])
    assert collection.query(query_embeddings=[7, 8], n_results=1)["ids"] == [["after"]]


def test_collections_that_a_child_makes_are_seen_by_its_parent(tmp_path: Path, new_client: Any) -> None:
    client = new_client(tmp_path)
    fill(client)

    def work() -> None:
        client.create_collection("made", embedding_function=None).add(ids=["x"], embeddings=[[1]])
        client.delete_collection("things")
        client.close()

    assert Child(work).result() == "well"
    assert [held.name for held in client.list_collections()] == ["made"]
    assert client.get_collection("made").get()["ids"] == ["x"]


def test_children_write_at_once_and_nothing_is_lost(tmp_path: Path, new_client: Any) -> None:
    client = new_client(tmp_path)
    things = fill(client)

    def work(number: int) -> None:
        for i in range(20):
            things.add(ids=[f"{number}/{i}"], embeddings=[[number, i]])

    children = [Child(lambda number=number: work(number)) for number in range(4)]  # type: ignore[misc]
    assert [child.result() for child in children] == ["well"] * 4
    assert things.count() == 3 + 4 * 20


@pytest.mark.parametrize("place", [None, "data"])
@pytest.mark.parametrize("used", [False, True])
def test_a_child_goes_on_with_an_async_client(tmp_path: Path, place: str | None, used: bool) -> None:
    """No thread of its pool is there, and what these were about to do is not done."""
    client: vicinal.AsyncClient
    client = (
        vicinal.AsyncEphemeralClient() if place is None else vicinal.AsyncPersistentClient(tmp_path / place)
    )

    async def add(id: str) -> int:
        things = await client.get_or_create_collection("things", embedding_function=None)
        await things.add(ids=[id], embeddings=[[1, 2]])
        return await things.count()

    before = asyncio.run(add("parent")) if used else 0

    def work() -> None:
        assert asyncio.run(add("child")) == before + 1
        assert client.tenant == "default_tenant"
        asyncio.run(client.close())
        with pytest.raises(ClosedError):
            asyncio.run(add("later"))

    assert Child(work).result() == "well"
    assert asyncio.run(add("after")) == before + (1 if place is None else 2)
    asyncio.run(client.close())
    assert Child(lambda: asyncio.run(client.close())).result() == "well"


def test_a_child_that_closes_what_it_never_used_has_closed_it(
    client: vicinal.Client, collection: vicinal.Collection
) -> None:
    collection.add(ids=["a"], embeddings=[[1, 2]])

    def work() -> None:
        client.close()
        for use in (collection.count, client.list_collections):
            with pytest.raises(ClosedError):
                use()

    assert Child(work).result() == "well"
    assert collection.count() == 1


def test_a_child_of_a_child_goes_on_too(client: vicinal.Client, collection: vicinal.Collection) -> None:
    collection.add(ids=["a"], embeddings=[[1, 2]])

    def grandchild() -> None:
        collection.add(ids=["c"], embeddings=[[1, 3]])
        assert collection.get()["ids"] == ["a", "b", "c"]

    def work() -> None:
        collection.add(ids=["b"], embeddings=[[1, 2]])
        assert Child(grandchild).result() == "well"

    assert Child(work).result() == "well"
    assert collection.count() == (3 if isinstance(client, vicinal.PersistentClient) else 1)


def test_a_child_that_closes_the_client_does_not_close_that_of_its_parent(
    client: vicinal.Client, collection: vicinal.Collection
) -> None:
    collection.add(ids=["a"], embeddings=[[1, 2]])
    assert Child(client.close).result() == "well"
    assert collection.get()["ids"] == ["a"]


def test_a_child_that_never_uses_the_client_changes_nothing(
    client: vicinal.Client, collection: vicinal.Collection
) -> None:
    collection.add(ids=["a"], embeddings=[[1, 2]])
    assert Child(lambda: None).result() == "well"
    assert (collection.get()["ids"], check(client)) == (["a"], [])


def test_a_client_that_was_closed_before_the_fork_is_closed_in_the_child(tmp_path: Path) -> None:
    client = vicinal.PersistentClient(tmp_path)
    things = fill(client)
    client.close()

    def work() -> None:
        with pytest.raises(vicinal.errors.ClosedError):
            things.count()

    assert Child(work).result() == "well"


# --- what the parent's threads were doing ------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ephemeral", "persistent"])
def test_the_graph_may_be_in_the_making(
    tmp_path: Path, new_client: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 1 << 12)
    client = new_client(tmp_path if kind == "persistent" else None)
    things = client.create_collection("things", embedding_function=None)
    vectors = np.random.default_rng(1).standard_normal((6000, 64)).astype(np.float32)
    things.add(ids=list(map(str, range(6000))), embeddings=vectors)

    def work() -> None:
        for i in (0, 3000, 5999):
            assert things.query(query_embeddings=vectors[i], n_results=1)["ids"] == [[str(i)]]
        things.add(ids=["new"], embeddings=[[9] * 64])
        assert things.query(query_embeddings=[9] * 64, n_results=1)["ids"] == [["new"]]
        if kind == "ephemeral":
            wait_for_index(things)

    assert [Child(work).result() for _ in range(3)] == ["well"] * 3
    wait_for_index(things)
    assert things.count() == (6001 if kind == "persistent" else 6000)


def test_several_threads_of_a_child_may_come_first(
    collection: vicinal.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one would go on with locks that another was just replacing: two in one transaction."""
    collection.add(ids=["a"], embeddings=[[1, 2]])

    def work() -> None:
        answered = threading.Event()
        early: list[bool] = []

        class SlowIndexer(Indexer):
            """Made while a client begins anew."""

            def __init__(self) -> None:
                early.append(answered.wait(0.2))
                super().__init__()

        def ask() -> None:
            if collection.count() == 1:
                answered.set()

        monkeypatch.setattr(_opened, "Indexer", SlowIndexer)
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (early, answered.is_set()) == ([False], True)

    assert Child(work).result() == "well"


@contextmanager
def stopped_in_a_write(files: Stopping, things: vicinal.Collection) -> Iterator[None]:
    """Another thread stands in the middle of a write, all locks in its hands, until it may go on."""
    files.armed = True
    thread = threading.Thread(target=lambda: things.add(ids=["half"], embeddings=[[1, 1]]))
    thread.start()
    files.reached.wait()
    try:
        yield
    finally:
        files.go_on.set()
        thread.join()


class Stopping(FaultyFiles):
    """A file system that stops one write before its commit."""

    def __init__(self) -> None:
        self.armed, self.reached, self.go_on = False, threading.Event(), threading.Event()
        super().__init__(self._stop)

    def _stop(self, step: str) -> None:
        if self.armed and step == "write: before commit":
            self.armed = False
            self.reached.set()
            self.go_on.wait()


def test_a_fork_waits_for_a_write_on_disk(tmp_path: Path) -> None:
    files = Stopping()
    with open_with(tmp_path, files) as client:
        things = fill(client)
        with stopped_in_a_write(files, things):
            threading.Timer(0.05, files.go_on.set).start()
            child = Child(lambda: (reads(things), writes(things)))
        assert child.result() == "well"
        assert (things.get()["ids"][3:], check(client)) == (["half", "child"], [])


def test_a_fork_waits_for_a_write_in_memory() -> None:
    files = Stopping()
    with vicinal.Client._over(LocalBackend(None, files)) as client:
        things = fill(client)
        with stopped_in_a_write(files, things):
            threading.Timer(0.05, files.go_on.set).start()
            child = Child(lambda: (reads(things), writes(things)))
        assert child.result() == "well"
        assert (things.get()["ids"][3:], check(client)) == (["half"], [])


def test_a_fork_waits_for_whatever_uses_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, inside, outside = sqlite3.connect, list[int](), list[str]()

    def watched(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        made = connect(*args, **kwargs)
        made.set_trace_callback(lambda statement: None if inside else outside.append(statement))
        return made

    @contextmanager
    def transaction() -> Iterator[None]:
        inside.append(1)
        yield
        inside.pop()

    monkeypatch.setattr(sqlite3, "connect", watched)
    monkeypatch.setattr(forks, "transaction", transaction)
    monkeypatch.setattr(database, "_LOG_BYTES", 0)  # so that there is something to settle
    for place in (tmp_path / "catalog.sqlite3", None):
        with closing(database.Database(place, CATALOG)) as held:
            with held.write() as tx:
                tx.execute("DELETE FROM tenants")
            with held.read() as tx:
                assert tx.execute("SELECT count(*) FROM tenants").fetchone() == (0,)
            held.settle()
            held.shrink()
            assert held.size_bytes() > 0
            if place:
                held.copy(tmp_path / "copy")
                with database.foreign(tmp_path / "copy") as tx:
                    assert tx.execute("SELECT count(*) FROM tenants").fetchone() == (0,)
    assert outside == []


def test_it_does_so_in_a_process_that_has_opened_no_directory() -> None:
    alone = f"{__file__}::{test_a_fork_waits_for_a_write_in_memory.__name__}"
    command = [sys.executable, "-m", "pytest", alone]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def reads(things: vicinal.Collection) -> None:
    assert things.get()["ids"] == ["parent 0", "parent 1", "parent 2", "half"]
    assert things.query(query_embeddings=[2, 1], n_results=1)["ids"] == [["parent 2"]]


def writes(things: vicinal.Collection) -> None:
    things.add(ids=["child"], embeddings=[[9, 9]])
    assert things.query(query_embeddings=[9, 9], n_results=1)["ids"] == [["child"]]


@pytest.mark.parametrize("kind", ["ephemeral", "persistent"])
def test_threads_may_be_busy_with_anything(tmp_path: Path, new_client: Any, kind: str) -> None:
    client = new_client(tmp_path if kind == "persistent" else None)
    things, stop = fill(client), threading.Event()

    def work(number: int) -> None:
        while not stop.is_set():
            things.upsert(ids=["busy"], embeddings=[[number, 100]])
            things.get(where={"n": 1})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()

    def child() -> None:
        found = things.query(query_embeddings=[0, 1], n_results=3)["ids"]
        assert found == [["parent 0", "parent 1", "parent 2"]]
        things.upsert(ids=["child"], embeddings=[[1, 100]])
        assert things.get(ids=["child"])["ids"] == ["child"]

    try:
        assert [Child(child).result() for _ in range(10)] == ["well"] * 10
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# --- while others work -----------------------------------------------------------------------------

TOGETHER = """
import os, sys, threading, time, warnings, vicinal

warnings.simplefilter("ignore", DeprecationWarning)
path, target, ends = sys.argv[1] or None, sys.argv[2], time.monotonic() + 2
client = vicinal.EphemeralClient() if path is None else vicinal.PersistentClient(path)
first = client.create_collection("first", embedding_function=None)
first.add(ids=["a"], embeddings=[[1, 2]])

def repeat(work):
    number = 0
    while time.monotonic() < ends:
        work(number)
        number += 1

def make(number):
    client.create_collection(f"made {number}".replace(" ", "."), embedding_function=None).add("a", [1, 2])

def copy(number):
    if path is None or number % 2:
        first.fork(f"forked.{number}")
    else:
        client.backup(target)

def split(number):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)

threads = [threading.Thread(target=repeat, args=[work], daemon=True) for work in (make, copy)]
for thread in threads:
    thread.start()
repeat(split)
for thread in threads:
    thread.join()
print("well")
"""


@pytest.mark.parametrize("place", ["", "data"])
def test_collections_are_made_copied_and_forked_with_the_process_at_once(place: str, tmp_path: Path) -> None:
    """Nobody who waits for a fork, or for the names, holds what another needs to come to an end."""
    arguments = [str(tmp_path / place) if place else "", str(tmp_path / "backup")]
    ended = subprocess.run(
        [sys.executable, "-c", TOGETHER, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.stdout, ended.stderr) == ("well\n", "")
