"""A backup is one committed state of every collection, whatever else goes on, and opening it restores it.

The writer that goes on meanwhile writes pairs of records that belong together, so that half a batch
would show; the process that is killed is this file, run as a program.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal import _copy
from vicinal._index import planner
from vicinal._storage.files import Files, OpenFile
from vicinal.errors import ClosedError, CorruptionError, StorageError
from vicinal.testing import FaultyFiles, dump, open_with, wait_for_index

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows every signal ends a process
KILLED = KILL if os.name == "nt" else -KILL
DIMENSION = 64
STEPS = [
    "backup: catalog copied",
    "file: write",
    "backup: vectors copied",
    "backup: collection replaced",
    "backup: before catalog",
    "backup: catalog replaced",
]


def fill(
    client: vicinal.Client, name: str = "things", first: int = 0, count: int = 300
) -> vicinal.Collection:
    """A collection with records number first, first + 1, …"""
    things = client.get_or_create_collection(name, embedding_function=None)
    numbers = range(first, first + count)
    things.upsert(
        ids=[f"id {n}" for n in numbers],
        embeddings=np.random.default_rng([first, count]).standard_normal((count, DIMENSION)),
        documents=[f"text {n}" for n in numbers],
        metadatas=[{"n": n} for n in numbers],
    )
    return things


def contents(path: Path) -> dict[str, Any]:
    """name → records of every collection in a directory that is sound."""
    with vicinal.PersistentClient(path, must_exist=True) as client:
        assert client.check() == []
        return {held.name: dump(held) for held in client.list_collections()}


def names_in(path: Path) -> set[str]:
    """The files of a directory, and of those below it."""
    return {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}


class Counting(Files):
    """A file system that counts the bytes of vectors that are written."""

    def __init__(self) -> None:
        self.written = 0

    def write_at(self, file: OpenFile, data: memoryview, offset: int) -> None:
        self.written += data.nbytes
        super().write_at(file, data, offset)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The database's directory."""
    return tmp_path / "data"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where backups go."""
    return tmp_path / "backup"


def test_a_closed_client_makes_no_backup(path: Path, target: Path) -> None:
    client = vicinal.PersistentClient(path)
    client.close()
    with pytest.raises(ClosedError):
        client.backup(target)
    assert not target.exists()


def test_a_backup_holds_what_the_database_holds(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client).delete(ids=["id 3"])
        client.create_collection("empty", metadata={"about": "nothing"}, embedding_function=None)
        fill(client, "others", count=5)
        client.backup(target)
    assert contents(target) == contents(path)
    with vicinal.PersistentClient(target) as client:
        assert client.get_collection("empty").metadata == {"about": "nothing"}


def test_a_database_without_collections_has_a_backup(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        client.backup(target)
    assert contents(target) == {}


def test_a_collection_that_was_never_used_is_backed_up_and_has_no_files_afterwards(
    path: Path, target: Path
) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client)
        unused = client.create_collection("unused", embedding_function=None, metadata={"a": 1})
        for _ in range(2):
            client.backup(target)
            for place in (path, target):
                assert not (place / "collections" / str(unused.id)).exists()
                assert (place / "collections" / str(client.get_collection("things").id)).exists()
        unused.add(ids="a", embeddings=[1, 2])
        with vicinal.PersistentClient(target) as restored:
            again = restored.get_collection("unused")
            assert ({"a": 1}, 0) == (again.metadata, again.count())
            again.add(ids="b", embeddings=[1, 2, 3])
        client.backup(target)
    assert ["a"] == [record["id"] for record in contents(target)["unused"]]


def test_a_collection_that_is_deleted_before_it_is_used_is_not_in_the_backup(
    path: Path, target: Path
) -> None:
    with vicinal.PersistentClient(path) as client:
        client.create_collection("unused", embedding_function=None)

    def delete(reached: str) -> None:
        if reached == "backup: catalog copied":
            client.delete_collection("unused")

    with open_with(path, FaultyFiles(delete)) as client:
        client.backup(target)
    assert {} == contents(target)


def test_a_restored_database_takes_writes_and_leaves_the_original_alone(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client)
        client.backup(target)
    before = contents(path)
    with vicinal.PersistentClient(target) as restored:
        fill(restored, first=1000).compact()
        assert restored.get_collection("things").count() == 600
    assert (contents(path), len(contents(target)["things"])) == (before, 600)


def test_a_second_backup_writes_only_the_vectors_that_are_new(path: Path, target: Path) -> None:
    files = Counting()
    with open_with(path, files) as client:
        fill(client, count=5000)
        client.backup(target)
        fill(client, first=5000, count=10)
        files.written = 0
        client.backup(target)
        assert files.written == 10 * DIMENSION * 4
        files.written = 0
        client.backup(target)
        assert files.written == 0
    assert contents(target) == contents(path)


def test_a_collection_that_only_a_user_of_the_backup_has_filled_is_empty(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        client.create_collection("things", embedding_function=None)
        client.backup(target)
        with vicinal.PersistentClient(target) as other:
            fill(other)
        client.backup(target)
    assert contents(target) == {"things": []}


def test_equal_vectors_are_added_to_a_backup_at_their_places(
    path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_copy, "_BLOCK", 1000)  # the earlier backup ends within one
    with vicinal.PersistentClient(path) as client:
        things = client.create_collection("things", embedding_function=None)
        for first in (0, 10):
            ids = [f"id {n}" for n in range(first, first + 10)]
            things.add(ids=ids, embeddings=np.ones((10, DIMENSION)))
            client.backup(target)
    assert contents(target) == contents(path)


def test_what_a_killed_user_of_a_backup_has_left_in_its_log_is_gone(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client)
        client.backup(target)
        [records] = target.rglob("records.sqlite3")
        log = records.with_name("records.sqlite3-wal")
        with vicinal.PersistentClient(target) as other:
            fill(other, first=500)
            left = log.read_bytes()
        log.write_bytes(left)
        client.backup(target)
    assert contents(target) == contents(path)


def test_a_backup_follows_what_is_made_changed_renamed_and_deleted(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        for name in ("kept", "deleted", "renamed"):
            fill(client, name)
        client.backup(target)
        client.delete_collection("deleted")
        client.get_collection("renamed").modify(name="another-name")
        fill(client, "kept", 10, 5).delete(ids=["id 1"])
        fill(client, "new")
        client.backup(target)
    assert contents(target) == contents(path)
    assert len(list((target / "collections").iterdir())) == 3


def test_a_backup_follows_a_compaction(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        things = fill(client)
        client.backup(target)
        things.delete(where={"n": {"$lt": 200}})
        things.compact()
        client.backup(target)
    assert [file.name for file in target.rglob("vectors-*")] == ["vectors-1.f32"]  # before it is opened
    assert contents(target) == contents(path)


def test_a_backup_that_was_opened_and_tried_out_is_brought_back(
    path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own checkpoints speak of changes that the original has never seen."""
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 1 << 10)
    with vicinal.PersistentClient(path) as client:
        fill(client)
        client.backup(target)
    with vicinal.PersistentClient(target) as tried:
        things = tried.get_collection("things")
        things.delete(ids=[f"id {n}" for n in range(10)])
        fill(tried, first=1000)
        things.get(where={"n": 1})
        wait_for_index(things)
    with vicinal.PersistentClient(path) as client:
        for first in (300, 600, 900):
            fill(client, first=first)
        client.backup(target)
        before = dump(client.get_collection("things"))
    assert contents(target) == {"things": before}
    with vicinal.PersistentClient(target) as restored:
        assert restored.get_collection("things").get(where={"n": {"$lt": 5}})["ids"] == [
            f"id {n}" for n in range(5)
        ]


