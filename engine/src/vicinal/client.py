"""How does a program open its collections?

`EphemeralClient` keeps everything in memory, `PersistentClient` in a directory; both speak the same
API over the same engine. A client stands in one database of one tenant, and injects its backend into the
collections that it hands out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from vicinal import _request as r
from vicinal import _validate as check
from vicinal._admin import Tenancy, foreign, opened_at, place_of, text_of
from vicinal._backend import Backend
from vicinal._inputs import Loader
from vicinal._schema import Schema, sparse_functions
from vicinal._settings import Settings, directory_of, settings_of
from vicinal._version import __version__
from vicinal.collection import Collection
from vicinal.config import beside_schema, check_schema_against, parse_configuration
from vicinal.embedding import DefaultEmbeddingFunction, registry
from vicinal.embedding.frameworks import LangChainEmbeddings
from vicinal.embedding.protocol import Embedder
from vicinal.errors import (
    ArgumentTypeError,
    AuthorizationError,
    InvalidArgumentError,
    NotFoundError,
)
from vicinal.types import DEFAULT_DATABASE, DEFAULT_TENANT

BATCH_ROWS = 50_000
"""What `get_max_batch_size` tells callers that split their batches; larger ones are accepted."""

_Client = TypeVar("_Client", bound="Client")


@dataclass(frozen=True)
class UserIdentity:
    """Who the client is: without a server, anybody who has the directory."""

    user_id: str
    tenant: str
    databases: list[str]


class _Default:
    """Stands for "the caller named no embedding function", which is not the same as None."""

    def __repr__(self) -> str:
        return "DefaultEmbeddingFunction()"


_DEFAULT = _Default()


class Client(Tenancy):
    """The operations that every kind of client has. `Client()` itself keeps its collections in memory.

    A client is a context manager; leaving it closes it. It may be shared between threads.

    Args:
        settings: With `is_persistent=True`, the collections are kept in `persist_directory`.
        tenant, database: Where the names of collections are looked for; both must exist.

    Raises:
        NotFoundError: There is no such tenant or database; of the defaults, the first use says so.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        tenant: str = DEFAULT_TENANT,
        database: str = DEFAULT_DATABASE,
    ) -> None:
        given = settings_of(settings)
        self._begin(opened_at(place_of(given)), given, tenant, database)

    @classmethod
    def _over(cls: type[_Client], backend: Backend, **attributes: Any) -> _Client:
        """A client of this class over a backend that was made elsewhere."""
        client = cls.__new__(cls)
        client.__dict__.update(attributes)
        client._begin(backend, Settings(), DEFAULT_TENANT, DEFAULT_DATABASE)
        return client

    def _begin(self, backend: Backend, settings: Settings, tenant: str, database: str) -> None:
        self._backend, self._settings = backend, settings
        self._namespace = r.Namespace(DEFAULT_TENANT, DEFAULT_DATABASE)
        if (tenant, database) == (DEFAULT_TENANT, DEFAULT_DATABASE):
            return  # not looked for: `check` and `repair` need a client even when the catalog is damaged
        try:
            self.set_tenant(tenant, database)
        except BaseException:
            backend.close()
            raise

    # --- tenant and database -------------------------------------------------------------------

    @property
    def tenant(self) -> str:
        """The tenant that the client stands in."""
        return self._namespace.tenant

    @property
    def database(self) -> str:
        """The database that the client stands in."""
        return self._namespace.database

    @property
    def _home(self) -> str:
        return self.tenant

    def set_tenant(self, tenant: str, database: str = DEFAULT_DATABASE) -> None:
        """Go to a database of another tenant. If one of them does not exist, `NotFoundError`."""
        tenant, database = text_of(tenant, "tenant"), text_of(database, "database")
        self.get_tenant(tenant)
        self.get_database(database, tenant)
        self._namespace = r.Namespace(tenant, database)

    def set_database(self, database: str) -> None:
        """Go to another database of the same tenant. If it does not exist, `NotFoundError`."""
        self.set_tenant(self.tenant, database)

    # --- collections ---------------------------------------------------------------------------

    def create_collection(
        self,
        name: str,
        schema: Schema | None = None,
        configuration: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        embedding_function: Embedder | LangChainEmbeddings | _Default | None = _DEFAULT,
        data_loader: Loader | None = None,
        get_or_create: bool = False,
    ) -> Collection:
        """Create a collection.

        Args:
            name: Unique in the database: 3 to 512 characters of [a-zA-Z0-9._-], the first and the last a
                letter or digit, without ".." and no IP address; or two such names, joined by "+".
            schema: Which kinds of values may be filtered on, and how vectors are indexed; what it leaves
                open, the configuration may say.
            configuration: `{"hnsw": {"space": "l2" | "cosine" | "ip", "ef_search": 100, …}}`, and
                `{"expiry": {"key": "expires_at", "ttl_s": None}}` for records that expire, and
                `{"text": True}`, or a dict, for how documents become words (docs/text-search.md). What
                is neither, nor `embedding_function`, is refused.
            metadata: Any JSON object. The older `hnsw:space` … keys count for what the configuration does
                not name; those that contradict a schema are refused.
            embedding_function: Embeds what comes without embeddings, and is remembered by name
                and configuration. Left out: the default function (offline, needs
                `vicinal[wordllama]` on first use). None: no function.
            data_loader: Turns URIs into images, for functions that embed these. It is not remembered.
            get_or_create: Return the existing collection of that name, if any, as it is.

        Raises:
            UniqueConstraintError: The name is taken.
            InvalidArgumentError: A bad name or configuration, or one that contradicts the schema.
        """
        if configuration is not None and not isinstance(configuration, Mapping):
            raise ArgumentTypeError(argument="configuration", expected="a dict", got=configuration)
        _check_callable(data_loader, "data_loader", "URIs to arrays")
        checked = check.collection_metadata(metadata)
        indexes = None
        if schema is not None:
            configuration, indexes = _of_schema(schema, configuration, checked)
        function = self._resolve(embedding_function, configuration)
        stored = registry.describe(function)
        parsed = parse_configuration(configuration, checked, registry.default_space(function), stored)
        registry.warn_of_space(function, parsed.hnsw.space)
        request = r.Create(
            self._namespace,
            check.collection_name(name),
            checked,
            parsed.model_copy(update={"index_schema": indexes}),
            bool(get_or_create),
        )
        given = _DEFAULT if isinstance(function, DefaultEmbeddingFunction) else function
        return self._open(self._backend.create(request), given, data_loader, schema)

    def get_or_create_collection(
        self,
        name: str,
        schema: Schema | None = None,
        configuration: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        embedding_function: Embedder | LangChainEmbeddings | _Default | None = _DEFAULT,
        data_loader: Loader | None = None,
    ) -> Collection:
        """The collection of that name, created if need be; an existing one keeps its settings."""
        return self.create_collection(
            name, schema, configuration, metadata, embedding_function, data_loader, get_or_create=True
        )

    def get_collection(
        self,
        name: str,
        embedding_function: Embedder | LangChainEmbeddings | _Default | None = _DEFAULT,
        data_loader: Loader | None = None,
    ) -> Collection:
        """Open an existing collection; its embedding function is found by the name it stored.

        Raises:
            NotFoundError: There is no collection of that name.
            EmbeddingFunctionError: The given function is not the one the collection was filled with.
        """
        return self._open(self._find(name), embedding_function, data_loader)

    def get_collection_by_id(
        self,
        id: UUID | str,
        embedding_function: Embedder | LangChainEmbeddings | _Default | None = _DEFAULT,
        data_loader: Loader | None = None,
    ) -> Collection:
        """Open an existing collection of the client's database by its id, which may also be given as text."""
        try:
            key = id if isinstance(id, UUID) else UUID(id)
        except (AttributeError, TypeError, ValueError):
            raise ArgumentTypeError(argument="id", expected="a uuid.UUID, or its text", got=id) from None
        found = self._backend.list(r.List(self._namespace, id=key))
        if not found:
            raise NotFoundError(kind="Collection", key=str(key))
        return self._open(found[0], embedding_function, data_loader)

    def list_collections(self, limit: int | None = None, offset: int | None = None) -> Sequence[Collection]:
        """The collections of the client's database, in order of name."""
        request = r.List(self._namespace, **check.bounds(limit, offset))
        return [self._open(info, _DEFAULT) for info in self._backend.list(request)]

    def count_collections(self) -> int:
        """How many collections the client's database has."""
        return len(self._backend.list(r.List(self._namespace)))

    def delete_collection(self, name: str) -> None:
        """Delete a collection and free its disk at once. Raises `NotFoundError` when there is none.

        What `check` says cannot be read of it need not be.
        """
        name = text_of(name, "name")
        try:
            self._backend.drop(r.Drop(self._namespace, name))
        except NotFoundError as error:
            raise (self._missing(name) if error.kind == "Collection" else error) from None

    # --- the whole store -----------------------------------------------------------------------

    def reset(self) -> bool:
        """Delete everything: all tenants, databases and collections. Returns True.

        Raises `AuthorizationError` unless the client was given `Settings(allow_reset=True)`.
        """
        if not self._settings.allow_reset:
            raise AuthorizationError(
                "Reset is disabled by config. Open the client with Settings(allow_reset=True)"
            )
        self._backend.maintain(r.Maintain("reset"))
        return True

    def heartbeat(self) -> int:
        """The time in nanoseconds since 1970, once the catalog has answered."""
        self._backend.list(r.List(self._namespace, limit=1))
        return time.time_ns()

    def get_version(self) -> str:
        """Vicinal's version."""
        return __version__

    def get_settings(self) -> Settings:
        """A copy of the settings that the client works by."""
        return self._settings.model_copy()

    def get_max_batch_size(self) -> int:
        """A sensible size for callers that split their batches. There is no limit: larger ones work."""
        return BATCH_ROWS

    def get_user_identity(self) -> UserIdentity:
        """The client's tenant and database; there are no users without a server."""
        return UserIdentity("", self.tenant, [self.database])

    @staticmethod
    def clear_system_cache() -> None:
        """Nothing, for Chroma's sake: clients share nothing in memory that could be cleared."""

    def __enter__(self: _Client) -> _Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _find(self, name: str) -> r.CollectionInfo:
        name = text_of(name, "name")
        found = self._backend.list(r.List(self._namespace, name=name))
        if not found:
            raise self._missing(name)
        return found[0]

    def _missing(self, name: str) -> NotFoundError:
        usual = "create_collection() or get_or_create_collection() makes it"
        return NotFoundError(kind="Collection", key=name, hint=foreign(place_of(self._settings)) or usual)

    def _open(
        self,
        info: r.CollectionInfo,
        given: Embedder | LangChainEmbeddings | _Default | None,
        loader: Loader | None = None,
        schema: Schema | None = None,
    ) -> Collection:
        function = None if isinstance(given, _Default) else _embedder(given)
        _check_callable(loader, "data_loader", "URIs to arrays")
        described = registry.describe(function, to_compare=True)
        registry.check_agreement(info.configuration.embedding_function, described)
        opened = Collection(self._backend, info, function, loader)
        opened._inputs.sparse.update(sparse_functions(schema, info.configuration.index_schema))
        return opened

    @staticmethod
    def _resolve(
        given: Embedder | LangChainEmbeddings | _Default | None, configuration: Mapping[str, Any] | None
    ) -> Embedder | None:
        """The function of a new collection: the argument's, the configuration's, or the default."""
        if isinstance(given, _Default):
            named = (configuration or {}).get("embedding_function") is not None
            given = None if named else DefaultEmbeddingFunction()
        return _embedder(_agreed(given, _configured(configuration or {})))


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

    def __init__(
        self,
        settings: Settings | None = None,
        tenant: str = DEFAULT_TENANT,
        database: str = DEFAULT_DATABASE,
    ) -> None:
        given = settings_of(settings, is_persistent=False)
        self._begin(opened_at(None), given, tenant, database)


