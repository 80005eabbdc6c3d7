"""How does a whole Chroma directory move in, and what if the machine stops half-way?

Collection by collection. Each is written under a name of its own (`importing-…`) and gets its real name when
the last record is there, so under that name it is whole or absent. What an earlier attempt left unfinished
is deleted first. Several imports into one directory at once are not meant.

Chroma has taken records that Vicinal refuses. They are found by halving the batch that is refused, left out
and reported; the others go over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from vicinal import _request as r
from vicinal._admin import backend_at
from vicinal._backend import Backend
from vicinal._chroma import catalog, segment
from vicinal._chroma.log import Log
from vicinal._chroma.records import Batch, Records
from vicinal._settings import directory_of
from vicinal._storage.database import Transaction
from vicinal._storage.files import status_of
from vicinal.collection import Collection
from vicinal.errors import CorruptionError, InvalidArgumentError, NotFoundError, UniqueConstraintError

SCHEME = "chroma://"
BATCH_ROWS = 2_000

Progress = Callable[[str, int, int], None]
"""Called with a collection's name, the records written so far and about how many there are."""


@dataclass(frozen=True)
class Moved:
    """What became of one collection."""

    name: str
    tenant: str
    database: str
    records: int
    lost: tuple[str, ...] = ()
    """The ids of records whose vectors the source does not hold; they were left out."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Id → why Vicinal does not take the record; it was left out."""
    skipped: bool = False
    """There was a collection of that name already."""
    disturbed: bool = False
    """The source was written to while the collection was read; it was left out."""
    damaged: str | None = None
    """What of the source is damaged, so that the collection was left out."""


def import_directory(
    source: str | os.PathLike[str],
    into: str | os.PathLike[str],
    *,
    collections: Iterable[str] | None = None,
    skip_existing: bool = False,
    progress: Progress | None = None,
) -> list[Moved]:
    """Copy the collections of a Chroma directory (0.4.15 or later) to a Vicinal one, made if need be.

    Tenants, databases, names, metadata, configurations and all records are kept; a collection gets a new id.
    No program may write to the source meanwhile: a collection that one does write to is left out, as are one
    whose index is damaged, and records that Vicinal refuses or whose vectors are lost.

    Args:
        source: The directory that holds `chroma.sqlite3`, or `chroma://` and that.
        into: The directory of the Vicinal database.
        collections: Only those of these names, in every tenant and database.
        skip_existing: Leave collections alone whose names are taken in `into`, instead of refusing.
        progress: Called after every batch.

    Raises:
        StorageError: There is no Chroma database, or it cannot be read.
        NotFoundError: One of `collections` is not there. Nothing was written.
        UniqueConstraintError: A name is taken in `into`. Nothing was written.
    """
    path = directory_of(os.fspath(source).removeprefix(SCHEME), "source")
    with catalog.opened(path) as tx:
        found = catalog.collections(tx, path)
        chosen = _chosen(found, collections)
        with closing(backend_at(directory_of(into, "into"))) as target:
            taken = {_place(s) for s in chosen if _find(target, s, s.name) is not None}
            if taken and not skip_existing:
                raise UniqueConstraintError(
                    kind="Collection",
                    key=", ".join(sorted(name for *_, name in taken)),
                    hint="Import into another directory, name other collections, or skip those that exist",
                )
            for each in found:
                _drop_unfinished(target, each)
            if collections is None:
                _organize(target, catalog.tenants(tx), catalog.databases(tx))
            log = Log(tx)
            return [
                Moved(s.name, s.tenant, s.database, 0, skipped=True)
                if _place(s) in taken
                else _move(tx, log, path, s, target, progress)
                for s in chosen
            ]


def _place(source: catalog.Source) -> tuple[str, str, str]:
    return source.tenant, source.database, source.name


def _chosen(found: list[catalog.Source], names: Iterable[str] | None) -> list[catalog.Source]:
    if names is None:
        return found
    wanted = {names} if isinstance(names, str) else set(names)
    if missing := wanted - {source.name for source in found}:
        hint = "The source has " + (", ".join(sorted({source.name for source in found})) or "none")
        raise NotFoundError(kind="Collection", key=", ".join(sorted(missing)), hint=hint)
    return [source for source in found if source.name in wanted]


