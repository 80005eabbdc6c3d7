"""What any earlier release wrote is read by this one, and what a later one wrote is left alone.

`museum/` holds one small directory for each format there was, with its contents in a JSON file beside
it. Migrations are tried with steps of our own; the processes among them are this file, run as a program.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import vicinal
from vicinal._storage.database import Database
from vicinal._storage.schema import RECORDS, Schema
from vicinal.errors import FormatVersionError
from vicinal.testing import check, wait_for_index

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows every signal ends a process
KILLED = KILL if os.name == "nt" else -KILL
MUSEUM = Path(__file__).parent / "museum"
PIECES = sorted(path.name for path in MUSEUM.iterdir() if path.name.startswith("format-") and path.is_dir())


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("museum_make", MUSEUM / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


contents = maker().contents


@pytest.fixture(params=PIECES)
def piece(request: Any, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A copy of a directory from the museum, and what it holds."""
    copy = tmp_path / request.param
    shutil.copytree(MUSEUM / request.param, copy)
    return copy, json.loads((MUSEUM / f"{request.param}.json").read_text(encoding="utf-8"))


# --- reading what was written ------------------------------------------------------------------


def test_there_is_a_piece_for_every_format() -> None:
    assert PIECES == [f"format-{version}" for version in range(1, RECORDS.version + 1)]


@pytest.mark.parametrize("piece", PIECES)
def test_the_museum_is_small(piece: str) -> None:
    files = [MUSEUM / f"{piece}.json", *(path for path in (MUSEUM / piece).rglob("*") if path.is_file())]
    assert sum(path.stat().st_size for path in files) < 200_000


def test_a_piece_holds_what_it_held(piece: Any) -> None:
    path, expected = piece
    with vicinal.PersistentClient(path) as client:
        assert check(client) == []
        assert contents(client) == expected


def test_a_piece_that_was_opened_has_the_tables_of_today(piece: Any, tmp_path: Path) -> None:
    path, _ = piece
    with vicinal.PersistentClient(path) as client:
        collections = [str(held.id) for held in client.list_collections()]
        for held in client.list_collections():
            held.count()
    Database(tmp_path / "new.sqlite3", RECORDS).close()
    for id in collections:
        assert tables(path / "collections" / id / "records.sqlite3") == tables(tmp_path / "new.sqlite3")


def tables(path: Path) -> tuple[int, set[str]]:
    """The version, and the statements that make the tables."""
    with closing(sqlite3.connect(path)) as connection:
        made = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master") if sql}
        return connection.execute("PRAGMA user_version").fetchone()[0], made


def test_a_piece_can_be_written_compacted_and_searched(piece: Any) -> None:
    path, expected = piece
    with vicinal.PersistentClient(path) as client:
        odd = client.get_collection("odd")
        odd.upsert(ids=["plain", "new"], embeddings=[[9, 9], [8, 8]], metadatas=[{"int": 1}, {"int": 2}])
        odd.delete(ids=["a\0b"])
        odd.compact()
        wait_for_index(odd)
    with vicinal.PersistentClient(path) as client:
        assert check(client) == []
        odd = client.get_collection("odd")
        assert odd.query(query_embeddings=[9, 9], n_results=2)["ids"] == [["plain", "new"]]
        assert odd.count() == len(expected["odd"]["records"])
        assert contents(client)["changed"] == expected["changed"]


def test_a_piece_survives_backup_and_repair(piece: Any, tmp_path: Path) -> None:
    path, expected = piece
    with vicinal.PersistentClient(path) as client:
        client.backup(tmp_path / "backup")
        assert client.repair() == []
    with vicinal.PersistentClient(tmp_path / "backup") as client:
        assert (check(client), contents(client)) == ([], expected)


