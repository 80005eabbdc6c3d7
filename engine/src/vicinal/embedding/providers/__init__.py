"""Which models, on this machine and elsewhere, can embed a collection's text?

One small file each; each imports the provider's package when a function is made, and says which extra
brings it when it is absent. Importing this package makes all of them known by name.
"""

from typing import Any

from vicinal.embedding.providers.bm25 import ChromaBm25EmbeddingFunction
from vicinal.embedding.providers.cohere import CohereEmbeddingFunction
from vicinal.embedding.providers.google import (
    GoogleGeminiEmbeddingFunction,
    GoogleGenerativeAiEmbeddingFunction,
)
from vicinal.embedding.providers.huggingface import HuggingFaceEmbeddingFunction, HuggingFaceEmbeddingServer
from vicinal.embedding.providers.jina import JinaEmbeddingFunction, JinaQueryConfig
from vicinal.embedding.providers.mistral import MistralEmbeddingFunction
from vicinal.embedding.providers.model2vec import Model2VecEmbeddingFunction
from vicinal.embedding.providers.ollama import OllamaEmbeddingFunction
from vicinal.embedding.providers.onnx import ONNXMiniLM_L6_V2
from vicinal.embedding.providers.open_clip import OpenCLIPEmbeddingFunction
from vicinal.embedding.providers.openai import OpenAIEmbeddingFunction
from vicinal.embedding.providers.sentence_transformers import (
    HuggingFaceSparseEmbeddingFunction,
    SentenceTransformerEmbeddingFunction,
)
from vicinal.embedding.providers.voyageai import VoyageAIEmbeddingFunction
from vicinal.embedding.registry import known_embedding_functions
from vicinal.embedding.sparse import sparse_known_embedding_functions

__all__ = [
    "ChromaBm25EmbeddingFunction",
    "CohereEmbeddingFunction",
    "GoogleGeminiEmbeddingFunction",
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
    "VoyageAIEmbeddingFunction",
]

_DENSE: list[Any] = [
    CohereEmbeddingFunction,
    GoogleGeminiEmbeddingFunction,
    GoogleGenerativeAiEmbeddingFunction,
    HuggingFaceEmbeddingFunction,
    HuggingFaceEmbeddingServer,
    JinaEmbeddingFunction,
    MistralEmbeddingFunction,
    Model2VecEmbeddingFunction,
    ONNXMiniLM_L6_V2,
    OllamaEmbeddingFunction,
    OpenAIEmbeddingFunction,
    OpenCLIPEmbeddingFunction,
    SentenceTransformerEmbeddingFunction,
    VoyageAIEmbeddingFunction,
]
for _class in _DENSE:
    known_embedding_functions.setdefault(_class.name(), _class)  # a name that a program took stays its own
known_embedding_functions.setdefault("google_genai", GoogleGeminiEmbeddingFunction)  # Chroma's older name
for _sparse in (ChromaBm25EmbeddingFunction, HuggingFaceSparseEmbeddingFunction):
    sparse_known_embedding_functions.setdefault(_sparse.name(), _sparse)
