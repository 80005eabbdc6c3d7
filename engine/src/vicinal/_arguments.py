"""Which request do a collection's arguments make?

What more than one method of `Collection` does with its arguments: columns of one length that become a
write, and ids and filters that become a selection. The checks of single values are `_validate`'s.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from vicinal import _request as r
from vicinal import _validate as check
from vicinal._filter import Node
from vicinal._inputs import Inputs
from vicinal._schema import check_filter
from vicinal.config import parse_changes
from vicinal.embedding.images import image_column
from vicinal.errors import InvalidArgumentError

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
    max_distance: Any,
    lambda_mult: Any,
    fetch_k: Any,
    mode: Any,
    alpha: Any,
    fusion: Any,
    text_key: Any,
    snippets: Any,
    rerank: Any,
) -> tuple[r.Search, tuple[str, ...]]:
    """A query, and its texts when it has any. `given` are embeddings, texts, images and URIs."""
    k = check.n_results(n_results)
    most = None if max_distance is None else check.distance(max_distance, "max_distance")
    ranking = check.ranking(mode, given[1], alpha, fusion, text_key, fetch_k, k)
    deeper = None if ranking is not None or rerank is not None else fetch_k
    mmr = check.mmr(lambda_mult, deeper, k)
    if rerank is not None:
        if given[1] is None:
            raise InvalidArgumentError("rerank: give query_texts, for a reranker reads the question")
        if mmr is not None:
            raise InvalidArgumentError("rerank and lambda_mult both decide the order: give one of them")
        k = max(k, max(20, 4 * k) if fetch_k is None else check.count(fetch_k, "fetch_k", 1))
        fields = fields | {"documents"}
    texts = check.texts(given[1], "query_texts") if given[1] is not None else ()
    if ranking is not None and ranking.mode == "text":
        if most is not None:
            raise InvalidArgumentError('max_distance: mode="text" measures no distance')
        vectors = np.empty((len(texts), 0), dtype=np.float32)
        fields = fields - {"distances"}
    else:
        vectors = inputs.of_query(*given)
    if (ranking is not None or rerank is not None) and len(texts) != len(vectors):
        raise InvalidArgumentError(
            f"Unequal lengths: {len(vectors)} query_embeddings and {len(texts)} query_texts; both say the "
            "same questions"
        )
    shown = 3 if snippets is True else 0 if snippets is False else check.count(snippets, "snippets", 0)
    if shown and ranking is None:
        raise InvalidArgumentError('snippets show words that were searched: use mode="text" or "hybrid"')
    return r.Search(info.id, vectors, k, *selected, fields, mmr, most, ranking, shown), tuple(texts)
