"""Who goes first when threads of one process are busy with Python?

Only one thread at a time runs Python code, and one that computes without pause keeps the others waiting for
up to five milliseconds whenever they have let go of it, which a query does a dozen times. So long work in
Python (checking a batch, building columns, the graph) asks here every few hundred records, and pauses while
another thread's query runs. It costs nothing when nobody asks.
"""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType

_PAUSE_S = 0.0005  # about as long as a query takes


class _Readers(threading.local):
    """How many reads this thread is inside of."""

    depth = 0


_mine = _Readers()
_lock = threading.Lock()
_reading = 0


class reading:  # noqa: N801 - used as a function
    """A context: something that somebody waits for, and that is done in milliseconds."""

    __slots__ = ()

    def __enter__(self) -> None:
        global _reading  # noqa: PLW0603 - the interpreter's lock is one for the process, too
        _mine.depth += 1
        with _lock:
            _reading += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _reading  # noqa: PLW0603
        _mine.depth -= 1
        with _lock:
            _reading -= 1


def anybody_reads() -> bool:
    """Whether another thread's query runs now."""
    return _reading > _mine.depth


def give_way(pause_s: float = _PAUSE_S) -> None:
    """Let a query that another thread runs now have its turn."""
    if anybody_reads():
        time.sleep(pause_s)


def _after_fork() -> None:
    """In the child, the threads that were reading do not exist."""
    global _lock, _reading
    _lock, _reading = threading.Lock(), _mine.depth


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
