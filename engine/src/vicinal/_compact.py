"""How does deleted space come back?

Rows that hold no record any more keep their place in the vector file until compaction writes the live
ones, in the order of `get`, to the file of the next generation, gives them new row numbers, and swaps the
two in one commit. Readers go on with the old file; writers wait. It needs, for its duration, the disk of
the live vectors and records once more. Checkpoints of rows as they were numbered before are removed.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from vicinal._live import LiveCollection
from vicinal._storage import changes, records
from vicinal._storage.changes import Delta, Rows, State
from vicinal._storage.vectors import VectorStore
from vicinal.errors import CorruptionError, VicinalError

_BLOCK_ROWS = 4096


def compact(live: LiveCollection, *, thoroughly: bool = False) -> None:
    """Drop the rows of deleted and replaced records.

    Thoroughly: also what was replaced in its row, whose bytes stay on pages and in what was derived; and
    `StorageError` when they could not be removed.
    """
    dead = _drop_dead_rows(live)
    if dead:
        live.discard_outdated_checkpoints()
    elif thoroughly:
        live.forget_texts()
    if dead or thoroughly:
        live.database.shrink(strictly=thoroughly)


def _drop_dead_rows(live: LiveCollection) -> bool:
    """Write the live rows anew; False, and nothing is done, when no row is dead."""
    before: VectorStore | None = None
    store: VectorStore | None = None
    try:
        with live.write() as (tx, state):
            rows, positions = records.live_rows(tx)
            if len(rows) != state.records:  # what a damaged list leaves out, a repair can still save
                problem = f"its state counts {state.records} records, its list {len(rows)}"
                raise CorruptionError(path="records.sqlite3", problem=problem)
            if len(rows) == state.rows or state.dimension is None:
                return False
            order = rows[np.argsort(positions, kind="stable")]
            try:
                store = live.vectors.next(state)
                _copy(live, state, order, store)
                records.renumber(tx)
                generation = state.generation + 1
                after = state._replace(change=state.change + 1, rows=len(rows), generation=generation)
                changes.log(tx, after, Delta())
                before = live.vectors.adopt(store)
                live.files.step("compact: before commit")
            except BaseException:
                if before is not None:
                    live.vectors.adopt(before)
                if store is not None:
                    store.close()  # Windows does not remove what is open
                live.vectors.discard(state.generation + 1)  # a full disk gets its space back at once
                raise
    except BaseException:
        # The COMMIT failed, or a signal came during it, which is raised when it is done.
        if before is not None:
            store = None  # Windows does not remove what is open
            _settle(live, before)
        raise
    # COMMIT has returned: the old generation is nobody's truth any more, and nobody's store.
    before = None
    live.files.step("compact: committed")
    live.discard_generation(state.generation)
    return True


def _settle(live: LiveCollection, before: VectorStore) -> None:
    """Use the vectors of whichever generation is the truth, and remove others, as far as that can be done."""
    with suppress(VicinalError):
        if live.directory is None:
            if live.generation() == before.generation:
                live.vectors.adopt(before)
            return
        # Whoever reads next opens the file: another process may have written one of the same name by now.
        live.vectors.adopt(None)
        live.discard_old_generations()


def _copy(live: LiveCollection, state: State, order: Rows, store: VectorStore) -> None:
    """Write the next generation: the vectors of these rows, in this order."""
    vectors = live.vectors.of(state)
    live.files.step("compact: before vectors")
    for start in range(0, len(order), _BLOCK_ROWS):
        store.append(start, vectors[order[start : start + _BLOCK_ROWS]])
    live.files.step("compact: vectors synced")
