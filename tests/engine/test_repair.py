"""Repair keeps every record that is whole, says which are not, and throws nothing away.

Every test damages one collection of a closed database, repairs it, and compares what is there with what
was written: each record that is returned is exactly one that was written, and each that is not is named.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal._index import planner
from vicinal.errors import StorageError
from vicinal.testing import FaultyFiles, dump, open_with, wait_for_index

DIMENSION, COUNT = 8, 200
PAGE = 4096
STEPS = ["file: write", "file: sync", "file: replace", "repair: before table", "repair: table replaced"]


class Damaged:
    """A closed database with one collection, its files to damage, and what it held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with vicinal.PersistentClient(path) as client:
            things = client.create_collection("things", embedding_function=None)
            ids = [f"id {i:03}" for i in range(COUNT)]
            texts = [f"the text of {id} " * 8 for id in ids]
            vectors = np.random.default_rng(1).standard_normal((COUNT, DIMENSION)).astype(np.float32)
            metadatas = [{"n": i} for i in range(COUNT)]
            things.add(ids=ids, embeddings=vectors, documents=texts, metadatas=metadatas, uris=ids)
            things.upsert(ids=["id 007"], embeddings=[[7] * DIMENSION])
            things.delete(ids=["id 100"])
            self.before = {record["id"]: record for record in dump(things)}
            client.create_collection("others", embedding_function=None).add(ids=["a"], embeddings=[[1, 2]])
            self.directory = path / "collections" / str(things.id)
        self.vectors, self.records = self.directory / "vectors-0.f32", self.directory / "records.sqlite3"

    def write(self, file: Path, offset: int, data: bytes) -> None:
        with file.open("r+b") as stream:
            stream.seek(offset)
            stream.write(data)

    def spoil(self, page: int) -> None:
        """Overwrite a page of the records' file."""
        if page * PAGE >= self.records.stat().st_size:
            pytest.skip("the file is shorter")
        self.write(self.records, page * PAGE, b"\xff" * PAGE)

    def sql(self, statement: str) -> list[Any]:
        with closing(sqlite3.connect(self.records)) as database, database:
            return database.execute(statement).fetchall()

    def repaired(self) -> tuple[list[str], list[str]]:
        """The ids that are kept, and the report; both have been compared with what was written."""
        with vicinal.PersistentClient(self.path) as client:
            report = client.repair()
            assert client.check() == client.repair() == []
            things = client.get_collection("things")
            kept = {record["id"]: record for record in dump(things)}
            assert list(kept.items()) == [item for item in self.before.items() if item[0] in kept]
            works(things, kept)
            assert client.get_collection("others").get()["ids"] == ["a"]
        with vicinal.PersistentClient(self.path) as client:
            assert client.check() == []
        return list(kept), report

    def lost(self, report: list[str]) -> list[str]:
        """The ids that a report names as lost."""
        return sorted(id for line in report for id in re.findall(r"record '(.*?)':", line))

    def accounts_for_all(self) -> None:
        """Repair keeps every record, or names it, or counts it."""
        kept, report = self.repaired()
        unnamed = sum(int(n) for line in report for n in re.findall(r"(\d+) records of which", line))
        assert len(kept) + len(self.lost(report)) + unnamed == len(self.before)


def works(things: vicinal.Collection, kept: dict[str, Any]) -> None:
    """The collection takes writes, which are found and come after what was there."""
    dimension = DIMENSION if kept else 3
    things.add(ids=["new"], embeddings=[[50] * dimension], metadatas=[{"n": 1000}])
    assert things.get()["ids"] == [*kept, "new"]
    assert things.query(query_embeddings=[50] * dimension, n_results=1)["ids"] == [["new"]]
    assert things.get(where={"n": {"$gte": 0}})["ids"] == [*kept, "new"]
    things.delete(ids=["new"])
    things.compact()


@pytest.fixture
def damaged(tmp_path: Path) -> Damaged:
    return Damaged(tmp_path / "data")


def test_a_sound_database_needs_no_repair(damaged: Damaged) -> None:
    kept, report = damaged.repaired()
    assert (kept, report) == (list(damaged.before), [])
    assert not (damaged.path / "damaged").exists()


def test_a_changed_vector_costs_its_own_record(damaged: Damaged) -> None:
    damaged.write(damaged.vectors, 42 * DIMENSION * 4 + 5, b"\x99")
    kept, report = damaged.repaired()
    assert set(damaged.before) - set(kept) == {"id 042"}
    assert damaged.lost(report) == ["id 042"]
    assert report[0].startswith("collection things: 198 records saved; the damaged files are in ")


