"""How does a program open its collections?

`EphemeralClient` keeps everything in memory, `PersistentClient` in a directory; both speak the same
API over the same engine. A client injects its backend into the collections that it hands out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from vicinal import _request as r
from vicinal import _validate as check
from vicinal._backend import Backend
from vicinal._local import LocalBackend
from vicinal.collection import Collection
from vicinal.config import parse_configuration
from vicinal.embedding import DefaultEmbeddingFunction, registry
from vicinal.embedding.protocol import Embedder
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, NotFoundError, StorageError
from vicinal.types import DEFAULT_DATABASE, DEFAULT_TENANT, Space

_Client = TypeVar("_Client", bound="Client")


class _Default:
    """Stands for "the caller named no embedding function", which is not the same as None."""

    def __repr__(self) -> str:
        return "DefaultEmbeddingFunction()"


_DEFAULT = _Default()


class Client:
    """The operations on collections that every kind of client has; `Client()` alone is in memory.

    A client is a context manager; leaving it closes it. It may be shared between threads.
    """

    def __init__(self, backend: Backend | None = None) -> None:
        self._backend = backend or LocalBackend(None)
        self._namespace = r.Namespace(DEFAULT_TENANT, DEFAULT_DATABASE)

    def create_collection(
        self,
        name: str,
        *,
        configuration: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        embedding_function: Embedder | _Default | None = _DEFAULT,
        get_or_create: bool = False,
    ) -> Collection:
        """Create a collection.

        Args:
            name: 3 to 512 characters of [a-zA-Z0-9._-], unique in the database.
            configuration: `{"hnsw": {"space": "l2" | "cosine" | "ip", "ef_search": 100, …}}`.
            metadata: Any JSON object. The older `hnsw:space` … keys are understood when there is no
                configuration.
            embedding_function: Embeds text that comes without embeddings, and is remembered by name
                and configuration. Left out: the default function (offline, needs
                `vicinal[wordllama]` on first use). None: no function.
            get_or_create: Return the existing collection of that name, if any, as it is.

        Raises:
            UniqueConstraintError: The name is taken.
            InvalidArgumentError: A bad name or configuration.
        """
        if configuration is not None and not isinstance(configuration, Mapping):
            raise ArgumentTypeError(argument="configuration", expected="a dict", got=configuration)
        function = self._resolve(embedding_function, configuration)
        stored = registry.describe(function)
        default_space: Callable[[], Space] = getattr(function, "default_space", lambda: "l2")
        request = r.Create(
            self._namespace,
            check.collection_name(name),
            check.collection_metadata(metadata),
            parse_configuration(configuration, metadata, default_space(), stored),
            get_or_create,
        )
        given = _DEFAULT if isinstance(function, DefaultEmbeddingFunction) else function
        return self._open(self._backend.create(request), given)

    def get_or_create_collection(
        self,
        name: str,
        *,
        configuration: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        embedding_function: Embedder | _Default | None = _DEFAULT,
    ) -> Collection:
        """The collection of that name, created if need be; an existing one keeps its settings."""
        return self.create_collection(
            name,
            configuration=configuration,
            metadata=metadata,
            embedding_function=embedding_function,
            get_or_create=True,
        )

    def get_collection(
        self, name: str, *, embedding_function: Embedder | _Default | None = _DEFAULT
    ) -> Collection:
        """Open an existing collection; its embedding function is found by the name it stored.

        Raises:
            NotFoundError: There is no collection of that name.
            EmbeddingFunctionError: The given function is not the one the collection was filled with.
        """
        if not isinstance(name, str):
            raise ArgumentTypeError(argument="name", expected="a str", got=name)
        found = self._backend.list(r.List(self._namespace, name=check.unicode(name, "name")))
        if not found:
            raise NotFoundError(
                kind="Collection",
                key=name,
                hint="create_collection() or get_or_create_collection() makes it",
            )
        return self._open(found[0], embedding_function)

    def get_collection_by_id(
        self, id: UUID, *, embedding_function: Embedder | _Default | None = _DEFAULT
    ) -> Collection:
        """Open an existing collection by its id."""
        if not isinstance(id, UUID):
            raise ArgumentTypeError(argument="id", expected="a uuid.UUID", got=id)
        found = self._backend.list(r.List(self._namespace, id=id))
        if not found:
            raise NotFoundError(kind="Collection", key=str(id))
        return self._open(found[0], embedding_function)

    def list_collections(self, limit: int | None = None, offset: int | None = None) -> Sequence[Collection]:
        """The collections in order of name."""
        request = r.List(
            self._namespace,
            limit=None if limit is None else check.count(limit, "limit", 0),
            offset=0 if offset is None else check.count(offset, "offset", 0),
        )
        return [self._open(info, _DEFAULT) for info in self._backend.list(request)]

    def count_collections(self) -> int:
        """How many collections there are."""
        return len(self._backend.list(r.List(self._namespace)))

    def delete_collection(self, name: str) -> None:
        """Delete a collection and free its disk at once. Raises `NotFoundError` when there is none."""
        self._backend.drop(r.Drop(self.get_collection(name).id))

    def check(self) -> list[str]:
        """Read everything and compare it with its checksums: one sentence for each contradiction.

        An empty list means that every record's texts and vector are what was written, and that rows,
        vectors, the change log and the catalog agree. Changes nothing. Costs one pass over the data.
        """
        return self._backend.maintain(r.Maintain("check"))

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Copy the database to a directory, while others write to it; open the copy to restore it.

        Each collection is copied as of one commit. A target that is an earlier backup is brought up to
        date: of the vectors, only those that it lacks are written. Any other directory that is not empty
        is refused with a `StorageError`, and so is a database in memory.
        """
        self._backend.maintain(r.Maintain("backup", target=_path(target, "target")))

    def repair(self) -> list[str]:
        """Save what is whole of damaged collections; returns what was done and what was lost.

        The damaged files are kept, in `damaged/` inside the directory. Nobody else may have the
        database open meanwhile. `check()` says beforehand what is damaged.
        """
        return self._backend.maintain(r.Maintain("repair"))

    def close(self) -> None:
        """Release files and threads; safe to call twice. Everything acknowledged is on disk already."""
        self._backend.close()

    def __enter__(self: _Client) -> _Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, info: r.CollectionInfo, given: Embedder | _Default | None) -> Collection:
        function = None if isinstance(given, _Default) else given
        registry.check_agreement(info.configuration.embedding_function, registry.describe(function))
        return Collection(self._backend, info, function)

    @staticmethod
    def _resolve(given: Embedder | _Default | None, configuration: dict[str, Any] | None) -> Embedder | None:
        """The function of a new collection: the argument's, the configuration's, or the default."""
        configured = (configuration or {}).get("embedding_function")
        if isinstance(given, _Default):
            given = None if configured is not None else DefaultEmbeddingFunction()
        if configured is not None and given is not None and configured is not given:
            raise InvalidArgumentError(
                "Multiple embedding functions provided. Please provide only one, as embedding_function= "
                "or in the configuration"
            )
        function = given or configured
        if function is not None and (isinstance(function, type) or not callable(function)):
            raise ArgumentTypeError(
                argument="embedding_function", expected="a callable from texts to vectors", got=function
            )
        return function


