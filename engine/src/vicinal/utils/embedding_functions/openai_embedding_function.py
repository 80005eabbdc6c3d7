"""Chroma's place of what is in `vicinal.utils.embedding_functions`."""

from vicinal.utils.embedding_functions import OpenAIEmbeddingFunction

__all__ = ["OpenAIEmbeddingFunction"]