class PersistentClient(Client):
    """Collections in a directory, made if it does not exist. Several processes may share it.

    Args:
        path: The directory; `./vicinal` unless given.
        settings: What the client may do; the path wins over the one in there.
        tenant, database: Where the names of collections are looked for; both must exist.
        must_exist: Raise instead of making a new database.
        read_only: Refuse to write with `ReadOnlyError`, and write nothing at all: no lock, no index, no
            file beside another. The directory may be on a file system that cannot be written, and other
            processes may write to it meanwhile.

    Raises:
        StorageError: The path is a file, or cannot be written; with `read_only`, there is no database, it
            is in an older format, or a writer that was killed has left files that only a writer can mend.
        CorruptionError: Files that belong to the database are there, but not all.
        FormatVersionError: The directory was written by a newer Vicinal.
        NotFoundError: There is no such tenant or database; of the defaults, the first use says so.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = "./vicinal",
        settings: Settings | None = None,
        tenant: str = DEFAULT_TENANT,
        database: str = DEFAULT_DATABASE,
        *,
        must_exist: bool = False,
        read_only: bool = False,
    ) -> None:
        self.path = directory_of(path, "path")
        given = settings_of(settings, is_persistent=True, persist_directory=str(self.path))
        backend = opened_at(self.path, must_exist=must_exist, read_only=read_only)
        self._begin(backend, given, tenant, database)

    def __repr__(self) -> str:
        return f"PersistentClient(path={str(self.path)!r})"


def _of_schema(
    schema: Any, configuration: Mapping[str, Any] | None, metadata: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration with what a schema asks for, and the schema's JSON."""
    if not isinstance(schema, Schema):
        raise ArgumentTypeError(argument="schema", expected="a vicinal.Schema", got=schema)
    asked, given = schema.configuration(), configuration or {}
    check_schema_against(metadata, asked)
    function = _agreed(_configured(given), asked.get("embedding_function"))
    return {**beside_schema(given, asked), "embedding_function": function}, schema.serialize_to_json()


