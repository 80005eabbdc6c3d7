"""In which order does `get(order_by=…)` list records, and which values of a key are there?

Works on columns (`_index/columns.py`), never on JSON: a record's place is a number, computed for all rows
at once. Values of different kinds are ordered by kind: null, false, true, numbers, dates and datetimes,
strings, lists, objects. Numbers compare mathematically, NaN after all others; strings by code point;
dates and datetimes by instant; lists and objects by their JSON text, but Decimals, before the other objects,
by their value. A record without the key has no place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal._filter.ast import Kind
from vicinal._index.columns import BIG, Column, of_kinds
from vicinal._index.view import Rows
from vicinal._request import OrderBy
from vicinal._snapshot import Snapshot

Ranks = NDArray[np.int64]
_EXACT_AS_FLOAT = 2**53
_LAST = np.iinfo(np.int64).max
_DECIMAL = re.compile(r'\0\{"#decimal":"([^"]*)"\}')  # as a column's dictionary has it


def ordered(snapshot: Snapshot, rows: Rows, order: Sequence[OrderBy]) -> Rows:
    """Rows sorted by one key after the other; equal ones stay as they came, those without the key last."""
    columns = snapshot.columns(by.key for by in order)
    for by in reversed(order):
        ranks = ranks_of(columns[by.key], rows)
        missing = ranks < 0
        ranks = -ranks if by.descending else ranks
        ranks[missing] = _LAST
        rows = rows[np.argsort(ranks, kind="stable")]
    return rows


def ranks_of(column: Column, rows: Rows) -> Ranks:
    """The place of each row's value among all of them: equal values share one, −1 is no value."""
    kinds, values = column.kinds[rows], column.values[rows]
    ranks = np.full(len(rows), -1, dtype=np.int64)
    first = 0
    for group in _GROUPS:
        chosen = np.flatnonzero(of_kinds(kinds, *group))
        if not len(chosen):
            continue
        if Kind.INT in group:
            within = _rank_numbers(column, rows[chosen], kinds[chosen], values[chosen])
        elif group[0] in (Kind.STRING, Kind.LIST):
            within = _rank_texts(column, values[chosen], str)
        elif Kind.OBJECT in group:
            within = _rank_texts(column, values[chosen], _place_of_object)
        else:
            within = _dense(values[chosen])
        ranks[chosen] = first + within
        first += int(within.max()) + 1
    return ranks


_GROUPS: tuple[tuple[int, ...], ...] = (
    (Kind.NULL,),
    (Kind.BOOL,),
    (Kind.INT, Kind.FLOAT, BIG),
    (Kind.TIME,),
    (Kind.STRING,),
    (Kind.LIST,),
    (Kind.OBJECT,),
)


def _dense(values: NDArray[Any]) -> Ranks:
    """0 for the least value, 1 for the next …"""
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _rank_texts(column: Column, codes: Ranks, place_of: Callable[[str], Any]) -> Ranks:
    """Codes ranked by the places of the texts that they stand for."""
    present, inverse = np.unique(codes, return_inverse=True)
    strings = column.dictionary.strings
    by_text = sorted(range(len(present)), key=lambda i: place_of(strings[present[i]]))
    place = np.empty(len(present), dtype=np.int64)
    place[by_text] = np.arange(len(present))
    return place[inverse.reshape(-1)]


def _place_of_object(text: str) -> tuple[int, Decimal | str]:
    """Decimals as the numbers that they are, NaN last; then objects, UUIDs and bytes by their text."""
    found = _DECIMAL.fullmatch(text)
    try:
        number = Decimal(found[1] if found else "")
    except InvalidOperation:
        return 2, text
    return (1, text) if number.is_nan() else (0, number)


def _rank_numbers(column: Column, rows: Rows, kinds: NDArray[np.uint8], values: Ranks) -> Ranks:
    """Integers and floats together, exactly."""
    ints, floats = of_kinds(kinds, Kind.INT), of_kinds(kinds, Kind.FLOAT)
    if ints.all():
        return _dense(values)
    inside = np.abs(values[ints].astype(np.float64)) < _EXACT_AS_FLOAT
    if inside.all() and (ints | floats).all():
        return _dense(np.where(ints, values.astype(np.float64), values.view(np.float64)))
    numbers = [_place_of_number(_number(column, *of)) for of in zip(rows, kinds, values)]
    places = {number: place for place, number in enumerate(sorted(set(numbers)))}
    return np.array([places[number] for number in numbers], dtype=np.int64)


def _place_of_number(number: int | float) -> tuple[bool, int | float]:
    """NaN last. Integers may be larger than a float can be, so `math.isnan` could not be asked."""
    return (False, number) if number == number else (True, 0)  # noqa: PLR0124


def _number(column: Column, row: Any, kind: int, value: Any) -> int | float:
    if kind == BIG:
        return column.big[int(row)]
    return int(value) if kind == Kind.INT else float(np.int64(value).view(np.float64))