@pytest.mark.parametrize("column", ["document", "metadata", "uri", "checksum"])
def test_a_changed_text_costs_its_own_record(damaged: Damaged, column: str) -> None:
    damaged.sql(f"UPDATE records SET {column} = '{{}}' WHERE id = 'id 017'")
    kept, report = damaged.repaired()
    assert (set(damaged.before) - set(kept), damaged.lost(report)) == ({"id 017"}, ["id 017"])


def test_a_text_that_has_become_bytes_costs_its_own_record(damaged: Damaged) -> None:
    damaged.sql("UPDATE records SET metadata = CAST(metadata AS BLOB) WHERE id = 'id 017'")
    with vicinal.PersistentClient(damaged.path) as client:
        assert any("id 017" in finding for finding in client.check())
    kept, report = damaged.repaired()
    assert (set(damaged.before) - set(kept), damaged.lost(report)) == ({"id 017"}, ["id 017"])


def test_a_changed_byte_in_the_file_of_texts_costs_its_own_record(damaged: Damaged) -> None:
    damaged.write(damaged.records, damaged.records.read_bytes().index(b"the text of id 150") + 3, b"\xff")
    kept, report = damaged.repaired()
    assert (set(damaged.before) - set(kept), damaged.lost(report)) == ({"id 150"}, ["id 150"])


def test_a_page_of_garbage_costs_no_more_than_its_records(damaged: Damaged) -> None:
    pages = damaged.records.stat().st_size // PAGE
    place = damaged.records.read_bytes().index(b"the text of id 050") // PAGE
    damaged.spoil(place)
    kept, report = damaged.repaired()
    lost = sorted(set(damaged.before) - set(kept))
    assert "id 050" in lost
    assert (len(lost) < 3 * COUNT // pages, damaged.lost(report)) == (True, lost)


@pytest.mark.parametrize("table", ["state", "changes", "ids", "live"])
def test_a_table_that_can_be_done_without_costs_no_record(damaged: Damaged, table: str) -> None:
    [(page,)] = damaged.sql(f"SELECT rootpage FROM sqlite_master WHERE name = '{table}'")
    damaged.spoil(page - 1)
    kept, report = damaged.repaired()
    assert (kept, len(report)) == (list(damaged.before), 1)


@pytest.mark.parametrize(
    "change",
    [
        *("dropped = 1", "generation = 3", "dimension = 5", "rows = 3", "positions = 0"),
        *("change = -1", "dimension = 1 << 62"),  # as one bit makes them
    ],
)
def test_a_wrong_state_costs_no_record(damaged: Damaged, change: str) -> None:
    damaged.sql(f"UPDATE state SET {change}")
    kept, report = damaged.repaired()
    assert (kept, len(report)) == (list(damaged.before), 1)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE live SET row = 30 WHERE position = 20",
        "UPDATE live SET row = 7 WHERE position = 7",  # where it stood before
        "UPDATE live SET row = 100 WHERE position = 20",  # which is deleted
        "DELETE FROM live WHERE position BETWEEN 10 AND 19",
        "INSERT INTO live VALUES (100, 100)",
        "UPDATE live SET row = 'x' WHERE position = 20",  # as one bit of its kind makes it
        "UPDATE live SET row = 1.5 WHERE position = 20",
        "UPDATE live SET row = -1 WHERE position = 20",
        "UPDATE live SET row = 1 << 40 WHERE position = 20",
    ],
)
def test_a_wrong_list_of_the_living_costs_no_record(damaged: Damaged, statement: str) -> None:
    damaged.sql(statement)
    with vicinal.PersistentClient(damaged.path) as client:
        assert client.check() != []
    kept, report = damaged.repaired()
    assert (kept, damaged.lost(report)) == (list(damaged.before), [])


@pytest.mark.parametrize(
    "statement", ["DELETE FROM live", "UPDATE live SET row = 30 WHERE position = 20", "DROP TABLE live"]
)
def test_compaction_drops_nothing_that_a_repair_can_save(damaged: Damaged, statement: str) -> None:
    damaged.sql(statement)
    with vicinal.PersistentClient(damaged.path) as client, pytest.raises(StorageError):
        client.get_collection("things").compact()
    kept, report = damaged.repaired()
    assert (kept, damaged.lost(report)) == (list(damaged.before), [])