def _configured(configuration: Mapping[str, Any]) -> Any:
    """The function in a configuration; what another collection's `configuration_json` describes is made."""
    function = configuration.get("embedding_function")
    if isinstance(function, Mapping) and "type" in function:
        return registry.config_to_embedding_function(dict(function)) if function["type"] == "known" else None
    return function


def _agreed(first: Any, second: Any) -> Any:
    """The embedding function, which may have been given in two places."""
    if first is None or second is None or first is second:
        return second if first is None else first
    described = registry.describe(_embedder(first))
    if described != registry.describe(_embedder(second)) or described == {"type": "legacy"}:
        raise InvalidArgumentError(
            "Multiple embedding functions provided. Please provide only one, as embedding_function=, "
            "in the configuration or in the schema"
        )
    return first


def _embedder(given: Any) -> Embedder | None:
    """What is given as a function, LangChain's kind too, as one that can be called."""
    function: Embedder | None = registry.adapted(given)
    _check_callable(function, "embedding_function", "texts to vectors")
    return function


def _check_callable(given: Any, argument: str, turns: str) -> None:
    """Refuse what cannot be called, and a class, whose parentheses were forgotten."""
    if given is not None and (isinstance(given, type) or not callable(given)):
        raise ArgumentTypeError(argument=argument, expected=f"a callable from {turns}", got=given)
