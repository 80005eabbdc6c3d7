"""How is zvec asked? A collection with inverted indexes on the filtered keys.

`insert` returns when its write-ahead log has the batch, which is not flushed: favourable to it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

from bench.engines.base import FILTERED, HNSW, THREADS, Answer, Batch, Engine, ef_search, sql
from bench.filters import ANY, Condition

_FIELDS = ["id", "document", "metadata"]


class Zvec(Engine):
    """`zvec.Collection`; `optimize` builds the graph."""

    package = "zvec"

    def open(self, directory: Path, shape: tuple[int, int]) -> None:
        self.zvec = zvec = importlib.import_module("zvec")
        zvec.init(log_level=zvec.LogLevel.ERROR)
        path = directory / "store"
        if path.exists():
            self.collection = zvec.open(str(path))
        else:
            self.collection = zvec.create_and_open(str(path), self._schema(shape[1]))
        self.param = zvec.HnswQueryParam(ef=ef_search(shape[0]))

    def _schema(self, dimension: int) -> Any:
        zvec, kinds = self.zvec, {int: self.zvec.DataType.INT64, str: self.zvec.DataType.STRING}
        fields = [zvec.FieldSchema(name, zvec.DataType.STRING) for name in _FIELDS]
        for name, kind in FILTERED.items():
            inverted = zvec.InvertIndexParam(enable_range_optimization=True)
            fields.append(zvec.FieldSchema(name, kinds[kind], index_param=inverted))
        graph = zvec.HnswIndexParam(
            metric_type=zvec.MetricType.COSINE,
            m=HNSW["max_neighbors"],
            ef_construction=HNSW["ef_construction"],
        )
        vector = zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, dimension, index_param=graph)
        return zvec.CollectionSchema("bench", fields=fields, vectors=vector)

    def close(self) -> None:
        self.collection.close()

    def add(self, batch: Batch) -> None:
        self._accepted(self.collection.insert(self._docs(batch)))

    def finish(self) -> None:
        self.collection.optimize(self.zvec.OptimizeOption(concurrency=THREADS))

    def query(self, vector: Any, k: int, condition: Condition = ANY) -> Answer:
        query = self.zvec.Query("vector", vector=vector, param=self.param)
        # A substring search needs an index of words there, which finds words, not substrings.
        tests = sql(condition, "document LIKE '%{}%'")
        found = self.collection.query(query, topk=k, filter=tests, output_fields=_FIELDS)
        fields = [doc.fields for doc in found]
        documents = [field["document"] for field in fields]
        return [field["id"] for field in fields], documents, [json.loads(f["metadata"]) for f in fields]

    def upsert(self, batch: Batch) -> None:
        self._accepted(self.collection.upsert(self._docs(batch)))

    def delete(self, ids: list[str]) -> None:
        self._accepted(self.collection.delete([_key(id) for id in ids]))

    def delete_where(self, condition: Condition) -> None:
        self.collection.delete_by_filter(sql(condition))

    def _docs(self, batch: Batch) -> list[Any]:
        columns = zip(batch["ids"], batch["embeddings"], batch["documents"], batch["metadatas"])
        return [
            self.zvec.Doc(
                _key(id),
                vectors={"vector": vector},
                fields={"id": id, "document": document, "metadata": json.dumps(metadata)}
                | {name: metadata[name] for name in FILTERED},
            )
            for id, vector, document, metadata in columns
        ]

    def _accepted(self, statuses: Any) -> None:
        failed = [status for status in statuses if not status.ok()]
        if failed:
            raise RuntimeError(f"zvec refused {len(failed)} records: {failed[0].message()}")


def _key(id: str) -> str:
    """Its keys are of few characters and short."""
    return hashlib.blake2b(id.encode(), digest_size=16).hexdigest()
