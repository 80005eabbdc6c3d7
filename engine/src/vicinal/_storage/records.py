"""What is stored under this id, or at this row?  The statements on the table of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from vicinal._storage.changes import Rows
from vicinal._storage.database import Transaction
from vicinal._storage.schema import RECORDS_TABLE

FETCHED_MAX = _CHUNK = 500  # bound variables of one statement; SQLite's own limit is 999 in old builds

NewRecord = tuple[int, int, str, "str | None", "str | None", "str | None", int]
"""(row, position, id, document, metadata as text, uri, checksum)"""
Replacement = tuple["str | None", "str | None", "str | None", int, int]
"""(document, metadata as text, uri, checksum, row)"""


def insert(tx: Transaction, records: Iterable[NewRecord]) -> None:
    """Enter records at new rows."""
    tx.executemany(
        "INSERT INTO records (row, position, id, document, metadata, uri, checksum) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        records,
    )


def replace(tx: Transaction, records: Iterable[Replacement]) -> None:
    """Change document, metadata and URI of rows in place."""
    tx.executemany(
        "UPDATE records SET document = ?, metadata = ?, uri = ?, checksum = ? WHERE row = ?", records
    )


def renumber(tx: Transaction) -> None:
    """Give the records the rows 0, 1, 2 … in the order of `get`."""
    columns = "position, id, document, metadata, uri, checksum"
    tx.execute("ALTER TABLE records RENAME TO loose")
    tx.execute(RECORDS_TABLE)
    tx.execute(
        f"INSERT INTO records (row, {columns}) "
        f"SELECT row_number() OVER (ORDER BY position) - 1, {columns} FROM loose ORDER BY position"
    )
    tx.execute("DROP TABLE loose")


def delete(tx: Transaction, rows: Iterable[int]) -> None:
    """Take rows out; their numbers are never used again."""
    tx.executemany("DELETE FROM records WHERE row = ?", ((row,) for row in rows))


def rows_of(tx: Transaction, ids: Sequence[str]) -> dict[str, int]:
    """id → row, for those ids that exist."""
    found: dict[str, int] = {}
    for chunk, marks in _chunks(ids):
        found.update(tx.execute(f"SELECT id, row FROM records WHERE id IN ({marks})", chunk))
    return found


def fetch(tx: Transaction, rows: Sequence[int], columns: str) -> dict[int, tuple[Any, ...]]:
    """row → (row, *columns) for those rows that exist."""
    found: dict[int, tuple[Any, ...]] = {}
    for chunk, marks in _chunks(rows):
        statement = f"SELECT row, {columns} FROM records WHERE row IN ({marks})"
        found.update({record[0]: record for record in tx.execute(statement, chunk).fetchall()})
    return found


def fetch_at(
    connection: Transaction, change: int, rows: Sequence[int], columns: str
) -> dict[int, tuple[Any, ...]] | None:
    """The same of at most `FETCHED_MAX` rows in one statement, outside a transaction; None when the change is
    not the newest any more."""
    nothing = ", NULL" * columns.count(",")
    marks = ", ".join("?" * len(rows))
    found = connection.execute(
        f"SELECT -1, CASE WHEN dropped THEN -1 ELSE change END{nothing} FROM state "
        f"UNION ALL SELECT row, {columns} FROM records WHERE row IN ({marks})",
        rows,
    ).fetchall()
    by_row = {record[0]: record for record in found}
    seen = by_row.pop(-1, None)
    return by_row if seen is not None and seen[1] == change else None


def scan(tx: Transaction, columns: str, first: int = 0, stop: int = 2**63 - 1) -> Iterator[tuple[Any, ...]]:
    """(row, *columns) over all records from a row on and before another, in order of row."""
    statement = f"SELECT row, {columns} FROM records WHERE row >= ? AND row < ? ORDER BY row"
    return tx.execute(statement, (first, stop))


def live_rows(tx: Transaction, first: int = 0) -> tuple[Rows, Rows]:
    """The rows that hold a record, from a row on, and the position of each in the order of `get`."""
    pairs = tx.execute("SELECT row, position FROM records WHERE row >= ? ORDER BY row", (first,)).fetchall()
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _chunks(keys: Sequence[Any]) -> Iterator[tuple[Sequence[Any], str]]:
    """Pieces of a list with their `?, ?, …`; full pieces share one prepared statement."""
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        yield chunk, ", ".join("?" * len(chunk))