class EphemeralClient(Client):
    """Collections in memory, gone with the client. Two ephemeral clients share nothing.

    Example:
        >>> import vicinal
        >>> client = vicinal.EphemeralClient()
        >>> notes = client.create_collection("notes", embedding_function=None)
        >>> _ = notes.add(ids=["a", "b"], embeddings=[[0.0, 1.0], [1.0, 0.0]])
        >>> notes.query(query_embeddings=[0.9, 0.1], n_results=1)["ids"]
        [['b']]
    """

    def __init__(self) -> None:
        super().__init__(LocalBackend(None))


class PersistentClient(Client):
    """Collections in a directory, made if it does not exist. Several processes may share it.

    Args:
        path: The directory; `./vicinal` unless given.
        must_exist: Raise instead of making a new database.

    Raises:
        StorageError: The path is a file, or cannot be written.
        CorruptionError: Files that belong to the database are there, but not all.
        FormatVersionError: The directory was written by a newer Vicinal.
    """

    def __init__(self, path: str | os.PathLike[str] = "./vicinal", *, must_exist: bool = False) -> None:
        self.path = _path(path, "path")
        if must_exist and not (self.path / "catalog.sqlite3").exists():
            raise StorageError(path=str(self.path), problem="holds no Vicinal database")
        super().__init__(LocalBackend(self.path))

    def __repr__(self) -> str:
        return f"PersistentClient(path={str(self.path)!r})"


def _path(value: str | os.PathLike[str], argument: str) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        raise ArgumentTypeError(argument=argument, expected="a str or Path", got=value)
    if "\0" in str(value):
        raise InvalidArgumentError(f"{argument}: a NUL character cannot be part of a path, got {value!r}")
    return Path(value).expanduser()
