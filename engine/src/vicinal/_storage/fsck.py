"""Does the truth of one collection agree with itself?

Read-only. Every finding is one sentence; no findings means that rows, vectors, the log and the state
tell the same story. Tests call it after every scenario.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vicinal._storage import changes, checksums, records
from vicinal._storage.database import Transaction
from vicinal.types import Vectors


def check(tx: Transaction, vectors: Vectors | str) -> Iterator[str]:
    """Findings, none when all is well. `vectors` are the committed ones, or why they cannot be had."""
    yield from integrity(tx)
    state = changes.state(tx)
    rows, positions = records.live_rows(tx)
    if len(rows) != state.records:
        yield f"state counts {state.records} records, the table holds {len(rows)}"
    if len(rows) and int(rows[-1]) >= state.rows:
        yield f"a record stands at row {int(rows[-1])}, but only {state.rows} rows are committed"
    for position, row in records.misplaced(tx):
        yield f"position {position} is said to be at row {row}, where no record of it stands"
    for row in np.intersect1d(rows, changes.taken_out(tx)[0]).tolist():
        yield f"a record stands at row {row}, which the change log says was taken out"
    for (id,) in records.unlisted(tx):
        yield f"record {id!r}: its id does not lead to it"
    if len(positions) and int(positions.max()) >= state.positions:
        yield f"a record stands at position {int(positions.max())}, but only {state.positions} were given"
    if state.rows and state.dimension is None:
        yield f"{state.rows} rows are committed, but no dimension"
    yield from _log(tx, state)
    if isinstance(vectors, str):
        yield vectors
    else:
        yield from _records(tx, vectors)


def integrity(tx: Transaction) -> Iterator[str]:
    """What SQLite itself finds wrong with a database."""
    for (finding,) in tx.execute("PRAGMA integrity_check"):
        if finding != "ok":
            yield f"SQLite: {finding}"


def _log(tx: Transaction, state: changes.State) -> Iterator[str]:
    numbers: list[int] = []
    rows = state.rows
    for entry in changes.entries(tx):
        numbers.append(entry.change)
        rows = entry.rows
        if not entry.sound:
            yield f"change {entry.change}: its log entry is not what was written"
    if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        yield "the change log has a gap"
    if rows != state.rows:
        yield f"the change log ends with {rows} rows, the state has {state.rows}"
    if (numbers[-1] if numbers else 0) != state.change and not state.dropped:
        yield f"the change log ends at {numbers[-1] if numbers else 0}, the state at {state.change}"


def _records(tx: Transaction, vectors: Vectors) -> Iterator[str]:
    """Every record's texts and vector against its checksum."""
    columns = "position, id, document, metadata, uri, checksum"
    for row, position, id, document, metadata, uri, checksum in records.scan(tx, columns):
        if row >= len(vectors):
            yield f"record {id!r}: its row {row} has no vector"
        elif checksums.of_record(position, id, document, metadata, uri, vectors[row]) != checksum:
            yield f"record {id!r} (row {row}): its texts or its vector are not what was written"
