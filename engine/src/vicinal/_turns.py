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
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from types import TracebackType
from typing import TypeVar

from vicinal._locks import PythonLock, RLock

_WAITED_S = 0.002  # for a query to end: several times as long as most take
_LATE_S = 0.0048  # more than this, and the interpreter came back when its turn was over: after 5 ms
_OTHERS_S = 0.0024  # less than this, and it was another process that had the core, or the disk
_CROWDED_S = 1.0  # so long it is taken to be wanted by others after that
_TURN = 128  # records between two moments at which queries may go first: less than a millisecond

Item = TypeVar("Item")


class _Everybody:
    """The reads that run in this process, and how many threads wait for one of them to end."""

    def __init__(self, reads: dict[int, int]) -> None:
        self._reads = reads
        """By each read's `id`, its thread."""
        self._idle: set[int] = set()
        """The threads that wait for something, so that nobody need wait for their reads."""
        self.waiting = 0
        self.crowded_until = 0.0
        self._lock = RLock()
        self._ended = threading.Condition(self._lock)

    def others(self) -> bool:
        """Whether another thread's read runs."""
        me = threading.get_ident()
        return any(thread != me and thread not in self._idle for thread in list(self._reads.values()))

    def own(self) -> dict[int, int]:
        """The reads of this thread."""
        me = threading.get_ident()
        return {read: thread for read, thread in list(self._reads.items()) if thread == me}

    def begin(self, read: int) -> None:
        """One more read of this thread."""
        self._reads[read] = threading.get_ident()

    def end(self, read: int) -> None:
        """One read less; nothing when it has ended before."""
        if self._reads.pop(read, None) is not None:
            self._tell()

    @contextmanager
    def idle(self) -> Iterator[None]:
        """This thread waits in the block: two who read would wait for each other."""
        me = threading.get_ident()
        inner = me in self._idle
        try:
            self._idle.add(me)
            if not inner and me in list(self._reads.values()):  # else those who wait do not wait for this
                self._tell()
            yield
        finally:
            if not inner:
                self._idle.discard(me)

    def wait(self) -> None:
        """Until a read of another thread ends, but not for long."""
        with self.idle(), self._lock:
            self.waiting += 1
            try:
                if self.others():  # else the last one has ended since somebody looked
                    self._ended.wait(_WAITED_S)
            finally:
                self.waiting -= 1

    def _tell(self) -> None:
        if self.waiting:
            with self._lock:
                self._ended.notify_all()


_all = _Everybody({})


class reading:  # noqa: N801 - used as a function
    """A context: something that somebody waits for, and that is done in milliseconds.

    It ends with the object at the latest, for what a signal raises may keep the block from beginning.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        _all.begin(id(self))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _all.end(id(self))

    def __del__(self) -> None:
        _all.end(id(self))


class computing:  # noqa: N801 - used as a function
    """A context: work that lets go of the interpreter for moments, and waits for nothing else.

    If that takes long, other threads compute in Python: each time that this one lets go of the interpreter,
    it has it back five milliseconds later, in which the process has computed and this thread has not.
    """

    __slots__ = ("_idle_s", "_others_s")

    def __enter__(self) -> None:
        own = time.thread_time()
        self._idle_s, self._others_s = time.perf_counter() - own, time.process_time() - own

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        now, own = time.perf_counter(), time.thread_time()
        if now - own - self._idle_s > _LATE_S and time.process_time() - own - self._others_s > _OTHERS_S:
            _all.crowded_until = now + _CROWDED_S


class Lock(PythonLock):  # type: ignore[misc]
    """A lock that a thread may take again; its holder does not give way to a query that waits for it."""

    __slots__ = ()

    def __enter__(self) -> bool:  # type: ignore[override]
        for taken in iter(partial(self.acquire, False), False):
            return taken
        try:
            with _all.idle():
                self.acquire()
        except BaseException:  # by a signal, which may have come when we had it
            with suppress(RuntimeError):
                self.release()
            raise
        return True

    @contextmanager
    def at_once(self) -> Iterator[bool]:
        """A context that takes the lock if no other thread has it, and says whether it has taken it."""
        taken = False
        try:
            for taken in iter(partial(self.acquire, False), False):  # noqa: B007 - no call, as in PythonLock
                break
            yield taken
        finally:
            if taken:
                self.release()


def anybody_reads() -> bool:
    """Whether another thread's query runs now."""
    return _all.others()


def crowded() -> bool:
    """Whether other threads have been computing in Python lately: then few long steps are better than many
    short ones."""
    return time.perf_counter() < _all.crowded_until


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


def in_texts(texts: Iterable[tuple[int, str]], size: int, chars: int) -> Iterator[list[tuple[int, str]]]:
    """Numbered texts in batches: at most so many, and so many characters unless a single one is longer."""
    batch: list[tuple[int, str]] = []
    left = chars
    for pair in texts:
        left -= len(pair[1])
        if batch and (left < 0 or len(batch) == size):
            give_way()
            yield batch
            batch, left = [], chars - len(pair[1])
        batch.append(pair)
    if batch:
        give_way()
        yield batch


def in_turns(items: Iterable[Item]) -> Iterator[Item]:
    """The same items one by one, for texts may be long; giving way every hundred."""
    for number, item in enumerate(items):
        if not number % _TURN:
            give_way()
        yield item


def pause(seconds: float) -> None:
    """Leave the cores to a query that another thread runs now, and to those that follow it."""
    if anybody_reads():
        time.sleep(seconds)


def _after_fork() -> None:
    """In the child, the threads that were reading do not exist."""
    global _all  # noqa: PLW0603
    _all = _Everybody(_all.own())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
