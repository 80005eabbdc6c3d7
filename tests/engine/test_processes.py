"""Any number of processes may share a directory: no error, no lost update, and no torn read.

The processes are real: this file, run as a program, does what its arguments say and answers in JSON
lines. A test that wants them to act at once lets each say that it is ready, and then says go.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal._index import planner
from vicinal.errors import NotFoundError, UniqueConstraintError
from vicinal.testing import FaultyFiles, check, open_with, wait_for_index

BATCH = 10
KEPT = 30  # batches that a writer leaves standing


# --- what the processes do -----------------------------------------------------------------------


def say(value: Any) -> None:
    print(json.dumps(value), flush=True)


def ready() -> None:
    """Wait for the test to say go."""
    say("ready")
    sys.stdin.readline()


def things_of(path: str) -> Any:
    client = vicinal.PersistentClient(path)
    return client, client.get_or_create_collection("things", embedding_function=None)


def append(path: str, writer: str, batches: str) -> None:
    """Batches of records numbered in the order of writing; the collection's counter counts them all."""
    client, things = things_of(path)
    ready()
    for number in range(int(batches)):
        things.add(
            ids=[f"{writer}/{number}/{i}" for i in range(BATCH)],
            embeddings=[[int(writer), number, i] for i in range(BATCH)],
            metadatas=[{"writer": writer, "number": number, "i": i} for i in range(BATCH)],
        )
        things.upsert(ids=[f"last {writer}"], embeddings=[[number] * 3], metadatas=[{"last": number}])
    client.close()
    say("done")


def read(path: str, *writers: str) -> None:
    """Read until told to stop; each state seen must be a prefix of what every writer wrote."""
    client, things = things_of(path)
    things.get(include=["metadatas", "embeddings"])  # what a first read imports is there when writing begins
    ready()
    states, before = 0, dict.fromkeys(writers, -1)
    while before != dict.fromkeys(writers, 39):
        got = things.get(include=["metadatas", "embeddings"])
        seen: dict[str, list[Any]] = {writer: [] for writer in writers}
        last = dict.fromkeys(writers, -1)
        for id, metadata, vector in zip(got["ids"], got["metadatas"], got["embeddings"].tolist()):
            if id.startswith("last "):
                last[id[5:]] = metadata["last"]
                assert vector == [metadata["last"]] * 3
            else:
                assert [*map(int, id.split("/"))] == vector
                seen[metadata["writer"]].append((metadata["number"], metadata["i"]))
        for writer, found in seen.items():
            number = len(found) // BATCH - 1
            assert found == [(n, i) for n in range(number + 1) for i in range(BATCH)]
            assert last[writer] in (number, number - 1)
            assert number >= before[writer]
        query = things.query(query_embeddings=[0, 0, 0], n_results=100_000, where={"number": {"$gte": 0}})
        assert len(query["ids"][0]) % BATCH == 0
        before = last
        states += 1
    client.close()
    say(states)


def increment(path: str, times: str) -> None:
    """Claim numbers by adding ids that nobody else may have added."""
    client, things = things_of(path)
    ready()
    claimed = [
        number for number in range(int(times)) if things.add(ids=[str(number)], embeddings=[[1, 2]]).added
    ]
    client.close()
    say(claimed)


def open_all(path: str, directories: str) -> None:
    """Open fresh directories, and a collection in each, at the same time as everyone else."""
    for number in range(int(directories)):
        ready()
        client, things = things_of(f"{path}/{number}")
        things.add(ids=[str(os.getpid())], embeddings=[[1, 2]])
        client.close()
    say("done")


def make_and_drop(path: str, times: str) -> None:
    """Make, use and delete the same few collections as everyone else."""
    client = vicinal.PersistentClient(path)
    ready()
    for number in range(int(times)):
        name = f"collection-{number % 3}"
        with suppress(NotFoundError):
            things = client.get_or_create_collection(name, embedding_function=None)
            things.upsert(ids=["a"], embeddings=[[number, 1]], metadatas=[{"n": number}])
            assert len(things.query(query_embeddings=[1, 1])["ids"][0]) <= 1
            client.delete_collection(name)
        with suppress(NotFoundError, UniqueConstraintError):
            client.create_collection(name, embedding_function=None).count()
    client.close()
    say("done")


