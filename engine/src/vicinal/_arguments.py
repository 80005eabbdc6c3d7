"""Which request do a collection's arguments make?

What more than one method of `Collection` does with its arguments: columns of one length that become a
write, and ids and filters that become a selection. The checks of single values are `_validate`'s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from vicinal import _request as r
from vicinal import _validate as check
from vicinal._filter import Node
from vicinal._given import whole
from vicinal._inputs import Inputs
from vicinal._questions import HowToRank, sparse_queries
from vicinal._questions import ranking as ranking_of
from vicinal._schema import check_filter
from vicinal._turns import give_way
from vicinal.config import parse_changes
from vicinal.embedding.images import image_column
from vicinal.errors import ArgumentTypeError, InvalidArgumentError
from vicinal.search import K, Knn, Search, resolved
from vicinal.types import SparseVector, Vectors

Selection = tuple["tuple[str, ...] | None", "Node | None"]
"""(ids, filter), None for either that was not given."""


def selection(info: r.CollectionInfo, ids: Any, where: Any, where_document: Any) -> Selection:
    """Ids and filter as every request takes them; what the schema does not index is refused."""
    condition = check.condition(where, where_document)
    if condition is not None and info.configuration.index_schema is not None:
        check_filter(info.configuration.index_schema, condition)
    return None if ids is None else check.ids(ids, unique=False), condition


def write(
    info: r.CollectionInfo,
    inputs: Inputs,
    mode: r.Mode,
    ids: Any,
    embeddings: Any,
    metadatas: Any,
    documents: Any,
    images: Any,
    uris: Any,
    *,
    merge_metadata: bool = True,
    on_conflict: Literal["keep", "error"] = "keep",
) -> r.Write | None:
    """A batch, embedded where it came without embeddings; None when it is empty."""
    id_column = check.ids(ids)
    metadata_column = check.metadatas(metadatas)
    give_way()
    document_column, uri_column = check.documents(documents), check.uris(uris)
    vectors = None if embeddings is None else check.embeddings(embeddings)
    pictures = None if images is None else image_column(images)
    check.same_length(
        id_column,
        embeddings=vectors,
        metadatas=metadata_column,
        documents=document_column,
        images=pictures,
        uris=uri_column,
    )
    check.expiry(metadata_column, info.configuration.expiry)
    if not id_column:
        return None
    if vectors is None:
        vectors = inputs.of_records(mode, document_column, pictures, uri_column)
    schema = info.configuration.index_schema
    filled = inputs.with_sparse(schema, metadata_column, document_column, len(id_column))
    if metadata_column is None and filled is not None:
        merge_metadata = True  # the caller gave none, so none is replaced
    return r.Write(
        info.id,
        mode,
        id_column,
        vectors,
        document_column,
        None if filled is None else tuple(filled),
        uri_column,
        merge_metadata=merge_metadata,
        on_conflict=on_conflict,
    )


def alter(
    info: r.CollectionInfo,
    selected: Selection,
    embeddings: Any,
    metadatas: Any,
    documents: Any,
    images: Any,
    uris: Any,
    *,
    merge_metadata: bool,
) -> r.Alter:
    """One dictionary of metadata for everything that is selected."""
    if any(column is not None for column in (embeddings, documents, images, uris)):
        raise InvalidArgumentError(
            "update with where or where_document changes metadata alone; give ids to change the rest"
        )
    metadata = check.only_metadata(metadatas)
    check.expiry((metadata,), info.configuration.expiry)
    return r.Alter(info.id, *selected, metadata, merge_metadata=merge_metadata)


def modify(info: r.CollectionInfo, name: Any, metadata: Any, configuration: Any) -> r.Modify:
    """What may change of a collection itself."""
    checked = check.collection_metadata(metadata)
    if checked is not None and "hnsw:space" in checked:
        raise InvalidArgumentError(
            "Changing the distance function of a collection once it is created is not supported."
        )
    new_name = None if name is None else check.collection_name(name, "new_name")
    return r.Modify(info.id, new_name, checked, parse_changes(configuration))


def search(
    info: r.CollectionInfo,
    inputs: Inputs,
    selected: Selection,
    given: tuple[Any, Any, Any, Any],
    n_results: Any,
    fields: frozenset[str],
    *,
    near: tuple[Any, Any, Any],
    how: HowToRank,
    reranks: bool,
) -> tuple[r.Search, tuple[str, ...]]:
    """A query, and its texts when it has any.

    `given` are embeddings, texts, images and URIs; `near` is max_distance, lambda_mult and fetch_k.
    """
    query_embeddings, query_texts, query_images, query_uris = given
    max_distance, lambda_mult, fetch_k = near
    k = check.n_results(n_results)
    most = None if max_distance is None else check.distance(max_distance, "max_distance")
    texts = None if query_texts is None else check.texts(query_texts, "query_texts")
    ranking = ranking_of(info, inputs, how, texts, fetch_k)
    mixes = ranking is not None and ranking.mode == "hybrid"
    mmr = check.mmr(lambda_mult, None if mixes or reranks else fetch_k, k)
    if reranks:
        if texts is None:
            raise InvalidArgumentError("rerank: give query_texts, for a reranker reads the question")
        if mmr is not None:
            raise InvalidArgumentError("rerank and lambda_mult both decide the order: give one of them")
        k = max(k, max(20, 4 * k) if fetch_k is None else whole(fetch_k, "fetch_k", 1))
        fields = fields | {"documents"}
    if ranking is not None and ranking.mode != "hybrid":
        if most is not None:
            raise InvalidArgumentError(f'max_distance: mode="{ranking.mode}" measures no distance')
        vectors = np.empty((len(ranking.questions), 0), dtype=np.float32)
        fields = fields - {"distances"}
    else:
        vectors = inputs.of_query(query_embeddings, texts, query_images, query_uris)
        _check_lengths(vectors, texts, ranking, reranks=reranks)
    shown = _shown(how.snippets, ranking)
    return r.Search(info.id, vectors, k, *selected, fields, mmr, most, ranking, shown), texts or ()


def _check_lengths(
    vectors: Vectors, texts: tuple[str, ...] | None, ranking: r.Ranking | None, *, reranks: bool
) -> None:
    """Vectors and what else asks the same questions are equally many."""
    others = {}
    if ranking is not None:
        others["query_texts" if ranking.sparse is None else "query_sparse"] = ranking.questions
    if reranks:
        others["query_texts"] = texts or ()
    for name, questions in others.items():
        if len(questions) != len(vectors):
            raise InvalidArgumentError(
                f"Unequal lengths: {len(vectors)} query_embeddings and {len(questions)} {name}; both say "
                "the same questions"
            )


def _shown(snippets: Any, ranking: r.Ranking | None) -> int:
    """How many fragments of each document are wanted."""
    shown = 3 if snippets is True else 0 if snippets is False else whole(snippets, "snippets", 0)
    if shown and (ranking is None or ranking.sparse is not None):
        raise InvalidArgumentError(
            'snippets show words that were searched: use mode="text" or "hybrid", without sparse vectors'
        )
    return shown


_COLUMNS = {K.ID.name: None, K.DOCUMENT.name: "documents", K.EMBEDDING.name: "embeddings", K.SCORE.name: None}


def rank(info: r.CollectionInfo, inputs: Inputs, searches: Any) -> tuple[r.Rank, tuple[tuple[str, ...], ...]]:
    """Searches of expressions, and what each of them selects."""
    given = check.one_or_many([searches] if isinstance(searches, Search) else searches, "searches")
    ranked, selected = [], []
    for i, one in enumerate(given):
        search = Search.from_dict(one) if isinstance(one, dict) else one
        if not isinstance(search, Search):
            raise ArgumentTypeError(argument=f"searches[{i}]", expected="a Search", got=one)
        if search._group_by.aggregate is not None and search._rank is None:
            raise InvalidArgumentError(f"searches[{i}]: group_by needs a rank to order each group by")
        where = None if search._where is None else search._where.to_dict()
        expression = None
        if search._rank is not None:
            expression = resolved(search._rank, lambda knn: _query_of(info, inputs, knn))
        keys = search._select.keys
        fields = frozenset(column for key in keys if (column := _COLUMNS.get(key, "metadatas")))
        limit, condition = search._limit, selection(info, None, where, None)[1]
        ranked.append(r.Ranked(expression, condition, search._group_by, limit.limit, limit.offset, fields))
        selected.append(keys)
    return r.Rank(info.id, tuple(ranked)), tuple(selected)


def _query_of(info: r.CollectionInfo, inputs: Inputs, knn: Knn) -> Knn:
    """A ranking whose query is what its key holds."""
    if knn.key == K.DOCUMENT.name:
        if not isinstance(knn.query, str):
            raise InvalidArgumentError(f"Knn: {knn.key} is searched by words: give a text as the query")
        return knn
    if knn.key == K.EMBEDDING.name:
        if isinstance(knn.query, SparseVector):
            raise InvalidArgumentError(
                f"Knn: {knn.key} holds dense vectors, and the query is a SparseVector; name the metadata key "
                "that holds the sparse ones, key=…"
            )
        texts, embeddings = ([knn.query], None) if isinstance(knn.query, str) else (None, knn.query)
        vectors = inputs.of_query(embeddings, texts, None, None)
        if len(vectors) != 1:
            raise InvalidArgumentError(f"Knn: expected one query vector, got {len(vectors)}")
        return replace(knn, query=vectors[0])
    if knn.key.startswith("#"):
        raise InvalidArgumentError(
            f"Knn: {knn.key} cannot be searched; #embedding, #document and metadata keys can"
        )
    if isinstance(knn.query, str):
        return replace(knn, query=sparse_queries(info, inputs, knn.key, (knn.query,))[0])
    if not isinstance(knn.query, SparseVector):
        raise InvalidArgumentError(
            f"Knn: metadata key {knn.key!r} can hold sparse vectors, and the query is a dense one; give a "
            "SparseVector, or search #embedding"
        )
    return knn
