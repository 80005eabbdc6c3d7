"""Chroma's place of what is in `vicinal.utils.embedding_functions`."""

from vicinal.utils.embedding_functions import (
    GoogleGeminiEmbeddingFunction,
    GoogleGenaiEmbeddingFunction,
    GoogleGenerativeAiEmbeddingFunction,
)

__all__ = [
    "GoogleGeminiEmbeddingFunction",
    "GoogleGenaiEmbeddingFunction",
    "GoogleGenerativeAiEmbeddingFunction",
]