def serve(path: str) -> None:
    """Do one thing for each line on stdin, and tell what came of it."""
    client, things = things_of(path)
    say("ready")
    for line in sys.stdin:
        verb, arguments = json.loads(line)
        try:
            result = getattr(client if verb.endswith("collection") else things, verb)(**arguments)
            say(result if isinstance(result, (dict, int)) else None)
        except vicinal.errors.VicinalError as error:
            say(type(error).__name__)
    client.close()


def write_until_killed(path: str, step: str) -> None:
    def stop(reached: str) -> None:
        if reached == step:
            say("ready")
            sys.stdin.readline()

    things = open_with(Path(path), FaultyFiles(stop)).get_collection("things")
    things.add(ids=["never acknowledged"], embeddings=[[9, 9]])


def index(path: str, count: str) -> None:
    """Add many records and wait until the graph covers them."""
    planner.GRAPH_BYTES_MIN = 1 << 14
    client, things = things_of(path)
    ready()
    vectors = np.random.default_rng(os.getpid()).standard_normal((int(count), 32))
    for start in range(0, int(count), 200):
        ids = [f"{os.getpid()}/{i}" for i in range(start, start + 200)]
        things.add(ids=ids, embeddings=vectors[start : start + 200])
        found = things.query(query_embeddings=vectors[start], n_results=1)
        assert found["ids"] == [[ids[0]]]
    wait_for_index(things)
    client.close()
    say("done")


def compact(path: str, times: str) -> None:
    """Rewrite and compact, while others do the same."""
    client, things = things_of(path)
    ready()
    for number in range(int(times)):
        ids = [f"{os.getpid()}/{i}" for i in range(20)]
        things.upsert(ids=ids, embeddings=[[number, i] for i in range(20)], metadatas=[{"n": number}] * 20)
        things.compact()
        found = things.get(ids=ids, where={"n": number}, include=["embeddings"])
        assert found["ids"] == ids
        assert found["embeddings"].tolist() == [[number, i] for i in range(20)]
    client.close()
    say("done")


# --- the tests -----------------------------------------------------------------------------------


class Process:
    """This file as a program."""

    def __init__(self, work: Callable[..., None], *arguments: Any) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, __file__, work.__name__, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> Any:
        """What it says next; its traceback, when it says nothing more."""
        assert self.popen.stdout is not None and self.popen.stderr is not None
        line = self.popen.stdout.readline()
        assert line, self.popen.stderr.read()
        return json.loads(line)

    def tell(self, value: Any = "go") -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(value) + "\n")
        self.popen.stdin.flush()

    def ask(self, verb: str, **arguments: Any) -> Any:
        """Let `serve` do something."""
        self.tell([verb, arguments])
        return self.hear()

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """`start(work, *arguments)` runs a work in another process, which has said that it is ready."""
    running: list[Process] = []

    def begin(*works: tuple[Any, ...]) -> list[Process]:
        begun = [Process(work, *arguments) for work, *arguments in works]
        running.extend(begun)
        assert [process.hear() for process in begun] == ["ready"] * len(begun)
        return begun

    yield begin
    for process in running:
        process.close()


def go(processes: list[Process]) -> list[Any]:
    """Let all go on at once; what each says next."""
    for process in processes:
        process.tell()
    return [process.hear() for process in processes]


def sound(path: Path) -> dict[str, int]:
    """The counts of the collections, after a check."""
    with vicinal.PersistentClient(path) as client:
        assert check(client) == []
        return {collection.name: collection.count() for collection in client.list_collections()}


def test_readers_see_a_prefix_of_what_two_writers_write(start: Any, tmp_path: Path) -> None:
    readers = [(read, tmp_path, 1, 2)] * 2  # told before the writers: else they may be late
    first, second, *_ = go(start(*readers, (append, tmp_path, 1, 40), (append, tmp_path, 2, 40)))
    assert min(first, second) > 1
    assert sound(tmp_path) == {"things": 2 * 40 * BATCH + 2}


def test_every_id_is_added_by_exactly_one_process(start: Any, tmp_path: Path) -> None:
    claims = go(start(*[(increment, tmp_path, 150)] * 3))
    assert sorted(number for claimed in claims for number in claimed) == list(range(150))
    assert sound(tmp_path) == {"things": 150}


