"""Who runs when, where, and what does it cost in memory and on disk?

A round: every engine gets an empty directory and a fresh process; then, workload by workload, they take
turns, so that what disturbs the machine for a minute disturbs all of them, and one that waits does
nothing. At last each store is closed, weighed, and opened by another fresh process.
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench import corpus as corpora
from bench import workloads
from bench.engines import ENGINES
from bench.filters import ALL
from bench.truth import Truth

_SAMPLE_S = 0.05

Turn = dict[str, Any]
"""Round, engine, workload and case (a filter's name, or empty), and the figures that were measured."""


@dataclass(frozen=True)
class Options:
    """What is measured, and how often; `seconds` of asking a turn."""

    engines: Sequence[str]
    rows: int
    rounds: int
    k: int
    queries: int
    seconds: float
    cache: Path


def order(engines: Sequence[str], round: int) -> list[str]:
    """Rotated every round, reversed every cycle: for three engines, six rounds are all six orders."""
    cycle, shift = divmod(round, len(engines))
    line = list(engines)[:: -1 if cycle % 2 else 1]
    return line[shift:] + line[:shift]


def measure(options: Options, corpus: corpora.Corpus, truth: Truth) -> Iterator[Turn]:
    """All rounds, turn by turn."""
    for round in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.cache) as directory:
            places = {name: Path(directory, name) for name in order(options.engines, round)}
            parts = _fill_and_ask(options, truth, round, places), _open_again(options, corpus, places)
            yield from ({"round": round, **turn} for turn in itertools.chain(*parts))


def _fill_and_ask(options: Options, truth: Truth, round: int, places: dict[str, Path]) -> Iterator[Turn]:
    numbers = random.Random(round).sample(range(options.queries), options.queries)
    workers = {name: Worker(name, options) for name in places}
    for name, worker in workers.items():
        places[name].mkdir()
        yield {"engine": name, "workload": "ingest", "case": "", **worker.run("ingest", places[name])}
    for filter in (None, *ALL):
        for name, worker in workers.items():
            found = worker.run("query", options.k, filter, numbers, options.seconds)
            recalls = [truth.recall(filter, n, ids) for n, ids in zip(numbers, found.pop("answers"))]
            p50, p95 = np.percentile(found.pop("times_ms"), (50, 95)).tolist()
            found |= {"p50_ms": p50, "p95_ms": p95, "recall": float(np.mean(recalls)), "asked": len(recalls)}
            yield {"engine": name, "workload": "query", "case": filter.name if filter else "", **found}
    for worker in workers.values():
        worker.close()


def _open_again(options: Options, corpus: corpora.Corpus, places: dict[str, Path]) -> Iterator[Turn]:
    for name, place in places.items():
        disk_mb = sum(map(_disk_bytes, place.rglob("*"))) / 1e6
        worker = Worker(name, None)
        found = worker.run("reopen", place, corpus.questions, options.k)
        worker.close()
        yield {"engine": name, "workload": "reopen", "case": "", **found, "disk_mb": disk_mb}


def _disk_bytes(path: Path) -> int:
    """What a file occupies, where the platform tells: holes are free."""
    stat = path.stat()
    return stat.st_blocks * 512 if hasattr(stat, "st_blocks") else stat.st_size


class Worker:
    """An engine in a process of its own, with the corpus if options are given."""

    def __init__(self, engine: str, options: Options | None) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit this process's memory
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, engine, options), daemon=True)
        self._process.start()
        theirs.close()
        self._usage = psutil.Process(self._process.pid)
        self._connection.recv()

    def run(self, workload: str, *arguments: Any) -> Turn:
        """What the workload found, and the most memory that it took beyond what there was before."""
        before = peak = self._private_bytes()
        self._connection.send((workload, arguments))
        while not self._connection.poll(_SAMPLE_S):
            peak = max(peak, self._private_bytes())
        found: Turn = self._connection.recv()
        return {**found, "memory_mb": (max(peak, self._private_bytes()) - before) / 1e6}

    def close(self) -> None:
        """Close the engine, as its store wants to be left, and end the process."""
        self._connection.send(None)
        self._process.join()

    def _private_bytes(self) -> int:
        """Resident memory, less what is mapped from files and can be dropped, where that is known."""
        usage = self._usage.memory_info()
        return int(usage.rss - getattr(usage, "shared", 0))


def _serve(connection: Connection, name: str, options: Options | None) -> None:
    engine = ENGINES[name]()
    held = [corpora.load(options.cache, options.rows, options.queries)] if options else []
    connection.send("ready")
    while (call := connection.recv()) is not None:
        workload, arguments = call
        connection.send(getattr(workloads, workload)(engine, *held, *arguments))
    engine.close()
