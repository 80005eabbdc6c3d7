"""Which documents has LangChain's indexing API written already?

`VicinalRecordManager` keeps its book in the same directory or client as the vectors, so that a backup
or a copy takes both. Given the vector store, it also looks there: a key *exists* only while its document
is in the store, so that whatever was deleted, reset or lost behind its back is written again by the next
run, not skipped for ever.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from datetime import date
from functools import partial
from numbers import Number, Real
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from langchain_core.indexing import RecordManager
from langchain_core.runnables.config import run_in_executor

import vicinal
from langchain_vicinal._batch import one_or_many
from langchain_vicinal._connect import Directory
from langchain_vicinal._filters import to_where
from langchain_vicinal._keyed import Keyed, present
from langchain_vicinal.vectorstores import VicinalVectorStore
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown


class Drift(NamedTuple):
    """How the book and the store differ; two empty lists when they agree."""

    missing: list[str]
    """Keys of the book whose documents are not in the store. The next run writes them again."""
    unrecorded: list[str]
    """Ids of documents in the store that the book does not know: written by other means, or by a run
    that was stopped between its two steps."""


class VicinalRecordManager(Keyed, RecordManager):
    """LangChain's `RecordManager`, beside the vectors.

    Args:
        namespace: Any text; the books of different namespaces know nothing of each other. Left out:
            the name of the store's collection.
        store: The vector store that the documents go to. The book is kept with its client, and
            `exists` looks at it.
        path: Where the book is kept when there is no `store`; in memory, when nothing is given.
        client: The same; or the store's, when the store was given a collection and does not know it.
    """

    def __init__(
        self,
        namespace: str | None = None,
        *,
        store: VicinalVectorStore | None = None,
        path: Directory | None = None,
        client: vicinal.Client | None = None,
    ) -> None:
        """Open or make the book."""
        if store is not None:
            if not isinstance(store, VicinalVectorStore):
                raise ArgumentTypeError(argument="store", expected="a VicinalVectorStore", got=store)
            if path is not None:
                raise InvalidArgumentError("the book is kept with store=; path= is for one without")
            client = client or store.client
        self._store = store
        self.namespace = _namespace(namespace, store)
        name = hashlib.blake2b(self.namespace.encode(), digest_size=16).hexdigest()
        super().__init__(
            f"langchain-records-{name}",
            path,
            client,
            metadata={"namespace": self.namespace},
        )
        self._latest: float | None = None

    def create_schema(self) -> None:
        """Nothing: the constructor has made all that is needed."""

    async def acreate_schema(self) -> None:
        """Nothing: the constructor has made all that is needed."""

    def get_time(self) -> float:
        """Seconds since 1970; more than this object said before and the book says, whatever the clock does:
        what a run has not entered is then older than the run."""
        if self._latest is None:
            self._latest = self.collection.stats("at").max or 0.0
        self._latest = max(math.nextafter(self._latest, math.inf), time.time())
        return self._latest

    async def aget_time(self) -> float:
        """Async `get_time`."""
        return await run_in_executor(None, self.get_time)

    def update(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """Enter keys with their groups and the time, replacing what the book says of them.

        Raises `InvalidArgumentError` (a ValueError) when lengths differ, or when `time_at_least` has
        not come yet: the clocks of two machines disagree.
        """
        entered, groups = one_or_many(keys, "keys"), _groups(group_ids)
        if groups and len(entered) != len(groups):
            raise InvalidArgumentError(
                f"Expected one item of group_ids for each of the {len(entered)} keys, got {len(groups)}"
            )
        for i, key in enumerate(entered):
            if not isinstance(key, str):
                raise ArgumentTypeError(argument=f"keys[{i}]", expected="a str", got=key)
        _check_time(time_at_least)
        now = self.get_time()
        if time_at_least is not None and time_at_least > now:
            raise InvalidArgumentError(f"time_at_least: {shown(time_at_least)} has not come yet; it is {now}")
        book = dict(zip(entered, groups or [None] * len(entered)))
        self._write(book, metadatas=[{"group": group, "at": now} for group in book.values()])

    async def aupdate(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """Async `update`."""
        await run_in_executor(None, self.update, keys, group_ids=group_ids, time_at_least=time_at_least)

    def exists(self, keys: Sequence[str]) -> list[bool]:
        """For each key, whether it is in the book and, given a store, its document in the store."""
        wanted = one_or_many(keys, "keys")
        known = self._there(wanted)
        if self._store is not None:
            known = present(self._store.collection, known)
        return [key in known for key in wanted]

    async def aexists(self, keys: Sequence[str]) -> list[bool]:
        """Async `exists`."""
        return await run_in_executor(None, self.exists, keys)

    def list_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """Keys entered before and after these times, of these groups if any, in order of first entry.

        At most `limit`, where there is one: 0 is none, as to LangChain's own record managers.
        """
        times = {name: time for name, time in (("$lt", before), ("$gt", after)) if time is not None}
        conditions: dict[str, Any] = {"at": times} if times else {}
        if group_ids:
            conditions["group"] = {"$in": _groups(group_ids)}
        where = to_where(conditions)
        found: list[str] = self.collection.get(where=where, limit=limit or None, include=[])["ids"]
        return found

    async def alist_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """Async `list_keys`."""
        call = partial(self.list_keys, before=before, after=after, group_ids=group_ids, limit=limit)
        return await run_in_executor(None, call)

    def delete_keys(self, keys: Sequence[str]) -> None:
        """Strike keys out; unknown ones are ignored."""
        self.collection.delete(one_or_many(keys, "keys"))

    async def adelete_keys(self, keys: Sequence[str]) -> None:
        """Async `delete_keys`."""
        await run_in_executor(None, self.delete_keys, keys)

    def drift(self) -> Drift:
        """Compare the book with the store; changes nothing. Reads the ids of both."""
        if self._store is None:
            raise InvalidArgumentError("this record manager was given no store= to compare with")
        recorded = self.list_keys()
        stored = self._store.collection.get(include=[])["ids"]
        there, known = set(stored), set(recorded)
        return Drift([key for key in recorded if key not in there], [id for id in stored if id not in known])

    async def adrift(self) -> Drift:
        """Async `drift`."""
        return await run_in_executor(None, self.drift)


def _groups(given: Any) -> list[Any]:
    """Groups that can be listed again; mostly texts."""
    groups = one_or_many(given or (), "group_ids")
    for i, group in enumerate(groups):
        if not isinstance(group, (str, Number, date, UUID, bytes, np.generic, type(None))):
            raise ArgumentTypeError(argument=f"group_ids[{i}]", expected="a str", got=group)
    return groups


def _check_time(given: Any) -> None:
    if given is not None and not isinstance(given, Real):
        raise ArgumentTypeError(argument="time_at_least", expected="seconds", got=given)


def _namespace(given: Any, store: VicinalVectorStore | None) -> str:
    if given is None and store is not None:
        return store.collection.name
    if given is None:
        raise InvalidArgumentError("a record manager needs a namespace, or store= to take its name from")
    if not isinstance(given, str):
        expected = "a str; the vector store is given by name, as store="
        raise ArgumentTypeError(argument="namespace", expected=expected, got=given)
    try:
        given.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(
            f"namespace: half a surrogate pair is no character, got {given!r}"
        ) from None
    return given
