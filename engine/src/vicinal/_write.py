"""What does this batch change?

Pure decisions: given a write request and the records that exist under its ids, which rows are new,
which are taken out, which are altered in place. Nothing is stored here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vicinal import _request as r
from vicinal._storage import checksums
from vicinal._storage.changes import Delta, State
from vicinal._storage.metadata import decode, encode
from vicinal._storage.records import NewRecord, Replacement
from vicinal._turns import in_turns
from vicinal.errors import DuplicateIDError
from vicinal.types import Vectors

_COMPARED = 4096  # vectors at a time

Texts = tuple["str | None", "str | None", "str | None"]
"""(document, metadata as text, uri)"""
Before = tuple[int, int, "str | None", "str | None", "str | None"]
"""(row, position, document, metadata as text, uri)"""


def known_columns(mode: r.Mode) -> str:
    """The columns of a `Before`. `add` keeps what exists as it is, so texts, often long, are not read."""
    return "position, NULL, metadata, NULL" if mode == "add" else "position, document, metadata, uri"


@dataclass
class Decision:
    """The effect of one batch, ready to be written."""

    inserted: list[NewRecord] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    """For each inserted record, the item of the request whose embedding it takes."""
    removed: list[int] = field(default_factory=list)
    replaced: list[Replacement] = field(default_factory=list)
    added: int = 0
    updated: int = 0
    kept: int = 0
    purged: list[int] = field(default_factory=list)
    """Positions of expired records whose ids are taken again."""

    @property
    def changes_nothing(self) -> bool:
        return not (self.inserted or self.replaced)

    def info(self) -> r.WriteInfo:
        return r.WriteInfo(self.added, self.updated, self.kept)

    def delta(self) -> Delta:
        altered = [row for *_, row in self.replaced]
        return Delta(np.array(self.removed, dtype=np.int64), np.array(altered, dtype=np.int64))

    def state(self, before: State, dimension: int | None) -> State:
        """The state that this batch leads to."""
        return before._replace(
            change=before.change + 1,
            rows=before.rows + len(self.inserted),
            records=before.records + self.added - len(self.purged),
            positions=before.positions + self.added,
            dimension=dimension,
        )

    def insert(self, before: State, request: r.Write, item: int, position: int, values: Texts) -> None:
        """A record at the next row, with the embedding of an item of the request."""
        assert request.embeddings is not None
        row, id = before.rows + len(self.inserted), request.ids[item]
        document, metadata, uri = values
        checksum = checksums.of_record(position, id, *values, request.embeddings[item])
        self.inserted.append((row, position, id, document, metadata, uri, checksum))
        self.sources.append(item)


def encode_metadatas(request: r.Write) -> list[str | None]:
    """The metadata of new records as text; done before any lock is taken."""
    if request.metadatas is None:
        return [None] * len(request.ids)
    if request.mode == "add" or not request.merge_metadata:
        return [encode(item) for item in in_turns(request.metadatas)]
    return [encode(_without_none(item)) for item in in_turns(request.metadatas)]


def update_of(request: r.Alter, ids: tuple[str, ...]) -> r.Write:
    """The same metadata for each of the records that were found."""
    return r.Write(
        request.collection,
        "update",
        ids,
        embeddings=None,
        documents=None,
        metadatas=(request.metadata,) * len(ids),
        uris=None,
        merge_metadata=request.merge_metadata,
    )


def decide(
    request: r.Write,
    texts: list[str | None],
    state: State,
    existing: Mapping[str, Before],
    expired: Sequence[str],
    stored: Vectors,
    collection: str,
) -> Decision:
    """Go through the batch in order. `existing` are the records under its ids, `stored` the vectors of
    the committed rows.

    An `expired` record is not there: its id is free, and who takes it takes its row out.
    """
    decision = Decision()
    if expired:
        existing = dict(existing)
        over = [existing.pop(id) for id in expired]
        if request.mode != "update":
            decision.removed.extend(row for row, *_ in over)
            decision.purged.extend(position for _, position, *_ in over)
    if request.on_conflict == "error" and existing:
        raise DuplicateIDError(ids=[id for id in request.ids if id in existing], existing=collection)
    moved = _moved(request, existing, stored)
    for item, id in enumerate(in_turns(request.ids)):
        before = existing.get(id)
        if before is None:
            if request.mode != "update":
                position = state.positions + decision.added
                decision.insert(state, request, item, position, _new_values(request, texts, item))
                decision.added += 1
        elif request.mode == "add":
            decision.kept += 1
        else:
            row, position, *_ = before
            values = _changed_values(request, item, texts[item] if texts else None, before)
            if item in moved:
                decision.insert(state, request, item, position, values)
                decision.removed.append(row)
            elif values != before[2:]:
                checksum = checksums.of_record(position, id, *values, stored[row])
                decision.replaced.append((*values, checksum, row))
            decision.updated += 1
    return decision


def _moved(request: r.Write, existing: Mapping[str, Before], stored: Vectors) -> set[int]:
    """The items that change a record's vector: it moves to a new row; anything else changes in its row."""
    if request.mode == "add" or request.embeddings is None:
        return set()
    items = [item for item, id in enumerate(request.ids) if id in existing]
    moved: set[int] = set()
    for start in range(0, len(items), _COMPARED):
        part = items[start : start + _COMPARED]
        before = stored[[existing[request.ids[item]][0] for item in part]].view(np.uint32)
        changed = (before != request.embeddings[part].view(np.uint32)).any(axis=1)  # −0.0 is not 0.0
        moved.update(item for item, differs in zip(part, changed.tolist()) if differs)
    return moved


def _changed_values(request: r.Write, item: int, text: str | None, before: Before) -> Texts:
    """What a record holds after the write; `text` is the item's metadata as `encode_metadatas` wrote it."""
    _, _, document, metadata, uri = before
    same = text is not None and text == metadata
    return (
        _given(request.documents, item, document),
        metadata if same else _changed_metadata(request, item, metadata),
        _given(request.uris, item, uri),
    )


def _new_values(request: r.Write, texts: list[str | None], item: int) -> Texts:
    return _given(request.documents, item, None), texts[item], _given(request.uris, item, None)


def _given(column: tuple[str | None, ...] | None, item: int, before: str | None) -> str | None:
    """The given value; what was there before when none is given."""
    value = None if column is None else column[item]
    return before if value is None else value


def _changed_metadata(request: r.Write, item: int, before: str | None) -> str | None:
    """Merged key by key, None deleting; or replaced whole."""
    if request.metadatas is None:
        return before
    given = request.metadatas[item]
    if not request.merge_metadata:
        return encode(given)
    if not given:
        return before
    old = decode(before) or {}
    merged = {key: value for key, value in {**old, **given}.items() if given.get(key, key) is not None}
    if merged:
        return encode(merged)
    return None if old else before  # the last key was deleted; or there was none, and nothing happens


def _without_none(metadata: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if metadata is None or None not in metadata.values():
        return metadata
    return {key: value for key, value in metadata.items() if value is not None} or None
