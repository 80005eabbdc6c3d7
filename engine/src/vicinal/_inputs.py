"""From what are the vectors of a batch or a query made?

From the embeddings themselves, or by the collection's embedding function from exactly one of documents,
images and URIs, which the collection's data loader turns into images. Embeddings win silently when
something to embed comes with them, as in Chroma.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vicinal import _validate as check
from vicinal._filter import DOCUMENT
from vicinal._filter.values import lookup
from vicinal._schema import sparse_sources
from vicinal.embedding.images import image_column
from vicinal.embedding.protocol import Embedder, called, embed
from vicinal.embedding.sparse import SparseEmbeddingFunction, build_sparse
from vicinal.errors import EmbeddingFunctionError, InvalidArgumentError
from vicinal.types import SparseVector, Vectors

Loader = Callable[[Any], Any]


@dataclass(frozen=True)
class Inputs:
    """What a collection embeds with, and what to call things in errors."""

    collection: str
    function: Callable[[], Embedder | None]
    """Asked only when there is something to embed: finding the function may fail."""
    was_stored: bool
    """Whether the catalog says that the collection has a function, if only one without a name."""
    loader: Loader | None
    sparse: dict[str, SparseEmbeddingFunction | None] = field(default_factory=dict)
    """The functions of sparse keys, once they were built; None where there is none."""

    def of_records(
        self,
        mode: str,
        documents: Sequence[str | None] | None,
        images: Sequence[Any] | None,
        uris: Sequence[str | None] | None,
    ) -> Vectors | None:
        """The vectors of a batch that came without; None when an update brings nothing to embed.

        URIs are stored beside documents and images, and embedded only when there are neither.
        """
        if documents is not None and images is not None:
            raise InvalidArgumentError(
                f"{mode} embeds documents or images, and both were given: pass embeddings, or only one"
            )
        if documents is not None:
            return self._embed(_complete(documents, "documents"), query=False)
        if images is not None:
            return self._embed(images, query=False)
        if mode == "update":
            return None
        if uris is None:
            raise InvalidArgumentError(
                f"{mode} needs embeddings, or documents, images or uris to embed; none was given"
            )
        return self._embed(self.load(_complete(uris, "uris")), query=False)

    def of_query(self, embeddings: Any, texts: Any, images: Any, uris: Any) -> Vectors:
        """One vector per query."""
        if embeddings is not None:
            return check.embeddings(embeddings, "query_embeddings")
        given = {"query_texts": texts, "query_images": images, "query_uris": uris}
        name = _one_of(given)
        if name == "query_texts":
            return self._embed(check.texts(texts, name), query=True)
        if name == "query_images":
            return self._embed(image_column(images, name), query=True)
        return self._embed(self.load(check.texts(uris, name)), query=True)

    def load(self, uris: Sequence[str | None]) -> Any:
        """What the URIs name, by the collection's data loader; None for None."""
        if self.loader is None:
            raise InvalidArgumentError(
                f'Collection "{self.collection}" has no data loader, and one is needed to read what URIs '
                "name: pass data_loader=... to create_collection() or get_collection()"
            )
        present = [uri for uri in uris if uri is not None]
        answer = called(self.loader, uris=present) if present else []
        if not isinstance(answer, Iterable):
            raise InvalidArgumentError(
                f"The data loader returned {type(answer).__name__} for {len(present)} URIs; it must return "
                "an item for each"
            )
        loaded = list(answer)
        if len(loaded) != len(present):
            raise InvalidArgumentError(
                f"The data loader returned {len(loaded)} items for {len(present)} URIs; it must return "
                "one for each"
            )
        remaining = iter(loaded)
        return [None if uri is None else next(remaining) for uri in uris]

    def with_sparse(
        self,
        schema: Mapping[str, Any] | None,
        metadatas: Sequence[Mapping[str, Any] | None] | None,
        documents: Sequence[str | None] | None,
        count: int,
    ) -> Sequence[Mapping[str, Any] | None] | None:
        """The metadata of a batch, with the sparse vectors that the schema makes of text.

        A record that brings its own vector under the key, null included, keeps it.
        """
        for key, (source, description) in ({} if schema is None else sparse_sources(schema)).items():
            given = metadatas or (None,) * count
            texts = (
                (documents or (None,) * count) if source == DOCUMENT else [_text(m, source) for m in given]
            )
            items = [i for i, text in enumerate(texts) if text is not None and key not in (given[i] or {})]
            if items:
                function = self.sparse_function(key, description)
                assert function is not None  # a source needs a function
                answer = called(function, input=[str(texts[i]) for i in items])
                vectors = checked_sparse(function, answer, len(items))
                filled = list(given)
                for i, vector in zip(items, vectors):
                    filled[i] = {**(given[i] or {}), key: vector}
                metadatas = tuple(filled)
        return metadatas

    def sparse_function(self, key: str, description: dict[str, Any] | None) -> SparseEmbeddingFunction | None:
        """A sparse key's function, as the schema describes it, built once; None when it has none."""
        if key not in self.sparse:
            self.sparse[key] = build_sparse(description)
        return self.sparse[key]

    def _embed(self, items: Sequence[Any], *, query: bool) -> Vectors:
        if not items:
            return check.embeddings([])
        function = self.function()
        if function is None:
            raise EmbeddingFunctionError(
                f'Collection "{self.collection}" has no embedding function'
                + (
                    " stored (the one it was created with has no name); pass embedding_function=... to "
                    "get_collection()"
                    if self.was_stored
                    else "; pass embeddings, or create the collection with an embedding_function"
                )
            )
        return check.embeddings(embed(function, items, query=query), "the embedding function's answer")


def _one_of(given: dict[str, Any]) -> str:
    """The name of the only argument that is given."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        raise InvalidArgumentError(
            f"query needs one of query_embeddings, {', '.join(given)}; got {' and '.join(names) or 'none'}"
        )
    return names[0]


def _text(metadata: Mapping[str, Any] | None, key: str) -> str | None:
    """A metadata value, if it is text."""
    value = lookup(metadata, key, None)
    return value if isinstance(value, str) else None


def checked_sparse(function: Any, vectors: Any, count: int) -> list[SparseVector]:
    """What a sparse function returned, when it is one vector per text."""
    listed = list(vectors) if isinstance(vectors, Iterable) else [vectors]
    if len(listed) != count or not all(isinstance(vector, SparseVector) for vector in listed):
        raise EmbeddingFunctionError(
            f"Sparse embedding function {type(function).__name__} must return one SparseVector per text; "
            f"for {count} texts it returned {str(listed)[:80]}"
        )
    return listed


def _complete(column: Sequence[str | None], name: str) -> list[str]:
    """A column without gaps, for what is to be embedded."""
    missing = [i for i, value in enumerate(column) if value is None]
    if missing:
        raise InvalidArgumentError(
            f"{name}[{missing[0]}] is None and no embeddings were given, so nothing can be embedded"
        )
    return [value for value in column if value is not None]
