"""What kind of value is this, and how is it compared?

The one place where a Python value becomes a (kind, comparable) pair; filter operands and stored
metadata both go through it, so they cannot disagree. Also: the literal-first lookup of dotted keys.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from vicinal._filter.ast import Kind
from vicinal.types import SparseVector

INT_BITS_MAX = 14_000
"""Integers of more bits (about 4,200 digits) cannot be written as JSON that every parser reads."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MISSING = object()


def unpacked(array: NDArray[Any]) -> Any:
    """An array as lists of what `scalar` understands: moments stay numpy's, which `tolist` makes integers."""
    if array.dtype.kind != "M":
        return array.tolist()
    return list(array) if array.ndim else array[()]


def scalar(value: Any) -> Any:
    """A scalar as a plain Python value: numpy's become Python's, subclasses their base.

    Raises `ValueError` for what cannot be stored: half a surrogate pair, an endless integer, a moment
    without a date. Anything that is no scalar comes back as it is.
    """
    if isinstance(value, np.datetime64):
        whole_days = np.datetime_data(value.dtype)[0] in ("Y", "M", "W", "D")
        value = value.astype("datetime64[D]" if whole_days else "datetime64[us]").item()
        if not isinstance(value, date):
            problem = "NaT is no moment in time" if value is None else "dates end with the year 9999"
            raise ValueError(problem)
    elif isinstance(value, np.generic) and not isinstance(value, np.timedelta64):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        value = str.__str__(value)
        try:
            value.encode()
        except UnicodeEncodeError as error:
            problem = f"not valid Unicode text (a lone surrogate at position {error.start})"
            raise ValueError(problem) from None
        return value
    if isinstance(value, int):
        if value.bit_length() > INT_BITS_MAX:
            raise ValueError("integers may have at most about 4,200 digits")
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (datetime, date)):
        return _moment(value)
    if isinstance(value, (Decimal, UUID)):
        return Decimal(value) if isinstance(value, Decimal) else UUID(int=value.int)
    return bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else value


def _moment(value: datetime | date) -> datetime | date:
    """A plain datetime or date; pandas' NaT calls itself a datetime but has no year."""
    if not isinstance(value.year, int):
        raise ValueError(f"{value!r} is no moment in time")
    if not isinstance(value, datetime):
        return date(value.year, value.month, value.day)
    clock = (value.hour, value.minute, value.second, value.microsecond, value.tzinfo)
    return datetime(value.year, value.month, value.day, *clock, fold=value.fold)


def classify(value: Any) -> tuple[Kind, Any]:
    """The kind of a metadata value and the form in which it is compared.

    Lists, objects, decimals, UUIDs and bytes become canonical JSON text, datetimes and dates
    microseconds.
    """
    if value is None:
        return Kind.NULL, None
    if value is True or value is False:
        return Kind.BOOL, value
    if isinstance(value, str):
        return Kind.STRING, value
    if isinstance(value, int):
        return Kind.INT, value
    if isinstance(value, float):
        return Kind.FLOAT, value
    if isinstance(value, (datetime, date)):
        return Kind.TIME, microseconds(value)
    if isinstance(value, (Mapping, SparseVector, Decimal, UUID, bytes)):
        return Kind.OBJECT, canonical(value)
    return Kind.LIST, canonical(value)


def microseconds(moment: datetime | date) -> int:
    """Microseconds since 1970 UTC; a date is its midnight, and no time zone means UTC."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=timezone.utc)
    elif moment.utcoffset() is None:
        moment = moment.replace(tzinfo=timezone.utc)
    elapsed = moment - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds


def canonical(value: Any) -> str:
    """JSON text that is equal exactly when two values are: keys sorted, 1.0 written as 1."""
    return to_json(_canonical(value)).decode()


def _canonical(value: Any) -> Any:
    if isinstance(value, SparseVector):
        value = value.to_dict()
    if isinstance(value, Mapping):
        # A key of the user's that could be taken for one of those below gets another "#".
        return {f"#{key}" if key[:1] == "#" else key: _canonical(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (datetime, date)):
        return {"#time": microseconds(value)}
    if isinstance(value, Decimal):
        return {"#decimal": _exact(value)}
    if isinstance(value, UUID):
        return {"#uuid": str(value)}
    if isinstance(value, bytes):
        return {"#bytes": b64encode(value).decode()}
    return value


def _exact(value: Decimal) -> str:
    """Text that equal decimals share: 1.50 and 15e-1 are 15e-1; nothing is rounded."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return str(value)  # NaN or an infinity
    text = "".join(map(str, digits)).lstrip("0")
    significant = text.rstrip("0")
    if not significant:
        return "0"
    return f"{'-' * sign}{significant}e{exponent + len(text) - len(significant)}"


def lookup(metadata: Mapping[str, Any] | None, key: str, missing: Any = _MISSING) -> Any:
    """The value under a key that may be a dotted path; a literal key wins over a path."""
    if metadata is None:
        return missing
    if key in metadata:
        return metadata[key]
    dot = key.find(".")
    while dot >= 0:
        inner = metadata.get(key[:dot])
        if isinstance(inner, Mapping):
            found = lookup(inner, key[dot + 1 :])
            if found is not _MISSING:
                return found
        dot = key.find(".", dot + 1)
    return missing


def is_missing(value: Any) -> bool:
    """Whether `lookup` found nothing (which is not the same as a stored null)."""
    return value is _MISSING
