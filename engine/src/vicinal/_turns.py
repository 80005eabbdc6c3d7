"""Who goes first when threads of one process are busy with Python?

Only one thread at a time runs Python code, and one that computes without pause keeps the others waiting for
up to five milliseconds whenever they have let go of it, which a query does a dozen times. So long work in
Python (checking a batch, building columns, the graph) asks here every hundred records, and goes on when the
query that another thread runs has ended. It costs nothing when nobody asks.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from types import TracebackType
from typing import TypeVar

_WAITED_S = 0.002  # for a query to end: several times as long as most take
_TURN = 128  # records between two moments at which queries may go first: less than a millisecond

Item = TypeVar("Item")


class _Mine(threading.local):
    """How many reads this thread is inside of."""

    depth = 0


class _Everybody:
    """How many reads run in this process, and how many threads wait for one of them to end."""

    def __init__(self, reading: int) -> None:
        self.reading, self.waiting = reading, 0
        self.lock = threading.RLock()
        self.ended = threading.Condition(self.lock)

    def count(self, change: int) -> None:
        """More reads run now, or fewer."""
        with self.lock:
            self.reading += change
            if change < 0 and self.waiting:
                self.ended.notify_all()

    def wait(self) -> None:
        """Until a read ends, but not for long. Whoever waits runs no read: two would wait for each other."""
        with self.lock:
            self.count(-_mine.depth)
            self.waiting += 1
            try:
                if self.reading:  # else the last one has ended since somebody looked
                    self.ended.wait(_WAITED_S)
            finally:
                self.waiting -= 1
                self.count(_mine.depth)


_mine = _Mine()
_all = _Everybody(reading=0)


class reading:  # noqa: N801 - used as a function
    """A context: something that somebody waits for, and that is done in milliseconds."""

    __slots__ = ()

    def __enter__(self) -> None:
        _mine.depth += 1
        _all.count(1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _mine.depth -= 1
        _all.count(-1)


class Lock:
    """A lock that a thread may take again; its holder does not give way to a query that waits for it."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        if self._lock.acquire(blocking=False):
            return
        _all.count(-_mine.depth)
        try:
            self._lock.acquire()
        finally:
            _all.count(_mine.depth)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


def anybody_reads() -> bool:
    """Whether another thread's query runs now."""
    return _all.reading > _mine.depth


def give_way() -> None:
    """Let a query that another thread runs now come to its end, unless that takes long."""
    if anybody_reads():
        _all.wait()


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items, so many at a time, giving way before each batch."""
    left = iter(items)
    while batch := list(islice(left, size)):
        give_way()
        yield batch


def in_turns(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, giving way every hundred."""
    return chain.from_iterable(in_batches(items, _TURN))


def pause(seconds: float) -> None:
    """Leave the cores to a query that another thread runs now, and to those that follow it."""
    if anybody_reads():
        time.sleep(seconds)


def _after_fork() -> None:
    """In the child, the threads that were reading do not exist."""
    global _all  # noqa: PLW0603
    _all = _Everybody(reading=_mine.depth)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
