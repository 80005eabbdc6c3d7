"""Vicinal: the vector store that is already inside your process.

client = vicinal.PersistentClient("./data")
collection = client.get_or_create_collection("notes")
collection.add(ids=["1"], documents=["hnswlib releases the GIL"])
collection.query(query_texts=["threads in Python"], n_results=3, where={"lang": "en"})
"""

from vicinal import errors
from vicinal._request import WriteInfo
from vicinal.client import Client, EphemeralClient, PersistentClient
from vicinal.collection import Collection
from vicinal.embedding import EmbeddingFunction, register_embedding_function
from vicinal.types import (
    DEFAULT_DATABASE,
    DEFAULT_TENANT,
    GetResult,
    Include,
    Metadata,
    QueryResult,
    Where,
    WhereDocument,
)

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_DATABASE",
    "DEFAULT_TENANT",
    "Client",
    "Collection",
    "EmbeddingFunction",
    "EphemeralClient",
    "GetResult",
    "Include",
    "Metadata",
    "PersistentClient",
    "QueryResult",
    "Where",
    "WhereDocument",
    "WriteInfo",
    "__version__",
    "errors",
    "register_embedding_function",
]
