"""How does LlamaIndex keep its nodes in Vicinal?

`VicinalVectorStore` is the whole of `BasePydanticVectorStore`, sync and async, over one collection.
What a node looks like as a record stands in `_nodes.py`, of which class it is in `_classes.py`, what a
filter means in `_filters.py`, what a query asks in `_query.py`, and what its values can be in
`_values.py`, what comes from a source document in `_documents.py`, how many nodes become one write in
`_batch.py`, what a store can be made of in `_arguments.py`, which collection it opens in `_connect.py`. The
asynchronous methods run the same work in threads: neither engine calls nor conversions hold up the event
loop (`tests/llama_index/test_loop.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import fsspec
from llama_index.core.bridge.pydantic import ConfigDict, PrivateAttr, field_serializer
from llama_index.core.embeddings.utils import EmbedType
from llama_index.core.indices.vector_store import VectorStoreIndex
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    DEFAULT_PERSIST_DIR,
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

import vicinal
from llama_index.vector_stores.vicinal._arguments import (
    check_keywords,
    check_path,
    check_portable,
    check_query,
    check_reopenable,
    check_reranker,
    check_sources,
    holds_database,
    written_down,
)
from llama_index.vector_stores.vicinal._batch import Batch
from llama_index.vector_stores.vicinal._connect import connect
from llama_index.vector_stores.vicinal._documents import delete_document
from llama_index.vector_stores.vicinal._filters import EVERYTHING, to_where
from llama_index.vector_stores.vicinal._index import WholeStoreIndex
from llama_index.vector_stores.vicinal._nodes import node_from
from llama_index.vector_stores.vicinal._query import answer
from llama_index.vector_stores.vicinal._values import texts
from vicinal.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from typing_extensions import Self  # typing's came with Python 3.11

DEFAULT_COLLECTION = "llama_index"

DONE = object()

_logger = logging.getLogger(__name__)


class VicinalVectorStore(BasePydanticVectorStore):
    """A LlamaIndex vector store in memory or in a directory, over a Vicinal collection.

    Without `path`, `client` or `collection` the store is in memory, shares nothing with any other
    and is gone with the process. With `path` every write is on disk when the call returns.

    Args:
        collection_name: The collection, created if there is none of that name.
        path: A directory, made if need be; several processes may use it.
        client: An open Vicinal client, in place of `path`.
        collection: An open Vicinal collection, in place of all the others.
        collection_configuration: For a collection that is created here, as Vicinal's
            `create_collection` takes it, e.g. `{"hnsw": {"space": "ip"}}`. The space is cosine
            unless given: embedding models are trained for it, and its similarities, from -1 to 1,
            mean the same whatever a model's scale. An existing collection keeps its own.
        rerank: What orders the nodes of the query mode `semantic_hybrid`: a function
            `(question, texts) -> scores`, larger is better, an object with such a `predict` over pairs, as
            sentence-transformers' `CrossEncoder`, or the name of a `vicinal.register_reranker`.

    Example:
        >>> from llama_index.core.schema import TextNode
        >>> store = VicinalVectorStore()
        >>> store.add([TextNode(id_="a", text="hello", embedding=[0.0, 1.0])])
        ['a']
        >>> store.get_nodes()[0].text
        'hello'
    """

    model_config = ConfigDict(extra="forbid")

    stores_text: bool = True
    flat_metadata: bool = False
    collection_name: str = DEFAULT_COLLECTION
    path: str | None = None
    collection_configuration: dict[str, Any] | None = None
    rerank: Any = None

    _client: vicinal.Client | None = PrivateAttr(default=None)
    _owns_client: bool = PrivateAttr(default=False)
    _collection: vicinal.Collection = PrivateAttr()

    def __init__(
        self,
        collection_name: str = DEFAULT_COLLECTION,
        *,
        path: str | os.PathLike[str] | None = None,
        client: vicinal.Client | None = None,
        collection: vicinal.Collection | None = None,
        collection_configuration: dict[str, Any] | None = None,
        rerank: Any = None,
        **fields: Any,
    ) -> None:
        check_sources(path, client, collection, collection_configuration)
        check_reranker(rerank)
        fields |= {
            "collection_name": collection_name if collection is None else collection.name,
            "path": None if path is None else os.fspath(path),
            "collection_configuration": collection_configuration,
            "rerank": rerank,
        }
        super().__init__(**fields)
        if collection is not None:
            self._collection = collection
            return
        self._owns_client = client is None
        self._client, self._collection = connect(
            self.collection_name, self.path, client, collection_configuration
        )

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises the store."""
        return "VicinalVectorStore"

    @classmethod
    def from_params(cls, collection_name: str = DEFAULT_COLLECTION, **params: Any) -> VicinalVectorStore:
        """The constructor under the name that other stores give it."""
        return cls(collection_name, **params)

    @classmethod
    def from_persist_dir(
        cls, persist_dir: str = DEFAULT_PERSIST_DIR, collection_name: str = DEFAULT_COLLECTION
    ) -> VicinalVectorStore:
        """Open a store that exists: the directory is what `path` was when it was filled.

        Raises `NotFoundError` when there is no such directory, no database or no such collection in
        it, and writes nothing then: a mistyped path, or the directory of another store, does not
        become a new, empty one.
        """
        check_path(persist_dir, "persist_dir")
        if not holds_database(persist_dir):
            kind, hint = "Directory with a Vicinal database", "VicinalVectorStore(path=…) makes a new store"
            raise NotFoundError(kind=kind, key=os.fspath(persist_dir), hint=hint)
        with vicinal.PersistentClient(persist_dir, must_exist=True) as client:
            client.get_collection(collection_name)
        return cls(collection_name, path=persist_dir)

    @property
    def client(self) -> vicinal.Client | None:
        """The Vicinal client; None for a store over a collection that was given."""
        return self._client

    @property
    def collection(self) -> vicinal.Collection:
        """The Vicinal collection, for what LlamaIndex has no words for."""
        return self._collection

    def close(self) -> None:
        """Close the client if the store opened it. Everything is on disk already."""
        if self._owns_client and self._client is not None:
            self._client.close()

    # --- writing -------------------------------------------------------------------------------

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Store nodes with their embeddings, all or none; a node whose id exists is replaced whole.

        Of nodes with the same id in one call the last wins. Any number may be added at once.

        Returns:
            The ids, one per given node.

        Raises:
            InvalidArgumentError: A node without embedding, or a value that cannot be stored.
            InvalidDimensionError: Embeddings of another dimension than the collection's.
        """
        batch = Batch(nodes)
        for _ in batch.convert():
            pass
        return self._upsert(batch)

    def _upsert(self, batch: Batch) -> list[str]:
        self._collection.upsert(**batch.columns(), merge_metadata=False)
        batch.release()
        return batch.given_ids

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete a document: the nodes whose source it is, and itself if it was stored as a node.

        A node without source counts as its own document, as in an `IngestionPipeline` that does not
        split; nothing else matches it. Keywords are refused: what restricts a deletion in another store
        must not be lost in this one.
        """
        check_keywords("delete", "ref_doc_id", delete_kwargs)
        delete_document(self._collection, ref_doc_id)

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete the nodes that have one of the ids and pass the filters; one may be left out.

        Unknown ids are ignored; an empty list of ids deletes nothing. Without ids and with filters
        that restrict nothing this raises `InvalidArgumentError`: `clear()` deletes everything. So it does
        for any other keyword.
        """
        check_keywords("delete_nodes", "node_ids and filters", delete_kwargs)
        where = to_where(filters)
        if node_ids is None and where is None:
            raise InvalidArgumentError(
                "delete_nodes needs node_ids, or filters that leave something out; to delete every node, "
                "call clear()"
            )
        self._collection.delete(ids=node_ids, where=where)

    def clear(self) -> None:
        """Delete every node. The collection stays, with its dimension and configuration."""
        self._collection.delete(where=EVERYTHING)

    # --- reading -------------------------------------------------------------------------------

    def get_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        *,
        include_embeddings: bool = False,
    ) -> list[BaseNode]:
        """The nodes that have one of the ids and pass the filters; all when neither is given.

        They come in the order in which they were first added. Unknown ids are skipped; an empty
        list of ids gives no nodes. Embeddings are left out unless asked for: most want the text. Raises
        `InvalidArgumentError` with the id of a record of which no node can be made.
        """
        columns: tuple[vicinal.types.Field, ...] = ("documents", "metadatas")
        if include_embeddings:
            columns += ("embeddings",)
        found = self._collection.get(ids=node_ids, where=to_where(filters), include=columns)
        embeddings = found["embeddings"] if include_embeddings else [None] * len(found["ids"])
        rows = zip(found["ids"], found["documents"], found["metadatas"], embeddings)
        return [node_from(*row) for row in rows]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The best nodes for the question among those that every restriction selects.

        Modes: `default`, nearest to `query_embedding`; `mmr`; `sparse` and `text_search`, BM25 of
        `query_str` over the nodes' texts, without embedding; `hybrid`, both mixed; `semantic_hybrid`, that
        reranked; the learners `svm` and `logistic_regression`, which read the vectors of all that match.
        Any other raises, none is answered by another. Filters run before the search: when
        `similarity_top_k` nodes match, so many come back, but words find only nodes that have them.

        Args:
            query: `node_ids`, `doc_ids` and `filters` restrict; empty ones restrict nothing.
                `output_fields` names the metadata keys that the nodes shall have. `alpha` is the weight of
                nearness in a mixture, from 0 (words alone) to 1, 0.5 unless given. `sparse_top_k` is how
                many nodes words find, `hybrid_top_k` how many a mixture answers, both
                `similarity_top_k` unless given. A mixture is of the best `similarity_top_k` by nearness and
                `sparse_top_k` by words when one of these two is given, of 100 each or more when none is.
            **kwargs: of `mmr`, and of `hybrid` if given here, `mmr_threshold` from 1 (nearness alone) to 0
                (variety alone), 0.5 unless given here or in the query; of `mmr`, `mmr_prefetch_k` or
                `mmr_prefetch_factor` (times top k), how many of the nearest MMR picks from; of mixtures
                `fusion`, "relative" or "rrf"; where words are read `text_key`, the metadata key whose words
                are searched in place of the texts'; of all modes but `mmr` and the learners `rerank`; of all
                `where` and `where_document`, filters in the engine's words, for what `MetadataFilters`
                cannot say.

        Returns:
            Nodes without embeddings, ids and similarities, larger is nearer: the cosine, the inner
            product, or 1 / (1 + squared Euclidean distance), by the collection's space; with words BM25
            or the mixture's score, of a learner its decision function, of a reranker what it gave. With
            MMR they come in the order of selection.

        Raises:
            UnsupportedQueryModeError: `semantic_hybrid` without a reranker, or `linear_regression`. It
                is a `NotImplementedError` and a `ValueError`.
            InvalidArgumentError: `query_str` or `query_embedding` is None, and the mode needs it; a number
                out of its range; more than one vector.
            ArgumentTypeError: A field or keyword of another type; the text names it.
            InvalidFilterError: An operator that cannot take its value; the text says where.
            InvalidDimensionError: An embedding of another dimension than the collection's.
        """
        check_query(query)
        kept = None if query.output_fields is None else texts(query.output_fields, "output_fields")
        found = answer(self._collection, query, kwargs, self.rerank)
        rows = zip(found.ids, found.documents, found.metadatas)
        return VectorStoreQueryResult(
            nodes=[node_from(*row, output_fields=kept) for row in rows],
            similarities=found.similarities,
            ids=found.ids,
        )

    # --- the same, asynchronously --------------------------------------------------------------

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """`add`, off the event loop: nodes are converted piece by piece, then written at once."""
        batch = await asyncio.to_thread(Batch, nodes)
        pieces = batch.convert()
        while await asyncio.to_thread(next, pieces, DONE) is not DONE:
            pass
        return await asyncio.to_thread(self._upsert, batch)

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """`delete`, off the event loop."""
        await asyncio.to_thread(self.delete, ref_doc_id, **delete_kwargs)

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """`delete_nodes`, off the event loop."""
        await asyncio.to_thread(self.delete_nodes, node_ids, filters, **delete_kwargs)

    async def aclear(self) -> None:
        """`clear`, off the event loop."""
        await asyncio.to_thread(self.clear)

    async def aget_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        *,
        include_embeddings: bool = False,
    ) -> list[BaseNode]:
        """`get_nodes`, off the event loop."""
        return await asyncio.to_thread(
            self.get_nodes, node_ids, filters, include_embeddings=include_embeddings
        )

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """`query`, off the event loop."""
        return await asyncio.to_thread(self.query, query, **kwargs)

    # --- the framework around it ---------------------------------------------------------------

    @field_serializer("rerank")
    def _reranker_name(self, rerank: Any) -> str | None:
        """A dictionary of the store has a registered reranker's name; a function is not written down."""
        return rerank if isinstance(rerank, str) else None

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """The store that `to_dict` wrote down, at its path; keywords go before what `data` says.

        Raises `InvalidArgumentError` when neither says where the store is: one in memory, or over a
        client or collection that was given, would come back empty.
        """
        return super().from_dict(written_down(data, kwargs))

    def __getstate__(self) -> dict[Any, Any]:
        """A store pickles as its place; the framework's own would change the living object."""
        check_reopenable(self.path, "pickled")
        check_portable(self.rerank)
        return {"__dict__": dict(self.__dict__)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        self.__init__(**state["__dict__"])  # type: ignore[misc]  # its client is opened anew

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Another store with the directory, opened anew as from a pickle."""
        check_reopenable(self.path, "copied deep")
        return type(self)(**deepcopy(self.__dict__, memo))

    def __copy__(self) -> Self:
        """The same client and collection; the client is the original's to close."""
        copied = super().__copy__()
        copied._owns_client = False
        return copied

    def as_index(self, embed_model: EmbedType | None = None, **kwargs: Any) -> VectorStoreIndex:
        """An index over this store whose retrievers search all of its nodes.

        Use it in place of `VectorStoreIndex.from_vector_store` for a store that holds image or
        index nodes beside text: a plain index restricts its queries to those and loses the text.
        """
        return WholeStoreIndex.from_vector_store(self, embed_model=embed_model, **kwargs)

    def persist(self, persist_path: str, fs: fsspec.AbstractFileSystem | None = None) -> None:
        """Nothing to do, and nothing is written at `persist_path`: each write is durable when it
        returns. A store in memory cannot be saved; this logs a warning that says so, but for one over a
        collection that was given, which does not say where it is."""
        if self._client is not None and not self._client.get_settings().is_persistent:
            _logger.warning(
                'The store "%s" is in memory; persist() saves nothing. Give it path=… to keep it',
                self.collection_name,
            )
