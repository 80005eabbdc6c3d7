"""Of the processes on one directory one builds the graph, the others use it, and any goes on when it dies.

The processes are this file, run as a program: each opens the collection, counts the rows that it inserts
into a graph itself, and obeys one command a line. `hold` makes one stop for ever in the middle of
building, so that it can be killed there.

What it costs to see that nothing has changed is not tested but measured: `--measure` prints the
microseconds of a read's look at the state, and of whole calls.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal._index import planner
from vicinal._index.graph import Graph
from vicinal._storage.lock import FileLock
from vicinal.testing import check, nearest, wait_for_index

ROWS, DIMENSION = 1500, 32


def vectors(first: int, count: int) -> Any:
    return np.random.default_rng(first).standard_normal((count, DIMENSION), dtype=np.float32)


def say(value: Any) -> None:
    print(json.dumps(value), flush=True)


# --- the processes ---------------------------------------------------------------------------------


class Process:
    """One that has the collection open."""

    def __init__(self, path: str, hold: str) -> None:
        planner.GRAPH_BYTES_MIN = 64 * DIMENSION * 4
        self.built, self.hold = 0, int(hold)
        self._watch()
        self.client = vicinal.PersistentClient(path)
        self.things = self.client.get_or_create_collection("things", embedding_function=None)

    def _watch(self) -> None:
        """Count what is inserted into graphs here; stop for ever after `hold` rows, if that is not 0."""
        extend: Callable[..., Iterator[int]] = Graph.extend

        def watched(graph: Graph, *args: Any) -> Iterator[int]:
            before = graph.rows
            for covered in extend(graph, *args):
                self.built, before = self.built + covered - before, covered
                if self.hold and self.built >= self.hold:
                    say("holding")
                    threading.Event().wait()
                yield covered

        Graph.extend = watched  # type: ignore[method-assign]

    def add(self, first: str, count: str) -> Any:
        given = vectors(int(first), int(count))
        self.things.upsert(ids=[f"{int(first) + i}" for i in range(int(count))], embeddings=given)

    def count(self) -> Any:
        return self.things.count()

    def query(self, seed: str) -> Any:
        return self.things.query(query_embeddings=vectors(int(seed), 1)[0], n_results=5)["distances"][0]

    def wait(self) -> Any:
        wait_for_index(self.things)

    def graph(self) -> Any:
        """[rows that the graph covers, rows that this process inserted itself]"""
        live = self.client._backend._opened._live[self.things.id]  # type: ignore[attr-defined]
        return [live.graph.rows if live.graph is not None else 0, self.built]


def serve(path: str, hold: str) -> None:
    process = Process(path, hold)
    say("open")
    for line in sys.stdin:
        name, *args = line.split()
        say(getattr(process, name)(*args))
    if not process.hold:
        process.client.close()


class Remote:
    """A process as the test sees it."""

    def __init__(self, path: Path, hold: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(path), str(hold)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.hear() == "open"

    def ask(self, command: str) -> Any:
        self.tell(command)
        return self.hear()

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.kill()
        self.close()

    def close(self) -> None:
        self._process.communicate()
        assert self._process.returncode in (0, 1 if os.name == "nt" else -signal.SIGKILL)


@pytest.fixture
def open_remote(tmp_path: Path) -> Iterator[Callable[..., Remote]]:
    remotes: list[Remote] = []

    def open_one(hold: int = 0) -> Remote:
        remotes.append(Remote(tmp_path, hold))
        return remotes[-1]

    yield open_one
    for remote in remotes:
        if remote._process.returncode is None:
            remote.kill()
    with vicinal.PersistentClient(tmp_path) as client:
        assert check(client) == []


def hold_in_the_middle(remote: Remote) -> None:
    """Let a process write, and stop for ever in the middle of indexing what it wrote."""
    remote.tell(f"add 0 {ROWS}")
    assert {str(remote.hear()), str(remote.hear())} == {"None", "holding"}


# --- the tests -------------------------------------------------------------------------------------


def test_while_one_process_builds_the_other_does_not(open_remote: Any) -> None:
    builder, other = open_remote(hold=200), open_remote()
    hold_in_the_middle(builder)
    answers = [other.ask(f"query {seed}") for seed in range(20)]
    assert answers == [nearest(vectors(seed, 1)[0], vectors(0, ROWS), 5)[1] for seed in range(20)]
    assert other.ask("graph") == [0, 0]


def test_the_other_loads_the_checkpoint_of_the_one_that_built(open_remote: Any) -> None:
    builder, other = open_remote(), open_remote()
    builder.ask(f"add 0 {ROWS}")
    builder.ask("wait")
    assert builder.ask("graph") == [ROWS, ROWS]
    other.ask("wait")
    assert other.ask("graph") == [ROWS, 0]
    assert other.ask("query 3") == builder.ask("query 3")


def test_the_other_takes_over_when_the_one_that_builds_is_killed(open_remote: Any) -> None:
    builder, other = open_remote(hold=200), open_remote()
    hold_in_the_middle(builder)
    other.ask("query 1")
    builder.kill()
    other.ask("wait")
    assert other.ask("graph") == [ROWS, ROWS]


def test_the_other_goes_on_from_the_last_checkpoint(open_remote: Any) -> None:
    first, other = open_remote(), open_remote()
    first.ask(f"add 0 {ROWS}")
    first.ask("wait")
    first.kill()
    other.ask(f"add {ROWS} {ROWS}")
    other.ask("wait")
    assert other.ask("graph") == [2 * ROWS, ROWS]


def test_a_process_that_closes_lets_another_build(open_remote: Any) -> None:
    first, other = open_remote(), open_remote()
    first.ask("wait")
    first.close()
    other.ask(f"add 0 {ROWS}")
    other.ask("wait")
    assert other.ask("graph") == [ROWS, ROWS]


def test_a_lock_that_nobody_lets_go_of_ends_with_its_last_reference(tmp_path: Path) -> None:
    """As when a collection is deleted, and its client closed, in the middle of a turn of the background."""
    lock = FileLock(tmp_path / "upkeep.lock")
    assert lock.acquire()
    assert lock._file is not None
    closed = lock._file.close
    del lock
    gc.collect()
    assert not closed.alive


def test_a_lock_that_is_taken_again_is_still_kept_from_others(tmp_path: Path) -> None:
    """A process loses what it has locked in a file when it closes any of its descriptors of that file."""
    path = tmp_path / "upkeep.lock"
    lock = FileLock(path)
    assert lock.acquire()
    assert lock.acquire()
    gc.collect()
    assert not another_gets(path)
    lock.release()
    assert another_gets(path)


def test_a_lock_that_cannot_be_opened_keeps_nobody_from_the_work(tmp_path: Path) -> None:
    """As where another user has made the file: else `optimize` would wait for nobody, for ever."""
    (tmp_path / "upkeep.lock").mkdir()
    lock = FileLock(tmp_path / "upkeep.lock")
    assert lock.acquire()
    lock.release()
    assert not FileLock(tmp_path / "gone" / "upkeep.lock").acquire()


def another_gets(path: Path) -> bool:
    """Whether another process can have a lock now."""
    program = (
        "import pathlib, sys; from vicinal._storage.lock import FileLock; "
        "sys.exit(not FileLock(pathlib.Path(sys.argv[1])).acquire())"
    )
    return not subprocess.call([sys.executable, "-c", program, str(path)])


def test_the_next_query_sees_what_another_process_committed(open_remote: Any) -> None:
    writer, reader = open_remote(), open_remote()
    for number in range(1, 41):
        writer.ask(f"add {number} 1")
        assert reader.ask("count") == number
        assert reader.ask(f"query {number}")[0] == 0.0


# --- measuring -------------------------------------------------------------------------------------


def measure() -> None:
    """Microseconds of a read of a collection of 20,000 records that has not changed since the last one."""
    with tempfile.TemporaryDirectory() as directory, vicinal.PersistentClient(directory) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=[f"{i}" for i in range(20_000)], embeddings=vectors(0, 20_000))
        wait_for_index(things)
        live = client._backend._opened._live[things.id]  # type: ignore[attr-defined]

        def look() -> None:
            with live.read():
                pass

        calls: dict[str, Callable[[], Any]] = {"look": look, "count": things.count}
        calls["get one"] = lambda: things.get(ids=["7"])
        for name, call in calls.items():
            best = min(timeit.repeat(call, number=1000, repeat=7)) * 1000
            print(f"{name:10} {best:.0f} µs")


if __name__ == "__main__":
    measure() if sys.argv[1] == "--measure" else serve(*sys.argv[1:])
