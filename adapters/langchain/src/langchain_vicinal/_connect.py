"""Which collection does this store read and write, and who closes it?

Sorts out the constructor's arguments: the names that ported code uses, the four places a collection
can come from, and the settings of one that has to be made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.embeddings import Embeddings

import vicinal
from vicinal.errors import ArgumentTypeError, InvalidArgumentError

DEFAULT_NAME = "langchain"

Directory = str | os.PathLike[str]


@dataclass(frozen=True)
class Connection:
    """A collection, the client that can drop it, if known, and whether the store made it."""

    collection: vicinal.Collection
    client: vicinal.Client | None
    owned: bool

    def close(self) -> None:
        """Close the client if the store made it."""
        if self.owned and self.client is not None:
            self.client.close()


def one_of(**aliases: Any) -> Any:
    """The value given under any of several names of one argument."""
    given = {name: value for name, value in aliases.items() if value is not None}
    if len({id(value) for value in given.values()}) > 1:
        raise InvalidArgumentError(f"{_listed(given)} are names of one argument; give one of them")
    return next(iter(given.values()), None)


def check_embedding(embedding: Any) -> Embeddings | None:
    """A LangChain embedding model or None."""
    if embedding is None or isinstance(embedding, Embeddings):
        return embedding
    raise ArgumentTypeError(
        argument="embedding",
        expected="a LangChain Embeddings object (VicinalEmbeddings(f) makes one of a function)",
        got=embedding,
    )


def connect(
    name: str,
    *,
    path: Directory | None,
    client: vicinal.Client | None,
    collection: vicinal.Collection | None,
    settings: Mapping[str, Any],
    create: bool,
) -> Connection:
    """Open or make the collection; `settings` are those of `Client.create_collection`."""
    places = {"path": path, "client": client, "collection": collection}
    given = {place: value for place, value in places.items() if value is not None}
    if len(given) > 1:
        raise InvalidArgumentError(
            f"{_listed(given)} each say where the collection is; give one of them, or none for a "
            "store in memory"
        )
    if collection is not None:
        _check_collection(collection, name, settings)
        return Connection(collection, None, owned=False)
    if client is not None and not isinstance(client, vicinal.Client):
        raise ArgumentTypeError(argument="client", expected="a client of Vicinal's", got=client)
    opened = client or (
        vicinal.EphemeralClient() if path is None else vicinal.PersistentClient(path, must_exist=not create)
    )
    try:
        return Connection(_open(opened, name, settings, create), opened, owned=client is None)
    except BaseException:
        if client is None:
            opened.close()
        raise


def _open(client: vicinal.Client, name: str, settings: Mapping[str, Any], create: bool) -> vicinal.Collection:
    function = {key: settings[key] for key in ("embedding_function",) if key in settings}
    if not create:
        return client.get_collection(name, **function)
    configuration, metadata = _with_space(settings.get("configuration"), settings.get("metadata"))
    return client.get_or_create_collection(name, configuration=configuration, metadata=metadata, **function)


def _with_space(configuration: Any, metadata: Any) -> tuple[Any, Any]:
    """Cosine, unless the configuration or the older `hnsw:space` in the metadata names another."""
    legacy = metadata if isinstance(metadata, Mapping) else {}
    space = legacy.get("hnsw:space", "cosine")
    if configuration is None:
        if any(str(key).startswith("hnsw:") for key in legacy):
            return None, {"hnsw:space": space, **legacy}
        return {"hnsw": {"space": space}}, metadata
    if not isinstance(configuration, Mapping):
        return configuration, metadata  # for the engine to refuse
    index = "spann" if configuration.get("spann") else "hnsw"
    given = configuration.get(index) or {}
    if not isinstance(given, Mapping):
        return configuration, metadata  # likewise
    return {**configuration, index: {"space": space, **given}}, metadata


def _check_collection(collection: Any, name: str, settings: Mapping[str, Any]) -> None:
    if not isinstance(collection, vicinal.Collection):
        raise ArgumentTypeError(argument="collection", expected="a collection of Vicinal's", got=collection)
    if name not in (DEFAULT_NAME, collection.name):
        raise InvalidArgumentError(
            f'collection= is "{collection.name}", collection_name= is "{name}"; give one of them'
        )
    for key in ("configuration", "metadata"):
        if settings.get(key) is not None:
            raise InvalidArgumentError(
                f"collection= exists already; collection_{key}= is for a collection to be made"
            )


def _listed(given: Mapping[str, Any]) -> str:
    return " and ".join(f"{name}=" for name in given)
