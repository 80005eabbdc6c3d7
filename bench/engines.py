"""What is compared?

Each engine is one class, written as its own documentation would have one write it. All build the same
graph (`HNSW`) over cosine distance with as many threads, and answer with ids, documents and metadata.
`package` is imported before `open`, so that both can be timed.
"""

from __future__ import annotations

import importlib
import os
import pickle
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench.filters import Where, parse

HNSW = {"max_neighbors": 16, "ef_construction": 100, "ef_search": 100}
THREADS = max(1, (os.cpu_count() or 2) - 1)

Answer = tuple[list[str], list[str], list[dict[str, Any]]]
"""(ids, documents, metadatas), nearest first."""
Batch = dict[str, Any]
"""Records to be added: ids, embeddings, documents and metadatas."""


class Engine(Protocol):
    """What a turn needs: add returns when the batch is acknowledged, finish when all of it is indexed.

    `shape`, of all the vectors to come, is told to those who want to know beforehand.
    """

    package: str

    def open(self, directory: Path, shape: tuple[int, int]) -> None: ...
    def add(self, batch: Batch) -> None: ...
    def finish(self) -> None: ...
    def query(self, vector: Any, k: int, where: Where | None) -> Answer: ...
    def close(self) -> None: ...


class Vicinal:
    """A persistent client; an acknowledged batch is on disk."""

    package = "vicinal"

    def open(self, directory: Path, shape: tuple[int, int]) -> None:  # noqa: ARG002 - it need not know
        self.client = self._connect(directory)
        configuration = {"hnsw": {"space": "cosine", "num_threads": THREADS, **HNSW}}
        self.collection = self.client.get_or_create_collection(
            "bench", configuration=configuration, embedding_function=None
        )

    def _connect(self, directory: Path) -> Any:
        return importlib.import_module("vicinal").PersistentClient(directory)

    def add(self, batch: Batch) -> None:
        self.collection.add(**batch)

    def finish(self) -> None:
        importlib.import_module("vicinal.testing").wait_for_index(self.collection)

    def query(self, vector: Any, k: int, where: Where | None) -> Answer:
        wanted = ["documents", "metadatas"]
        found = self.collection.query([vector], n_results=k, where=where, include=wanted)
        return found["ids"][0], found["documents"][0], found["metadatas"][0]

    def close(self) -> None:
        self.client.close()


class Chroma(Vicinal):
    """Chroma's persistent client, without telemetry. Vicinal has its API, so little differs."""

    package = "chromadb"

    def _connect(self, directory: Path) -> Any:
        chromadb = importlib.import_module("chromadb")
        settings = chromadb.Settings(anonymized_telemetry=False)
        return chromadb.PersistentClient(path=str(directory), settings=settings)

    def finish(self) -> None:
        self.collection.query(query_embeddings=self.collection.peek(1)["embeddings"], n_results=1)


class Hnswlib:
    """The graph alone, records in a list: what an answer costs at the very least; durable on close only.

    Filters are asked record by record, as hnswlib offers. Where it cannot fill an answer it raises;
    the question then counts as answered with nothing.
    """

    package = "hnswlib"

    def open(self, directory: Path, shape: tuple[int, int]) -> None:
        self.files = directory / "graph.bin", directory / "records.pickle"
        self.graph = importlib.import_module("hnswlib").Index(space="cosine", dim=shape[1])
        self.records: list[tuple[str, str, dict[str, Any]]] = []
        if self.files[0].exists():
            self.graph.load_index(str(self.files[0]))
            self.records = pickle.loads(self.files[1].read_bytes())
        else:
            self.graph.init_index(shape[0], M=HNSW["max_neighbors"], ef_construction=HNSW["ef_construction"])
        self.graph.set_ef(HNSW["ef_search"])

    def add(self, batch: Batch) -> None:
        labels = np.arange(len(self.records), len(self.records) + len(batch["ids"]))
        self.graph.add_items(batch["embeddings"], labels, num_threads=THREADS)
        self.records.extend(zip(batch["ids"], batch["documents"], batch["metadatas"]))

    def finish(self) -> None:
        """Every row is in the graph already."""

    def query(self, vector: Any, k: int, where: Where | None) -> Answer:
        accept, records = None, self.records
        if where is not None:
            key, compare, bound = parse(where)
            accept = lambda row: compare(records[row][2][key], bound)  # noqa: E731 - as one would pass it
        try:
            labels, _ = self.graph.knn_query(vector, k=k, num_threads=1, filter=accept)
        except RuntimeError:
            return [], [], []
        found = [records[row] for row in labels[0].tolist()]
        return [id for id, _, _ in found], [text for _, text, _ in found], [more for _, _, more in found]

    def close(self) -> None:
        self.graph.save_index(str(self.files[0]))
        self.files[1].write_bytes(pickle.dumps(self.records))


ENGINES: dict[str, type[Engine]] = {"vicinal": Vicinal, "hnswlib": Hnswlib, "chroma": Chroma}
