"""Who closes a client that nobody closed?

The garbage collector comes upon it in any thread, which may hold what closing waits for: so a thread of its
own closes it. At exit all is closed to its end, for a thread inside hnswlib must not outlive the interpreter.
"""

from __future__ import annotations

import atexit
import threading
from typing import Protocol

_WAIT_S = 1.0  # so that files are closed, as a rule, when the garbage collector has been


class Closable(Protocol):
    """What may be left open."""

    def close(self) -> None: ...

    def works_in(self, thread: threading.Thread) -> bool:
        """Whether closing waits for this thread."""


_closing: set[threading.Thread] = set()


def close(left: Closable) -> None:
    """Close what was left, in another thread unless the interpreter exits; that is waited for a moment."""
    me = threading.current_thread()
    if me is threading.main_thread() and not me.is_alive():
        left.close()
        return
    thread = threading.Thread(target=_close, args=(left,), name="vicinal-closer", daemon=True)
    _closing.add(thread)
    try:
        thread.start()
    except RuntimeError:  # there are too many, or the interpreter is going down
        _closing.discard(thread)
        left.close()
    else:
        if not left.works_in(me):  # else each would wait for the other
            thread.join(_WAIT_S)


def _close(left: Closable) -> None:
    try:
        left.close()
    finally:
        _closing.discard(threading.current_thread())


@atexit.register
def _wait() -> None:
    for thread in list(_closing):
        thread.join()
