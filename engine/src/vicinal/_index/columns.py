"""Which rows have this value?

A metadata key is a column: per row one byte for the kind of value and eight for the value itself (an
integer, a float's bits, or a code into a dictionary of strings). Filters become comparisons of whole
arrays. A column is built in the background, or when a filter first names its key, and then catches up
with the change log; each version is immutable, so a running query keeps the one it started with.

The rules of comparison are those of `_filter/ast.py`; a row without the key satisfies no positive
statement except `empty`.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vicinal._filter.ast import Kind, Operand, Operands, Order
from vicinal._filter.masks import Mask
from vicinal._filter.patterns import Predicate
from vicinal._filter.values import classify
from vicinal._index.view import Rows, View, appended

BIG = 255
"""The kind of integers beyond 64 bits, which live in `Column.big`."""
_EMPTY = Operands(((Kind.STRING, ("",)), (Kind.LIST, ("[]",))))
_NO_ROWS: Rows = np.empty(0, dtype=np.int64)
_UNSORTED_MAX = 256  # strings that are asked one by one rather than sorted anew
_WASTE_MIN = 1024  # strings, or items of lists, that may have been replaced before they are done away with
_INT64 = (-(2**63), 2**63 - 1)


class Covered(NamedTuple):
    """What a column knows of: the rows before `rows`, as of a change of a generation."""

    change: int
    generation: int
    rows: int

    @classmethod
    def all_of(cls, view: View) -> Covered:
        return cls(view.change, view.generation, view.rows)


@dataclass
class Dictionary:
    """Strings and their codes. Only ever grows, so that versions of a column can share it."""

    codes: dict[str, int] = field(default_factory=dict)
    strings: list[str] = field(default_factory=list)
    _sorted: tuple[list[str], NDArray[np.int64]] = field(default=([], np.empty(0, dtype=np.int64)))
    """The first strings sorted, and the place of each among them."""

    def code(self, text: str) -> int:
        """The code of a string, new if need be."""
        code = self.codes.get(text)
        if code is None:
            code = self.codes[text] = len(self.strings)
            self.strings.append(text)
        return code

    def table(self, predicate: Predicate) -> Mask:
        """Which codes' strings satisfy a predicate."""
        return np.fromiter(map(predicate, list(self.strings)), dtype=np.bool_)

    def table_ordered(self, order: Order, bound: str) -> Mask:
        """Which codes' texts are ordered so against a bound: most of them sorted once, the newest asked."""
        strings = list(self.strings)
        ordered, places = self._sorted
        if len(strings) > _UNSORTED_MAX + len(ordered) * 9 // 8:
            by_text = sorted(range(len(strings)), key=strings.__getitem__)
            ordered, places = [strings[code] for code in by_text], np.empty(len(strings), dtype=np.int64)
            places[by_text] = np.arange(len(strings))
            self._sorted = ordered, places
        cut = (bisect_left if order in ("gte", "lt") else bisect_right)(ordered, bound)
        table: Mask = places >= cut if order in ("gt", "gte") else places < cut
        newest = np.fromiter(map(_COMPARE[order](bound), strings[len(ordered) :]), dtype=np.bool_)
        return np.concatenate([table, newest])


