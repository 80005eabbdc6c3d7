"""THE write path, and how the other verbs are done on this machine.

Each verb reads from top to bottom. Writes: everything that can fail on the caller's input fails before
the lock; then lock, decide, vectors, rows, log, COMMIT. Reads: one snapshot, filter, search, fetch
(a query's part of that is in `_search`).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import numpy as np

from vicinal import _left, _names
from vicinal import _request as r
from vicinal._backup import backup
from vicinal._compact import compact
from vicinal._expiry import allowed, expired, expired_ids, stamped
from vicinal._expressions import ranked
from vicinal._index import planner
from vicinal._index.view import Rows
from vicinal._live import LiveCollection
from vicinal._opened import OpenCollections
from vicinal._order import ordered
from vicinal._repair import repair
from vicinal._search import answer, check_dimension, fetch
from vicinal._snapshot import Snapshot
from vicinal._storage import catalog, changes, fsck, records
from vicinal._storage.changes import Delta, State
from vicinal._storage.database import Transaction
from vicinal._storage.files import Files
from vicinal._summary import summarize
from vicinal._turns import give_way, reading
from vicinal._write import Decision, decide, encode_metadatas, known_columns, update_of
from vicinal.errors import NotFoundError, StorageError

Found = TypeVar("Found")
Findings = list[str]  # inside the class, `list` is the verb
Namespaces = list[r.NamespaceInfo]
_NO_ROWS: Rows = np.empty(0, dtype=np.int64)
_PAUSE_S = 0.05  # after a write, before the background begins: what is asked next has the machine to itself


class LocalBackend:
    """Collections in a directory, or in memory when there is none."""

    def __init__(self, path: Path | None, files: Files | None = None) -> None:
        self._files = files or Files()
        self._opened = OpenCollections(path, self._files)
        self._closer = weakref.finalize(self, _left.close, self._opened)

    # --- records -------------------------------------------------------------------------------

    def write(self, request: r.Write) -> r.WriteInfo:
        with self._opened.using(request.collection) as live:
            request = stamped(live.info.configuration.expiry, request)
            texts = encode_metadatas(request)
            give_way()
            with live.write() as (tx, state):
                dimension = self._dimension(live, request, state)
                existing = records.by_id(tx, request.ids, known_columns(request.mode))
                metadatas = ((id, before[3]) for id, before in existing.items())
                over = expired_ids(live.info.configuration.expiry, metadatas)
                stored = live.vectors.of(state)
                decision = decide(request, texts, state, existing, over, stored, live.info.name)
                if decision.changes_nothing:
                    return decision.info()
                after = decision.state(state, dimension)
                with self._appending(live, request, decision, state):
                    self._enter(tx, decision, state, after)
                self._files.step("write: before commit")
            # COMMIT has returned: from here the write is true, and all that follows may be lost and redone.
            self._files.step("write: committed")
            live.committed(state, after, decision.delta(), decision.inserted)
            live.wake(_PAUSE_S)
            return decision.info()

    def alter(self, request: r.Alter) -> r.WriteInfo:
        with self._opened.using(request.collection) as live:
            with live.write() as (tx, state):
                snapshot = self._newest(live, tx)
                rows = snapshot.listed(allowed(snapshot, request.ids, request.where)).tolist()
                found = records.fetch(tx, rows, "id, position, document, metadata, uri")
                existing = {found[row][1]: (row, *found[row][2:]) for row in rows}
                write = stamped(live.info.configuration.expiry, update_of(request, tuple(existing)))
                stored = live.vectors.of(state)
                decision = decide(write, [], state, existing, [], stored, live.info.name)
                if decision.changes_nothing:
                    return decision.info()
                after = decision.state(state, state.dimension)
                self._enter(tx, decision, state, after)
                self._files.step("write: before commit")
            self._files.step("write: committed")
            live.committed(state, after, decision.delta(), decision.inserted)
            live.wake(_PAUSE_S)
            return decision.info()

    def remove(self, request: r.Remove) -> int:
        with self._opened.using(request.collection) as live, live.write() as (tx, state):
            snapshot = self._newest(live, tx)
            if request.expired:
                rows = self._expired_rows(snapshot)
            else:
                rows = snapshot.listed(allowed(snapshot, request.ids, request.where))[: request.limit]
            if not len(rows):
                return 0
            records.delete(tx, snapshot.view.positions_of(rows).tolist())
            after = state._replace(change=state.change + 1, records=state.records - len(rows))
            delta = Delta(removed=rows)
            changes.log(tx, after, delta)
            self._files.step("remove: before commit")
        self._files.step("remove: committed")
        live.committed(state, after, delta, [])
        live.wake(_PAUSE_S)
        return len(rows)

    def select(self, request: r.Select) -> r.Records:
        def question(snapshot: Snapshot) -> r.Records:
            rows = snapshot.listed(allowed(snapshot, request.ids, request.where))
            if request.order:
                rows = ordered(snapshot, rows, request.order)
            return fetch(snapshot, rows[request.offset :][: request.limit], request.fields)

        return self._ask(request.collection, question)

    def summarize(self, request: r.Summarize) -> r.Summary:
        def question(snapshot: Snapshot) -> r.Summary:
            mask = allowed(snapshot, request.ids, request.where)
            if request.key is None:
                return r.Summary(snapshot.view.matches(mask).count)
            return summarize(snapshot, snapshot.listed(mask), request)

        return self._ask(request.collection, question)

    def search(self, request: r.Search) -> r.Answer:
        return self._ask(request.collection, lambda snapshot: answer(snapshot, request))

    def rank(self, request: r.Rank) -> tuple[r.Records, ...]:
        return self._ask(
            request.collection, lambda snapshot: tuple(ranked(snapshot, one) for one in request.searches)
        )

    def status(self, request: r.Status) -> r.StatusInfo:
        with self._opened.using(request.collection) as live, live.read_state() as state:
            graph = live.graph
            indexed = graph.rows if graph is not None and graph.generation == state.generation else 0
            wanted = planner.graph_pays(state.records, state.dimension or 0)
            waiting = max(state.rows - indexed, 0) if wanted else 0
            if waiting and graph is not None:
                self._opened.attend(live)  # another process's rows: the background here has not heard of them
            unseen = max(indexed - graph.reviewed_rows, 0) if graph is not None else 0
            return r.StatusInfo(state.records, state.rows, indexed, state.dimension, waiting, unseen)

    def maintain(self, request: r.Maintain) -> Findings:
        if request.task == "check":
            return self._check()
        if request.task == "reset":
            _names.reset(self._opened, self._files)
            return []
        if request.task == "repair":
            return repair(self._opened, self._files)
        if request.task == "backup":
            assert request.target is not None
            backup(self._opened, request.target, self._files)
            return []
        assert request.collection is not None
        if request.task == "compact":
            self.remove(r.Remove(request.collection, ids=None, where=None, expired=True))
        with self._opened.using(request.collection) as live:
            if request.task == "compact":
                compact(live, thoroughly=True)
            self._opened.wait(live)
            if request.task == "compact":  # the background may have been writing one
                live.discard_outdated_checkpoints()
        return []

    # --- collections ---------------------------------------------------------------------------

    def create(self, request: r.Create) -> r.CollectionInfo:
        return _names.create(self._opened, self._files, request)

    def list(self, request: r.List) -> list[r.CollectionInfo]:
        return _names.list_collections(self._opened, request)

    def modify(self, request: r.Modify) -> r.CollectionInfo:
        return _names.modify(self._opened, self._files, request)

    def drop(self, request: r.Drop) -> None:
        _names.drop(self._opened, self._files, request)

    def fork(self, request: r.Fork) -> r.CollectionInfo:
        return _names.fork(self._opened, self._files, request)

    def organize(self, request: r.Organize) -> Namespaces:
        return _names.organize(self._opened, self._files, request)

    def close(self) -> None:
        if self._closer.detach() is not None:
            self._opened.close()

    # --- how -----------------------------------------------------------------------------------

    def _ask(self, collection: UUID, question: Callable[[Snapshot], Found]) -> Found:
        with reading(), self._opened.using(collection) as live:
            return live.ask(question)

    def _check(self) -> Findings:
        self._opened.catalog.check_place()
        with self._opened.catalog.read() as tx:
            found = [*catalog.damaged(tx), *fsck.integrity(tx)]
            findings = [f"catalog: {finding}" for finding in found]
            names = catalog.names(tx)
        for id, name in names.items():
            if self._opened.is_unused(UUID(id)):
                continue
            try:
                with self._opened.using(UUID(id)) as live:
                    found = live.check()
            except NotFoundError:
                continue  # deleted since
            except (StorageError, ValueError, TypeError, AttributeError) as error:
                found = [f"cannot be opened: {error}"]
            if found and not self._opened.has_forgotten(UUID(id)):  # while it was looked at
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
    def _expired_rows(snapshot: Snapshot) -> Rows:
        """The live rows whose time has come."""
        expiry = snapshot.live.info.configuration.expiry
        if expiry is None:
            return _NO_ROWS
        return snapshot.listed(snapshot.select(None, expired(expiry)))

    @staticmethod
    def _newest(live: LiveCollection, tx: Transaction) -> Snapshot:
        """What the holder of the write lock sees."""
        snapshot = live.snapshot(tx)
        assert snapshot is not None  # nobody commits while this transaction holds the lock
        return snapshot

    @contextmanager
    def _appending(
        self, live: LiveCollection, request: r.Write, decision: Decision, state: State
    ) -> Iterator[None]:
        """The vectors of new records are on the medium when the block, which enters the rest, has ended."""
        if not decision.inserted:
            yield
            return
        assert request.embeddings is not None
        vectors = request.embeddings[decision.sources]
        self._files.step("write: before vectors")
        with live.vectors.store(vectors.shape[1], state.generation).appending(state.rows, vectors):
            yield
        self._files.step("write: vectors synced")

    @staticmethod
    def _enter(tx: Transaction, decision: Decision, before: State, after: State) -> None:
        """What is decided becomes rows and a change; the caller's transaction makes it true."""
        records.delete(tx, decision.purged)
        records.insert(tx, decision.inserted, before.positions)
        records.replace(tx, decision.replaced)
        changes.log(tx, after, decision.delta())
