"""What can be done with a collection?

Every method validates its arguments, embeds text where text was given, hands one request to the
backend, and shapes the answer as Chroma does. Nothing is stored or searched here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from vicinal import _answers as answers
from vicinal import _arguments as arguments
from vicinal import _request as r
from vicinal import _validate as check
from vicinal._described import Described
from vicinal._given import check_one_of, whole
from vicinal._html import facts_table
from vicinal._progress import Progress, shown
from vicinal._questions import HowToRank
from vicinal._rerank import rerank_answer, reranker_of
from vicinal.embedding import registry
from vicinal.errors import InvalidArgumentError
from vicinal.search import Search
from vicinal.types import (
    Facet,
    GetResult,
    Include,
    IndexingStatus,
    QueryResult,
    ReadLevel,
    SearchResult,
    Stats,
    Where,
    WhereDocument,
)


class Collection(Described):
    """A named set of records, each with an id, an embedding, and a document, metadata and URI if given.

    Get one from a client; do not construct it. Handles are light, may be shared between threads, and
    see every committed write, also those of other processes.
    """

    # --- writing -------------------------------------------------------------------------------

    def add(
        self,
        ids: Iterable[str] | str,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        images: Any = None,
        uris: Any = None,
        *,
        on_conflict: Literal["keep", "error"] = "keep",
    ) -> r.WriteInfo:
        """Add records, all or none. A record whose id exists already stays as it is, as in Chroma.

        Args:
            ids: n non-empty strings, unique in this call; a single string means one record.
            embeddings: Shape (n, dimension), any real numbers; stored as float32. Without it, the
                collection's embedding function embeds the documents, the images, or, when there are
                neither, what the collection's data loader reads from the URIs.
            metadatas: n JSON objects or None. Values may also be datetimes, dates, Decimals, UUIDs, bytes and
                `SparseVector`s; tuples and sets become lists.
            documents: n texts or None; None as an item only where embeddings are given.
            images: n arrays of shape (height, width, 3), to be embedded; they are not stored.
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
        check_one_of(on_conflict, "on_conflict", ("keep", "error"))
        columns = (embeddings, metadatas, documents, images, uris)
        return self._write("add", ids, *columns, on_conflict=on_conflict)

    def upsert(
        self,
        ids: Iterable[str] | str,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        images: Any = None,
        uris: Any = None,
        *,
        merge_metadata: bool = True,
    ) -> r.WriteInfo:
        """Add records, replacing what is given of those whose id exists already. All or none.

        Args and errors are those of `add`. New metadata is merged into an existing record's, key by
        key, and a value of None deletes the key, as in Chroma; `merge_metadata=False` replaces the
        metadata whole and stores None as a value. A document replaced without embeddings is embedded.
        """
        columns = (embeddings, metadatas, documents, images, uris)
        return self._write("upsert", ids, *columns, merge_metadata=merge_metadata)

    def update(
        self,
        ids: Iterable[str] | str | None = None,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        images: Any = None,
        uris: Any = None,
        *,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        merge_metadata: bool = True,
    ) -> r.WriteInfo:
        """Change what is given of existing records; ids that do not exist are ignored. All or none.

        Args, merging of metadata and errors are those of `upsert`; new URIs alone are stored, and
        change no embedding. With a filter, `metadatas` is one dictionary, which goes to every record
        that the filter (and `ids`, if given) selects at the moment of the write; nothing else can be
        changed then.

        Example:
            >>> import vicinal
            >>> papers = vicinal.EphemeralClient().create_collection("papers")
            >>> _ = papers.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"n": 1}, {"n": 2}])
            >>> papers.update(where={"n": {"$gt": 1}}, metadatas={"read": True})
            WriteInfo(added=0, updated=1, kept=0)
        """
        columns = (embeddings, metadatas, documents, images, uris)
        if where is None and where_document is None:
            if ids is None:
                raise InvalidArgumentError("update needs ids, where or where_document; none was given")
            return self._write("update", ids, *columns, merge_metadata=merge_metadata)
        selected = self._selection(ids, where, where_document)
        request = arguments.alter(self._info, selected, *columns, merge_metadata=merge_metadata)
        return self._backend.alter(request)

    def delete(
        self,
        ids: Iterable[str] | str | None = None,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        limit: int | None = None,
    ) -> dict[str, int]:
        """Delete the records that satisfy every given condition; at least one must be given.

        No answer has them any more; their texts and vectors are out of the files after `compact`.

        Args:
            ids: Only these; unknown ids are ignored, an empty list deletes nothing.
            where, where_document: Only records that these filters select.
            limit: At most so many, in the order of `get`.

        Returns:
            `{"deleted": n}`, n counting records that really were there.
        """
        selected = self._selection(ids, where, where_document)
        if selected == (None, None):
            raise InvalidArgumentError(
                "delete needs ids, where or where_document; to delete every record, delete the collection"
            )
        most = None if limit is None else whole(limit, "limit", 0)
        return {"deleted": self._backend.remove(r.Remove(self.id, *selected, limit=most))}

    def expire(self) -> dict[str, int]:
        """Remove the records that have expired, for good; nothing can see them any more already.

        `{"deleted": n}`; n is 0 for a collection that was created without an `expiry`.
        """
        return {"deleted": self._backend.remove(r.Remove(self.id, None, None, expired=True))}

    def _write(self, mode: r.Mode, *columns: Any, **how: Any) -> r.WriteInfo:
        request = arguments.write(self._info, self._inputs, mode, *columns, **how)
        return r.WriteInfo(0, 0, 0) if request is None else self._backend.write(request)

    # --- reading -------------------------------------------------------------------------------

    def count(
        self,
        read_level: ReadLevel | str = ReadLevel.INDEX_AND_WAL,
        *,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        ids: Iterable[str] | str | None = None,
    ) -> int:
        """How many records there are, or how many of them the filters (and `ids`) select.

        Costs microseconds without a condition. `read_level` is Chroma's; every read sees all that was
        written.
        """
        check.read_level(read_level)
        selected = self._selection(ids, where, where_document)
        if selected == (None, None) and self._info.configuration.expiry is None:
            return self._backend.status(r.Status(self.id)).records
        return self._backend.summarize(r.Summarize(self.id, *selected)).records

    def get(
        self,
        ids: Iterable[str] | str | None = None,
        where: Where | None = None,
        limit: int | None = None,
        offset: int | None = None,
        where_document: WhereDocument | None = None,
        include: Include = ("metadatas", "documents"),
        *,
        order_by: str | Sequence[str] | None = None,
    ) -> GetResult:
        """Records by id and filter, in the order in which they were first added, or sorted.

        Args:
            ids: Only these; unknown ids are skipped, an empty list gives an empty answer.
            where, where_document: Only records that these filters select.
            limit, offset: At most so many, after skipping so many.
            include: Which columns to fill: documents, embeddings, metadatas, uris, and data, which is
                what the collection's data loader reads from the URIs, and fills these too. `ids` always are.
            order_by: A metadata key or "#id", or several, the first deciding; "-key" is descending.
                By kind of value: null, bools, numbers (NaN last), dates and datetimes, strings by
                code point, lists and then objects, both by their JSON text, but Decimals, by value, before
                other objects. Records without the key come last, either way; equal ones in the order of
                adding. A key that begins with + or - is written with a sign in front.

        Returns:
            A dictionary of parallel lists: `ids`, and `documents`, `metadatas`, `embeddings` (float32,
            shape (n, dimension)), `uris`, `data`, each None unless included.
        """
        fields = answers.included(check.include(include, distances=False))
        if "data" in fields:
            self._inputs.load([])
        request = r.Select(
            self.id,
            *self._selection(ids, where, where_document),
            **check.bounds(limit, offset),
            fields=frozenset(fields),
            order=check.order(order_by),
        )
        return answers.get_result(self._backend.select(request), fields, self._inputs)

    def peek(self, limit: int = 10) -> GetResult:
        """The first records, with their embeddings, documents and metadata."""
        return self.get(limit=limit, include=("metadatas", "documents", "embeddings"))

    def query(
        self,
        query_embeddings: Any = None,
        query_texts: Any = None,
        query_images: Any = None,
        query_uris: Any = None,
        ids: Iterable[str] | str | None = None,
        n_results: int = 10,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        include: Include = ("metadatas", "documents", "distances"),
        *,
        max_distance: float | None = None,
        lambda_mult: float | None = None,
        fetch_k: int | None = None,
        mode: Literal["dense", "text", "sparse", "hybrid"] = "dense",
        query_sparse: Any = None,
        alpha: float | None = None,
        fusion: Literal["relative", "rrf"] | None = None,
        text_key: str | None = None,
        sparse_key: str | None = None,
        snippets: int | bool = False,
        rerank: Any = None,
        explain: bool = False,
    ) -> QueryResult:
        """The records nearest to each query among those that the filters select.

        Filters run before the search: when `n_results` records match, `n_results` come back. Results
        are ordered by distance, equal distances by age. The answer is exact below 16 MiB of vectors (10,900
        of 384 dimensions) and where a filter leaves few of them; else the graph may answer, which finds
        some 98 of 100 true neighbours at the default `ef_search`, which grows with the collection, and with
        what is found out about its vectors.

        Args:
            query_embeddings: One vector, or shape (q, dimension). They win when something else is given;
                `mode="text"` and `mode="sparse"` look at none.
            query_texts, query_images: One or q texts or images, embedded by the collection's function.
            query_uris: One or q URIs of images, read by the collection's data loader.
            ids: Only these records; unknown ids are skipped.
            n_results: At most so many per query, at least 1.
            where, where_document: Only records that these filters select.
            include: Which columns to fill: documents, metadatas, embeddings, uris, data, distances.
            max_distance: Only records at most so far away, in the collection's measure of distance;
                fewer than `n_results` may be left, or none.
            lambda_mult: Turns on maximal marginal relevance: from 1 (nearness alone) to 0 (difference
                from what was already picked alone). Results then come in the order of selection.
            fetch_k: How many of the nearest MMR, a mixture or a reranker chooses from; by default the
                larger of 20 and 4 × n_results, and for a mixture 100. Refused where there is none of these.
            mode: `dense` ranks by distance, `text` by the words of `query_texts` (BM25), `sparse` by the dot
                product with the sparse vectors under a metadata key, `hybrid` by distance and words, or,
                with `query_sparse` or `sparse_key`, by distance and sparse vectors. The answer then has
                `scores`, larger is better.
            query_sparse: One or q `SparseVector`s, or their JSON; without it the schema's function of the
                key embeds `query_texts`.
            alpha: The weight of distance in a mixture, from 0 (words alone) to 1; by default 0.5.
            fusion: How a mixture is made: `relative` (the default) adds nearness and scores of words, `rrf`
                reciprocal ranks.
            text_key: Search the strings under this metadata key instead of documents.
            sparse_key: The metadata key that holds sparse vectors; by default the one that the schema names.
            snippets: Add the fragments of each document that match, at most so many (True: 3).
            rerank: A function `(query, documents) -> scores`, a cross-encoder, or a registered name;
                the answer then has `rerank_scores`.
            explain: Add `"explain"` to the answer: which plan answered, over how many rows.

        Returns:
            A dictionary of lists, one item per query, each a list over its results: `ids`,
            `distances`, `documents`, `metadatas`, `uris`, `data`, `embeddings` (one array per query).
            Distances, smaller is nearer: l2 is the squared Euclidean distance, cosine 1 − cos,
            ip 1 − dot product.

        Raises:
            InvalidDimensionError: A query vector of another dimension than the collection's.
            InvalidFilterError: A filter that cannot be understood; the text says where.
            EmbeddingFunctionError: Text or images, and no function to embed them.
        """
        fields = answers.included(check.include(include, distances=True))
        judge = None if rerank is None else reranker_of(rerank)
        request, texts = arguments.search(
            self._info,
            self._inputs,
            self._selection(ids, where, where_document),
            (query_embeddings, query_texts, query_images, query_uris),
            n_results,
            frozenset(fields),
            near=(max_distance, lambda_mult, fetch_k),
            how=HowToRank(mode, alpha, fusion, text_key, sparse_key, query_sparse, snippets),
            reranks=judge is not None,
        )
        answer = self._backend.search(request)
        if judge is not None:
            answer = rerank_answer(answer, texts, judge, n_results)
        return answers.query_result(
            answer, request, fields, self._inputs, reranks=judge is not None, explain=explain
        )

    def search(
        self,
        searches: Search | Sequence[Search],
        read_level: ReadLevel | str = ReadLevel.INDEX_AND_WAL,
    ) -> SearchResult:
        """Records by one `Search` or several, each with a filter, a ranking made of rankings, and columns.

        Several are answered from one state of the collection. Scores ascend, as in Chroma: the lowest is
        the best, and equal ones come by age. `read_level` is Chroma's; every read sees all that was written.

        Example:
            >>> from vicinal import EphemeralClient, K, Knn, Search
            >>> papers = EphemeralClient().create_collection("papers")
            >>> _ = papers.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], documents=["red ant", "bee"])
            >>> mixed = 0.5 * Knn([0, 1], default=2) + 0.5 * Knn("ants", key=K.DOCUMENT, default=1)
            >>> papers.search(Search().rank(mixed).limit(1))["ids"]
            [['b']]
        """
        check.read_level(read_level)
        request, selected = arguments.rank(self._info, self._inputs, searches)
        return answers.search_result(self._backend.rank(request), selected)

    def facets(
        self,
        key: str,
        *,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        ids: Iterable[str] | str | None = None,
        limit: int | None = 100,
    ) -> list[Facet]:
        """The different values of a metadata key and in how many records each is, most frequent first.

        A list counts as the values in it. Equally frequent values come in the order of `order_by`; 1 and
        1.0 are one value. Records without the key, with null or an empty list do not count.

        Args:
            key: A metadata key; with dots, a path into nested objects.
            where, where_document, ids: Only the records that these select.
            limit: At most so many values; None for all of them.

        Example:
            >>> import vicinal
            >>> papers = vicinal.EphemeralClient().create_collection("papers")
            >>> metadatas = [{"topics": ["ann", "db"]}, {"topics": ["db"]}]
            >>> _ = papers.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=metadatas)
            >>> [(facet.value, facet.records) for facet in papers.facets("topics")]
            [('db', 2), ('ann', 1)]
        """
        most = None if limit is None else whole(limit, "limit", 0)
        selected = self._selection(ids, where, where_document)
        request = r.Summarize(self.id, *selected, check.key(key, "key"), most)
        return list(self._backend.summarize(request).facets)

    def stats(
        self,
        key: str,
        *,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        ids: Iterable[str] | str | None = None,
    ) -> Stats:
        """How many records have a metadata key, how many do not, its different values, least and greatest.

        Args, and what counts as a value, are those of `facets`; the order is that of `order_by`. Without
        any value, `min` and `max` are None.
        """
        selected = self._selection(ids, where, where_document)
        request = r.Summarize(self.id, *selected, check.key(key, "key"), limit=0)
        return answers.stats(self._backend.summarize(request))

    def _selection(self, ids: Any, where: Any, where_document: Any) -> arguments.Selection:
        return arguments.selection(self._info, ids, where, where_document)

    # --- itself --------------------------------------------------------------------------------

    def _repr_html_(self) -> str:
        status = self._backend.status(r.Status(self.id))
        return facts_table(f"Collection {self.name}", answers.facts(self, self.count(), status))

    def compact(self) -> None:
        """Give the space of deleted, replaced and expired records back to the disk.

        Happens by itself when more than half of the rows are dead and they take more than 4 MiB. Readers go
        on meanwhile, writers wait; the live vectors and records need their disk space twice while it lasts.

        Raises:
            StorageError: the files could not be made anew, because the disk is full, for instance. No record
                is lost, and what was deleted or replaced may still be in them: compact again.
        """
        self._backend.maintain(r.Maintain("compact", self.id))

    def optimize(self, *, progress: Progress = False) -> None:
        """Return when every row is indexed; compacts where it is due.

        Nothing needs it: all that was written is found at once. Afterwards queries are as fast as they get.
        From 1 MiB of vectors on, what was derived is then on disk, too, but for the newest rows while they
        are fewer than a tenth of the others: whoever opens the collection next derives those again.

        Args:
            progress: True for a bar on the terminal (needs `vicinal[progress]`), or a function that is
                told a few times a second how many rows are indexed, and of how many.
        """

        def measure() -> tuple[int, int]:
            status = self._backend.status(r.Status(self.id))
            left = status.rows_waiting + status.rows_unseen // 4  # looking for a row is a quarter of its work
            return status.rows - left, status.rows

        with shown(progress, measure):
            self._backend.maintain(r.Maintain("optimize", self.id))

    def modify(
        self,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        """Rename the collection, replace its metadata, or change its configuration.

        Of the configuration, `{"hnsw": {"ef_search", "num_threads", "batch_size", "sync_threshold",
        "resize_factor"}}` can be changed, and `{"embedding_function": …}`, which is the stored one by name
        with another configuration; space, shape of the graph, expiry and text cannot.

        Raises:
            UniqueConstraintError: The name is taken.
            EmbeddingFunctionError: A function that embeds otherwise than the collection's.
            InvalidArgumentError: What cannot be changed.
        """
        function = configuration.get("embedding_function") if isinstance(configuration, Mapping) else None
        if configuration is not None and function is not None:
            described = registry.redescribed(self._info.configuration.embedding_function, function)
            configuration = {**configuration, "embedding_function": described}
        request = arguments.modify(self._info, name, metadata, configuration)
        self._info = self._backend.modify(request)
        self._function = self._function if function is None else function
        self._inputs = replace(self._inputs, collection=self.name)

    def fork(self, new_name: str) -> Collection:
        """A new collection with what this one holds now; from then on each goes its own way.

        Raises `UniqueConstraintError` when the name is taken.
        """
        name = check.collection_name(new_name, "new_name")
        info = self._backend.fork(r.Fork(self.id, name))
        forked = Collection(self._backend, info, self._function, self._inputs.loader)
        forked._inputs.sparse.update(self._inputs.sparse)
        return forked

    def fork_count(self) -> int:
        """How many forks there are of this collection, or of the one that it was forked from at first."""
        root = self._info.configuration.lineage or self.id
        collections = self._backend.list(r.List(self._info.namespace))
        return sum(info.configuration.lineage == root for info in collections)

    def get_indexing_status(self) -> IndexingStatus:
        """How much of the collection the graph covers; queries scan the codes of the rest.

        A collection that is too small for a graph is covered by definition. Counted in rows, of which a
        record that was written again may leave a dead one until compaction.
        """
        return answers.indexing_status(self._backend.status(r.Status(self.id)))
