"""Chroma's place of what is in `vicinal.utils.embedding_functions`."""

from vicinal.utils.embedding_functions import ChromaBm25EmbeddingFunction

__all__ = ["ChromaBm25EmbeddingFunction"]
