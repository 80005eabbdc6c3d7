"""Is what was given a whole number, a number, a list, one of some names?  Errors name the argument."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown


def whole(value: Any, argument: str, minimum: int) -> int:
    """Any integer but a bool, not below the minimum; `ArgumentTypeError`, `InvalidArgumentError`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ArgumentTypeError(argument=argument, expected="an int", got=value)
    if value < minimum:
        raise InvalidArgumentError(f"{argument}: expected at least {minimum}, got {shown(int(value))}")
    return int(value)


def is_number(value: Any) -> bool:
    """Whether this is a real number, and no bool."""
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def number(value: Any, argument: str) -> float:
    """Any real number but a bool and NaN; `ArgumentTypeError`, `InvalidArgumentError`."""
    if not is_number(value):
        raise ArgumentTypeError(argument=argument, expected="a number", got=value)
    try:
        found = float(value)
    except OverflowError:
        raise InvalidArgumentError(f"{argument}: the number is too large for a float") from None
    if math.isnan(found):
        raise InvalidArgumentError(f"{argument}: expected a number, got NaN")
    return found


def listed(values: Any, argument: str, expected: str) -> list[Any]:
    """What a list, or anything else that can be gone through, holds. A text is one value, not the list of its
    characters: `ArgumentTypeError`, as for what cannot be gone through."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ArgumentTypeError(argument=argument, expected=expected, got=values)
    return list(values)


def check_one_of(given: Any, argument: str, names: Sequence[str]) -> None:
    """`InvalidArgumentError` for anything but one of at least two names, of whatever type (an array, which
    answers `==` with another, included)."""
    if not (isinstance(given, str) and given in names):
        *first, last = (f'"{name}"' for name in names)
        raise InvalidArgumentError(f"{argument}: expected {', '.join(first)} or {last}, got {shown(given)}")
