"""What was acknowledged is still there, whatever killed the process; what was not is not half there.

The killed process is real: this file, run as a program, forks a writer for every order it reads. The
writer acknowledges each batch on a pipe and dies by SIGKILL, at a named step or at a random moment;
the test then opens the directory and compares it with a dictionary that replays the batches.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal import _live
from vicinal._index import planner
from vicinal._storage.files import OpenFile
from vicinal._upkeep import Upkeep
from vicinal.errors import NotFoundError, StorageError
from vicinal.testing import FaultyFiles, check, nearest, open_with, wait_for_index

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

DIMENSION = 512
KEYS = [f"key {i}" for i in range(40)]
BATCHES_MAX = 400
GRAPH_BYTES_MIN = 16 * DIMENSION * 4  # so that small collections have graphs and checkpoints

WRITE_STEPS = [
    "write: before vectors",
    "file: grow",
    "file: write",
    "file: sync",
    "write: vectors synced",
    "write: before commit",
    "write: committed",
]
STEPS = [
    *WRITE_STEPS,
    "remove: before commit",
    "remove: committed",
    "checkpoint: file written",
    "file: replace",
    "checkpoint: manifest replaced",
    "compact: before vectors",
    "compact: vectors synced",
    "compact: before commit",
    "compact: committed",
    "half a write",
    "power cut",
]
COLLECTION_STEPS = [
    "create: before commit",
    "create: committed",
    "modify: before commit",
    "drop: before commit",
    "drop: committed",
]


# --- what is written ---------------------------------------------------------------------------


def batch(seed: int, number: int) -> tuple[str, dict[str, Any]]:
    """Batch `number` of a history: a verb and its arguments, the same in every process."""
    if number % 20 == 19:
        return "compact", {}
    rng = random.Random(f"{seed}/{number}")
    ids = rng.sample(KEYS, rng.randint(1, 16))
    if rng.random() < 0.2:
        older = {"where": {"n": {"$lt": number - 12}}}
        return "delete", rng.choice([{"ids": ids[:3]}, older])
    vectors = np.random.default_rng([seed, number]).integers(-9, 10, (len(ids), DIMENSION))
    args: dict[str, Any] = {"ids": ids, "embeddings": vectors.astype(np.float32)}
    args["documents"] = [f"text {number} of {id}" for id in ids]
    args["metadatas"] = [{"n": number, "even": number % 2 == 0, f"extra {number % 3}": id} for id in ids]
    verb = rng.choice(["add", "upsert", "upsert", "update", "update metadata"])
    if verb == "update metadata":
        verb, args = "update", {"ids": ids, "metadatas": args["metadatas"]}
    return verb, args


class Model:
    """What a collection holds after so many batches: id → (vector, document, metadata), in order."""

    def __init__(self, seed: int) -> None:
        self.seed, self.batches = seed, 0
        self.records: dict[str, tuple[tuple[float, ...], str, dict[str, Any]]] = {}

    def advance(self, batches: int) -> Model:
        while self.batches < batches:
            verb, args = batch(self.seed, self.batches)
            getattr(self, verb)(**args)
            self.batches += 1
        return self

    def compact(self) -> None:
        """Changes no answer."""

    def delete(self, ids: list[str] | None = None, where: dict[str, Any] | None = None) -> None:
        bound = -1 if where is None else where["n"]["$lt"]
        gone = [id for id, (_, _, m) in self.records.items() if id in (ids or ()) or m["n"] < bound]
        for id in gone:
            del self.records[id]

    def add(self, ids: list[str], **columns: Any) -> None:
        self._write(ids, columns, lambda key: key not in self.records)

    def upsert(self, ids: list[str], **columns: Any) -> None:
        self._write(ids, columns, lambda _: True)

    def update(self, ids: list[str], **columns: Any) -> None:
        self._write(ids, columns, lambda key: key in self.records)

    def _write(self, ids: list[str], columns: dict[str, Any], wanted: Callable[[str], bool]) -> None:
        for item, id in enumerate(ids):
            if wanted(id):
                vector, text, metadata = self.records.get(id, ((), "", {}))
                if "embeddings" in columns:
                    vector, text = tuple(columns["embeddings"][item].tolist()), columns["documents"][item]
                self.records[id] = (vector, text, {**metadata, **columns["metadatas"][item]})


def contents(collection: vicinal.Collection) -> dict[str, Any]:
    """A collection as a model's records."""
    got = collection.get(include=["embeddings", "documents", "metadatas"])
    rows = zip(got["ids"], got["embeddings"], got["documents"], got["metadatas"])
    return {id: (tuple(vector.tolist()), text, metadata) for id, vector, text, metadata in rows}


