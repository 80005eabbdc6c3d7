"""What does an engine do in its turn?

Functions from an engine and a corpus to plain data, run in the engine's own process. They time and
report; the answers are judged elsewhere.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import re
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bench.corpus import Corpus
from bench.engines.base import Batch, Engine, NotOfferedError, Sparse
from bench.filters import Condition
from bench.memory import resident

Call = TypeVar("Call")
Found = dict[str, Any]
Asked = Sequence[tuple[int, Condition]]
"""Questions by number, each with its condition."""

BATCH_ROWS = 1000
QUERIES_MANY = 100
MIXED_QUERIES = 1000
MMR_FETCH_K = 50
_ADAPTER_ROWS = 2000
_ANSWERS_MIN = 20
_APPENDED_ROWS = 100
_APPENDS = 15
_SCANS = 5
_RECORDS_ASKED = 300
_WARM_UP = 5


def ingest(engine: Engine, corpus: Corpus, directory: Path) -> Found:
    """Fill an empty directory, batch by batch, and wait until all of it is indexed."""
    rows = len(corpus.ids)
    engine.open(directory, corpus.vectors.shape)
    batches = list(_batches(corpus))
    began = time.perf_counter()
    for batch in batches:
        engine.add(batch)
    acknowledged = time.perf_counter()
    engine.finish()
    return {"rows_per_s": rows / (acknowledged - began), "indexed_s": time.perf_counter() - began}


def begin(engine: Engine, corpus: Corpus, directory: Path) -> Found:
    """Open a store that is there, and return when all that it loads in the background is loaded."""
    engine.open(directory, corpus.vectors.shape)
    engine.settle()
    return {}


def warm_up(engine: Engine, corpus: Corpus, k: int) -> Found:
    """Ask for the neighbours of some hundred records, so that no turn is the first of its process."""
    for row in np.linspace(0, len(corpus.ids) - 1, _RECORDS_ASKED, dtype=np.int64):
        engine.query(corpus.vectors[row], k)
    return {}


def query(engine: Engine, corpus: Corpus, k: int, asked: Asked, seconds: float) -> Found:
    """Ask one by one until the seconds are spent, but some at least.

    The first question is reported apart: it pays for whatever a new filter prepares, and what that began
    in the background is waited for. It and the few that follow, which warm up and are not reported, are
    the last of `asked`: the answers are those of the first, in their order.
    """
    calls, warming = _apart([lambda n=n, c=c: engine.query(corpus.questions[n], k, c) for n, c in asked])
    first_ms, _ = _timed(warming[0])
    engine.settle()
    for call in warming[1:]:
        call()
    times, answers = _ask(calls, seconds)
    return {"first_ms": first_ms, "times_ms": times, "answers": [ids for ids, _, _ in answers]}


def count(engine: Engine, corpus: Corpus, asked: Asked, seconds: float) -> Found:  # noqa: ARG001
    """How many records does a condition select? What a filter costs without a search."""
    calls = [lambda c=c: engine.count(c) for _, c in asked]
    first_ms, _ = _timed(calls[-1])
    return {"first_ms": first_ms, "times_ms": _ask(calls[:-1], seconds)[0]}


def batch(engine: Engine, corpus: Corpus, k: int, seconds: float) -> Found:
    """Many questions in one call."""
    vectors = np.ascontiguousarray(np.resize(corpus.questions, (QUERIES_MANY, corpus.questions.shape[1])))
    engine.query_many(vectors, k)
    times, _ = _ask([lambda: engine.query_many(vectors, k)] * 1000, seconds, least=3)
    return {"queries_per_s": 1e3 * QUERIES_MANY / float(np.median(times))}


def threads(engine: Engine, corpus: Corpus, k: int, seconds: float) -> Found:
    """How many queries a second do one thread and two threads get answered?"""
    engine.query(corpus.questions[0], k)
    one, two = (_throughput(engine, corpus, k, seconds, threads) for threads in (1, 2))
    return {"one_per_s": one, "two_per_s": two, "two_by_one": two / one}


def mmr(engine: Engine, corpus: Corpus, k: int, asked: Asked, seconds: float) -> Found:
    """Maximal marginal relevance, and the plain query beside it, question by question."""
    questions = [corpus.questions[number] for number, _ in asked]
    calls = [(lambda v=v: engine.query(v, k), lambda v=v: engine.mmr(v, k, MMR_FETCH_K)) for v in questions]
    return _beside(calls, seconds)


def text(engine: Engine, corpus: Corpus, k: int, asked: Asked, seconds: float) -> Found:
    """The best by their words."""
    return _warm([lambda n=n: engine.text(corpus.asked[n], k) for n, _ in asked], seconds)


def hybrid(engine: Engine, corpus: Corpus, k: int, asked: Asked, seconds: float) -> Found:
    """The best by their words and vectors together."""
    vectors = corpus.questions
    return _warm([lambda n=n: engine.hybrid(corpus.asked[n], vectors[n], k) for n, _ in asked], seconds)


def sparse(engine: Engine, corpus: Corpus, k: int, asked: Asked, seconds: float) -> Found:
    """The best by sparse vectors of their words, which are made and stored beforehand."""
    batches = ({**batch, "sparse": map(_hashed, batch["documents"])} for batch in _batches(corpus))
    return _warm(engine.sparse(batches, [_hashed(corpus.asked[n]) for n, _ in asked], k), seconds)


def scan(engine: Engine, corpus: Corpus, asked: Asked) -> Found:  # noqa: ARG001 - the engine holds the text
    """Find a phrase or pattern by looking at every document, in Python."""
    tests = [test for _, condition in asked[:_SCANS] for test in (condition.document or {}).items()]
    searches = [_test(operator, needle) for operator, needle in tests]
    return {"times_ms": _ask([lambda s=s: engine.scan(s) for s in searches], 0, least=_SCANS)[0]}


def adapter(engine: Engine, corpus: Corpus, k: int, name: str, asked: Asked, seconds: float) -> Found:
    """What does a framework's store add to a query over the same small collection?"""
    vectors = [corpus.questions[number] for number, _ in asked]
    calls = getattr(engine, name)(_rows(corpus, slice(0, _ADAPTER_ROWS)), vectors, k)
    return _beside(list(zip(calls[::2], calls[1::2])), seconds)


