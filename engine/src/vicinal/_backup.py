"""How is a database copied while others write to it?

The catalog first, then each collection as of one commit (`_copy`); of the vectors, only those that the
target does not hold yet are written. A backup is a directory like any other: opening it restores it.
"""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from uuid import UUID

from vicinal._copy import copied_database, copy_collection, install_database
from vicinal._opened import OpenCollections
from vicinal._storage import catalog
from vicinal._storage.database import Database
from vicinal._storage.files import Files, exists, is_directory, translated
from vicinal._storage.schema import CATALOG
from vicinal.errors import NotFoundError, StorageError

_COLLECTION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TEMPORARY = re.compile(r".*\.sqlite3-[0-9a-f]{32}(-wal|-shm|-journal)?")


def backup(opened: OpenCollections, target: Path, files: Files) -> None:
    """Bring a directory, new or an earlier backup, to the present state of the database.

    Until the catalog is replaced, last but for the tidying, the target is still the earlier backup.
    """
    if opened.path is None:
        raise StorageError(path=str(target), problem="only a persistent client can be backed up")
    with opened.catalog.read() as tx:
        identity = catalog.identity(tx)
    with translated(target):
        _check_target(opened.path, identity, target)
        files.make_directory(target / "collections")
        _sweep(target, files)
        try:
            _copy(opened, target, files)
        finally:
            _sweep(target, files)


def _copy(opened: OpenCollections, target: Path, files: Files) -> None:
    assert opened.path is not None
    copied = copied_database(opened.catalog, target / "catalog.sqlite3")
    files.step("backup: catalog copied")
    unused: set[str] = set()
    with closing(Database(copied, CATALOG, must_exist=True)) as names, names.write() as tx:
        for id in catalog.names(tx):
            try:
                if opened.is_unused(UUID(id)):  # or deleted: then the catalog does not know it any more
                    opened.entry(UUID(id))
                    unused.add(id)
                    continue
                with opened.using(UUID(id)) as live:
                    if live.directory is not None:
                        place = target / "collections" / id
                        # An earlier backup may have been opened, and its checkpoints have gone other ways.
                        files.remove_tree(place / "checkpoints")
                        copy_collection(live.database, live.directory, place, files, purpose="backup")
            except StorageError:
                if opened.knows(UUID(id)):
                    raise
                catalog.delete(tx, id)
            except NotFoundError:  # deleted since the catalog was copied
                catalog.delete(tx, id)
        used = catalog.names(tx).keys() - unused
    files.step("backup: before catalog")
    install_database(copied, target / "catalog.sqlite3", files)
    files.step("backup: catalog replaced")
    for directory in (target / "collections").iterdir():
        if directory.name not in used:
            files.remove_tree(directory)


def _sweep(target: Path, files: Files) -> None:
    """Remove the copies that a backup had not come to install."""
    for place in (target, *(target / "collections").iterdir()):
        for entry in files.find(place, "*.sqlite3-*"):
            if _TEMPORARY.fullmatch(entry.name):
                files.remove(entry)


def _is_of_a_backup(entry: Path) -> bool:
    """Whether a backup that was interrupted may have made it."""
    if entry.name == "collections" and is_directory(entry):
        return all(_COLLECTION.fullmatch(inner.name) for inner in entry.iterdir())
    return entry.name.startswith("catalog.sqlite3-")


def _check_target(path: Path, identity: str, target: Path) -> None:
    """A backup replaces what it finds, so it must find nothing, or an earlier backup, perhaps unfinished."""
    place, source = target.resolve(), path.resolve()
    # Not by their names: a mount, or a file system to which "Notes" is "notes", gives a directory several.
    if exists(place) and place.samefile(source):
        raise StorageError(path=str(target), problem="is the database itself; a backup needs its own place")
    if any(level.samefile(source) for level in place.parents if exists(level)):
        raise StorageError(path=str(target), problem="lies inside the database; a backup needs its own place")
    found = list(target.iterdir()) if is_directory(target) else []
    if exists(target / "catalog.sqlite3"):
        with (
            closing(Database(target / "catalog.sqlite3", CATALOG, must_exist=True)) as held,
            held.read() as tx,
        ):
            found_identity = catalog.identity(tx)
        if found_identity != identity:
            raise StorageError(path=str(target), problem="is another database, not a backup of this one")
    elif not all(map(_is_of_a_backup, found)):
        raise StorageError(path=str(target), problem="is neither empty nor an earlier backup")