@pytest.mark.parametrize("table", ["state", "records"])
def test_a_position_that_nobody_reaches_is_not_looked_for(damaged: Damaged, table: str) -> None:
    """One that damage has made would be halved without end where the list cannot be read."""
    column, where = ("positions", "") if table == "state" else ("position", "WHERE id = 'id 017'")
    damaged.sql(f"UPDATE {table} SET {column} = 1 << 62 {where}")
    damaged.sql("DROP TABLE live")
    kept, report = damaged.repaired()
    assert set(damaged.before) - set(kept) == set(damaged.lost(report)) == ({"id 017"} if where else set())


def test_without_state_and_vectors_all_records_are_named(damaged: Damaged) -> None:
    damaged.sql("DELETE FROM state")
    damaged.vectors.unlink()
    assert damaged.lost(damaged.repaired()[1]) == sorted(damaged.before)


def test_what_the_log_has_forgotten_may_be_back_and_is_said(damaged: Damaged) -> None:
    damaged.sql("DELETE FROM changes")
    damaged.sql("DELETE FROM live WHERE position < 10")
    with vicinal.PersistentClient(damaged.path) as client:
        report = client.repair()
        kept = client.get_collection("things").get()["ids"]
    assert kept == sorted({*damaged.before, "id 100"})
    assert any("some that were deleted may be back" in line for line in report)


def test_a_damaged_log_does_not_bury_the_living(damaged: Damaged) -> None:
    """Rows that were taken out before a compaction have other numbers than those of today."""
    with vicinal.PersistentClient(damaged.path) as client:
        things = client.get_collection("things")
        things.delete(ids=[f"id {i:03}" for i in range(50)])
        things.compact()
        things.add(
            ids=[f"more {i}" for i in range(100)],
            embeddings=np.ones((100, DIMENSION)),
            metadatas=[{"n": 1}] * 100,
        )
        damaged.before = {record["id"]: record for record in dump(things)}
    [(compaction,)] = damaged.sql("SELECT max(change) - 1 FROM changes")
    damaged.sql(f"UPDATE changes SET checksum = checksum + 1 WHERE change = {compaction}")
    kept, report = damaged.repaired()
    assert (kept, damaged.lost(report)) == (list(damaged.before), [])


def test_of_two_versions_of_an_id_the_one_that_was_added_later_is_kept(damaged: Damaged) -> None:
    with vicinal.PersistentClient(damaged.path) as client:
        things = client.get_collection("things")
        things.delete(ids=["id 003"])
        things.add(ids=["id 003"], embeddings=[[3] * DIMENSION], documents=["the third, again"])
    damaged.sql("DELETE FROM changes")
    damaged.sql("DELETE FROM live WHERE position = 10")
    with vicinal.PersistentClient(damaged.path) as client:
        assert client.check() != []
        client.repair()
        things = client.get_collection("things")
        assert things.get(ids=["id 003"])["documents"] == ["the third, again"]
        assert things.get()["ids"][-1] == "id 003"


@pytest.mark.parametrize("page", range(2, 15))
def test_a_damaged_directory_of_format_1_is_read_as_it_is(damaged: Damaged, page: int) -> None:
    """It held living records alone, each id once, and no lists; migrating it would need all of it."""
    damaged.sql(
        "CREATE TABLE old (row INTEGER PRIMARY KEY, position INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, "
        "document TEXT, metadata TEXT, uri TEXT, checksum INTEGER NOT NULL)"
    )
    damaged.sql("INSERT INTO old SELECT * FROM records WHERE (position, row) IN (SELECT * FROM live)")
    for statement in (
        *(f"DROP TABLE {table}" for table in ("records", "ids", "live")),
        "ALTER TABLE old RENAME TO records",
        "PRAGMA user_version = 1",
        "VACUUM",
    ):
        damaged.sql(statement)
    damaged.spoil(page)
    damaged.accounts_for_all()


@pytest.mark.parametrize("version", [0, 1, -1])
def test_another_format_than_that_of_the_tables_costs_nothing(damaged: Damaged, version: int) -> None:
    damaged.sql(f"PRAGMA user_version = {version}")
    kept, report = damaged.repaired()
    assert (kept, len(report)) == (list(damaged.before), 1)


@pytest.mark.parametrize("page", range(1, 15))
def test_whatever_page_is_garbage_every_record_is_kept_or_named(damaged: Damaged, page: int) -> None:
    damaged.spoil(page)
    damaged.accounts_for_all()


