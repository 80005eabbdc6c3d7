"""What does a turn need of an engine, and what is the same for all?

Each engine is written as its own documentation would have one write it. All build the same graph (`HNSW`)
over cosine distance with as many threads, index the metadata keys that are filtered by (`FILTERED`) where
they can, and answer with ids, documents and metadata. What an engine does not offer raises `NotOfferedError`
and stays empty in the tables: nothing is built around it.
"""

# ruff: noqa: ARG002 - the methods say what they take

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bench.filters import ANY, Condition

HNSW = {"max_neighbors": 24, "ef_construction": 200}
THREADS = max(1, (os.cpu_count() or 2) - 1)
FILTERED: dict[str, type] = {"random": int, "axis": int, "added": int, "member": str, "shade": str}

Answer = tuple[list[str], list[str], list[dict[str, Any]]]
"""(ids, documents, metadatas), nearest first."""
Batch = dict[str, Any]
"""Records to be added: ids, embeddings, documents and metadatas."""

Sparse = tuple[list[int], list[float]]
"""A sparse vector: ascending indices, and as many values."""


def ef_search(rows: int) -> int:
    """The ef that all walk with: Vicinal's where none is given.

    Written again, for no other engine's process may import Vicinal; a test compares the two.
    """
    return int(max(128, 100 * (rows / 50_000) ** 0.75))


class NotOfferedError(NotImplementedError):
    """The engine has no call for it."""


class Engine:
    """`package` is imported before `open`, so that both can be timed.

    `open` makes the store or opens the one that is there; `add` returns when the batch is acknowledged,
    `finish` when all of it is indexed. `shape`, of all the vectors to come, is told to those who want to
    know beforehand.
    """

    package: ClassVar[str]

    def open(self, directory: Path, shape: tuple[int, int]) -> None:
        raise NotOfferedError

    def close(self) -> None:
        raise NotOfferedError

    def add(self, batch: Batch) -> None:
        raise NotOfferedError

    def finish(self) -> None:
        raise NotOfferedError

    def query(self, vector: Any, k: int, condition: Condition = ANY) -> Answer:
        """The k nearest among those that the condition selects."""
        raise NotOfferedError

    def query_many(self, vectors: Any, k: int) -> Sequence[Answer]:
        """One answer a vector; one call where the engine has one, and then with all cores."""
        return [self.query(vector, k) for vector in vectors]

    def settle(self) -> None:
        """Return when what a first document filter began in the background is done."""

    def mmr(self, vector: Any, k: int, fetch_k: int) -> Answer:
        """k of the fetch_k nearest by maximal marginal relevance, λ = 0.5."""
        raise NotOfferedError

    def text(self, question: str, k: int) -> Answer:
        """The k best by BM25."""
        raise NotOfferedError

    def hybrid(self, question: str, vector: Any, k: int) -> Answer:
        """The k best by words and vector together."""
        raise NotOfferedError

    def sparse(self, batches: Iterable[Batch], vectors: Sequence[Sparse], k: int) -> list[Callable[[], Any]]:
        """A call a vector, for the k best by the batches' column `sparse`, in a collection of its own."""
        raise NotOfferedError

    def count(self, condition: Condition) -> int:
        """How many records the condition selects."""
        raise NotOfferedError

    def upsert(self, batch: Batch) -> None:
        """Replace records that are there."""
        raise NotOfferedError

    def delete(self, ids: list[str]) -> None:
        raise NotOfferedError

    def delete_where(self, condition: Condition) -> None:
        raise NotOfferedError

    def scan(self, test: Callable[[str], Any]) -> list[str]:
        """The ids of the documents that pass a test, by looking at all of them in Python."""
        raise NotOfferedError

    def langchain(self, batch: Batch, vectors: Any, k: int) -> list[Callable[[], Any]]:
        """Two calls a vector, of the engine and of its LangChain store, over one small collection."""
        raise NotOfferedError

    def llama_index(self, batch: Batch, vectors: Any, k: int) -> list[Callable[[], Any]]:
        """The same with its LlamaIndex store."""
        raise NotOfferedError


def sql(condition: Condition, contains: str = "") -> str | None:
    """The condition as the SQL that zvec and LanceDB read; `contains` formats a test of `document`."""
    operators = {"$lt": "<", "$gte": ">="}
    tests = []
    for key, operator, operand in condition.parts():
        if operator == "$in":
            tests.append(f"{key} IN ({', '.join(map(_literal, operand))})")
        else:
            tests.append(f"{key} {operators[operator]} {_literal(operand)}")
    if condition.document:
        needle = condition.document.get("$contains")
        if needle is None or not contains or set("'\"%_\\") & set(needle):
            raise NotOfferedError
        tests.append(contains.format(needle))
    return " AND ".join(tests) or None


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)
