"""Where do a retriever's parent documents, or cached embeddings, lie?

`VicinalByteStore` is LangChain's key-value store of bytes, in the same directory or client as the
vectors: the `byte_store` of a ParentDocumentRetriever or MultiVectorRetriever, the store of
CacheBackedEmbeddings.

The bytes are kept as text, one character for each byte. Bytes below 128, so all of ASCII and JSON,
take their own size on disk, the others twice that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

from langchain_core.runnables.config import run_in_executor
from langchain_core.stores import BaseStore

import vicinal
from langchain_vicinal._batch import one_or_many
from langchain_vicinal._connect import Directory
from langchain_vicinal._keyed import Keyed
from vicinal.errors import ArgumentTypeError, shown

_ONE_BYTE_EACH = "latin-1"


class VicinalByteStore(Keyed, BaseStore[str, bytes]):
    """A key-value store of bytes: LangChain's `BaseStore[str, bytes]`.

    Args:
        collection_name: The collection, made if it does not exist. It holds nothing else.
        path: A directory; several stores and processes may share it.
        client: A client of Vicinal's, in place of `path`, such as `vector_store.client`. With
            neither, the store is in memory.

    Keys are non-empty strings. Each call is atomic, and what it wrote is on disk when it returns.
    """

    def __init__(
        self,
        collection_name: str = "langchain-bytes",
        *,
        path: Directory | None = None,
        client: vicinal.Client | None = None,
    ) -> None:
        """Open or make the collection."""
        super().__init__(collection_name, path, client)

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The value of each key, None where there is none; repeats are answered each time."""
        wanted = one_or_many(keys, "keys")
        found = self.collection.get(wanted, include=["documents"])
        values = {id: text.encode(_ONE_BYTE_EACH) for id, text in zip(found["ids"], found["documents"])}
        return [values.get(key) for key in wanted]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Set values, all or none; of pairs with one key the last counts."""
        try:
            values = dict(key_value_pairs)
        except (TypeError, ValueError):
            wanted = "pairs of a key and bytes"
            raise ArgumentTypeError(
                argument="key_value_pairs", expected=wanted, got=key_value_pairs
            ) from None
        for key, value in values.items():
            if not isinstance(value, (bytes, bytearray, memoryview)):
                raise ArgumentTypeError(argument=f"the value of {shown(key)}", expected="bytes", got=value)
        self._write(values, [bytes(value).decode(_ONE_BYTE_EACH) for value in values.values()])

    def mdelete(self, keys: Sequence[str]) -> None:
        """Delete keys; those that are not there are ignored."""
        self.collection.delete(one_or_many(keys, "keys"))

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """The keys that begin with the prefix, as of the first step, in the order of their setting."""
        yield from self._keys(prefix)

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncIterator[str]:
        """Async `yield_keys`; reads once, off the event loop."""
        for key in await run_in_executor(None, self._keys, prefix):
            yield key

    def _keys(self, prefix: str | None) -> list[str]:
        if prefix is not None and not isinstance(prefix, str):
            raise ArgumentTypeError(argument="prefix", expected="a str", got=prefix)
        return [key for key in self.collection.get(include=[])["ids"] if key.startswith(prefix or "")]
