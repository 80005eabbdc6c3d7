"""How is a database copied while others write to it?

Each SQLite file is copied by SQLite's own online backup, which gives one committed state. The vectors of
that state are rows that nobody changes any more, so they are copied after it; only those that the
target does not hold yet are written. A backup is a directory like any other: opening it restores it.
"""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid4

from vicinal._opened import OpenCollections
from vicinal._storage import catalog, changes
from vicinal._storage.database import Database
from vicinal._storage.files import Files
from vicinal._storage.schema import CATALOG, RECORDS
from vicinal.errors import CorruptionError, NotFoundError, StorageError

_BLOCK = 8 << 20
_TEMPORARY = re.compile(r".*\.sqlite3-[0-9a-f]{32}(-wal|-shm|-journal)?")


def backup(opened: OpenCollections, target: Path, files: Files) -> None:
    """Bring a directory, new or an earlier backup, to the present state of the database.

    Until the catalog is replaced, last but for the tidying, the target is still the earlier backup.
    """
    if opened.path is None:
        raise StorageError(path=str(target), problem="only a persistent client can be backed up")
    _check_target(opened, target)
    files.make_directory(target / "collections")
    _sweep(target, files)
    try:
        _copy(opened, target, files)
    finally:
        _sweep(target, files)


def _copy(opened: OpenCollections, target: Path, files: Files) -> None:
    assert opened.path is not None
    copied = _copied(opened.catalog, target / "catalog.sqlite3")
    files.step("backup: catalog copied")
    with closing(Database(copied, CATALOG, must_exist=True)) as names, names.write() as tx:
        for id in catalog.names(tx):
            try:
                with opened.using(UUID(id)) as live:
                    _copy_collection(live.database, opened.path / "collections" / id, target, files)
            except StorageError:
                if not _is_gone(opened, UUID(id)):
                    raise
                catalog.delete(tx, id)
            except NotFoundError:  # deleted since the catalog was copied
                catalog.delete(tx, id)
        known = catalog.names(tx)
    files.step("backup: before catalog")
    _install(copied, target / "catalog.sqlite3", files)
    files.step("backup: catalog replaced")
    for directory in (target / "collections").iterdir():
        if directory.name not in known:
            files.remove_tree(directory)


def _is_gone(opened: OpenCollections, id: UUID) -> bool:
    """Whether a collection has been deleted meanwhile."""
    try:
        opened.entry(id)
    except NotFoundError:
        return True
    return False


def _sweep(target: Path, files: Files) -> None:
    """Remove the copies that a backup had not come to install."""
    for place in (target, *(target / "collections").iterdir()):
        for entry in place.glob("*.sqlite3-*"):
            if _TEMPORARY.fullmatch(entry.name):
                files.remove(entry)


def _check_target(opened: OpenCollections, target: Path) -> None:
    """A backup replaces what it finds, so it must find nothing, or an earlier backup, perhaps unfinished."""
    assert opened.path is not None
    place, source = target.resolve(), opened.path.resolve()
    if place == source:
        raise StorageError(path=str(target), problem="is the database itself; a backup needs its own place")
    if source in place.parents:
        raise StorageError(path=str(target), problem="lies inside the database; a backup needs its own place")
    found = list(target.iterdir()) if target.is_dir() else []
    if (target / "catalog.sqlite3").exists():
        with opened.catalog.read() as tx:
            ours = catalog.identity(tx)
        with closing(Database(target / "catalog.sqlite3", CATALOG)) as held, held.read() as tx:
            theirs = catalog.identity(tx)
        if ours != theirs:
            raise StorageError(path=str(target), problem="is another database, not a backup of this one")
    elif any(
        entry.name != "collections" and not entry.name.startswith("catalog.sqlite3-") for entry in found
    ):
        raise StorageError(path=str(target), problem="is neither empty nor an earlier backup")


def _copy_collection(source: Database, directory: Path, target: Path, files: Files) -> None:
    place = target / "collections" / directory.name
    files.make_directory(place)
    missing = None
    while True:
        copied = _copied(source, place / "records.sqlite3")
        with closing(Database(copied, RECORDS, must_exist=True)) as database, database.read() as tx:
            state = changes.state(tx)
        if state.dropped:
            raise NotFoundError(kind="Collection", key=directory.name)
        name = f"vectors-{state.generation}.f32"
        try:
            if state.dimension is not None and state.rows:
                size = state.rows * state.dimension * 4
                _copy_bytes(directory / name, place / name, size, files)
        except FileNotFoundError:
            if missing == name:
                raise CorruptionError(path=str(directory / name), problem="is missing") from None
            missing = name  # compacted in between: copy the state that followed
            files.remove(copied)
            continue
        files.step("backup: vectors copied")
        _install(copied, place / "records.sqlite3", files)
        files.step("backup: collection replaced")
        for old in place.glob("vectors-*.f32"):
            if old.name != name:
                files.remove(old)
        return


def _copied(source: Database, target: Path) -> Path:
    """One committed state of a database, in a file beside its target."""
    temporary = target.with_name(f"{target.name}-{uuid4().hex}")
    source.copy(temporary)
    return temporary


def _install(temporary: Path, target: Path, files: Files) -> None:
    """Give a copied database its final name, durably; nothing of an earlier one may linger beside it."""
    files.sync_path(temporary)
    for suffix in ("-wal", "-shm"):
        files.remove(target.with_name(target.name + suffix))
    files.replace(temporary, target)


def _copy_bytes(source: Path, target: Path, size: int, files: Files) -> None:
    """The first `size` bytes; blocks that an earlier backup holds already are compared, not written."""
    with source.open("rb") as reading:
        writing = files.open(target, create=True)
        with target.open("rb") as held:
            for offset in range(0, size, _BLOCK):
                block = reading.read(min(_BLOCK, size - offset))
                if len(block) < min(_BLOCK, size - offset):
                    raise StorageError(path=str(source), problem=f"ends before byte {size}")
                found = held.read(len(block))
                if found != block:
                    same = len(found) if block.startswith(found) else 0
                    files.write_at(writing, memoryview(block)[same:], offset + same)
                    held.seek(offset + len(block))
        files.sync(writing)
        writing.close()