# --- comparing ---------------------------------------------------------------------------------


def verify(path: Path, model: Model, acknowledged: int) -> Model:
    """Open what a killed process left; the model returned is the one that it holds."""
    with vicinal.PersistentClient(path) as client:
        assert check(client) == []
        things = client.get_or_create_collection("things", embedding_function=None)
        found = contents(things)
        if found != model.advance(acknowledged).records:
            model.advance(acknowledged + 1)  # the batch in hand was committed, its acknowledgement lost
        assert found == model.records
        assert list(found) == list(model.records)
        wait_for_index(things)
        agree(things, model)
    return model


def agree(things: vicinal.Collection, model: Model) -> None:
    """Queries and filters answer as the model does."""
    middle = model.batches - 5
    conditions: list[tuple[dict[str, Any], Callable[[Any], bool]]] = [
        ({}, lambda record: True),
        ({"where": {"n": {"$gte": middle}}}, lambda record: record[2]["n"] >= middle),
        ({"where": {"even": {"$ne": True}}}, lambda record: not record[2]["even"]),
        ({"where": {"extra 1": {"$exists": True}}}, lambda record: "extra 1" in record[2]),
        ({"where_document": {"$contains": "1"}}, lambda record: "1" in record[1]),
    ]
    query = np.random.default_rng(model.batches).integers(-9, 10, DIMENSION).astype(np.float32)
    for arguments, holds in conditions:
        matching = [id for id, record in model.records.items() if holds(record)]
        assert things.get(**arguments)["ids"] == matching
        answer = things.query(query_embeddings=query, n_results=5, **arguments)
        vectors = np.array([model.records[id][0] for id in matching]).reshape(-1, DIMENSION)
        assert answer["distances"][0] == nearest(query, vectors, 5)[1]
        assert answer["documents"][0] == [model.records[id][1] for id in answer["ids"][0]]


# --- the process that is killed ----------------------------------------------------------------


