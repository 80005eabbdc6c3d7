"""Who turns text and pictures into vectors, and how does a collection remember it?

`protocol.py` says what an embedding function is, `registry.py` how one is stored by name and
configuration and found again, `images.py` how pictures are read, and each provider is a file of its own
that imports its package only when it is used. Nothing here downloads anything unasked.
"""

from vicinal.embedding.color_shape import ColorShapeEmbeddingFunction
from vicinal.embedding.images import DataLoader, ImageLoader, image_column
from vicinal.embedding.protocol import EmbeddingFunction, supports_images
from vicinal.embedding.registry import (
    config_to_embedding_function,
    known_embedding_functions,
    register_embedding_function,
)
from vicinal.embedding.sparse import SparseEmbeddingFunction, register_sparse_embedding_function
from vicinal.embedding.wordllama import DefaultEmbeddingFunction, WordLlamaEmbeddingFunction

__all__ = [
    "ColorShapeEmbeddingFunction",
    "DataLoader",
    "DefaultEmbeddingFunction",
    "EmbeddingFunction",
    "ImageLoader",
    "SparseEmbeddingFunction",
    "WordLlamaEmbeddingFunction",
    "config_to_embedding_function",
    "image_column",
    "known_embedding_functions",
    "register_embedding_function",
    "register_sparse_embedding_function",
    "supports_images",
]
