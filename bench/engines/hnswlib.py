"""What does an answer cost at the very least? The graph alone, with the records in a list.

Not a store: durable on close only. Filters are asked record by record, as hnswlib offers. Where it cannot
fill an answer it raises; the question then counts as answered with nothing.
"""

from __future__ import annotations

import importlib
import operator
import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.engines.base import HNSW, THREADS, Answer, Batch, Engine, ef_search
from bench.filters import ANY, Condition

_CORES = THREADS + 1
_SPARE_ROWS = 200_000  # room to add while others read; it takes no memory until it is used
_Record = tuple[str, str, dict[str, Any]]


class Hnswlib(Engine):
    """`hnswlib.Index` and a Python list."""

    package = "hnswlib"

    def open(self, directory: Path, shape: tuple[int, int]) -> None:
        self.files = directory / "graph.bin", directory / "records.pickle"
        self.graph = importlib.import_module("hnswlib").Index(space="cosine", dim=shape[1])
        self.records: list[_Record] = []
        if self.files[0].exists():
            self.records = pickle.loads(self.files[1].read_bytes())
            self.graph.load_index(str(self.files[0]), max_elements=len(self.records) + _SPARE_ROWS)
        else:
            self.graph.init_index(shape[0], M=HNSW["max_neighbors"], ef_construction=HNSW["ef_construction"])
        self.graph.set_ef(ef_search(shape[0]))
        self.rows: dict[str, int] | None = None

    def close(self) -> None:
        self.graph.save_index(str(self.files[0]))
        self.files[1].write_bytes(pickle.dumps(self.records))

    def add(self, batch: Batch) -> None:
        first, count = len(self.records), len(batch["ids"])
        self.records.extend(zip(batch["ids"], batch["documents"], batch["metadatas"]))
        self.graph.add_items(batch["embeddings"], np.arange(first, first + count), num_threads=THREADS)
        self.rows = None

    def finish(self) -> None:
        """Every row is in the graph already."""

    def query(self, vector: Any, k: int, condition: Condition = ANY) -> Answer:
        accept, records = None, self.records
        if condition != ANY:
            test = _test(condition)
            accept = lambda row: test(records[row])  # noqa: E731 - as one would pass it
        try:
            labels, _ = self.graph.knn_query(vector, k=k, num_threads=1, filter=accept)
        except RuntimeError:
            return [], [], []
        return self._answer(labels[0])

    def query_many(self, vectors: Any, k: int) -> Sequence[Answer]:
        labels, _ = self.graph.knn_query(vectors, k=k, num_threads=_CORES)
        return [self._answer(row) for row in labels]

    def upsert(self, batch: Batch) -> None:
        rows = self._rows(batch["ids"])
        self.graph.add_items(batch["embeddings"], rows, num_threads=THREADS)
        for row, *record in zip(rows, batch["ids"], batch["documents"], batch["metadatas"]):
            self.records[row] = tuple(record)

    def delete(self, ids: list[str]) -> None:
        for row in self._rows(ids):
            self.graph.mark_deleted(row)

    def scan(self, test: Callable[[str], Any]) -> list[str]:
        return [id for id, document, _ in self.records if test(document)]

    def _rows(self, ids: list[str]) -> list[int]:
        if self.rows is None:
            self.rows = {record[0]: row for row, record in enumerate(self.records)}
        return [self.rows[id] for id in ids]

    def _answer(self, labels: Any) -> Answer:
        found = [self.records[row] for row in labels.tolist()]
        return [id for id, _, _ in found], [text for _, text, _ in found], [more for _, _, more in found]


def _test(condition: Condition) -> Callable[[_Record], bool]:
    tests: list[Callable[[_Record], Any]] = []
    for key, name, operand in condition.parts():
        if name == "$in":
            tests.append(lambda record, k=key, v=frozenset(operand): record[2][k] in v)  # type: ignore[misc]
        else:
            compare = {"$lt": operator.lt, "$gte": operator.ge}[name]
            tests.append(lambda record, k=key, v=operand, c=compare: c(record[2][k], v))  # type: ignore[misc]
    for name, needle in (condition.document or {}).items():
        search = re.compile(re.escape(needle) if name == "$contains" else needle).search
        tests.append(lambda record, s=search: s(record[1]))  # type: ignore[misc]
    if len(tests) == 1:
        return lambda record: bool(tests[0](record))
    return lambda record: all(test(record) for test in tests)
