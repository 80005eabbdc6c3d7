"""How does LangChain use one of Vicinal's embedding functions?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.embeddings import Embeddings

from vicinal.embedding import DefaultEmbeddingFunction


class VicinalEmbeddings(Embeddings):
    """A LangChain embedding model around an embedding function of Vicinal's.

    Args:
        function: Any callable from a list of texts to as many vectors; its `embed_query`, if it has
            one, embeds queries. Left out: Vicinal's default function, which works offline
            (`pip install "vicinal[wordllama]"`).
    """

    def __init__(self, function: Callable[[list[str]], Any] | None = None) -> None:
        self.function = DefaultEmbeddingFunction() if function is None else function

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector per text."""
        return [_floats(vector) for vector in self.function(texts)] if texts else []

    def embed_query(self, text: str) -> list[float]:
        """The vector of a query."""
        embed = getattr(self.function, "embed_query", self.function)
        return _floats(embed([text])[0])


def _floats(vector: Any) -> list[float]:
    return vector.tolist() if hasattr(vector, "tolist") else [float(x) for x in vector]
