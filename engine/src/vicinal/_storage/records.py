"""What is stored under this id, or at this row?  The statements on the tables of records.

A record leads from its id to its position (`ids`), from there to its row (`live`), and at the row stand
its texts (`records`). Who changes its vector moves it to a new row, and who deletes it takes its position
out of `live`: a few bytes. The texts of dead rows, and ids that lead nowhere, stay until compaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from vicinal._storage.changes import Rows
from vicinal._storage.database import Transaction, all_of
from vicinal._storage.schema import RECORDS_TABLE

FETCHED_MAX = _CHUNK = 500  # bound variables of one statement; SQLite's own limit is 999 in old builds

_LIVING = "records CROSS JOIN live USING (position, row)"  # CROSS: SQLite is to begin with the row

NewRecord = tuple[int, int, str, "str | None", "str | None", "str | None", int]
"""(row, position, id, document, metadata as text, uri, checksum)"""
Replacement = tuple["str | None", "str | None", "str | None", int, int]
"""(document, metadata as text, uri, checksum, row)"""


def insert(tx: Transaction, records: Sequence[NewRecord], position: int) -> None:
    """Enter records at new rows. From `position` on they are new; those below it are moved from other rows,
    and their ids stay."""
    if not records:
        return
    tx.executemany(
        "INSERT INTO records (row, position, id, document, metadata, uri, checksum) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        records,
    )
    row = records[0][0]
    tx.execute("INSERT OR REPLACE INTO live SELECT position, row FROM records WHERE row >= ?", (row,))
    tx.execute(
        "INSERT OR REPLACE INTO ids "
        "SELECT id, position FROM records WHERE row >= ? AND position >= ? ORDER BY id",
        (row, position),
    )


def replace(tx: Transaction, records: Iterable[Replacement]) -> None:
    """Change document, metadata and URI of rows in place."""
    tx.executemany(
        "UPDATE records SET document = ?, metadata = ?, uri = ?, checksum = ? WHERE row = ?", records
    )


def renumber(tx: Transaction) -> None:
    """Give the living records the rows 0, 1, 2 … in the order of `get`, and forget the dead."""
    columns = "position, id, document, metadata, uri, checksum"
    tx.execute("ALTER TABLE records RENAME TO loose")
    tx.execute(RECORDS_TABLE)
    tx.execute(
        f"INSERT INTO records (row, {columns}) "
        f"SELECT row_number() OVER (ORDER BY position) - 1, {columns} "
        "FROM live JOIN loose USING (position, row) ORDER BY position"
    )
    tx.execute("DROP TABLE loose")
    tx.execute("DELETE FROM live")
    tx.execute("INSERT INTO live SELECT position, row FROM records ORDER BY row")
    tx.execute("DELETE FROM ids")
    tx.execute("INSERT INTO ids SELECT id, position FROM records ORDER BY id")


def delete(tx: Transaction, positions: Iterable[int]) -> None:
    """Take records out; their positions are never used again, nor are their rows within this generation."""
    tx.executemany("DELETE FROM live WHERE position = ?", ((position,) for position in sorted(positions)))


def rows_of(tx: Transaction, ids: Sequence[str]) -> dict[str, int]:
    """id → row, for those ids that exist."""
    found: dict[str, int] = {}
    for chunk, marks in _chunks(ids):
        statement = f"SELECT id, row FROM ids JOIN live USING (position) WHERE id IN ({marks})"
        found.update(all_of(tx, statement, chunk, 2))
    return found


def by_id(tx: Transaction, ids: Sequence[str], columns: str) -> dict[str, tuple[Any, ...]]:
    """id → (row, *columns), for those ids that exist."""
    found: dict[str, tuple[Any, ...]] = {}
    for chunk, marks in _chunks(ids):
        statement = (
            f"SELECT ids.id, row, {columns} FROM ids CROSS JOIN live USING (position) "
            f"CROSS JOIN records USING (position, row) WHERE ids.id IN ({marks})"
        )
        rows = all_of(tx, statement, chunk, 2 + _count(columns))
        found.update({record[0]: record[1:] for record in rows})
    return found


def fetch(tx: Transaction, rows: Sequence[int], columns: str) -> dict[int, tuple[Any, ...]]:
    """row → (row, *columns) for those rows that hold a living record."""
    found: dict[int, tuple[Any, ...]] = {}
    for statement, chunk in _at(rows, columns):
        found.update({record[0]: record for record in all_of(tx, statement, chunk, 1 + _count(columns))})
    return found


def walk(tx: Transaction, rows: Sequence[int], columns: str) -> Iterator[tuple[Any, ...]]:
    """(row, *columns) of those rows that hold a living record, one after the other: texts may be long."""
    for statement, chunk in _at(rows, columns):
        yield from tx.execute(statement, chunk)


def fetch_at(
    connection: Transaction, change: int, rows: Sequence[int], columns: str
) -> dict[int, tuple[Any, ...]] | None:
    """What `fetch` finds, of at most `FETCHED_MAX` rows that are alive at a change: in one statement, so that
    no transaction is needed. None when the change is not the newest any more."""
    nothing = ", NULL" * (_count(columns) - 1)
    marks = ", ".join("?" * len(rows))
    statement = (
        f"SELECT -1, change{nothing} FROM state "
        f"UNION ALL SELECT row, {columns} FROM records WHERE row IN ({marks})"
    )
    by_row = {record[0]: record for record in all_of(connection, statement, rows, 1 + _count(columns))}
    seen = by_row.pop(-1, None)
    return by_row if seen is not None and seen[1] == change else None


def scan(tx: Transaction, columns: str, first: int = 0, stop: int = 2**63 - 1) -> Iterator[tuple[Any, ...]]:
    """(row, *columns) over all living records from a row on and before another, in order of row."""
    statement = f"SELECT row, {columns} FROM {_LIVING} WHERE row >= ? AND row < ? ORDER BY row"
    return tx.execute(statement, (first, stop))


def live_rows(tx: Transaction, first: int = 0) -> tuple[Rows, Rows]:
    """The rows that hold a record, from a row on, and the position of each in the order of `get`."""
    statement = f"SELECT row, position FROM {_LIVING} WHERE row >= ? ORDER BY row"
    pairs = tx.execute(statement, (first,)).fetchall()
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def misplaced(tx: Transaction) -> Iterator[tuple[int, int]]:
    """(position, row) of what is said to live at a row where nothing of that position stands; for `check`."""
    return tx.execute(
        "SELECT position, row FROM live WHERE NOT EXISTS "
        "(SELECT * FROM records WHERE records.row = live.row AND records.position = live.position)"
    )


def unlisted(tx: Transaction) -> Iterator[tuple[str]]:
    """(id,) of living records that their ids do not lead to; for `check`."""
    return tx.execute(
        f"SELECT id FROM {_LIVING} WHERE NOT EXISTS "
        "(SELECT * FROM ids WHERE ids.id = records.id AND ids.position = records.position)"
    )


def _at(rows: Sequence[int], columns: str) -> Iterator[tuple[str, Sequence[int]]]:
    """Statements, with their rows, that find (row, *columns) of those that hold a living record."""
    for chunk, marks in _chunks(rows):
        yield f"SELECT row, {columns} FROM {_LIVING} WHERE row IN ({marks})", chunk


def _count(columns: str) -> int:
    """How many names are listed."""
    return 1 + columns.count(",")


def _chunks(keys: Sequence[Any]) -> Iterator[tuple[Sequence[Any], str]]:
    """Pieces of a list with their `?, ?, …`; full pieces share one prepared statement.

    In order, for keys that are near each other stand on the same pages.
    """
    keys = sorted(keys)
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        yield chunk, ", ".join("?" * len(chunk))
