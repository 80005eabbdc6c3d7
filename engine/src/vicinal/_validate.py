"""Is this argument usable, and what is it exactly?

The caller's arguments become the values of a request here, once; everything inside asserts instead of
asking again. Nothing that the caller passed is changed: containers are copied, arrays are converted to
float32 in C order.
"""

from __future__ import annotations

import copy
import ipaddress
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import numpy as np

from vicinal._filter import Node, parse_where, parse_where_document
from vicinal._filter.ast import And
from vicinal._filter.values import canonical, lookup, scalar, unpacked
from vicinal._given import whole
from vicinal._request import Mmr, OrderBy
from vicinal._turns import in_turns
from vicinal.config import ExpiryConfiguration
from vicinal.errors import (
    ArgumentTypeError,
    DuplicateIDError,
    InvalidArgumentError,
    shown,
)
from vicinal.types import ReadLevel, SparseVector, Vectors

METADATA_DEPTH_MAX = 64
"""How deep lists and objects in metadata may nest."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,510}[a-zA-Z0-9]")
_REAL = (int, float, np.integer, np.floating)
_FIELDS = ("documents", "embeddings", "metadatas", "distances", "uris", "data")


# --- names -----------------------------------------------------------------------------------


def collection_name(name: Any, argument: str = "name") -> str:
    """3 to 512 characters of [a-zA-Z0-9._-], no two periods in a row, no IP address."""
    if not isinstance(name, str):
        raise ArgumentTypeError(argument=argument, expected="a str", got=name)
    problem = None
    if not all(map(_NAME.fullmatch, name.split("+", 1))):
        problem = (
            "containing 3-512 characters from [a-zA-Z0-9._-], starting and ending with a character "
            "in [a-zA-Z0-9]"
        )
    elif ".." in name:
        problem = "that does not contain two consecutive periods (..)"
    elif any(map(_is_ip_address, name.split("+", 1))):
        problem = "that is not a valid ip address"
    if problem:
        raise InvalidArgumentError(f"Validation error: {argument}: Expected a name {problem}. Got: {name}")
    return name


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


# --- records ---------------------------------------------------------------------------------


def one_or_many(value: Any, argument: str) -> list[Any]:
    """A single string or dictionary means a list of one, as everywhere in Chroma's API."""
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value.item()
    if isinstance(value, (str, Mapping)):
        return [value]
    if not isinstance(value, Iterable):
        raise ArgumentTypeError(argument=argument, expected="a list", got=value)
    return list(value)


def ids(value: Any, *, unique: bool = True) -> tuple[str, ...]:
    """Any non-empty strings; unique when they are to be written."""
    listed = one_or_many(value, "ids")
    for i, id in enumerate(listed):
        if not isinstance(id, str):
            raise ArgumentTypeError(argument=f"ID ids[{i}]", expected="a str", got=id)
        if not id:
            raise InvalidArgumentError(f"ids[{i}]: Empty ID, ID must have at least one character")
        if type(id) is not str or not id.isascii():
            listed[i] = unicode(id, f"ids[{i}]")
    if unique and len(set(listed)) != len(listed):
        seen: set[str] = set()
        repeated = [id for id in listed if id in seen or seen.add(id)]  # type: ignore[func-returns-value]
        raise DuplicateIDError(ids=list(dict.fromkeys(repeated)))
    return tuple(listed)


def unicode(text: str, argument: str) -> str:
    """Refuse half a surrogate pair: it is no character, and no file can hold it."""
    return str(_scalar(text, argument))


def _scalar(value: Any, argument: str) -> Any:
    try:
        return scalar(value)
    except ValueError as error:
        raise InvalidArgumentError(f"{argument}: {error}") from None


def embeddings(value: Any, argument: str = "embeddings") -> Vectors:
    """Lists, tuples, arrays, or one vector alone → float32 of shape (n, dimension)."""
    try:
        array = _array(value)
    except (TypeError, ValueError):
        raise InvalidArgumentError(_bad_embeddings(value, argument)) from None
    if array.ndim == 1 and array.size:
        array = array[np.newaxis]
    if array.size == 0 and len(array) == 0:
        return np.empty((0, 0), dtype=np.float32)
    if array.ndim != 2 or array.shape[1] == 0:
        raise InvalidArgumentError(
            f"Expected {argument} to be vectors of at least one component: shape (n, dimension), "
            f"got shape {array.shape}"
        )
    finite = np.isfinite(array)
    if not finite.all():
        first = int(np.argmin(finite.all(axis=1)))
        raise InvalidArgumentError(
            f"{argument}[{first}]: Embeddings must not contain NaN or Infinity values (as float32)"
        )
    return np.ascontiguousarray(array)


