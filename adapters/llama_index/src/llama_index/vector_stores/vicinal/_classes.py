"""Of which class is a node, and which of its fields does a record have to hold?

LlamaIndex's own classes are known by their names, and what is as it is by default in them is not written
down. A user's class may be called as another is, and have other defaults tomorrow: its place is written
down, and every field that it adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args

import numpy as np
from llama_index.core.schema import BaseNode, TextNode
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, from_json, to_json

DEPTH_MAX = 100
"""How deep values are looked into; metadata that nests so deep the engine refuses."""

_COLUMNS = frozenset({"id_", "embedding", "metadata"})
_BY_NAME = ("populate_by_name", "validate_by_name")


# --- names ---------------------------------------------------------------------------------------


def type_name(node: BaseNode) -> str:
    """What LlamaIndex calls the node's class, unless it calls the parent so."""
    cls = type(node)
    return node.class_name() if "class_name" in vars(cls) else cls.__name__


def class_named(name: Any, place: Any) -> type[BaseNode]:
    """The node class at that place, or else of that name, users' own included.

    Of a name, parents come before classes derived from them. A class that is not imported here, or has
    another name now, is read as a text node; one that was defined again, as a notebook's cells do, is the
    latest: the earlier one lives on beside it.
    """
    if name == "TextNode" and place is None:
        return TextNode
    module, _, qualname = (place or "").partition(":")
    named: type[BaseNode] | None = None
    placed: type[BaseNode] | None = None
    waiting = BaseNode.__subclasses__()
    for cls in waiting:
        if cls.__qualname__ == qualname and cls.__module__ == module:
            placed = cls
        elif placed is None and _is_called(cls, name) and (named is None or place_of(cls) == place_of(named)):
            named = cls
        waiting.extend(cls.__subclasses__())
    return placed or named or TextNode


def _is_called(cls: type[BaseNode], name: Any) -> bool:
    try:
        return bool(name == cls.__name__ or name == cls.class_name())
    except Exception:  # noqa: BLE001 - a user's, it may be no method of the class, too
        return False


def is_llama_indexes(cls: type[Any]) -> bool:
    """Whether LlamaIndex has the class itself, which nobody but its releases changes."""
    return cls.__module__.startswith("llama_index.core.")


def place_of(cls: type[BaseNode]) -> str:
    """Where a class is defined; two classes may have one name, but not one place."""
    return f"{cls.__module__}:{cls.__qualname__}"


# --- fields --------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def defaults(cls: type[BaseNode]) -> tuple[tuple[str, Any], ...]:
    """The fields that the content of a record may have to hold, with the values that it leaves out."""
    columns = _COLUMNS | {"text"} if issubclass(cls, TextNode) else _COLUMNS
    return tuple((name, _left_out(cls, name)) for name in cls.model_fields if name not in columns)


def _left_out(cls: type[BaseNode], name: str) -> Any:
    """The default that LlamaIndex gives a field; a user's only if it would not come back from JSON."""
    field = cls.model_fields[name]
    default = _default(field)
    parent: type[BaseNode] = next(each for each in cls.__mro__ if is_llama_indexes(each))
    theirs = parent.model_fields.get(name)
    steady = (
        theirs is not None
        and field.default_factory is theirs.default_factory
        and same(field.default, theirs.default)
    )
    return default if steady or not _comes_back(cls, name, default) else PydanticUndefined


def _comes_back(cls: type[BaseNode], name: str, value: Any) -> bool:
    """Whether a field of that class that has the value has it again after its JSON form was read."""
    if type(value) is bytes:
        return True
    try:
        read = from_json(to_json(value, by_alias=by_alias(cls), fallback=builtin))
        given = {each: _default(field) for each, field in cls.model_fields.items()}
        probe = cls.model_construct(**given)
        cls.__pydantic_validator__.validate_assignment(probe, name, read)
        return same(getattr(probe, name), value)
    except Exception:  # noqa: BLE001 - users' validators raise what they want
        return False


def _default(field: FieldInfo) -> Any:
    try:
        return field.get_default(call_default_factory=True)
    except ValueError:  # it is made of a node's other fields, another one for each node
        return PydanticUndefined


@lru_cache(maxsize=64)
def by_alias(cls: type[BaseNode]) -> bool:
    """Whether the models in a node's fields are written by their aliases, as they read them.

    By their fields' names where an alias is for writing alone, if they read those.
    """
    if is_llama_indexes(cls):
        return True
    fields = [(model, *item) for model in _models(cls) for item in model.model_fields.items()]
    aliases_are_read = all(_reads(*each, each[2].serialization_alias or each[1]) for each in fields)
    return aliases_are_read or not all(_reads(*each, each[1]) for each in fields)


def _reads(model: type[BaseModel], name: str, field: FieldInfo, key: str) -> bool:
    """Whether a model takes the field from that key."""
    alias: Any = field.validation_alias
    if key == name and (alias is None or any(model.model_config.get(each) for each in _BY_NAME)):
        return True
    return key in getattr(alias, "choices", [alias])


def _models(cls: type[BaseNode]) -> Iterator[type[BaseModel]]:
    """The models in the fields of a class, and in theirs."""
    seen: set[type[BaseModel]] = set()
    waiting: list[Any] = [field.annotation for field in cls.model_fields.values()]
    for annotation in waiting:
        waiting.extend(get_args(annotation))
        if isinstance(annotation, type(BaseModel)) and annotation not in seen:
            seen.add(annotation)
            waiting.extend(field.annotation for field in annotation.model_fields.values())
            yield annotation


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, of any kind."""
    try:
        return bool(one == other)
    except ValueError:  # numpy's arrays compare item by item and are neither true nor false
        return False
    except RecursionError:  # they hold themselves
        return False


def alike(one: Any, other: Any, depth: int = 0) -> bool:
    """Of equal values, whether their numbers are of the same types: 1 equals True and 1.0."""
    if depth > DEPTH_MAX:
        return True
    if isinstance(one, Mapping):
        return all(value is other[key] or alike(value, other[key], depth + 1) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return all(alike(*pair, depth + 1) for pair in zip(one, other))
    return type(one) is type(other) or not isinstance(one, (int, float))


def builtin(value: Any) -> Any:
    """Python's value for one of numpy's, which to_json() does not know."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise ValueError