def test_an_emptied_collection_can_be_read_in_a_backup_and_a_fork(path: Path, target: Path) -> None:
    """There is no file of vectors in either."""
    with vicinal.PersistentClient(path) as client:
        things = fill(client)
        things.delete(ids=things.get()["ids"])
        things.compact()
        things.fork("forked")
        client.backup(target)
    for place, name in ((target, "things"), (path, "forked")):
        with vicinal.PersistentClient(place, read_only=True) as client:
            held = client.get_collection(name)
            assert (held.count(), held.get()["ids"], client.check()) == (0, [], [])
        with vicinal.PersistentClient(place) as client:
            assert fill(client, name, count=3).count() == 3


def test_a_backup_follows_a_repair(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client)
        client.backup(target)
    [vectors] = path.rglob("vectors-0.f32")
    vectors.write_bytes(b"\0" * 4 + vectors.read_bytes()[4:])
    with vicinal.PersistentClient(path) as client:
        client.repair()
        client.backup(target)
    assert contents(target) == contents(path)


@pytest.mark.parametrize("step", ["backup: vectors copied", "backup: collection replaced", None])
def test_a_backup_of_what_the_database_was_before_it_went_back(
    path: Path, target: Path, tmp_path: Path, step: str | None
) -> None:
    """Rows that only the newer backup has have given their numbers to others since."""
    with vicinal.PersistentClient(path) as client:
        fill(client, count=100)
        client.backup(tmp_path / "monday")
        fill(client, first=100, count=100)
        client.backup(target)
    tuesday = contents(target)
    shutil.rmtree(path)
    shutil.copytree(tmp_path / "monday", path)
    with vicinal.PersistentClient(path) as client:
        fill(client, first=500, count=150)

    def fail(at: str) -> None:
        if at == step:
            raise OSError(errno.ENOSPC, "full")

    with open_with(path, FaultyFiles(fail)) as client, suppress(OSError):
        client.backup(target)
        assert step is None
        client.backup(target)  # and as ever from then on
    assert contents(target) == (tuesday if step == "backup: vectors copied" else contents(path))
    with vicinal.PersistentClient(target) as client:
        assert client.check() == []
        fill(client, first=900, count=50)
        assert client.check() == []


