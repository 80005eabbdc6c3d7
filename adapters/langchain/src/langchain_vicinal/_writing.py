"""How do documents come in, change and leave?  The writing half of `VicinalVectorStore`.

Text is embedded here, awaited in the async methods; then one engine call. It runs in a worker thread when
the caller is async, and so does the reading of what is given: a loader that yields documents opens files.
Every call is atomic, unless it asks for `batch_size`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from langchain_core.documents import Document
from langchain_core.runnables.config import run_in_executor

from langchain_vicinal import _batch
from langchain_vicinal._base import StoreBase
from langchain_vicinal._batch import Batch, Metadatas, Progress, Told
from langchain_vicinal._connect import one_of
from langchain_vicinal._filters import EVERYTHING, Filter, to_where
from langchain_vicinal.embeddings import avectors_of, vectors_of
from vicinal.errors import InvalidArgumentError

Write = Callable[[Batch, Any], None]


class WriteMethods(StoreBase):
    """The methods that write."""

    # --- adding ----------------------------------------------------------------------------------

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: Metadatas | None = None,
        ids: Iterable[str | None] | None = None,
        *,
        embeddings: Any = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add texts, replacing the records whose ids exist: text, metadata and embedding, whole.

        Args:
            texts: Any iterable, read once.
            metadatas: One per text, or none at all. Any JSON values, datetimes, dates,
                Decimals, UUIDs and bytes.
            ids: One per text, or none at all; for a None in it an id is made. Of texts with one id
                the last wins.
            embeddings: One vector per text, to spare the embedding.
            batch_size: Embed and write so many at a time. Left out: all in one atomic write.
            progress: Called as `progress(done, total)` whenever some are done: embedded, a thousand
                at a time, or written, if they came with embeddings.
            **kwargs: Ignored, as LangChain's callers pass various things on.

        Returns:
            One id per text.
        """
        given, batch = _batch.of_texts(texts, metadatas, ids, embeddings)
        self._each(batch, self._upsert, batch_size, progress)
        return given

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: Metadatas | None = None,
        ids: Iterable[str | None] | None = None,
        *,
        embeddings: Any = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Async `add_texts`."""
        given, batch = await run_in_executor(None, _batch.of_texts, texts, metadatas, ids, embeddings)
        await self._aeach(batch, self._upsert, batch_size, progress)
        return given

    def add_documents(
        self,
        documents: Iterable[Document],
        ids: Iterable[str | None] | None = None,
        *,
        embeddings: Any = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Like `add_texts`. A document's own id counts unless `ids` are given."""
        given, batch = _batch.of_documents(documents, ids, embeddings)
        self._each(batch, self._upsert, batch_size, progress)
        return given

    async def aadd_documents(
        self,
        documents: Iterable[Document],
        ids: Iterable[str | None] | None = None,
        *,
        embeddings: Any = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Async `add_documents`."""
        given, batch = await run_in_executor(None, _batch.of_documents, documents, ids, embeddings)
        await self._aeach(batch, self._upsert, batch_size, progress)
        return given

    def add_embeddings(self, *args: Any, **kwargs: Any) -> list[str]:
        """Like `add_texts`, with vectors that are there already. Called in any of three ways.

        `add_embeddings(texts, embeddings, metadatas=None, ids=None)`, as in PGVector;
        `add_embeddings(text_embeddings, metadatas=None, ids=None)`, pairs, as in FAISS;
        `add_embeddings(embeddings=…, metadatas=…, ids=…)`, without texts, as mem0 does.
        """
        given, batch = _batch.of_embeddings(*args, **kwargs)
        self._each(batch, self._upsert)
        return given

    async def aadd_embeddings(self, *args: Any, **kwargs: Any) -> list[str]:
        """Async `add_embeddings`."""
        return await run_in_executor(None, self.add_embeddings, *args, **kwargs)

    # --- changing and deleting -------------------------------------------------------------------

    def update_documents(
        self,
        ids: Iterable[str] | None = None,
        documents: Iterable[Document] | None = None,
        *,
        document_id: str | None = None,
        document: Document | None = None,
    ) -> None:
        """Replace existing records whole; ids that do not exist are ignored, as in Chroma.

        Also called with `document_id=` and `document=`, as LangChain's guides do.
        """
        changes = one_of(documents=documents, document=document)
        batch = _batch.of_changes(changes, one_of(ids=ids, document_id=document_id))
        self._each(batch, self._update)

    async def aupdate_documents(
        self,
        ids: Iterable[str] | None = None,
        documents: Iterable[Document] | None = None,
        *,
        document_id: str | None = None,
        document: Document | None = None,
    ) -> None:
        """Async `update_documents`."""
        changes = one_of(documents=documents, document=document)
        batch = await run_in_executor(
            None, _batch.of_changes, changes, one_of(ids=ids, document_id=document_id)
        )
        await self._aeach(batch, self._update)

    def update_document(self, document_id: str, document: Document) -> None:
        """Replace one existing record."""
        self.update_documents([document_id], [document])

    async def aupdate_document(self, document_id: str, document: Document) -> None:
        """Async `update_document`."""
        await self.aupdate_documents([document_id], [document])

    def delete(
        self,
        ids: Iterable[str] | None = None,
        *,
        filter: Filter | None = None,
        where: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> bool:
        """Delete the records that satisfy every given condition; **all, when none is given**.

        Unknown ids are ignored, an empty list deletes nothing. Without ids, a filter that excludes
        nothing, as {}, is refused: it is more often a mistake than a wish.

        Returns:
            True.
        """
        if kwargs:
            raise InvalidArgumentError(
                f"delete: unknown condition {next(iter(kwargs))!r}; expected ids, filter (or where) "
                "and where_document"
            )
        condition = to_where(filter, where_document, where)
        if ids is None and condition is None:
            if any(given is not None for given in (filter, where, where_document)):
                raise InvalidArgumentError(
                    "this filter excludes nothing; to delete every record call delete() without one"
                )
            condition = EVERYTHING
        self._collection.delete(ids, condition)
        return True

    async def adelete(
        self,
        ids: Iterable[str] | None = None,
        *,
        filter: Filter | None = None,
        where: Filter | None = None,
        where_document: Filter | None = None,
        **kwargs: Any,
    ) -> bool:
        """Async `delete`."""
        delete = partial(self.delete, filter=filter, where=where, where_document=where_document)
        return await run_in_executor(None, delete, ids, **kwargs)

    # --- embedding and writing -------------------------------------------------------------------

    def _each(
        self, batch: Batch, write: Write, size: int | None = None, progress: Progress | None = None
    ) -> None:
        told = Told(progress, len(batch.ids))
        for part in batch.parts(size):
            vectors = part.embeddings
            if vectors is None:
                vectors = []
                for piece in told.pieces(part):
                    vectors.extend(vectors_of(self._embedder(), piece.texts))
                    told.more(len(piece.ids))
            write(part, vectors)
            told.more(len(part.ids) if part.embeddings is not None else 0)

    async def _aeach(
        self, batch: Batch, write: Write, size: int | None = None, progress: Progress | None = None
    ) -> None:
        told = Told(progress, len(batch.ids))
        for part in batch.parts(size):
            vectors = part.embeddings
            if vectors is None:
                vectors = []
                for piece in told.pieces(part):
                    vectors.extend(await avectors_of(self._embedder(), piece.texts))
                    told.more(len(piece.ids))
            await run_in_executor(None, write, part, vectors)
            told.more(len(part.ids) if part.embeddings is not None else 0)

    def _upsert(self, part: Batch, vectors: Any) -> None:
        self._collection.upsert(part.ids, vectors, part.metadatas, part.texts, merge_metadata=False)

    def _update(self, part: Batch, vectors: Any) -> None:
        self._collection.update(part.ids, vectors, part.metadatas, part.texts, merge_metadata=False)
