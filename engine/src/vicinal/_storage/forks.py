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
from types import TracebackType
from typing import Protocol


class Disconnectable(Protocol):
    """Something whose connections can be closed, and are made again on next use."""

    def disconnect(self) -> None: ...


_known: weakref.WeakSet[Disconnectable] = weakref.WeakSet()


class _Mine(threading.local):
    """How many transactions this thread is inside of."""

    depth = 0


class _Gate:
    """Open for transactions; shut while the process forks.

    A context, of a transaction; one inside another passes a gate that is being shut.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._mine = _Mine()
        self._inside = 0
        self._shut = 0

    def __enter__(self) -> None:
        if not self._mine.depth:
            with self._changed:
                while self._shut:
                    self._changed.wait()
                self._inside += 1
        self._mine.depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mine.depth -= 1
        if not self._mine.depth:
            with self._changed:
                self._inside -= 1
                if self._shut:
                    self._changed.notify_all()

    def shut(self) -> None:
        """Return when nobody is inside but, perhaps, the thread that forks."""
        own = 1 if self._mine.depth else 0
        with self._changed:
            self._shut += 1
            while self._inside > own:
                self._changed.wait()

    def open(self) -> None:
        """Let transactions go on."""
        with self._changed:
            self._shut -= 1
            self._changed.notify_all()


_gate = _Gate()


def transaction() -> AbstractContextManager[None]:
    """Context manager around everything that uses a connection."""
    return _gate


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
    global _gate  # noqa: PLW0603 - the inherited one counts threads that do not exist here
    _gate = _Gate()
