"""Is this value one that the argument can have?

LlamaIndex's queries are dataclasses that check nothing, so what a caller mistook comes as far as here. Each
function gives the value in the form that the engine takes, or raises an error that names the argument as
LlamaIndex does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown


def texts(given: Any, argument: str) -> list[str]:
    """Strings; one string is a list of itself, as everywhere in the engine."""
    if not isinstance(given, Iterable):
        raise ArgumentTypeError(argument=argument, expected="a list of str", got=given)
    listed: list[Any] = [given] if isinstance(given, (str, Mapping)) else list(given)
    for i, each in enumerate(listed):
        if not isinstance(each, str):
            raise ArgumentTypeError(argument=f"{argument}[{i}]", expected="a str", got=each)
    return listed


def vector(given: Any, argument: str) -> Any:
    """One vector, also as the only row of a matrix; what is in it the engine checks."""
    if hasattr(given, "__array__"):
        given = np.asarray(given)  # a DataFrame's items are no rows
    try:
        rows = len(given)
        nested = rows > 0 and np.ndim(next(iter(given))) == 1
    except TypeError:
        raise ArgumentTypeError(argument=argument, expected="a list of floats", got=given) from None
    except ValueError:  # no matrix at all
        return given
    if nested and rows > 1:
        raise InvalidArgumentError(f"{argument}: expected one vector, got {rows}")
    return given[0] if nested else given


def count(given: Any, argument: str) -> int:
    """A whole number, numpy's included, not below 0."""
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise ArgumentTypeError(argument=argument, expected="an int", got=given)
    if given < 0:
        raise InvalidArgumentError(f"{argument}: expected at least 0, got {shown(int(given))}")
    return int(given)


def number(given: Any, argument: str, most: int = 1) -> float:
    """A number, numpy's included, from 0 to `most`."""
    wanted = f"a number from 0 to {most}"
    if isinstance(given, bool) or not isinstance(given, Real):
        raise ArgumentTypeError(argument=argument, expected=wanted, got=given)
    if not 0 <= given <= most:  # type: ignore[operator]  # typeshed gives Real no order with int
        raise InvalidArgumentError(f"{argument}: expected {wanted}, got {shown(given)}")
    return float(given)
