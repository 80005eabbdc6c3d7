"""Chroma's places of clients, collections and types, kept for programs that change an import.

All of it lives elsewhere; these modules only have Chroma's names. `vicinal.api`, `vicinal.execution` and
`vicinal.utils` are imported when a program looks at them.
"""

from vicinal._admin import AdminClient as AdminAPI
from vicinal._async import AsyncClient as AsyncClientAPI
from vicinal.api import client, collection_configuration, models, types
from vicinal.api.collection_configuration import CreateCollectionConfiguration, UpdateCollectionConfiguration
from vicinal.api.types import DataLoader, Documents, EmbeddingFunction, Embeddings
from vicinal.client import Client as ClientAPI
from vicinal.collection import Collection

__all__ = [
    "AdminAPI",
    "AsyncClientAPI",
    "ClientAPI",
    "Collection",
    "CreateCollectionConfiguration",
    "DataLoader",
    "Documents",
    "EmbeddingFunction",
    "Embeddings",
    "UpdateCollectionConfiguration",
    "client",
    "collection_configuration",
    "models",
    "types",
]