def test_a_truncated_vector_file_costs_the_records_behind_its_end(damaged: Damaged) -> None:
    os.truncate(damaged.vectors, 150 * DIMENSION * 4 + 3)
    kept, report = damaged.repaired()
    ids = list(damaged.before)
    assert kept == [id for id in ids[:149] if id != "id 007"]  # 007 was moved to the end
    assert damaged.lost(report) == sorted({*ids} - {*kept})
    assert sum("its vector is missing" in line for line in report) == 51


def test_without_vectors_no_record_is_whole_and_all_are_named(damaged: Damaged) -> None:
    damaged.vectors.unlink()
    kept, report = damaged.repaired()
    assert (kept, damaged.lost(report)) == ([], sorted(damaged.before))


@pytest.mark.parametrize("left", [None, b"", b"\xff" * 3 * PAGE])
def test_without_the_table_the_vectors_are_kept_for_who_can_read_them(
    damaged: Damaged, left: bytes | None
) -> None:
    damaged.records.unlink() if left is None else damaged.records.write_bytes(left)
    vectors = damaged.vectors.read_bytes()
    kept, report = damaged.repaired()
    assert (kept, len(report)) == ([], 2)
    assert "no record can be read" in report[1]
    [held] = (damaged.path / "damaged").iterdir()
    assert (held / "vectors-0.f32").read_bytes() == vectors


def test_the_damaged_files_are_kept_as_they_were(damaged: Damaged) -> None:
    damaged.write(damaged.vectors, 5, b"\x99")
    before = {name: (damaged.directory / name).read_bytes() for name in ("records.sqlite3", "vectors-0.f32")}
    _, report = damaged.repaired()
    held = Path(report[0].split(" are in ")[1])
    assert {name: (held / name).read_bytes() for name in before} == before
    assert not (damaged.path / "repairing").exists()


def test_only_the_damaged_collection_is_touched(damaged: Damaged) -> None:
    others = [
        path for path in damaged.path.rglob("*") if path.is_file() and damaged.directory not in path.parents
    ]
    before = {path: path.read_bytes() for path in others if path.name != "upkeep.lock"}
    damaged.write(damaged.vectors, 5, b"\x99")
    with vicinal.PersistentClient(damaged.path) as client:
        client.repair()
    assert {path: path.read_bytes() for path in before} == before


def spoil_checkpoint(directory: Path) -> None:
    """Let a collection have a checkpoint that is none."""
    (directory / "checkpoints").mkdir(exist_ok=True)
    (directory / "checkpoints" / "rows.json").write_text("{")


def test_a_damaged_checkpoint_is_removed_and_nothing_else(damaged: Damaged) -> None:
    spoil_checkpoint(damaged.directory)
    records, vectors = damaged.records.read_bytes(), damaged.vectors.read_bytes()
    with vicinal.PersistentClient(damaged.path) as client:
        [finding] = client.check()
        assert finding.startswith("collection things: checkpoint rows: damaged")
        assert client.repair() == ["collection things: checkpoint rows: removed; it will be made anew"]
        assert client.check() == []
    assert (damaged.records.read_bytes(), damaged.vectors.read_bytes()) == (records, vectors)
    assert not (damaged.path / "damaged").exists()
    assert damaged.repaired() == (list(damaged.before), [])


def test_the_checkpoint_of_an_index_is_removed_and_made_anew(
    damaged: Damaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 0)
    with vicinal.PersistentClient(damaged.path) as client:
        wait_for_index(client.get_collection("things"))
    [graph] = (damaged.directory / "checkpoints").glob("graph-*")
    damaged.write(graph, 40, b"\x99\x98\x97")
    with vicinal.PersistentClient(damaged.path) as client:
        assert client.repair() == ["collection things: checkpoint graph: removed; it will be made anew"]
        assert client.check() == []
        wait_for_index(client.get_collection("things"))
        assert client.check() == []
    assert not graph.exists()
    [_] = (damaged.directory / "checkpoints").glob("graph-*")


def test_a_checkpoint_that_cannot_be_removed_is_named(damaged: Damaged) -> None:
    (damaged.directory / "checkpoints" / "rows.json").mkdir(parents=True)
    with vicinal.PersistentClient(damaged.path) as client:
        [line] = client.repair()
        assert line == f"{client.check()[0]}; it cannot be removed"


@pytest.mark.parametrize("step", STEPS)
def test_a_repair_that_was_interrupted_is_repeated(damaged: Damaged, step: str) -> None:
    damaged.write(damaged.vectors, 42 * DIMENSION * 4, b"\x99")

    def stop(reached: str) -> None:
        if reached == step:
            raise OSError(errno.ENOSPC, "No space left on device")

    client = open_with(damaged.path, FaultyFiles(stop))
    with suppress(StorageError, OSError):
        client.repair()
    client.close()
    kept, _ = damaged.repaired()
    assert set(damaged.before) - set(kept) == {"id 042"}


