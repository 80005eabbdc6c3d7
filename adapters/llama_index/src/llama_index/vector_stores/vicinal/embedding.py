"""How does LlamaIndex use one of Vicinal's embedding functions?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from vicinal.embedding import DefaultEmbeddingFunction

BATCH_SIZE = 256
"""Texts a call; LlamaIndex's own default of 10 is made for requests over a network."""


class VicinalEmbedding(BaseEmbedding):
    """A LlamaIndex embedding model around an embedding function of Vicinal's.

    Args:
        function: Any callable from a list of texts to as many vectors; its `embed_query`, if it has
            one, embeds queries. Left out: Vicinal's default function, which works offline
            (`pip install "vicinal[wordllama]"`).
        **fields: Those of `BaseEmbedding`, such as `embed_batch_size` and `callback_manager`.
    """

    _function: Callable[[list[str]], Any] = PrivateAttr()

    def __init__(self, function: Callable[[list[str]], Any] | None = None, **fields: Any) -> None:
        used = DefaultEmbeddingFunction() if function is None else function
        super().__init__(**{"model_name": _name(used), "embed_batch_size": BATCH_SIZE, **fields})
        self._function = used

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises the model."""
        return "VicinalEmbedding"

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [_floats(vector) for vector in self._function(texts)]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        embed = getattr(self._function, "embed_query", self._function)
        return _floats(embed([query])[0])

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)


def _name(function: Any) -> str:
    """The function's own name, or that of its class: pipelines cache by it."""
    name = getattr(function, "name", None)
    return str(name()) if callable(name) else type(function).__name__


def _floats(vector: Any) -> list[float]:
    return vector.tolist() if hasattr(vector, "tolist") else [float(x) for x in vector]
