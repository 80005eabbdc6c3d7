"""Who builds the graphs, and when?

One background thread per client, started when the first collection is large enough. Work is a callable
that does a little and says whether there is more, so that many collections take turns and closing never
waits long.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

Work = Callable[[], bool]

_log = logging.getLogger(__name__)


class Indexer:
    """Runs work in turns until closed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Work] = deque()
        self._running: Work | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def wake(self, work: Work) -> None:
        """See to it that work runs again, after whatever runs now."""
        with self._changed:
            if self._closed or work in self._waiting:
                return
            self._waiting.append(work)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="vicinal-indexer", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def is_busy(self, work: Work) -> bool:
        """Whether this work runs or waits to run."""
        with self._changed:
            return work in self._waiting or self._running == work

    def wait(self, work: Work) -> None:
        """Return when this work has nothing left to do."""
        with self._changed:
            while not self._closed and (work in self._waiting or self._running == work):
                self._changed.wait()

    def close(self) -> None:
        """Stop after the piece of work in hand."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._running = None
                self._changed.notify_all()
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                work = self._running = self._waiting.popleft()
            more = False
            try:
                more = work()
            except Exception:  # noqa: BLE001 - derived data: queries scan what is not indexed
                _log.exception("indexing failed; searching goes on without the graph")
            if more:
                self.wake(work)
