"""How does an engine run in a process of its own?"""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Protocol

from bench import workloads
from bench.corpus import Corpus
from bench.engines import ENGINES
from bench.engines.base import NotOfferedError
from bench.memory import resident

_SAMPLE_S = 0.05
_LOOKED_AT_MAX = 0.02  # of the time: a process of gigabytes waits tenths of a second for one look

Found = dict[str, Any]


class Held(Protocol):
    """What makes the corpus."""

    def corpus(self) -> Corpus: ...


class Worker:
    """An engine in a fresh process, with the corpus if options are given."""

    def __init__(self, engine: str, options: Held | None) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit this process's memory
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, engine, options), daemon=True)
        self._process.start()
        theirs.close()
        self._connection.recv()

    def run(self, workload: str, *arguments: Any) -> Found:
        """What the workload found.

        `not_offered` is set if the engine has no call for it, `failed` says what it raised. A process
        that ended by itself has failed, and fails from then on.
        """
        try:
            self._connection.send((workload, arguments))
            found: Found = self._connection.recv()
        except (EOFError, OSError):
            return {"failed": "its process has ended"}
        return found

    def watched(self, workload: str, *arguments: Any) -> Found:
        """The same, and the most memory that it took beyond what there was before.

        Not for what takes milliseconds: to say what a process holds, the system looks at each of its pages,
        and the process waits for that.
        """
        before = peak = resident(self._process.pid).own_mb
        over = threading.Event()

        def watch() -> None:
            nonlocal peak
            paused = _SAMPLE_S
            while not over.wait(paused):
                began = time.monotonic()
                peak = max(peak, resident(self._process.pid).own_mb)
                paused = max(_SAMPLE_S, (time.monotonic() - began) / _LOOKED_AT_MAX)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            found = self.run(workload, *arguments)
        finally:
            over.set()
            watching.join()
        if "failed" in found:
            return found
        return {**found, "memory_mb": max(peak, resident(self._process.pid).own_mb) - before}

    def close(self) -> None:
        """Close the engine, as its store wants to be left, and end the process."""
        with contextlib.suppress(OSError):  # it may have ended
            self._connection.send(None)
        self._process.join()


def _serve(connection: Connection, name: str, options: Held | None) -> None:
    engine = ENGINES[name]()
    held = [options.corpus()] if options else []
    connection.send("ready")
    while (call := connection.recv()) is not None:
        function, arguments = call
        work = engine.settle if function == "settle" else getattr(workloads, function)
        connection.send(_tried(work, *([] if function == "settle" else [engine, *held]), *arguments))
    engine.close()


def _tried(work: Callable[..., Any], *arguments: Any) -> Found:
    try:
        return work(*arguments) or {}
    except NotOfferedError:
        return {"not_offered": True}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
