"""`read_only=True` reads everything, refuses to write, and leaves every byte of the directory alone."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal import _readonly, errors
from vicinal._index import planner
from vicinal._live import LiveCollection
from vicinal._storage.readonly import Footing, ReadOnlyDatabase, UnsettledError
from vicinal._upkeep import Upkeep
from vicinal.config import Settings
from vicinal.testing import check, dump

WRITER = """
import os, sys, vicinal
client = vicinal.PersistentClient(sys.argv[1])
things = client.get_or_create_collection("things", embedding_function=None)
for line in sys.stdin:
    word = line.strip()
    if word == "die":
        os._exit(0)
    elif word == "close":
        client.close()
    elif word == "compact":
        things.compact()
    elif word.startswith("delete"):
        things.delete(ids=[word.split()[1]])
    else:
        things.add(ids=word, embeddings=[float(len(word)), 1.0])
    print("done", flush=True)
"""


class Writer:
    """Another process that has the directory open and writes when it is told to."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", WRITER, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, word: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        if word == "die":
            self.process.wait()
        else:
            assert self.process.stdout.readline() == "done\n"


@pytest.fixture
def writer() -> Iterator[Callable[[Path], Writer]]:
    """`writer(path)` starts one."""
    started: list[Writer] = []

    def start(path: Path) -> Writer:
        started.append(Writer(path))
        return started[-1]

    yield start
    for one in started:
        one.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed database with one collection of three records, and an empty one."""
    with vicinal.PersistentClient(tmp_path / "data") as client:
        things = client.create_collection("things", metadata={"a": 1}, embedding_function=None)
        things.add(ids=["a", "b", "c"], embeddings=[[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]], documents=["x"] * 3)
        client.create_collection("untouched", embedding_function=None)
    return tmp_path / "data"


def state(path: Path) -> dict[str, tuple[int, int]]:
    """Every file and directory with its size and the time of its last change."""
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in (path, *path.rglob("*"))}


@contextmanager
def reading(path: Path) -> Iterator[vicinal.Client]:
    with vicinal.PersistentClient(path, read_only=True) as client:
        yield client


@contextmanager
def reading_names(path: Path) -> Iterator[None]:
    """A reading of the catalog."""
    with reading(path) as client, client._backend._opened.catalog.read():
        yield


def use(client: vicinal.Client) -> list[Any]:
    """Everything that reads."""
    things = client.get_collection("things")
    return [
        things.get(include=["embeddings", "documents", "metadatas"])["ids"],
        things.query(query_embeddings=[2.0, 1.0], n_results=2)["ids"],
        things.get(where={"n": 1})["ids"],
        things.count(),
        things.peek(1)["ids"],
        things.fork_count(),
        things.get_indexing_status().total_ops,
        client.get_collection("untouched").get()["ids"],
        [collection.name for collection in client.list_collections()],
        client.list_databases()[0]["name"],
        client.heartbeat() > 0,
        client.check(),
        check(client),
    ]


READ = [
    ["a", "b", "c"],
    [["b", "a"]],
    [],
    3,
    ["a"],
    0,
    3,
    [],
    ["things", "untouched"],
    "default_database",
    True,
    [],
    [],
]

# --- reading -----------------------------------------------------------------------------------


def test_everything_can_be_read_and_nothing_is_touched(path):
    before = state(path)
    with reading(path) as client:
        assert use(client) == READ
        assert state(path) == before
    assert state(path) == before


def test_what_a_killed_writer_has_left_is_read_and_not_touched(path, writer):
    other = writer(path)
    other("new")
    other("die")
    assert list(path.glob("*-wal"))
    before = state(path)
    with reading(path) as client:
        assert client.get_collection("things").get()["ids"] == ["a", "b", "c", "new"]
        assert state(path) == before
    assert state(path) == before


def test_an_empty_log_that_a_reader_has_left_is_none(path):
    databases = list(path.rglob("*.sqlite3"))
    assert len(databases) == 2
    for database in databases:
        database.with_name(database.name + "-wal").touch()
    before = state(path)
    with reading(path) as client:
        assert use(client) == READ
        assert state(path) == before
    with vicinal.PersistentClient(path) as client:
        assert use(client) == READ
        client.get_collection("things").delete(ids=["b"])
    with reading(path) as client:
        assert client.get_collection("things").get()["ids"] == ["a", "c"]


@pytest.mark.parametrize("database", ["catalog.sqlite3", "records.sqlite3"])
def test_a_writer_that_goes_and_comes_back_while_its_files_are_opened_is_no_error(
    path, database, monkeypatch
):
    told = iter(["shared with writers"] * 2)  # before a reading and after it, and there is none between
    footing = ReadOnlyDatabase._footing

    def mistaken(self: ReadOnlyDatabase) -> Footing:
        return next(told, None) or footing(self) if self.path.name == database else footing(self)

    with monkeypatch.context() as patch:
        patch.setattr(ReadOnlyDatabase, "_footing", mistaken)
        with reading(path) as client:
            assert use(client) == READ
    assert next(told, None) is None
    with reading(path) as client, vicinal.PersistentClient(path) as other:
        assert use(client) == use(other) == READ


def test_an_existing_collection_will_do_where_one_may_be_created(path):
    with reading(path) as client:
        assert client.get_or_create_collection("things", embedding_function=None).metadata == {"a": 1}
        with pytest.raises(errors.ReadOnlyError, match=r"create_collection\(\)"):
            client.get_or_create_collection("others", embedding_function=None)


def test_the_graph_that_was_saved_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 0)
    rng = np.random.default_rng(2)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=[str(i) for i in range(1000)], embeddings=rng.normal(size=(1000, 32)))
        things.compact()  # returns when the graph is complete
        query = rng.normal(size=32)
        expected = things.query(query_embeddings=query)["ids"]
    before = state(tmp_path)
    deadline = time.monotonic() + 120
    with reading(tmp_path) as client:
        things = client.get_collection("things")
        assert things.query(query_embeddings=query)["ids"] == expected
        while things.get_indexing_status().num_unindexed_ops:  # it is loaded in the background
            assert time.monotonic() < deadline
        assert things.query(query_embeddings=query)["ids"] == expected
    assert state(tmp_path) == before


def test_the_background_of_a_reader_asks_again_when_a_writer_came_or_went(path, monkeypatch):
    footings = itertools.count()
    with reading(path) as client:
        with client._backend._opened.using(client.get_collection("things").id) as live:
            monkeypatch.setattr(ReadOnlyDatabase, "_footing", lambda _: (next(footings),))
            assert Upkeep(live)() is not None
        monkeypatch.undo()
    assert next(footings)


@pytest.mark.parametrize(("text", "code"), [("attempt to write a readonly database", None), ("", 264)])
def test_a_reading_in_the_middle_of_a_recovery_is_void(path, text, code):
    """As when a writer opens what a killed one has left; Python 3.10 knows no code."""
    error = sqlite3.OperationalError(text)
    if code is not None:
        error.sqlite_errorcode = code
    with pytest.raises(UnsettledError, match="recovered"), reading_names(path):
        raise error


def test_what_cannot_be_opened_while_nobody_writes_is_told_at_once(path):
    with pytest.raises(errors.StorageError, match="unable to open"), reading_names(path):
        raise sqlite3.OperationalError("unable to open database file")


def replace_as_it_was(path: Path) -> None:
    shutil.copy2(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


def lengthen(path: Path) -> None:
    before = path.stat()
    os.truncate(path, before.st_size + 4096)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))


@pytest.mark.skipif(os.name == "nt", reason="Windows replaces no file that is open")
@pytest.mark.parametrize("change", [replace_as_it_was, lengthen, touch])
def test_a_reading_of_a_file_that_did_not_stay_as_it_was_is_void(path, change):
    with pytest.raises(UnsettledError, match="was changed"), reading_names(path):
        change(path / "catalog.sqlite3")


@pytest.mark.parametrize(("raised", "expected"), [(KeyboardInterrupt,) * 2, (ValueError, UnsettledError)])
def test_what_interrupts_a_void_reading_is_raised_and_what_it_has_led_to_is_not(path, raised, expected):
    def read() -> None:
        with reading_names(path):
            touch(path / "catalog.sqlite3")
            raise raised

    with pytest.raises(expected):
        read()


def test_a_backup_can_be_made_of_what_is_only_read(path, tmp_path):
    before = state(path)
    with reading(path) as client:
        client.backup(tmp_path / "copy")
    assert state(path) == before
    with vicinal.PersistentClient(tmp_path / "copy") as client:
        assert use(client)[:4] == READ[:4]


def test_a_copy_during_which_a_writer_came_or_went_is_void(path, tmp_path, monkeypatch):
    footings = itertools.count()
    with reading(path) as client, monkeypatch.context() as patch:
        patch.setattr(ReadOnlyDatabase, "_footing", lambda _: (next(footings),))
        with pytest.raises(UnsettledError):
            client._backend._opened.catalog.copy(tmp_path / "copy.sqlite3")


def test_a_client_stands_in_any_database(tmp_path):
    with vicinal.PersistentClient(tmp_path) as client:
        client.create_tenant("acme")
        client.create_database("one", tenant="acme")
    with vicinal.PersistentClient(tmp_path, tenant="acme", database="one", read_only=True) as client:
        assert client.list_collections() == []


# --- refusing ----------------------------------------------------------------------------------

WRITES: dict[str, Callable[[vicinal.Client, vicinal.Collection], Any]] = {
    "add()": lambda _, things: things.add(ids="d", embeddings=[1.0, 2.0]),
    "upsert()": lambda _, things: things.upsert(ids="a", embeddings=[1.0, 2.0]),
    "update()": lambda _, things: things.update(ids="a", metadatas={"n": 1}),
    "delete()": lambda _, things: things.delete(ids="a"),
    "modify()": lambda _, things: things.modify(name="others"),
    "fork()": lambda _, things: things.fork("copied"),
    "compact()": lambda _, things: things.compact(),
    "optimize()": lambda _, things: things.optimize(),
    "create_collection()": lambda client, _: client.create_collection("new", embedding_function=None),
    "delete_collection()": lambda client, _: client.delete_collection("things"),
    "create_tenant()": lambda client, _: client.create_tenant("acme"),
    "delete_tenant()": lambda client, _: client.delete_tenant("default_tenant"),
    "create_database()": lambda client, _: client.create_database("one"),
    "delete_database()": lambda client, _: client.delete_database("default_database"),
    "repair()": lambda client, _: client.repair(),
    "reset()": lambda client, _: client.reset(),
}


@pytest.mark.parametrize("operation", WRITES)
def test_writing_is_refused_by_name_and_changes_nothing(path, operation):
    before = state(path)
    with vicinal.PersistentClient(path, Settings(allow_reset=True), read_only=True) as client:
        with pytest.raises(errors.ReadOnlyError) as raised:
            WRITES[operation](client, client.get_collection("things"))
        assert operation in str(raised.value)
        assert "read_only" in str(raised.value)
        assert use(client) == READ
    assert state(path) == before


def test_an_update_by_filter_is_refused(path):
    with reading(path) as client, pytest.raises(errors.ReadOnlyError):
        client.get_collection("things").update(where={"n": 1}, metadatas={"n": 2})


def test_the_error_is_the_builtin_that_people_expect(path):
    with reading(path) as client, pytest.raises(PermissionError):
        client.create_tenant("acme")


@pytest.mark.parametrize("there", [True, False])
def test_a_directory_without_a_database_is_refused_and_not_made(tmp_path, there):
    place = tmp_path / "data"
    if there:
        place.mkdir()
    with pytest.raises(errors.StorageError, match="holds no Vicinal database"):
        vicinal.PersistentClient(place, read_only=True)
    assert place.exists() == there
    assert not list(tmp_path.rglob("*sqlite*"))


def test_a_write_ahead_log_without_its_index_says_what_to_do(path, writer):
    other = writer(path)
    other("new")
    other("die")
    for index in path.rglob("*-shm"):
        index.unlink()
    before = state(path)
    with reading(path) as client:  # nothing was written to the catalog
        with pytest.raises(errors.StorageError, match="no -shm file; open it once without read_only"):
            client.get_collection("things").get()
        assert state(path) == before
    vicinal.PersistentClient(path).get_collection("things").count()
    with reading(path) as client:
        assert client.get_collection("things").get()["ids"] == ["a", "b", "c", "new"]


def test_a_log_that_cannot_be_opened_is_told_and_no_writer_blamed(path, monkeypatch):
    """As one that belongs to another user, or when too many files are open."""
    monkeypatch.setattr(_readonly, "_PATIENCE_S", 0.0)
    (path / "catalog.sqlite3-wal").mkdir()
    (path / "catalog.sqlite3-shm").touch()
    with pytest.raises(errors.StorageError, match="cannot be opened, SQLite says: unable to open"):
        vicinal.PersistentClient(path, read_only=True)


def test_a_missing_vector_file_is_reported(path):
    next(path.rglob("vectors-*")).unlink()
    with reading(path) as client, pytest.raises(errors.CorruptionError, match=r"vectors-0\.f32: is missing"):
        client.get_collection("things").query(query_embeddings=[2.0, 1.0])


# --- while others write ------------------------------------------------------------------------


def test_what_another_process_writes_is_seen_at_once(path, writer):
    other = writer(path)
    other("d")
    with reading(path) as client:
        things = client.get_collection("things")
        for word in ("e", "ff", "ggg"):
            other(word)
            assert things.get()["ids"][-1] == word
            assert (
                things.query(query_embeddings=[float(len(word)), 1.0], n_results=9)["ids"][0].count(word) == 1
            )
        other("delete a")
        assert things.get()["ids"][0] == "b"


def test_a_reader_changes_nothing_while_another_process_has_the_directory_open(path, writer):
    other = writer(path)
    other("d")
    before = state(path)
    with reading(path) as client:
        assert client.get_collection("things").count() == 4
        assert client.check() == []
    assert state(path) == before


def test_a_reader_stays_as_writers_come_and_go(path, writer):
    with reading(path) as client:
        things, ids = client.get_collection("things"), ["a", "b", "c"]
        for turn in range(3):
            other = writer(path)
            for end in ("x", "y"):
                other(f"{turn}{end}")
                ids.append(f"{turn}{end}")
                assert things.get()["ids"] == ids
            other(["close", "compact", "die"][turn])
            assert things.get()["ids"] == ids
        assert client.check() == []


def test_a_connection_from_before_a_writer_is_not_used_after_it(path, writer):
    """SQLite never looks again at a file that it was told would not change."""

    def outlast() -> None:
        with suppress(UnsettledError), database.read() as tx:
            tx.execute("SELECT * FROM records").fetchall()
            begun.set()
            ending.wait()

    begun, ending = threading.Event(), threading.Event()
    with reading(path) as client:
        things = client.get_collection("things")
        assert things.count() == 3
        database = next(iter(client._backend._opened._live.values())).database
        reader = threading.Thread(target=outlast)
        reader.start()
        begun.wait()
        other = writer(path)
        for word in ("x" * 3000, "y" * 3000, "close"):
            other(word)
        assert things.count() == 5
        ending.set()
        reader.join()
        for _ in range(3):
            assert things.get()["ids"] == ["a", "b", "c", "x" * 3000, "y" * 3000]
        assert client.check() == []


def test_a_reader_that_reads_nothing_just_now_is_in_no_writers_way(path, writer):
    """Not even of its own process, where SQLite shares what it knows; and a log goes with its writer."""
    other = writer(path)
    other("d")
    with reading(path) as client:
        things = client.get_collection("things")
        assert things.count() == 4
        with vicinal.PersistentClient(path) as writing:
            writing.get_collection("things").add(ids="e", embeddings=[1.0, 1.0])
        assert things.count() == 5
        other("close")
        assert not list(path.rglob("*-wal"))
        assert things.get()["ids"] == ["a", "b", "c", "d", "e"]


def test_a_collection_that_is_first_written_later_is_seen(path):
    with reading(path) as client, vicinal.PersistentClient(path) as other:
        untouched = client.get_collection("untouched")
        assert untouched.count() == 0
        other.get_collection("untouched").add(ids="a", embeddings=[1.0])
        assert untouched.get()["ids"] == ["a"]
        other.create_collection("newest", embedding_function=None).add(ids="b", embeddings=[1.0])
        assert client.get_collection("newest").get()["ids"] == ["b"]


def test_a_collection_that_is_deleted_meanwhile_is_not_found(path):
    with reading(path) as client, vicinal.PersistentClient(path) as other:
        things = client.get_collection("things")
        assert things.count() == 3
        other.delete_collection("things")
        with pytest.raises(errors.NotFoundError):
            things.count()


def test_a_collection_that_is_deleted_while_it_is_opened_is_not_found(path, monkeypatch):
    original = LiveCollection.__init__

    def after_deletion(live, info, directory, files, *others):
        if files.read_only and directory.exists():
            with vicinal.PersistentClient(path) as other:
                other.delete_collection("things")
        original(live, info, directory, files, *others)

    monkeypatch.setattr(LiveCollection, "__init__", after_deletion)
    with reading(path) as client, pytest.raises(errors.NotFoundError):
        client.get_collection("things").count()
    assert not list((path / "collections").iterdir())


def test_a_compaction_meanwhile_changes_no_answer(path):
    with reading(path) as client, vicinal.PersistentClient(path) as other:
        things = client.get_collection("things")
        assert things.query(query_embeddings=[2.0, 1.0], n_results=1)["ids"] == [["b"]]
        theirs = other.get_collection("things")
        theirs.delete(ids=["a"])
        theirs.compact()
        assert things.query(query_embeddings=[2.0, 1.0], n_results=1)["ids"] == [["b"]]
        assert things.get()["ids"] == ["b", "c"]


COMING_AND_GOING = """
import sys, vicinal
for turn in range(25):
    with vicinal.PersistentClient(sys.argv[1]) as client:
        things = client.get_collection("things")
        things.upsert(ids=["a", "b", "c"], embeddings=[[1.0, turn]] * 3, metadatas=[{"n": turn}] * 3)
