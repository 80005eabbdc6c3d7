"""How is one collection copied while others write to it?

SQLite's own online backup gives one committed state. The vectors of that state are rows that nobody
changes any more, so they are copied after it. (Hard links would not do: both collections would append to
one file.) A copy that becomes a collection is made in `forking-<id>/`, and moved to its place, whole, in
the transaction that enters its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

from vicinal._live import CHECKPOINTS, LiveCollection
from vicinal._opened import OpenCollections
from vicinal._request import CollectionInfo
from vicinal._storage import changes, checkpoint, generations
from vicinal._storage.database import Database, beside
from vicinal._storage.files import Files, translated
from vicinal._storage.schema import RECORDS
from vicinal.errors import CorruptionError, NotFoundError, StorageError

_BLOCK = 8 << 20


class Copy(Protocol):
    """A collection that has everything but a name."""

    installed: bool
    """Whether it may be where it is looked for."""

    def install(self, info: CollectionInfo) -> None:
        """Put it where it is looked for; the name is entered next."""


@contextmanager
def staged(opened: OpenCollections, source: LiveCollection, id: UUID, files: Files) -> Iterator[Copy]:
    """A copy of one committed state of a collection; gone again unless its name has been entered.

    Whether it has, the catalog alone knows: what interrupts a COMMIT is raised when it is done.
    """
    made = _InMemory(opened, source, id) if opened.path is None else _OnDisk(opened.path, source, id, files)
    try:
        made.fill()
        yield made
    finally:
        # One that was never put in place need not be asked for: the client may be closed by now.
        if not made.installed or not opened.knows(id):
            made.discard()


class _InMemory:
    installed = False

    def __init__(self, opened: OpenCollections, source: LiveCollection, id: UUID) -> None:
        self._opened, self._source, self._id = opened, source, id
        self._copy = opened.unnamed(source.info)

    def fill(self) -> None:
        with self._source.read_state() as state:  # in memory, this also keeps writers out
            self._source.database.copy_into(self._copy.database)
            if state.dimension is not None:
                store = self._copy.vectors.store(state.dimension, state.generation)
                store.append(0, self._source.vectors.of(state))

    def install(self, info: CollectionInfo) -> None:
        self.installed = True
        self._copy.info = info
        self._opened.adopt(self._copy)

    def discard(self) -> None:
        self._opened.forget(self._id)
        self._copy.close()


class _OnDisk:
    installed = False

    def __init__(self, root: Path, source: LiveCollection, id: UUID, files: Files) -> None:
        self._source, self._files = source, files
        self._staged = root / f"forking-{id}"
        self._final = root / "collections" / str(id)

    def fill(self) -> None:
        assert self._source.directory is not None
        self._files.make_directory(self._staged)
        # Before the records, which then are as new or newer: a row that the graph hides is dead in them, too,
        # and no checkpoint covers a change that they have not seen.
        places = (self._source.directory / "checkpoints", self._staged / "checkpoints")
        for name in CHECKPOINTS:
            with suppress(StorageError, OSError):  # replaced or removed just now; it can be rebuilt
                checkpoint.copy(*places, name, self._files)
        copy_collection(
            self._source.database, self._source.directory, self._staged, self._files, purpose="fork"
        )

    def install(self, info: CollectionInfo) -> None:  # noqa: ARG002 - files know no names
        self.installed = True
        self._files.replace(self._staged, self._final)

    def discard(self) -> None:
        for place in (self._staged, self._final):
            self._files.remove_tree(place)


def copy_collection(source: Database, directory: Path, place: Path, files: Files, *, purpose: str) -> None:
    """Bring a directory to one committed state of a collection; an earlier copy of it saves work."""
    files.make_directory(place)
    missing = None
    while True:
        copied = copied_database(source, place / "records.sqlite3")
        with closing(Database(copied, RECORDS, must_exist=True)) as database, database.read() as tx:
            state = changes.state(tx)
        if state.dropped:
            raise NotFoundError(kind="Collection", key=directory.name)
        vectors = generations.path_of(directory, state.generation)
        target = generations.path_of(place, state.generation)
        try:
            if state.dimension is not None and state.rows:
                size = state.rows * state.dimension * 4
                target = _copied_vectors(vectors, target, size, copied, files)
        except FileNotFoundError:
            if missing == vectors:
                raise CorruptionError(path=str(vectors), problem="is missing") from None
            missing = vectors  # compacted in between: copy the state that followed
            files.remove(copied)
            continue
        files.step(f"{purpose}: vectors copied")
        install_database(copied, place / "records.sqlite3", files)
        files.step(f"{purpose}: collection replaced")
        for old in files.find(place, generations.FILES):
            if old != target:
                files.remove(old)
        return


class _OtherError(Exception):
    """The file of an earlier copy holds other vectors: the database has gone back to an older state, and gave
    the numbers of their rows to others."""


def _copied_vectors(vectors: Path, target: Path, size: int, copied: Path, files: Files) -> Path:
    """The file that the first `size` bytes of the vectors are in: the target, unless that holds others. These
    belong to the earlier copy for as long as it is one; then it is the file of a later generation, which the
    copied database is told."""
    try:
        _copy_bytes(vectors, target, size, files)
    except _OtherError:
        generation = 1 + max(generations.numbers(target.parent))
        target = generations.path_of(target.parent, generation)
        with closing(Database(copied, RECORDS, must_exist=True)) as database, database.write() as tx:
            changes.renumber(tx, generation)
        _copy_bytes(vectors, target, size, files)
    return target


def copied_database(source: Database, target: Path) -> Path:
    """One committed state of a database, in a file beside its target."""
    temporary = target.with_name(f"{target.name}-{uuid4().hex}")
    source.copy(temporary)
    return temporary


def install_database(temporary: Path, target: Path, files: Files) -> None:
    """Give a copied database its final name, durably; nothing of an earlier one may linger beside it."""
    files.sync_path(temporary)
    for suffix in ("-wal", "-shm"):
        files.remove(beside(target, suffix))
    files.replace(temporary, target)


def _copy_bytes(source: Path, target: Path, size: int, files: Files) -> None:
    """The first `size` bytes; blocks that an earlier copy holds already are compared, not written. Where they
    differ, `_OtherError`, and nothing is changed."""
    with translated(source, except_missing=True), source.open("rb") as reading:
        writing = files.open(target, create=True)
        with target.open("rb") as held:
            for offset in range(0, size, _BLOCK):
                block = reading.read(min(_BLOCK, size - offset))
                if len(block) < min(_BLOCK, size - offset):
                    raise StorageError(path=str(source), problem=f"ends before byte {size}")
                found = held.read(len(block))
                if not block.startswith(found):
                    raise _OtherError
                if len(found) < len(block):
                    files.write_at(writing, memoryview(block)[len(found) :], offset + len(found))
                    held.seek(offset + len(block))
        files.sync(writing)
        writing.close()