_STACKED = 1024
_CONVERTED = 2**16
"""Numbers of Python's that become an array in one step: a millisecond in which no other thread runs."""


def _array(value: Any) -> Vectors:
    """One float32 array; overflow to infinity is found by the caller, not warned about."""
    if hasattr(value, "__array__"):  # also of a DataFrame, which iterates over its labels
        value = np.asarray(value)
    if isinstance(value, (Mapping, bytes, bytearray)):
        raise TypeError(value)
    if not isinstance(value, np.ndarray) or value.dtype == np.object_:
        value = list(value)
        # In pieces, because making an array of many vectors holds the GIL for as long as it lasts.
        if value and isinstance(value[0], np.ndarray):
            value = _joined(_stacked, value, _STACKED)
        elif value and isinstance(value[0], (list, tuple)):
            value = _joined(_float32, value, _CONVERTED // (len(value[0]) + 1) + 1)
    return _float32(value)


def _joined(array_of: Callable[[list[Any]], Any], vectors: list[Any], size: int) -> Any:
    pieces = [array_of(vectors[i : i + size]) for i in range(0, len(vectors), size)]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _stacked(arrays: list[Any]) -> Any:
    return arrays[0][np.newaxis] if len(arrays) == 1 else np.stack(arrays)


def _float32(value: Any) -> Vectors:
    array = np.asarray(value)
    if array.dtype == np.float32:
        return array
    if array.dtype == np.object_:  # which is what numpy makes of integers that no type of its own holds
        array = _float64(array)
    if array.size and array.dtype.kind not in "fiu":
        raise TypeError(array.dtype)
    with np.errstate(over="ignore"):
        return cast(Vectors, array.astype(np.float32, copy=False))


_REAL = (int, float, np.integer, np.floating)


def _float64(array: Any) -> Any:
    """Numbers of Python's, of which one too large for a float is infinite."""
    if not all(isinstance(x, _REAL) and not isinstance(x, bool) for x in array.flat):
        raise TypeError(array.dtype)
    converted = np.empty(array.shape)
    for place, number in enumerate(array.flat):
        try:
            converted.flat[place] = float(number)
        except OverflowError:
            converted.flat[place] = np.inf
    return converted


def _bad_embeddings(value: Any, argument: str) -> str:
    """Ragged vectors are told apart from things that are no vectors at all."""
    try:
        lengths = {len(vector) for vector in value if not isinstance(vector, str)}
        numbers = all(isinstance(x, (int, float, np.number)) for vector in value for x in vector)
    except TypeError:
        lengths, numbers = set(), False
    if len(lengths) > 1 and numbers:
        return f"{argument}: Inconsistent dimensions in provided embeddings: {sorted(lengths)}"
    return (
        f"Expected {argument} to be a list of floats or ints, a list of lists, a numpy array, or a list "
        f"of numpy arrays, got {shown(value, 80)}"
    )


def documents(value: Any) -> tuple[str | None, ...] | None:
    return _texts(value, "documents")


def texts(value: Any, argument: str) -> tuple[str, ...]:
    """Texts, none of them missing."""
    listed = _texts(value, argument) or ()
    for i, text in enumerate(listed):
        if text is None:
            raise ArgumentTypeError(argument=f"{argument}[{i}]", expected="a str", got=text)
    return tuple(text for text in listed if text is not None)


def uris(value: Any) -> tuple[str | None, ...] | None:
    return _texts(value, "uris")


def _texts(value: Any, argument: str) -> tuple[str | None, ...] | None:
    if value is None:
        return None
    listed = one_or_many(value, argument)
    for i, text in enumerate(listed):
        if text is None:
            continue
        if not isinstance(text, str):
            raise ArgumentTypeError(argument=f"{argument}[{i}]", expected="a str", got=text)
        if type(text) is not str or not text.isascii():
            listed[i] = unicode(text, f"{argument}[{i}]")
    return tuple(listed)


def same_length(ids: tuple[str, ...], **columns: Any) -> None:
    """Every given column has one value per id."""
    lengths = {"ids": len(ids)}
    lengths.update({name: len(column) for name, column in columns.items() if column is not None})
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise InvalidArgumentError(f"Unequal lengths for fields: {shown}")


# --- metadata --------------------------------------------------------------------------------

_ORDINARY = frozenset({str, int, float, bool, type(None)})


def metadatas(value: Any) -> tuple[dict[str, Any] | None, ...] | None:
    """Per record a JSON object (datetime and date are values too) or None; copied and normalised."""
    if value is None:
        return None
    listed = one_or_many(value, "metadatas")
    known: set[str] = set()
    return tuple(
        None if item is None else _plain(item, known) or metadata(item, f"metadatas[{i}]", known)
        for i, item in enumerate(in_turns(listed))
    )


def _plain(value: Any, known: set[str]) -> dict[str, Any] | None:
    """A copy of metadata that needs no more than that, as nearly all does: known keys, ordinary values."""
    if type(value) is not dict or not known.issuperset(value):
        return None
    kinds = set(map(type, value.values()))
    if not kinds <= _ORDINARY:
        return None
    if int in kinds and any([abs(item) >= 2**63 for item in value.values() if type(item) is int]):  # noqa: C419
        return None
    if str in kinds and not "".join([item for item in value.values() if type(item) is str]).isascii():
        return None
    return value.copy()


def metadata(value: Any, argument: str, known: set[str] | None = None) -> dict[str, Any]:
    """One record's metadata; its keys are added to those that are `known` to be good."""
    if not isinstance(value, Mapping):
        raise ArgumentTypeError(argument=argument, expected="a dict or None", got=value)
    for key in value:
        if isinstance(key, str) and (not key or key[0] in "#$" or key == "chroma:document"):
            raise InvalidArgumentError(
                f"{argument}: the key {key!r} cannot be used; keys are non-empty, do not start with '#' "
                "or '$', which filters use, and are not Chroma's own 'chroma:document'"
            )
    checked = _object(value, argument, 0)
    if known is not None:
        known.update(checked)
    return checked


def collection_metadata(value: Any) -> dict[str, Any] | None:
    return None if value is None else metadata(value, "metadata")


def _object(value: Mapping[Any, Any], argument: str, depth: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise ArgumentTypeError(argument=f"{argument} key", expected="a str", got=key)
        if not key.isascii():
            unicode(key, f"{argument} key")
        kind = type(item)
        if kind is str:
            out[key] = item if item.isascii() else unicode(item, f'{argument}["{key}"]')
        elif kind is float or kind is bool or item is None or (kind is int and abs(item) < 2**63):
            out[key] = item
        else:
            out[key] = _value(item, f'{argument}["{key}"]', depth)
    return out


def _value(value: Any, argument: str, depth: int) -> Any:
    if isinstance(value, np.ndarray):
        value = unpacked(value)
    value = _scalar(value, argument)
    if value is None or isinstance(value, (bool, str, int, float, datetime, date, Decimal, UUID, bytes)):
        return value
    if depth >= METADATA_DEPTH_MAX:
        raise InvalidArgumentError(f"{argument}: metadata may nest at most {METADATA_DEPTH_MAX} deep")
    if isinstance(value, SparseVector):
        return copy.deepcopy(value)
    if isinstance(value, Mapping):
        return _sparse(value, argument) or _object(value, argument, depth + 1)
    if isinstance(value, (list, tuple)):
        return [_value(item, f"{argument}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, (set, frozenset)):  # a list, in an order that does not change from run to run
        return sorted((_value(item, f"{argument}{{…}}", depth + 1) for item in value), key=canonical)
    raise ArgumentTypeError(
        argument=argument,
        expected="a str, int, float, bool, None, datetime, date, Decimal, UUID, bytes, SparseVector, list, "
        "set or dict",
        got=value,
    )


def _sparse(value: Mapping[Any, Any], argument: str) -> SparseVector | None:
    """The sparse vector that Chroma's JSON of one describes."""
    if value.get("#type") != "sparse_vector" or not {"indices", "values"} <= set(value):
        return None
    try:
        return SparseVector.from_dict(value)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{argument}: {error}") from None


def only_metadata(value: Any) -> dict[str, Any]:
    """The one dictionary that goes to every record that a filter selects."""
    expected = "one dict, for all records that where or where_document selects"
    if not isinstance(value, Iterable):
        raise ArgumentTypeError(argument="metadatas", expected=expected, got=value)
    listed = one_or_many(value, "metadatas")
    if len(listed) != 1:
        raise InvalidArgumentError(
            f"metadatas: with where or where_document, expected one dict for all records, got {len(listed)}"
        )
    if not isinstance(listed[0], Mapping):
        raise ArgumentTypeError(argument="metadatas", expected=expected, got=value)
    return metadata(listed[0], "metadatas")


def expiry(column: Iterable[Mapping[str, Any] | None] | None, configured: ExpiryConfiguration | None) -> None:
    """Refuse what says no moment where a collection looks for one."""
    if configured is None:
        return
    for i, item in enumerate(column or ()):
        moment = lookup(item, configured.key, None)
        if isinstance(moment, bool) or not isinstance(moment, (int, float, datetime, date, type(None))):
            raise ArgumentTypeError(
                argument=f'metadatas[{i}]["{configured.key}"]',
                expected="a datetime, a date or seconds since 1970 (when the record expires), or None",
                got=moment,
            )
        if isinstance(moment, float) and math.isnan(moment):
            raise InvalidArgumentError(f'metadatas[{i}]["{configured.key}"]: NaN is no moment in time')


# --- reading ---------------------------------------------------------------------------------


def read_level(value: Any) -> None:
    """One of Chroma's levels; all mean the same here."""
    try:
        ReadLevel(value)
    except ValueError:
        raise InvalidArgumentError(
            f"read_level: expected one of {', '.join(level.value for level in ReadLevel)}, got {shown(value)}"
        ) from None


def key(value: Any, argument: str) -> str:
    """A metadata key whose values can be looked at across records, or "#id"."""
    if not isinstance(value, str):
        raise ArgumentTypeError(argument=argument, expected="a str", got=value)
    if not value or (value[0] in "#$" and value != "#id"):
        raise InvalidArgumentError(f"{argument}: expected a metadata key or '#id', got {shown(value)}")
    return unicode(value, argument)


def order(value: Any) -> tuple[OrderBy, ...]:
    """`"key"`, `"-key"`, or several of them."""
    if value is None:
        return ()
    listed = [value] if isinstance(value, str) else one_or_many(value, "order_by")
    keys = []
    for i, given in enumerate(listed):
        argument = "order_by" if isinstance(value, str) else f"order_by[{i}]"
        signed = isinstance(given, str) and given[:1] in ("-", "+")
        keys.append(OrderBy(key(given[1:] if signed else given, argument), signed and given[0] == "-"))
    return tuple(keys)


def include(value: Any, *, distances: bool) -> tuple[str, ...]:
    """Which columns the answer shall have; `distances` only where there is a query."""
    fields = one_or_many(value, "include")
    allowed = _FIELDS if distances else tuple(field for field in _FIELDS if field != "distances")
    for field in fields:
        if field not in allowed:
            raise InvalidArgumentError(
                f"Expected include item to be one of {', '.join(allowed)}, got {shown(field)}"
            )
    return tuple(fields)


def bounds(limit: Any, offset: Any) -> dict[str, Any]:
    """`limit` and `offset` of a request: at most so many, None for all, after skipping so many."""
    return {
        "limit": None if limit is None else whole(limit, "limit", 0),
        "offset": 0 if offset is None else whole(offset, "offset", 0),
    }


def n_results(value: Any) -> int:
    """How many results are wanted, at least one; for less Chroma, too, raises a `TypeError`."""
    if not isinstance(value, bool) and isinstance(value, (int, np.integer)) and value < 1:
        raise ArgumentTypeError(argument="n_results", expected="an int of at least 1", got=value)
    return whole(value, "n_results", 1)


def fraction(value: Any, argument: str) -> float:
    """A number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, _REAL):
        raise ArgumentTypeError(argument=argument, expected="a number from 0 to 1", got=value)
    if not 0 <= value <= 1:  # as NaN is not
        raise InvalidArgumentError(f"{argument}: expected a number from 0 to 1, got {value}")
    return float(value)


def mmr(lambda_mult: Any, fetch_k: Any, k: int) -> Mmr | None:
    """Maximal marginal relevance, when it is asked for."""
    if lambda_mult is None:
        if fetch_k is not None:
            raise InvalidArgumentError(
                "fetch_k belongs to MMR, a mixture or a reranker: give lambda_mult (0 to 1), "
                'mode="hybrid" or rerank with it'
            )
        return None
    fetched = max(20, 4 * k) if fetch_k is None else whole(fetch_k, "fetch_k", 1)
    return Mmr(fraction(lambda_mult, "lambda_mult"), max(fetched, k))


def distance(value: Any, argument: str) -> float:
    """A number; negative ones too, because inner products have no bounds."""
    if isinstance(value, bool) or not isinstance(value, _REAL):
        raise ArgumentTypeError(argument=argument, expected="a number", got=value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if math.isnan(number):
        raise InvalidArgumentError(f"{argument}: expected a number, got NaN")
    return number


def condition(where: Any, where_document: Any) -> Node | None:
    """One filter tree out of both arguments."""
    parts: list[Node] = []
    if where is not None:
        parts.append(parse_where(where))
    if where_document is not None:
        parts.append(parse_where_document(where_document))
    if len(parts) == 2:
        return And(tuple(parts))
    return parts[0] if parts else None
