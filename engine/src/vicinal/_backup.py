"""How is a database copied while others write to it?

Each SQLite file is copied by SQLite's own online backup, which gives one committed state. The vectors of
that state are rows that nobody changes any more, so they are copied after it, and only those that the
target does not hold yet. A backup is a directory like any other: opening it restores it.
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID, uuid4

from vicinal._opened import OpenCollections
from vicinal._storage import catalog, changes
from vicinal._storage.database import Database
from vicinal._storage.files import Files
from vicinal._storage.schema import CATALOG, RECORDS
from vicinal.errors import NotFoundError, StorageError

_BLOCK = 8 << 20


def backup(opened: OpenCollections, target: Path, files: Files) -> None:
    """Bring a directory, new or an earlier backup, to the present state of the database."""
    if opened.path is not None and target.resolve() == opened.path.resolve():
        raise StorageError(path=str(target), problem="is the database itself; a backup needs its own place")
    files.make_directory(target / "collections")
    names = _copy_database(opened.catalog, target / "catalog.sqlite3", CATALOG, files)
    with names.write() as tx:
        for id in catalog.names(tx):
            try:
                with opened.using(UUID(id)) as live:
                    _copy_collection(live.database, live.directory, target / "collections" / id, files)
            except NotFoundError:  # deleted since the catalog was copied
                catalog.delete(tx, id)
        known = catalog.names(tx)
    names.close()
    for directory in (target / "collections").iterdir():
        if directory.name not in known:
            files.remove_tree(directory)


def _copy_collection(source: Database, directory: Path | None, target: Path, files: Files) -> None:
    assert directory is not None
    files.make_directory(target)
    while True:
        copied = _copy_database(source, target / "records.sqlite3", RECORDS, files)
        with copied.read() as tx:
            state = changes.state(tx)
        copied.close()
        name = f"vectors-{state.generation}.f32"
        try:
            if state.dimension is not None and state.rows:
                size = state.rows * state.dimension * 4
                _copy_bytes(directory / name, target / name, size, files)
        except FileNotFoundError:
            continue  # compacted in between: copy the state that followed
        for old in target.glob("vectors-*.f32"):
            if old.name != name:
                files.remove(old)
        return


def _copy_database(source: Database, target: Path, schema: str, files: Files) -> Database:
    """A copy under its final name, durable, and open."""
    temporary = target.with_name(f"{target.name}-{uuid4().hex}")
    source.copy(temporary)
    for suffix in ("-wal", "-shm"):
        files.remove(target.with_name(target.name + suffix))
        files.remove(temporary.with_name(temporary.name + suffix))
    files.sync_path(temporary)
    files.replace(temporary, target)
    return Database(target, schema, must_exist=True)


def _copy_bytes(source: Path, target: Path, size: int, files: Files) -> None:
    """The first `size` bytes; those that the target has already are the same, for rows never change."""
    with source.open("rb") as reading:
        writing = files.open(target, create=True)
        try:
            have = min(writing.size, size)
            os.ftruncate(writing.fd, have)
            reading.seek(have)
            while have < size:
                block = reading.read(min(_BLOCK, size - have))
                if not block:
                    raise StorageError(path=str(source), problem=f"ends before byte {size}")
                files.write_at(writing, memoryview(block), have)
                have += len(block)
            files.sync(writing)
        finally:
            writing.close()
