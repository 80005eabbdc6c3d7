"""Vicinal: the vector store that is already inside your process.

client = vicinal.PersistentClient("./data")
collection = client.get_or_create_collection("notes")
collection.add(ids=["1"], documents=["hnswlib releases the GIL"])
collection.query(query_texts=["threads in Python"], n_results=3, where={"lang": "en"})
"""

from vicinal import errors
from vicinal._admin import AdminClient
from vicinal._async import AsyncClient, AsyncCollection, AsyncEphemeralClient, AsyncPersistentClient
from vicinal._remote import AsyncHttpClient, CloudClient, HttpClient
from vicinal._request import WriteInfo
from vicinal._rerank import register_reranker
from vicinal._schema import (
    BoolInvertedIndexConfig,
    FloatInvertedIndexConfig,
    FtsIndexConfig,
    HnswIndexConfig,
    IntInvertedIndexConfig,
    Schema,
    SpannIndexConfig,
    SparseVectorIndexConfig,
    StringInvertedIndexConfig,
    VectorIndexConfig,
)
from vicinal._text.analysis import register_analysis
from vicinal.client import Client, EphemeralClient, PersistentClient
from vicinal.collection import Collection
from vicinal.config import Analysis, Settings
from vicinal.embedding import EmbeddingFunction, register_embedding_function
from vicinal.search import GroupBy, K, Key, Knn, Limit, MaxK, MinK, Rrf, Search, Select, Val
from vicinal.types import (
    DEFAULT_DATABASE,
    DEFAULT_TENANT,
    Facet,
    GetResult,
    Include,
    IndexingStatus,
    Metadata,
    QueryResult,
    ReadLevel,
    SearchResult,
    Snippet,
    SparseVector,
    Stats,
    Where,
    WhereDocument,
)

__version__ = "0.1.0"

# Chroma's names for the same things.
ClientAPI = Client
AsyncClientAPI = AsyncClient
AdminAPI = AdminClient

__all__ = [
    "DEFAULT_DATABASE",
    "DEFAULT_TENANT",
    "AdminAPI",
    "AdminClient",
    "Analysis",
    "AsyncClient",
    "AsyncClientAPI",
    "AsyncCollection",
    "AsyncEphemeralClient",
    "AsyncHttpClient",
    "AsyncPersistentClient",
    "BoolInvertedIndexConfig",
    "Client",
    "ClientAPI",
    "CloudClient",
    "Collection",
    "EmbeddingFunction",
    "EphemeralClient",
    "Facet",
    "FloatInvertedIndexConfig",
    "FtsIndexConfig",
    "GetResult",
    "GroupBy",
    "HnswIndexConfig",
    "HttpClient",
    "Include",
    "IndexingStatus",
    "IntInvertedIndexConfig",
    "K",
    "Key",
    "Knn",
    "Limit",
    "MaxK",
    "Metadata",
    "MinK",
    "PersistentClient",
    "QueryResult",
    "ReadLevel",
    "Rrf",
    "Schema",
    "Search",
    "SearchResult",
    "Select",
    "Settings",
    "Snippet",
    "SpannIndexConfig",
    "SparseVector",
    "SparseVectorIndexConfig",
    "Stats",
    "StringInvertedIndexConfig",
    "Val",
    "VectorIndexConfig",
    "Where",
    "WhereDocument",
    "WriteInfo",
    "__version__",
    "errors",
    "register_analysis",
    "register_embedding_function",
    "register_reranker",
]
