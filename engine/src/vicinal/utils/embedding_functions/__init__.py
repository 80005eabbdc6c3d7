"""Chroma's address of the embedding functions, which live in `vicinal.embedding` and its `providers`."""

from typing import Any

from vicinal.embedding import DefaultEmbeddingFunction, EmbeddingFunction, WordLlamaEmbeddingFunction
from vicinal.embedding.color_shape import ColorShapeEmbeddingFunction
from vicinal.embedding.frameworks import LangChainEmbeddingFunction
from vicinal.embedding.providers import (
    CohereEmbeddingFunction,
    GoogleGeminiEmbeddingFunction,
    GoogleGenerativeAiEmbeddingFunction,
    HuggingFaceEmbeddingFunction,
    HuggingFaceEmbeddingServer,
    HuggingFaceSparseEmbeddingFunction,
    JinaEmbeddingFunction,
    JinaQueryConfig,
    MistralEmbeddingFunction,
    Model2VecEmbeddingFunction,
    OllamaEmbeddingFunction,
    ONNXMiniLM_L6_V2,
    OpenAIEmbeddingFunction,
    OpenCLIPEmbeddingFunction,
    SentenceTransformerEmbeddingFunction,
    VoyageAIEmbeddingFunction,
)
from vicinal.embedding.providers.bm25 import ChromaBm25EmbeddingFunction
from vicinal.embedding.registry import (
    config_to_embedding_function,
    known_embedding_functions,
    register_embedding_function,
)
from vicinal.embedding.sparse import (
    SparseEmbeddingFunction,
    register_sparse_embedding_function,
    sparse_known_embedding_functions,
)

GoogleGenaiEmbeddingFunction = GoogleGeminiEmbeddingFunction
ChromaLangchainEmbeddingFunction = LangChainEmbeddingFunction


def create_langchain_embedding(langchain_embedding_fn: Any) -> LangChainEmbeddingFunction:
    """Chroma's way to use LangChain embeddings; they may also be passed as they are."""
    return LangChainEmbeddingFunction(langchain_embedding_fn)


def get_builtins() -> set[str]:
    """The names of the classes in this module that embed text."""
    return {name for name in __all__ if name.endswith(("EmbeddingFunction", "Server", "_L6_V2"))}


__all__ = [
    "ChromaBm25EmbeddingFunction",
    "ChromaLangchainEmbeddingFunction",
    "CohereEmbeddingFunction",
    "ColorShapeEmbeddingFunction",
    "DefaultEmbeddingFunction",
    "EmbeddingFunction",
    "GoogleGeminiEmbeddingFunction",
    "GoogleGenaiEmbeddingFunction",
    "GoogleGenerativeAiEmbeddingFunction",
    "HuggingFaceEmbeddingFunction",
    "HuggingFaceEmbeddingServer",
    "HuggingFaceSparseEmbeddingFunction",
    "JinaEmbeddingFunction",
    "JinaQueryConfig",
    "MistralEmbeddingFunction",
    "Model2VecEmbeddingFunction",
    "ONNXMiniLM_L6_V2",
    "OllamaEmbeddingFunction",
    "OpenAIEmbeddingFunction",
    "OpenCLIPEmbeddingFunction",
    "SentenceTransformerEmbeddingFunction",
    "SparseEmbeddingFunction",
    "VoyageAIEmbeddingFunction",
    "WordLlamaEmbeddingFunction",
    "config_to_embedding_function",
    "create_langchain_embedding",
    "get_builtins",
    "known_embedding_functions",
    "register_embedding_function",
    "register_sparse_embedding_function",
    "sparse_known_embedding_functions",
]
