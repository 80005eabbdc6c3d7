"""By what does a query rank besides distance?

Its mode and the arguments that belong to one: words of documents or of a metadata key, sparse vectors under
a metadata key. Sparse vectors are given, or made from the query's texts by the function that the
collection's schema has for the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vicinal import _request as r
from vicinal import _validate as check
from vicinal._filter import DOCUMENT
from vicinal._given import check_one_of, whole
from vicinal._inputs import Inputs, checked_sparse
from vicinal._schema import sparse_keys
from vicinal.embedding.protocol import called
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown
from vicinal.types import SparseVector


@dataclass(frozen=True)
class HowToRank:
    """The arguments of `query` that say how to rank; nothing is checked yet."""

    mode: Any
    alpha: Any
    fusion: Any
    text_key: Any
    sparse_key: Any
    query_sparse: Any
    snippets: Any


def ranking(
    info: r.CollectionInfo,
    inputs: Inputs,
    how: HowToRank,
    texts: tuple[str, ...] | None,
    fetch_k: Any,
) -> r.Ranking | None:
    """What the mode asks for; None when that is distance alone."""
    check_one_of(how.mode, "mode", ("dense", "text", "sparse", "hybrid"))
    weight = 0.5 if how.alpha is None else check.fraction(how.alpha, "alpha")
    fusion: Any = "relative" if how.fusion is None else how.fusion
    check_one_of(fusion, "fusion", ("relative", "rrf"))
    for name, value in (("alpha", how.alpha), ("fusion", how.fusion)):
        if how.mode != "hybrid" and value is not None:
            raise InvalidArgumentError(f'{name} mixes vectors and words: use mode="hybrid", not "{how.mode}"')
    is_sparse = _is_sparse(how)
    if how.mode == "dense":
        return None
    deep = 100 if fetch_k is None else whole(fetch_k, "fetch_k", 1)
    if is_sparse:
        field = _sparse_key(info, how)
        vectors = _sparse_vectors(info, inputs, field, how, texts)
        return r.Ranking(how.mode, texts or (), field, weight, fusion, deep, vectors)
    if texts is None:
        raise InvalidArgumentError(f'mode="{how.mode}" searches words: give query_texts')
    return r.Ranking(how.mode, texts, _text_key(how.text_key), weight, fusion, deep)


def _is_sparse(how: HowToRank) -> bool:
    """Whether sparse vectors are searched; each key and vector must belong to the mode."""
    given = {"sparse_key": how.sparse_key, "query_sparse": how.query_sparse}
    named = [name for name, value in given.items() if value is not None]
    if how.mode in ("dense", "text") and named:
        raise InvalidArgumentError(f'{named[0]} belongs to mode="sparse" or "hybrid"')
    if how.mode in ("dense", "sparse") and how.text_key is not None:
        raise InvalidArgumentError('text_key belongs to mode="text" or "hybrid"')
    if named and how.text_key is not None:
        raise InvalidArgumentError(
            f"text_key and {named[0]} both say what is mixed with distance: give one of them"
        )
    return how.mode == "sparse" or bool(named)


def _sparse_key(info: r.CollectionInfo, how: HowToRank) -> str:
    """The metadata key that was named, or the only one that the schema names."""
    if how.sparse_key is not None:
        return _key(how.sparse_key, "sparse_key")
    known = sorted(sparse_keys(info.configuration.index_schema))
    if len(known) == 1:
        return known[0]
    why = f"names several: {', '.join(known)}" if known else "names none"
    raise InvalidArgumentError(
        f"sparse_key: say which metadata key holds the sparse vectors; the schema of collection "
        f'"{info.name}" {why}'
    )


def _text_key(value: Any) -> str:
    """A metadata key, or "#document", as in `Knn`; that is the default."""
    if value is None or (isinstance(value, str) and value == DOCUMENT):
        return DOCUMENT
    return _key(value, "text_key", f" or {DOCUMENT}")


def _key(value: Any, argument: str, besides: str = "") -> str:
    if not isinstance(value, str) or not value:
        raise ArgumentTypeError(argument=argument, expected="a metadata key (str)", got=value)
    if value.startswith("#"):
        raise InvalidArgumentError(f"{argument}: expected a metadata key{besides}, got {shown(value)}")
    return check.unicode(value, argument)


def _sparse_vectors(
    info: r.CollectionInfo, inputs: Inputs, key: str, how: HowToRank, texts: tuple[str, ...] | None
) -> tuple[SparseVector, ...]:
    """One per query: those given, or what the texts become."""
    if how.query_sparse is None:
        if texts is None:
            raise InvalidArgumentError(
                f'mode="{how.mode}" searches sparse vectors: give query_sparse, or query_texts for the '
                f"function of key {key!r}"
            )
        return tuple(sparse_queries(info, inputs, key, texts))
    given = [how.query_sparse] if isinstance(how.query_sparse, SparseVector) else how.query_sparse
    listed = check.one_or_many(given, "query_sparse")
    vectors = tuple(_sparse_vector(one, f"query_sparse[{i}]") for i, one in enumerate(listed))
    if texts is not None and len(texts) != len(vectors):
        raise InvalidArgumentError(
            f"Unequal lengths: {len(vectors)} query_sparse and {len(texts)} query_texts; both say the same "
            "questions"
        )
    return vectors


def _sparse_vector(value: Any, argument: str) -> SparseVector:
    if isinstance(value, SparseVector):
        return value
    if isinstance(value, Mapping) and {"#type", "indices", "values"} <= set(value):
        return SparseVector.from_dict(value)
    raise ArgumentTypeError(argument=argument, expected="a SparseVector, or the JSON of one", got=value)


def sparse_queries(
    info: r.CollectionInfo, inputs: Inputs, key: str, texts: tuple[str, ...]
) -> list[SparseVector]:
    """Texts, by the function that the schema has for a key."""
    config = sparse_keys(info.configuration.index_schema).get(key) or {}
    function = inputs.sparse_function(key, config.get("embedding_function"))
    if function is None:
        raise InvalidArgumentError(
            f"Cannot embed string query for key '{key}': the collection's schema has no sparse embedding "
            "function for it. Give a SparseVector, or create the collection with "
            "SparseVectorIndexConfig(embedding_function=…) on this key"
        )
    if not texts:
        return []
    return checked_sparse(function, called(function.embed_query, input=list(texts)), len(texts))
