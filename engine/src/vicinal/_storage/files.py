"""How do bytes reach the disk, and stay there?

Every file operation of the engine that is not SQLite's goes through one `Files` object, so that tests
can count, fail and interrupt them. `step` names the moments at which a crash must lose nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vicinal.errors import StorageError

_BINARY = getattr(os, "O_BINARY", 0)


class Files:
    """The file system. Raises `StorageError` in place of `OSError`."""

    def step(self, name: str) -> None:
        """A named moment of a durable operation; does nothing. Tests stop the process here."""

    def make_directory(self, path: Path) -> None:
        """Make a directory and its parents, durably."""
        with _translated(path):
            if path.exists() and not path.is_dir():
                raise StorageError(path=str(path), problem="is a file; a directory is needed")
            if not path.exists():
                path.mkdir(parents=True, exist_ok=True)
                self.sync_directory(path.parent)

    def check_writable(self, path: Path) -> None:
        """Raise when files cannot be made in this directory."""
        if not os.access(path, os.W_OK | os.X_OK):
            raise StorageError(path=str(path), problem="the directory is not writable")

    def open(self, path: Path) -> int:
        """Open for reading and writing, made if missing."""
        with _translated(path):
            existed = path.exists()
            fd = os.open(path, os.O_RDWR | os.O_CREAT | _BINARY, 0o666)
            if not existed:
                self.sync_directory(path.parent)
            return fd

    def write_at(self, fd: int, data: memoryview, offset: int) -> None:
        """Write all of data at an offset."""
        with _translated(fd):
            os.lseek(fd, offset, os.SEEK_SET)
            while data.nbytes:
                data = data[os.write(fd, data) :]

    def grow(self, fd: int, size: int) -> None:
        """Make the file at least so long; the new bytes are a hole until they are written."""
        with _translated(fd):
            if os.fstat(fd).st_size < size:
                os.truncate(fd, size)

    def sync(self, fd: int) -> None:
        """Return when the file's bytes are on the medium."""
        with _translated(fd):
            if sys.platform == "darwin":
                import fcntl

                fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            elif hasattr(os, "fdatasync"):
                os.fdatasync(fd)
            else:
                os.fsync(fd)

    def sync_path(self, path: Path) -> None:
        """`sync` for a file that another library wrote."""
        fd = self.open(path)
        try:
            self.sync(fd)
        finally:
            os.close(fd)

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable, where the platform can."""
        if sys.platform == "win32":
            return
        with _translated(path):
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def replace(self, source: Path, target: Path) -> None:
        """Atomically give a file the name of another."""
        with _translated(target):
            os.replace(source, target)
            self.sync_directory(target.parent)

    def remove(self, path: Path) -> None:
        """Remove a file that may be gone already."""
        with _translated(path):
            path.unlink(missing_ok=True)

    def remove_tree(self, path: Path) -> None:
        """Remove a directory that may be gone already, as far as the platform allows."""
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _translated(place: Path | int) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        where = str(place) if isinstance(place, Path) else "vector file"
        raise StorageError(path=where, problem=f"{error.strerror or error}") from error
