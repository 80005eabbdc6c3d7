"""Can a store be made of these arguments, or something be asked or deleted by them?"""

from __future__ import annotations

import os
import pickle
import stat
from collections.abc import Mapping
from typing import Any

from llama_index.core.vector_stores.types import VectorStoreQuery

import vicinal
from vicinal.errors import ArgumentTypeError, InvalidArgumentError

PLACES = ("path", "client", "collection")
"""Where a store can be; it is in one of them."""


def check_sources(
    path: object, client: object, collection: object, configuration: dict[str, Any] | None
) -> None:
    """The store lives in one place, and only what it creates can be configured."""
    sources = {"path": path, "client": client, "collection": collection}
    given = [name for name, value in sources.items() if value is not None]
    if len(given) > 1:
        said = " and ".join(given)
        raise InvalidArgumentError(f"Give one of path, client and collection; got {said}")
    if path is not None:
        check_path(path)
    if client is not None and not isinstance(client, vicinal.Client):
        raise ArgumentTypeError(argument="client", expected="a vicinal client", got=client)
    if collection is None:
        return
    if not isinstance(collection, vicinal.Collection):
        expected = "a vicinal Collection"
        raise ArgumentTypeError(argument="collection", expected=expected, got=collection)
    if configuration is not None:
        raise InvalidArgumentError(
            "collection_configuration is for a collection that the store creates; this one exists"
        )


def check_keywords(method: str, known: str, given: Mapping[str, Any]) -> None:
    """A deletion has no keyword that it ignores: it could have been a condition."""
    if given:
        raise InvalidArgumentError(f"{method}: unknown keyword {next(iter(given))!r}; expected {known}")


def check_query(given: object) -> None:
    """A text is asked of a retriever, which has the model that embeds it."""
    if not isinstance(given, VectorStoreQuery):
        expected = "a VectorStoreQuery; a text goes to as_index(embed_model=…).as_retriever().retrieve(text)"
        raise ArgumentTypeError(argument="query", expected=expected, got=given)


def check_path(given: object, argument: str = "path") -> None:
    """A directory is named by a text or a Path, as for the engine."""
    if not isinstance(given, (str, os.PathLike)):
        raise ArgumentTypeError(argument=argument, expected="a str or Path", got=given)


def holds_database(directory: str | os.PathLike[str]) -> bool:
    """Whether a database is there; also when that cannot be told, for the engine's error says why."""
    try:
        found = os.stat(os.path.join(os.path.expanduser(directory), "catalog.sqlite3"))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True
    return stat.S_ISREG(found.st_mode)


def check_reranker(given: object) -> None:
    """A store's reranker is what the engine takes for one."""
    if (
        given is None
        or isinstance(given, str)
        or callable(given)
        or callable(getattr(given, "predict", None))
    ):
        return
    expected = "a function (question, texts) -> scores, a cross-encoder, or a registered name"
    if hasattr(given, "postprocess_nodes"):
        expected += " (a postprocessor belongs among a query engine's node_postprocessors)"
    raise ArgumentTypeError(argument="rerank", expected=expected, got=given)


def check_reopenable(path: str | None, how: str) -> None:
    """What comes back is opened at a path; without one it would come back empty."""
    if path is None:
        raise TypeError(f"Only a VicinalVectorStore with a path can be {how}; this has none")


def check_portable(reranker: object) -> None:
    """A pickled store keeps its reranker, or is none: it would come back without."""
    try:
        pickle.dumps(reranker)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"The reranker of this VicinalVectorStore cannot be pickled: {error}. Define it at the top of a "
            "module, or give the store the name of one that vicinal.register_reranker knows"
        ) from error


def written_down(data: Mapping[str, Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """A store's dictionary with keywords before it: a place among these is in place of the dictionary's."""
    replaced: tuple[str, ...] = ()
    if any(keywords.get(place) is not None for place in PLACES):
        replaced = PLACES
    if keywords.get("collection") is not None:
        replaced = (*PLACES, "collection_configuration")  # it has its own
    given = {name: value for name, value in data.items() if name not in replaced} | {**keywords}
    if all(given.get(place) is None for place in PLACES):
        raise InvalidArgumentError(
            "This dictionary of a VicinalVectorStore has no path: the store was in memory, or over a "
            "client or collection. Say where it is: from_dict(data, path=…), client=… or collection=…"
        )
    return given