class Deadly(FaultyFiles):
    """A file system whose process is killed when a step is reached for the n-th time."""

    def __init__(self, step: str, times: int) -> None:
        super().__init__(self._count)
        self.deadly, self.left = step, times
        self.unsynced: list[tuple[int, int, int]] = []  # (descriptor, offset, size)

    def _count(self, step: str) -> None:
        if step == self.deadly:
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)

    def write_at(self, file: OpenFile, data: memoryview, offset: int) -> None:
        if self.deadly == "half a write" and self.left == 1:
            super().write_at(file, data[: data.nbytes // 2 + 1], offset)
        self.on("half a write")
        super().write_at(file, data, offset)
        self.unsynced.append((file.fd, offset, data.nbytes))

    def sync(self, file: OpenFile) -> None:
        if self.deadly == "power cut" and self.left == 1:
            for fd, offset, size in self.unsynced:
                os.pwrite(fd, b"\xff" * size, offset)
        self.on("power cut")
        super().sync(file)
        self.unsynced.clear()


def acknowledge(number: int) -> None:
    os.write(1, b"%d\n" % number)


def write_batches(path: Path, files: FaultyFiles, seed: int, start: int) -> None:
    things = open_with(path, files).get_or_create_collection("things", embedding_function=None)
    for number in range(start, BATCHES_MAX + start):
        verb, args = batch(seed, number)
        getattr(things, verb)(**args)
        acknowledge(number + 1)


def make_and_drop(path: Path, files: FaultyFiles, seed: int, start: int) -> None:
    client = open_with(path, files)
    for number in range(start, BATCHES_MAX + start):
        turn, step = divmod(number, 3)
        if step == 0:
            client.create_collection(f"collection-{turn}", embedding_function=None)
        elif step == 1:
            made = client.get_collection(f"collection-{turn}")
            made.add(ids=["one"], embeddings=[[seed, turn]])
            made.modify(metadata={"turn": turn})
        elif turn >= 2:
            client.delete_collection(f"collection-{turn - 2}")
        acknowledge(number + 1)


def with_little_room(path: Path, files: FaultyFiles, seed: int, start: int) -> None:
    """Write until the disk is full, say so by a negative number, go on with more room."""
    import resource  # not on Windows

    room, hard = 256 << 10, resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    client = open_with(path, files)
    things = client.get_or_create_collection("things", embedding_function=None)
    number = start
    while number < start + 120:
        verb, args = batch(seed, number)
        try:
            getattr(things, verb)(**args)
        except StorageError:
            assert check(client) == []
            room += 256 << 10
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
            acknowledge(-1 - number)
        else:
            number += 1
            acknowledge(number)


def main() -> None:
    """Fork a writer for each order on stdin; tell its pid before, and `dead` after its life."""
    planner.GRAPH_BYTES_MIN = GRAPH_BYTES_MIN
    works = {work.__name__: work for work in (write_batches, make_and_drop, with_little_room)}
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            os.write(1, b"pid %d\n" % os.getpid())  # the child itself, so that nothing comes before it
            files = Deadly(order["step"], order["times"])
            works[order["work"]](Path(order["path"]), files, order["seed"], order["start"])
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        os.write(1, b"dead %d\n" % (os.WTERMSIG(status) if os.WIFSIGNALED(status) else -status))


# --- the tests -----------------------------------------------------------------------------------


class Victims:
    """Runs writers in another process until they are killed."""

    def __init__(self) -> None:
        self.killed = 0
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )

    def run(
        self,
        work: Any,
        path: Path,
        seed: int,
        start: int = 0,
        step: str = "",
        times: int = 1,
        kill: Any = None,
        certain: bool = True,
    ) -> list[int]:
        """The acknowledgements of one writer; `kill` = (acknowledgements, seconds after them)."""
        assert self._process.stdin is not None and self._process.stdout is not None
        order = {"work": work.__name__, "path": str(path), "seed": seed, "start": start}
        self._process.stdin.write(json.dumps({**order, "step": step, "times": times}).encode() + b"\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline().split()[1])
        heard: list[int] = []
        while not (line := self._line(pid, heard, kill)).startswith(b"dead"):
            heard.append(int(line))
        signal_number = int(line.split()[1])
        self.killed += signal_number == signal.SIGKILL
        expected = [signal.SIGKILL if step or kill else 0] + [0] * (not certain)
        assert signal_number in expected, f"{step!r} was not reached"
        return heard

    def _line(self, pid: int, heard: list[int], kill: Any) -> bytes:
        """The next line; before it, when the time has come, death."""
        assert self._process.stdout is not None
        if kill is not None and len(heard) == kill[0]:
            time.sleep(kill[1])  # the moment is random; nothing waits for anything here
            os.kill(pid, signal.SIGKILL)
        return self._process.stdout.readline()

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    running = Victims()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", GRAPH_BYTES_MIN)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_loses_nothing_acknowledged(
    victims: Victims, tmp_path: Path, step: str, times: int
) -> None:
    times = 1 if step == "file: grow" and times == 3 else times
    acknowledged = victims.run(write_batches, tmp_path, 1, step=step, times=times)
    model = verify(tmp_path, Model(1), len(acknowledged))
    more = victims.run(write_batches, tmp_path, 1, model.batches, kill=(3, 0))
    verify(tmp_path, model, model.batches + len(more))


def test_an_ingest_killed_again_and_again_continues_where_it_was(victims: Victims, tmp_path: Path) -> None:
    rng, model = random.Random(2), Model(2)
    for _ in range(24):
        moment = (rng.choice([0, 0, 1, 2, 4, 8]), rng.random() * 0.03)
        heard = victims.run(write_batches, tmp_path, 2, model.batches, kill=moment)
        model = verify(tmp_path, model, model.batches + len(heard))
    assert model.batches > 24


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_random_kills_lose_nothing_acknowledged(
    victims: Victims, tmp_path: Path, seed: int
) -> None:
    rng, model, enough = random.Random(seed), Model(seed), victims.killed + 100
    while victims.killed < enough:
        step, moment = "", (rng.randrange(12), rng.random() * 0.02)
        if rng.random() < 0.4:
            step, moment = rng.choice([s for s in STEPS if s != "file: grow"]), None
        how = {"step": step, "times": rng.randint(1, 3), "kill": moment, "certain": not step}
        heard = victims.run(write_batches, tmp_path, seed, model.batches, **how)
        model = verify(tmp_path, model, model.batches + len(heard))


def collections_after(steps: int) -> dict[str, int]:
    """The collections that `make_and_drop` leaves after so many acknowledgements, and their counts."""
    counts = {}
    for turn in range((steps + 2) // 3):
        counts[f"collection-{turn}"] = int(steps > 3 * turn + 1)
    for turn in range(steps // 3 - 2):
        del counts[f"collection-{turn}"]
    return counts


def verify_collections(path: Path, acknowledged: int) -> int:
    """How many steps of `make_and_drop` the directory holds."""
    with vicinal.PersistentClient(path) as client:
        assert check(client) == []
        found = {collection.name: collection.count() for collection in client.list_collections()}
        known = {str(collection.id) for collection in client.list_collections()}
        directories = path / "collections"
        assert known >= ({p.name for p in directories.iterdir()} if directories.exists() else set())
    states = [collections_after(acknowledged), collections_after(acknowledged + 1)]
    assert found in states
    return acknowledged + max(i for i in (0, 1) if found == states[i])


@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize("step", COLLECTION_STEPS)
def test_a_collection_is_created_or_deleted_whole(
    victims: Victims, tmp_path: Path, step: str, times: int
) -> None:
    heard = victims.run(make_and_drop, tmp_path, 1, step=step, times=times)
    steps = verify_collections(tmp_path, len(heard))
    heard = victims.run(make_and_drop, tmp_path, 1, steps, kill=(5, 0))
    verify_collections(tmp_path, steps + len(heard))


def test_collections_survive_random_kills(victims: Victims, tmp_path: Path) -> None:
    rng, steps = random.Random(4), 0
    for _ in range(12):
        moment = (rng.randrange(9), rng.random() * 0.02)
        heard = victims.run(make_and_drop, tmp_path, 4, steps, kill=moment)
        steps = verify_collections(tmp_path, steps + len(heard))


def test_a_full_disk_refuses_batches_and_goes_on_when_there_is_room(victims: Victims, tmp_path: Path) -> None:
    heard = victims.run(with_little_room, tmp_path, 5)
    assert sum(number < 0 for number in heard) > 2
    verify(tmp_path, Model(5), heard[-1])


# --- errors instead of kills ---------------------------------------------------------------------


class Failing:
    """Raises once armed, at one step."""

    def __init__(self, step: str, code: int) -> None:
        self.step, self.error, self.armed = step, OSError(code, os.strerror(code)), False

    def __call__(self, step: str) -> None:
        if self.armed and step == self.step:
            self.armed = False
            raise self.error


def fresh(things: vicinal.Collection, number: int) -> None:
    """A batch that grows the file."""
    vectors = np.full((600, DIMENSION), number, dtype=np.float32)
    things.upsert(ids=[f"{number}/{i}" for i in range(600)], embeddings=vectors)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("step", WRITE_STEPS[:-1])
def test_a_write_that_fails_changes_nothing(tmp_path: Path, step: str, code: int) -> None:
    failing = Failing(step, code)
    with open_with(tmp_path, FaultyFiles(failing)) as client:
        things = client.create_collection("things", embedding_function=None)
        fresh(things, 1)
        before = contents(things)
        failing.armed = True
        with pytest.raises(OSError, match=os.strerror(code)):
            fresh(things, 2)
        assert (contents(things), check(client)) == (before, [])
        fresh(things, 3)
        assert things.count() == 1200
    with vicinal.PersistentClient(tmp_path) as client:
        assert check(client) == []


@pytest.mark.parametrize("call", ["write", "fdatasync", "truncate"])
def test_an_error_of_the_disk_is_a_storage_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        with monkeypatch.context() as patched:
            patched.setattr(os, call, fail)
            with pytest.raises(StorageError) as caught:
                fresh(things, 1)
        assert "vectors-0.f32" in str(caught.value)
        assert things.count() == 0
        fresh(things, 1)
        assert (things.count(), check(client)) == (600, [])


def test_a_write_that_failed_does_not_fix_the_dimension(tmp_path: Path) -> None:
    failing = Failing("write: vectors synced", errno.EIO)
    with open_with(tmp_path, FaultyFiles(failing)) as client:
        things = client.create_collection("things", embedding_function=None)
        failing.armed = True
        with pytest.raises(OSError, match="Input/output error"):
            things.add(ids=["a"], embeddings=[[1, 2, 3]])
        things.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]])
        assert things.get(include=["embeddings"])["embeddings"].tolist() == [[1, 2], [3, 4]]
        assert check(client) == []


