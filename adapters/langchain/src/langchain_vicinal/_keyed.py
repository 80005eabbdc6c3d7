"""Where do things live that are found by key: record keys, bytes, cached answers?

Each in a collection of its own, in the same directory or client as the vectors: one backup, one
check, one format. A record needs a vector, so each gets the same one of a single component, 4 bytes;
nothing ever searches for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

import vicinal
from langchain_vicinal._connect import Directory, connect
from langchain_vicinal._filters import EVERYTHING


class Keyed:
    """A collection of records that are found by id, in a client or directory."""

    def __init__(
        self,
        collection_name: str,
        path: Directory | None,
        client: vicinal.Client | None,
        **settings: Any,
    ) -> None:
        self._connection = connect(
            collection_name,
            path=path,
            client=client,
            collection=None,
            settings={"embedding_function": None, **settings},
            create=True,
        )

    @property
    def collection(self) -> vicinal.Collection:
        """The engine's collection, for everything that LangChain has no word for."""
        return self._connection.collection

    def close(self) -> None:
        """Close the client if it was made here. Everything that was written is on disk already."""
        self._connection.close()

    def _write(
        self,
        ids: Iterable[str],
        documents: Iterable[str] | None = None,
        metadatas: Iterable[Any] | None = None,
    ) -> None:
        """Records whole, replacing those that exist; the vectors stay as they are."""
        listed = list(ids)
        vectors = np.ones((len(listed), 1), dtype=np.float32)
        self.collection.upsert(listed, vectors, metadatas, documents, merge_metadata=False)

    def _there(self, ids: Iterable[str]) -> set[str]:
        return present(self.collection, ids)

    def _clear(self) -> None:
        self.collection.delete(where=EVERYTHING)


def present(collection: vicinal.Collection, ids: Iterable[str]) -> set[str]:
    """Those of these ids that the collection has."""
    return set(collection.get(list(ids), include=[])["ids"])
