"""Who turns text into vectors, and how does a collection remember it?

`protocol.py` says what an embedding function is, `registry.py` how one is stored by name and
configuration and found again, and each provider is a file of its own that imports its package only
when it is used. Nothing here downloads anything unasked.
"""

from vicinal.embedding.protocol import EmbeddingFunction
from vicinal.embedding.registry import known_embedding_functions, register_embedding_function
from vicinal.embedding.wordllama import DefaultEmbeddingFunction, WordLlamaEmbeddingFunction

__all__ = [
    "DefaultEmbeddingFunction",
    "EmbeddingFunction",
    "WordLlamaEmbeddingFunction",
    "known_embedding_functions",
    "register_embedding_function",
]
