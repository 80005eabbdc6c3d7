"""What does a LangChain user's filter mean in the engine's words?

The engine takes one key and one operator per dictionary, and at least two children per `$and` and
`$or`. LangChain users also write Mongo's shorter forms, which are spelled out here:

    {"a": 1, "b": {"$gt": 2, "$lt": 5}}    every key and every operator must hold
    {}, {"$and": []}                       every record;  {"$or": []}, {"k": {"$in": []}}: none
    {"$nor": [f, g]}, {"$not": f}          none of them;  also {"$not": [f, g]}, {"k": {"$not": {"$gt": 2}}}
    {"k": None}, {"k": {"$ne": None}}      the key is missing or null; it is there and not null
    {"k": {"$in": [1, "one", None]}}       any of them, of whatever types

Everything else, known or not, is handed on as it is: the engine knows its operators, and its error
names the place of what it does not know. `where_document` follows the same rules; it becomes a part
of `where` under the engine's key `#document`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vicinal.errors import ArgumentTypeError, InvalidArgumentError, InvalidFilterError, shown

Filter = Mapping[str, Any]

NOTHING: Filter = {"_": {"$any": []}}
"""Selects no record: no list holds one of no values."""

EVERYTHING: Filter = {"$not": NOTHING}

_Leaf = Callable[[str, Any], "Filter | None"]


def to_where(
    filter: Filter | None, where_document: Filter | None = None, where: Filter | None = None
) -> Filter | None:
    """The engine's one `where` for all conditions of a call; None when it selects every record.

    `where` is Chroma's name for `filter`; only one of them may be given.
    """
    if filter is not None and where is not None:
        raise InvalidArgumentError("filter and where are names of one argument; give one of them")
    return _and(
        (
            _rewritten(filter, "filter", _field),
            _rewritten(where, "where", _field),
            _rewritten(where_document, "where_document", _text),
        )
    )


def _rewritten(filter: Any, name: str, leaf: _Leaf) -> Filter | None:
    if filter is None:
        return None
    if not isinstance(filter, Mapping):
        raise ArgumentTypeError(argument=name, expected='a dict such as {"year": {"$gt": 1980}}', got=filter)
    try:
        return _all_of(filter, leaf, name)
    except RecursionError:
        raise InvalidFilterError(path=name, problem="filters may nest at most 100 deep") from None


def _all_of(filter: Any, leaf: _Leaf, place: str) -> Filter | None:
    """A dictionary holds where every one of its items does. None in its place is refused: as no condition it
    would let everything through."""
    if not isinstance(filter, Mapping):
        raise InvalidFilterError(path=place, problem=f"Expected a dict, got {shown(filter)}")
    return _and(_item(key, value, leaf, place) for key, value in filter.items())


def _item(key: str, value: Any, leaf: _Leaf, place: str) -> Filter | None:
    if key not in ("$and", "$or", "$nor", "$not"):
        return leaf(key, value)
    place = f'{place}["{key}"]'
    if not isinstance(value, (list, tuple)):
        if key != "$not":
            raise InvalidFilterError(path=place, problem=f"Expected a list of filters, got {shown(value)}")
        return _not(_all_of(value, leaf, place))
    children = [_all_of(child, leaf, f"{place}[{i}]") for i, child in enumerate(value)]
    if key == "$and":
        return _and(children)
    return _or(children) if key == "$or" else _not(_or(children))


# --- one field, or the text -------------------------------------------------------------------


def _field(key: str, condition: Any) -> Filter | None:
    if not isinstance(condition, Mapping):
        return _missing(key) if condition is None else {key: condition}
    if not condition:
        return {key: condition}  # for the engine to refuse
    return _and(_operator(key, name, operand) for name, operand in condition.items())


def _text(operator: str, operand: Any) -> Filter:
    return {"#document": {operator: operand}}


def _operator(key: str, name: str, operand: Any) -> Filter | None:
    if name == "$not":
        return _not(_field(key, operand))
    if name == "$eq" and operand is None:
        return _missing(key)
    if name == "$ne" and operand is None:
        return _not(_missing(key))
    if name in ("$in", "$nin") and _is_list(operand):
        among = _among(key, operand)
        return among if name == "$in" else _not(among)
    return {key: {name: operand}}


def _missing(key: str) -> Filter:
    """Missing or null: what the engine calls empty, less the two values that are empty."""
    return {"$and": [{key: {"$empty": True}}, {key: {"$ne": ""}}, {key: {"$ne": []}}]}


def _among(key: str, values: Iterable[Any]) -> Filter | None:
    """`$in` takes values of one type, and never None."""
    by_type: dict[type, list[Any]] = {}
    for value in values:
        by_type.setdefault(type(value), []).append(value)
    return _or(
        _missing(key) if kind is type(None) else {key: {"$in": members}} for kind, members in by_type.items()
    )


def _is_list(operand: Any) -> bool:
    return isinstance(operand, Iterable) and not isinstance(operand, (str, bytes, Mapping))


# --- logic -----------------------------------------------------------------------------------


def _and(children: Iterable[Filter | None]) -> Filter | None:
    parts = [child for child in children if child is not None]
    return {"$and": parts} if len(parts) > 1 else parts[0] if parts else None


def _or(children: Iterable[Filter | None]) -> Filter | None:
    parts = list(children)
    if any(part is None for part in parts):
        return None
    return {"$or": parts} if len(parts) > 1 else parts[0] if parts else NOTHING


def _not(child: Filter | None) -> Filter | None:
    if child is None:
        return NOTHING
    return None if child is NOTHING else {"$not": child}
