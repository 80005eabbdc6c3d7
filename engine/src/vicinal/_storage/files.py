"""How do bytes reach the disk, and stay there?

Every file operation of the engine that is not SQLite's goes through one `Files` object, so that tests
can count, fail and interrupt them. `step` names the moments at which a crash must lose nothing.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from vicinal.errors import StorageError

_BINARY = getattr(os, "O_BINARY", 0)
_INSISTS_S = 1.0 if os.name == "nt" else 0.0
"""For so long a file is replaced again and again that somebody has open."""
MISSING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
"""What a file system says of a path that leads nowhere."""
_UNKNOWN = {errno.EINVAL, errno.ENOTTY, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What a file system says that does not know how to do something, rather than has failed to."""


class OpenFile:
    """A file descriptor, and the path that errors name.

    Closed with its last reference: a descriptor closed under another thread's hands could by then
    belong to another file. So the interpreter's end does not close it, for daemon threads go on writing.
    """

    def __init__(self, fd: int, path: Path) -> None:
        self.fd, self.path = fd, path
        self.close = weakref.finalize(self, os.close, fd)
        self.close.atexit = False

    @property
    def size(self) -> int:
        """Length in bytes, holes included."""
        with translated(self.path):
            return os.fstat(self.fd).st_size


class Files:
    """The file system. Raises `StorageError` in place of `OSError`."""

    read_only = False

    def step(self, name: str) -> None:
        """A named moment of a durable operation; does nothing. Tests stop the process here."""

    def make_directory(self, path: Path) -> None:
        """Make a directory and its parents, each durably; one that exists is fine."""
        with translated(path):
            if exists(path) and not is_directory(path):
                raise StorageError(path=str(path), problem="is a file; a directory is needed")
            missing = [level for level in (path, *path.parents) if not exists(level)]
            for level in reversed(missing):
                level.mkdir(exist_ok=True)
                self.sync_directory(level.parent)
            if not missing:  # but who made it may not have come to this
                self.sync_directory(path.parent)

    def check_writable(self, path: Path) -> None:
        """Raise when files cannot be made in this directory."""
        if not os.access(path, os.W_OK | os.X_OK):
            problem = "the directory is not writable; read_only=True opens it to read"
            raise StorageError(path=str(path), problem=problem)

    def open(self, path: Path, *, create: bool) -> OpenFile:
        """Open for reading and writing; a missing file is made, or is a `FileNotFoundError`."""
        with translated(path, except_missing=not create):
            fd = os.open(path, os.O_RDWR | _BINARY | (os.O_CREAT if create else 0), 0o666)
            file = OpenFile(fd, path)
            if create:  # though it may have been there: who made it may not have come to this
                self.sync_directory(path.parent)
            return file

    def write_at(self, file: OpenFile, data: memoryview, offset: int) -> None:
        """Write all of data at an offset."""
        with translated(file.path):
            os.lseek(file.fd, offset, os.SEEK_SET)
            while data.nbytes:
                data = data[os.write(file.fd, data) :]

    def grow(self, file: OpenFile, size: int) -> None:
        """Make the file at least so long; the new bytes are a hole until they are written."""
        with translated(file.path):
            if file.size < size:
                os.truncate(file.fd, size)

    def sync(self, file: OpenFile) -> None:
        """Return when the file's bytes are on the medium."""
        with translated(file.path):
            if sys.platform == "darwin" and _synced_fully(file.fd):
                return
            if hasattr(os, "fdatasync"):
                os.fdatasync(file.fd)
            else:
                os.fsync(file.fd)

    def sync_path(self, path: Path) -> None:
        """`sync` for a file that another library wrote."""
        file = self.open(path, create=False)
        try:
            self.sync(file)
        finally:
            file.close()

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable, where the platform can and this process may read it."""
        if os.name == "nt":
            return
        with translated(path):
            try:
                fd = os.open(path, os.O_RDONLY)
            except PermissionError:
                return
            try:
                os.fsync(fd)
            except OSError as error:
                if error.errno not in _UNKNOWN:
                    raise
            finally:
                os.close(fd)

    def find(self, directory: Path, pattern: str) -> list[Path]:
        """The entries of a directory whose names match; none when it is gone, perhaps just now."""
        try:
            with translated(directory, except_missing=True):
                return sorted(entry for entry in directory.iterdir() if fnmatch(entry.name, pattern))
        except FileNotFoundError:
            return []

    def replace(self, source: Path, target: Path) -> None:
        """Atomically give a file the name of another."""
        with translated(target):
            _replace(source, target)
            self.sync_directory(target.parent)

    def remove(self, path: Path) -> None:
        """Remove a file that may be gone already."""
        with translated(path):
            path.unlink(missing_ok=True)

    def discard(self, path: Path) -> None:
        """Remove a file that nobody needs any more, as far as the platform allows: Windows does not while
        somebody has it open or mapped, and then it is left for the next opening."""
        with suppress(StorageError):
            self.remove(path)

    def remove_tree(self, path: Path) -> None:
        """Remove a directory that may be gone already, as far as the platform allows."""
        shutil.rmtree(path, ignore_errors=True)


def _replace(source: Path, target: Path) -> None:
    """`os.replace`; Windows refuses that while somebody, a scanner of viruses perhaps, reads the target."""
    until = time.monotonic() + _INSISTS_S
    while True:
        try:
            return os.replace(source, target)
        except PermissionError:
            if time.monotonic() >= until:
                raise
        time.sleep(_INSISTS_S / 100)


def _synced_fully(fd: int) -> bool:
    """Whether macOS has brought a file past its drive's cache; false where the file system cannot."""
    import fcntl

    try:
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined,unused-ignore]
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
        return False
    return True


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Work is done while the block runs, and has been done, or has raised, when it has ended."""
    failed: list[Exception] = []
    ended = threading.Event()

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised again where somebody waits for it
            failed.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=run, name="vicinal-write")
    try:
        try:
            thread.start()
        except RuntimeError:  # the interpreter is going down, or there are too many
            run()
        yield
    finally:
        if thread.ident is not None:  # it was started
            _outwait(ended)
    if failed:
        raise failed[0]


def _outwait(event: threading.Event) -> None:
    """Wait for an event, and raise only then what interrupts that: the next write must not meet this one.

    (`Thread.join` would not do: once interrupted, it takes the thread for ended, before Python 3.13.)
    """
    interrupted: BaseException | None = None
    while not event.is_set():
        try:
            event.wait()
        except BaseException as error:  # noqa: BLE001 - Ctrl-C, or what a signal's handler raises
            interrupted = error
    if interrupted is not None:
        raise interrupted


def check_descriptors(path: Path, count: int) -> None:
    """Raise when the process could not open so many more files; what it cannot open then is not damaged."""
    opened: list[int] = []
    try:
        with translated(path):
            while len(opened) < count:
                opened.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for fd in opened:
            os.close(fd)


def absolute(path: Path) -> Path:
    """The path from the root; `StorageError` when it begins in a working directory that is gone."""
    try:
        return path.absolute()
    except OSError as error:
        problem = f"is relative to the working directory, which cannot be found: {error.strerror or error}"
        raise StorageError(path=str(path), problem=problem, errno=error.errno) from error


def exists(path: Path) -> bool:
    """Whether there is such a file or directory; `StorageError` when that cannot be told.

    (`Path.exists` and its like take all errors for a no, since Python 3.14.)
    """
    return status_of(path) is not None


def is_file(path: Path) -> bool:
    """Whether there is such a file; `StorageError` when that cannot be told."""
    found = status_of(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def is_directory(path: Path) -> bool:
    """Whether there is such a directory; `StorageError` when that cannot be told."""
    found = status_of(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def status_of(path: Path) -> os.stat_result | None:
    """What the file system says of a path, None when it leads nowhere; `StorageError` when it cannot tell."""
    with translated(path):
        try:
            return path.stat()
        except OSError as error:
            if error.errno in MISSING:
                return None
            raise


def size_of(path: Path) -> int:
    """In bytes; 0 when there is no such file, `StorageError` when that cannot be told."""
    found = status_of(path)
    return 0 if found is None else found.st_size


@contextmanager
def translated(path: Path, *, except_missing: bool = False) -> Iterator[None]:
    """Turn an `OSError` in the block into a `StorageError` that names the path and keeps the errno."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if except_missing and isinstance(error, FileNotFoundError):
            raise
        raise StorageError(path=str(path), problem=f"{error.strerror or error}", errno=error.errno) from error
