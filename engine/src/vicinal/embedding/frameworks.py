"""How do embedding objects of LangChain and LlamaIndex become embedding functions?

By the methods that they have; neither framework is imported. They cannot be rebuilt from a collection,
so a collection remembers only that it had a function, and wants it again whenever it is opened.
"""

from __future__ import annotations

from typing import Any, Protocol

from vicinal.embedding.protocol import EmbeddingFunction
from vicinal.types import Documents


class LangChainEmbeddings(Protocol):
    """A LangChain `Embeddings` object, to type checkers: no callable, as LlamaIndex' are."""

    def embed_documents(self, texts: list[str]) -> Any:
        """Vectors of documents."""

    def embed_query(self, text: str) -> Any:
        """The vector of a query."""


class LangChainEmbeddingFunction(EmbeddingFunction[Documents]):
    """Embeds by a LangChain `Embeddings` object: `embed_documents` and, text by text, `embed_query`."""

    def __init__(self, embedding_function: LangChainEmbeddings) -> None:
        self.embeddings = embedding_function

    def __call__(self, input: Documents) -> Any:
        return self.embeddings.embed_documents(list(input))

    def embed_query(self, input: Documents) -> Any:
        return [self.embeddings.embed_query(text) for text in input]

    def supports_images(self) -> bool | None:
        return False

    def __repr__(self) -> str:
        return f"LangChainEmbeddingFunction({type(self.embeddings).__qualname__})"


class LlamaIndexEmbeddingFunction(EmbeddingFunction[Documents]):
    """Embeds by a LlamaIndex `BaseEmbedding`: documents in batches, queries as such."""

    def __init__(self, embedding: Any) -> None:
        self.embeddings = embedding

    def __call__(self, input: Documents) -> Any:
        return self.embeddings.get_text_embedding_batch(list(input))

    def embed_query(self, input: Documents) -> Any:
        return [self.embeddings.get_query_embedding(text) for text in input]

    def supports_images(self) -> bool | None:
        return False

    def __repr__(self) -> str:
        return f"LlamaIndexEmbeddingFunction({type(self.embeddings).__qualname__})"


def adapted(given: Any) -> Any:
    """An embedding function for an object of one of the frameworks; anything else as it is."""
    if isinstance(given, (type, EmbeddingFunction)):
        return given
    if _has(given, "get_text_embedding_batch", "get_query_embedding"):  # callable too, with nodes
        return LlamaIndexEmbeddingFunction(given)
    if _has(given, "embed_documents", "embed_query") and not callable(given):
        return LangChainEmbeddingFunction(given)
    return given


def _has(given: Any, *methods: str) -> bool:
    return all(callable(getattr(given, name, None)) for name in methods)
