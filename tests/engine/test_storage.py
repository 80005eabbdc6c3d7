"""What is on disk is the whole truth: reopened it is the same, damaged it says so, derived files may go."""

from __future__ import annotations

import errno
import gc
import json
import os
import random
import shutil
import sqlite3
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.held import held_of

import vicinal
from vicinal._derived import NAMES
from vicinal._index import exact, planner
from vicinal._index.view import View
from vicinal._local import LocalBackend
from vicinal._request import Status
from vicinal._storage import changes, checkpoint, database, files
from vicinal._storage.files import Files, meanwhile
from vicinal._storage.schema import CATALOG, RECORDS
from vicinal._storage.vectors import VectorFile, VectorMemory
from vicinal._upkeep import Upkeep
from vicinal.errors import (
    CorruptionError,
    FormatVersionError,
    InvalidDimensionError,
    NotFoundError,
    StorageError,
    VicinalError,
)
from vicinal.testing import FaultyFiles, check, dump, nearest, open_with, wait_for_index

SCHEMA = Path(__file__).parent / "snapshots" / "schema.sql"
RNG = np.random.default_rng


def fill(collection: vicinal.Collection, count: int = 5, dimension: int = 3, seed: int = 0) -> Any:
    """Records "0", "1", … with random vectors, which are returned."""
    vectors = RNG(seed).standard_normal((count, dimension)).astype(np.float32)
    collection.add(
        ids=list(map(str, range(count))),
        embeddings=vectors,
        documents=[f"text {i}" for i in range(count)],
        metadatas=[{"n": i, "even": i % 2 == 0} for i in range(count)],
    )
    return vectors


def make(client: vicinal.Client, name: str = "things", **kwargs: Any) -> vicinal.Collection:
    return client.create_collection(name, embedding_function=None, **kwargs)


def made(path: Path, count: int = 5, dimension: int = 3) -> Path:
    """The directory of one collection in a closed database."""
    with vicinal.PersistentClient(path) as client:
        things = make(client)
        fill(things, count, dimension)
        return path / "collections" / str(things.id)


# --- reopening -----------------------------------------------------------------------------------


def test_a_reopened_collection_is_the_same(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = make(client, metadata={"about": "things"}, configuration={"hnsw": {"space": "ip"}})
        fill(things, 50)
        things.upsert(ids=["7"], embeddings=[[0, 0, 1]], uris=["file:7"])
        things.delete(ids=["3"])
        before = (dump(things), things.metadata, things.configuration_json, things.id)
    with vicinal.PersistentClient(tmp_path) as client:
        again = client.get_collection("things")
        assert (dump(again), again.metadata, again.configuration_json, again.id) == before
        assert check(client) == []


def test_records_keep_their_place_when_they_change_and_lose_it_when_deleted(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = make(client)
        fill(things, 4)
        things.upsert(ids=["1", "9"], embeddings=[[9, 9, 9], [1, 1, 1]])
        things.delete(ids=["0"])
        things.add(ids=["0"], embeddings=[[0, 0, 0]])
        assert things.get()["ids"] == ["1", "2", "3", "9", "0"]
    with vicinal.PersistentClient(tmp_path) as client:
        assert client.get_collection("things").get()["ids"] == ["1", "2", "3", "9", "0"]
        assert client.get_collection("things").get(limit=2, offset=1)["ids"] == ["2", "3"]


def test_equal_distances_come_in_order_of_age_after_reopening(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        make(client).add(ids=list("dbca"), embeddings=[[1, 1]] * 4)
    with vicinal.PersistentClient(tmp_path) as client:
        found = client.get_collection("things").query(query_embeddings=[0, 0], n_results=3)
        assert found["ids"] == [["d", "b", "c"]]


def test_a_path_may_hold_any_characters(tmp_path: Path) -> None:
    path = tmp_path / ("a b%20cd#e&f=ü" if sys.platform == "win32" else "a b%20c?d#e&f=ü")
    made(path)
    with vicinal.PersistentClient(path) as client:
        assert client.get_collection("things").count() == 5
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_relative_path_stays_where_it_was_when_the_program_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with vicinal.PersistentClient("data") as client:
        fill(make(client))
        monkeypatch.chdir(tmp_path / "elsewhere")
        fill(make(client, "others"))
        assert (client.get_collection("things").count(), client.get_collection("others").count()) == (5, 5)
    assert list((tmp_path / "elsewhere").iterdir()) == []


# --- rows and vectors ----------------------------------------------------------------------------


def rows_of(client: vicinal.Client, collection: vicinal.Collection) -> int:
    return client._backend.status(Status(collection.id)).rows


def test_an_upsert_that_changes_nothing_adds_no_row_and_no_change(client: vicinal.Client) -> None:
    things = make(client)
    vectors = fill(things)
    again = {"ids": ["0", "1"], "embeddings": vectors[:2], "documents": ["text 0", "text 1"]}
    assert things.upsert(**again, metadatas=[{"n": 0}, {"even": False}]).updated == 2
    assert rows_of(client, things) == 5
    things.upsert(ids=["0"], embeddings=vectors[:1], documents=["another text"])
    assert rows_of(client, things) == 5
    things.upsert(ids=["0"], embeddings=[[1, 2, 3]])
    assert rows_of(client, things) == 6


def test_a_write_that_changes_nothing_does_not_fix_the_dimension(client: vicinal.Client) -> None:
    things = make(client)
    things.update(ids=["missing"], embeddings=[[1, 2, 3]])
    things.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]])
    assert things.get(include=["embeddings"])["embeddings"].tolist() == [[1, 2], [3, 4]]
    with pytest.raises(InvalidDimensionError):
        things.add(ids=["c"], embeddings=[[1, 2, 3]])


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_views_stay_valid_while_the_vectors_grow(tmp_path: Path, kind: str) -> None:
    store = (
        VectorFile(tmp_path / "vectors", 16, 0, Files(), create=True)
        if kind == "file"
        else VectorMemory(16, 0)
    )
    expected = RNG(1).standard_normal((60_000, 16)).astype(np.float32)
    views = []
    for stop in range(5_000, 60_001, 5_000):
        store.append(stop - 5_000, expected[stop - 5_000 : stop])
        views.append(store.view(stop))
    del store
    gc.collect()
    assert all(np.array_equal(view, expected[: len(view)]) for view in views)