def test_a_damaged_backup_is_made_whole_by_the_next(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client)
        client.backup(target)
        [vectors] = target.rglob("vectors-0.f32")
        vectors.write_bytes(b"\xff" * 100)
        client.backup(target)
    assert contents(target) == contents(path)


# --- while others write ----------------------------------------------------------------------------


@contextmanager
def writing(client: vicinal.Client) -> Iterator[None]:
    """Another thread writes batches of two records, deletes, and compacts, until the block ends."""
    things, stop, begun = client.get_collection("things"), threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def write() -> None:
        try:
            for number in range(1_000_000):
                if stop.is_set():
                    return
                pair = {"ids": [f"left {number}", f"right {number}"], "metadatas": [{"pair": number}] * 2}
                things.add(**pair, embeddings=[[number] * DIMENSION] * 2)
                things.delete(where={"pair": number - 20})
                if number % 10 == 9:
                    things.compact()
                    begun.set()
        except BaseException as error:
            failed.append(error)
            begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    begun.wait()
    yield
    stop.set()
    thread.join()
    assert failed == []


def pairs_of(path: Path) -> list[int]:
    """The numbers of the pairs in a backup, each of which must be whole, and without a gap."""
    found: dict[int, list[Any]] = {}
    for record in contents(path)["things"]:
        if "pair" in record["metadatas"]:
            found.setdefault(record["metadatas"]["pair"], []).append(record)
    for number, records in found.items():
        assert [record["id"] for record in records] == [f"left {number}", f"right {number}"]
        assert all(record["embeddings"] == [number] * DIMENSION for record in records)
    assert sorted(found) == list(range(min(found), max(found) + 1))
    return list(found)


def test_each_backup_is_one_committed_state_while_a_thread_writes(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client)
        last = -1
        with writing(client):
            for _ in range(8):
                client.backup(target)
                pairs = pairs_of(target)
                assert max(pairs) >= last
                assert len(pairs) <= 21
                last = max(pairs)


def test_each_backup_is_one_committed_state_while_another_process_writes(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client)
    with running("write", path) as process, vicinal.PersistentClient(path) as client:
        assert process.stdout.readline() == b"ready" + os.linesep.encode()
        for _ in range(5):
            client.backup(target)
            assert pairs_of(target)
        assert process.poll() is None


def test_collections_come_and_go_while_a_backup_is_made(path: Path, target: Path) -> None:
    stop = threading.Event()
    with vicinal.PersistentClient(path) as client:
        fill(client)

        def come_and_go() -> None:
            while not stop.is_set():
                fill(client, "passing", count=3)
                client.delete_collection("passing")

        thread = threading.Thread(target=come_and_go)
        thread.start()
        try:
            for _ in range(10):
                client.backup(target)
                assert {name: len(held) for name, held in contents(target).items()} in (
                    {"things": 300},
                    {"things": 300, "passing": 3},
                    {"things": 300, "passing": 0},
                )
        finally:
            stop.set()
            thread.join()


