"""Chroma's way to cut a batch that is larger than its engine takes; Vicinal takes any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_Batch = tuple[Sequence[str], Any, Any, Any]


def create_batches(
    api: Any,
    ids: Sequence[str],
    embeddings: Sequence[Any] | None = None,
    metadatas: Sequence[Any] | None = None,
    documents: Sequence[str] | None = None,
) -> list[_Batch]:
    """Batches of at most `api.get_max_batch_size()` records: tuples of the four columns, in order."""
    size = api.get_max_batch_size()

    def cut(column: Any, start: int) -> Any:
        return None if column is None else column[start : start + size]

    starts = range(0, max(len(ids), 1), size)
    return [(cut(ids, at), cut(embeddings, at), cut(metadatas, at), cut(documents, at)) for at in starts]
