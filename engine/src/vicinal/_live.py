"""How does an open collection stay current?

A `LiveCollection` joins the truth of one collection (its database and vectors) with what is derived
from it (the view, the columns, the graph). Whatever is derived remembers the change it covers, and is
brought to a transaction's change, from the change log, before it is used: so a query sees one committed
state, whichever thread or process wrote it. Nothing here is durable but what `_storage` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from uuid import UUID

import numpy as np

from vicinal import _derived, _words
from vicinal._codes import LiveCodes
from vicinal._derived import MovedError
from vicinal._fields import LiveColumns
from vicinal._index import planner
from vicinal._index.graph import Graph
from vicinal._index.view import EMPTY, View, advance
from vicinal._request import CollectionInfo
from vicinal._snapshot import Snapshot
from vicinal._storage import changes, checkpoint, fsck, readonly, records
from vicinal._storage.changes import Delta, State
from vicinal._storage.database import Transaction
from vicinal._storage.files import Files, exists
from vicinal._storage.generations import Generations, VectorsMissingError
from vicinal._storage.lock import FileLock, NoLock
from vicinal._storage.records import NewRecord
from vicinal._storage.schema import RECORDS
from vicinal._turns import Lock
from vicinal._words import LiveWords
from vicinal.errors import ClosedError, CorruptionError, NotFoundError, StorageError, VicinalError
from vicinal.types import Vectors

CHECKPOINTS = (*_derived.NAMES, *_words.NAMES)
"""The derived files that are kept beside a collection's records."""
_ASKED_AGAIN = 8  # times, before what has passed is made from nothing
_NOT_OURS = (ValueError, TypeError, LookupError, ArithmeticError)

Found = TypeVar("Found")


