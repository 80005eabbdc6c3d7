"""What has happened since change N?

Every committed batch is one numbered change: the row count after it, the rows that it took out, and
the rows whose metadata or document it altered in place. Whatever is derived from the records
remembers the change it covers and catches up from here. The log keeps the last `KEPT` changes, and fewer
where each names many rows; what fell behind further is rebuilt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vicinal._storage import checksums
from vicinal._storage.database import Transaction
from vicinal.errors import CorruptionError

KEPT = 10_000
ROWS_KEPT = 1 << 22  # of changes of one size; 32 MB

Rows = NDArray[np.int64]
_NO_ROWS = np.empty(0, dtype=np.int64)


class State(NamedTuple):
    """The one row that says how far everything is."""

    change: int
    rows: int
    records: int
    positions: int
    """The next position: how many ids were ever added."""
    dimension: int | None
    generation: int
    dropped: bool


class Entry(NamedTuple):
    """One change, as the log has it."""

    change: int
    rows: int
    removed: bytes
    sound: bool
    """Whether this is what was written; else the others may be of any kind."""


class Delta(NamedTuple):
    """The sum of the changes between two numbers."""

    removed: Rows = _NO_ROWS
    altered: Rows = _NO_ROWS


def state(tx: Transaction) -> State:
    """The committed state that this transaction sees."""
    row = tx.execute(
        "SELECT change, rows, records, positions, dimension, generation, dropped FROM state"
    ).fetchone()
    if row is None or not all(isinstance(value, int) and value >= 0 for value in (*row[:4], *row[5:])):
        raise CorruptionError(path="records.sqlite3", problem="its state is missing or damaged")
    if row[4] is not None and (not isinstance(row[4], int) or row[4] < 1):
        raise CorruptionError(path="records.sqlite3", problem=f"its dimension is {row[4]!r}")
    return State(*row)


def log(tx: Transaction, after: State, delta: Delta) -> None:
    """Enter the change that leads to a state, and the state."""
    removed, altered = _bytes(delta.removed), _bytes(delta.altered)
    entry = (after.change, after.rows, removed, altered)
    tx.execute(
        "INSERT INTO changes (change, rows, removed, altered, checksum) VALUES (?, ?, ?, ?, ?)",
        (*entry, checksums.of(entry)),
    )
    named = len(delta.removed) + len(delta.altered)
    kept = min(KEPT, max(ROWS_KEPT // max(named, 1), 1))
    tx.execute("DELETE FROM changes WHERE change <= ?", (after.change - kept,))
    tx.execute(
        "UPDATE state SET change = ?, rows = ?, records = ?, positions = ?, dimension = ?, generation = ?",
        (after.change, after.rows, after.records, after.positions, after.dimension, after.generation),
    )


def drop(tx: Transaction) -> None:
    """Tell every process that has the collection open that it is deleted: one that asks for the change alone
    sees that there is another, and looks."""
    tx.execute("UPDATE state SET dropped = 1, change = change + 1")


def renumber(tx: Transaction, generation: int) -> None:
    """Say that the vectors are in the file of another generation."""
    tx.execute("UPDATE state SET generation = ?", (generation,))


def since(tx: Transaction, change: int) -> Delta | None:
    """What happened after a change; None when the log no longer reaches back so far."""
    entries = tx.execute(
        "SELECT change, removed, altered FROM changes WHERE change > ? ORDER BY change", (change,)
    ).fetchall()
    if not entries or entries[0][0] != change + 1:
        return None
    return Delta(_rows(b"".join(e[1] for e in entries)), _rows(b"".join(e[2] for e in entries)))


def oldest(tx: Transaction) -> int:
    """The change since which the log tells what happened."""
    [(first,)] = tx.execute("SELECT min(change) FROM changes")
    return int(first) - 1 if first is not None else 0


def taken_out(tx: Transaction) -> tuple[Rows, bool]:
    """The rows that lost their record since rows were numbered; and whether the log has not forgotten any."""
    removed: list[Rows] = []
    change, rows, whole = 0, 0, False
    for entry in entries(tx):
        if not entry.sound:
            removed, whole, change = [], False, -1
            continue
        if entry.change == 1 or entry.rows < rows:  # compaction numbers rows anew
            removed, whole = [], True
        elif entry.change != change + 1:  # and may have done so in a gap
            removed, whole = [], False
        change, rows = entry.change, entry.rows
        removed.append(_rows(entry.removed))
    return np.concatenate([_NO_ROWS, *removed]), whole


def entries(tx: Transaction) -> Iterator[Entry]:
    """The log, in order of change; each entry compared with its checksum."""
    for change, rows, removed, altered, checksum in tx.execute(
        "SELECT change, rows, removed, altered, checksum FROM changes ORDER BY change"
    ):
        written = (change, rows, removed, altered)
        kinds = [type(value) for value in written]  # a checksum does not tell text from bytes
        sound = kinds == [int, int, bytes, bytes] and checksums.of(written) == checksum
        yield Entry(change, rows, removed, sound)


def _bytes(rows: Rows) -> bytes:
    return rows.astype("<i8").tobytes()


def _rows(data: bytes) -> Rows:
    return np.frombuffer(data, dtype="<i8").astype(np.int64)
