"""What does Chroma's log say of a collection?

Every change to any collection is a row of the table `embeddings_queue`, in the order of writing, until the
collection's vectors have been written to its index. With a thousand small collections that is nearly all that
there is, and the table has no index: looking through it for each of them would take quadratic time. So it is
looked through once, for where the rows of each one stand.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from uuid import UUID

import numpy as np

from vicinal._storage.database import Transaction
from vicinal.types import Vectors

_TYPES = {"FLOAT32": "<f4", "INT32": "<i4"}
_BATCH_ROWS = 1_000


class Operation(IntEnum):
    """What an entry does to its record."""

    ADD = 0
    UPDATE = 1
    UPSERT = 2
    DELETE = 3


@dataclass(frozen=True)
class Entry:
    """One change to one record."""

    operation: Operation
    id: str
    vector: Vectors | None
    metadata: dict[str, Any]


class Log:
    """The log of a whole directory."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._places: dict[str, array[int]] = {}
        """Collection → the numbers of its entries, ascending; eight bytes each."""
        for number, topic in tx.execute("SELECT seq_id, topic FROM embeddings_queue ORDER BY seq_id"):
            self._places.setdefault(topic.rpartition("/")[2], array("q")).append(number)

    def entries(self, collection: UUID, mark: int) -> Iterator[Entry]:
        """What it says of a collection after a mark, in order."""
        places = self._places.get(str(collection), array("q"))
        for start in range(bisect_right(places, mark), len(places), _BATCH_ROWS):
            rows = self._tx.execute(
                "SELECT operation, id, vector, encoding, metadata FROM embeddings_queue "
                "WHERE seq_id IN (SELECT value FROM json_each(?)) ORDER BY seq_id",
                (json.dumps(places[start : start + _BATCH_ROWS].tolist()),),
            )
            for operation, id, vector, encoding, metadata in rows:
                read = None if vector is None else np.frombuffer(vector, _TYPES[encoding]).astype(np.float32)
                yield Entry(Operation(operation), id, read, dict(json.loads(metadata)) if metadata else {})
