"""Which records does a `MetadataFilters` select, in the engine's words?

Turns filters, nested as they are, into one `where` dictionary. The meaning is that of LlamaIndex's
`SimpleVectorStore`; m is the stored value, v the filter's:

| operator                 | matches when                                          | no m, or None |
|--------------------------|-------------------------------------------------------|---------------|
| `==`, `!=`               | m == v; not so                                        | no; yes       |
| `>` `<` `>=` `<=`        | both numbers or both strings, ordered so              | no            |
| `in`, `nin`              | m, or an item of the list m, is in v; not so          | no; yes       |
| `any`, `all`             | any, all of v in m: items of a list, parts of a str   | no            |
| `contains`               | v in m: an item of a list, a part of a str            | no            |
| `text_match`             | v is a part of the str m                              | no            |
| `text_match_insensitive` | the same, whatever the case                           | no            |
| `is_empty`               | m is "" or []                                         | yes           |

AND: all match. OR: one matches. NOT: none matches. An empty group matches everything. Where Python
would raise (5 > "a"), nothing matches. NaN is neither equal to anything nor ordered.

A filter cannot hold a bool or a datetime, so 1 and 0 also mean True and False, as in Python, and a
string in ISO format is also compared with stored datetimes and dates, as an instant.

`doc_id`, `document_id` and `ref_doc_id`, under which other stores filter by source document, do so
here for records that have no metadata of that name.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from llama_index.vector_stores.vicinal._nodes import CONTENT, REF_DOC_ID, stored_key
from vicinal.errors import ArgumentTypeError, InvalidFilterError, shown

Where = dict[str, Any]
Predicate = Callable[[str, Any], Where]

NOTHING: Where = {CONTENT: {"$any": []}}
EVERYTHING: Where = {"$not": NOTHING}

DEPTH_MAX = 100
"""How deep groups may nest, as in the engine; deeper is refused, not a crash of the interpreter."""

_LARGEST = 2**14_000 - 1
"""The largest integer that the engine stores or compares; of the floats, infinity alone is above it."""

_SOURCE_KEYS = ("doc_id", "document_id", "ref_doc_id")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def to_where(filters: MetadataFilters | None) -> Where | None:
    """The `where` of these filters; None when they restrict nothing.

    Raises `InvalidFilterError` naming the place, the operator and the key, and `ArgumentTypeError` for
    what is no `MetadataFilters`.
    """
    if filters is None:
        return None
    if not isinstance(filters, MetadataFilters):
        raise ArgumentTypeError(argument="filters", expected="MetadataFilters", got=filters)
    where = _group(filters, "filters", 0)
    return None if where == EVERYTHING else where


def all_of(parts: Iterable[Where | None]) -> Where | None:
    """Every part that is not None; None when there is none."""
    given = [part for part in parts if part is not None]
    return _all(given) if given else None


def _group(group: MetadataFilters, path: str, depth: int) -> Where:
    if depth >= DEPTH_MAX:
        raise InvalidFilterError(path=path[:80] + "…", problem=f"filters may nest at most {DEPTH_MAX} deep")
    if not group.filters:
        return EVERYTHING
    children = [
        _group(child, place, depth + 1) if isinstance(child, MetadataFilters) else _leaf(child, place)
        for child, place in ((c, f"{path}.filters[{i}]") for i, c in enumerate(group.filters))
    ]
    if group.condition in (FilterCondition.AND, None):
        return _all(children)
    if group.condition == FilterCondition.OR:
        return _any(children)
    if group.condition == FilterCondition.NOT:
        return _not(_any(children))
    raise InvalidFilterError(path=path, problem=f"unknown condition {shown(group.condition)}")


def _leaf(leaf: MetadataFilter, path: str) -> Where:
    if leaf.operator not in _OPERATORS:
        raise InvalidFilterError(
            path=path, problem=f'unknown operator {shown(leaf.operator)} on "{leaf.key}"'
        )
    wanted, types, predicate = _OPERATORS[leaf.operator]
    said = f'operator "{leaf.operator.value}" on "{leaf.key}"'
    if not isinstance(leaf.value, types):
        raise InvalidFilterError(path=path, problem=f"{said} needs {wanted}, got {shown(leaf.value)}")
    if leaf.operator in _ON_ITEMS:
        items = leaf.value if isinstance(leaf.value, (list, tuple, set)) else [leaf.value]
        if any(map(_infinite, items)):
            raise InvalidFilterError(
                path=path, problem=f"{said} needs finite numbers, got {shown(leaf.value)}"
            )
    key = stored_key(leaf.key)
    try:
        where = predicate(key, leaf.value)
    except RecursionError:
        problem = f"{said} compares no list that nests so deep"
        raise InvalidFilterError(path=path, problem=problem) from None
    if leaf.key not in _SOURCE_KEYS or where in (NOTHING, EVERYTHING):
        return where
    own: Where = {key: {"$exists": True}}
    return _any([_all([own, where]), _all([_not(own), predicate(REF_DOC_ID, leaf.value)])])


# --- operators -----------------------------------------------------------------------------------


def _equal(key: str, value: Any) -> Where:
    if value is None:
        return NOTHING
    if _infinite(value):  # which the engine orders, but takes for no operand
        return {key: {"$gt": _LARGEST} if value > 0 else {"$lt": -_LARGEST}}
    return _any([{key: {"$eq": twin}} for twin in _twins(value)])


def _ordered(name: str) -> Predicate:
    holds = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}[name]

    def predicate(key: str, value: Any) -> Where:
        if isinstance(value, str):
            return _any([{key: {name: twin}} for twin in _twins(value)])
        bools = [flag for flag in (False, True) if holds(flag, value)]
        return _any([*_numbers(key, name, holds, value), *([{key: {"$in": bools}}] if bools else [])])

    return predicate


def _numbers(key: str, name: str, holds: Callable[[Any, Any], bool], value: float) -> list[Where]:
    """Numbers so ordered against a number, of which the engine takes finite ones."""
    if _infinite(value):
        others = {"$lte": _LARGEST} if value > 0 else {"$gte": -_LARGEST}
        parts = [{key: others}] if holds(0, value) else []
        return [*parts, _equal(key, value)] if holds(value, value) else parts
    return [] if _nan(value) else [{key: {name: value}}]


def _among(key: str, values: Iterable[Any]) -> Where:
    families: dict[type, list[Any]] = {}
    for value in values:
        for twin in _twins(value):
            families.setdefault(type(twin), []).append(twin)
    items = [twin for family in families.values() for twin in family]
    if not items:
        return NOTHING
    return _any([*({key: {"$in": family}} for family in families.values()), {key: {"$any": items}}])


def _holds_any(key: str, values: Iterable[Any]) -> Where:
    values = list(values)
    items = [twin for value in values for twin in _twins(value)]
    parts = [_like(key, value) for value in values if isinstance(value, str)]
    return _any([{key: {"$any": items}}, *parts]) if items else NOTHING


def _holds_all(key: str, values: Iterable[Any]) -> Where:
    parts = [_holds_any(key, [value]) for value in values]
    return _all(parts) if parts else _any([{key: {"$empty": False}}, {key: ""}, {key: {"$eq": []}}])


def _like(key: str, text: str, name: str = "$like") -> Where:
    return {key: {name: "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"}}


def _negated(predicate: Predicate) -> Predicate:
    return lambda key, value: _not(predicate(key, value))


_ANYTHING = ("any value", object)
_ORDERABLE = ("a number or a string", (int, float, str))
_SCALAR = ("one value", (int, float, str))
_LIST = ("a list", (list, tuple, set))
_TEXT = ("a string", str)

_ON_ITEMS = (
    FilterOperator.IN,
    FilterOperator.NIN,
    FilterOperator.ANY,
    FilterOperator.ALL,
    FilterOperator.CONTAINS,
)
"""Those that ask for the items of a list, which the engine compares with finite numbers alone."""

_OPERATORS: dict[FilterOperator, tuple[str, Any, Predicate]] = {
    FilterOperator.EQ: (*_ANYTHING, _equal),
    FilterOperator.NE: (*_ANYTHING, _negated(_equal)),
    FilterOperator.GT: (*_ORDERABLE, _ordered("$gt")),
    FilterOperator.LT: (*_ORDERABLE, _ordered("$lt")),
    FilterOperator.GTE: (*_ORDERABLE, _ordered("$gte")),
    FilterOperator.LTE: (*_ORDERABLE, _ordered("$lte")),
    FilterOperator.IN: (*_LIST, _among),
    FilterOperator.NIN: (*_LIST, _negated(_among)),
    FilterOperator.ANY: (*_LIST, _holds_any),
    FilterOperator.ALL: (*_LIST, _holds_all),
    FilterOperator.CONTAINS: (*_SCALAR, lambda key, value: _holds_any(key, [value])),
    FilterOperator.TEXT_MATCH: (*_TEXT, _like),
    FilterOperator.TEXT_MATCH_INSENSITIVE: (*_TEXT, lambda key, text: _like(key, text, "$ilike")),
    FilterOperator.IS_EMPTY: (*_ANYTHING, lambda key, _: {key: {"$empty": True}}),
}


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)


def _nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _twins(value: Any) -> list[Any]:
    """The value, and what else equals it although the engine tells the two apart; none of NaN.

    Of a list, the one with bools for all its 0 and 1: Python's equality of lists that mix the two
    (`[True, 1] == [1, 1]`) is not worth 2ⁿ alternatives.
    """
    if isinstance(value, str):
        moment = _moment(value)
        return [value] if moment is None else [value, moment]
    if isinstance(value, (list, tuple)):
        if not all(map(_twins, value)):
            return []
        return [list(value), [bool(item) if item in (0, 1) else item for item in value]]
    if _nan(value):
        return []
    return [int(value), bool(value)] if value in (0, 1) else [value]


def _moment(text: str) -> datetime | None:
    if not _DAY.match(text):
        return None
    try:
        return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    except ValueError:
        return None


# --- logic: constants are folded; the engine's $and and $or take two parts or more --------------


def _all(parts: list[Where]) -> Where:
    if NOTHING in parts:
        return NOTHING
    telling = [part for part in parts if part != EVERYTHING]
    return {"$and": telling} if len(telling) > 1 else telling[0] if telling else EVERYTHING


def _any(parts: list[Where]) -> Where:
    if EVERYTHING in parts:
        return EVERYTHING
    telling = [part for part in parts if part != NOTHING]
    return {"$or": telling} if len(telling) > 1 else telling[0] if telling else NOTHING


def _not(part: Where) -> Where:
    return NOTHING if part == EVERYTHING else {"$not": part}