@contextmanager
def few_descriptors(left: int) -> Iterator[None]:
    """The process may open so many more files."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, limits[0]), limits[1]))
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(left):
            os.close(held.pop())
        yield
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.skipif(os.name == "nt", reason="there is no such limit")
@pytest.mark.parametrize("left", range(0, 26, 2))
@pytest.mark.parametrize("changed", [False, True])
def test_what_too_few_descriptors_keep_from_being_read_is_not_damaged(
    damaged: Damaged, left: int, changed: bool
) -> None:
    if changed:
        damaged.write(damaged.vectors, 42 * DIMENSION * 4, b"\x99")
    with vicinal.PersistentClient(damaged.path) as client:
        with few_descriptors(left), suppress(StorageError):
            client.repair()
        things = client.get_collection("things")
        assert things.count() in (len(damaged.before), len(damaged.before) - changed)
    damaged.repaired()


def test_what_cannot_be_read_is_a_storage_error_and_stays(damaged: Damaged, monkeypatch: Any) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    damaged.sql("UPDATE records SET document = 'another' WHERE row = 3")
    before = damaged.vectors.read_bytes()
    monkeypatch.setattr(np, "fromfile", refused)
    with (
        vicinal.PersistentClient(damaged.path) as client,
        pytest.raises(StorageError, match="Permission denied"),
    ):
        client.repair()
    assert damaged.vectors.read_bytes() == before


def test_what_cannot_be_copied_is_named_and_no_part_of_a_copy_is_kept(
    damaged: Damaged, monkeypatch: Any
) -> None:
    def refused(name: Any, *more: Any, **how: Any) -> Any:
        if Path(name) == damaged.vectors:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(name))
        return copied(name, *more, **how)

    damaged.sql("UPDATE records SET document = 'another' WHERE row = 3")
    copied = shutil.copyfile
    with vicinal.PersistentClient(damaged.path) as client, monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", refused)
        with pytest.raises(StorageError) as raised:
            client.repair()
    assert str(raised.value) == f"{damaged.vectors}: Permission denied"
    assert raised.value.errno == errno.EACCES
    assert list((damaged.path / "damaged").iterdir()) == []
    assert len(damaged.repaired()[0]) == len(damaged.before) - 1


def test_the_damaged_files_are_kept_with_those_in_directories(damaged: Damaged) -> None:
    damaged.write(damaged.vectors, 42 * DIMENSION * 4 + 5, b"\x99")
    (damaged.directory / "checkpoints").mkdir(exist_ok=True)
    (damaged.directory / "checkpoints" / "one").write_bytes(b"derived")
    before = damaged.vectors.read_bytes()
    damaged.repaired()
    [kept] = (damaged.path / "damaged").iterdir()
    assert (kept / damaged.vectors.name).read_bytes() == before
    assert (kept / "checkpoints" / "one").read_bytes() == b"derived"


@pytest.mark.parametrize("time", range(1, 13))
def test_a_directory_that_cannot_be_listed_once_costs_no_record(
    damaged: Damaged, time: int, monkeypatch: Any
) -> None:
    """What is not listed then must not be taken for lost."""
    times = count(1)

    def refused_once(listed: Any) -> Any:
        def refused(*where: Any) -> Any:
            if next(times) == time:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return listed(*where)

        return refused

    damaged.sql("UPDATE records SET document = 'another' WHERE row = 3")
    with (
        vicinal.PersistentClient(damaged.path) as client,
        monkeypatch.context() as patched,
        suppress(StorageError),
    ):
        for owner, name in ((Path, "iterdir"), (os, "scandir")):
            patched.setattr(owner, name, refused_once(getattr(owner, name)))
        client.repair()
    assert len(damaged.repaired()[0]) == len(damaged.before) - 1
    assert next(times) > min(time, 6)  # it was refused, but the last few times need not come


def test_a_repaired_collection_is_still_the_same_collection(damaged: Damaged) -> None:
    damaged.write(damaged.vectors, 5, b"\x99")
    with vicinal.PersistentClient(damaged.path) as client:
        things = client.get_collection("things")
        client.repair()
        assert (things.count(), str(things.id)) == (198, damaged.directory.name)


def test_a_database_in_memory_has_nothing_to_repair() -> None:
    with vicinal.EphemeralClient() as client:
        assert client.repair() == []
