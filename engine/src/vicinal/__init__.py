"""Vicinal: the vector store that is already inside your process.

client = vicinal.PersistentClient("./data")
collection = client.get_or_create_collection("notes")
collection.add(ids=["1"], documents=["hnswlib releases the GIL"], metadatas=[{"lang": "en"}])
collection.query(query_texts=["threads in Python"], n_results=3, where={"lang": "en"})

Texts are embedded by the default function, which needs `vicinal[wordllama]` and no network, unless you pass
`embeddings` and `query_embeddings`, or a collection is created with an `embedding_function` of yours.
"""

from importlib import import_module
from typing import TYPE_CHECKING

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
from vicinal._version import __version__
from vicinal.client import Client, EphemeralClient, PersistentClient
from vicinal.collection import Collection
from vicinal.config import Analysis, Settings
from vicinal.embedding import EmbeddingFunction, SparseEmbeddingFunction, register_embedding_function
from vicinal.search import GroupBy, K, Key, Knn, Limit, MaxK, MinK, Rrf, Search, Select, Val
from vicinal.types import (
    DEFAULT_DATABASE,
    DEFAULT_TENANT,
    URI,
    CollectionMetadata,
    Documents,
    Embeddings,
    Facet,
    GetResult,
    IDs,
    Include,
    IndexingStatus,
    Metadata,
    Metadatas,
    QueryResult,
    ReadLevel,
    SearchResult,
    Snippet,
    SparseVector,
    SparseVectors,
    Stats,
    UpdateCollectionMetadata,
    UpdateMetadata,
    URIs,
    Where,
    WhereDocument,
)

# Chroma's names for the same things.
ClientAPI = Client
AsyncClientAPI = AsyncClient
AdminAPI = AdminClient

# Chroma's packages, imported when a program looks at one; to type checkers they are there, as are the
# modules that are always imported.
if TYPE_CHECKING:
    from vicinal import api as api
    from vicinal import config as config
    from vicinal import embedding as embedding
    from vicinal import execution as execution
    from vicinal import search as search
    from vicinal import types as types
    from vicinal import utils as utils
else:

    def __getattr__(name):
        if name in ("api", "execution", "utils"):
            return import_module(f"vicinal.{name}")
        raise AttributeError(f"module 'vicinal' has no attribute {name!r}")


__all__ = [
    "DEFAULT_DATABASE",
    "DEFAULT_TENANT",
    "URI",
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
    "CollectionMetadata",
    "Documents",
    "EmbeddingFunction",
    "Embeddings",
    "EphemeralClient",
    "Facet",
    "FloatInvertedIndexConfig",
    "FtsIndexConfig",
    "GetResult",
    "GroupBy",
    "HnswIndexConfig",
    "HttpClient",
    "IDs",
    "Include",
    "IndexingStatus",
    "IntInvertedIndexConfig",
    "K",
    "Key",
    "Knn",
    "Limit",
    "MaxK",
    "Metadata",
    "Metadatas",
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
    "SparseEmbeddingFunction",
    "SparseVector",
    "SparseVectorIndexConfig",
    "SparseVectors",
    "Stats",
    "StringInvertedIndexConfig",
    "URIs",
    "UpdateCollectionMetadata",
    "UpdateMetadata",
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