def test_todays_format_writes_what_the_museum_shows(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        maker().fill(client)
        assert contents(client) == json.loads((MUSEUM / f"{PIECES[-1]}.json").read_text(encoding="utf-8"))


# --- a newer format ------------------------------------------------------------------------------


def files_of(path: Path) -> dict[str, bytes]:
    """Every file's content, SQLite's shared memory aside."""
    found = (p for p in path.rglob("*") if p.is_file() and not p.name.endswith(("-shm", "-wal")))
    return {str(p.relative_to(path)): p.read_bytes() for p in found}


def raise_version(database: Path, version: int) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_a_newer_catalog_is_refused_and_unchanged(piece: Any) -> None:
    path, _ = piece
    raise_version(path / "catalog.sqlite3", 7)
    before = files_of(path)
    with pytest.raises(FormatVersionError, match=r"format 7; .* up to format 1\. Upgrade") as caught:
        vicinal.PersistentClient(path)
    assert (caught.value.found, caught.value.supported) == (7, 1)
    assert files_of(path) == before


def newer_collection(path: Path) -> Path:
    """The directory of the collection "odd", whose format is of the future now."""
    with vicinal.PersistentClient(path) as client:
        directory = path / "collections" / str(client.get_collection("odd").id)
    raise_version(directory / "records.sqlite3", 7)
    return directory


def test_a_newer_collection_is_refused_and_unchanged_and_the_others_work(piece: Any) -> None:
    path, expected = piece
    directory = newer_collection(path)
    before = files_of(directory)
    with vicinal.PersistentClient(path) as client:
        with pytest.raises(FormatVersionError):
            client.get_collection("odd").get()
        with pytest.raises(FormatVersionError):
            client.get_collection("odd").add(ids=["x"], embeddings=[[1, 2]])
        assert client.get_collection("changed").count() == len(expected["changed"]["records"])
        assert any("format 7" in finding for finding in check(client))
    assert files_of(directory) == before


def test_repair_leaves_a_newer_collection_where_it_is(piece: Any) -> None:
    path, _ = piece
    directory = newer_collection(path)
    before = files_of(directory)
    with vicinal.PersistentClient(path) as client:
        client.repair()
    assert files_of(directory) == before


# --- migrations ----------------------------------------------------------------------------------


def add_column(tx: Any) -> None:
    """1 → 2."""
    tx.execute("ALTER TABLE records ADD COLUMN language TEXT")
    tx.execute("CREATE TABLE runs (step INTEGER)")
    tx.execute("INSERT INTO runs VALUES (1)")


def fill_column(tx: Any) -> None:
    """2 → 3."""
    tx.execute("UPDATE records SET language = 'en'")
    tx.execute("INSERT INTO runs VALUES (2)")


def fail(tx: Any) -> None:
    fill_column(tx)
    raise sqlite3.OperationalError("out of luck")


def die(tx: Any) -> None:
    fill_column(tx)
    os.kill(os.getpid(), KILL)


def schema(*steps: Callable[[Any], None]) -> Schema:
    return Schema(RECORDS.create, steps)


FIRST = schema()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database of format 1 with one record."""
    path = tmp_path / "records.sqlite3"
    with closing(Database(path, FIRST)) as database, database.write() as tx:
        tx.execute("INSERT INTO records VALUES (0, 0, 'a', NULL, NULL, NULL, 0)")
    return path


def content(path: Path) -> tuple[int, list[str]]:
    """The version, and the database as SQL."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0], list(connection.iterdump())


def runs(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [step for (step,) in connection.execute("SELECT step FROM runs ORDER BY rowid")]


def test_each_step_runs_once(old: Path) -> None:
    for _ in range(3):
        with closing(Database(old, schema(add_column, fill_column))) as database, database.read() as tx:
            assert tx.execute("SELECT id, language FROM records").fetchall() == [("a", "en")]
    assert (content(old)[0], runs(old)) == (3, [1, 2])


def test_a_step_of_a_later_release_goes_on_from_the_last(old: Path) -> None:
    for steps in ([add_column], [add_column, fill_column]):
        Database(old, schema(*steps)).close()
    assert (content(old)[0], runs(old)) == (3, [1, 2])


def test_an_older_release_then_refuses_it(old: Path) -> None:
    Database(old, schema(add_column)).close()
    before = content(old)
    with pytest.raises(FormatVersionError):
        Database(old, FIRST)
    assert content(old) == before


def test_a_step_that_fails_leaves_version_and_data_as_they_were(old: Path) -> None:
    before = content(old)
    with pytest.raises(vicinal.errors.StorageError, match="out of luck"):
        Database(old, schema(add_column, fail))
    assert content(old) == before
    Database(old, schema(add_column, fill_column)).close()
    assert runs(old) == [1, 2]


def test_a_new_database_is_made_in_the_newest_format_without_migrating(tmp_path: Path) -> None:
    made = Schema(RECORDS.create, (fail,))
    Database(tmp_path / "records.sqlite3", made).close()
    assert content(tmp_path / "records.sqlite3")[0] == 2


def start(path: Path, *steps: str) -> subprocess.Popen[bytes]:
    """This file as a program: it migrates a database by the steps that are named."""
    return subprocess.Popen([sys.executable, __file__, str(path), *steps], stdin=subprocess.PIPE)


def test_a_process_killed_in_the_middle_of_a_migration_has_changed_nothing(old: Path) -> None:
    before = content(old)
    killed = start(old, "add_column", "die")
    killed.communicate(b"go\n")
    assert killed.returncode == KILLED
    assert content(old) == before
    Database(old, schema(add_column, fill_column)).close()
    assert runs(old) == [1, 2]


def test_several_processes_that_open_an_old_database_migrate_it_once(old: Path) -> None:
    processes = [start(old, "add_column", "fill_column") for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
    assert [process.wait() for process in processes] == [0] * 4
    assert (content(old)[0], runs(old)) == (3, [1, 2])


if __name__ == "__main__":
    sys.stdin.readline()
    wanted = [globals()[name] for name in sys.argv[2:]]
    Database(Path(sys.argv[1]), schema(*wanted)).close()
