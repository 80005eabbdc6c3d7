"""How does a transaction become durable, and who waits for whom?

The only file that imports sqlite3. A `Database` is one SQLite file (WAL, `synchronous=FULL`: a commit
is on disk when it returns) or one in memory. `write()` orders writers: threads by a lock, processes by
BEGIN IMMEDIATE. `read()` is a snapshot that never waits for a writer and never makes one wait; in
memory there is one connection, so reads and writes take turns.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from vicinal._storage import forks
from vicinal._storage.files import exists, size_of
from vicinal._storage.schema import Schema, statements
from vicinal._turns import Lock, computing, crowded
from vicinal.errors import ClosedError, CorruptionError, FormatVersionError, StorageError

Transaction = sqlite3.Connection
"""What `read` and `write` yield; statements run on it with `execute` and `executemany`."""

APPLICATION_ID = 0x7669636E  # "vicn"
_WAIT_S = 600.0  # for another process's write transaction; of ours, compaction and migration may last seconds
_SWITCH_S = 10.0
_SHORT_S = 0.2
_TRIES = 5
_BUSY, _LOCKED, _READONLY = 5, 6, 8  # SQLITE_BUSY, SQLITE_LOCKED, SQLITE_READONLY
_OLDEST = (3, 25)  # has window functions, which compaction numbers rows with
_IDLE_READERS_MAX = 4
_MAPPED_BYTES = 2 << 30  # of the file are read without a system call
_LOG_BYTES = 8 << 20  # of the write-ahead log, before the background brings them into the database
_CACHE_KB = 16_384  # of the writer's: more than an upsert of 1,000 touches, else it goes to the log twice
_LOG_PAGES_MAX = 16_384  # then the next commit does it; 64 MiB


class Database:
    """One SQLite database, made with `schema` when it does not exist yet; without one it is as it is.

    `must_exist` says that something else proves it was made before: then a missing or empty file is
    damage, and a fresh database would hide it.
    """

    _connected: Transaction | None = None
    _file: int | None = None
    """Which file it is: a connection made later has to lead to the same one."""

    def __init__(self, path: Path | None, schema: Schema | None, *, must_exist: bool = False) -> None:
        self.path = path
        if sqlite3.sqlite_version_info < _OLDEST:
            needed, found = ".".join(map(str, _OLDEST)), sqlite3.sqlite_version
            problem = (
                f"needs SQLite {needed} or later, and this Python was built with {found}; use another Python"
            )
            raise StorageError(path=str(path or ":memory:"), problem=problem)
        self._closed = False
        self._writing = Lock()
        self._depth = 0
        self._idle: list[Transaction] = []
        if must_exist and path is not None and not exists(path):
            raise CorruptionError(path=str(path), problem="is missing, though files that belong to it exist")
        forks.watch(self)
        with forks.transaction():
            self._connected = self._connect(create=True, writes=True)
            try:
                if schema is not None:
                    self._prepare(schema, must_exist)
            except BaseException:
                self._writer.close()
                raise

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that commits when the block ends and rolls back when it raises."""
        with forks.transaction(), self._alone(), self.translated():
            if self._closed:
                raise ClosedError
            connection = self._writer
            self._check_not_inside(connection)
            try:
                # Inside: what a signal raises while another process is waited for comes when it has begun.
                connection.execute("BEGIN IMMEDIATE")
                self.check_place()
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self, *, begin: bool = True) -> Iterator[Transaction]:
        """A snapshot: all statements in the block see one committed state. With `begin=False` each sees the
        newest, until the block begins the transaction itself."""
        if self.path is None:
            with forks.transaction(), self._alone(), self.translated():
                if self._closed:
                    raise ClosedError
                self._check_not_inside(self._writer)
                yield self._writer
            return
        with forks.transaction(), self.translated():
            connection = self._borrow()
            try:
                if begin:
                    connection.execute("BEGIN")
                yield connection
            finally:
                self._give_back(connection)

    def settle(self) -> None:
        """Bring a long write-ahead log into the database, while others read and write: a part of the
        background's work, so that no commit has to."""
        if self.path is None or size_of(beside(self.path, "-wal")) < _LOG_BYTES:
            return
        with forks.transaction(), self.translated():
            connection = self._borrow()
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            finally:
                self._give_back(connection)

    def shrink(self, *, strictly: bool = False) -> None:
        """Give free pages back to the file system, as far as others who use the database let it.

        Strictly: `StorageError` when something else keeps them, such as a full disk.
        """
        try:
            with forks.transaction(), self._alone(), self.translated(), self._unless_hindered(strictly):
                self._writer.execute("VACUUM")
        except StorageError:
            self._cut_log(strictly=False)  # which may hold a part of it
            raise
        self._cut_log(strictly=strictly)

    def _cut_log(self, *, strictly: bool) -> None:
        """Bring the write-ahead log into the database, and cut it, unless a reader goes on needing it."""
        for _ in range(_TRIES):
            if self._try_to_cut_log(strictly=strictly):
                return
            time.sleep(_SHORT_S)

    def _try_to_cut_log(self, *, strictly: bool) -> bool:
        """The same; false while a reader needs it.

        A short reader is waited for; waiting for a long one would stop all writers.
        """
        busy = True
        with forks.transaction(), self._alone(), self.translated():
            try:
                with self._unless_hindered(strictly):
                    self._writer.execute(f"PRAGMA busy_timeout = {int(_SHORT_S * 1000)}")
                    [(busy, _, _)] = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self._writer.execute(f"PRAGMA busy_timeout = {int(_WAIT_S * 1000)}")
        return not busy

    @contextmanager
    def _unless_hindered(self, strictly: bool) -> Iterator[None]:
        """Pass over what SQLite could not do; strictly, only because somebody else uses the database."""
        try:
            yield
        except sqlite3.OperationalError as error:
            # Python 3.10 does not say. Before it is for others, ten minutes have passed.
            others = getattr(error, "sqlite_errorcode", 0) & 0xFF in (_BUSY, _LOCKED)
            if strictly and not others and self.path is not None:
                raise

    def size_bytes(self) -> int:
        """What the database occupies."""
        with self.read() as tx:
            [(size,)] = tx.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return int(size)

    def copy(self, target: Path) -> None:
        """Write one committed state to another file, while writers go on."""
        with (
            forks.transaction(),
            self.translated(),
            closing(self._connect()) as source,
            closing(sqlite3.connect(str(target), isolation_level=None)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = WAL")

    def copy_into(self, other: Database) -> None:
        """Replace the content of another database in memory; this one is in memory, too."""
        with forks.transaction(), self._alone(), self.translated():
            self._writer.backup(other._writer)

    def close(self) -> None:
        """Close every connection; running reads finish first by keeping theirs.

        The garbage collector may call this in the middle of a transaction of the very same thread: then the
        transaction's end closes.
        """
        with forks.transaction(), self._writing:
            self._closed = True
            if not self._depth:
                self.disconnect()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The writing connection, for one thread at a time."""
        with self._writing:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._closed and not self._depth:
                    self.disconnect()

    def disconnect(self) -> None:
        """Close the connections that nobody is using; the next use makes new ones. One in memory stays: it is
        the database."""
        if self._connected is not None and (self._closed or self.path is not None):
            self._connected.close()
            self._connected = None
        while self._idle:
            self._idle.pop().close()

    def after_fork(self) -> None:
        """In the child of a fork: forget who held the lock. Only a database in memory is kept."""
        assert self.path is None
        self._writing = Lock()

    def _check_not_inside(self, connection: Transaction) -> None:
        """Raise in the middle of a transaction: a rollback would end it, and a reading believe what is not
        committed."""
        if connection.in_transaction:
            problem = (
                "this thread is in the middle of a write, which a signal handler or the garbage collector "
                "has interrupted; do this in another thread, or later"
            )
            raise StorageError(path=str(self.path or ":memory:"), problem=problem)

    # --- connections ---------------------------------------------------------------------------

    @property
    def _writer(self) -> Transaction:
        """The connection that writes; made again after a fork."""
        if self._connected is None:
            self._connected = self._connect(writes=True)
        return self._connected

    def _connect(self, *, create: bool = False, writes: bool = False) -> Transaction:
        """A connection; only the first one may make the file."""
        with self.translated():
            connection = sqlite3.connect(
                self._location(create=create),
                uri=self.path is not None,
                timeout=_WAIT_S,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            try:
                self.check_place()
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA fullfsync = ON")  # macOS: past the drive's cache, as vectors are
                connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES_MAX}")
                connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
                if writes:
                    connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
            except BaseException:
                connection.close()
                raise
            return connection

    def check_place(self) -> None:
        """Raise when another file has this name by now, or none: SQLite would write to what nobody reads."""
        if self.path is None:
            return
        with suppress(OSError):
            found = self.path.stat().st_ino
            self._file = self._file or found
            if found == self._file:
                return
        problem = "was removed or replaced while it was open; close this client, and open another"
        raise StorageError(path=str(self.path), problem=problem)

    def _location(self, *, create: bool) -> str:
        if self.path is None:
            return ":memory:"
        return uri_of(self.path, f"mode={'rwc' if create else 'rw'}")

    def _borrow(self) -> Transaction:
        if self._closed:
            raise ClosedError
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _give_back(self, connection: Transaction) -> None:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if self._closed or len(self._idle) >= _IDLE_READERS_MAX:
            connection.close()
        else:
            self._idle.append(connection)

    def _prepare(self, schema: Schema, must_exist: bool) -> None:
        """Make the tables, or bring those of an older format up to date; refuse a newer one."""
        with self.translated():
            if self._version() == 0:
                if must_exist:
                    raise CorruptionError(
                        path=str(self.path), problem="is empty, though files that belong to it exist"
                    )
                self._make(schema)
            found = self._version()
            if found < schema.version:
                self._migrate(schema)
        if found > schema.version:
            raise FormatVersionError(path=str(self.path), found=found, supported=schema.version)

    def _make(self, schema: Schema) -> None:
        if self.path is not None:
            self._switch_to_wal()
        with self.write() as tx:
            if self._version() == 0:  # else another process was faster
                for statement in statements(schema.create):
                    tx.execute(statement)
                tx.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                tx.execute(f"PRAGMA user_version = {schema.version}")

    def _migrate(self, schema: Schema) -> None:
        """All steps in one transaction: a crash in between leaves the old format whole."""
        with self.write() as tx:
            for step in schema.migrations[self._version() - 1 :]:
                step(tx)
            tx.execute(f"PRAGMA user_version = {schema.version}")

    def _switch_to_wal(self) -> None:
        """SQLite does not wait here when another process does the same, whatever the timeout."""
        deadline = time.monotonic() + _SWITCH_S
        while True:
            try:
                self._writer.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                busy = getattr(error, "sqlite_errorcode", _BUSY) == _BUSY  # Python 3.10 does not say
                if not busy or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0.001, 0.01))

    def _version(self) -> int:
        version, application, tables = self._writer.execute(  # one statement: one committed state
            "SELECT v.user_version, a.application_id, (SELECT count(*) FROM sqlite_master) "
            "FROM pragma_user_version AS v, pragma_application_id AS a"
        ).fetchone()
        if application != APPLICATION_ID and (application or version or tables):
            raise StorageError(path=str(self.path), problem="is a database of another program")
        return int(version)

    def translated(self) -> AbstractContextManager[None]:
        """Turn SQLite's errors in the block into ours."""
        return _translated(str(self.path or ":memory:"))


def all_of(tx: Transaction, statement: str, values: Sequence[Any], columns: int) -> list[tuple[Any, ...]]:
    """The rows that a statement finds, of so many columns.

    SQLite lets go of the interpreter at each row. Where others want it, all come in one, as JSON, which takes
    longer when nobody does.
    """
    with computing():
        if crowded():
            names = ", ".join(f"c{number}" for number in range(columns))
            packed = f"SELECT json_group_array(json_array({names})) FROM found"
            # Damaged values need not be texts, all may be too long for one, and old builds know no JSON.
            with suppress(sqlite3.OperationalError, sqlite3.DataError):
                [(text,)] = tx.execute(f"WITH found ({names}) AS ({statement}) {packed}", values).fetchall()
                return [tuple(row) for row in json.loads(text)]
        return tx.execute(statement, values).fetchall()


def uri_of(path: Path, how: str) -> str:
    """What SQLite is told to open; the name of a file is bytes, which need not be text.

    Slashes are quoted, too: SQLite takes what follows two of them at the beginning for the name of a host.
    """
    return f"file:{quote(os.fsencode(path.absolute()), safe='')}?{how}"


def beside(path: Path, suffix: str) -> Path:
    """One of the files that SQLite adds to a database."""
    return path.with_name(path.name + suffix)


def has_log(path: Path) -> bool:
    """Whether a write-ahead log says anything, or may: an empty one that nobody has open was left behind."""
    log = beside(path, "-wal")
    return exists(log) and (exists(beside(path, "-shm")) or size_of(log) > 0)


@contextmanager
def foreign(path: Path) -> Iterator[Transaction]:
    """A snapshot of another program's database, which is only read; a file beside it is neither made nor
    changed unless that program has it open."""
    uri = uri_of(path, "mode=ro")
    with path.open("rb") as file:
        in_wal_mode = file.read(20)[18:20] == b"\x02\x02"
    if in_wal_mode and not has_log(path):
        uri += "&immutable=1"  # else SQLite would make a -wal, even to read
    with (
        forks.transaction(),
        _translated(str(path)),
        closing(sqlite3.connect(uri, uri=True, timeout=_SWITCH_S, isolation_level=None)) as connection,
    ):
        connection.execute("BEGIN")
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            refused = getattr(error, "sqlite_errorcode", _READONLY) & 0xFF == _READONLY  # 3.10 does not say
            if refused and exists(beside(path, "-journal")):
                problem = (
                    "was left in the middle of a write, which has to be taken back before it can be read, "
                    "and here it is only read. Open it once with the program that wrote it, which does that"
                )
                raise StorageError(path=str(path), problem=problem) from error
            raise
        yield connection


class _translated:  # noqa: N801 - used as a function
    """A context that turns SQLite's errors into ours."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        where = self._where
        if isinstance(error, UnicodeDecodeError):  # SQLite hands damaged text, or damaged SQL, to Python
            raise CorruptionError(path=where, problem=f"damaged: {error}") from error
        if isinstance(error, sqlite3.ProgrammingError):
            if "closed" in str(error):  # another thread closed the client; there is no code to ask for
                raise ClosedError from error
        elif isinstance(error, sqlite3.DatabaseError):
            if type(error) is sqlite3.DatabaseError:  # SQLite's CORRUPT and NOTADB
                raise CorruptionError(path=where, problem=f"damaged, SQLite says: {error}") from error
            raise StorageError(path=where, problem=f"SQLite says: {error}") from error
