"""What is a collection, apart from its records?

Its name, its configuration and its functions. The records are `Collection`'s.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any
from uuid import UUID

from vicinal import _request as r
from vicinal._backend import Backend
from vicinal._inputs import Inputs, Loader
from vicinal._schema import Schema, schema_of
from vicinal.embedding import registry
from vicinal.embedding.protocol import Embedder
from vicinal.errors import EmbeddingFunctionError


class Described:
    """The part of `Collection` that asks for no record."""

    def __init__(
        self,
        backend: Backend,
        info: r.CollectionInfo,
        embedding_function: Embedder | None,
        data_loader: Loader | None = None,
    ):
        self._backend = backend
        self._info = info
        self._function = embedding_function
        stored = info.configuration.embedding_function is not None
        self._inputs = Inputs(info.name, lambda: self.embedding_function, stored, data_loader)

    @property
    def id(self) -> UUID:
        """The collection's identity; survives renaming."""
        return self._info.id

    @property
    def name(self) -> str:
        """The name, unique in its database."""
        return self._info.name

    @property
    def metadata(self) -> dict[str, Any] | None:
        """A copy of the collection's own metadata."""
        return copy.deepcopy(self._info.metadata)

    @property
    def tenant(self) -> str:
        """The tenant whose database holds the collection."""
        return self._info.namespace.tenant

    @property
    def database(self) -> str:
        """The database that holds the collection."""
        return self._info.namespace.database

    @property
    def configuration_json(self) -> dict[str, Any]:
        """The stored configuration: `hnsw` parameters and the embedding function's name and config."""
        return self._info.configuration.to_json()

    @property
    def configuration(self) -> dict[str, Any]:
        """Like `configuration_json`, with the live embedding function in place of its description."""
        return {**self.configuration_json, "embedding_function": self.embedding_function}

    @property
    def schema(self) -> Schema:
        """Which indexes the collection's keys have; a copy, without functions that cannot be made here."""
        configuration, function = self._info.configuration, None
        with suppress(EmbeddingFunctionError, ImportError):
            function = self.embedding_function
        return schema_of(configuration.index_schema, configuration.hnsw.model_dump(), function)

    @property
    def embedding_function(self) -> Embedder | None:
        """The function that embeds this collection's text; None when there is none.

        Raises `EmbeddingFunctionError` when the collection names a function that is not registered.
        """
        if self._function is None:
            self._function = registry.build(self._info.configuration.embedding_function)
        return self._function

    def __repr__(self) -> str:
        return f"Collection(name={self.name})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Described) and (self.id, self._backend) == (other.id, other._backend)

    def __hash__(self) -> int:
        return hash(self.id)