def test_a_view_cannot_be_written_to(tmp_path: Path) -> None:
    store = VectorFile(tmp_path / "vectors", 2, 0, Files(), create=True)
    store.append(0, np.ones((3, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="read-only"):
        store.view(3)[0, 0] = 5


def test_the_vector_file_is_mapped_again_only_when_it_has_grown(tmp_path: Path) -> None:
    store = VectorFile(tmp_path / "vectors", 4, 0, Files(), create=True)
    store.append(0, np.zeros((1, 4), dtype=np.float32))
    first = store.view(1)
    store.append(1, np.ones((1, 4), dtype=np.float32))
    assert np.shares_memory(first, store.view(2))
    assert store.view(2)[1].tolist() == [1, 1, 1, 1]


def test_what_a_crash_left_behind_the_committed_rows_is_written_over(tmp_path: Path) -> None:
    directory = made(tmp_path)
    with (directory / "vectors-0.f32").open("r+b") as stream:
        stream.seek(5 * 3 * 4)
        stream.write(b"\xff" * 1000)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        things.add(ids=["new"], embeddings=[[7, 8, 9]])
        assert things.get(ids=["new"], include=["embeddings"])["embeddings"].tolist() == [[7, 8, 9]]
        assert check(client) == []


@pytest.mark.parametrize("reopen", [False, True])
def test_many_small_batches_are_all_there(tmp_path: Path, reopen: bool) -> None:
    expected = RNG(2).standard_normal((1_500, 300)).astype(np.float32)
    client = vicinal.PersistentClient(tmp_path)
    things = make(client)
    for start in range(0, 1_500, 60):
        ids = [str(row) for row in range(start, start + 60)]
        things.add(ids=ids, embeddings=expected[start : start + 60])
        assert things.query(query_embeddings=expected[start], n_results=1)["ids"] == [[str(start)]]
    if reopen:
        client.close()
        client = vicinal.PersistentClient(tmp_path)
    assert np.array_equal(client.get_collection("things").get(include=["embeddings"])["embeddings"], expected)
    client.close()


# --- the change log ------------------------------------------------------------------------------


def history(things: vicinal.Collection, first: int, last: int) -> None:
    """Writes of every kind; the same numbers, the same history."""
    for number in range(first, last):
        things.upsert(
            ids=[f"again {number % 7}", f"id {number}"],
            embeddings=[[number, 1], [1, number]],
            metadatas=[{"n": number}, {"n": number, "odd": number % 2 == 1}],
        )
        things.update(ids=[f"id {number - 1}"], metadatas=[{"n": -number}])
        things.delete(ids=[f"id {number - 3}"])


def test_the_change_log_is_kept_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "KEPT", 5)
    with vicinal.PersistentClient(tmp_path) as client:
        history(make(client), 0, 20)
        assert check(client) == []
    [directory] = (tmp_path / "collections").iterdir()
    with closing(sqlite3.connect(directory / "records.sqlite3")) as db:
        assert db.execute("SELECT count(*) FROM changes").fetchone() == (5,)


def test_the_change_log_keeps_fewer_large_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "ROWS_KEPT", 100)
    ids = list(map(str, range(40)))
    with vicinal.PersistentClient(tmp_path) as writer, vicinal.PersistentClient(tmp_path) as reader:
        things = make(writer)
        things.add(ids=ids, embeddings=[[n, 1] for n in range(40)])
        behind = reader.get_collection("things")
        for number in range(20):
            things.update(ids=ids, metadatas=[{"n": number}] * 40)
            if number % 7 == 0:
                assert behind.count(where={"n": number}) == 40
        things.delete(ids=ids[:1])
        assert behind.count(where={"n": 19}) == 39
        assert check(writer) == []
    [directory] = (tmp_path / "collections").iterdir()
    with closing(sqlite3.connect(directory / "records.sqlite3")) as db:
        assert db.execute("SELECT count(*) FROM changes").fetchone() == (3,)