@dataclass(frozen=True)
class Column:
    """One key's values for rows [0, len)."""

    kinds: NDArray[np.uint8]
    values: NDArray[np.int64]
    big: dict[int, int]
    dictionary: Dictionary
    item_rows: Rows
    """For every item of every list, the row of its list; −1 when that list was replaced."""
    items: Column | None

    # --- the questions that filters ask ----------------------------------------------------------

    def equal(self, operands: Operands) -> Mask:
        """Rows whose value equals one of the operands."""
        mask = np.zeros(len(self.kinds), dtype=np.bool_)
        for kind, wanted in self._encoded(operands).items():
            values: NDArray[Any] = self._floats() if kind is Kind.FLOAT else self.values
            array = np.array(wanted, dtype=values.dtype)
            if len(array) == 1:
                mask |= self._of(kind) & (values == array[0])
            elif kind in (Kind.STRING, Kind.LIST, Kind.OBJECT):  # codes: looked up, not compared
                wanted_code = np.zeros(len(self.dictionary.strings), dtype=np.bool_)
                wanted_code[array] = True
                mask |= self._coded(kind, wanted_code)
            else:
                mask |= self._of(kind) & np.isin(values, array)
        if self.big:
            kinds = (Kind.INT, Kind.FLOAT)
            numbers = {value for kind, values in operands.groups if kind in kinds for value in values}
            mask[[row for row, value in self.big.items() if value in numbers]] = True
        return mask

    def ordered(self, order: Order, operand: Operand) -> Mask:
        """Rows whose value is of the operand's kind and ordered so against it."""
        if operand.kind in (Kind.INT, Kind.FLOAT):
            return self._ordered_numbers(order, operand.value)
        if operand.kind is Kind.STRING:
            return self._coded(Kind.STRING, self.dictionary.table_ordered(order, str(operand.value)))
        if operand.kind is Kind.TIME:
            return self._of(Kind.TIME) & _compare_ints(self.values, order, operand.value)
        return np.zeros(len(self.kinds), dtype=np.bool_)

    def holding(self, operands: Operands) -> Mask:
        """Rows whose value is a list with an item equal to one of the operands."""
        mask = np.zeros(len(self.kinds), dtype=np.bool_)
        if self.items is not None:
            rows = self.item_rows[self.items.equal(operands)]
            mask[rows[rows >= 0]] = True
        return mask

    def lists(self) -> Mask:
        """Rows whose value is a list."""
        return self._of(Kind.LIST)

    def present(self) -> Mask:
        """Rows that have the key."""
        return ~self._of(Kind.MISSING)

    def empty(self) -> Mask:
        """Rows without the key, or with null, "" or []."""
        nothing = self._of(Kind.MISSING) | self._of(Kind.NULL)
        return nothing | self.equal(_EMPTY)

    def strings(self, predicate: Predicate) -> Mask:
        """Rows whose value is a string that satisfies a predicate, asked once per distinct string."""
        if len(self.values) >= len(self.dictionary.strings):
            return self._coded(Kind.STRING, self.dictionary.table(predicate))
        rows = np.flatnonzero(self._of(Kind.STRING))
        mask = np.zeros(len(self.kinds), dtype=np.bool_)
        codes, places = np.unique(self.values[rows], return_inverse=True)
        strings = self.dictionary.strings
        asked = np.fromiter((predicate(strings[code]) for code in codes.tolist()), dtype=np.bool_)
        mask[rows] = asked[places.reshape(-1)]
        return mask

    def pick(self, rows: Rows) -> Column:
        """The same values for some ascending rows only, numbered from 0."""
        chosen = (
            {row: place for place, row in enumerate(rows.tolist()) if row in self.big} if self.big else {}
        )
        item_rows, items = _NO_ROWS, self.items
        if items is not None and len(rows):
            places = np.minimum(np.searchsorted(rows, self.item_rows), len(rows) - 1)
            kept = np.flatnonzero(rows[places] == self.item_rows)
            item_rows, items = places[kept], items.pick(kept)
        return Column(
            self.kinds[rows],
            self.values[rows],
            {place: self.big[row] for row, place in chosen.items()},
            self.dictionary,
            item_rows,
            items if len(rows) else None,
        )

    # --- how -----------------------------------------------------------------------------------

    def _of(self, kind: Kind) -> Mask:
        return of_kinds(self.kinds, kind)

    def _coded(self, kind: Kind, table: Mask) -> Mask:
        """Rows of a kind whose code a table names."""
        mask = self._of(kind)
        if len(table):
            mask &= table.take(self.values, mode="clip")  # other kinds' values may be no codes
        return mask

    def _floats(self) -> NDArray[np.float64]:
        return self.values.view(np.float64)

    def _encoded(self, operands: Operands) -> dict[Kind, list[Any]]:
        """Operands as stored values, by the kind of row that can equal them."""
        encoded: dict[Kind, list[Any]] = {}
        for kind, values in operands.groups:
            if kind in (Kind.INT, Kind.FLOAT):
                for value in values:
                    whole = int(value) if value == int(value) else None  # type: ignore[arg-type]
                    if whole is not None and _INT64[0] <= whole <= _INT64[1]:
                        encoded.setdefault(Kind.INT, []).append(whole)
                    as_float = _float(value)
                    if as_float == value:
                        encoded.setdefault(Kind.FLOAT, []).append(as_float)
            elif kind in (Kind.STRING, Kind.LIST, Kind.OBJECT):
                texts: Iterable[Any] = values
                if kind is not Kind.STRING:
                    texts = map(_text, values)
                codes = [code for code in map(self.dictionary.codes.get, texts) if code is not None]
                if codes:
                    encoded[kind] = codes
            else:
                encoded[kind] = [int(value or 0) for value in values]
        return encoded

    def _ordered_numbers(self, order: Order, bound: Any) -> Mask:
        mask = self._of(Kind.INT)
        mask &= _compare_ints(self.values, order, bound)
        as_float = _float(bound)
        float_order = order
        if as_float != bound:  # an integer between two floats: make the comparison strict or not
            upward = order in ("gt", "gte")
            inside = as_float > bound if upward else as_float < bound
            float_order = ("gte" if inside else "gt") if upward else ("lte" if inside else "lt")
        floats = self._of(Kind.FLOAT)
        if floats.any():
            with np.errstate(invalid="ignore"):  # other kinds' bits may look like any float
                floats &= _UFUNCS[float_order](self._floats(), as_float)
            mask |= floats
        for row, value in self.big.items():
            mask[row] = _COMPARE[order](bound)(value)
        return mask


