"""How is a database read without a byte being written beside it?

SQLite in WAL mode needs a `-wal` and a `-shm` file, and makes them even to read. So there are two cases.
While a writer has the database open, both files are there, and SQLite reads them without writing. When
nobody has it open, there is no `-wal`, the file is whole by itself, and it is opened as one that never
changes. Should a writer come or go during that, the reading is void (`UnsettledError`) and is done again.

One thing is beyond our reach: when the last writer goes in the very moment in which SQLite begins to read
beside it, SQLite makes the `-wal` again, empty. It says nothing, so it counts as none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Union

from vicinal._storage import forks
from vicinal._storage.database import Database, Transaction, beside, has_log, uri_of
from vicinal._storage.files import Files, OpenFile, exists, translated
from vicinal._storage.schema import Schema
from vicinal.errors import FormatVersionError, ReadOnlyError, StorageError

_BINARY = getattr(os, "O_BINARY", 0)

Footing = Union[str, "tuple[int, ...]"]
"""What a reading rests on: a writer's `-wal` file, or a file that has stayed as it was."""
_SHARED = "shared with writers"
_READONLY, _CANTOPEN = 8, 14  # SQLite's, each with its kin
_TEXTS = {_READONLY: "readonly database", _CANTOPEN: "unable to open database file"}


class UnsettledError(Exception):
    """A writer came or went during a reading, which is therefore void."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem


class ReadOnlyFiles(Files):
    """The file system, as far as nothing is written."""

    read_only = True

    def open(self, path: Path, *, create: bool) -> OpenFile:
        if create and not exists(path):
            raise ReadOnlyError(path=str(path), operation="making it")
        with translated(path, except_missing=True):
            return OpenFile(os.open(path, os.O_RDONLY | _BINARY), path)

    def make_directory(self, path: Path) -> None:
        raise ReadOnlyError(path=str(path), operation="making it")

    def replace(self, source: Path, target: Path) -> None:
        raise ReadOnlyError(path=str(target), operation=f"replacing it by {source.name}")

    def remove(self, path: Path) -> None:
        raise ReadOnlyError(path=str(path), operation="removing it")

    def remove_tree(self, path: Path) -> None:
        raise ReadOnlyError(path=str(path), operation="removing it")


class ReadOnlyDatabase(Database):
    """One SQLite file that is only read, whoever writes to it meanwhile."""

    path: Path
    _idle_on: Footing | None = None
    """What the idle connections rest on."""

    def __init__(self, path: Path, schema: Schema, *, must_exist: bool = False) -> None:
        self.path = path
        self._lent: dict[int, Footing | None] = {}
        """What the connections that are in use rest on, by their `id`."""
        try:
            with self._settled():  # connecting reads, too
                super().__init__(path, schema, must_exist=must_exist)
        except UnsettledError:
            if self._connected is not None:
                self._connected.close()
            raise
        with forks.transaction():
            if self._idle_on == _SHARED:  # as `_give_back`
                self.disconnect()

    def write(self) -> NoReturn:
        """Always refused."""
        raise ReadOnlyError(path=str(self.path), operation="writing")

    @contextmanager
    def read(self, *, begin: bool = True) -> Iterator[Transaction]:
        """A snapshot; `UnsettledError` when it turns out at the end that it was none."""
        with self._settled(), super().read(begin=begin) as tx:
            yield tx

    def copy(self, target: Path) -> None:
        """Write one committed state to another file."""
        with self._settled():
            super().copy(target)

    @contextmanager
    def _settled(self) -> Iterator[None]:
        """Connections in the block rest on one footing, from beginning to end."""
        before = self._footing()
        with forks.transaction():
            if before != self._idle_on and self._idle_on is not None:
                self.disconnect()
            self._idle_on = before
        try:
            yield
        except Exception as error:  # but for what interrupts: nobody would hear of it
            cause = error.__cause__ if isinstance(error, StorageError) else None
            if _is(_READONLY, cause):
                raise UnsettledError(self.path, "is being recovered by a writer") from error
            # The writer has gone, and may have come back already; or the files cannot be opened.
            if before == _SHARED and _is(_CANTOPEN, cause):
                raise UnsettledError(self.path, f"cannot be opened, SQLite says: {cause}") from error
            self._check_footing(before)
            raise
        self._check_footing(before)

    def _check_footing(self, before: Footing) -> None:
        if before != self._footing():
            raise UnsettledError(self.path, "was changed while it was being read")

    def _borrow(self) -> Transaction:
        resting = self._idle_on  # before connecting: meanwhile another thread may set it anew
        connection = super()._borrow()
        self._lent[id(connection)] = resting
        return connection

    def _give_back(self, connection: Transaction) -> None:
        """One that shares with writers is not kept: it would keep a writer in this process from opening. Nor
        is one that rests on what has changed since: SQLite would never look again."""
        resting = self._lent.pop(id(connection))
        if resting == _SHARED or resting != self._idle_on:
            connection.close()
        else:
            super()._give_back(connection)

    def _footing(self) -> Footing:
        if has_log(self.path):
            if not exists(beside(self.path, "-shm")):
                problem = "has a -wal file and no -shm file; open it once without read_only"
                raise UnsettledError(self.path, problem)
            return _SHARED
        with translated(self.path):
            found = self.path.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns

    def check_place(self) -> None:
        """Any file will do: `_settled` notices when there is another."""

    def _location(self, *, create: bool) -> str:  # noqa: ARG002 - nothing is ever made
        how = "readonly_shm=1" if self._footing() == _SHARED else "immutable=1"
        return uri_of(self.path, f"mode=ro&{how}")

    def _prepare(self, schema: Schema, must_exist: bool) -> None:  # noqa: ARG002 - it always must
        with self.translated():
            found = self._version()
        if not found:
            raise UnsettledError(self.path, "is being made, or is empty")
        if found > schema.version:
            raise FormatVersionError(path=str(self.path), found=found, supported=schema.version)
        if found < schema.version:
            raise StorageError(
                path=str(self.path),
                problem=f"is in format {found}; this Vicinal reads format {schema.version}. Open it once "
                "without read_only, which brings it up to date",
            )


def database(path: Path | None, schema: Schema, files: Files, *, must_exist: bool) -> Database:
    """A database that is read and written, or one that is only read, as its files are."""
    if files.read_only and path is not None:
        return ReadOnlyDatabase(path, schema, must_exist=must_exist)
    return Database(path, schema, must_exist=must_exist)


def _is(code: int, error: BaseException | None) -> bool:
    """Whether an error is SQLite's of this code: READONLY when a log has to be recovered first, as while a
    writer opens it; CANTOPEN when a file that was there has gone."""
    found = getattr(error, "sqlite_errorcode", None)
    if found is None:  # Python 3.10 does not say
        return _TEXTS[code] in str(error)
    return bool(found & 0xFF == code)
