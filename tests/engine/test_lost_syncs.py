"""What was acknowledged had been synced: losing everything that was not changes nothing that was promised.

`Volatile` is a disk with a cache: what is written to a vector file reaches the real file only with
`sync`. The power goes out at every step; what is then on the disk is opened and compared.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal._index import planner
from vicinal._storage import checkpoint
from vicinal._storage.files import Files, OpenFile
from vicinal.errors import StorageError
from vicinal.testing import FaultyFiles, check, dump, open_with, wait_for_index

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="writes files as POSIX has it"),
    # The power goes out in the background, too.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

DIMENSION = 256


class PowerCut(BaseException):
    """Nothing in the engine may catch this and go on."""


class Volatile(FaultyFiles):
    """A file system that keeps what is written in a buffer until it is synced.

    `cut` = (step, n): the power goes out when the step is reached for the n-th time.
    """

    def __init__(self, cut: tuple[str, int] = ("never", 1)) -> None:
        super().__init__(self._pass)
        self.step_cut, self.left = cut
        self.buffers: dict[Path, list[tuple[int, bytes]]] = {}
        self.reached: list[str] = []
        self.dead = False

    def _pass(self, step: str) -> None:
        if self.dead:
            raise PowerCut
        self.reached.append(step)
        self.left -= step == self.step_cut
        if self.left == 0:
            self.dead = True
            raise PowerCut

    def write_at(self, file: OpenFile, data: memoryview, offset: int) -> None:
        self.on("file: write")
        self.buffers.setdefault(file.path, []).append((offset, bytes(data)))

    def sync(self, file: OpenFile) -> None:
        self.on("file: sync")
        for offset, data in self.buffers.pop(file.path, []):
            os.pwrite(file.fd, data, offset)

    def sync_path(self, path: Path) -> None:
        """Files of other libraries are in the cache of the real system."""
        self.on("file: sync")


def batch(number: int) -> dict[str, Any]:
    ids = [f"{number}", f"{number} too", "always"]
    vectors = np.random.default_rng(number).standard_normal((3, DIMENSION), dtype=np.float32)
    return {"ids": ids, "embeddings": vectors, "documents": ids, "metadatas": [{"n": number}] * 3}


def work(client: vicinal.Client, acknowledged: list[Any]) -> None:
    """Writes, deletions and compactions; after each, what the collection now holds is noted."""
    things = client.get_or_create_collection("things", embedding_function=None)
    acknowledged.append([])
    for number in range(12):
        things.upsert(**batch(number))
        acknowledged.append(dump(things))
        if number % 4 == 2:
            things.delete(ids=[f"{number - 1}"])
            acknowledged.append(dump(things))
            things.compact()


@pytest.fixture(autouse=True)
def small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 8 * DIMENSION * 4)


# The steps of the foreground, which tests can count on, and how often each is cut at another time.
TIMES = {
    "file: grow": 1,
    "write: before vectors": 7,
    "file: write": 7,
    "file: sync": 7,
    "write: vectors synced": 7,
    "write: before commit": 7,
    "write: committed": 7,
    "remove: before commit": 3,
    "remove: committed": 3,
    "compact: before vectors": 3,
    "compact: vectors synced": 3,
    "compact: before commit": 3,
    "compact: committed": 3,
}
CUTS = [(step, times) for step, most in TIMES.items() for times in range(1, most + 1)]


@pytest.mark.parametrize(("step", "times"), CUTS)
def test_a_power_cut_at_any_step_loses_nothing_acknowledged(tmp_path: Path, step: str, times: int) -> None:
    states: list[Any] = []
    off = open_with(tmp_path, Volatile((step, times)))
    with pytest.raises(PowerCut):
        work(off, states)
    with vicinal.PersistentClient(tmp_path) as client:
        assert check(client) == []
        found = dump(client.get_or_create_collection("things", embedding_function=None))
        assert states[-1] == found or step in ("write: committed", "remove: committed")
    off.close()


@pytest.mark.parametrize("step", ["write: committed", "remove: committed"])
def test_what_was_committed_is_there_though_its_acknowledgement_was_lost(tmp_path: Path, step: str) -> None:
    lost: list[Any] = []
    off = open_with(tmp_path, Volatile((step, 2)))
    with pytest.raises(PowerCut):
        work(off, lost)
    whole: list[Any] = []
    with vicinal.EphemeralClient() as client:
        work(client, whole)
    with vicinal.PersistentClient(tmp_path) as client:
        assert dump(client.get_collection("things")) == whole[len(lost)]
    off.close()


def test_a_file_system_that_ignored_sync_would_be_noticed(tmp_path: Path) -> None:
    """The proof that these tests can fail: with a sync that does nothing, the vectors are lost."""

    class Lying(Volatile):
        def sync(self, file: OpenFile) -> None:
            self.on("file: sync")

    off = open_with(tmp_path, Lying())
    off.create_collection("things", embedding_function=None).add(**batch(1))
    with vicinal.PersistentClient(tmp_path) as client:
        assert len(check(client)) == 3
    off.close()


# --- disks that fail -----------------------------------------------------------------------------


@pytest.fixture
def client(tmp_path: Path) -> Iterator[vicinal.Client]:
    """A persistent client that holds one batch."""
    with vicinal.PersistentClient(tmp_path) as opened:
        opened.create_collection("things", embedding_function=None).add(**batch(0))
        yield opened
    with vicinal.PersistentClient(tmp_path) as again:
        assert check(again) == []


def test_short_writes_are_continued(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    things = client.get_collection("things")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:100])))
        things.add(**batch(1))
    expected = batch(1)["embeddings"][:2].tolist()
    assert things.get(ids=["1", "1 too"], include=["embeddings"])["embeddings"].tolist() == expected


def test_an_interrupted_write_writes_nothing_later(tmp_path: Path, on_alarm: Any) -> None:
    """Ctrl-C, or a timeout, while the disk keeps a write waiting: the next one takes the same rows."""

    class SlowFiles(Files):
        waits_s = 0.0

        def write_at(self, file: OpenFile, data: memoryview, offset: int) -> None:
            time.sleep(self.waits_s)
            super().write_at(file, data, offset)

    def ring(*_: Any) -> None:
        raise TimeoutError("rings")

    files = SlowFiles()
    on_alarm(ring)
    with open_with(tmp_path, files) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(**batch(0))
        files.waits_s = 0.5
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(TimeoutError, match="rings"):
            things.add(**batch(1))
        files.waits_s = 0.0
        things.add(**batch(2))
        time.sleep(0.6)
        assert client.check() == []
        assert things.get(include=["embeddings"])["embeddings"].tolist() == [
            *batch(0)["embeddings"].tolist(),
            *batch(2)["embeddings"][:2].tolist(),
        ]


@pytest.mark.parametrize("call", ["write", "fdatasync"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.__getitem__)
def test_a_disk_that_fails_is_an_error_and_changes_nothing(
    client: Any, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    def fail(*_: Any) -> Any:
        raise OSError(code, os.strerror(code))

    things = client.get_collection("things")
    before = dump(things)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(StorageError) as caught:
            things.upsert(**batch(1))
    assert (caught.value.errno, dump(things)) == (code, before)
    things.upsert(**batch(1))
    assert things.count() == 5


def test_a_sync_that_failed_is_asked_again_of_every_byte(tmp_path: Path) -> None:
    """After a failed fsync a system may forget what was dirty; the next write must not rely on it."""
    files = Volatile()
    off = open_with(tmp_path, files)
    things = off.create_collection("things", embedding_function=None)
    things.add(**batch(0))
    files.on = fails_once(files)
    with pytest.raises(StorageError):
        things.upsert(**batch(1))
    files.buffers.clear()
    things.upsert(**batch(2))
    with vicinal.PersistentClient(tmp_path) as client:
        assert check(client) == []
        assert client.get_collection("things").get(ids=["2"], include=["documents"])["documents"] == ["2"]
    off.close()


def fails_once(files: Volatile) -> Any:
    def fail(step: str) -> None:
        if step == "file: sync":
            files.on = files._pass
            raise StorageError(path="the disk", problem="Input/output error", errno=errno.EIO)

    return fail


def test_a_fork_and_a_backup_are_on_the_disk_when_they_have_been_made(tmp_path: Path) -> None:
    class Noting(Volatile):
        def sync_path(self, path: Path) -> None:
            synced.add(path.name.partition("-")[0])

    synced: set[str] = set()
    with open_with(tmp_path / "data", Noting()) as client:
        things = client.create_collection("things", embedding_function=None)
        things.upsert(**batch(0))
        things.fork("copy")
        assert synced == {"records.sqlite3"}
        client.backup(tmp_path / "backup")
        assert synced == {"records.sqlite3", "catalog.sqlite3"}
        expected = dump(things)
    for place in ("data", "backup"):
        with vicinal.PersistentClient(tmp_path / place) as client:
            found = [dump(collection) for collection in client.list_collections()]
            assert (found, check(client)) == ([expected, expected], [])


def test_a_vector_is_synced_before_its_commit_and_a_name_after_its_content(tmp_path: Path) -> None:
    files = Volatile()
    with open_with(tmp_path, files) as client:
        things = client.create_collection("things", embedding_function=None)
        for number in range(6):
            things.upsert(**batch(number))
        wait_for_index(things)
    order = [step for step in files.reached if not step.startswith("create")]
    commits = [i for i, step in enumerate(order) if step == "write: before commit"]
    assert len(commits) == 6
    for start, commit in zip([0, *commits], commits):
        assert "file: sync" in order[start:commit]
    assert order.index("file: sync") < order.index("checkpoint: manifest replaced")


def test_a_checkpoint_replaced_while_it_is_checked_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(content: bytes) -> None:
        checkpoint.save(tmp_path, "graph", {}, lambda path: path.write_bytes(content) and None, Files())

    checksum, replaced = checkpoint.checksum, []

    def slow(path: Path) -> int:
        """Between reading the manifest and reading the file, another process replaces both, once."""
        if not replaced:
            replaced.append(path)
            save(b"newer")
        return checksum(path)

    save(b"older")
    monkeypatch.setattr(checkpoint, "checksum", slow)
    assert checkpoint.check(tmp_path, "graph") == []
    assert replaced
