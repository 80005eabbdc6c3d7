"""Which function embeds this collection's text?

Name + configuration → function, and back. A collection stores `{"type": "known", "name", "config"}`;
opening it builds the function lazily, on the first text. "default" is whatever this release uses by
default and never conflicts with a function given explicitly.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from vicinal.embedding.protocol import EmbeddingFunction
from vicinal.errors import EmbeddingFunctionError

known_embedding_functions: dict[str, type[EmbeddingFunction]] = {}
"""Every function that can be stored, by name. Classes enter it by `register_embedding_function`."""

DEFAULT = "default"
_Class = TypeVar("_Class", bound=type[EmbeddingFunction])


def register_embedding_function(cls: _Class) -> _Class:
    """Class decorator: let collections that name this function find it again.

    Raises `EmbeddingFunctionError` when another class holds the name.
    """
    name = cls.name()
    held = known_embedding_functions.get(name)
    if held is not None and (held.__module__, held.__qualname__) != (cls.__module__, cls.__qualname__):
        raise EmbeddingFunctionError(
            f'The embedding function name "{name}" belongs to {held.__module__}.{held.__qualname__}; '
            f"{cls.__module__}.{cls.__qualname__} needs a name of its own"
        )
    known_embedding_functions[name] = cls
    return cls


def describe(function: Any) -> dict[str, Any] | None:
    """What a collection stores about its function: known by name, legacy (a bare callable), or none."""
    if function is None:
        return None
    try:
        name, config = function.name(), function.get_config()
    except (AttributeError, NotImplementedError, TypeError):
        return {"type": "legacy"}
    if not isinstance(config, dict) or not _is_json(config):
        raise EmbeddingFunctionError(
            f"The configuration of embedding function {name} must be a JSON object, so that a collection can "
            f"remember it; get_config() returned {config!r}"
        )
    register_embedding_function(type(function))
    return {"type": "known", "name": name, "config": config}


def _is_json(config: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(config)) == config)
    except (TypeError, ValueError):
        return False


def build(description: dict[str, Any] | None) -> EmbeddingFunction | None:
    """The function that a collection's stored description names; None when it names none."""
    if description is None or description.get("type") != "known":
        return None
    name = description["name"]
    cls = known_embedding_functions.get(name)
    if cls is None:
        raise EmbeddingFunctionError(
            f"Embedding function {name} not found. Import the module that defines it, with "
            "@register_embedding_function on its class, or pass embedding_function=... to get_collection()"
        )
    return cls.build_from_config(description.get("config") or {})


def check_agreement(stored: dict[str, Any] | None, given: dict[str, Any] | None) -> None:
    """Raise when a collection is opened with another function than it was filled with."""
    if not stored or not given or "known" not in (stored.get("type"), given.get("type")):
        return
    names = [d.get("name", "legacy") for d in (stored, given)]
    if DEFAULT in names or "legacy" in names:
        return
    same_config = stored.get("config") == given.get("config")
    if names[0] != names[1] or not same_config:
        detail = "" if names[0] != names[1] else f" (configurations {given['config']} vs {stored['config']})"
        raise EmbeddingFunctionError(
            "An embedding function already exists in the collection configuration, and a new one is "
            "provided. Open the collection without one, or embed documents separately and pass "
            f"embeddings. Embedding function conflict: new: {names[1]} vs persisted: {names[0]}{detail}"
        )
