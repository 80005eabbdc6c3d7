"""How do open databases survive a fork?

They do not: SQLite keeps a table of the locks that its process holds, and a forked child inherits the
table without the locks, so that even new connections there would believe that they hold what the parent
holds. Therefore, before a fork, transactions finish, new ones wait, and every connection to a file is
closed; afterwards parent and child connect again, each for itself. (`subprocess` runs none of this.)
A database in memory is copied with its connection, which has to be in the middle of nothing.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, Protocol

from vicinal._locks import CLock, RLock


class Disconnectable(Protocol):
    """Something whose connections can be closed, and are made again on next use."""

    def disconnect(self) -> None: ...


_known: weakref.WeakSet[Disconnectable] = weakref.WeakSet()


class _Mine(threading.local):
    """A thread's own lock, which it holds while it is inside of a transaction."""

    lock: CLock


class _Gate:
    """Open for transactions; shut while the process forks.

    Each thread has a lock of its own, and who forks takes them all. A transaction inside another passes, for
    the lock is its thread's already; and an exception that a signal raises cannot leave one taken, for no
    Python runs between taking it and the block.
    """

    def __init__(self) -> None:
        self._mine = _Mine()
        self._making = RLock()  # for the garbage collector may close something meanwhile
        self._locks: weakref.WeakSet[CLock] = weakref.WeakSet()
        self._taken: list[CLock] = []

    def own(self) -> CLock:
        """The lock of this thread."""
        try:
            return self._mine.lock
        except AttributeError:
            lock = RLock()
            with self._making:
                self._locks.add(lock)
            self._mine.lock = lock
            return lock

    def shut(self) -> None:
        """Return when nobody is inside but, perhaps, the thread that forks."""
        self.own()
        self._making.acquire()
        for lock in list(self._locks):
            lock.acquire()
            self._taken.append(lock)

    def open(self) -> None:
        """Let transactions go on."""
        while self._taken:
            self._taken.pop().release()
        self._making.release()


_gate = _Gate()
_restarting = RLock()


def transaction() -> AbstractContextManager[Any]:
    """Context manager around everything that uses a connection."""
    return _gate.own()


def restarting() -> AbstractContextManager[Any]:
    """Context manager around what a child does before it goes on with what it has inherited: several of its
    threads may come to that at once."""
    return _restarting


def watch(database: Disconnectable) -> None:
    """From now on forks wait for transactions, and disconnect this database for as long as it lives."""
    _register()
    _known.add(database)


@lru_cache(maxsize=1)
def _register() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


def _before() -> None:
    _gate.shut()
    for database in list(_known):
        database.disconnect()


def _after_in_parent() -> None:
    _gate.open()


def _after_in_child() -> None:
    global _gate, _restarting  # threads that do not exist here may hold the inherited ones
    _gate, _restarting = _Gate(), RLock()