def test_eight_processes_may_open_a_fresh_directory_at_once(start: Any, tmp_path: Path) -> None:
    processes = start(*[(open_all, tmp_path, 12)] * 8)
    for number in range(12):
        assert go(processes) == (["ready"] if number < 11 else ["done"]) * 8
        assert sound(tmp_path / str(number)) == {"things": 8}


def test_processes_make_and_delete_the_same_collections(start: Any, tmp_path: Path) -> None:
    assert go(start(*[(make_and_drop, tmp_path, 25)] * 3)) == ["done"] * 3
    left = sound(tmp_path)
    assert len(list((tmp_path / "collections").iterdir())) == len(left)


def test_processes_that_index_the_same_collection_find_everything(start: Any, tmp_path: Path) -> None:
    assert go(start(*[(index, tmp_path, 2_000)] * 2)) == ["done"] * 2
    assert sound(tmp_path) == {"things": 4_000}


def test_processes_that_compact_the_same_collection_lose_nothing(start: Any, tmp_path: Path) -> None:
    assert go(start(*[(compact, tmp_path, 15)] * 2)) == ["done"] * 2
    assert sound(tmp_path) == {"things": 40}
    assert len(list(tmp_path.glob("collections/*/vectors-*.f32"))) == 1


@pytest.fixture
def shared(start: Any, tmp_path: Path) -> Iterator[tuple[vicinal.Client, vicinal.Collection, Process]]:
    """A client, its collection with two records, and another process that has both open."""
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"n": 1}, {"n": 2}])
        [other] = start((serve, tmp_path))
        yield client, things, other


def test_a_write_is_visible_to_the_next_query_of_another_process(shared: Any) -> None:
    _, things, other = shared
    for number in range(20):
        things.upsert(ids=["mine"], embeddings=[[number, 0.5]], metadatas=[{"n": number}])
        arguments = {"query_embeddings": [number, 0.5], "n_results": 1, "where": {"n": number}}
        assert other.ask("query", **arguments)["ids"] == [["mine"]]
        other.ask("upsert", ids=["theirs"], embeddings=[[number, 7]], documents=[f"text {number}"])
        assert things.query(query_embeddings=[number, 7], n_results=1)["distances"] == [[0.0]]
        assert things.get(where_document={"$contains": f"text {number}"})["ids"] == ["theirs"]
        assert other.ask("delete", ids=["mine"]) == {"deleted": 1}
        assert (things.get(ids=["mine"])["ids"], things.count()) == ([], 3)


def test_a_collection_deleted_by_another_process_is_not_found(shared: Any, tmp_path: Path) -> None:
    client, _, other = shared
    assert other.ask("count") == 2
    client.delete_collection("things")
    assert os.name == "nt" or list((tmp_path / "collections").iterdir()) == []  # there it waits for the other
    verbs: dict[str, Any] = {
        "count": {},
        "get": {},
        "query": {"query_embeddings": [1, 0]},
        "add": {"ids": ["c"], "embeddings": [[1, 1]]},
        "update": {"ids": ["a"], "metadatas": [{"n": 5}]},
        "delete": {"ids": ["a"]},
        "compact": {},
    }
    assert [other.ask(verb, **arguments) for verb, arguments in verbs.items()] == ["NotFoundError"] * 7
    assert list((tmp_path / "collections").iterdir()) == []


def test_a_handle_that_has_only_written_also_learns_of_the_deletion(shared: Any, tmp_path: Path) -> None:
    client, _, other = shared
    other.ask("add", ids=["c"], embeddings=[[1, 1]])
    client.delete_collection("things")
    assert [other.ask("get"), other.ask("add", ids=["d"], embeddings=[[1, 1]])] == ["NotFoundError"] * 2
    assert list((tmp_path / "collections").iterdir()) == []


def test_a_new_collection_of_the_same_name_is_not_mistaken_for_the_old(shared: Any) -> None:
    client, old, other = shared
    other.ask("delete_collection", name="things")
    new = client.create_collection("things", embedding_function=None)
    new.add(ids=["new"], embeddings=[[1, 2, 3]])
    assert other.ask("get") == "NotFoundError"
    with pytest.raises(NotFoundError):
        old.get()
    assert new.get()["ids"] == ["new"]


