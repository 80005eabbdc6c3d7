"""What kind of value is this, and how is it compared?

The one place where a Python value becomes a (kind, comparable) pair; filter operands and stored
metadata both go through it, so they cannot disagree. Also: the literal-first lookup of dotted keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import Any

from pydantic_core import to_json

from vicinal._filter.ast import Kind

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MISSING = object()


def classify(value: Any) -> tuple[Kind, Any]:
    """The kind of a metadata value and the form in which it is compared.

    Lists and objects become canonical JSON text, datetimes and dates microseconds.
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
    if isinstance(value, Mapping):
        return Kind.OBJECT, canonical(value)
    return Kind.LIST, canonical(value)


def microseconds(moment: datetime | date) -> int:
    """Microseconds since 1970 UTC; a date is its midnight, and no time zone means UTC."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=timezone.utc)
    elif moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    elapsed = moment - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds


def canonical(value: Any) -> str:
    """JSON text that is equal exactly when two values are: keys sorted, 1.0 written as 1."""
    return to_json(_canonical(value)).decode()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _canonical(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (datetime, date)):
        return {"#time": microseconds(value)}
    return value


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
            found = lookup(inner, key[dot + 1 :], _MISSING)
            if found is not _MISSING:
                return found
        dot = key.find(".", dot + 1)
    return missing


def is_missing(value: Any) -> bool:
    """Whether `lookup` found nothing (which is not the same as a stored null)."""
    return value is _MISSING
