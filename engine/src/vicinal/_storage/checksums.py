"""Are these bytes the ones that were written?

SQLite has no checksums and neither has a file of floats, so every record, log entry and collection
carries a CRC-32 of its own. It ties a record's texts to its vector: `check` finds a flipped bit in
either, and says whose it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Union

import numpy as np

from vicinal.types import Vector

Part = Union[str, bytes, int, None]


def of(parts: Iterable[Part]) -> int:
    """CRC-32 over values, each with its length, so that no two lists of values look alike."""
    pieces: list[bytes] = []
    for part in parts:
        if part is None:
            pieces.append(b"-")
            continue
        data = part if isinstance(part, bytes) else str(part).encode()
        pieces.append(b"%d:" % len(data))
        pieces.append(data)
    return zlib.crc32(b"".join(pieces))


def of_record(
    position: int,
    id: str,
    document: str | None,
    metadata: str | None,
    uri: str | None,
    vector: Vector,
) -> int:
    """The checksum of one record: all that it holds but its row number, which compaction changes.

    −1, which is nobody's checksum, for values of kinds that are never written.
    """
    texts = (document, metadata, uri)
    if type(position) is not int or type(id) is not str or {*map(type, texts)} - {str, type(None)}:
        return -1
    data = np.ascontiguousarray(vector, dtype="<f4").tobytes()
    return of((position, id, document, metadata, uri, data))
