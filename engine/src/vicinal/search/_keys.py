"""Which field, and which records?

`K("year") > 2000` is a filter, `K.DOCUMENT` a column of the answer. A filter is the dictionary that `where`
takes everywhere else, made by Python's operators; `&` and `|` join filters into one flat `$and` or `$or`.
Python's `and`, `or` and `not` ask whether a filter is true, and raise: `and` would keep the last one alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from vicinal._filter import parse_where
from vicinal._filter.parse import DEPTH_MAX
from vicinal._filter.values import scalar
from vicinal._given import listed
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, InvalidFilterError
from vicinal.types import SparseVector


class Where:
    """A filter, made from a `K` or by `from_dict`."""

    def __init__(self, condition: Mapping[str, Any]) -> None:
        self._condition = dict(condition)

    def to_dict(self) -> dict[str, Any]:
        """The dictionary that `where` takes; a copy, in which numpy's numbers are Python's.

        What JSON has not (dates, decimals, UUIDs, bytes, sets, arrays) stays as it is.
        """
        return dict(_unwrapped(self._condition))

    @classmethod
    def from_dict(cls, data: Any) -> Where:
        """The filter that a `where` dictionary says; `$and` and `$or` may have a single child here.

        Raises `InvalidFilterError` naming the offending part.
        """
        if isinstance(data, Where):
            return data
        if not isinstance(data, Mapping):
            raise ArgumentTypeError(argument="where", expected="a filter or a dict", got=data)
        condition = _unwrapped(data)
        parse_where(condition)
        return cls(condition)

    def __and__(self, other: Where) -> Where:
        return self._joined("$and", other)

    def __or__(self, other: Where) -> Where:
        return self._joined("$or", other)

    def __invert__(self) -> Where:
        return Where({"$not": self._condition})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Where) and self._condition == other._condition

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        problem = (
            "a filter is neither true nor false; join filters with &, | and ~ instead of and, or and not, "
            "give both sides of a < K(…) < b on their own, and ask `is not None` whether there is one"
        )
        raise InvalidFilterError(path="where", problem=problem)

    def __repr__(self) -> str:
        return f"Where({self._condition!r})"

    def _joined(self, operator: str, other: Any) -> Where:
        if not isinstance(other, Where):
            return NotImplemented  # type: ignore[no-any-return]
        parts: list[Any] = []
        for side in (self, other):
            parts += side._condition.get(operator, [side._condition])
        return Where({operator: parts})


def _unwrapped(data: Any, depth: int = 0) -> Any:
    """The same filter, copied, without a `$and` or `$or` of one child."""
    if depth > DEPTH_MAX:
        raise InvalidFilterError(path="where", problem=f"filters may nest at most {DEPTH_MAX} deep")
    if isinstance(data, Mapping) and len(data) == 1:
        operator, operand = next(iter(data.items()))
        if operator == "$not":
            return {operator: _unwrapped(operand, depth + 1)}
        if operator in ("$and", "$or") and isinstance(operand, (list, tuple)):
            inside = [_unwrapped(child, depth + 1) for child in operand]
            return inside[0] if len(inside) == 1 else {operator: inside}
    return _plain(data)


def _plain(value: Any, depth: int = 0) -> Any:
    """A copy, in which numpy's numbers, bools and texts are Python's own.

    What no filter takes, and what nests deeper than one may, stays: it is refused where the filter is read.
    """
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64)):
        return value.item()
    if depth <= DEPTH_MAX + 2:  # an operand stands under its key and its operator
        if isinstance(value, Mapping):
            return {_plain(key): _plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [_plain(item, depth + 1) for item in value]
    return copy.deepcopy(value) if isinstance(value, (set, bytearray, np.ndarray, SparseVector)) else value


class Key:
    """A field of a record: a metadata key, or one of `K.ID`, `K.DOCUMENT`, `K.EMBEDDING`, …

    Comparing it with a value makes a filter. `K` is a short name for it.
    """

    ID: ClassVar[Key]
    DOCUMENT: ClassVar[Key]
    EMBEDDING: ClassVar[Key]
    METADATA: ClassVar[Key]
    SCORE: ClassVar[Key]

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise ArgumentTypeError(argument="K(…)", expected="a str", got=name)
        if not name:
            raise InvalidArgumentError("K(…): expected a metadata key or one of K.ID, K.DOCUMENT, …; got ''")
        try:
            self.name = str(scalar(name))
        except ValueError as error:
            raise InvalidArgumentError(f"K(…): {error}, got {name!r}") from None

    def __eq__(self, value: object) -> Any:
        return self.name == value.name if isinstance(value, Key) else self._is("$eq", value)

    def __ne__(self, value: object) -> Any:
        return self.name != value.name if isinstance(value, Key) else self._is("$ne", value)

    def __gt__(self, value: Any) -> Where:
        return self._is("$gt", value)

    def __ge__(self, value: Any) -> Where:
        return self._is("$gte", value)

    def __lt__(self, value: Any) -> Where:
        return self._is("$lt", value)

    def __le__(self, value: Any) -> Where:
        return self._is("$lte", value)

    def __hash__(self) -> int:
        return hash((Key, self.name))  # a set that holds the name, too, must not compare them

    def __repr__(self) -> str:
        return f"K({self.name!r})"

    def is_in(self, values: Iterable[Any]) -> Where:
        """Equal to one of these."""
        return self._is("$in", listed(values, "is_in", "a list of values"))

    def not_in(self, values: Iterable[Any]) -> Where:
        """Equal to none of these, or not there."""
        return self._is("$nin", listed(values, "not_in", "a list of values"))

    def contains(self, value: Any) -> Where:
        """The document contains this text; the list under a metadata key, this value."""
        return self._is("$contains", value)

    def not_contains(self, value: Any) -> Where:
        """Not what `contains` says."""
        return self._is("$not_contains", value)

    def regex(self, pattern: str) -> Where:
        """The RE2 pattern is found somewhere in the document, or in the string under a metadata key."""
        return self._is("$regex", pattern)

    def not_regex(self, pattern: str) -> Where:
        """Not what `regex` says."""
        return self._is("$not_regex", pattern)

    def _is(self, operator: str, value: Any) -> Where:
        return Where({self.name: {operator: value}})


Key.ID = Key("#id")
Key.DOCUMENT = Key("#document")
Key.EMBEDDING = Key("#embedding")
Key.METADATA = Key("#metadata")
Key.SCORE = Key("#score")

K = Key

SPECIAL = frozenset(key.name for key in (K.ID, K.DOCUMENT, K.EMBEDDING, K.METADATA, K.SCORE))


def name_of(key: Any, argument: str) -> str:
    """The name of a field that is given as a key or by name."""
    return key.name if isinstance(key, Key) else Key(_text(key, argument)).name


def names_of(keys: Any, argument: str) -> tuple[str, ...]:
    """Distinct names, in the order given; a set has none, so its names are sorted."""
    if isinstance(keys, (str, Key)):
        keys = [keys]
    names = [name_of(key, argument) for key in listed(keys, argument, "keys or their names")]
    return tuple(dict.fromkeys(sorted(names) if isinstance(keys, (set, frozenset)) else names))


def _text(value: Any, argument: str) -> str:
    if not isinstance(value, str):
        raise ArgumentTypeError(argument=argument, expected="a key or its name", got=value)
    return value
