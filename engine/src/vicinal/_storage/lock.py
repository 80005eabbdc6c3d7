"""Who does it, when several processes could?

An advisory lock on a file, held by one process at a time and let go by the operating system when that
process dies. Nothing depends on it for truth: it only spares two processes the same background work.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from vicinal._locks import RLock
from vicinal._storage.files import OpenFile

if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(fd: int) -> None:
        # Per process, so that a forked child does not hold its dead parent's lock.
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


_AGAIN = (errno.ENOENT, errno.EMFILE, errno.ENFILE)
"""The directory is gone, or too many files are open: asking later may help."""


class NoLock:
    """For what only one process can have open: always ours."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        """Nothing to let go of."""


class FileLock:
    """A lock that is tried for, never waited for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: OpenFile | None = None  # closed with the lock: who was last to take it may never let go
        self._changing = RLock()  # the background lets go while a caller closes

    def acquire(self) -> bool:
        """Whether this process may go on now; false while another one holds the lock.

        Where the file cannot be opened nobody is waited for: that two do the same work costs time, and that
        nobody does it would have no end.
        """
        with self._changing:
            if self._file is not None:
                return True
            try:
                file = OpenFile(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666), self._path)
            except OSError as error:
                return error.errno not in _AGAIN
            try:
                _lock(file.fd)
            except OSError:
                file.close()
                return False
            self._file = file
            return True

    def release(self) -> None:
        """Let another process have it."""
        with self._changing:
            if self._file is not None:
                self._file.close()
                self._file = None
