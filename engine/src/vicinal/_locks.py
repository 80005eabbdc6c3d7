"""Which locks does no signal leave taken?

What the handler of a signal raises, such as Ctrl-C, may come in any line, and must not come between taking a
lock and the block that gives it back. C's lock sees to that in `with`, but not in Python 3.14, where it stays
taken then, and others wait for ever (https://github.com/python/cpython/issues/148874).
"""

from __future__ import annotations

import _thread
import sys

CLock = _thread.RLock
"""What `threading.RLock()` makes: a lock that a thread may take again."""


class PythonLock(CLock):  # type: ignore[misc]  # final in typeshed only
    """The same, taken by Python. C lets go of it."""

    __slots__ = ()

    def __enter__(self) -> bool:  # type: ignore[override]
        # Signals are looked for after what is written as a call, but not when a loop calls.
        for taken in iter(self.acquire, False):
            return taken
        raise AssertionError("acquire waits until it has the lock")


RLock: type[CLock] = PythonLock if sys.version_info[:2] == (3, 14) else CLock
"""A lock that a thread may take again, and that no signal leaves taken in `with`."""
