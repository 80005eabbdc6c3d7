"""How is LanceDB asked? A table with an HNSW index in one partition, and scalar indexes on the filtered keys.

A batch is acknowledged without fsync: favourable to it.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from bench.engines.base import FILTERED, HNSW, Answer, Batch, Engine, ef_search, sql
from bench.filters import ANY, Condition

_FIELDS = ["id", "document", "metadata"]
_INDEX_ROWS_MIN = 256


class LanceDB(Engine):
    """`lancedb.Table`. Vectors are scaled to one byte a number in the index and rescored from the table."""

    package = "lancedb"

    def open(self, directory: Path, shape: tuple[int, int]) -> None:
        self.ef = ef_search(shape[0])
        lancedb, self.arrow = importlib.import_module("lancedb"), importlib.import_module("pyarrow")
        kinds, vector = {int: self.arrow.int64(), str: self.arrow.utf8()}, self.arrow.float32()
        fields = [(name, self.arrow.utf8()) for name in _FIELDS]
        fields += [(name, kinds[kind]) for name, kind in FILTERED.items()]
        fields.append(("vector", self.arrow.list_(vector, shape[1])))
        self.schema = self.arrow.schema(fields)
        connection = lancedb.connect(directory)
        self.table = connection.create_table("bench", schema=self.schema, exist_ok=True)

    def close(self) -> None:
        del self.table

    def add(self, batch: Batch) -> None:
        self.table.add(self._arrow(batch))

    def finish(self) -> None:
        if self.table.list_indices():
            self.table.optimize()
            return
        graph = {"m": HNSW["max_neighbors"], "ef_construction": HNSW["ef_construction"]}
        if self.table.count_rows() >= _INDEX_ROWS_MIN:
            config = importlib.import_module("lancedb.index").HnswSq(
                distance_type="cosine", num_partitions=1, **graph
            )
            self.table.create_index("vector", config=config)
        for name in ("random", "axis", "added", "member"):
            self.table.create_scalar_index(name, index_type="BTREE")
        self.table.create_scalar_index("shade", index_type="BITMAP")

    def query(self, vector: Any, k: int, condition: Condition = ANY) -> Answer:
        search = self.table.search(vector).distance_type("cosine").limit(k).select([*_FIELDS, "_distance"])
        search = search.ef(self.ef).nprobes(1).refine_factor(3)
        if tests := sql(condition, "contains(document, '{}')"):
            search = search.where(tests, prefilter=True)
        found = search.to_arrow().to_pydict()
        return found["id"], found["document"], [json.loads(text) for text in found["metadata"]]

    def count(self, condition: Condition) -> int:
        return int(self.table.count_rows(sql(condition)))

    def upsert(self, batch: Batch) -> None:
        merge = self.table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(self._arrow(batch))

    def delete(self, ids: list[str]) -> None:
        listed = ", ".join("'" + id.replace("'", "''") + "'" for id in ids)
        self.table.delete(f"id IN ({listed})")

    def delete_where(self, condition: Condition) -> None:
        self.table.delete(sql(condition))

    def _arrow(self, batch: Batch) -> Any:
        metadatas, vectors = batch["metadatas"], batch["embeddings"]
        columns = [batch["ids"], batch["documents"], [json.dumps(metadata) for metadata in metadatas]]
        columns += [[metadata[name] for metadata in metadatas] for name in FILTERED]
        columns.append(self.arrow.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1]))
        arrays = [self.arrow.array(column) if isinstance(column, list) else column for column in columns]
        return self.arrow.table(arrays, schema=self.schema)
