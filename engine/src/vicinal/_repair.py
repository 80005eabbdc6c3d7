"""What can be saved from a damaged collection?

Every record whose texts and vector still agree with its checksum is copied to a new collection of the
same identity; the others are listed. The damaged directory is kept beside it, so nothing is destroyed.
Nobody else may have the database open meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from vicinal._opened import OpenCollections
from vicinal._storage import catalog, changes, checksums, records
from vicinal._storage.changes import Delta, State
from vicinal._storage.database import Database, Transaction
from vicinal._storage.files import Files
from vicinal._storage.schema import RECORDS
from vicinal._storage.vectors import VectorFile
from vicinal.errors import StorageError, VicinalError
from vicinal.types import Vectors

_NO_ROWS = np.empty(0, dtype=np.int64)
_COLUMNS = "row, position, id, document, metadata, uri, checksum"


def repair(opened: OpenCollections, files: Files) -> list[str]:
    """Repair every damaged collection; returns what was done and what was lost, in sentences."""
    if opened.path is None:
        return []
    with opened.catalog.read() as tx:
        names = catalog.names(tx)
    report: list[str] = []
    for id, name in names.items():
        directory = opened.path / "collections" / id
        if directory.exists() and _is_damaged(opened, UUID(id)):
            opened.forget(UUID(id))
            report += [f"collection {name}: {line}" for line in _salvage(directory, opened.path, files)]
    return report


def _is_damaged(opened: OpenCollections, id: UUID) -> bool:
    try:
        with opened.using(id) as live:
            return any(not finding.startswith("checkpoint") for finding in live.check())
    except StorageError:
        return True


def _salvage(directory: Path, root: Path, files: Files) -> Iterator[str]:
    fresh = root / "repairing" / directory.name
    files.remove_tree(fresh)
    files.make_directory(fresh)
    lost: list[str] = []
    whole = list(_whole(directory, lost))
    _write(fresh, whole, files)
    kept_at = root / "damaged" / f"{directory.name}-{uuid4().hex[:8]}"
    files.make_directory(kept_at.parent)
    files.replace(directory, kept_at)
    files.replace(fresh, directory)
    yield f"{len(whole)} records saved; the damaged files are in {kept_at}"
    yield from lost


Whole = tuple[tuple[Any, ...], Any]
"""(position, id, document, metadata, uri, checksum), and the vector."""


def _whole(directory: Path, lost: list[str]) -> Iterator[Whole]:
    """The records that are as they were written, in the order of `get`."""
    try:
        database = Database(directory / "records.sqlite3", RECORDS, must_exist=True)
    except VicinalError as error:
        lost.append(f"no record can be read: {error}")
        return
    found: list[Whole] = []
    try:
        with database.read() as tx:
            state = changes.state(tx)
            vectors = _vectors(directory, state)
            last = max(state.rows, len(vectors))
            for row, position, id, *texts, checksum in _readable(database, tx, 0, last, lost):
                document, metadata, uri = texts
                if row >= len(vectors):
                    lost.append(f"record {id!r}: its vector is missing")
                elif checksum != checksums.of_record(position, id, document, metadata, uri, vectors[row]):
                    lost.append(f"record {id!r}: its texts or its vector are not what was written")
                else:
                    found.append(((position, id, *texts, checksum), vectors[row]))
    except (VicinalError, UnicodeDecodeError) as error:
        lost.append(f"reading ended early: {error}")
    finally:
        database.close()
    seen: set[str] = set()
    for entry in sorted(found, key=lambda entry: entry[0][0]):
        if entry[0][1] not in seen:
            seen.add(entry[0][1])
            yield entry


def _vectors(directory: Path, state: State) -> Vectors:
    """All whole vectors of the file, committed or not; the checksums tell them apart."""
    path = directory / f"vectors-{state.generation}.f32"
    if state.dimension is None or not path.exists():
        return np.empty((0, 0), dtype=np.float32)
    data = np.fromfile(path, dtype="<f4")
    rows = len(data) // state.dimension
    return data[: rows * state.dimension].reshape(rows, state.dimension)


def _readable(
    database: Database, tx: Transaction, first: int, last: int, lost: list[str]
) -> Iterator[tuple[Any, ...]]:
    """Records of rows [first, last], halving what cannot be read until only the damaged rows are left out."""
    try:
        with database.translated():
            batch = tx.execute(
                f"SELECT {_COLUMNS} FROM records WHERE row BETWEEN ? AND ?", (first, last)
            ).fetchall()
    except StorageError:
        if first >= last:
            lost.append(f"row {first}: cannot be read")
            return
        middle = (first + last) // 2
        yield from _readable(database, tx, first, middle, lost)
        yield from _readable(database, tx, middle + 1, last, lost)
        return
    yield from batch


def _write(directory: Path, whole: list[Whole], files: Files) -> None:
    """A collection's directory that holds these records."""
    database = Database(directory / "records.sqlite3", RECORDS)
    try:
        with database.write() as tx:
            if not whole:
                return
            vectors = np.stack([vector for _, vector in whole])
            dimension = vectors.shape[1]
            store = VectorFile(directory / "vectors-0.f32", dimension, 0, files, create=True)
            store.append(0, vectors)
            records.insert(tx, [(row, *texts) for row, (texts, _) in enumerate(whole)])
            positions = 1 + max(texts[0] for texts, _ in whole)
            state = State(1, len(whole), len(whole), positions, dimension, 0, dropped=False)
            changes.log(tx, state, Delta(_NO_ROWS, _NO_ROWS))
    finally:
        database.close()