def _organize(target: Backend, tenants: Iterable[str], databases: Iterable[tuple[str, str]]) -> None:
    """Make the tenants and databases that the target lacks."""
    for tenant in tenants:
        if not target.organize(r.Organize("list", "tenant", name=tenant)):
            target.organize(r.Organize("create", "tenant", name=tenant))
    for tenant, database in databases:
        if not target.organize(r.Organize("list", "database", tenant, database)):
            target.organize(r.Organize("create", "database", tenant, database))


def _find(target: Backend, source: catalog.Source, name: str) -> r.CollectionInfo | None:
    if not target.organize(r.Organize("list", "tenant", name=source.tenant)):
        return None
    if not target.organize(r.Organize("list", "database", source.tenant, source.database)):
        return None
    found = target.list(r.List(r.Namespace(source.tenant, source.database), name=name))
    return found[0] if found else None


def _unfinished(source: catalog.Source) -> str:
    """The name of a collection until it is whole."""
    return f"importing-{source.id}"


def _drop_unfinished(target: Backend, source: catalog.Source) -> None:
    if _find(target, source, _unfinished(source)) is not None:
        target.drop(r.Drop(r.Namespace(source.tenant, source.database), _unfinished(source)))


def _move(
    tx: Transaction, log: Log, path: Path, source: catalog.Source, target: Backend, progress: Progress | None
) -> Moved:
    _organize(target, [source.tenant], [(source.tenant, source.database)])
    space = r.Namespace(source.tenant, source.database)
    request = r.Create(space, _unfinished(source), source.metadata, source.configuration, get_or_create=False)
    collection = Collection(target, target.create(request), None)
    try:
        moved = _fill(tx, log, path, source, collection, progress)
        if moved.disturbed:
            _drop_unfinished(target, source)
        else:
            target.modify(r.Modify(collection.id, name=source.name))
    except _DamagedError as error:
        _drop_unfinished(target, source)
        return Moved(source.name, source.tenant, source.database, 0, damaged=str(error))
    except BaseException:
        _drop_unfinished(target, source)
        raise
    return moved


def _fill(
    tx: Transaction,
    log: Log,
    path: Path,
    source: catalog.Source,
    collection: Collection,
    progress: Progress | None,
) -> Moved:
    before = dict(_files(path, source))
    written, lost, refused = 0, list[str](), dict[str, str]()
    for expected, batch in _batches(tx, log, path, source):
        lost += batch.lost
        if batch.ids:
            not_taken = _add(collection, batch)
            refused.update(not_taken)
            written += len(batch.ids) - len(not_taken)
        if progress is not None:
            progress(source.name, written, max(expected, written))
    if before != dict(_files(path, source)):
        return Moved(source.name, source.tenant, source.database, 0, disturbed=True)
    return Moved(source.name, source.tenant, source.database, written, tuple(lost), refused)


class _DamagedError(Exception):
    """The source's files do not hold what they should; the target's are as ever."""


def _batches(tx: Transaction, log: Log, path: Path, source: catalog.Source) -> Iterator[tuple[int, Batch]]:
    """The records of a collection, and about how many there are."""
    try:
        records = Records(tx, log, path, source)
        expected = records.count()
        for batch in records.batches(BATCH_ROWS):
            yield expected, batch
    except CorruptionError as error:
        raise _DamagedError(error) from error


def _add(collection: Collection, batch: Batch) -> dict[str, str]:
    """Add what Vicinal takes of a batch; id → why it does not take the others."""
    try:
        collection.add(batch.ids, batch.embeddings, batch.metadatas, batch.documents, uris=batch.uris)
    except InvalidArgumentError as error:
        if len(batch.ids) == 1:
            return {batch.ids[0]: str(error).replace("[0]", "", 1)}
        first, others = batch.halves()
        return {**_add(collection, first), **_add(collection, others)}
    return {}


def _files(path: Path, source: catalog.Source) -> Iterator[tuple[str, tuple[int, int]]]:
    """The state of the files that Chroma replaces without asking SQLite."""
    for name in segment.FILES if source.vector_segment else ():
        file = path / str(source.vector_segment) / name
        found = status_of(file)
        if found is not None:
            yield name, (found.st_size, found.st_mtime_ns)