def test_a_writer_does_not_wait_for_a_backup(path: Path, target: Path) -> None:
    written: list[str] = []

    def write(step: str) -> None:
        if step == "backup: vectors copied":
            with vicinal.PersistentClient(path) as other:
                written.append(other.get_collection("things").add(ids=["new"], embeddings=[[1] * DIMENSION]))

    with open_with(path, FaultyFiles(write)) as client:
        fill(client)
        client.backup(target)
    assert len(written) == 1
    assert (len(contents(target)["things"]), len(contents(path)["things"])) == (300, 301)


# --- when it fails -----------------------------------------------------------------------------------


def two_states(path: Path, target: Path) -> tuple[Any, Any]:
    """An earlier backup, and a database that has gone on since: the contents of both."""
    with vicinal.PersistentClient(path) as client:
        things = fill(client)
        fill(client, "deleted", count=3)
        client.backup(target)
        earlier = contents(path)
        fill(client, first=1000, count=50)
        things.delete(ids=["id 7"])
        client.delete_collection("deleted")
        fill(client, "new", count=3)
    return earlier, contents(path)


def holds_one_of(target: Path, earlier: Any, later: Any) -> None:
    """Every collection of a backup is as it was then, or as it is now."""
    for name, records in contents(target).items():
        assert records in (earlier.get(name), later.get(name))


@pytest.mark.parametrize("step", STEPS)
def test_a_backup_that_is_killed_leaves_the_earlier_one_usable(path: Path, target: Path, step: str) -> None:
    earlier, later = two_states(path, target)
    with running("backup", path, target, step) as process:
        assert process.wait() == KILLED
    holds_one_of(target, earlier, later)
    with vicinal.PersistentClient(path) as client:
        client.backup(target)
    assert contents(target) == later
    assert not [name for name in names_in(target) if len(name.split("-")[-1]) == 32]


@pytest.mark.parametrize("step", STEPS)
def test_a_backup_that_finds_the_disk_full_leaves_the_earlier_one_usable(
    path: Path, target: Path, step: str
) -> None:
    earlier, later = two_states(path, target)
    before = names_in(target)

    def fail(reached: str) -> None:
        if reached == step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with open_with(path, FaultyFiles(fail)) as client, pytest.raises(OSError, match="No space left"):
        client.backup(target)
    holds_one_of(target, earlier, later)
    assert not [name for name in names_in(target) - before if len(name.split("-")[-1]) == 32]


def test_a_first_backup_that_is_killed_can_be_made_again(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client)
    with running("backup", path, target, "backup: collection replaced") as process:
        process.wait()
    with pytest.raises(StorageError, match="holds no Vicinal database"):
        vicinal.PersistentClient(target, must_exist=True)
    with vicinal.PersistentClient(path) as client:
        client.backup(target)
    assert contents(target) == contents(path)


def test_a_collection_without_its_vectors_is_not_backed_up_but_reported(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client)
        client.backup(target)
    before = contents(target)
    next(path.rglob("vectors-0.f32")).unlink()
    with vicinal.PersistentClient(path) as client, pytest.raises(CorruptionError, match="is missing"):
        client.backup(target)
    assert contents(target) == before


def test_a_collection_whose_vectors_end_early_is_not_backed_up_but_reported(path: Path, target: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client)
        client.backup(target)
    before = contents(target)
    [vectors] = path.rglob("vectors-0.f32")
    os.truncate(vectors, 299 * DIMENSION * 4)
    with vicinal.PersistentClient(path) as client, pytest.raises(StorageError, match="ends before byte"):
        client.backup(target)
    assert contents(target) == before


