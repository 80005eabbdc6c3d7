"""How is qdrant-edge asked? One shard in the process, with payload indexes on the filtered keys.

An update returns when the write-ahead log has it, which is not flushed: favourable to it. `optimize` builds
the graph, which its default would leave out below 10,000 kB of vectors; segments are merged into one.
"""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.engines.base import FILTERED, HNSW, THREADS, Answer, Batch, Engine, NotOfferedError, ef_search
from bench.filters import ANY, Condition

_NAMESPACE = uuid.UUID(int=0)
_OUR_ID, _DOCUMENT = "bench_id", "bench_document"
_INDEXED_KB = 100
_SCANNED_KB = (
    20_000  # filters that select less are scanned; with its default, half of it, far filters lose recall
)


class QdrantEdge(Engine):
    """`qdrant_edge.EdgeShard`."""

    package = "qdrant_edge"

    def open(self, directory: Path, shape: tuple[int, int]) -> None:
        self.qdrant = q = importlib.import_module("qdrant_edge")
        path = directory / "shard"
        if path.exists():
            self.shard = q.EdgeShard.load(str(path))
        else:
            path.mkdir()
            self.shard = q.EdgeShard.create(str(path), self._config(shape[1]))
            for name, kind in FILTERED.items():
                schema = q.PayloadSchemaType.Integer if kind is int else q.PayloadSchemaType.Keyword
                self.shard.update(q.UpdateOperation.create_field_index(name, schema))
        self.params = q.SearchParams(hnsw_ef=ef_search(shape[0]))

    def _config(self, dimension: int) -> Any:
        q = self.qdrant
        graph = q.HnswIndexConfig(
            m=HNSW["max_neighbors"],
            ef_construct=HNSW["ef_construction"],
            full_scan_threshold=_SCANNED_KB,
            max_indexing_threads=THREADS,
        )
        return q.EdgeConfig(
            vectors=q.EdgeVectorParams(size=dimension, distance=q.Distance.Cosine),
            hnsw_config=graph,
            optimizers=q.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=_INDEXED_KB),
        )

    def close(self) -> None:
        self.shard.flush()
        self.shard.close()

    def add(self, batch: Batch) -> None:
        columns = zip(batch["ids"], batch["embeddings"].tolist(), batch["documents"], batch["metadatas"])
        points = [
            self.qdrant.Point(_key(id), vector, {_OUR_ID: id, _DOCUMENT: document, **metadata})
            for id, vector, document, metadata in columns
        ]
        self.shard.update(self.qdrant.UpdateOperation.upsert_points(points))

    upsert = add

    def finish(self) -> None:
        self.shard.optimize()

    def query(self, vector: Any, k: int, condition: Condition = ANY) -> Answer:
        return _answer(self.shard.query(self._request(vector, k, condition)))

    def query_many(self, vectors: Any, k: int) -> Sequence[Answer]:
        requests = [self._request(vector, k, ANY) for vector in vectors]
        return [_answer(points) for points in self.shard.query_batch(self.qdrant.QueryBatchRequest(requests))]

    def mmr(self, vector: Any, k: int, fetch_k: int) -> Answer:
        query = self.qdrant.Mmr(vector.tolist(), 0.5, fetch_k)
        request = self.qdrant.QueryRequest(limit=k, query=query, with_payload=True, with_vector=True)
        return _answer(self.shard.query(request))

    def delete(self, ids: list[str]) -> None:
        self.shard.update(self.qdrant.UpdateOperation.delete_points([_key(id) for id in ids]))

    def delete_where(self, condition: Condition) -> None:
        self.shard.update(self.qdrant.UpdateOperation.delete_points_by_filter(self._filter(condition)))

    def count(self, condition: Condition) -> int:
        return int(self.shard.count(self.qdrant.CountRequest(filter=self._filter(condition), exact=True)))

    def _request(self, vector: Any, k: int, condition: Condition) -> Any:
        return self.qdrant.QueryRequest(
            limit=k,
            query=self.qdrant.Query.Nearest(vector.tolist()),
            filter=self._filter(condition),
            with_payload=True,
            params=self.params,
        )

    def _filter(self, condition: Condition) -> Any:
        q, tests = self.qdrant, []
        for key, operator, operand in condition.parts():
            if operator == "$in":
                tests.append(q.FieldCondition(key, match=q.MatchAny(list(operand))))
            elif isinstance(operand, str):
                raise NotOfferedError  # ranges are of numbers and dates
            else:
                tests.append(q.FieldCondition(key, range=q.RangeFloat(**{operator[1:]: float(operand)})))
        for operator, needle in (condition.document or {}).items():
            if operator != "$contains":
                raise NotOfferedError
            tests.append(q.FieldCondition(_DOCUMENT, match=q.MatchSubstring(needle)))
        return q.Filter(must=tests) if tests else None


def _key(id: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, id))


def _answer(points: Sequence[Any]) -> Answer:
    payloads = [dict(point.payload) for point in points]
    ids = [payload.pop(_OUR_ID) for payload in payloads]
    return ids, [payload.pop(_DOCUMENT) for payload in payloads], payloads
