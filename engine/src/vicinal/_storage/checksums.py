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

_TEXT = (str, type(None))

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
    if type(position) is not int or type(id) is not str:
        return -1
    if not (type(document) in _TEXT and type(metadata) in _TEXT and type(uri) in _TEXT):
        return -1
    vector = np.ascontiguousarray(vector, dtype="<f4")
    number = str(position)
    # Encoded at once, and the vector not copied beside it: this runs for every record that is written.
    texts = (
        f"{len(number)}:{number}{_framed(id)}{_framed(document)}{_framed(metadata)}{_framed(uri)}"
        f"{vector.nbytes}:"
    )
    return zlib.crc32(vector.data, zlib.crc32(texts.encode()))


def _framed(text: str | None) -> str:
    """As `of` sees one text: with its length in UTF-8."""
    if text is None:
        return "-"
    return f"{len(text) if text.isascii() else len(text.encode())}:{text}"
