"""Which collections are open in this process?

Opening a collection costs files and memory, so the most recently used stay open and the others are
closed; in memory, where closing would be forgetting, all stay. A process that was forked from one that
had collections open opens its own: SQLite connections and threads do not survive a fork.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from types import TracebackType
from uuid import UUID

import numpy.ma  # noqa: F401 - which np.unique imports when first called: there may be no descriptor left then

from vicinal._index.indexer import Indexer
from vicinal._live import LiveCollection
from vicinal._locks import RLock
from vicinal._machine import descriptors_max
from vicinal._request import CollectionInfo, Namespace
from vicinal._storage import catalog, changes, forks, fsck, readonly
from vicinal._storage.database import Database, Transaction
from vicinal._storage.files import Files, absolute, exists, is_directory
from vicinal._storage.schema import CATALOG, RECORDS
from vicinal._upkeep import Upkeep
from vicinal.errors import ClosedError, NotFoundError, StorageError

OPEN_MAX = 64
"""Collections of one client that stay open, unless the process may have too few files open for so many."""
DESCRIPTORS = 12
"""What an open collection needs of them at the most."""
_LEFT = 64  # descriptors, for the rest of the program
_ABANDONED_S = 3600.0


class OpenCollections:
    """The catalog and the open collections of one database."""

    def __init__(self, path: Path | None, files: Files) -> None:
        # Absolute, because a program may change its working directory.
        self.path, self.files = None if path is None else absolute(path), files
        if self.path is not None and not files.read_only:
            files.make_directory(self.path)
            files.check_writable(self.path)
        self._closed = False
        self._start()
        try:
            if self.path is not None and not files.read_only:
                self._tidy()
        except BaseException:
            self.close()
            raise

    @property
    def catalog(self) -> Database:
        """The database of names."""
        if os.getpid() != self._pid:
            self._restart()
        return self._catalog

    def using(self, id: UUID) -> AbstractContextManager[LiveCollection]:
        """An open collection, which stays open for the length of the block."""
        return _Using(self, id)

    def take(self, id: UUID) -> LiveCollection:
        """An open collection, which stays open until it is given back."""
        if os.getpid() != self._pid:
            self._restart()
        while True:
            with self._lock:
                if self._closed:
                    raise ClosedError
                live, forgotten = self._live.get(id), self._forgotten
                if live is not None:
                    self._live.move_to_end(id)
                    live.users += 1
                    return live
            # Without the lock: opening waits for the catalog, and whoever has that may want the lock.
            opened = self._open(id)
            with self._lock:
                if not self._closed and id not in self._live and forgotten == self._forgotten:
                    if not self._is_passing(opened):
                        self._live[id] = opened
                    opened.users += 1
                    return opened
            opened.close()  # another thread was faster, or has deleted, repaired or closed it

    def give_back(self, live: LiveCollection) -> None:
        """One that `take` gave may be closed when there are too many."""
        with self._lock:
            live.users -= 1
            done = [live] if self._is_passing(live) else []
            if len(self._live) > self._most():
                done += self._idle()
        for one in done:
            one.close()

    def explain(self, live: LiveCollection, error: BaseException | None) -> None:
        """Say what is behind an error; what was deleted is not kept open."""
        if isinstance(error, (ClosedError, NotFoundError, StorageError)):
            try:
                live.explain(error)
            finally:
                if live.is_deleted():
                    self.forget(live.info.id)
                    live.tidy()

    def is_unused(self, id: UUID) -> bool:
        """Whether a collection has no files yet: opening it would make them."""
        directory = self._directory(id)
        return directory is not None and not exists(directory)

    def entry(self, id: UUID) -> CollectionInfo:
        """What the catalog says of a collection, or `NotFoundError`."""
        with self.catalog.read() as tx:
            found = catalog.get(tx, str(id))
        if found is None:
            raise NotFoundError(kind="Collection", key=str(id))
        tenant, database, entry = found
        return info_of(entry, Namespace(tenant, database))

    def knows(self, id: UUID) -> bool:
        """Whether the catalog has a collection."""
        try:
            self.entry(id)
        except NotFoundError:
            return False
        return True

    def has_forgotten(self, id: UUID) -> bool:
        """Whether the catalog has a collection no more; false where it cannot be asked."""
        try:
            return not self.knows(id)
        except (ClosedError, StorageError):
            return False

    def forget(self, id: UUID) -> None:
        """Close a collection, so that the next use opens it anew."""
        live = self._pop(id)
        if live is not None:
            live.close()

    def refresh(self, info: CollectionInfo) -> None:
        """Let an open collection know its new name and configuration."""
        with self._lock:
            if info.id in self._live:
                self._live[info.id].info = info
                self._live[info.id].hnsw = info.configuration.hnsw

    def unnamed(self, info: CollectionInfo) -> LiveCollection:
        """An empty collection in memory, to be filled, and then adopted under a name of its own."""
        return LiveCollection(info, None, self.files, self._wake, self.has_forgotten)

    def adopt(self, live: LiveCollection) -> None:
        """Take in a collection that was made elsewhere."""
        with self._lock:
            self._live[live.info.id] = live

    def remove(self, id: UUID) -> None:
        """Close a collection that the catalog has forgotten, tell everyone, and remove its files."""
        live = self._pop(id)
        directory = self._directory(id)
        if live is not None:
            live.drop()
        elif directory is not None and exists(directory):
            self._disown(directory)

    def close(self) -> None:
        """Close everything. The thread stops first: it reads the databases."""
        self._closed = True
        if os.getpid() != self._pid:
            return  # what was inherited belongs to the parent
        self.indexer.close()
        with self._lock:
            opened = list(self._live.values())
            self._live.clear()
        for live in opened:
            live.close()
        self._catalog.close()

    def works_in(self, thread: threading.Thread) -> bool:
        """Whether the background is this thread."""
        return self.indexer.works_in(thread)

    def wait(self, live: LiveCollection) -> None:
        """Return when the background has nothing left to do for a collection."""
        self._wake(live)
        self.indexer.wait(Upkeep(live))

    def attend(self, live: LiveCollection) -> None:
        """Let the background look at a collection, unless it will anyhow."""
        if not self.indexer.is_busy(Upkeep(live)):
            self._wake(live)

    # --- how -----------------------------------------------------------------------------------

    def _start(self) -> None:
        self._lock = RLock()
        self._live: OrderedDict[UUID, LiveCollection] = OrderedDict()
        self._room = max(1, (descriptors_max() - _LEFT) // DESCRIPTORS)
        self._forgotten = 0
        """How often a collection was forgotten: one that was being opened then is opened again."""
        self.indexer = Indexer()
        place = None if self.path is None else self.path / "catalog.sqlite3"
        must_exist = bool(self._directories())
        self._catalog = readonly.database(place, CATALOG, self.files, must_exist=must_exist)
        self._pid = os.getpid()  # last: who finds it to be right goes on

    def _wake(self, live: LiveCollection, after_s: float = 0.0) -> None:
        self.indexer.wake(Upkeep(live), after_s)

    def _restart(self) -> None:
        """Begin anew in a forked child, which shares no thread and no lock with its parent."""
        with forks.restarting():
            if self._closed:
                raise ClosedError
            if os.getpid() == self._pid:
                return  # another thread was faster
            if self.path is not None:
                self._start()
                return
            self._lock = RLock()
            self.indexer = Indexer()
            self._catalog.after_fork()
            for live in self._live.values():
                live.after_fork()
            self._pid = os.getpid()

    def _open(self, id: UUID) -> LiveCollection:
        info, directory = self.entry(id), self._directory(id)
        self.catalog.check_place()  # else the collection would be made where nobody looks for it
        made = directory is not None and exists(directory / "records.sqlite3")
        if self.files.read_only:
            directory = directory if made else None
        elif directory is not None and not made:  # who has made the database made this durable before
            self.files.make_directory(directory)
        try:
            live = LiveCollection(info, directory, self.files, self._wake, self.has_forgotten)
        except StorageError:
            # Deleted by another process meanwhile? Then it is not found, not damaged.
            if directory is not None and self.has_forgotten(id) and not self.files.read_only:
                self.files.remove_tree(directory)
            self.entry(id)
            raise
        if self.files.read_only:
            return live
        try:
            self.entry(id)  # another process may have deleted it while its directory was made here
        except NotFoundError:
            live.drop()
            raise
        except BaseException:
            live.close()
            raise
        return live

    def _is_passing(self, live: LiveCollection) -> bool:
        """Whether it has no files yet, and this client may not make them: next time they may be there."""
        return live.directory is None and self.path is not None

    def _directory(self, id: UUID) -> Path | None:
        return None if self.path is None else self.path / "collections" / str(id)

    def _pop(self, id: UUID) -> LiveCollection | None:
        """Forget a collection, also one that another thread is opening just now."""
        with self._lock:
            self._forgotten += 1
            return self._live.pop(id, None)

    def _most(self) -> int:
        """How many collections stay open."""
        return min(OPEN_MAX, self._room)

    def _idle(self) -> list[LiveCollection]:
        """Those used longest ago, as many as are too many, unless they are in use; they are to be closed."""
        idle: list[LiveCollection] = []
        for id, live in list(self._live.items()) if self.path is not None else ():
            if len(self._live) <= self._most():
                break
            # The background of a client that only reads is never done with a graph.
            if not live.users and (self.files.read_only or not self.indexer.is_busy(Upkeep(live))):
                idle.append(self._live.pop(id))
        return idle

    def _directories(self) -> list[Path]:
        if self.path is None:
            return []
        place = self.path / "collections"
        return [entry for entry in self.files.find(place, "*") if is_directory(entry)]

    def _tidy(self) -> None:
        """Remove what deleted collections have left behind."""
        self._discard_forks()
        left = self._directories()
        if not left:
            return
        with self.catalog.read() as tx:
            if not self._unknown(tx, left):
                return
        with self.catalog.write() as tx:  # a fork moves its directory and enters it within one transaction
            unknown = self._unknown(tx, self._directories())
            if unknown and (catalog.damaged(tx) or any(fsck.integrity(tx))):
                return  # a damaged catalog may have forgotten a collection that is all there
        for directory in unknown:
            self._disown(directory)

    @staticmethod
    def _unknown(tx: Transaction, directories: list[Path]) -> list[Path]:
        known = catalog.names(tx)
        # No link: what it leads to belongs to somebody else, perhaps to another database.
        return [entry for entry in directories if entry.name not in known and not entry.is_symlink()]

    def _discard_forks(self) -> None:
        """Remove copies that nobody finishes any more: who is writing one has touched it within the hour."""
        assert self.path is not None
        oldest = time.time() - _ABANDONED_S
        for staged in self.files.find(self.path, "forking-*"):
            with suppress(OSError):
                # Not `rglob`, to which a directory that cannot be listed is empty.
                if all(entry.stat().st_mtime < oldest for entry in (staged, *_below(staged))):
                    self.files.remove_tree(staged)

    def _disown(self, directory: Path) -> None:
        """Finish a deletion that was cut short: first tell processes that still have it open."""
        with suppress(StorageError):
            database = Database(directory / "records.sqlite3", RECORDS, must_exist=True)
            with closing(database), database.write() as tx:
                changes.drop(tx)
        self.files.remove_tree(directory)


def _below(directory: Path) -> Iterator[Path]:
    """All that is in a directory; `OSError` where that cannot be told."""
    for entry in directory.iterdir():
        yield entry
        if entry.is_dir():
            yield from _below(entry)


class _Using:
    """The context of `OpenCollections.using`."""

    __slots__ = ("_id", "_live", "_opened")

    def __init__(self, opened: OpenCollections, id: UUID) -> None:
        self._opened, self._id = opened, id

    def __enter__(self) -> LiveCollection:
        self._live = self._opened.take(self._id)
        return self._live

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.give_back(self._live)
        self._opened.explain(self._live, error)


def info_of(entry: catalog.Entry, namespace: Namespace) -> CollectionInfo:
    """A catalog entry as the answer to a request."""
    return CollectionInfo(entry.id, entry.name, entry.metadata, entry.configuration, namespace)