_UFUNCS: dict[str, Any] = {
    "gt": np.greater,
    "gte": np.greater_equal,
    "lt": np.less,
    "lte": np.less_equal,
}

_COMPARE: dict[str, Any] = {
    "gt": lambda bound: lambda value: value > bound,
    "gte": lambda bound: lambda value: value >= bound,
    "lt": lambda bound: lambda value: value < bound,
    "lte": lambda bound: lambda value: value <= bound,
}


def of_kinds(kinds: NDArray[np.uint8], *wanted: int) -> Mask:
    """Which of some kinds are one of those wanted, enums or `BIG`.

    Of an enum numpy makes an int64, and of all kinds, too, which takes ten times as long; `np.isin` more.
    """
    mask: Mask = kinds == int(wanted[0])
    for kind in wanted[1:]:
        mask |= kinds == int(kind)
    return mask


def _float(number: Any) -> float:
    """The nearest float, infinite for integers beyond all floats."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _compare_ints(values: NDArray[np.int64], order: Order, bound: Any) -> Mask:
    """Compare integers with any number exactly: the bound becomes the nearest integer inside."""
    if order in ("gt", "gte"):
        least = math.floor(bound) + 1 if order == "gt" else math.ceil(bound)
        if least > _INT64[1]:
            return np.zeros(len(values), dtype=np.bool_)
        above: Mask = values >= max(least, _INT64[0])
        return above
    most = math.ceil(bound) - 1 if order == "lt" else math.floor(bound)
    if most < _INT64[0]:
        return np.zeros(len(values), dtype=np.bool_)
    below: Mask = values <= min(most, _INT64[1])
    return below


def _text(canonical: Any) -> str:
    """The dictionary's key of a list's or object's canonical text."""
    return f"\0{canonical}"


# --- building ----------------------------------------------------------------------------------


def empty(rows: int = 0) -> Column:
    """A column in which no row has the key."""
    return Column(
        kinds=np.zeros(rows, dtype=np.uint8),
        values=np.zeros(rows, dtype=np.int64),
        big={},
        dictionary=Dictionary(),
        item_rows=np.empty(0, dtype=np.int64),
        items=None,
    )


def extend(old: Column, rows: int, altered: Rows, at: Sequence[int], found: Sequence[Any]) -> Column:
    """The next version: `rows` long, with the values found at some rows; altered rows forget theirs first.

    Extend each version at most once: the next one's rows are put behind its own, into the same memory, where
    there is room (`appended`).
    """
    if len(altered):
        old = _tidied(old)
    more = rows - len(old.kinds)
    kinds = appended(old.kinds, np.zeros(more, dtype=np.uint8))
    values = appended(old.values, np.zeros(more, dtype=np.int64))
    if len(altered):
        kinds, values = kinds.copy(), values.copy()
        kinds[altered] = Kind.MISSING
    gone = set(altered.tolist())
    big = {row: value for row, value in old.big.items() if row not in gone}
    item_rows, items = old.item_rows, old.items
    if len(item_rows) and gone:
        item_rows = np.where(np.isin(item_rows, altered), -1, item_rows)
    alike = _alike(old.dictionary, found)
    if alike is not None:
        places = np.array(at, dtype=np.int64)
        kinds[places], values[places] = alike
        return Column(kinds, values, big, old.dictionary, item_rows, items)
    gathered = _Gathered(old.dictionary, big)
    for row, value in zip(at, found):
        gathered.put(row, value)
    gathered.into(kinds, values)
    if gathered.item_rows:
        before = items or empty()
        first, count = len(before.kinds), len(gathered.items)
        items = extend(before, first + count, _NO_ROWS, range(first, first + count), gathered.items)
        item_rows = np.concatenate([item_rows, np.array(gathered.item_rows, dtype=np.int64)])
    return Column(kinds, values, big, old.dictionary, item_rows, items)