@pytest.mark.parametrize("step", ["write: before vectors", "write: vectors synced", "write: before commit"])
def test_a_writer_killed_in_the_middle_holds_nobody_up(shared: Any, start: Any, step: str) -> None:
    client, things, other = shared
    [victim] = start((write_until_killed, client.path, step))
    assert other.ask("count") == 2
    victim.popen.kill()
    victim.popen.wait()
    things.add(ids=["c"], embeddings=[[3, 3]])
    assert other.ask("query", query_embeddings=[9, 9], n_results=1)["ids"] == [["c"]]
    assert (things.get()["ids"], check(client)) == (["a", "b", "c"], [])


def test_readers_do_not_wait_for_a_writer_that_takes_its_time(shared: Any, start: Any) -> None:
    client, things, other = shared
    [writer] = start((write_until_killed, client.path, "write: before commit"))
    assert things.get()["ids"] == ["a", "b"]
    assert things.query(query_embeddings=[9, 8], n_results=1)["ids"] == [["a"]]
    assert other.ask("get")["ids"] == ["a", "b"]
    writer.tell()
    writer.popen.wait()
    assert things.get()["ids"] == ["a", "b", "never acknowledged"]


def test_an_interruption_while_another_process_writes_holds_nobody_up(
    shared: Any, start: Any, on_alarm: Any
) -> None:
    """SQLite waits on, so what Ctrl-C raises comes when the lock has been had, and must give it back."""

    class RungError(Exception):
        pass

    def ring(*_: Any) -> None:
        raise RungError

    client, things, other = shared
    [writer] = start((write_until_killed, client.path, "write: before commit"))
    threading.Timer(0.5, writer.tell).start()
    on_alarm(ring)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with pytest.raises(RungError):
        things.add(ids=["c"], embeddings=[[3, 3]])
    things.add(ids=["d"], embeddings=[[4, 4]])
    other.ask("add", ids=["e"], embeddings=[[5, 5]])
    assert things.get()["ids"] == ["a", "b", "never acknowledged", "d", "e"]


def test_a_deletion_cut_short_still_reaches_who_holds_the_collection(shared: Any, tmp_path: Path) -> None:
    _, things, other = shared
    assert other.ask("count") == 2

    def stop(step: str) -> None:
        if step == "drop: committed":
            raise InterruptedError

    with suppress(InterruptedError), open_with(tmp_path, FaultyFiles(stop)) as cut_short:
        cut_short.delete_collection("things")
    vicinal.PersistentClient(tmp_path).close()
    assert os.name == "nt" or list((tmp_path / "collections").iterdir()) == []  # there it waits for both
    assert other.ask("add", ids=["c"], embeddings=[[1, 1]]) == "NotFoundError"
    with pytest.raises(NotFoundError):
        things.count()
    assert list((tmp_path / "collections").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("kind", ["ephemeral", "persistent"])
def test_a_forked_child_goes_on_with_the_client_of_its_parent(tmp_path: Path, kind: str) -> None:
    client = vicinal.EphemeralClient() if kind == "ephemeral" else vicinal.PersistentClient(tmp_path)
    things = client.create_collection("things", embedding_function=None)
    things.add(ids=["parent"], embeddings=[[1, 2]])
    pid = os.fork()
    if not pid:
        status = 1
        with suppress(BaseException):
            things.add(ids=["child"], embeddings=[[3, 4]])
            found = things.query(query_embeddings=[3, 4], where={"n": {"$exists": False}})["ids"]
            client.close()
            status = 0 if found == [["child", "parent"]] else 2
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    things.add(ids=["after"], embeddings=[[5, 6]])
    expected = ["parent", "after"] if kind == "ephemeral" else ["parent", "child", "after"]
    assert (things.get()["ids"], check(client)) == (expected, [])
    client.close()


@pytest.mark.slow
def test_many_processes_for_a_while(start: Any, tmp_path: Path) -> None:
    works = [(append, tmp_path, w, 40) for w in range(1, 5)] + [(read, tmp_path, 1, 2, 3, 4)] * 4
    go(start(*works))
    assert sound(tmp_path) == {"things": 4 * 40 * BATCH + 4}


@pytest.mark.slow
def test_a_hundred_fresh_directories_opened_by_eight_processes(start: Any, tmp_path: Path) -> None:
    processes = start(*[(open_all, tmp_path, 100)] * 8)
    for number in range(100):
        assert go(processes) == (["ready"] if number < 99 else ["done"]) * 8
        assert sound(tmp_path / str(number)) == {"things": 8}


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