def reopen(engine: Engine, directory: Path, vectors: Any, conditions: Sequence[Condition], k: int) -> Found:
    """Import, open and answer in a new process; then mixed queries, for what memory they need."""
    began = time.perf_counter()
    importlib.import_module(engine.package)
    imported, before = time.perf_counter(), resident()
    engine.open(directory, vectors.shape)
    engine.query(vectors[0], k)
    answered = time.perf_counter()
    for number, condition in zip(range(MIXED_QUERIES), itertools.cycle(conditions)):
        engine.query(vectors[number % len(vectors)], k, condition)
    after = resident()
    memory = {"own_mb": after.own_mb - before.own_mb, "mapped_mb": after.mapped_mb - before.mapped_mb}
    return {"import_ms": 1e3 * (imported - began), "answer_ms": 1e3 * (answered - imported), **memory}


def write(engine: Engine, corpus: Corpus, condition: Condition) -> Found:
    """Add, replace and delete as many rows each, one batch a time."""
    engine.query(corpus.questions[0], 1)
    rows = min(BATCH_ROWS, len(corpus.ids) // 10)
    chosen = np.random.default_rng(3).permutation(len(corpus.ids))
    replaced = _rows(corpus, chosen[:rows])
    replaced["embeddings"] = np.roll(replaced["embeddings"], 1, axis=0)
    gone = [corpus.ids[row] for row in chosen[rows : 2 * rows]]
    steps: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "add": (engine.add, next(_fresh(corpus, rows))),
        "upsert": (engine.upsert, replaced),
        "delete": (engine.delete, gone),
        "delete_where": (engine.delete_where, condition),
    }
    found: Found = {}
    for name, (step, argument) in steps.items():
        with contextlib.suppress(NotOfferedError):
            found[f"{name}_ms"], _ = _timed(partial(step, argument))
        engine.settle()
    return found


def append(engine: Engine, corpus: Corpus, condition: Condition) -> Found:
    """The first count after an append, of a condition that was counted before."""
    times = []
    engine.count(condition)
    for more in itertools.islice(_fresh(corpus, _APPENDED_ROWS, round=2), _APPENDS):
        engine.add(more)
        times.append(_timed(lambda: engine.count(condition))[0])
    return {"times_ms": times}


def busy(engine: Engine, corpus: Corpus, k: int, seconds: float) -> Found:
    """Queries alone, and while another thread adds batches as fast as they are taken."""
    calls = [lambda v=v: engine.query(v, k) for v in corpus.questions]
    engine.settle()
    others, warming = _apart(calls)
    for call in warming:
        call()
    idle, _ = _ask(others, seconds)
    stop, took, failed = threading.Event(), [], []

    def ingest() -> None:
        try:
            for more in _fresh(corpus, BATCH_ROWS, round=1):
                if stop.is_set():
                    break
                took.append(_timed(lambda more=more: engine.add(more))[0])
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=ingest)
    thread.start()
    try:
        times, _ = _ask(itertools.cycle(calls), seconds)
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]
    names = {"idle_p95_ms": (idle, 95), "busy_p95_ms": (times, 95), "busy_p99_ms": (times, 99)}
    figures = {name: float(np.percentile(values, q)) for name, (values, q) in names.items()}
    rate = {"batch_ms": float(np.median(took)), "rows_per_s": 1e3 * BATCH_ROWS / float(np.mean(took))}
    return figures | rate | {"longest_ms": max(times)}