ENDING = """
import itertools, os, sys, threading
import numpy as np
import vicinal

path, ready = sys.argv[1], threading.Event()
client = vicinal.PersistentClient(path)
things = client.create_collection("things", embedding_function=None)


def write(writer):
    for number in itertools.count():
        try:
            ids = [f"{writer} {number} {i}" for i in range(400)]
            things.add(ids=ids, embeddings=np.full((400, 256), number))
        except vicinal.errors.ClosedError:
            return
        os.write(1, f"{writer} {number}\\n".encode())  # print's lock, held at the end, aborts the interpreter
        if number == 3:
            ready.set()


def read():
    while True:  # opens and closes files all the time
        with vicinal.PersistentClient(path) as other:
            other.get_collection("things", embedding_function=None).get(limit=1)


for work in [*(lambda writer=writer: write(writer) for writer in range(3)), read, read, read]:
    threading.Thread(target=work, daemon=True).start()
ready.wait()
"""


def test_daemon_threads_that_write_when_the_interpreter_ends_lose_nothing(tmp_path: Path) -> None:
    """Their files stay theirs: a descriptor that is closed under them is the next file's that is opened."""
    program = [sys.executable, "-X", "faulthandler", "-c", ENDING, str(tmp_path)]
    ended = subprocess.run(program, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert [error for error in ("StorageError", "CorruptionError", "OSError") if error in ended.stderr] == []
    said = [line.split() for line in ended.stdout.splitlines() if line]
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things", embedding_function=None)
        assert check(client) == []
        assert {f"{writer} {number} 399" for writer, number in said} <= {*things.get()["ids"]}


@pytest.mark.parametrize("missing", ["memory", "addresses"])
def test_a_write_is_acknowledged_when_there_is_no_room_for_what_follows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """The commit was true before: only the next reading may have to say that there is none."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise MemoryError if missing == "memory" else OSError(errno.ENOMEM, "Cannot allocate memory")

    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        with monkeypatch.context() as patched:
            patched.setattr(Upkeep, "__call__", lambda *_: None)  # which logs what it meets
            patched.setattr(*(_live, "advance") if missing == "memory" else (mmap, "mmap"), refuse)
            assert things.add("a", [1, 2]).added == 1
            with pytest.raises(MemoryError if missing == "memory" else StorageError):
                things.get()
        assert (things.get()["ids"], check(client)) == (["a"], [])


def test_a_removal_that_fails_changes_nothing(tmp_path: Path) -> None:
    failing = Failing("remove: before commit", errno.EIO)
    with open_with(tmp_path, FaultyFiles(failing)) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[{"n": 1}, {"n": 2}])
        failing.armed = True
        with pytest.raises(OSError, match="Input/output error"):
            things.delete(where={"n": 1})
        assert things.get(where={"n": {"$lte": 2}})["ids"] == ["a", "b"]
        assert things.query(query_embeddings=[1, 2], n_results=2)["ids"] == [["a", "b"]]
        assert things.delete(where={"n": 1}) == {"deleted": 1}


@pytest.mark.parametrize("step", ["checkpoint: file written", "file: replace", "file: sync"])
def test_a_checkpoint_that_fails_is_no_failure_of_anything_else(tmp_path: Path, step: str) -> None:
    failing = Failing("never", errno.ENOSPC)
    with open_with(tmp_path, FaultyFiles(failing)) as client:
        things = client.create_collection("things", embedding_function=None)
        fresh(things, 1)
        wait_for_index(things)
        things.upsert(ids=["far"], embeddings=[[1000] * DIMENSION])
        failing.step, failing.armed = step, True
        wait_for_index(things)
        answer = things.query(query_embeddings=[999] * DIMENSION, n_results=1)
        assert (answer["ids"], check(client)) == ([["far"]], [])


def test_every_step_is_among_those_at_which_processes_are_killed(tmp_path: Path) -> None:
    seen: set[str] = set()
    with open_with(tmp_path, FaultyFiles(seen.add)) as client:
        things = client.create_collection("things", embedding_function=None)
        fresh(things, 1)
        things.delete(ids=["1/1"])
        things.compact()
        things.modify(metadata={"seen": True})
        wait_for_index(things)
        client.delete_collection("things")
    assert sorted(seen) == sorted({*STEPS, *COLLECTION_STEPS} - {"half a write", "power cut"})


def test_a_deletion_killed_half_way_is_completed_when_the_directory_is_next_opened(
    victims: Victims, tmp_path: Path
) -> None:
    victims.run(make_and_drop, tmp_path, 1, step="drop: committed")
    left = {entry.name for entry in (tmp_path / "collections").iterdir()}
    with vicinal.PersistentClient(tmp_path) as client:
        known = {str(collection.id) for collection in client.list_collections()}
        assert known < left
        assert {entry.name for entry in (tmp_path / "collections").iterdir()} == known
        with pytest.raises(NotFoundError):
            client.get_collection("collection-0")


if __name__ == "__main__":
    main()
