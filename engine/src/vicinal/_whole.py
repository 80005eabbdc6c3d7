"""Is this a whole number, and not too small?"""

from __future__ import annotations

from numbers import Integral
from typing import Any

from vicinal.errors import ArgumentTypeError, InvalidArgumentError


def whole(value: Any, argument: str, minimum: int) -> int:
    """Any integer but a bool, not below the minimum; `ArgumentTypeError`, `InvalidArgumentError`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ArgumentTypeError(argument=argument, expected="an int", got=value)
    if value < minimum:
        raise InvalidArgumentError(f"{argument}: expected at least {minimum}, got {value}")
    return int(value)
