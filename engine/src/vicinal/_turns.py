"""Who goes first when threads of one process are busy with Python?

Only one thread at a time runs Python code, and one that computes without pause keeps the others waiting for
five milliseconds whenever they have let go of it, which a query does a dozen times. So long work in Python
(checking a batch, building columns) asks here every few hundred records, and pauses while a query runs. It
costs nothing when nobody asks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_PAUSE_S = 0.0005  # about as long as a query takes
_lock = Lock()
_reading = 0


@contextmanager
def reading() -> Iterator[None]:
    """Something that somebody waits for, and that is done in milliseconds."""
    global _reading  # noqa: PLW0603 - the interpreter's lock is one for the process, too
    with _lock:
        _reading += 1
    try:
        yield
    finally:
        with _lock:
            _reading -= 1


def anybody_reads() -> bool:
    """Whether a query runs now."""
    return _reading > 0


def give_way(pause_s: float = _PAUSE_S) -> None:
    """Let a query that runs now have its turn."""
    if _reading:
        time.sleep(pause_s)
