"""What is stored under this id, or at this row?  The statements on the table of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from vicinal._storage.changes import Rows
from vicinal._storage.database import Transaction

_CHUNK = 500  # bound variables of one statement; SQLite's own limit is 999 in old builds

NewRecord = tuple[int, int, str, "str | None", "str | None", "str | None"]
"""(row, position, id, document, metadata as text, uri)"""


def insert(tx: Transaction, records: Iterable[NewRecord]) -> None:
    """Enter records at new rows."""
    tx.executemany(
        "INSERT INTO records (row, position, id, document, metadata, uri) VALUES (?, ?, ?, ?, ?, ?)", records
    )


def replace(tx: Transaction, records: Iterable[tuple[str | None, str | None, str | None, int]]) -> None:
    """Change (document, metadata, uri) of a row in place."""
    tx.executemany("UPDATE records SET document = ?, metadata = ?, uri = ? WHERE row = ?", records)


def delete(tx: Transaction, rows: Iterable[int]) -> None:
    """Take rows out; their numbers are never used again."""
    tx.executemany("DELETE FROM records WHERE row = ?", ((row,) for row in rows))


def rows_of(tx: Transaction, ids: Sequence[str]) -> dict[str, int]:
    """id → row, for those ids that exist."""
    found: dict[str, int] = {}
    for chunk, marks in _chunks(ids):
        found.update(tx.execute(f"SELECT id, row FROM records WHERE id IN ({marks})", chunk))  # noqa: S608
    return found


def fetch(tx: Transaction, rows: Sequence[int], columns: str) -> dict[int, tuple[Any, ...]]:
    """row → (row, *columns) for those rows that exist."""
    found: dict[int, tuple[Any, ...]] = {}
    for chunk, marks in _chunks(rows):
        statement = f"SELECT row, {columns} FROM records WHERE row IN ({marks})"  # noqa: S608
        found.update((record[0], record) for record in tx.execute(statement, chunk))
    return found


def scan(tx: Transaction, column: str, first: int = 0) -> Iterator[tuple[int, Any]]:
    """(row, value) of one column over all records from a row on, in order of row."""
    return tx.execute(f"SELECT row, {column} FROM records WHERE row >= ? ORDER BY row", (first,))  # noqa: S608


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
