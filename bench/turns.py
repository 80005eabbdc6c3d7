"""Who runs when, where, and what does it cost on disk?

A round: every engine fills an empty directory in a fresh process and closes it; the store is weighed, and
opened by another fresh process. Then a third opens each store, and workload by workload they take turns, so
that what disturbs the machine for a minute disturbs all of them, and one that waits does nothing. What an
engine does not offer gives no figures; what fails is reported by name.
"""

from __future__ import annotations

import itertools
import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import corpus as corpora
from bench.filters import COMPOUNDS, DOCUMENT_QUESTIONS, DOCUMENTS, RANGES, Case, Compound, Range
from bench.truth import Truth
from bench.worker import Worker
from bench.workloads import BATCH_ROWS, Found

WORKLOADS = ("query", "filter", "compound", "count", "document", "scan", "batch", "threads", "mmr")
WORKLOADS += ("text", "hybrid", "sparse", "langchain", "llama_index", "reopen", "write", "append", "busy")
"""What can be chosen; `ingest` comes before them always."""

_READ_BYTES = 1 << 24

Turn = dict[str, Any]
"""Round, engine, workload and case (a filter's name, or empty), and the figures that were measured."""


@dataclass(frozen=True)
class Options:
    """What is measured, and how often; `seconds` of asking a turn."""

    engines: Sequence[str]
    workloads: Sequence[str]
    rows: int
    dimension: int
    rounds: int
    k: int
    queries: int
    seconds: float
    cache: Path

    def corpus(self) -> corpora.Corpus:
        """What the engines hold."""
        return corpora.load(self.cache, self.rows, self.queries, self.dimension)


@dataclass(frozen=True)
class Step:
    """One workload with its arguments, which every engine runs in its turn."""

    workload: str
    function: str
    arguments: tuple[Any, ...]
    case: Case | None = None
    numbers: Sequence[int] = ()
    judged: bool = False


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
            parts = (
                _fill(options, places),
                _open_again(options, corpus, truth, places),
                _ask_and_write(options, truth, round, places),
            )
            yield from ({"round": round, **turn} for turn in itertools.chain(*parts))


def _fill(options: Options, places: dict[str, Path]) -> Iterator[Turn]:
    for name, place in places.items():
        place.mkdir()
        worker = Worker(name, options)
        yield from _turn(name, "ingest", "", worker.watched("ingest", place))
        worker.run("settle")
        worker.close()


def _asking(options: Options, truth: Truth, round: int) -> Iterator[Step]:
    """What is asked of a store, in this order."""
    numbers = random.Random(round).sample(range(options.queries), options.queries)
    about_text = [number for number in numbers if number < DOCUMENT_QUESTIONS]
    k, seconds, wanted = options.k, options.seconds, set(options.workloads)

    def judged(workload: str, cases: Sequence[Case | None], questions: list[int] = numbers) -> Iterator[Step]:
        for case in cases if workload in wanted else ():
            asked = [(number, truth.condition(case, number)) for number in questions]
            yield Step(workload, "query", (k, asked, seconds), case, questions, judged=True)

    yield from judged("query", [None])
    yield from judged("filter", RANGES)
    yield from judged("compound", COMPOUNDS)
    for case in COMPOUNDS if "count" in wanted else ():
        asked = [(number, truth.condition(case, number)) for number in numbers]
        yield Step("count", "count", (asked, seconds), case)
    yield from judged("document", DOCUMENTS, about_text)
    for case in DOCUMENTS if "scan" in wanted else ():
        yield Step("scan", "scan", ([(n, truth.condition(case, n)) for n in about_text],), case)
    plain = [(number, truth.condition(None, number)) for number in numbers]
    rest: dict[str, tuple[str, tuple[Any, ...]]] = {
        name: (name, (k, seconds)) for name in ("batch", "threads")
    }
    rest |= {name: (name, (k, plain, seconds)) for name in ("mmr", "text", "hybrid", "sparse")}
    rest |= {name: ("adapter", (k, name, plain, seconds)) for name in ("langchain", "llama_index")}
    for name, (function, arguments) in rest.items():
        if name in wanted:
            yield Step(name, function, arguments)