# --- how ---------------------------------------------------------------------------------------------


def _rows(corpus: Corpus, chosen: Any) -> Batch:
    """Some of the corpus, as a batch."""
    rows = range(len(corpus.ids))[chosen] if isinstance(chosen, slice) else chosen.tolist()
    return {
        "ids": [corpus.ids[row] for row in rows],
        "embeddings": np.ascontiguousarray(corpus.vectors[chosen]),
        "documents": [corpus.documents[row] for row in rows],
        "metadatas": [corpus.metadatas[row] for row in rows],
    }


def _batches(corpus: Corpus) -> Iterator[Batch]:
    """All of the corpus."""
    return (_rows(corpus, slice(i, i + BATCH_ROWS)) for i in range(0, len(corpus.ids), BATCH_ROWS))


def _hashed(text: str) -> Sparse:
    """A text's words by their hashes; their weights are BM25's in a text of usual length, without the idf."""
    counts = Counter(zlib.crc32(word.encode()) for word in re.findall(r"\w+", text.lower()))
    indices = sorted(counts)
    return indices, [2.2 * counts[index] / (counts[index] + 1.2) for index in indices]


def _fresh(corpus: Corpus, rows: int, round: int = 0) -> Iterator[Batch]:
    """Batches of records that are not there yet: other ids, vectors beside those of the corpus."""
    rows = min(rows, len(corpus.ids))
    for number in itertools.count():
        first = number * rows % (len(corpus.ids) - rows + 1)
        batch = _rows(corpus, slice(first, first + rows))
        batch["ids"] = [f"new {round} {number} {id}" for id in batch["ids"]]
        batch["embeddings"] = batch["embeddings"] + np.roll(batch["embeddings"], 1, axis=0)
        yield batch


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    answer = call()
    return 1e3 * (time.perf_counter() - began), answer


def _ask(calls: Any, seconds: float, least: int = _ANSWERS_MIN) -> tuple[list[float], list[Any]]:
    """Milliseconds and answers, until the seconds are spent, but of some calls at least."""
    times: list[float] = []
    answers = []
    until = time.perf_counter() + seconds
    for call in calls:
        if len(times) >= least and time.perf_counter() > until:
            break
        took, answer = _timed(call)
        times.append(took)
        answers.append(answer)
    return times, answers


def _apart(calls: list[Call]) -> tuple[list[Call], list[Call]]:
    """What is timed, and the last few, which warm up; all is both where there are no more."""
    return calls[:-_WARM_UP] or calls, calls[-_WARM_UP:]


def _warm(asked: list[Callable[[], Any]], seconds: float) -> Found:
    calls, warming = _apart(asked)
    first_ms, _ = _timed(warming[0])
    for call in warming[1:]:
        call()
    return {"first_ms": first_ms, "times_ms": _ask(calls, seconds)[0]}


def _beside(pairs: list[tuple[Callable[[], Any], Callable[[], Any]]], seconds: float) -> Found:
    """Two calls in turns: the median and p95 of the second, and what it takes beyond the first."""
    timed, warming = _apart(pairs)
    for first, second in warming:
        first(), second()
    times, _ = _ask([call for pair in timed for call in pair], seconds, least=2 * _ANSWERS_MIN)
    whole = len(times) // 2 * 2
    direct, through = np.median(times[:whole:2]), times[1:whole:2]
    return {"times_ms": through, "direct_ms": float(direct), "above_ms": float(np.median(through) - direct)}


def _throughput(engine: Engine, corpus: Corpus, k: int, seconds: float, threads: int) -> float:
    stop, counts = threading.Event(), [0] * threads

    def ask(number: int) -> None:
        for vector in itertools.cycle(corpus.questions[number::threads]):
            if stop.is_set():
                return
            engine.query(vector, k)
            counts[number] += 1

    workers = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    time.sleep(seconds)
    stop.set()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - began)


def _test(operator: str, needle: str) -> Callable[[str], Any]:
    return (lambda text: needle in text) if operator == "$contains" else re.compile(needle).search
