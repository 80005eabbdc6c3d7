"""When does a record cease to be there?

A collection that is created with an `expiry` in its configuration looks at one metadata key of every
record: the moment, a datetime, a date or seconds since 1970, from which it is not there any more. Every
read, and every write that meets its id, leaves such a record out; its row goes for good with the next
removal.

The clock is rounded down to whole seconds, so that the mask of what is still there repeats. A record is
never gone early, and at most a second late. One whose key is missing or null never expires. A key with dots
is looked up as in filters: literally, or else as a path into nested metadata.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vicinal import _request as r
from vicinal._filter import Node
from vicinal._filter.ast import Compare, Kind, Not, Operand, Or
from vicinal._filter.masks import Mask
from vicinal._filter.values import classify, is_missing, lookup
from vicinal._snapshot import Snapshot
from vicinal._storage.metadata import decode
from vicinal.config import ExpiryConfiguration

_MICROSECONDS = 1_000_000


def allowed(snapshot: Snapshot, ids: Sequence[str] | None, where: Node | None) -> Mask | None:
    """The rows that ids and filter allow and that have not expired; None allows all."""
    mask = snapshot.select(ids, where)
    expiry = snapshot.live.info.configuration.expiry
    if expiry is None:
        return mask
    there = snapshot.select(None, Not(expired(expiry)))
    assert there is not None
    return there if mask is None else mask & there


def expired(expiry: ExpiryConfiguration) -> Node:
    """The condition that a record fulfils whose time has come."""
    now = int(time.time())
    seconds = Compare(expiry.key, "lte", Operand(Kind.INT, now))
    moment = Compare(expiry.key, "lte", Operand(Kind.TIME, now * _MICROSECONDS))
    return Or((seconds, moment))


def expired_ids(expiry: ExpiryConfiguration | None, metadatas: Iterable[tuple[str, str | None]]) -> list[str]:
    """Those of (id, metadata as text) whose time has come."""
    if expiry is None:
        return []
    now = int(time.time())
    return [id for id, metadata in metadatas if _is_over(decode(metadata), expiry.key, now)]


def stamped(expiry: ExpiryConfiguration | None, request: r.Write) -> r.Write:
    """A write with the collection's time to live on what it adds, unless a record brings its own.

    What a record brings under a dotted path takes the place of what an earlier write was stamped with.
    """
    if expiry is None or expiry.ttl_s is None:
        return request
    key, given, merges = expiry.key, request.metadatas, request.merge_metadata
    stamp = {} if request.mode == "update" else {key: time.time() + expiry.ttl_s}
    if given is None:
        if not stamp:
            return request
        given, merges = (None,) * len(request.ids), True  # none was given, so none is replaced
    unstamp = {key: None} if merges and request.mode != "add" else {}

    def timed(metadata: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if is_missing(lookup(metadata, key)):
            return {**stamp, **(metadata or {})} or metadata
        return {**unstamp, **(metadata or {})}

    return replace(request, metadatas=tuple(map(timed, given)), merge_metadata=merges)


def _is_over(metadata: Mapping[str, Any] | None, key: str, now: int) -> bool:
    kind, value = classify(lookup(metadata, key, None))
    if kind in (Kind.INT, Kind.FLOAT):
        return bool(value <= now)
    return kind is Kind.TIME and bool(value <= now * _MICROSECONDS)
