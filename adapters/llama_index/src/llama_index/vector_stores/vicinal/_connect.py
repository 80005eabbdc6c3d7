"""Which collection does this store read and write, and through which client?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import vicinal


def connect(
    name: str, path: str | None, client: vicinal.Client | None, configuration: dict[str, Any] | None
) -> tuple[vicinal.Client, vicinal.Collection]:
    """Open or make the collection; a client that was opened for one that cannot be had is closed again."""
    opened = client or (vicinal.EphemeralClient() if path is None else vicinal.PersistentClient(path))
    try:
        return opened, opened.get_or_create_collection(
            name, configuration=_with_space(configuration), embedding_function=None
        )
    except BaseException:
        if client is None:
            opened.close()
        raise


def _with_space(given: dict[str, Any] | None) -> dict[str, Any]:
    """The caller's configuration, with cosine where it names no space for its index."""
    given = given or {}
    index = "spann" if given.get("spann") else "hnsw"
    own = given.get(index) or {}
    if not isinstance(own, Mapping):
        return given  # for the engine to refuse
    return {**given, index: {"space": "cosine", **own}}
