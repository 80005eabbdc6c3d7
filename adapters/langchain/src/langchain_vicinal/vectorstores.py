"""Where do a LangChain program's documents live?

`VicinalVectorStore`: how it is made, and what it says of itself. How documents come in and leave is
in `_writing.py`, how they are found in `_searching.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseLanguageModel
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import run_in_executor
from typing_extensions import Self

import vicinal
from langchain_vicinal._batch import Metadatas, Progress, one_or_many
from langchain_vicinal._connect import DEFAULT_NAME, Directory, check_embedding, connect, one_of
from langchain_vicinal._filters import Filter, to_where
from langchain_vicinal._images import ImageMethods
from langchain_vicinal._search import documents as to_documents
from langchain_vicinal._writing import WriteMethods
from langchain_vicinal.self_query import self_query_retriever
from vicinal.errors import InvalidArgumentError, NotFoundError


class VicinalVectorStore(ImageMethods, WriteMethods):
    """A LangChain vector store in the process itself: in memory, or in a directory.

    Setup:
        `pip install -qU langchain-vicinal`

    Key init args:
        embedding: A LangChain embedding model; `embedding_function` and `embeddings` are other
            names for it. Without one, the collection's own embedding function embeds text; a
            collection that this store makes then gets Vicinal's default, offline function.
        collection_name: The collection, made if it does not exist.
        path: A directory (`persist_directory` is another name for it). Without `path`, `client` and
            `collection` the store is in memory and shares nothing with any other.
        client: A client of Vicinal's, in place of `path`.
        collection: A collection of Vicinal's, in place of `path` and `collection_name`.
        collection_configuration: `{"hnsw": {"space": "cosine" | "l2" | "ip", …}}`, for a collection
            that this store makes. **The space is cosine unless said otherwise**, here or by
            `hnsw:space` in the metadata; the plain engine's is l2.
        collection_metadata: Metadata of a collection that this store makes.
        create_collection_if_not_exists: False raises `NotFoundError` instead, or `StorageError` where the
            path holds no database, and makes nothing there.
        relevance_score_fn: From a *distance* to a relevance in [0, 1], as in LangChain's other
            stores; by default the last column of the table. Not for text and hybrid search.

    Scores:
        Larger is nearer, everywhere; `return_distance=True` gives distances instead, except in text
        mode, which measures none.

        ========================  ==========================  ==================  =====================
        space, or mode            distance d                  score s             relevance, in [0, 1]
        ========================  ==========================  ==================  =====================
        cosine                    1 - cos                     1 - d, the cosine   1 - d, at least 0
        l2                        squared Euclidean distance  1 / (1 + d)         1 / (1 + d)
        ip                        1 - dot product             1 - d, the product  1 - d, cut to [0, 1]
        mode="text"               none                        BM25, from 0 up     s / (1 + s)
        mode="hybrid"             that of the space           the mixture's       s
        mode="hybrid",            that of the space           at most 1 / 61      61 s
        fusion="rrf"
        ========================  ==========================  ==================  =====================

        The dot product is a relevance for vectors of unit length; for others give your own
        `relevance_score_fn`. A mixture's score says how a document stands among what this query found:
        nearness is relative to the mean of what was found, words to the best that was found.

    Add, update, delete; search; search with filter, with score, by MMR; async; as a retriever:
        ```python
        from langchain_core.documents import Document
        from langchain_core.embeddings import DeterministicFakeEmbedding
        from langchain_vicinal import VicinalVectorStore

        store = VicinalVectorStore(DeterministicFakeEmbedding(size=64), path="./data")
        store.add_documents([Document("Dune", id="1", metadata={"year": 1965, "genre": "sf"})])
        store.update_document("1", Document("Dune Messiah", metadata={"year": 1969}))
        store.similarity_search("desert", k=3)
        store.similarity_search("desert", k=3, filter={"year": {"$gt": 1960, "$lt": 1970}})
        store.similarity_search_with_score("desert", where_document={"$contains": "Messiah"})
        store.similarity_search("desert", mode="hybrid", alpha=0.7)
        store.max_marginal_relevance_search("desert", k=3, fetch_k=20, lambda_mult=0.5)
        await store.asimilarity_search("desert")
        store.as_retriever(search_type="mmr", search_kwargs={"k": 3}).invoke("desert")
        store.delete(["1"])
        ```
    """

    def __init__(
        self,
        embedding: Embeddings | None = None,
        collection_name: str = DEFAULT_NAME,
        *,
        path: Directory | None = None,
        client: vicinal.Client | None = None,
        collection: vicinal.Collection | None = None,
        collection_configuration: Mapping[str, Any] | None = None,
        collection_metadata: Mapping[str, Any] | None = None,
        create_collection_if_not_exists: bool = True,
        relevance_score_fn: Callable[[float], float] | None = None,
        embedding_function: Embeddings | None = None,
        embeddings: Embeddings | None = None,
        persist_directory: Directory | None = None,
    ) -> None:
        """Open or make the collection; the arguments are those of the class."""
        self._embedding = check_embedding(
            one_of(embedding=embedding, embedding_function=embedding_function, embeddings=embeddings)
        )
        settings: dict[str, Any] = {
            "configuration": collection_configuration,
            "metadata": collection_metadata,
        }
        if self._embedding is not None:
            settings["embedding_function"] = None  # text is embedded here, never by the engine
        self._connection = connect(
            collection_name,
            path=one_of(path=path, persist_directory=persist_directory),
            client=client,
            collection=collection,
            settings=settings,
            create=create_collection_if_not_exists,
        )
        self._collection = self._connection.collection
        self._relevance_score_fn = relevance_score_fn

    @property
    def collection(self) -> vicinal.Collection:
        """The engine's collection, for everything that LangChain has no word for."""
        return self._collection

    @property
    def client(self) -> vicinal.Client:
        """The client that holds the collection, and may hold others beside it."""
        if self._connection.client is None:
            raise InvalidArgumentError(
                "this store was given a collection, not the client that holds it; use that client: its "
                "delete_collection(name), or client= of a record manager; delete() empties the collection"
            )
        return self._connection.client

    def close(self) -> None:
        """Close the client if the store made it. Everything that was written is on disk already."""
        self._connection.close()

    @contextmanager
    def _closed_if_it_fails(self) -> Iterator[None]:
        """A store that nobody is given yet is closed when the block raises."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        embedding: Embeddings | None = None,
        metadatas: Metadatas | None = None,
        ids: Iterable[str | None] | None = None,
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store with these texts in it; `kwargs` go to the constructor."""
        store = cls(embedding, **kwargs)
        with store._closed_if_it_fails():
            store.add_texts(texts, metadatas, ids=ids, batch_size=batch_size, progress=progress)
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: Iterable[str],
        embedding: Embeddings | None = None,
        metadatas: Metadatas | None = None,
        ids: Iterable[str | None] | None = None,
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        **kwargs: Any,
    ) -> Self:
        """Async `from_texts`."""
        store = await run_in_executor(None, partial(cls, embedding, **kwargs))
        with store._closed_if_it_fails():
            await store.aadd_texts(texts, metadatas, ids=ids, batch_size=batch_size, progress=progress)
        return store

    @classmethod
    def from_documents(
        cls,
        documents: Iterable[Document],
        embedding: Embeddings | None = None,
        ids: Iterable[str | None] | None = None,
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store with these documents in it; `kwargs` go to the constructor."""
        store = cls(embedding, **kwargs)
        with store._closed_if_it_fails():
            store.add_documents(documents, ids=ids, batch_size=batch_size, progress=progress)
        return store

    @classmethod
    async def afrom_documents(
        cls,
        documents: Iterable[Document],
        embedding: Embeddings | None = None,
        ids: Iterable[str | None] | None = None,
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        **kwargs: Any,
    ) -> Self:
        """Async `from_documents`."""
        store = await run_in_executor(None, partial(cls, embedding, **kwargs))
        with store._closed_if_it_fails():
            await store.aadd_documents(documents, ids=ids, batch_size=batch_size, progress=progress)
        return store

    @classmethod
    def from_embeddings(
        cls,
        text_embeddings: Iterable[tuple[str, Any]],
        embedding: Embeddings | None = None,
        metadatas: Metadatas | None = None,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store with these pairs of text and vector in it; `kwargs` go to the constructor."""
        store = cls(embedding, **kwargs)
        with store._closed_if_it_fails():
            store.add_embeddings(text_embeddings, metadatas, ids)
        return store

    @classmethod
    async def afrom_embeddings(
        cls,
        text_embeddings: Iterable[tuple[str, Any]],
        embedding: Embeddings | None = None,
        metadatas: Metadatas | None = None,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Async `from_embeddings`."""
        store = await run_in_executor(None, partial(cls, embedding, **kwargs))
        with store._closed_if_it_fails():
            await store.aadd_embeddings(text_embeddings, metadatas, ids)
        return store

    # --- reading, and the collection itself ------------------------------------------------------

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in that order, each once; unknown ids are skipped."""
        wanted = one_or_many(ids, "ids")
        found = self._collection.get(wanted)
        by_id = dict(
            zip(
                found["ids"],
                to_documents(found["ids"], found["documents"], found["metadatas"]),
                strict=True,
            )
        )
        return [by_id[id] for id in dict.fromkeys(wanted) if id in by_id]

    def get(
        self,
        ids: Iterable[str] | None = None,
        where: Filter | None = None,
        limit: int | None = None,
        offset: int | None = None,
        where_document: Filter | None = None,
        include: vicinal.Include | None = None,
        *,
        filter: Filter | None = None,
    ) -> vicinal.GetResult:
        """Records by id and filter as parallel lists, in the order in which they were first added.

        Arguments and answer are those of `vicinal.Collection.get`; `filter` is a name of `where`.
        """
        condition = to_where(filter, where_document, where)
        included: dict[str, Any] = {} if include is None else {"include": include}
        return self._collection.get(ids, condition, limit, offset, **included)

    async def aget(
        self,
        ids: Iterable[str] | None = None,
        where: Filter | None = None,
        limit: int | None = None,
        offset: int | None = None,
        where_document: Filter | None = None,
        include: vicinal.Include | None = None,
        *,
        filter: Filter | None = None,
    ) -> vicinal.GetResult:
        """Async `get`."""
        get = partial(self.get, filter=filter)
        return await run_in_executor(None, get, ids, where, limit, offset, where_document, include)

    def count(self) -> int:
        """How many records there are."""
        return self._collection.count()

    async def acount(self) -> int:
        """Async `count`."""
        return await run_in_executor(None, self.count)

    def delete_collection(self) -> None:
        """Drop the collection and all that is in it; `reset_collection` makes it anew."""
        self.client.delete_collection(self._collection.name)

    async def adelete_collection(self) -> None:
        """Async `delete_collection`."""
        await run_in_executor(None, self.delete_collection)

    def reset_collection(self) -> None:
        """Drop the collection and make it anew, empty, with the same name and settings."""
        client, old = self.client, self._collection
        with suppress(NotFoundError):  # another handle may have changed it
            old = client.get_collection_by_id(old.id, old.embedding_function)
        beside = {name: old.configuration[name] for name in ("expiry", "text") if name in old.configuration}
        settings: dict[str, Any] = {
            "schema": old.schema,
            "configuration": beside or None,
            "metadata": old.metadata,
            "embedding_function": old.embedding_function,
        }
        with suppress(NotFoundError):
            client.delete_collection(old.name)
        self._collection = client.create_collection(old.name, **settings)

    async def areset_collection(self) -> None:
        """Async `reset_collection`."""
        await run_in_executor(None, self.reset_collection)

    # --- questions in plain words ----------------------------------------------------------------

    def as_self_query_retriever(
        self,
        llm: BaseLanguageModel[Any],
        document_contents: str,
        metadata_field_info: Sequence[Any],
        **kwargs: Any,
    ) -> BaseRetriever:
        """LangChain's SelfQueryRetriever on this store: a model turns a question into text and filter.

        Needs `pip install "langchain-vicinal[self-query]"`.

        Args:
            llm: Writes the structured query.
            document_contents: What the texts are, for the model: "summary of a film".
            metadata_field_info: What the metadata is: LangChain's `AttributeInfo`s, or dicts with
                `name`, `description` and `type`.
            **kwargs: Those of `SelfQueryRetriever.from_llm`: `enable_limit`, `search_type`,
                `search_kwargs`, `use_original_query`, … A `filter` among the `search_kwargs` holds
                beside what the model writes; in LangChain's own the model's takes its place.
        """
        return self_query_retriever(llm, self, document_contents, metadata_field_info, **kwargs)
