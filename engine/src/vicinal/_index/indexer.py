"""Who does the background work, and when?

One background thread per client, started when there is something to do. Work is a callable that does a
little and says when it wants to go on, so that many collections take turns and closing never waits long.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Union

from vicinal._locks import RLock

Work = Callable[[], Union[float, None]]
"""Does a little; returns after how many seconds it wants to go on (0 for at once), or None when done."""

_log = logging.getLogger(__name__)


class Indexer:
    """Runs work in turns until closed."""

    def __init__(self) -> None:
        self._lock = RLock()  # itself, in `with`: a signal cannot leave it taken
        self._changed = threading.Condition(self._lock)
        self._due: dict[Work, float] = {}
        self._running: Work | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def wake(self, work: Work, after_s: float = 0.0) -> None:
        """See to it that work runs (again), after whatever runs now."""
        with self._lock:
            if self._closed:
                return
            due = time.monotonic() + after_s
            self._due[work] = min(due, self._due.get(work, due))
            if self._thread is None or self._thread.ident is None:  # none, or one that came to nothing
                self._start()
            self._changed.notify_all()

    def is_busy(self, work: Work) -> bool:
        """Whether this work runs or waits to run."""
        with self._lock:
            return work in self._due or self._running == work

    def wait(self, work: Work) -> None:
        """Return when this work has nothing left to do."""
        with self._lock:
            while not self._closed and (work in self._due or self._running == work):
                self._changed.wait()

    def works_in(self, thread: threading.Thread) -> bool:
        """Whether that is the thread that does the work."""
        return thread is self._thread

    def close(self) -> None:
        """Stop after the piece of work in hand, which is waited for."""
        with self._lock:
            self._closed = True
            self._due = {}
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join()

    def _start(self) -> None:
        """Without a thread nothing is done: what was committed is true all the same, so nobody is told."""
        self._thread = threading.Thread(target=self._run, name="vicinal-indexer", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is going down, or there are too many
            self._due = {}

    def _run(self) -> None:
        while (work := self._next()) is not None:
            again: float | None = None
            try:
                again = work()
            except Exception:  # noqa: BLE001 - derived data: queries scan what is not indexed
                _log.exception("background work failed; searching goes on without it")
            if again is not None:
                self.wake(work, again)
            del work  # or the memory and files of a collection that is deleted meanwhile would wait with us

    def _next(self) -> Work | None:
        """The work that has been due longest, once it is due; None when closed."""
        with self._lock:
            self._running = None
            self._changed.notify_all()
            while not self._closed:
                due = self._due
                work = min(due, key=due.__getitem__, default=None)
                left = None if work is None else due[work] - time.monotonic()
                if due is not self._due:  # closed: the garbage collector may do so in this very thread
                    break
                if work is not None and left is not None and left <= 0:
                    del due[work]
                    self._running = work
                    return work
                self._changed.wait(left)
            return None