class LiveCollection:
    """One collection, open in this process. All methods may be called from any thread."""

    def __init__(
        self,
        info: CollectionInfo,
        directory: Path | None,
        files: Files,
        upkeep: Callable[[LiveCollection, float], None],
        has_forgotten: Callable[[UUID], bool],
    ) -> None:
        self.info, self.directory, self.files = info, directory, files
        self.hnsw = info.configuration.hnsw
        self.users = 0
        self.vectors = Generations(directory, files)
        self.database = readonly.database(
            None if directory is None else directory / "records.sqlite3",
            RECORDS,
            files,
            must_exist=bool(self.vectors.found()),
        )
        self._view = EMPTY
        self._dropped = False
        self._upkeep, self._has_forgotten = upkeep, has_forgotten
        self.upkeep_lock: FileLock | NoLock = (
            NoLock() if directory is None else FileLock(directory / "upkeep.lock")
        )
        self.verified: set[str] = set()
        """The checkpoints whose files have been compared with their manifests since opening."""
        self.touched = 0
        """The address of the vectors whose pages the background has put in place."""
        self.graph_kept_s = 0.0
        """When the graph was last written to its checkpoint while it was built; `time.monotonic`."""
        self._start_deriving()
        try:
            self.discard_old_generations()
            self._discard_other_histories()
        except BaseException:
            self.close()
            raise

    def _start_deriving(self) -> None:
        self._catching_up = Lock()
        self.columns = LiveColumns(self.checkpoints)
        self.words = LiveWords(self.checkpoints, self.info.configuration.text)
        self.codes = LiveCodes(self.checkpoints, self.hnsw.space, self.verified)
        self.graph: Graph | None = None

    @property
    def checkpoints(self) -> Path | None:
        """Where derived files are kept; None in memory."""
        return None if self.directory is None else self.directory / "checkpoints"

    # --- reading and writing -------------------------------------------------------------------

    def ask(self, question: Callable[[Snapshot], Found]) -> Found:
        """What a question finds in one committed state.

        It is asked of the newest view that this process knows, without a transaction, as long as what it
        reads confirms that nobody has committed since; otherwise it is asked again, in a transaction. And
        again, if what it needs has gone on to a later state meanwhile, for another thread.
        """
        view = self._view
        if self.directory is not None and view.change:
            with suppress(MovedError), self._explained(), self.database.read(begin=False) as connection:
                snapshot = Snapshot(self, connection, view, begun=False, again=True)
                found = question(snapshot)
                snapshot.confirm()
                return found
        for _ in range(_ASKED_AGAIN):
            with suppress(MovedError), self.read(again=True) as snapshot:
                return question(snapshot)
        with self.read() as snapshot:
            return question(snapshot)

    @contextmanager
    def read(self, *, again: bool = False) -> Iterator[Snapshot]:
        """One committed state, for as long as the block lasts; or, where it can be had `again`, `MovedError`
        when another has followed it."""
        snapshot, missing = None, None
        while snapshot is None:  # again only when somebody was faster than this transaction
            with self._explained(), self.database.read() as tx:
                try:
                    snapshot = self.snapshot(tx, again=again)
                except VectorsMissingError as error:
                    if error.path == missing:
                        raise CorruptionError(path=str(missing), problem="is missing") from None
                    missing = error.path
                if snapshot is not None:
                    yield snapshot

    @contextmanager
    def write(self) -> Iterator[tuple[Transaction, State]]:
        """The write transaction of this collection; it commits when the block ends."""
        with self._explained(), self.database.write() as tx:
            try:
                yield tx, self.state(tx)
            except VectorsMissingError as error:  # nobody compacts while this transaction lasts
                raise CorruptionError(path=str(error.path), problem="is missing") from None

    def state(self, tx: Transaction) -> State:
        """The committed state, or `NotFoundError` once the collection is deleted."""
        state = changes.state(tx)
        if state.dropped:
            self._dropped = True
            raise self._gone()
        return state

    @contextmanager
    def read_state(self) -> Iterator[State]:
        """The committed state alone, for what needs no view."""
        with self._explained(), self.database.read() as tx:
            yield self.state(tx)

    def generation(self) -> int:
        """How often the rows have been numbered anew."""
        with self.read_state() as state:
            return state.generation

    def snapshot(self, tx: Transaction, *, again: bool = False) -> Snapshot | None:
        """The view at the transaction's change; None when newer views have replaced it."""
        state = self.state(tx)
        view = self._view
        if view.change < state.change:
            view = self._catch_up(tx, state)
        return Snapshot(self, tx, view, begun=True, again=again) if view.change == state.change else None

    def committed(self, before: State, after: State, delta: Delta, added: Sequence[NewRecord]) -> None:
        """See a change of this process's own, which took `before` to `after`, without reading it again.

        It is true already: where there is no memory for what is derived from it, the next reading makes that.
        """
        with suppress(VectorsMissingError, StorageError, MemoryError):
            with self._catching_up:
                view = self._view
                if (view.change, view.generation) == (before.change, before.generation):
                    pairs = np.array([record[:2] for record in added], dtype=np.int64).reshape(-1, 2)
                    self._view = advance(
                        view,
                        change=after.change,
                        generation=after.generation,
                        rows=after.rows,
                        removed=delta.removed,
                        live=(pairs[:, 0], pairs[:, 1]),
                        vectors=self.vectors.of(after),
                    )
            self.codes.committed(self._view, before.rows)
            self.columns.committed(before, after, delta, added)

    def discard_generation(self, generation: int) -> None:
        """Remove the vectors of rows as they were numbered before a compaction."""
        with self._catching_up:
            if self._view.generation == generation:
                self._view = EMPTY  # it maps the file, which may keep it from being removed
        self.vectors.discard(generation)

    def discard_outdated_checkpoints(self) -> None:
        """Remove those of rows as they were numbered before a compaction."""
        if self.checkpoints is not None:
            generation = self.generation()
            kept = {name: checkpoint.covers(self.checkpoints, name) for name in CHECKPOINTS}
            self._discard_checkpoints(
                n for n, covers in kept.items() if covers.get("generation") != generation
            )

    def forget_texts(self) -> None:
        """Begin anew what is derived from texts and metadata: it may remember those that were replaced."""
        self.columns.forget()
        self.words.forget()
        self._discard_checkpoints(("columns", *_words.NAMES))

    def _discard_checkpoints(self, names: Iterable[str]) -> None:
        """Remove checkpoints; what they keep is in memory, or will be made anew."""
        if self.checkpoints is not None:
            for name in names:
                checkpoint.discard(self.checkpoints, name, self.files)

    def wake(self, after_s: float = 0.0) -> None:
        """Let the background look at what is new."""
        self._upkeep(self, after_s)

    def drop(self) -> None:
        """Tell everyone that the collection is deleted, and remove its files."""
        # One that is damaged can be deleted, too, and one whose files another thread is removing.
        with suppress(NotFoundError, StorageError), self.write() as (tx, _):
            changes.drop(tx)
        self._dropped = True
        self.close()
        if self.directory is not None:
            self.files.remove_tree(self.directory)

    def is_deleted(self) -> bool:
        """Whether it was deleted, as far as can be told. The catalog forgets a collection before any of its
        files goes, and what else says so may be missing: who is opening it just now makes them again."""
        return self._dropped or self._has_forgotten(self.info.id)

    def tidy(self) -> None:
        """Remove what was written beside a deletion: that removes files while others still make some.

        What an older catalog, put back, names again is left to whoever put it back.
        """
        if self.directory is not None and not self.files.read_only and self._has_forgotten(self.info.id):
            self.files.remove_tree(self.directory)

    def close(self) -> None:
        """Let go of files."""
        self.database.close()
        self.vectors.adopt(None)
        # What maps a file may keep that from being removed.
        self._view = EMPTY
        self._start_deriving()
        self.upkeep_lock.release()

    def after_fork(self) -> None:
        """In the child of a fork, where only memory survives: new locks, and a graph of its own."""
        self.database.after_fork()
        self.vectors.after_fork()
        self._start_deriving()

    def check(self) -> list[str]:
        """What in this collection's truth contradicts itself."""
        findings: list[str] = []
        try:
            findings.extend(self._contradictions())
        except (StorageError, *_NOT_OURS) as error:
            findings.append(f"reading ended early: {error}")
        if self.checkpoints is not None:
            for name in CHECKPOINTS:
                findings += checkpoint.check(self.checkpoints, name)
        return findings

    def _contradictions(self) -> Iterator[str]:
        """What contradicts itself in one committed state."""
        vectors: Vectors | str | None = None
        missing = None
        while vectors is None:  # again only when a compaction was faster than the transaction
            with self.database.read() as tx:
                try:
                    vectors = self.vectors.of(self.state(tx))
                except VectorsMissingError as error:
                    vectors = str(error) if error.path == missing else None
                    missing = error.path
                except StorageError as error:
                    vectors = str(error)
                if vectors is not None:
                    yield from fsck.check(tx, vectors)

    def discard_old_generations(self) -> None:
        """Remove vector files that a compaction has left which was killed, or whose COMMIT failed."""
        if self.files.read_only or len(self.vectors.found()) < 2:
            return
        with suppress(NotFoundError), self.write() as (_, state):  # nobody compacts meanwhile
            self.vectors.discard_others(state.generation)

    def _discard_other_histories(self) -> None:
        """Remove checkpoints of what was never committed here: an older copy of the records has been put in
        place of newer ones. In time there would be as many changes again, and those taken for these; so one
        that cannot be read now goes, too, and a state that cannot be read is an error."""
        if self.checkpoints is None or self.files.read_only or not exists(self.checkpoints):
            return
        kept = {name: checkpoint.known(self.checkpoints, name) for name in CHECKPOINTS}
        # The state is read after the manifests: what others keep meanwhile is never ahead of it.
        with suppress(NotFoundError, CorruptionError), self.read_state() as state:
            self._discard_checkpoints(
                name for name, covers in kept.items() if covers is None or _derived.is_ahead(covers, state)
            )

    def _gone(self) -> NotFoundError:
        return NotFoundError(kind="Collection", key=str(self.info.id))

    def _explained(self) -> AbstractContextManager[None]:
        return _Explained(self)

    def explain(self, error: BaseException) -> None:
        """Say what is behind an error: a deleted collection, or a damaged one.

        A collection deleted under its users' hands is not found, rather than closed or unreadable. And an
        exception that is none of ours comes from damaged data, if `check` finds any, or from a mistake of
        ours, which must not hide.
        """
        if isinstance(error, (ClosedError, StorageError)):
            # The catalog may be gone, too, where somebody has removed the whole directory.
            if self.is_deleted() or (self.directory is not None and not exists(self.directory)):
                raise self._gone() from error
        elif isinstance(error, _NOT_OURS) and not isinstance(error, VicinalError):
            damage = [finding for finding in self.check() if not finding.startswith("checkpoint")]
            if damage:
                where = str(self.directory or self.info.name)
                raise CorruptionError(path=where, problem=f"damaged: {damage[0]}") from error

    def _catch_up(self, tx: Transaction, state: State) -> View:
        with self._catching_up:
            view = self._view
            if view.change >= state.change:
                return view
            vectors = self.vectors.of(state)
            if view is EMPTY and self.checkpoints is not None:
                view = _derived.load_rows(self.checkpoints, state.generation, state.change, vectors)
            if view.change < state.change:
                delta = changes.since(tx, view.change) if view.generation == state.generation else None
                if delta is None:
                    view, delta = EMPTY, Delta()
                view = advance(
                    view,
                    change=state.change,
                    generation=state.generation,
                    rows=state.rows,
                    removed=delta.removed,
                    live=records.live_rows(tx, view.rows),
                    vectors=vectors,
                )
            self._view = view
            if planner.wants_codes(view):
                self.wake()
            return view

    # --- what is derived -----------------------------------------------------------------------

    def prepares(self, view: View) -> bool:
        """Whether the background makes columns and words; of a small collection, questions make their own."""
        return self.info.configuration.text is not None or planner.wants_codes(view)

    def graph_of(self, view: View) -> Graph | None:
        """The graph, when its row numbers are the view's."""
        graph = self.graph
        return graph if graph is not None and graph.generation == view.generation else None


class _Explained:
    """A context whose errors a collection explains."""

    __slots__ = ("_live",)

    def __init__(self, live: LiveCollection) -> None:
        self._live = live

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._live.explain(error)