@pytest.mark.parametrize("to", ["backup", "fork"])
def test_a_collection_that_is_compacted_whenever_it_is_copied_is_copied_in_the_end(
    path: Path, target: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    copied, left = _copy.copied_database, [f"id {n}" for n in range(3)]
    with vicinal.PersistentClient(path) as client:
        things = fill(client)

        def and_compacted(source: Any, place: Path) -> Path:
            made = copied(source, place)
            if left:
                things.delete(ids=[left.pop()])
                things.compact()
            return made

        monkeypatch.setattr(_copy, "copied_database", and_compacted)
        if to == "backup":
            client.backup(target)
        else:
            assert dump(things.fork("copied")) == dump(things)
        assert (left, things.count()) == ([], 297)
    assert not list(path.parent.rglob("records.sqlite3-*"))
    assert to == "fork" or contents(target) == contents(path)


# --- where it may not go -----------------------------------------------------------------------------


@pytest.mark.parametrize("place", [".", "inside", "collections", "collections/inside"])
def test_a_backup_does_not_go_into_the_database_itself(path: Path, place: str) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client)
        before = names_in(path)
        with pytest.raises(StorageError, match=r"a backup needs its own place"):
            client.backup(path / place)
        assert names_in(path) == before


@pytest.mark.parametrize("place", [".", "inside"])
def test_nor_when_the_database_has_another_name(
    path: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "alias").symlink_to(path, target_is_directory=True)
    monkeypatch.setattr(Path, "resolve", lambda self: self.absolute())  # as of a mount, or another case
    with vicinal.PersistentClient(path) as client:
        fill(client)
        before = names_in(path)
        with pytest.raises(StorageError, match=r"a backup needs its own place"):
            client.backup(tmp_path / "alias" / place)
        assert names_in(path) == before


@pytest.mark.parametrize(
    "held", ["notes.txt", "catalog.sqlite3.old", "folder/file", "collections/stamps/one.jpg"]
)
def test_a_directory_with_other_things_in_it_is_refused(path: Path, target: Path, held: str) -> None:
    (target / held).parent.mkdir(parents=True)
    (target / held).write_text("precious")
    with vicinal.PersistentClient(path) as client:
        fill(client)
        with pytest.raises(StorageError, match="is neither empty nor an earlier backup"):
            client.backup(target)
    assert names_in(target) == {held}


def test_an_empty_file_that_is_named_as_a_catalog_stays_empty(path: Path, target: Path) -> None:
    target.mkdir()
    (target / "catalog.sqlite3").touch()
    with vicinal.PersistentClient(path) as client, pytest.raises(StorageError, match="is empty"):
        client.backup(target)
    assert (names_in(target), (target / "catalog.sqlite3").read_bytes()) == ({"catalog.sqlite3"}, b"")


@pytest.mark.parametrize("place", ["data", "backup"])
def test_a_catalog_that_has_lost_its_identity_is_damaged(path: Path, target: Path, place: str) -> None:
    with vicinal.PersistentClient(path) as client:
        client.backup(target)
    with closing(sqlite3.connect(path.parent / place / "catalog.sqlite3")) as database, database:
        database.execute("DELETE FROM identity")
    with vicinal.PersistentClient(path) as client, pytest.raises(CorruptionError, match="its identity"):
        client.backup(target)


def test_the_backup_of_another_database_is_refused(path: Path, target: Path, tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path / "other") as other:
        fill(other)
        other.backup(target)
    refused = pytest.raises(StorageError, match="is another database, not a backup of this one")
    with vicinal.PersistentClient(path) as client, refused:
        client.backup(target)
    assert contents(target) == contents(tmp_path / "other")


def test_a_copy_of_a_backup_and_a_backup_of_a_backup_are_backups(
    path: Path, target: Path, tmp_path: Path
) -> None:
    with vicinal.PersistentClient(path) as client:
        fill(client)
        client.backup(target)
        shutil.copytree(target, tmp_path / "copy")
        fill(client, first=500)
        client.backup(tmp_path / "copy")
    with vicinal.PersistentClient(tmp_path / "copy") as second:
        second.backup(target)
    assert contents(target) == contents(path)


def test_a_database_in_memory_has_no_backup(target: Path) -> None:
    with vicinal.EphemeralClient() as client, pytest.raises(StorageError, match="only a persistent client"):
        client.backup(target)
    assert not target.exists()


# --- this file as a program --------------------------------------------------------------------------


@contextmanager
def running(*arguments: Any) -> Iterator[Any]:
    process = subprocess.Popen([sys.executable, __file__, *map(str, arguments)], stdout=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def main(work: str, path: str, target: str = "", step: str = "") -> None:
    if work == "write":
        with vicinal.PersistentClient(path) as client, writing(client):
            print("ready", flush=True)
            threading.Event().wait()

    def die(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), KILL)

    with open_with(Path(path), FaultyFiles(die)) as client:
        client.backup(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
