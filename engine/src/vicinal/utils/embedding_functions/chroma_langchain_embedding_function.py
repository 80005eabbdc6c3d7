"""Chroma's place of what is in `vicinal.utils.embedding_functions`."""

from vicinal.utils.embedding_functions import ChromaLangchainEmbeddingFunction, create_langchain_embedding

__all__ = ["ChromaLangchainEmbeddingFunction", "create_langchain_embedding"]
