"""Does the truth of one collection agree with itself?

Read-only. Every finding is one sentence; no findings means that rows, vectors, the log and the state
tell the same story. Tests call it after every scenario.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from vicinal._storage import changes, records
from vicinal._storage.database import Transaction
from vicinal._storage.metadata import decode
from vicinal._storage.vectors import VectorStore
from vicinal.errors import StorageError

_BLOCK_ROWS = 8192


def check(tx: Transaction, vectors: VectorStore | None) -> Iterator[str]:
    """Findings, none when all is well."""
    for (finding,) in tx.execute("PRAGMA integrity_check"):
        if finding != "ok":
            yield f"SQLite: {finding}"
    state = changes.state(tx)
    rows, positions = records.live_rows(tx)
    if len(rows) != state.records:
        yield f"state counts {state.records} records, the table holds {len(rows)}"
    if len(rows) and int(rows[-1]) >= state.rows:
        yield f"a record stands at row {int(rows[-1])}, but only {state.rows} rows are committed"
    if len(np.unique(positions)) != len(positions):
        yield "two records stand at one position"
    if state.rows and state.dimension is None:
        yield f"{state.rows} rows are committed, but no dimension"
    yield from _log(tx, state)
    yield from _metadata(tx)
    if vectors is not None and state.rows:
        yield from _vectors(vectors, state.rows)


def _log(tx: Transaction, state: changes.State) -> Iterator[str]:
    numbers = [change for (change,) in tx.execute("SELECT change FROM changes ORDER BY change")]
    if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        yield "the change log has a gap"
    if (numbers[-1] if numbers else 0) != state.change and not state.dropped:
        yield f"the change log ends at {numbers[-1] if numbers else 0}, the state at {state.change}"


def _metadata(tx: Transaction) -> Iterator[str]:
    for row, text in records.scan(tx, "metadata"):
        try:
            decode(text)
        except (ValueError, json.JSONDecodeError):
            yield f"row {row}: its metadata cannot be read"


def _vectors(vectors: VectorStore, rows: int) -> Iterator[str]:
    try:
        view = vectors.view(rows)
    except StorageError as error:
        yield str(error)
        return
    for start in range(0, rows, _BLOCK_ROWS):
        finite = np.isfinite(view[start : start + _BLOCK_ROWS]).all(axis=1)
        for row in np.flatnonzero(~finite)[:10]:
            yield f"row {start + int(row)}: its vector holds NaN or infinity"
