"""Is this dictionary a filter, and which one?

Turns `where` and `where_document` dictionaries into the tree of `ast.py`, or says what is wrong and
where: `where["$and"][1]["year"]`. It accepts what Chroma accepts and refuses what Chroma refuses on
purpose (two operators in one dictionary, an empty `$in`); the operators beyond Chroma's are listed
in docs/chroma-compatibility.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np

from vicinal._filter import patterns
from vicinal._filter.ast import (
    DOCUMENT,
    ID,
    Among,
    And,
    Compare,
    Document,
    Empty,
    Exists,
    Holds,
    Kind,
    Like,
    Node,
    Not,
    Operand,
    Operands,
    Or,
    Order,
    Regex,
)
from vicinal._filter.values import INT_BITS_MAX, classify, scalar, unpacked
from vicinal.errors import InvalidFilterError, shown
from vicinal.types import SparseVector

DEPTH_MAX = 100
"""How deep logical operators may nest; deeper is refused, not a crash of the interpreter."""

_ON_DOCUMENTS = ("$contains", "$not_contains", "$regex", "$not_regex")
_SCALARS = (str, int, float, bool, datetime, date, Decimal, UUID, bytes)


def parse_where(where: Any) -> Node:
    """Parse a metadata filter. Raises `InvalidFilterError` naming the offending part."""
    return _where(where, "where", 0)


def parse_where_document(where: Any) -> Node:
    """Parse a filter on document text. Raises `InvalidFilterError` naming the offending part."""
    return _document(where, "where_document", 0)


# --- metadata --------------------------------------------------------------------------------


def _where(where: Any, path: str, depth: int) -> Node:
    key, value = _only_item(where, path, "a key or a logical operator")
    here = f'{path}["{key}"]'
    if key in ("$and", "$or"):
        children = _children(value, here, depth, _where)
        return And(children) if key == "$and" else Or(children)
    if key == "$not":
        return Not(_where(value, here, _deeper(here, depth)))
    if key.startswith("$"):
        raise InvalidFilterError(
            path=path,
            problem="Expected where key to be a metadata field name or a logical operator "
            f"($and, $or, $not), got {key}"
            + (" (the text of documents is filtered by where_document)" if key in _ON_DOCUMENTS else ""),
        )
    if key == DOCUMENT:
        return _document(value, here, depth)
    if key.startswith("#") and key != ID:
        raise InvalidFilterError(
            path=here, problem="this field cannot be filtered; metadata keys, #id and #document can"
        )
    if isinstance(value, Mapping):
        operator, operand = _only_item(value, here, "an operator")
        return _operator(key, operator, operand, f'{here}["{operator}"]')
    return Among(key, Operands.of([_operand(value, here)]))


def _operator(key: str, name: str, operand: Any, path: str) -> Node:
    build = _OPERATORS.get(name)
    if build is None:
        raise InvalidFilterError(
            path=path,
            problem=f"Expected where operator to be one of {', '.join(_OPERATORS)}, got {name}",
        )
    return build(key, operand, path)


def _eq(key: str, value: Any, path: str) -> Node:
    return Among(key, Operands.of([_operand(value, path, composite=True)]))


def _in(key: str, values: Any, path: str) -> Node:
    operands = _operands(values, path)
    families = {Kind.FLOAT if kind is Kind.INT else kind for kind, _ in operands.groups}
    if len(families) != 1:
        raise InvalidFilterError(
            path=path,
            problem="Expected where operand value to be a non-empty list, and all values to be of the "
            f"same type got {shown(values)}",
        )
    return Among(key, operands)


def _contains(key: str, value: Any, path: str) -> Node:
    return Holds(key, Operands.of([_operand(value, path)]))


def _any(key: str, values: Any, path: str) -> Node:
    return Holds(key, _operands(values, path))


def _all(key: str, values: Any, path: str) -> Node:
    return Holds(key, _operands(values, path), every=True)


def _exists(key: str, flag: Any, path: str) -> Node:
    return Exists(key) if _flag(flag, path) else Not(Exists(key))


def _empty(key: str, flag: Any, path: str) -> Node:
    return Empty(key) if _flag(flag, path) else Not(Empty(key))


def _between(key: str, bounds: Any, path: str) -> Node:
    low_high = list(_operands(bounds, path))
    if len(low_high) != 2:
        raise InvalidFilterError(path=path, problem=f"expected [low, high], got {shown(bounds)}")
    low, high = (_ordered(each, given, "$between", path) for each, given in zip(low_high, bounds))
    return And((Compare(key, "gte", low), Compare(key, "lte", high)))


def _order(order: Order) -> Callable[[str, Any, str], Node]:
    return lambda key, value, path: Compare(
        key, order, _ordered(_operand(value, path), value, f"${order}", path)
    )


def _startswith(key: str, prefix: Any, path: str) -> Node:
    escaped = _text(prefix, path, "$startswith")
    for special in ("\\", "%", "_"):
        escaped = escaped.replace(special, "\\" + special)
    return Like(key, escaped + "%")


def _regex(key: str, pattern: Any, path: str) -> Node:
    return Regex(key, _regular(_text(pattern, path, "$regex"), path))


def _negated(build: Callable[[str, Any, str], Node]) -> Callable[[str, Any, str], Node]:
    return lambda key, value, path: Not(build(key, value, path))


_OPERATORS: dict[str, Callable[[str, Any, str], Node]] = {
    # Chroma's own
    "$gt": _order("gt"),
    "$gte": _order("gte"),
    "$lt": _order("lt"),
    "$lte": _order("lte"),
    "$ne": _negated(_eq),
    "$eq": _eq,
    "$in": _in,
    "$nin": _negated(_in),
    "$contains": _contains,
    "$not_contains": _negated(_contains),
    # ours
    "$any": _any,
    "$all": _all,
    "$between": _between,
    "$exists": _exists,
    "$empty": _empty,
    "$like": lambda key, value, path: Like(key, _text(value, path, "$like")),
    "$ilike": lambda key, value, path: Like(key, _text(value, path, "$ilike"), ignore_case=True),
    "$startswith": _startswith,
    "$regex": _regex,
    "$not_regex": _negated(_regex),
}


# --- documents -------------------------------------------------------------------------------


def _document(where: Any, path: str, depth: int) -> Node:
    name, operand = _only_item(where, path, "an operator")
    here = f'{path}["{name}"]'
    if name in ("$and", "$or"):
        children = _children(operand, here, depth, _document)
        return And(children) if name == "$and" else Or(children)
    if name == "$not":
        return Not(_document(operand, here, _deeper(here, depth)))
    positive = name.replace("$not_", "$")
    if positive not in ("$contains", "$regex"):
        raise InvalidFilterError(
            path=path,
            problem="Expected where document operator to be one of $contains, $not_contains, $regex, "
            f"$not_regex, $and, $or, $not, got {name}",
        )
    text = _text(operand, here, name, "where document operand")
    if not text:
        raise InvalidFilterError(
            path=here,
            problem=f"Expected where document operand value for operator {name} to be a non-empty str",
        )
    if positive == "$regex":
        leaf: Node = Document("regex", _regular(text, here))
    else:
        leaf = Document("contains", text)
    return leaf if positive == name else Not(leaf)


# --- parts -----------------------------------------------------------------------------------


def _only_item(where: Any, path: str, what: str) -> tuple[str, Any]:
    if not isinstance(where, Mapping):
        raise InvalidFilterError(path=path, problem=f"Expected a dict, got {shown(where)}")
    if len(where) != 1:
        raise InvalidFilterError(
            path=path,
            problem=f"Expected exactly one operator or key (combine several with $and), got {shown(where)}",
        )
    key, value = next(iter(where.items()))
    if not isinstance(key, str):
        raise InvalidFilterError(path=path, problem=f"Expected {what} to be a str, got {shown(key)}")
    return _scalar(key, f'{path}["{key}"]'), value


def _children(value: Any, path: str, depth: int, parse: Callable[[Any, str, int], Node]) -> tuple[Node, ...]:
    depth = _deeper(path, depth)
    if not isinstance(value, (list, tuple)) or len(value) < 2:
        raise InvalidFilterError(
            path=path,
            problem="Expected where value for $and or $or to be a list with at least two where "
            f"expressions, got {shown(value)}",
        )
    return tuple(parse(child, f"{path}[{i}]", depth) for i, child in enumerate(value))


def _deeper(path: str, depth: int) -> int:
    if depth >= DEPTH_MAX:
        raise InvalidFilterError(path=path[:80] + "…", problem=f"filters may nest at most {DEPTH_MAX} deep")
    return depth + 1


def _operands(values: Any, path: str) -> Operands:
    if isinstance(values, np.ndarray):
        values = unpacked(values)
    if isinstance(values, (set, frozenset)):
        values = list(values)
    if not isinstance(values, Sequence) or isinstance(values, (str, bytes, bytearray, memoryview)):
        raise InvalidFilterError(
            path=path, problem=f"Expected operand value to be a list, got {shown(values)}"
        )
    return _plain(values) or Operands.of(_operand(value, f"{path}[{i}]") for i, value in enumerate(values))


def _plain(values: Sequence[Any]) -> Operands | None:
    """Strings alone or integers alone, without looking at each in Python; None for anything else."""
    types = list(map(type, values))  # counted, for hashing them takes half as long again
    if types and types.count(str) == len(types):
        try:
            "".join(values).encode()
        except UnicodeEncodeError:
            return None  # the way that looks at each says which
        return Operands(((Kind.STRING, tuple(values)),))
    if types and types.count(int) == len(types) and max(map(int.bit_length, values)) <= INT_BITS_MAX:
        return Operands(((Kind.INT, tuple(values)),))
    return None


def _operand(value: Any, path: str, composite: bool = False) -> Operand:
    value = _scalar(value, path)
    if composite and isinstance(value, (list, tuple, dict, SparseVector)):
        return _composite(value, path)
    if not isinstance(value, _SCALARS):
        raise InvalidFilterError(
            path=path,
            problem="Expected where value to be a str, int, float, bool, date, datetime, Decimal, UUID or "
            f"bytes, got {shown(value)}{_way_out(value)}",
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidFilterError(path=path, problem=f"Expected a finite number, got {shown(value)}")
    return Operand(*classify(value))


def _way_out(value: Any) -> str:
    """What somebody who compares with this value may have meant."""
    if value is None:
        return " (to find missing values, use $exists or $empty)"
    if isinstance(value, (list, tuple, set, frozenset)):
        return " (to find one of several values, use $in; in lists, $any or $all)"
    return ""


def _composite(value: Any, path: str) -> Operand:
    """A list or an object to be equal to."""
    try:
        return Operand(*classify(_json(value, path, 0)))
    except TypeError:
        raise InvalidFilterError(
            path=path, problem=f"Expected lists and dicts of JSON values, got {shown(value)}"
        ) from None


def _json(value: Any, path: str, depth: int) -> Any:
    """Lists and objects of plain values, as metadata is stored; `TypeError` for anything else."""
    if depth > DEPTH_MAX:
        raise TypeError(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(value)
        return {_scalar(key, path): _json(item, path, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item, path, depth + 1) for item in value]
    value = _scalar(value, path)
    if value is not None and not isinstance(value, (*_SCALARS, SparseVector)):
        raise TypeError(value)
    return value


def _scalar(value: Any, path: str) -> Any:
    try:
        return scalar(value)
    except ValueError as error:
        raise InvalidFilterError(path=path, problem=str(error)) from None


def _ordered(operand: Operand, given: Any, operator: str, path: str) -> Operand:
    if operand.kind in (Kind.BOOL, Kind.OBJECT):
        equal = " (which is compared for equality alone)" if isinstance(given, (Decimal, UUID, bytes)) else ""
        raise InvalidFilterError(
            path=path,
            problem="Expected operand value to be a number, a string, a date or a datetime for operator "
            f"{operator}, got {shown(given)}{equal}",
        )
    return operand


def _text(value: Any, path: str, operator: str, what: str = "operand") -> str:
    if not isinstance(value, str):
        raise InvalidFilterError(
            path=path, problem=f"Expected {what} value for {operator} to be a str, got {shown(value)}"
        )
    return str(_operand(value, path).value)


def _regular(pattern: str, path: str) -> str:
    """A bad pattern fails here, where its place is known, and not in the search."""
    try:
        patterns.regex(pattern)
    except InvalidFilterError as error:
        raise InvalidFilterError(path=path, problem=error.problem) from None
    return pattern


def _flag(value: Any, path: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidFilterError(path=path, problem=f"Expected True or False, got {shown(value)}")
    return bool(value)
