"""THE write path, and how the other verbs are done on this machine.

Each verb reads from top to bottom. Writes: everything that can fail on the caller's input fails before
the lock; then lock, decide, vectors, rows, log, COMMIT. Reads: one snapshot, filter, search, fetch
(a query's part of that is in `_search`).
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from vicinal import _request as r
from vicinal._backup import backup
from vicinal._compact import compact
from vicinal._index.view import Rows
from vicinal._live import LiveCollection, Snapshot
from vicinal._opened import OpenCollections, info_of
from vicinal._repair import repair
from vicinal._search import answer, check_dimension, fetch
from vicinal._storage import catalog, changes, fsck, records
from vicinal._storage.changes import Delta, State
from vicinal._storage.files import Files
from vicinal._write import decide, encode_metadatas
from vicinal.errors import NotFoundError, StorageError, UniqueConstraintError

Findings = list[str]  # inside the class, `list` is the verb
_NO_ROWS: Rows = np.empty(0, dtype=np.int64)


class LocalBackend:
    """Collections in a directory, or in memory when there is none."""

    def __init__(self, path: Path | None, files: Files | None = None) -> None:
        self._files = files or Files()
        self._opened = OpenCollections(path, self._files)
        # Also at exit: a thread inside hnswlib must not outlive the interpreter.
        self._closer = weakref.finalize(self, self._opened.close)

    # --- records -------------------------------------------------------------------------------

    def write(self, request: r.Write) -> r.WriteInfo:
        texts = encode_metadatas(request)
        with self._opened.using(request.collection) as live, live.write() as (tx, state):
            dimension = self._dimension(live, request, state)
            rows = records.rows_of(tx, request.ids)
            before = records.fetch(tx, list(rows.values()), "position, document, metadata, uri")
            stored = live.committed_vectors(state)
            decision = decide(request, texts, state, rows, before, stored, live.info.name)
            if decision.changes_nothing:
                return decision.info()
            if decision.inserted:
                assert dimension is not None and request.embeddings is not None
                self._files.step("write: before vectors")
                store = live.vectors(dimension, state.generation)
                store.append(state.rows, request.embeddings[decision.sources])
                self._files.step("write: vectors synced")
            records.delete(tx, decision.removed)
            records.insert(tx, decision.inserted)
            records.replace(tx, decision.replaced)
            changes.log(tx, decision.state(state, dimension), decision.delta())
            self._files.step("write: before commit")
        # COMMIT has returned: from here the write is true, and all that follows may be lost and redone.
        self._files.step("write: committed")
        live.wake()
        return decision.info()

    def remove(self, request: r.Remove) -> int:
        with self._opened.using(request.collection) as live, live.write() as (tx, state):
            snapshot = live.snapshot(tx)
            assert snapshot is not None  # nobody commits while this transaction holds the lock
            rows = self._rows(snapshot, request.ids, request.where)[: request.limit]
            if not len(rows):
                return 0
            records.delete(tx, rows.tolist())
            after = replace(state, change=state.change + 1, records=state.records - len(rows))
            changes.log(tx, after, Delta(removed=rows, altered=_NO_ROWS))
            self._files.step("remove: before commit")
        self._files.step("remove: committed")
        live.wake()
        return len(rows)

    def select(self, request: r.Select) -> r.Records:
        with self._opened.using(request.collection) as live, live.read() as snapshot:
            rows = self._rows(snapshot, request.ids, request.where)[request.offset :][: request.limit]
            return fetch(snapshot, rows, request.fields)

    def search(self, request: r.Search) -> r.Answer:
        with self._opened.using(request.collection) as live, live.read() as snapshot:
            return answer(snapshot, request)

    def status(self, request: r.Status) -> r.StatusInfo:
        with self._opened.using(request.collection) as live, live.read_state() as state:
            indexed = live.graph.rows if live.graph is not None else 0
            return r.StatusInfo(state.records, state.rows, indexed, state.dimension)

    def maintain(self, request: r.Maintain) -> Findings:
        if request.task == "check":
            return self._check()
        if request.task == "repair":
            return repair(self._opened, self._files)
        if request.task == "backup":
            assert request.target is not None
            backup(self._opened, request.target, self._files)
            return []
        assert request.collection is not None
        with self._opened.using(request.collection) as live:
            if request.task == "compact":
                compact(live)
            self._opened.wait(live)
        return []

    # --- collections ---------------------------------------------------------------------------

    def create(self, request: r.Create) -> r.CollectionInfo:
        space = request.namespace
        with self._opened.catalog.write() as tx:
            database = catalog.database_id(tx, space.tenant, space.database)
            if database is None:
                raise NotFoundError(kind="Database", key=space.database)
            found = catalog.find(tx, space.tenant, space.database, name=request.name)
            if found and not request.get_or_create:
                hint = "Use get_collection() to open it, or get_or_create_collection()"
                raise UniqueConstraintError(kind="Collection", key=request.name, hint=hint)
            if found:
                return info_of(found[0], space)
            id = uuid.uuid4()
            configuration = request.configuration.model_dump()
            catalog.insert(tx, str(id), request.name, database, request.metadata, configuration)
            self._files.step("create: before commit")
        self._files.step("create: committed")
        return r.CollectionInfo(id, request.name, request.metadata, request.configuration, space)

    def list(self, request: r.List) -> list[r.CollectionInfo]:
        space = request.namespace
        with self._opened.catalog.read() as tx:
            found = catalog.find(
                tx,
                space.tenant,
                space.database,
                name=request.name,
                id=None if request.id is None else str(request.id),
                limit=request.limit,
                offset=request.offset,
            )
        return [info_of(entry, space) for entry in found]

    def modify(self, request: r.Modify) -> r.CollectionInfo:
        with self._opened.catalog.write() as tx:
            found = catalog.get(tx, str(request.collection))
            if found is None:
                raise NotFoundError(kind="Collection", key=str(request.collection))
            tenant, database, entry = found
            if request.name is not None and request.name != entry.name:
                if catalog.find(tx, tenant, database, name=request.name):
                    raise UniqueConstraintError(kind="Collection", key=request.name)
                entry = replace(entry, name=request.name)
            if request.metadata is not None:
                entry = replace(entry, metadata=request.metadata)
            catalog.update(tx, str(entry.id), entry.name, entry.metadata)
            self._files.step("modify: before commit")
        info = info_of(entry, r.Namespace(tenant, database))
        self._opened.refresh(info)
        return info

    def drop(self, request: r.Drop) -> None:
        info = self._opened.entry(request.collection)
        with self._opened.catalog.write() as tx:
            if not catalog.delete(tx, str(request.collection)):
                raise NotFoundError(kind="Collection", key=str(request.collection))
            self._files.step("drop: before commit")
        # COMMIT has returned: the collection is gone; what is left of it is removed now or when the
        # directory is next opened.
        self._files.step("drop: committed")
        self._opened.remove(info)

    def close(self) -> None:
        self._closer()

    # --- how -----------------------------------------------------------------------------------

    def _check(self) -> Findings:
        with self._opened.catalog.read() as tx:
            findings = [f"catalog: the entry of {entry} is damaged" for entry in catalog.damaged(tx)]
            findings += [f"catalog: {finding}" for finding in fsck.integrity(tx)]
            names = catalog.names(tx)
        for id, name in names.items():
            try:
                with self._opened.using(UUID(id)) as live:
                    found = live.check()
            except NotFoundError:
                continue  # deleted since
            except (StorageError, ValueError, TypeError, AttributeError) as error:
                found = [f"cannot be opened: {error}"]
            findings.extend(f"collection {name}: {finding}" for finding in found)
        return findings

    @staticmethod
    def _dimension(live: LiveCollection, request: r.Write, state: State) -> int | None:
        """The collection's dimension, which its first vectors fix."""
        if request.embeddings is None:
            return state.dimension
        given = int(request.embeddings.shape[1])
        if state.dimension is not None:
            check_dimension(live.info.name, state.dimension, given, item=0)
        return given

    @staticmethod
    def _rows(snapshot: Snapshot, ids: Sequence[str] | None, where: Any) -> Rows:
        """The live rows that ids and filter allow, in the order of `get`."""
        allowed = snapshot.select(ids, where)
        alive = snapshot.view.alive
        return snapshot.view.order(np.flatnonzero(alive if allowed is None else alive & allowed))
