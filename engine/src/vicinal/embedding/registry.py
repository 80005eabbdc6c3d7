"""Which function embeds this collection's text?

Name + configuration → function, and back. A collection stores `{"type": "known", "name", "config"}`;
opening it builds the function lazily, on the first text. "default" is whatever this release uses by
default and never conflicts with a function given explicitly.

What a stored configuration asks for is not trusted blindly: one that would let a model's repository run
its own code is refused unless the program passes the function itself.
"""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePath
from typing import Any, TypeVar, overload

from vicinal.embedding.frameworks import adapted
from vicinal.embedding.protocol import EmbeddingFunction
from vicinal.errors import ArgumentTypeError, EmbeddingFunctionError, VicinalError, shown
from vicinal.types import Space

__all__ = [
    "adapted",
    "build",
    "check_agreement",
    "config_to_embedding_function",
    "describe",
    "known_embedding_functions",
    "register_embedding_function",
]

known_embedding_functions: dict[str, type[EmbeddingFunction[Any]]] = {}
"""Every function that can be stored, by name. Classes enter it by `register_embedding_function`; those of
`vicinal.embedding.providers` when that package is imported or first looked for."""

DEFAULT = "default"
_Class = TypeVar("_Class", bound=type[EmbeddingFunction[Any]])


@overload
def register_embedding_function(cls: _Class) -> _Class: ...
@overload
def register_embedding_function(cls: None = None) -> Callable[[_Class], _Class]: ...
def register_embedding_function(cls: _Class | None = None) -> _Class | Callable[[_Class], _Class]:
    """Class decorator, with or without parentheses: let collections that name this function find it again.

    Raises `EmbeddingFunctionError` when another class holds the name, and `ArgumentTypeError` for what is no
    class with a `name()` that gives a str.
    """
    if cls is None:
        return register_embedding_function
    _enter(name_of(cls), cls)
    return cls


def name_of(cls: Any) -> str:
    """The name of a class that is to be registered; `ArgumentTypeError` where there is none."""
    if not isinstance(cls, type) or not callable(getattr(cls, "name", None)):
        raise ArgumentTypeError(argument="cls", expected="a class with a static method name()", got=cls)
    name = cls.name()  # type: ignore[attr-defined]
    if not isinstance(name, str):
        raise ArgumentTypeError(argument=f"{cls.__name__}.name()", expected="a str", got=name)
    return name


def _enter(name: str, cls: type[EmbeddingFunction[Any]]) -> None:
    held = known_embedding_functions.get(name)
    if held is not None and (held.__module__, held.__qualname__) != (cls.__module__, cls.__qualname__):
        raise EmbeddingFunctionError(
            f'The embedding function name "{name}" belongs to {held.__module__}.{held.__qualname__}; '
            f"{cls.__module__}.{cls.__qualname__} needs a name of its own"
        )
    known_embedding_functions[name] = cls


def describe(function: Any, *, to_compare: bool = False) -> dict[str, Any] | None:
    """What a collection stores about its function: known by name, legacy (it cannot be made again), or none.

    What only compares it with what is stored may also know the name of one that cannot be made again.
    """
    if function is None:
        return None
    try:
        if _says_it_is_legacy(function):
            return {"type": "legacy"}
        name, config = function.name(), function.get_config()
    except (AttributeError, NotImplementedError, TypeError):
        return {"type": "legacy"}
    except Exception as error:  # noqa: BLE001 - whatever it is: as in Chroma, such a function works, unremembered
        if not to_compare:
            warnings.warn(
                f"{type(function).__name__} cannot be remembered with the collection, for its name() or "
                f"get_config() raised {error!r}. Pass it to get_collection() again",
                stacklevel=3,
            )
        return {"type": "legacy"}
    if not isinstance(name, str) or config is NotImplemented:  # which Chroma's base class returns
        return {"type": "legacy"}
    if not (to_compare or _can_be_built(type(function))):
        return {"type": "legacy"}
    config = as_json(name, {} if config is None else config)  # a method that was left empty returns None
    if type(function).__module__.startswith("chromadb.") and _known(name) is not None:
        # One of Chroma's own objects is remembered by its name, under which ours is found again.
        return {"type": "known", **of_chroma(name, config)}
    _enter(name, type(function))  # its name may be an instance's
    return {"type": "known", "name": name, "config": config}