def _writing(options: Options, truth: Truth) -> Iterator[Step]:
    """What is written to it at last, and asked meanwhile."""
    share = min(BATCH_ROWS, options.rows // 10) / options.rows
    gone, counted = Range("random", share), Compound("$and of three", cold=False)
    arguments: dict[str, tuple[Any, ...]] = {
        "write": (truth.condition(gone, 0),),
        "append": (truth.condition(counted, 0),),
        "busy": (options.k, options.seconds),
    }
    for name, its in arguments.items():
        if name in options.workloads:
            yield Step(name, name, its)


def _open_again(
    options: Options, corpus: corpora.Corpus, truth: Truth, places: dict[str, Path]
) -> Iterator[Turn]:
    if "reopen" not in options.workloads:
        return
    cases = [None, *(case for case in RANGES if case.share >= 0.01)]
    conditions = [truth.condition(case, 0) for case in cases]
    for name, place in places.items():
        found = {"disk_mb": sum(map(_disk_bytes, place.rglob("*"))) / 1e6}
        if _forget(place):
            cold = _run(name, "reopen", place, corpus.questions, [], options.k)
            found |= {"cold_ms": cold["answer_ms"]} if "answer_ms" in cold else {}
        _remember(place)
        found |= _run(name, "reopen", place, corpus.questions, conditions, options.k)
        yield from _turn(name, "reopen", "", found)


def _run(name: str, function: str, *arguments: Any) -> Found:
    """One function in a process of its own."""
    worker = Worker(name, None)
    found: Found = worker.run(function, *arguments)
    worker.close()
    return found


def _remember(place: Path) -> None:
    """Read a store's files once, so that they are in the system's cache."""
    for path in filter(Path.is_file, place.rglob("*")):
        with path.open("rb") as stream:
            while stream.read(_READ_BYTES):
                pass


def _forget(place: Path) -> bool:
    """Have the system drop a store's files from its cache, as after a restart; whether it can be told."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in filter(Path.is_file, place.rglob("*")):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def _ask_and_write(options: Options, truth: Truth, round: int, places: dict[str, Path]) -> Iterator[Turn]:
    workers = {name: Worker(name, options) for name in places}
    for name, worker in workers.items():
        yield from _turn(name, "begin", "", worker.run("begin", places[name]))
    for place in places.values():  # the system may have dropped what was idle while others were filled
        _remember(place)
    for worker in workers.values():
        worker.run("warm_up", options.k)
    for step in itertools.chain(_asking(options, truth, round), _writing(options, truth)):
        for name, worker in workers.items():
            found = worker.run(step.function, *step.arguments)
            yield from _turn(name, step.workload, step.case.name if step.case else "", found, step, truth)
    for worker in workers.values():
        worker.close()


def _turn(
    engine: str, workload: str, case: str, found: Turn, step: Step | None = None, truth: Truth | None = None
) -> Iterator[Turn]:
    """The turn with its figures, judged and summed up; none if the engine does not offer it."""
    if found.pop("not_offered", False):
        return
    answers = found.pop("answers", None)
    if answers is not None and step is not None and truth is not None:
        judged = [truth.judge(step.case, number, ids) for number, ids in zip(step.numbers, answers)]
        found["recall"], found["full"] = (float(np.mean(column)) for column in zip(*judged))
    if times := found.pop("times_ms", None):
        found["p50_ms"], found["p95_ms"] = np.percentile(times, (50, 95)).tolist()
        found["asked"] = len(times)
    yield {"engine": engine, "workload": workload, "case": case, **found}


def _disk_bytes(path: Path) -> int:
    """What a file occupies, where the platform tells: holes are free."""
    stat = path.stat()
    return stat.st_blocks * 512 if hasattr(stat, "st_blocks") else stat.st_size
