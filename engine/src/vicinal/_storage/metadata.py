"""How is a record's metadata written down?

As JSON text. Python values that JSON lacks are tagged: `{"#type": "datetime", "value": "2026-01-31T…"}`,
likewise "date", "decimal", "uuid" and "bytes" (base64), and a sparse vector as Chroma sends it; an object
of the user's that has a "#type" key is wrapped in one of type "object".
NaN and the infinities are written as the words that JSON parsers commonly know.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic_core import PydanticSerializationError, from_json, to_json

from vicinal.types import SparseVector

_PLAIN = frozenset((str, int, float, bool, type(None)))
_TAG = "#type"
_READ: dict[str, Callable[[str], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": b64decode,
}


def encode(metadata: Mapping[str, Any] | None) -> str | None:
    """Metadata → JSON text; None stays None."""
    if metadata is None:
        return None
    for value in metadata.values():
        if type(value) not in _PLAIN:
            return _written(_tagged(metadata))
    return to_json(metadata).decode()


def decode(text: str | None) -> dict[str, Any] | None:
    """JSON text → metadata, equal to what was encoded."""
    if text is None:
        return None
    value = from_json(text)
    return _untagged(value) if f'"{_TAG}"' in text else value  # type: ignore[no-any-return]


def decode_all(texts: Sequence[str | None]) -> list[dict[str, Any] | None]:
    """The same of several, parsed at once."""
    joined = ",".join(["null" if text is None else text for text in texts])
    values: list[Any] = from_json(f"[{joined}]")
    if f'"{_TAG}"' in joined:
        return [None if value is None else _untagged(value) for value in values]
    return values


def _written(value: Any) -> str:
    try:
        return to_json(value).decode()
    except PydanticSerializationError:  # on Windows it goes 98 levels deep; tags are levels, too
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _tagged(value: Any) -> Any:
    if isinstance(value, Mapping):
        inner = {key: _tagged(item) for key, item in value.items()}
        return {_TAG: "object", "value": inner} if _TAG in inner else inner
    if isinstance(value, list):
        return [_tagged(item) for item in value]
    if isinstance(value, datetime):
        return {_TAG: "datetime", "value": value.isoformat()}
    if isinstance(value, date):
        return {_TAG: "date", "value": value.isoformat()}
    if isinstance(value, (Decimal, UUID)):
        return {_TAG: type(value).__name__.lower(), "value": str(value)}
    if isinstance(value, bytes):
        return {_TAG: "bytes", "value": b64encode(value).decode()}
    if isinstance(value, SparseVector):
        return value.to_dict()
    return value


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind: Any = value.get(_TAG)
    inner: Any = value.get("value")
    if isinstance(kind, str) and kind in _READ:
        return _READ[kind](inner)
    if kind == "sparse_vector":
        return SparseVector._stored(value)
    if kind == "object":
        value = inner
    return {key: _untagged(item) for key, item in value.items()}