"""


def test_every_answer_is_one_committed_state_as_a_writer_comes_and_goes(path):
    writer = [sys.executable, "-c", COMING_AND_GOING, str(path)]
    with reading(path) as client, subprocess.Popen(writer) as other:
        things = client.get_collection("things")
        seen = set()
        while other.poll() is None:
            found = things.get(include=["embeddings", "metadatas"])
            assert len({float(vector[1]) for vector in found["embeddings"]}) == 1
            assert found["metadatas"] == [found["metadatas"][0]] * 3
            seen.add((found["metadatas"][0] or {}).get("n"))
        assert other.returncode == 0
        assert things.get()["metadatas"] == [{"n": 24}] * 3
        assert len(seen) > 2


# --- places that cannot be written -------------------------------------------------------------


def test_a_place_that_cannot_be_written_is_read(path, tmp_path, sealed):
    with sealed(path):
        with pytest.raises(errors.StorageError, match="read_only=True"):
            vicinal.PersistentClient(path)
        with reading(path) as client:
            assert use(client) == READ
            with pytest.raises(errors.ReadOnlyError):
                client.get_collection("things").add(ids="d", embeddings=[1.0, 2.0])
            client.backup(tmp_path / "copy")


def test_a_place_that_cannot_be_written_is_read_with_what_a_killed_writer_has_left(path, writer, sealed):
    other = writer(path)
    other("new")
    other("die")
    with sealed(path), reading(path) as client:
        assert client.get_collection("things").get()["ids"] == ["a", "b", "c", "new"]
        assert client.check() == []


def test_the_command_line_reads_a_place_that_cannot_be_written(path, sealed):
    def command(*arguments: str) -> str:
        return subprocess.check_output([sys.executable, "-m", "vicinal", *arguments, str(path)], text=True)

    with sealed(path):
        assert command("check") == "all is well\n"
        assert command("info") == "things: 3 records\nuntouched: 0 records\n"


def test_a_copy_of_a_database_holds_the_same(path, tmp_path):
    shutil.copytree(path, tmp_path / "copy")
    with reading(path) as one, reading(tmp_path / "copy") as other:
        assert dump(one.get_collection("things")) == dump(other.get_collection("things"))
