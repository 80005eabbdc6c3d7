"""What does an engine do in its turn?

Functions from an engine and a corpus to plain data, run in the engine's own process. They time and
report; the answers are judged elsewhere.
"""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any

from bench.corpus import Corpus
from bench.engines import Batch, Engine
from bench.filters import Filter, Where

BATCH_ROWS = 1000
_ANSWERS_MIN = 20
_WARM_UP = 5


def ingest(engine: Engine, corpus: Corpus, directory: Path) -> dict[str, Any]:
    """Fill an empty directory, batch by batch, and wait until all of it is in the graph."""
    rows = len(corpus.ids)
    engine.open(directory, corpus.vectors.shape)
    columns: Batch = {"ids": corpus.ids, "embeddings": corpus.vectors}
    columns |= {"documents": corpus.documents, "metadatas": corpus.metadatas}
    starts = range(0, rows, BATCH_ROWS)
    batches = [{name: column[i : i + BATCH_ROWS] for name, column in columns.items()} for i in starts]
    began = time.perf_counter()
    for batch in batches:
        engine.add(batch)
    acknowledged = time.perf_counter()
    engine.finish()
    return {"rows_per_s": rows / (acknowledged - began), "indexed_s": time.perf_counter() - began}


def query(
    engine: Engine, corpus: Corpus, k: int, filter: Filter | None, numbers: list[int], seconds: float
) -> dict[str, Any]:
    """Ask one by one, in the order of `numbers`, until the seconds are spent, but some at least.

    The first question is reported apart: it pays for whatever a new filter prepares. It and the few
    that follow, which warm up and are not reported, are the last of `numbers`.
    """
    wheres = [filter.where(corpus.sides[number], number) if filter else None for number in numbers]
    asked = list(zip(corpus.questions[numbers], wheres))
    (first_ms, _), *_ = [_ask(engine, vector, k, where) for vector, where in asked[-_WARM_UP:]]
    answers: list[tuple[float, list[str]]] = []
    until = time.perf_counter() + seconds
    for vector, where in asked:
        if len(answers) >= _ANSWERS_MIN and time.perf_counter() > until:
            break
        answers.append(_ask(engine, vector, k, where))
    times_ms, ids = zip(*answers)
    return {"first_ms": first_ms, "times_ms": times_ms, "answers": ids}


def reopen(engine: Engine, directory: Path, questions: Any, k: int) -> dict[str, Any]:
    """Import, open and answer in a new process; then all other questions, for what memory they need."""
    began = time.perf_counter()
    importlib.import_module(engine.package)
    imported = time.perf_counter()
    engine.open(directory, questions.shape)
    engine.query(questions[0], k, None)
    answered = time.perf_counter()
    for vector in questions:
        engine.query(vector, k, None)
    return {"import_ms": 1e3 * (imported - began), "answer_ms": 1e3 * (answered - imported)}


def _ask(engine: Engine, vector: Any, k: int, where: Where | None) -> tuple[float, list[str]]:
    began = time.perf_counter()
    ids, _, _ = engine.query(vector, k, where)
    return 1e3 * (time.perf_counter() - began), ids
