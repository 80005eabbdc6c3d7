"""What can be done with a collection?

Every method validates its arguments, embeds text where text was given, hands one request to the
backend, and shapes the answer as Chroma does. Nothing is stored or searched here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, Literal
from uuid import UUID

from vicinal import _request as r
from vicinal import _validate as check
from vicinal._backend import Backend
from vicinal._html import facts_table
from vicinal.embedding import registry
from vicinal.embedding.protocol import Embedder, embed
from vicinal.errors import EmbeddingFunctionError, InvalidArgumentError
from vicinal.types import GetResult, Include, QueryResult, Vectors, Where, WhereDocument

_COLUMNS = ("embeddings", "documents", "uris", "metadatas")


class Collection:
    """A named set of records, each with an id, an embedding, and a document, metadata and URI if given.

    Get one from a client; do not construct it. Handles are light, may be shared between threads, and
    see every committed write, also those of other processes.
    """

    def __init__(self, backend: Backend, info: r.CollectionInfo, embedding_function: Embedder | None):
        self._backend = backend
        self._info = info
        self._function = embedding_function

    # --- what it is ----------------------------------------------------------------------------

    @property
    def id(self) -> UUID:
        """The collection's identity; survives renaming."""
        return self._info.id

    @property
    def name(self) -> str:
        """The name, unique in its database."""
        return self._info.name

    @property
    def metadata(self) -> dict[str, Any] | None:
        """A copy of the collection's own metadata."""
        return copy.deepcopy(self._info.metadata)

    @property
    def tenant(self) -> str:
        """The tenant whose database holds the collection."""
        return self._info.namespace.tenant

    @property
    def database(self) -> str:
        """The database that holds the collection."""
        return self._info.namespace.database

    @property
    def configuration_json(self) -> dict[str, Any]:
        """The stored configuration: `hnsw` parameters and the embedding function's name and config."""
        return self._info.configuration.to_json()

    @property
    def configuration(self) -> dict[str, Any]:
        """Like `configuration_json`, with the live embedding function in place of its description."""
        return {**self.configuration_json, "embedding_function": self.embedding_function}

    @property
    def embedding_function(self) -> Embedder | None:
        """The function that embeds this collection's text; None when there is none.

        Raises `EmbeddingFunctionError` when the collection names a function that is not registered.
        """
        if self._function is None:
            self._function = registry.build(self._info.configuration.embedding_function)
        return self._function

    def __repr__(self) -> str:
        return f"Collection(name={self.name})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Collection) and (self.id, self._backend) == (other.id, other._backend)

    def __hash__(self) -> int:
        return hash(self.id)

    def _repr_html_(self) -> str:
        status = self._backend.status(r.Status(self.id))
        function = self._info.configuration.embedding_function or {}
        facts = {
            "records": f"{status.records:,}",
            "dimension": status.dimension or "set by the first write",
            "space": self._info.configuration.hnsw.space,
            "embedding function": function.get("name") or function.get("type") or "none",
            "metadata": self.metadata or "none",
        }
        return facts_table(f"Collection {self.name}", facts)

    # --- writing -------------------------------------------------------------------------------

    def add(
        self,
        ids: Iterable[str] | str,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        *,
        uris: Any = None,
        on_conflict: Literal["keep", "error"] = "keep",
    ) -> r.WriteInfo:
        """Add records, all or none. A record whose id exists already stays as it is, as in Chroma.

        Args:
            ids: n non-empty strings, unique in this call; a single string means one record.
            embeddings: Shape (n, dimension), any real numbers; stored as float32. Without it, the
                collection's embedding function embeds `documents`.
            metadatas: n JSON objects (datetime and date values too) or None.
            documents: n texts or None; None as an item only where embeddings are given.
            uris: n strings or None.
            on_conflict: "keep" leaves existing records alone, "error" raises `DuplicateIDError`
                and adds nothing.

        Returns:
            How many records were added, updated (none) and kept as they were. When this returns,
            the batch is on disk.

        Raises:
            DuplicateIDError: An id occurs twice, or exists with `on_conflict="error"`.
            InvalidDimensionError: Embeddings of another dimension than the collection's.
            EmbeddingFunctionError: Text without embeddings, and no function to embed it.
            InvalidArgumentError: Lengths differ, an id is empty, a component is NaN or infinite, …

        Example:
            >>> import vicinal
            >>> papers = vicinal.EphemeralClient().create_collection("papers")
            >>> papers.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"year": 2020}, None])
            WriteInfo(added=2, updated=0, kept=0)
        """
        if on_conflict not in ("keep", "error"):
            raise InvalidArgumentError(f"on_conflict: expected 'keep' or 'error', got {on_conflict!r}")
        return self._write("add", ids, embeddings, metadatas, documents, uris, on_conflict=on_conflict)

    def upsert(
        self,
        ids: Iterable[str] | str,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        *,
        uris: Any = None,
        merge_metadata: bool = True,
    ) -> r.WriteInfo:
        """Add records, replacing what is given of those whose id exists already. All or none.

        Args and errors are those of `add`. New metadata is merged into an existing record's, key by
        key, and a value of None deletes the key, as in Chroma; `merge_metadata=False` replaces the
        metadata whole and stores None as a value. A document replaced without embeddings is embedded.
        """
        return self._write(
            "upsert", ids, embeddings, metadatas, documents, uris, merge_metadata=merge_metadata
        )

    def update(
        self,
        ids: Iterable[str] | str,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        *,
        uris: Any = None,
        merge_metadata: bool = True,
    ) -> r.WriteInfo:
        """Change what is given of existing records; ids that do not exist are ignored. All or none.

        Args, merging of metadata and errors are those of `upsert`.
        """
        return self._write(
            "update", ids, embeddings, metadatas, documents, uris, merge_metadata=merge_metadata
        )

    def delete(
        self,
        ids: Iterable[str] | str | None = None,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        *,
        limit: int | None = None,
    ) -> dict[str, int]:
        """Delete the records that satisfy every given condition; at least one must be given.

        Args:
            ids: Only these; unknown ids are ignored, an empty list deletes nothing.
            where, where_document: Only records that these filters select.
            limit: At most so many, in the order of `get`.

        Returns:
            `{"deleted": n}`, n counting records that really were there.
        """
        condition = check.condition(where, where_document)
        if ids is None and condition is None:
            raise InvalidArgumentError(
                "delete needs ids, where or where_document; to delete every record, delete the collection"
            )
        request = r.Remove(
            self.id,
            ids=None if ids is None else check.ids(ids, unique=False),
            where=condition,
            limit=None if limit is None else check.count(limit, "limit", 0),
        )
        return {"deleted": self._backend.remove(request)}

    def _write(
        self,
        mode: r.Mode,
        ids: Any,
        embeddings: Any,
        metadatas: Any,
        documents: Any,
        uris: Any,
        merge_metadata: bool = True,
        on_conflict: Literal["keep", "error"] = "keep",
    ) -> r.WriteInfo:
        id_column = check.ids(ids)
        metadata_column = check.metadatas(metadatas)
        document_column, uri_column = check.documents(documents), check.uris(uris)
        vectors = None if embeddings is None else check.embeddings(embeddings)
        check.same_length(
            id_column,
            embeddings=vectors,
            metadatas=metadata_column,
            documents=document_column,
            uris=uri_column,
        )
        if not id_column:
            return r.WriteInfo(0, 0, 0)
        if vectors is None:
            vectors = self._embed_documents(mode, document_column)
        request = r.Write(
            self.id,
            mode,
            id_column,
            vectors,
            document_column,
            metadata_column,
            uri_column,
            merge_metadata=merge_metadata,
            on_conflict=on_conflict,
        )
        return self._backend.write(request)

    def _embed_documents(self, mode: r.Mode, documents: Sequence[str | None] | None) -> Vectors | None:
        """Vectors for a batch that came without: from its documents, which must then be complete."""
        if documents is None:
            if mode == "update":
                return None
            raise InvalidArgumentError(f"{mode} needs embeddings, or documents to embed; neither was given")
        missing = [i for i, text in enumerate(documents) if text is None]
        if missing:
            raise InvalidArgumentError(
                f"documents[{missing[0]}] is None and no embeddings were given, so nothing can be embedded"
            )
        return self._embed([text for text in documents if text is not None], query=False)

    def _embed(self, texts: Sequence[str], *, query: bool) -> Vectors:
        function = self.embedding_function
        if function is None:
            raise EmbeddingFunctionError(
                f'Collection "{self.name}" has no embedding function'
                + (
                    " stored (the one it was created with has no name); pass embedding_function=... to "
                    "get_collection()"
                    if self._info.configuration.embedding_function
                    else "; pass embeddings, or create the collection with an embedding_function"
                )
            )
        return check.embeddings(embed(function, texts, query=query), "the embedding function's answer")

    # --- reading -------------------------------------------------------------------------------

    def count(self) -> int:
        """How many records there are. Costs microseconds."""
        return self._backend.status(r.Status(self.id)).records

    def get(
        self,
        ids: Iterable[str] | str | None = None,
        where: Where | None = None,
        limit: int | None = None,
        offset: int | None = None,
        where_document: WhereDocument | None = None,
        include: Include = ("metadatas", "documents"),
    ) -> GetResult:
        """Records by id and filter, in the order in which they were first added.

        Args:
            ids: Only these; unknown ids are skipped, an empty list gives an empty answer.
            where, where_document: Only records that these filters select.
            limit, offset: At most so many, after skipping so many.
            include: Which columns to fill: documents, embeddings, metadatas, uris. `ids` always are.

        Returns:
            A dictionary of parallel lists: `ids`, and `documents`, `metadatas`, `embeddings` (float32,
            shape (n, dimension)), `uris`, each None unless included.
        """
        fields = check.include(include, distances=False)
        request = r.Select(
            self.id,
            ids=None if ids is None else check.ids(ids, unique=False),
            where=check.condition(where, where_document),
            limit=None if limit is None else check.count(limit, "limit", 0),
            offset=0 if offset is None else check.count(offset, "offset", 0),
            fields=frozenset(fields),
        )
        found = self._backend.select(request)
        columns = {name: getattr(found, name) for name in _COLUMNS}
        return GetResult(ids=found.ids, **columns, data=None, included=list(fields))

    def peek(self, limit: int = 10) -> GetResult:
        """The first records, with their embeddings, documents and metadata."""
        return self.get(limit=limit, include=("embeddings", "documents", "metadatas"))

    def query(
        self,
        query_embeddings: Any = None,
        query_texts: Any = None,
        *,
        n_results: int = 10,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        include: Include = ("metadatas", "documents", "distances"),
        ids: Iterable[str] | str | None = None,
        lambda_mult: float | None = None,
        fetch_k: int | None = None,
        explain: bool = False,
    ) -> QueryResult:
        """The records nearest to each query among those that the filters select.

        Filters run before the search: when `n_results` records match, `n_results` come back. Results
        are ordered by distance, equal distances by age. Up to a few thousand candidates the answer is
        exact; above, the graph finds 99 of 100 true neighbours at the default `ef_search`.

        Args:
            query_embeddings: One vector, or shape (q, dimension).
            query_texts: One text or q texts, embedded by the collection's function. Embeddings win
                when both are given.
            n_results: At most so many per query, at least 1.
            where, where_document: Only records that these filters select.
            include: Which columns to fill: documents, metadatas, embeddings, uris, distances.
            ids: Only these records; unknown ids are skipped.
            lambda_mult: Turns on maximal marginal relevance: from 1 (nearness alone) to 0 (difference
                from what was already picked alone). Results then come in the order of selection.
            fetch_k: How many of the nearest MMR picks from; by default the larger of 20 and
                4 × n_results.
            explain: Add `"explain"` to the answer: which plan answered, over how many rows.

        Returns:
            A dictionary of lists, one item per query, each a list over its results: `ids`,
            `distances`, `documents`, `metadatas`, `uris`, `embeddings` (one array per query).
            Distances, smaller is nearer: l2 is the squared Euclidean distance, cosine 1 − cos,
            ip 1 − dot product.

        Raises:
            InvalidDimensionError: A query vector of another dimension than the collection's.
            InvalidFilterError: A filter that cannot be understood; the text says where.
            EmbeddingFunctionError: Text, and no function to embed it.
        """
        fields = check.include(include, distances=True)
        mmr = self._mmr(lambda_mult, fetch_k, check.count(n_results, "n_results", 1))
        condition = check.condition(where, where_document)
        id_column = None if ids is None else check.ids(ids, unique=False)
        request = r.Search(
            self.id,
            embeddings=self._query_vectors(query_embeddings, query_texts),
            k=int(n_results),
            ids=id_column,
            where=condition,
            fields=frozenset(fields),
            mmr=mmr,
        )
        answer = self._backend.search(request)
        result = QueryResult(ids=[part.ids for part in answer.parts])
        for name in (*_COLUMNS, "distances"):
            wanted = name in fields
            result[name] = [getattr(part, name) for part in answer.parts] if wanted else None
        result.update(data=None, included=list(fields))
        if explain:
            result["explain"] = answer.explanation
        return result

    def _query_vectors(self, query_embeddings: Any, query_texts: Any) -> Vectors:
        if query_embeddings is not None:
            vectors = check.embeddings(query_embeddings, "query_embeddings")
        elif query_texts is not None:
            texts = check.texts(query_texts, "query_texts")
            vectors = self._embed(texts, query=True) if texts else check.embeddings([])
        else:
            raise InvalidArgumentError("query needs query_embeddings or query_texts; neither was given")
        return vectors

    @staticmethod
    def _mmr(lambda_mult: float | None, fetch_k: int | None, k: int) -> r.Mmr | None:
        if lambda_mult is None:
            if fetch_k is not None:
                raise InvalidArgumentError("fetch_k belongs to MMR: give lambda_mult (0 to 1) with it")
            return None
        fetched = max(20, 4 * k) if fetch_k is None else check.count(fetch_k, "fetch_k", 1)
        return r.Mmr(check.fraction(lambda_mult, "lambda_mult"), max(fetched, k))

    def compact(self) -> None:
        """Give the space of deleted and replaced records back to the disk.

        Happens by itself when more than half of the rows are dead. Readers go on meanwhile, writers
        wait; the live vectors and records need their disk space twice while it lasts.
        """
        self._backend.maintain(r.Maintain("compact", self.id))

    # --- itself --------------------------------------------------------------------------------

    def modify(self, name: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Rename the collection or replace its metadata. The space cannot be changed.

        Raises `UniqueConstraintError` when the name is taken.
        """
        checked = check.collection_metadata(metadata)
        if checked is not None and "hnsw:space" in checked:
            raise InvalidArgumentError(
                "Changing the distance function of a collection once it is created is not supported."
            )
        new_name = None if name is None else check.collection_name(name, "new_name")
        self._info = self._backend.modify(r.Modify(self.id, new_name, checked))
