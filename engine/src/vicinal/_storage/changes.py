"""What has happened since change N?

Every committed batch is one numbered change: the row count after it, the rows that it took out, and
the rows whose metadata or document it altered in place. Whatever is derived from the records
remembers the change it covers and catches up from here. The log keeps the last `KEPT` changes; what
fell behind further is rebuilt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vicinal._storage.database import Transaction

KEPT = 10_000

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class State:
    """The one row that says how far everything is."""

    change: int
    rows: int
    records: int
    dimension: int | None
    generation: int
    dropped: bool


@dataclass(frozen=True)
class Delta:
    """The sum of the changes between two numbers."""

    removed: Rows
    altered: Rows


def state(tx: Transaction) -> State:
    """The committed state that this transaction sees."""
    change, rows, records, dimension, generation, dropped = tx.execute(
        "SELECT change, rows, records, dimension, generation, dropped FROM state"
    ).fetchone()
    return State(change, rows, records, dimension, generation, bool(dropped))


def log(
    tx: Transaction, before: State, *, rows: int, records: int, dimension: int | None, delta: Delta
) -> int:
    """Enter one change and the state after it; returns its number."""
    change = before.change + 1
    tx.execute(
        "INSERT INTO changes (change, rows, removed, altered) VALUES (?, ?, ?, ?)",
        (change, rows, _bytes(delta.removed), _bytes(delta.altered)),
    )
    tx.execute("DELETE FROM changes WHERE change <= ?", (change - KEPT,))
    tx.execute(
        "UPDATE state SET change = ?, rows = ?, records = ?, dimension = ?",
        (change, rows, records, dimension),
    )
    return change


def drop(tx: Transaction) -> None:
    """Tell every process that has the collection open that it is deleted."""
    tx.execute("UPDATE state SET dropped = 1, change = change + 1")


def since(tx: Transaction, change: int) -> Delta | None:
    """What happened after a change; None when the log no longer reaches back so far."""
    entries = tx.execute(
        "SELECT change, removed, altered FROM changes WHERE change > ? ORDER BY change", (change,)
    ).fetchall()
    if not entries or entries[0][0] != change + 1:
        return None
    return Delta(_rows(b"".join(e[1] for e in entries)), _rows(b"".join(e[2] for e in entries)))


def _bytes(rows: Rows) -> bytes:
    return rows.astype("<i8").tobytes()


def _rows(data: bytes) -> Rows:
    return np.frombuffer(data, dtype="<i8").astype(np.int64)
