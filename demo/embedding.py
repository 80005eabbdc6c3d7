"""How does LlamaIndex embed with the engine's own function?

A thin wrapper, so that what is asked through LlamaIndex is embedded exactly as the collection's
records were. LangChain's like is `langchain_vicinal.VicinalEmbeddings`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

EmbeddingFunction = Callable[[Sequence[str]], Any]


def as_vectors(function: EmbeddingFunction, texts: Sequence[str]) -> np.ndarray:
    """float32 of shape (len(texts), dimension)."""
    return np.asarray(function(list(texts)), dtype=np.float32)


class LlamaIndexEmbedding(BaseEmbedding):
    """The engine's embedding function as LlamaIndex's `BaseEmbedding`."""

    _function: EmbeddingFunction = PrivateAttr()

    def __init__(self, function: EmbeddingFunction, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._function = function

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = as_vectors(self._function, texts).tolist()
        return vectors

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)