def _tidied(column: Column) -> Column:
    """The same without strings and items of lists that were replaced, once those are the most.

    Else a key such as `last_seen` would gather them for as long as no compaction begins columns anew.
    """
    kept = np.flatnonzero(column.item_rows >= 0)
    if column.items is not None and len(column.item_rows) > _WASTE_MIN + 2 * len(kept):
        items = _tidied(column.items.pick(kept))
        column = replace(column, item_rows=column.item_rows[kept], items=items)
    strings = column.dictionary.strings
    if len(strings) <= _WASTE_MIN + 2 * len(column.kinds):
        return column
    coded = of_kinds(column.kinds, Kind.STRING, Kind.LIST, Kind.OBJECT)
    codes, places = np.unique(column.values[coded], return_inverse=True)
    used = [strings[code] for code in codes.tolist()]
    values = column.values.copy()
    values[coded] = places.reshape(-1)
    dictionary = Dictionary({text: code for code, text in enumerate(used)}, used)
    return replace(column, values=values, dictionary=dictionary)


def _alike(dictionary: Dictionary, found: Sequence[Any]) -> tuple[Kind, NDArray[np.int64]] | None:
    """The stored form of values that are all strings, or all integers, floats or bools, as most keys' are."""
    types = set(map(type, found))
    if types == {str}:
        return Kind.STRING, np.fromiter(map(dictionary.code, found), dtype=np.int64, count=len(found))
    if types == {int}:
        try:
            return Kind.INT, np.array(found, dtype=np.int64)
        except OverflowError:
            return None
    if types == {float}:
        return Kind.FLOAT, np.array(found, dtype=np.float64).view(np.int64)
    return (Kind.BOOL, np.array(found, dtype=np.int64)) if types == {bool} else None


# --- checkpoints -------------------------------------------------------------------------------


def pack(column: Column) -> dict[str, NDArray[Any]]:
    """A column as arrays of numbers, for a file; texts as the bytes of JSON."""
    packed: dict[str, NDArray[Any]] = {
        "kinds": column.kinds,
        "values": column.values,
        "strings": _json_bytes(column.dictionary.strings),
        "big": _json_bytes([[row, str(value)] for row, value in column.big.items()]),
        "item_rows": column.item_rows,
    }
    if column.items is not None:
        packed.update({f"items.{name}": array for name, array in pack(column.items).items()})
    return packed


def unpack(packed: dict[str, NDArray[Any]], rows: int) -> Column:
    """The column of so many rows that `pack` packed; `ValueError` when it cannot be one."""
    kinds, values = packed["kinds"], packed["values"]
    if kinds.shape != (rows,) or values.shape != (rows,):
        raise ValueError(rows)
    strings = [str(text) for text in json.loads(packed["strings"].tobytes())]
    dictionary = Dictionary({text: code for code, text in enumerate(strings)}, strings)
    big = {int(row): int(value) for row, value in json.loads(packed["big"].tobytes())}
    inside = {name.removeprefix("items."): a for name, a in packed.items() if name.startswith("items.")}
    item_rows = packed["item_rows"]
    items = unpack(inside, len(item_rows)) if inside else None
    return Column(kinds, values, big, dictionary, item_rows, items)


def _json_bytes(value: Any) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


class _Gathered:
    """Values collected row by row, then stored in a few array assignments."""

    def __init__(self, dictionary: Dictionary, big: dict[int, int]) -> None:
        self.dictionary, self.big = dictionary, big
        self.rows: list[int] = []
        self.kinds: list[int] = []
        self.values: list[int] = []
        self.float_rows: list[int] = []
        self.floats: list[float] = []
        self.item_rows: list[int] = []
        self.items: list[Any] = []

    def put(self, row: int, value: Any) -> None:
        kind: int
        kind, comparable = classify(value)
        if kind == Kind.FLOAT:
            self.float_rows.append(row)
            self.floats.append(comparable)
            return
        if kind == Kind.STRING:
            stored = self.dictionary.code(comparable)
        elif kind in (Kind.LIST, Kind.OBJECT):
            stored = self.dictionary.code(_text(comparable))
            if kind == Kind.LIST:
                self.item_rows.extend([row] * len(value))
                self.items.extend(value)
        elif kind == Kind.INT and not _INT64[0] <= comparable <= _INT64[1]:
            kind, stored = BIG, 0
            self.big[row] = comparable
        else:
            stored = int(comparable or 0)
        self.rows.append(row)
        self.kinds.append(kind)
        self.values.append(stored)

    def into(self, kinds: NDArray[np.uint8], values: NDArray[np.int64]) -> None:
        rows = np.array(self.rows, dtype=np.int64)
        kinds[rows] = np.array(self.kinds, dtype=np.uint8)
        values[rows] = np.array(self.values, dtype=np.int64)
        rows = np.array(self.float_rows, dtype=np.int64)
        kinds[rows] = Kind.FLOAT
        values[rows] = np.array(self.floats, dtype=np.float64).view(np.int64)
