"""What are the records of a Chroma collection, at this moment?

Chroma writes every change to a log (`embeddings_queue`) and from there to two places, each as far as it has
come: texts and metadata to tables, vectors to files in batches of `hnsw:sync_threshold`. So a record is what
the tables say, changed by what the log says after their mark; and a vector what the file says, changed by
what the log says after its own. The log's part is kept in memory; the rest is read in batches, in insertion
order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from vicinal._chroma.catalog import Source, value_of
from vicinal._chroma.log import Entry, Log, Operation
from vicinal._chroma.segment import Segment, sequence_number
from vicinal._storage.database import Transaction
from vicinal.errors import CorruptionError
from vicinal.types import Vectors

DOCUMENT, URI = "chroma:document", "chroma:uri"
_Record = tuple[int, str, dict[str, Any]]
"""Which entry of the log added it (−1: it keeps its place in the tables), its id and its metadata."""


@dataclass
class Batch:
    """Records in insertion order, and the ids of others whose vectors Chroma has lost."""

    ids: list[str] = field(default_factory=list)
    embeddings: Vectors | None = None
    documents: list[str | None] = field(default_factory=list)
    metadatas: list[dict[str, Any] | None] = field(default_factory=list)
    uris: list[str | None] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def halves(self) -> Iterator[Batch]:
        """The first half of the records, and the others."""
        assert self.embeddings is not None
        middle = len(self.ids) // 2
        for part in (slice(middle), slice(middle, None)):
            yield Batch(
                self.ids[part],
                self.embeddings[part],
                self.documents[part],
                self.metadatas[part],
                self.uris[part],
            )


class Records:
    """The records of one collection."""

    def __init__(self, tx: Transaction, log: Log, path: Path, source: Source) -> None:
        self._tx, self._log, self._source = tx, log, source
        segment = source.vector_segment
        self._segment = Segment(path / (segment or "-"), source.dimension, source.configuration.hnsw.space)
        self._lists = bool(
            tx.execute("SELECT 1 FROM sqlite_master WHERE name = 'embedding_metadata_array'").fetchone()
        )
        self._changes: dict[str, list[tuple[int, Entry]]] = {}
        try:
            self._vectors = self._later_vectors(max(self._mark(segment), self._segment.covered))
            for number, entry in enumerate(log.entries(source.id, self._mark(source.metadata_segment))):
                self._changes.setdefault(entry.id, []).append((number, entry))
        except (ValueError, KeyError, TypeError) as error:
            problem = f'what the log says of collection "{source.name}" cannot be read: {error}'
            raise CorruptionError(path=str(path), problem=problem) from error

    def count(self) -> int:
        """How many records the tables hold; the log may add some and take some away."""
        query = "SELECT count(*) FROM embeddings WHERE segment_id = ?"
        return int(self._tx.execute(query, (self._source.metadata_segment,)).fetchone()[0])

    def batches(self, size: int) -> Iterator[Batch]:
        """All of them, at most so many at a time."""
        rows = self._tx.execute(
            "SELECT id, embedding_id FROM embeddings WHERE segment_id = ? ORDER BY id",
            (self._source.metadata_segment,),
        )
        later: list[_Record] = []
        while found := rows.fetchmany(size):
            stored = self._stored([row for row, _ in found])
            batch: list[_Record] = []
            for row, id in found:
                metadata, added = self._changed(id, stored.get(row, {}))
                if metadata is not None:
                    (batch if added < 0 else later).append((added, id, metadata))
            yield self._batch(batch)
        for id in list(self._changes):
            metadata, added = self._changed(id, None)
            if metadata is not None:
                later.append((added, id, metadata))
        later.sort(key=itemgetter(0))
        for start in range(0, len(later), size):
            yield self._batch(later[start : start + size])

    # --- texts and metadata --------------------------------------------------------------------

    def _stored(self, rows: list[int]) -> dict[int, dict[str, Any]]:
        """Row → its metadata, document and URI among it."""
        found: dict[int, dict[str, Any]] = {}
        chosen = json.dumps(rows)
        select = "SELECT id, key, string_value, int_value, float_value, bool_value FROM"
        where = "WHERE id IN (SELECT value FROM json_each(?)) ORDER BY rowid"
        for row, key, *values in self._tx.execute(f"{select} embedding_metadata {where}", (chosen,)):
            found.setdefault(row, {})[key] = value_of(*values)
        if self._lists:
            lists: dict[tuple[int, str], list[Any]] = {}
            for row, key, *values in self._tx.execute(
                f"{select} embedding_metadata_array {where}", (chosen,)
            ):
                lists.setdefault((row, key), []).append(value_of(*values))
            for (row, key), items in lists.items():
                found.setdefault(row, {})[key] = items
        return found

    def _changed(self, id: str, metadata: dict[str, Any] | None) -> tuple[dict[str, Any] | None, int]:
        """A record's metadata (None: it is not there) after the log, and which entry added it (−1: none)."""
        added = -1
        for number, entry in self._changes.pop(id, ()):
            if entry.operation is Operation.DELETE:
                metadata = None
            elif metadata is None and entry.operation is not Operation.UPDATE:
                metadata, added = _merged({}, entry.metadata), number
            elif metadata is not None and entry.operation is not Operation.ADD:
                metadata = _merged(metadata, entry.metadata)
        return metadata, added

    # --- vectors -------------------------------------------------------------------------------

    def _later_vectors(self, mark: int) -> dict[str, Vectors | None]:
        """Id → its vector after the log, or None if it was deleted, where the log knows better."""
        vectors: dict[str, Vectors | None] = {}
        for entry in self._log.entries(self._source.id, mark):
            there = vectors[entry.id] is not None if entry.id in vectors else entry.id in self._segment
            if entry.operation is Operation.DELETE:
                vectors[entry.id] = None
            elif entry.vector is not None and (
                entry.operation is Operation.UPSERT or there == (entry.operation is Operation.UPDATE)
            ):
                if len(entry.vector) != self._source.dimension:
                    raise ValueError(f"the vector of {entry.id!r} has {len(entry.vector)} dimensions")
                vectors[entry.id] = entry.vector
        return vectors

    def _batch(self, records: list[_Record]) -> Batch:
        """The records with their vectors."""
        batch = Batch()
        for _, id, metadata in records:
            if self._vectors.get(id) is None and (id in self._vectors or id not in self._segment):
                batch.lost.append(id)
                continue
            batch.ids.append(id)
            batch.documents.append(metadata.pop(DOCUMENT, None))
            batch.uris.append(metadata.pop(URI, None))
            batch.metadatas.append(metadata or None)
        dimension = self._source.dimension or 0
        batch.embeddings = np.empty((len(batch.ids), dimension), dtype=np.float32)
        indexed = [at for at, id in enumerate(batch.ids) if id not in self._vectors]
        if indexed:
            batch.embeddings[indexed] = self._segment.vectors([batch.ids[at] for at in indexed])
        for at, id in enumerate(batch.ids):
            if (vector := self._vectors.get(id)) is not None:
                batch.embeddings[at] = vector
        return batch

    def _mark(self, segment: str | None) -> int:
        """How far a segment has come in the log."""
        row = self._tx.execute("SELECT seq_id FROM max_seq_id WHERE segment_id = ?", (segment,)).fetchone()
        return sequence_number(row[0] if row else None)


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A value of None deletes its key."""
    return {key: value for key, value in {**old, **new}.items() if value is not None}