def test_who_writes_after_another_sees_what_both_have_done(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as one, vicinal.PersistentClient(tmp_path) as two:
        first = make(one)
        fill(first)
        second = two.get_collection("things")
        assert second.get()["ids"] == ["0", "1", "2", "3", "4"]
        first.delete(ids=["1"])
        second.add(ids=["new"], embeddings=[[1, 2, 3]])
        assert first.get()["ids"] == second.get()["ids"] == ["0", "2", "3", "4", "new"]


def test_what_is_written_as_it_was_is_no_change(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = make(client)
        record: dict[str, Any] = {"ids": "a", "embeddings": [1, 2], "metadatas": {"n": 1}, "documents": "x"}
        things.add(**record)
        with client._backend._opened.using(things.id) as live, live.read_state() as before:
            pass
        for write in (things.add, things.upsert, things.update):
            write(**record)
        things.update(where={"n": 1}, metadatas={"n": 1})
        with live.read_state() as after:
            assert after == before


@pytest.mark.parametrize("kept", [1, 5, 10_000])
def test_a_reader_agrees_however_far_it_fell_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(changes, "KEPT", kept)
    with vicinal.PersistentClient(tmp_path) as writer, vicinal.PersistentClient(tmp_path) as reader:
        things, behind = make(writer), None
        for first, last in [(0, 3), (3, 4), (4, 30), (30, 31)]:
            history(things, first, last)
            behind = behind or reader.get_collection("things")
            for where in ({"n": {"$gte": 0}}, {"odd": True}, {"n": {"$lt": 0}}):
                assert behind.get(where=where) == things.get(where=where)
            assert behind.query(query_embeddings=[3, 3]) == things.query(query_embeddings=[3, 3])


# --- checkpoints -----------------------------------------------------------------------------------


@pytest.fixture
def small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs for collections of a few hundred rows, and queries that use them."""
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 1 << 12)
    monkeypatch.setattr(planner, "_WALK_S_PER_CANDIDATE", 0.0)


def with_graph(path: Path, count: int = 600) -> Path:
    """The checkpoints of a collection that is large enough to have a graph."""
    with vicinal.PersistentClient(path) as client:
        things = make(client)
        fill(things, count, 16)
        wait_for_index(things)
        return path / "collections" / str(things.id) / "checkpoints"


def answers(path: Path) -> tuple[Any, Any, int]:
    """What a collection says, how it was found, and how many rows its graph covers."""
    with vicinal.PersistentClient(path) as client:
        assert [] == [finding for finding in check(client) if "checkpoint" not in finding]
        things = client.get_collection("things")
        wait_for_index(things)
        queries = RNG(3).standard_normal((20, 16))
        found = things.query(query_embeddings=queries, n_results=10, explain=True)
        strategy = found.pop("explain").strategy
        found["filtered"] = things.get(where={"n": {"$lt": 40}})["ids"]
        return found, strategy, client._backend.status(Status(things.id)).rows_in_graph


@pytest.mark.usefixtures("small_graphs")
def test_without_its_checkpoints_a_collection_answers_the_same(tmp_path: Path) -> None:
    checkpoints = with_graph(tmp_path)
    before = answers(tmp_path)
    shutil.rmtree(checkpoints)
    assert answers(tmp_path) == before
    assert before[1:] == ("graph", 600)
    assert (checkpoints / "graph.json").exists()


def test_a_collection_too_small_for_a_graph_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every process that opens it would read all vectors, metadata and texts anew."""
    monkeypatch.setattr(planner, "CODES_BYTES_MIN", 1 << 12)
    checkpoints = with_graph(tmp_path)
    assert {path.name for path in checkpoints.glob("*.json")} == {"rows.json", "codes.json", "columns.json"}


@pytest.mark.usefixtures("small_graphs")
def test_a_checkpoint_is_read_rather_than_made_again(tmp_path: Path) -> None:
    manifest = with_graph(tmp_path) / "graph.json"
    before = manifest.read_bytes()
    steps: list[str] = []
    with open_with(tmp_path, FaultyFiles(steps.append)) as client:
        things = client.get_collection("things")
        assert things.count() == 600
        wait_for_index(things)
        assert client._backend.status(Status(things.id)).rows_in_graph == 600
    assert (steps, manifest.read_bytes()) == ([], before)


@pytest.mark.usefixtures("small_graphs")
def test_the_first_answer_after_opening_reads_the_codes_and_few_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_graph(tmp_path)
    before = answers(tmp_path)[0]["ids"][0]
    measured: list[int] = []

    def nearest(view: View, space: Any, query: Any, k: int, rows: Any) -> Any:
        measured.append(len(rows))
        return measure(view, space, query, k, rows)

    measure = exact.nearest
    monkeypatch.setattr(exact, "nearest", nearest)
    monkeypatch.setattr(Upkeep, "__call__", lambda self: None)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        query = RNG(3).standard_normal((20, 16))[:1]
        assert things.query(query_embeddings=query, n_results=10)["ids"][0] == before
    assert len(measured) == 1
    assert 10 <= measured[0] < 100


@dataclass
class Checkpoint:
    """One of a collection's checkpoints: its manifest, and the file that it names."""

    directory: Path
    name: str

    @property
    def manifest(self) -> Path:
        return self.directory / f"{self.name}.json"

    @property
    def file(self) -> Path:
        return self.directory / json.loads(self.manifest.read_text(encoding="utf-8"))["file"]


def damage_file(checkpoint: Checkpoint, change: Callable[[bytes], bytes]) -> None:
    checkpoint.file.write_bytes(change(checkpoint.file.read_bytes()))


def damage_manifest(checkpoint: Checkpoint, **changed: Any) -> None:
    manifest = checkpoint.manifest
    manifest.write_text(json.dumps({**json.loads(manifest.read_text(encoding="utf-8")), **changed}))


def lie(checkpoint: Checkpoint, covers: Any = None, **changed: Any) -> None:
    """A manifest that carries a true seal, and is wrong."""
    damage_manifest(checkpoint, **changed)
    entry = json.loads(checkpoint.manifest.read_text(encoding="utf-8"))
    entry.pop("seal")
    entry["covers"] = {**entry["covers"], **covers} if isinstance(covers, dict) else covers or entry["covers"]
    seal = zlib.crc32(json.dumps(entry, sort_keys=True).encode())
    damage_manifest(checkpoint, **entry, seal=seal)


def write_manifest(checkpoint: Checkpoint, text: bytes) -> None:
    checkpoint.manifest.write_bytes(text)


def believable(checkpoint: Checkpoint, content: bytes) -> None:
    """A file that is no graph, with a manifest that is true of it."""
    damage_file(checkpoint, lambda _: content)
    lie(checkpoint, checksum=zlib.crc32(content))


DAMAGES: dict[str, Callable[[Checkpoint], None]] = {
    "a flipped byte": lambda at: damage_file(at, lambda data: data[:999] + b"\x55" + data[1000:]),
    "a truncated file": lambda at: damage_file(at, lambda data: data[: len(data) // 2]),
    "an empty file": lambda at: damage_file(at, lambda _: b""),
    "no file": lambda at: at.file.unlink(),
    "no manifest": lambda at: at.manifest.unlink(),
    "an empty manifest": lambda at: write_manifest(at, b""),
    "a manifest of garbage": lambda at: write_manifest(at, b"\xff\x00{"),
    "a manifest that is a list": lambda at: write_manifest(at, b"[1, 2]"),
    "a manifest that nests too deep": lambda at: write_manifest(at, b"[" * 100_000),
    "a manifest that is a number": lambda at: write_manifest(at, b"7"),
    "a changed manifest": lambda at: damage_manifest(at, covers={"rows": 5}),
    "a manifest of another file": lambda at: damage_manifest(at, file="../records.sqlite3"),
    "a file name that is a number": lambda at: damage_manifest(at, file=5),
    "an empty file name": lambda at: damage_manifest(at, file=""),
    "a sealed manifest of no file": lambda at: lie(at, file=""),
    "a sealed file name that is a number": lambda at: lie(at, file=5),
    "covers that are no object": lambda at: lie(at, covers=[3]),
    "another generation": lambda at: lie(at, covers={"generation": 7}),
}
LIES: dict[str, Callable[[Checkpoint], None]] = {
    "more rows than there are": lambda at: lie(at, covers={"rows": 601}),
    "fewer rows than none": lambda at: lie(at, covers={"rows": -1}),
    "rows that are a word": lambda at: lie(at, covers={"rows": "many"}),
    "hidden rows beyond the end": lambda at: lie(at, covers={"hidden": [10**6]}),
    "hidden rows that are words": lambda at: lie(at, covers={"hidden": ["a"]}),
    "hidden rows that are alive": lambda at: lie(at, covers={"hidden": list(range(300))}),
    "strays beyond the end": lambda at: lie(at, covers={"strays": [10**6]}),
    "strays that are words": lambda at: lie(at, covers={"strays": ["a"]}),
    "an empty file, truly checksummed": lambda at: believable(at, b""),
    "garbage, truly checksummed": lambda at: believable(at, bytes(range(256)) * 50),
}


def is_made(path: Path) -> bool:
    """Whether opening a collection makes a checkpoint."""
    steps: list[str] = []
    with open_with(path, FaultyFiles(steps.append)) as client:
        wait_for_index(client.get_collection("things"))
    return "checkpoint: file written" in steps


@pytest.mark.usefixtures("small_graphs")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_ignored_and_made_again(
    tmp_path: Path, damage: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = with_graph(tmp_path)
    before = answers(tmp_path)
    DAMAGES[damage](Checkpoint(checkpoints, name))
    assert (is_made(tmp_path), is_made(tmp_path)) == (True, False)
    assert answers(tmp_path) == before
    assert caplog.records == []


@pytest.mark.skipif(os.name == "nt", reason="Windows does not limit how long files are")
@pytest.mark.usefixtures("small_graphs")
def test_a_graph_that_is_not_written_whole_is_no_checkpoint(tmp_path: Path) -> None:
    import resource

    with vicinal.PersistentClient(tmp_path) as client:
        things = make(client)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        fill(things, 600, 16)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, most))
        try:
            things.optimize()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        assert list(tmp_path.rglob("graph*")) == []
        things.add(ids=["later"], embeddings=[[1] * 16])
        things.optimize()
        assert (len(list(tmp_path.rglob("graph*"))), check(client)) == (2, [])


@pytest.mark.usefixtures("small_graphs")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", LIES)
def test_a_checkpoint_that_lies_changes_no_answer(
    tmp_path: Path, what: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = with_graph(tmp_path)
    before = answers(tmp_path)
    LIES[what](Checkpoint(checkpoints, name))
    assert answers(tmp_path)[0] == before[0]
    assert answers(tmp_path)[0] == before[0]
    assert caplog.records == []


@pytest.mark.usefixtures("small_graphs")
def test_a_checkpoint_of_an_older_state_catches_up(tmp_path: Path) -> None:
    checkpoints = with_graph(tmp_path)
    older = tmp_path / "older"
    shutil.copytree(checkpoints, older)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        things.delete(where={"n": {"$lt": 100}})
        things.upsert(ids=["500"], embeddings=[RNG(3).standard_normal((20, 16))[0]])
        fill(make(client, "others"), 600, 16)
    before = answers(tmp_path)
    shutil.rmtree(checkpoints)
    shutil.move(older, checkpoints)
    assert answers(tmp_path)[0] == before[0]
    assert before[0]["ids"][0][0] == "500"


def refuse_manifests(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when too many files are open."""
    read = Path.read_text

    def refused(path: Path, **how: Any) -> str:
        if path.suffix == ".json":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return read(path, **how)

    monkeypatch.setattr(Path, "read_text", refused)


def refuse_states(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Any) -> Any:
        raise StorageError(path="records.sqlite3", problem="SQLite says: unable to open database file")

    monkeypatch.setattr(changes, "state", refused)


@pytest.mark.usefixtures("small_graphs")
@pytest.mark.parametrize("refuse", [None, refuse_manifests, refuse_states])
@pytest.mark.parametrize("later", ["more records", "other metadata", "a deletion"])
def test_checkpoints_of_what_a_backup_was_copied_over_are_not_believed(
    tmp_path: Path,
    later: str,
    refuse: Callable[[pytest.MonkeyPatch], None] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor when it could not be told, as the collection was opened, of what they are."""
    path, rng = tmp_path / "data", RNG(0)

    def change(things: vicinal.Collection, n: int) -> None:
        if later == "more records":
            things.add(ids=[f"{n} {i}" for i in range(200)], embeddings=rng.standard_normal((200, 16)))
        elif later == "other metadata":
            things.update(ids=["1", "2"], metadatas=[{"n": n}] * 2)
        else:
            things.delete(ids=[str(n + i) for i in range(30)])

    with vicinal.PersistentClient(path) as client:
        things = make(client)
        fill(things, 200, 16)
        client.backup(tmp_path / "backup")
        kept = dump(things)
        change(things, 10)
    checkpoints = path / "collections" / str(things.id) / "checkpoints"
    shutil.rmtree(checkpoints, ignore_errors=True)
    answers(path)  # and all checkpoints, of what they need
    shutil.copytree(tmp_path / "backup", path, dirs_exist_ok=True)
    with vicinal.PersistentClient(path, read_only=True) as client:  # which removes none
        assert dump(client.get_collection("things")) == kept
    with vicinal.PersistentClient(path) as client:
        things = client.get_collection("things")
        if refuse is not None:
            with monkeypatch.context() as patch, suppress(StorageError):
                refuse(patch)
                things.count()
        change(things, 100)
    seen = answers(path)
    shutil.rmtree(checkpoints)
    assert answers(path) == seen


@pytest.mark.usefixtures("small_graphs")
def test_a_checkpoint_that_the_log_has_left_behind_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that change in place add no rows: nothing else would ever have it written again."""
    monkeypatch.setattr(changes, "KEPT", 5)
    checkpoints = with_graph(tmp_path)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        assert things.count(where={"n": {"$lt": 40}}) == 40
        for number in range(7):
            things.update(ids=["1"], metadatas=[{"n": -number}])
        things.optimize()
        with client._backend._opened.using(things.id) as live, live.database.read() as tx:
            for name in ("rows", "columns"):  # which may have been written at different moments
                change = checkpoint.covers(checkpoints, name)["change"]
                assert changes.since(tx, change) is not None or changes.state(tx).change == change


@pytest.mark.usefixtures("small_graphs")
def test_two_clients_that_save_checkpoints_leave_one_that_is_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with vicinal.PersistentClient(tmp_path) as one, vicinal.PersistentClient(tmp_path) as two:
        first = make(one)
        fill(first, 600, 16)
        second = two.get_collection("things")
        for number in range(15):
            vectors = RNG(number).standard_normal((200, 16))
            first.add(ids=[f"{number}/{i}" for i in range(200)], embeddings=vectors)
            assert second.count() == 800 + 200 * number
            second.query(query_embeddings=vectors[0])
        wait_for_index(first)
        wait_for_index(second)
    assert (is_made(tmp_path), caplog.records) == (False, [])


def test_saving_a_checkpoint_leaves_none_but_what_others_may_be_writing(tmp_path: Path) -> None:
    hours_ago = time.time() - 7200

    def write(path: Path, written_at: float = hours_ago) -> None:
        path.touch()
        os.utime(path, (written_at, written_at))

    write(tmp_path / "rows-left")
    write(tmp_path / "rows-left.json")
    write(tmp_path / "rows-now", time.time())
    write(tmp_path / "codes-left")
    (tmp_path / "rows.json").write_text('{"file": "codes-left"}')  # as damage may have it
    for change, written_at in ((1, time.time()), (2, hours_ago)):  # the second takes the place of the first
        checkpoint.save(tmp_path, "rows", {"change": change}, partial(write, written_at=written_at), Files())
    refused = FaultyFiles(partial(fail_at, "file: replace"))
    with pytest.raises(StorageError):
        checkpoint.save(tmp_path, "rows", {"change": 3}, write, refused)
    found = checkpoint.load(tmp_path, "rows")
    assert found is not None
    kept = {"rows-now", "codes-left", "rows.json", found[0].name}
    assert ({path.name for path in tmp_path.iterdir()}, found[1]) == (kept, {"change": 2})


def test_discarding_a_checkpoint_removes_its_own_files_alone(tmp_path: Path) -> None:
    for name in ("rows", "codes"):
        checkpoint.save(tmp_path, name, {}, Path.touch, Files())
    kept = {"codes.json", Checkpoint(tmp_path, "codes").file.name}
    (tmp_path / "graph.json").write_text(json.dumps({"file": Checkpoint(tmp_path, "codes").file.name}))
    for name in ("rows", "graph", "columns"):
        checkpoint.discard(tmp_path, name, Files())
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_no_checkpoint_is_made_where_there_is_no_collection_any_more(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        checkpoint.save(tmp_path / "gone" / "checkpoints", "rows", {}, Path.touch, Files())
    assert (caught.value.errno, list(tmp_path.iterdir())) == (errno.ENOENT, [])


def fail_at(step: str, reached: str) -> None:
    if reached == step:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class DroppingFiles(Files):
    """Deletes the collection, by another client, just before a checkpoint's file is written."""

    drop: Callable[[], None] | None = None

    def step(self, name: str) -> None:
        if name == "checkpoint: file written":
            self._drop()

    def sync_path(self, path: Path) -> None:
        self._drop()
        super().sync_path(path)

    def _drop(self) -> None:
        drop, self.drop = self.drop, None
        if drop is not None:
            drop()


@pytest.mark.usefixtures("small_graphs")
def test_a_checkpoint_in_the_making_does_not_bring_a_deleted_collection_back(tmp_path: Path) -> None:
    files = DroppingFiles()
    with vicinal.PersistentClient(tmp_path) as other, open_with(tmp_path, files) as client:
        things = make(client)
        files.drop = lambda: other.delete_collection("things")
        fill(things, 600, 16)
        with suppress(NotFoundError):
            wait_for_index(things)
        with pytest.raises(NotFoundError):
            things.count()
        assert list((tmp_path / "collections").iterdir()) == []


# --- damage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 8, 59])
def test_a_truncated_vector_file_is_reported(tmp_path: Path, size: int) -> None:
    vectors = made(tmp_path) / "vectors-0.f32"
    os.truncate(vectors, size)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        for call in (
            lambda: things.query(query_embeddings=[1, 2, 3]),
            lambda: things.get(include=["embeddings"]),
            lambda: things.add(ids=["new"], embeddings=[[1, 2, 3]]),
        ):
            with pytest.raises(CorruptionError) as caught:
                call()
            assert caught.value.path == str(vectors)
        assert [str(vectors) in finding for finding in check(client)] == [True]
    assert vectors.stat().st_size == size


def test_a_missing_vector_file_is_reported_and_not_made(tmp_path: Path) -> None:
    vectors = made(tmp_path) / "vectors-0.f32"
    vectors.unlink()
    with vicinal.PersistentClient(tmp_path) as client:
        with pytest.raises(CorruptionError, match="vectors-0"):
            client.get_collection("things").query(query_embeddings=[1, 2, 3])
        with pytest.raises(CorruptionError, match="vectors-0"):
            client.get_collection("things").upsert(ids=["new"], embeddings=[[1, 2, 3]])
        assert len(check(client)) == 1
    assert not vectors.exists()


def overwrite(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None  # type: ignore[func-returns-value]


SQLITE_DAMAGES: dict[str, Callable[[Path], Any]] = {
    "garbage": overwrite(b"garbage " * 1000),
    "a wrong header": lambda path: path.write_bytes(b"SQLite format 4\0" + path.read_bytes()[16:]),
    "half of it": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "nothing": overwrite(b""),
    "no file": lambda path: path.unlink(),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}


@pytest.mark.parametrize("damage", SQLITE_DAMAGES)
def test_a_damaged_records_database_is_reported(tmp_path: Path, damage: str) -> None:
    directory = made(tmp_path, count=500)
    SQLITE_DAMAGES[damage](directory / "records.sqlite3")
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        with pytest.raises(StorageError) as caught:
            things.get()
        assert caught.value.path == str(directory / "records.sqlite3")
        assert any(caught.value.path in finding or "SQLite" in finding for finding in check(client))
    assert (directory / "vectors-0.f32").exists()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE state SET change = -1", "its state is"),
        ("UPDATE state SET generation = -1", "its state is"),
        ("UPDATE state SET positions = 'many'", "its state is"),
        ("DELETE FROM state", "its state is"),
        ("UPDATE state SET dimension = 0", "its dimension is 0"),
        ("UPDATE state SET dimension = 'three'", "its dimension is 'three'"),
    ],
)
def test_a_state_that_nobody_wrote_is_reported(tmp_path: Path, statement: str, problem: str) -> None:
    with closing(sqlite3.connect(made(tmp_path) / "records.sqlite3")) as database, database:
        database.execute(statement)
    with vicinal.PersistentClient(tmp_path) as client, pytest.raises(CorruptionError, match=problem):
        client.get_collection("things").count()


@pytest.mark.parametrize("damage", SQLITE_DAMAGES)
def test_a_damaged_catalog_is_reported_and_costs_no_collection(tmp_path: Path, damage: str) -> None:
    directory = made(tmp_path)
    SQLITE_DAMAGES[damage](tmp_path / "catalog.sqlite3")
    with pytest.raises(StorageError, match=r"catalog\.sqlite3"):
        vicinal.PersistentClient(tmp_path).list_collections()
    assert (directory / "records.sqlite3").exists()
    assert (directory / "vectors-0.f32").exists()


@pytest.mark.parametrize(
    "damage",
    ["UPDATE collections SET id = 'lost'", "DELETE FROM collections; UPDATE identity SET only = 2"],
    ids=["an entry", "a table"],
)
def test_what_a_damaged_catalog_does_not_know_is_not_removed(tmp_path: Path, damage: str) -> None:
    directory = made(tmp_path)
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite3")) as db:
        db.executescript(f"PRAGMA ignore_check_constraints = ON; {damage}")
    vicinal.PersistentClient(tmp_path).close()
    assert (directory / "records.sqlite3").exists()


def test_a_damaged_collection_can_be_deleted_and_its_neighbours_go_on(tmp_path: Path) -> None:
    directory = made(tmp_path)
    (directory / "records.sqlite3").write_bytes(b"garbage " * 1000)
    with vicinal.PersistentClient(tmp_path) as client:
        others = make(client, "others")
        fill(others)
        assert others.count() == 5
        assert len(check(client)) == 1
        client.delete_collection("things")
        assert (check(client), [c.name for c in client.list_collections()]) == ([], ["others"])
    assert not directory.exists()


def files_open_below(path: Path) -> list[str]:
    """Which files of a directory this process holds open."""
    names = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the descriptor of the listing itself
            names.append(os.readlink(entry))
    return [name for name in names if str(path) in name]


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks which files are open")


@needs_proc
@pytest.mark.parametrize("damaged", ["catalog.sqlite3", "records.sqlite3"])
@pytest.mark.parametrize("content", [b"no database" * 100, None])
def test_what_cannot_be_opened_is_not_left_open(tmp_path: Path, damaged: str, content: bytes | None) -> None:
    directory = made(tmp_path)
    path = (tmp_path if damaged == "catalog.sqlite3" else directory) / damaged
    if content is None:
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version = 99")
    else:
        path.write_bytes(content)
    raised = []
    try:
        with vicinal.PersistentClient(tmp_path) as client:
            client.get_collection("things").count()
    except VicinalError as error:
        raised.append(error)  # with its traceback, and what the frames in it hold
    assert isinstance(raised[0], CorruptionError if content else FormatVersionError)
    assert files_open_below(tmp_path) == []


def test_check_names_a_record_whose_bytes_have_changed(tmp_path: Path) -> None:
    directory = made(tmp_path)
    with (directory / "vectors-0.f32").open("r+b") as stream:
        stream.seek(3 * 3 * 4 + 1)
        stream.write(b"\x01")
    with closing(sqlite3.connect(directory / "records.sqlite3")) as db, db:
        db.execute("UPDATE records SET document = 'changed' WHERE id = '1'")
    with vicinal.PersistentClient(tmp_path) as client:
        found = check(client)
        assert [("'1'" in finding, "'3'" in finding) for finding in found] == [(True, False), (False, True)]


CONTRADICTIONS = {
    "UPDATE state SET records = 4": "counts 4",
    "UPDATE state SET rows = 4": "at row 4, but only 4 rows|its row 4 has no vector|log ends with 6 rows",
    "UPDATE state SET change = 9": "log ends",
    "UPDATE state SET positions = 3": "at position 4, but only 3",
    "UPDATE state SET dimension = NULL": "6 rows are committed, but no dimension",
    "DELETE FROM changes WHERE change = 2": "gap",
    "UPDATE records SET position = 1": "position",
    "UPDATE live SET row = 1 WHERE position = 2": "position 2 is said to be at row 1",
    "DELETE FROM live WHERE position = 2": "the table holds 4",
    "INSERT INTO live VALUES (7, 7)": "position 7",
    "INSERT INTO live VALUES (5, 5)": "row 5, which the change log says was taken out",
    "DELETE FROM ids WHERE id = '2'": "record '2': its id",
    "UPDATE ids SET position = 3 WHERE id = '2'": "record '2': its id",
    "UPDATE changes SET removed = x'0000'": "log entry",
    "UPDATE records SET metadata = '{' WHERE id = '2'": "'2'",
}


@pytest.mark.parametrize("statement", CONTRADICTIONS)
def test_check_finds_tables_that_contradict_each_other(tmp_path: Path, statement: str) -> None:
    directory = made(tmp_path)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        things.update(ids=["0"], metadatas=[{"n": 7}])
        things.update(ids=["0"], metadatas=[{"n": 8}])
        things.add(ids=["gone"], embeddings=[[1, 2, 3]])
        things.delete(ids=["gone"])
    with closing(sqlite3.connect(directory / "records.sqlite3")) as db, db:
        db.execute(statement)
    with vicinal.PersistentClient(tmp_path) as client:
        found = "; ".join(check(client))
        assert [part for part in CONTRADICTIONS[statement].split("|") if part not in found] == []


def everything(path: Path) -> Any:
    """Every record by every way of asking."""
    with vicinal.PersistentClient(path) as client:
        things = client.get_collection("things")
        found = things.query(query_embeddings=[1, 2, 3], n_results=100, where={"n": {"$gte": 0}})
        return dump(things), found, things.count(), things.get(where_document={"$contains": "4"})["ids"]


@pytest.mark.parametrize("seed", range(30))
def test_a_page_of_garbage_gives_our_errors_or_an_answer(tmp_path: Path, seed: int) -> None:
    directory = made(tmp_path, count=100)
    rng = random.Random(seed)
    damaged = rng.choice([directory / "records.sqlite3", tmp_path / "catalog.sqlite3"])
    content = bytearray(damaged.read_bytes())
    start, size = rng.randrange(100, len(content)), rng.choice([1, 16, 512])
    content[start : start + size] = rng.randbytes(len(content[start : start + size]))
    damaged.write_bytes(content)
    try:
        everything(tmp_path)
        with vicinal.PersistentClient(tmp_path) as client:
            check(client)
    except VicinalError:
        pass
    assert (directory / "vectors-0.f32").exists()


# --- deletion ------------------------------------------------------------------------------------


@pytest.mark.parametrize("used", [False, True], ids=["unopened", "opened"])
def test_a_deleted_collection_leaves_no_file(tmp_path: Path, used: bool) -> None:
    made(tmp_path)
    with vicinal.PersistentClient(tmp_path) as client:
        if used:
            assert client.get_collection("things").query(query_embeddings=[1, 2, 3])["ids"]
        client.delete_collection("things")
        assert list((tmp_path / "collections").iterdir()) == []
        assert client.list_collections() == []


@pytest.mark.parametrize("refusals", [3, 1_000_000])
def test_a_file_that_somebody_reads_is_replaced_a_little_later_as_windows_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    replace, asked = os.replace, count()

    def refuse(source: Path, target: Path) -> None:
        if next(asked) < refusals:
            raise PermissionError(errno.EACCES, "Access denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(files, "_INSISTS_S", 0.05 if refusals > 3 else 60.0)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    with pytest.raises(StorageError, match="Access denied") if refusals > 3 else nullcontext():
        Files().replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text(encoding="utf-8") == ("old" if refusals > 3 else "new")


class FullAndHeldFiles(Files):
    """A full disk on which somebody holds every file."""

    def step(self, name: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def remove(self, path: Path) -> None:
        raise StorageError(path=str(path), problem="somebody has it open")


def test_what_went_wrong_is_told_though_what_is_left_cannot_be_removed(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        checkpoint.save(tmp_path, "rows", {}, lambda path: path.write_bytes(b"rows"), FullAndHeldFiles())


class LookingFiles(Files):
    """Looks what of a directory is held when that is removed."""

    held: set[str] | None = None

    def remove_tree(self, path: Path) -> None:
        self.held = held_of(path)
        super().remove_tree(path)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is open")
@pytest.mark.usefixtures("small_graphs")
@pytest.mark.parametrize("way", ["closed", "deleted"])
def test_what_is_let_go_of_could_be_removed_on_windows_too(tmp_path: Path, way: str) -> None:
    for reopened in (False, True):
        with open_with(tmp_path, files := LookingFiles()) as client:
            things = client.get_or_create_collection("things", embedding_function=None)
            if not reopened:
                fill(things, 600, 16)
            nearest = things.query(query_embeddings=[1] * 16, where={"n": {"$ne": 7}}, n_results=1)
            assert nearest["ids"] != [[]]
            assert things.query(query_texts="text", mode="text", n_results=1)["ids"] != [[]]
            assert things.get(where_document={"$contains": "text 59"}, include=[])["ids"]
            things.optimize()
            held = held_of(tmp_path)
            gc.disable()  # or what refers to itself would be let go of by chance
            try:
                if reopened and way == "deleted":
                    client.delete_collection("things")
                    assert files.held == set()
                else:
                    client.close()
                    assert held_of(tmp_path) == set()
            finally:
                gc.enable()
    assert {name.partition("-")[0] for name in held} >= {"vectors", "rows", "columns", "words", "signatures"}


def test_a_collection_of_the_same_name_starts_empty(client: vicinal.Client) -> None:
    old = make(client)
    fill(old)
    client.delete_collection("things")
    new = make(client)
    assert (new.count(), new.id == old.id) == (0, False)
    new.add(ids=["0"], embeddings=[[1, 2]])
    with pytest.raises(NotFoundError):
        old.get()


def test_what_deleted_collections_left_is_removed_at_opening(tmp_path: Path) -> None:
    directory = made(tmp_path)
    left = directory.with_name("00000000-0000-4000-8000-000000000000")
    shutil.copytree(directory, left)
    with vicinal.PersistentClient(tmp_path) as client:
        assert not left.exists()
        assert client.get_collection("things").count() == 5


@pytest.mark.skipif(os.name == "nt", reason="there what is open stays")
def test_nothing_is_written_to_a_directory_that_was_removed(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path / "data") as client:
        things = make(client)
        fill(things)
        shutil.rmtree(tmp_path / "data")
        with pytest.raises(NotFoundError):
            things.add(ids=["lost"], embeddings=[[1, 2, 3]])
        with pytest.raises(StorageError, match="was removed or replaced while it was open"):
            make(client, "lost")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["write: before vectors", "write: vectors synced", "write: before commit"])
@pytest.mark.parametrize("place", [None, "data"])
def test_a_write_from_the_middle_of_another_is_refused_and_the_other_goes_on(
    tmp_path: Path, place: str | None, step: str
) -> None:
    """As a signal's handler or a `__del__` makes one, in the thread whose write it interrupts."""
    refused: list[str] = []

    def interrupt(at: str) -> None:
        if at == step and not refused:
            refused.append("")
            with pytest.raises(StorageError, match="in the middle of a write") as caught:
                client.get_collection("things").add(ids=["inner"], embeddings=[[1, 2, 3]])
            refused[0] = str(caught.value)
            if place is None:  # where there is one connection, which sees what is not committed
                with pytest.raises(StorageError, match="in the middle of a write"):
                    client.get_collection("things").count()
            else:
                assert client.get_collection("things").count() == 0

    backend = LocalBackend(None if place is None else tmp_path / place, FaultyFiles(interrupt))
    with vicinal.PersistentClient._over(backend) as client:
        things = make(client)
        things.add(ids=["outer", "too"], embeddings=[[1, 2, 3], [4, 5, 6]])
        assert len(refused) == 1
        assert (things.get()["ids"], things.count(), client.check()) == (["outer", "too"], 2, [])
        things.add(ids=["inner"], embeddings=[[1, 2, 3]])
        assert (things.count(), client.check()) == (3, [])


@pytest.mark.skipif(os.name == "nt", reason="there what is open stays")
@pytest.mark.parametrize("how", ["removed", "moved", "restored"])
def test_a_collection_is_not_opened_in_a_directory_that_is_another(tmp_path: Path, how: str) -> None:
    """What was not used before would be made anew, empty, where nobody looks for it."""
    data = tmp_path / "data"
    with vicinal.PersistentClient(data) as client:
        fill(make(client))
        client.backup(tmp_path / "backup")
    with vicinal.PersistentClient(data) as client:
        things = client.get_collection("things")
        os.rename(data, tmp_path / "moved") if how == "moved" else shutil.rmtree(data)
        if how == "restored":
            shutil.copytree(tmp_path / "backup", data)
        before = sorted(tmp_path.rglob("*"))
        for use in (things.count, things.get, client.check, lambda: fill(things)):
            with pytest.raises(StorageError, match="was removed or replaced while it was open"):
                use()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt", reason="there what is open stays")
@pytest.mark.parametrize("use", ["fork", "repair"])
def test_a_directory_that_was_moved_away_is_not_made_again(tmp_path: Path, use: str) -> None:
    with vicinal.PersistentClient(tmp_path / "data") as client:
        things = make(client)
        fill(things)
        os.rename(tmp_path / "data", tmp_path / "moved")
        with pytest.raises(StorageError, match="was removed or replaced while it was open"):
            things.fork("others") if use == "fork" else client.repair()
        assert not (tmp_path / "data").exists()
    with vicinal.PersistentClient(tmp_path / "moved") as client:
        assert (client.count_collections(), check(client)) == (1, [])


@pytest.mark.skipif(os.name == "nt", reason="there what is open stays")
def test_nothing_is_written_to_or_read_of_two_directories_of_one_name(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path / "data") as client:
        things = make(client)
        fill(things)
        client.backup(tmp_path / "backup")
        things.add(ids=["later"], embeddings=[[1, 2, 3]])
        shutil.rmtree(tmp_path / "data")
        shutil.copytree(tmp_path / "backup", tmp_path / "data")
        with pytest.raises(StorageError, match="was removed or replaced while it was open"):
            things.add(ids=["lost"], embeddings=[[1, 2, 3]])
        with client._backend._opened.using(things.id) as live:
            live.database.disconnect()  # as before a fork; a thread more would connect, too
        with pytest.raises(StorageError, match="was removed or replaced while it was open"):
            things.count()
    with vicinal.PersistentClient(tmp_path / "data") as client:
        assert (client.get_collection("things").count(), check(client)) == (5, [])


def test_a_link_to_another_database_deletes_nothing_there(tmp_path: Path) -> None:
    theirs = made(tmp_path / "theirs")
    made(tmp_path / "ours").with_name("link").symlink_to(theirs, target_is_directory=True)
    for path in (tmp_path / "ours", tmp_path / "theirs"):
        with vicinal.PersistentClient(path) as client:
            assert (client.get_collection("things").count(), check(client)) == (5, [])


def test_files_that_are_not_ours_stay(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "collections" / "README").write_text("mine")
    with vicinal.PersistentClient(tmp_path) as client:
        client.delete_collection("things")
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert (tmp_path / "collections" / "README").read_text(encoding="utf-8") == "mine"


# --- the format ----------------------------------------------------------------------------------


def schema_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        statements = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_master ORDER BY rowid") if sql]
        (version,), (application,) = (db.execute(f"PRAGMA {p}").fetchone() for p in PRAGMAS)
        mode = db.execute("PRAGMA journal_mode").fetchone()[0]
    head = f"-- {path.name}: user_version {version}, application_id {application:#x}, {mode}\n"
    return head + "".join(f"{statement};\n" for statement in statements)


PRAGMAS = ("user_version", "application_id")


def test_the_schema_is_the_one_that_is_documented(tmp_path: Path) -> None:
    directory = made(tmp_path)
    found = schema_of(tmp_path / "catalog.sqlite3") + "\n" + schema_of(directory / "records.sqlite3")
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SCHEMA.write_text(found, encoding="utf-8")
    assert found == SCHEMA.read_text(encoding="utf-8")
    assert CATALOG.version == 1


def test_vectors_are_little_endian_float32_row_by_row(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = make(client)
        things.add(ids=["a", "b"], embeddings=[[1, 0.5], [0, -2]])
    data = (tmp_path / "collections" / str(things.id) / "vectors-0.f32").read_bytes()
    assert data[:16].hex(" ", 4) == "0000803f 0000003f 00000000 000000c0"


@pytest.mark.parametrize("name", ["catalog.sqlite3", "records.sqlite3"])
def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    directory = made(tmp_path)
    path = (tmp_path if name == "catalog.sqlite3" else directory) / name
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(FormatVersionError) as caught, vicinal.PersistentClient(tmp_path) as client:
        client.get_collection("things").count()
    supported = CATALOG.version if name == "catalog.sqlite3" else RECORDS.version
    assert (caught.value.found, caught.value.supported) == (99, supported)
    assert str(path) in str(caught.value)
    assert "upgrade" in str(caught.value)
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA application_id = 42")
        db.execute("CREATE TABLE mine (x)")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program"):
        vicinal.PersistentClient(tmp_path)
    assert path.read_bytes() == before


def test_a_database_that_another_program_has_not_signed_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE mine (x)")
    with pytest.raises(StorageError, match="another program"):
        vicinal.PersistentClient(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


# --- the file system -----------------------------------------------------------------------------


def test_an_sqlite_that_is_too_old_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 24, 0))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.24.0")
    for make_client in (vicinal.EphemeralClient, partial(vicinal.PersistentClient, tmp_path / "data")):
        with pytest.raises(
            StorageError, match=r"needs SQLite 3\.25 or later, and this Python was built with 3\.24\.0"
        ):
            make_client()


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError) as caught:
            vicinal.PersistentClient(path)
        assert str(tmp_path / "file") in str(caught.value)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("how", [{}, {"must_exist": True}, {"read_only": True}], ids=str)
def test_a_name_that_no_file_system_takes_is_a_storage_error(tmp_path: Path, how: Any) -> None:
    with pytest.raises(StorageError, match="x" if sys.platform == "win32" else "too long"):
        vicinal.PersistentClient(tmp_path / ("x" * 300), **how)


def refuse(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Let no one look into a directory who asks what its entries are."""
    looked = Path.stat

    def refused(path: Path, **how: Any) -> os.stat_result:
        if path.parent == directory:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return looked(path, **how)

    monkeypatch.setattr(Path, "stat", refused)


def test_a_directory_that_may_not_be_looked_into_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, made(tmp_path))
    for read_only in (False, True):
        with vicinal.PersistentClient(tmp_path, read_only=read_only) as client:
            with pytest.raises(StorageError, match="Permission denied"):
                client.get_collection("things").count()
            assert "cannot be opened" in client.check()[0]
    with vicinal.PersistentClient(tmp_path) as client:
        client.delete_collection("things")


@pytest.mark.parametrize("how", [{}, {"must_exist": True}, {"read_only": True}], ids=str)
def test_a_database_that_may_not_be_looked_into_is_a_storage_error(
    tmp_path: Path, how: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a volume that belongs to another user, in a container."""
    made(tmp_path)
    refuse(monkeypatch, tmp_path)
    with pytest.raises(StorageError, match="Permission denied"):
        vicinal.PersistentClient(tmp_path, **how)


def test_whether_there_is_a_file_is_told_or_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's own questions take all errors for a no, since 3.14."""
    directory, file, loop = (tmp_path / name for name in ("directory", "file", "loop"))
    directory.mkdir()
    file.write_text("")
    loop.symlink_to(loop)
    questions = (files.exists, files.is_file, files.is_directory)
    for path, answers in {
        directory: (True, False, True),
        file: (True, True, False),
        tmp_path / "missing": (False, False, False),
        file / "below": (False, False, False),
        loop: (False, False, False),
    }.items():
        assert tuple(asks(path) for asks in questions) == answers
    file.write_text("five!")
    assert [files.size_of(path) for path in (file, tmp_path / "missing", file / "below")] == [5, 0, 0]
    refuse(monkeypatch, tmp_path)
    for asks in (*questions, files.size_of):
        for path in (tmp_path / ("x" * 300), file):
            with pytest.raises(StorageError) as caught:
                asks(path)
            assert caught.value.path == str(path)


def test_a_directory_that_cannot_be_listed_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when too many files are open."""

    def refuse(_: Path) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    with vicinal.PersistentClient(tmp_path) as client:
        client.create_collection("things", embedding_function=None).add("a", [1, 2])
    monkeypatch.setattr(Path, "iterdir", refuse)
    for read_only in (False, True):
        with pytest.raises(StorageError) as error:
            vicinal.PersistentClient(tmp_path, read_only=read_only)
        assert error.value.errno == errno.EMFILE


class Recorded(Files):
    """Remembers which directories were made and which were synced."""

    def __init__(self) -> None:
        self.synced: list[Path] = []

    def sync_directory(self, path: Path) -> None:
        self.synced.append(path)
        super().sync_directory(path)


def test_every_directory_in_which_something_was_made_is_synced(tmp_path: Path) -> None:
    files = Recorded()
    with open_with(tmp_path / "a" / "b", files) as client:
        things = make(client)
        fill(things)
        path = tmp_path / "a" / "b" / "collections"
        made_in = {tmp_path, tmp_path / "a", tmp_path / "a" / "b", path, path / str(things.id)}
    assert made_in <= set(files.synced)


@pytest.mark.skipif(os.name == "nt", reason="there directories are not synced")
@pytest.mark.parametrize(("code", "known"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_cannot_sync_a_directory_is_used_all_the_same(
    tmp_path: Path, code: int, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(StorageError) if known else nullcontext():
        Files().sync_directory(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="needs fcntl")
@pytest.mark.parametrize("code", [None, errno.ENOTSUP, errno.EIO])
def test_a_vector_is_past_the_drives_cache_where_macos_can_bring_it_there(
    tmp_path: Path, code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    asked: list[int] = []

    def ask(fd: int, command: int) -> None:
        asked.append(command)
        if code is not None:
            raise OSError(code, os.strerror(code))

    files = Files()
    file = files.open(tmp_path / "vectors", create=True)
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", ask)
    with pytest.raises(StorageError) if code == errno.EIO else nullcontext():
        files.sync(file)
    assert asked == [51]


def test_a_commit_is_past_the_drives_cache_where_macos_can_bring_it_there(tmp_path: Path) -> None:
    with closing(database.Database(tmp_path / "catalog.sqlite3", CATALOG)) as held, held.read() as tx:
        assert tx.execute("PRAGMA fullfsync").fetchall() == [(1,)]


@pytest.mark.parametrize("make", [lambda files, path: files.open(path, create=True), Files.make_directory])
def test_what_is_made_has_its_name_durably_though_who_made_it_did_not_come_to_that(
    make: Callable[[Files, Path], Any], tmp_path: Path
) -> None:
    class Failing(Files):
        fails = True

        def sync_directory(self, path: Path) -> None:
            if self.fails:
                raise StorageError(path=str(path), problem="cannot be synced")
            synced.append(path)

    files, synced = Failing(), list[Path]()
    with pytest.raises(StorageError):
        make(files, tmp_path / "made")
    files.fails = False
    make(files, tmp_path / "made")
    assert synced == [tmp_path]


@pytest.mark.skipif(os.name == "nt", reason="there directories are not synced")
def test_the_directory_of_a_collection_is_synced_before_its_first_record_and_not_by_who_reads(
    tmp_path: Path,
) -> None:
    class Noting(Files):
        def sync_directory(self, path: Path) -> None:
            synced.append(path)
            super().sync_directory(path)

    synced: list[Path] = []
    with open_with(tmp_path, Noting()) as client:
        client.create_collection("notes", embedding_function=None).add(["1"], [[1, 0]])
        assert tmp_path / "collections" in synced
    synced.clear()
    with open_with(tmp_path, Noting()) as client:
        notes = client.get_collection("notes", embedding_function=None)
        assert notes.query([[1, 0]])["ids"] == [["1"]]
        assert tmp_path / "collections" not in synced
        assert tmp_path.parent in synced  # so this would have been noted


@pytest.mark.skipif(os.name == "nt", reason="there directories are not synced")
def test_a_directory_that_may_not_be_read_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("os.open", refuse)
    Files().make_directory(tmp_path / "made")
    assert (tmp_path / "made").is_dir()


@pytest.mark.parametrize("use", ["read", "write"])
@pytest.mark.parametrize("name", ["catalog.sqlite3", None])
def test_a_transaction_goes_on_when_its_database_is_closed_and_its_end_closes(
    tmp_path: Path, name: str | None, use: str
) -> None:
    held = database.Database(tmp_path / name if name else None, CATALOG)
    with getattr(held, use)() as tx:
        held.close()
        assert tx.execute("SELECT count(*) FROM tenants").fetchone() == (1,)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        tx.execute("SELECT 1")


def test_who_writes_after_space_was_given_back_waits_for_others_as_before(tmp_path: Path) -> None:
    with closing(database.Database(tmp_path / "catalog.sqlite3", CATALOG)) as held:
        held.shrink()
        with held.write() as tx:
            assert tx.execute("PRAGMA busy_timeout").fetchone() == (database._WAIT_S * 1000,)


@pytest.mark.parametrize("statement", ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"])
def test_space_that_cannot_be_given_back_is_an_error_where_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    class Refusing(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == statement:
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *values)

    monkeypatch.setattr(database, "_SHORT_S", 0.001)
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Refusing))
    with closing(database.Database(tmp_path / "catalog.sqlite3", CATALOG)) as held:
        held.shrink()
        with pytest.raises(StorageError, match="SQLite says: disk I/O error"):
            held.shrink(strictly=True)
        with held.write() as tx:
            assert tx.execute("PRAGMA busy_timeout").fetchone() == (database._WAIT_S * 1000,)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there Python does not say who is in the way")
def test_space_that_somebody_else_keeps_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_WAIT_S", 0.1)
    monkeypatch.setattr(database, "_SHORT_S", 0.01)
    place = tmp_path / "catalog.sqlite3"
    with closing(database.Database(place, CATALOG)) as held, closing(sqlite3.connect(place)) as other:
        other.execute("BEGIN IMMEDIATE")
        held.shrink(strictly=True)


def test_a_commit_is_on_disk_when_it_returns_however_sqlite_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def careless(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        made = connect(*args, **kwargs)
        made.execute("PRAGMA synchronous = OFF")
        return made

    monkeypatch.setattr(sqlite3, "connect", careless)
    with closing(database.Database(tmp_path / "catalog.sqlite3", CATALOG)) as held, held.write() as tx:
        assert tx.execute("PRAGMA synchronous").fetchall() == [(2,)]  # FULL


def test_what_is_done_meanwhile_has_been_done_or_has_raised() -> None:
    done: list[str] = []
    with meanwhile(lambda: done.append("work")):
        pass
    assert done == ["work"]
    with pytest.raises(StorageError), meanwhile(partial(fail, StorageError(path="x", problem="is full"))):
        done.append("block")
    with pytest.raises(LookupError), meanwhile(lambda: done.append("work")):
        fail(LookupError("of the block"))
    assert done == ["work", "block", "work"]


def fail(error: Exception) -> None:
    raise error


def test_a_long_log_is_brought_into_the_database_in_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_LOG_BYTES", 1 << 16)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(
            ids=list(map(str, range(500))), embeddings=np.eye(500, 4), documents=["some text " * 20] * 500
        )
        wait_for_index(things)
        path = tmp_path / "collections" / str(things.id) / "records.sqlite3"
        assert path.stat().st_size > 100_000


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with vicinal.PersistentClient(tmp_path) as client:
        things = make(client)
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:7]))
            vectors = fill(things, 20)
        assert np.array_equal(things.get(include=["embeddings"])["embeddings"], vectors)
        assert check(client) == []


def test_another_programs_database_with_an_empty_log_is_read_and_left_alone(tmp_path: Path) -> None:
    path = made(tmp_path) / "records.sqlite3"
    path.with_name("records.sqlite3-wal").touch()
    before = sorted(path.parent.iterdir())
    with database.foreign(path) as tx:
        assert tx.execute("SELECT count(*) FROM records").fetchone() == (5,)
    assert sorted(path.parent.iterdir()) == before


def test_another_programs_database_that_was_left_in_the_middle_of_a_write_says_so(tmp_path: Path) -> None:
    path = tmp_path / "foreign.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE things (text); PRAGMA cache_size = 1; BEGIN")
        connection.executemany("INSERT INTO things VALUES (?)", [("x" * 1_000,)] * 100)
        connection.commit()
        connection.execute("UPDATE things SET text = text || 'y'")  # more than the cache holds: in the file
        shutil.copytree(tmp_path, tmp_path / "left")
        connection.rollback()
    with database.foreign(path) as tx:
        assert tx.execute("SELECT count(*) FROM things").fetchone() == (100,)
    before = {file.name: file.read_bytes() for file in (tmp_path / "left").iterdir()}
    with (
        pytest.raises(StorageError, match="was left in the middle of a write, which has to be taken back"),
        database.foreign(tmp_path / "left" / "foreign.sqlite3"),
    ):
        pass
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "left").iterdir()}


@needs_proc
def test_a_closed_client_keeps_no_file_open(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = make(client)
        fill(things)
        things.query(query_embeddings=[1, 2, 3])
        wait_for_index(things)
    gc.collect()
    assert files_open_below(tmp_path) == []


def test_the_exact_answer_survives_everything_above(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        vectors = fill(make(client), 3_000, 8)
    with vicinal.PersistentClient(tmp_path) as client:
        query = RNG(5).standard_normal(8).astype(np.float32)
        found = client.get_collection("things").query(query_embeddings=query, n_results=50)
        assert found["ids"] == [list(map(str, nearest(query, vectors, 50)[0]))]