def of_chroma(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """What Chroma calls `name`, as name and configuration here: its default is all-MiniLM by ONNX.

    What a class here takes and does not store, such as headers that hold a key, is left out.
    """
    if name == DEFAULT:
        name, config = "onnx_mini_lm_l6_v2", {}
    unstored = getattr(_known(name), "accepted", ())
    return {"name": name, "config": {key: value for key, value in config.items() if key not in unstored}}


def _says_it_is_legacy(function: Any) -> bool:
    """What a class of its own accord says; the base class asks `describe`."""
    says = getattr(type(function), "is_legacy", None)
    return says is not None and says is not EmbeddingFunction.is_legacy and bool(function.is_legacy())


def _can_be_built(cls: type[Any]) -> bool:
    """Whether a class makes functions from configurations: Vicinal's and Chroma's base classes do not."""
    builder = getattr(cls, "build_from_config", None)
    if builder is None or builder is EmbeddingFunction.build_from_config:
        return False
    place = getattr(builder, "__module__", None), getattr(builder, "__qualname__", None)
    return place != ("chromadb.api.types", "EmbeddingFunction.build_from_config")


def as_json(name: str, config: Any) -> dict[str, Any]:
    """A configuration as it comes back from where it is stored: with lists for tuples."""
    try:
        read = json.loads(json.dumps(config, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise EmbeddingFunctionError(
            f"The configuration of embedding function {name} must be a JSON object, so that a collection can "
            f"remember it; get_config() returned {shown(config)}"
        )
    return read


def _known(name: str) -> type[EmbeddingFunction[Any]] | None:
    if name not in known_embedding_functions:
        importlib.import_module("vicinal.embedding.providers")  # they import this module
    return known_embedding_functions.get(name)


def build(description: dict[str, Any] | None) -> EmbeddingFunction[Any] | None:
    """The function that a collection's stored description names; None when it names none."""
    if description is None or description.get("type") != "known":
        return None
    name, config = description["name"], description.get("config") or {}
    cls = _known(name)
    if cls is None:
        raise EmbeddingFunctionError(
            f"Embedding function {name} not found. Import the module that defines it, with "
            "@register_embedding_function on its class, or pass embedding_function=... to get_collection()"
        )
    made: EmbeddingFunction[Any] = built(
        cls, f"embedding function {name}", config, "pass embedding_function=... to get_collection()"
    )
    return made


def built(cls: Any, function: str, config: dict[str, Any], instead: str) -> Any:
    """What a class makes of a stored configuration, which never runs code of a model.

    `function` is what errors call it, and `instead` what they advise.
    """
    if _runs_foreign_code(config):
        raise EmbeddingFunctionError(
            f"The stored configuration of {function} asks to run code that comes with the model "
            f"(trust_remote_code). If you trust it, {instead}"
        )
    made = None
    try:
        made = cls.build_from_config(config)
    except NotImplementedError:
        pass
    except (VicinalError, ImportError):  # which say what to do
        raise
    except Exception as error:
        raise EmbeddingFunctionError(
            f"{_sentence(function)} could not be built from its stored configuration: {error!r}"
        ) from error
    if made is None:
        raise EmbeddingFunctionError(
            f"{_sentence(function)} has no build_from_config() that makes one, so a collection cannot make "
            f"it again. {_sentence(instead)}"
        )
    return made


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _runs_foreign_code(config: Any) -> bool:
    """Whether `trust_remote_code` is set anywhere in a stored configuration."""
    if isinstance(config, dict):
        return bool(config.get("trust_remote_code")) or any(map(_runs_foreign_code, config.values()))
    return isinstance(config, list) and any(map(_runs_foreign_code, config))


def config_to_embedding_function(config: dict[str, Any]) -> EmbeddingFunction[Any]:
    """Chroma's name for building a function from `{"name", "config"}`."""
    if not isinstance(config.get("name"), str):
        raise EmbeddingFunctionError("Config must contain a 'name' field.")
    made = build({**config, "type": "known"})
    assert made is not None
    return made


def default_space(function: Any) -> Space:
    """The space that a function asks for; `l2`, Chroma's, when it asks for none."""
    space: Space = _said(function, "default_space") or "l2"
    return space


def warn_of_space(function: Any, space: str) -> None:
    """A `UserWarning`, as Chroma gives, when a function's distances mean nothing in a space."""
    spaces = _said(function, "supported_spaces") or [space]
    if space not in spaces:
        name = _said(function, "name") or type(function).__name__
        warnings.warn(
            f"space {space} is not supported by {name}. Supported spaces: {list(spaces)}", stacklevel=3
        )


def _said(function: Any, method: str) -> Any:
    """What a method of a function says; None when it is not there, or was left empty."""
    says = getattr(function, method, None)
    with suppress(NotImplementedError):
        return says() if callable(says) else None
    return None


def check_agreement(stored: dict[str, Any] | None, given: dict[str, Any] | None) -> None:
    """Raise when a collection is opened with another function than it was filled with.

    Two functions are the same when their names are, and all of their configuration that decides about the
    vectors; a key left out counts as None.
    """
    if not stored or not given or "known" not in (stored.get("type"), given.get("type")):
        return
    names = [d.get("name", "legacy") for d in (stored, given)]
    if DEFAULT in names or "legacy" in names:
        return
    if names[0] != names[1]:
        detail = f"new: {names[1]} vs persisted: {names[0]}"
    else:
        old, new = _differing(names[0], stored.get("config") or {}, given.get("config") or {})
        if old == new:
            return
        detail = f"new: {names[1]} vs persisted: {names[0]} (configurations {new} vs {old})"
    raise EmbeddingFunctionError(
        "An embedding function already exists in the collection configuration, and a new one is "
        "provided. Open the collection without one, or embed documents separately and pass "
        f"embeddings. Embedding function conflict: {detail}"
    )


def redescribed(stored: dict[str, Any] | None, given: Any) -> dict[str, Any]:
    """What a collection stores of a function that `modify` gives it: of the same name, if it has one.

    A class that says which keys of its configuration do not change the vectors is held to it; every class
    may refuse a configuration in `validate_config`, and a change of it in `validate_config_update`.
    """
    described = describe(given) or {}
    if described.get("type") != "known":
        raise EmbeddingFunctionError(
            "configuration['embedding_function']: a collection remembers functions that have name(), "
            f"get_config() and build_from_config(); got {given!r}. Pass it to get_collection() instead"
        )
    getattr(given, "validate_config", lambda _: None)(described["config"])
    if not stored or stored.get("type") != "known":
        return described
    name, old, new = stored["name"], stored.get("config") or {}, described["config"]
    if name != described["name"]:
        problem = f"incompatible types ({name} vs {described['name']})"
    elif _declares(given) and (differing := _differing(name, new, old)) != ({}, {}):
        problem = f"{name} would embed otherwise ({differing[0]} vs {differing[1]})"
    else:
        getattr(given, "validate_config_update", lambda *_: None)(old, new)
        return described
    raise EmbeddingFunctionError(
        f"Cannot update embedding function: {problem}. Create a new collection and add the documents to it"
    )


def _declares(function: Any) -> bool:
    return bool(getattr(function, "config_may_differ", None) or getattr(function, "config_paths", None))


def _differing(
    name: str, one: dict[str, Any], other: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The part of two configurations that decides about the vectors and is not the same in both."""
    one, other = _deciding(name, one), _deciding(name, other)
    both = {key for key in one.keys() & other.keys() if one[key] == other[key]}
    first, second = ({k: v for k, v in config.items() if k not in both} for config in (one, other))
    return first, second


def _deciding(name: str, config: dict[str, Any]) -> dict[str, Any]:
    free: frozenset[str] = getattr(_known(name), "config_may_differ", frozenset())
    paths: frozenset[str] = getattr(_known(name), "config_paths", frozenset())
    return {
        key: PurePath(value).name if key in paths and isinstance(value, str) else value
        for key, value in config.items()
        if value is not None and key not in free
    }
