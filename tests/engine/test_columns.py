"""A key's values by row answer as the values themselves would, also after rows were added and replaced."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal._filter.ast import Operand, Operands
from vicinal._filter.values import classify, is_missing, lookup
from vicinal._index import columns

NUMBERS = st.one_of(
    st.integers(),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64]),
    st.sampled_from([2.0**53, 2.0**63, -(2.0**63), 2.0**64, 1e308, 5e-324, -0.0, 0.5, 10**400]),
)
STORED = st.one_of(NUMBERS, st.sampled_from([math.inf, -math.inf, math.nan]))
ORDERS: dict[Any, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def column_of(values: list[Any]) -> columns.Column:
    none = np.empty(0, dtype=np.int64)
    return columns.extend(columns.empty(), len(values), none, *columns_of(list(enumerate(values))))


def columns_of(pairs: list[tuple[int, Any]]) -> tuple[list[int], list[Any]]:
    """Rows, and their values beside them; missing ones are not there."""
    there = [(row, value) for row, value in pairs if not is_missing(value)]
    return [row for row, _ in there], [value for _, value in there]


def near(value: Any) -> Iterator[Any]:
    """The value and its neighbours, as int and as float."""
    yield value
    if isinstance(value, float):
        yield from (math.nextafter(value, math.inf), math.nextafter(value, -math.inf))
        yield from (math.floor(value), math.ceil(value))
    else:
        yield from (value - 1, value + 1)
        if abs(value) < 2**1000:
            yield float(value)
            yield from (math.nextafter(float(value), math.inf), math.nextafter(float(value), -math.inf))


@given(st.lists(STORED, max_size=12), NUMBERS, st.sampled_from(list(ORDERS)))
def test_numbers_are_ordered_as_in_mathematics(values: list[Any], bound: Any, order: Any) -> None:
    stored = [*values, *near(bound)]
    mask = column_of(stored).ordered(order, Operand(*classify(bound)))
    assert mask.tolist() == [ORDERS[order](value, bound) for value in stored]


@given(st.lists(STORED, max_size=12), st.lists(NUMBERS, min_size=1, max_size=4))
def test_numbers_are_equal_as_in_mathematics(values: list[Any], wanted: list[Any]) -> None:
    stored = [*values, *near(wanted[0])]
    mask = column_of(stored).equal(Operands.of(Operand(*classify(value)) for value in wanted))
    assert mask.tolist() == [any(value == other for other in wanted) for value in stored]


OTHERS = [True, False, None, "1", "", "a", [], [1], [1, "a"], {}, {"a": 1}, 1, 0, 1.0, -0.0, 1.5]


@pytest.mark.parametrize("wanted", OTHERS, ids=repr)
def test_values_of_different_kinds_are_never_equal(wanted: Any) -> None:
    mask = column_of(OTHERS).equal(Operands.of([Operand(*classify(wanted))]))
    numbers = (int, float)
    expected = [
        (type(v) is type(wanted) or (type(v) in numbers and type(wanted) in numbers)) and v == wanted
        for v in OTHERS
    ]
    assert mask.tolist() == expected


GONE = lookup(None, "a key")
ANY = st.one_of(
    st.just(GONE), STORED, st.booleans(), st.none(), st.text("ab", max_size=2), st.lists(st.integers(0, 2))
)


@given(
    st.lists(st.tuples(st.integers(0, 9), ANY), max_size=30), st.integers(1, 9), st.sampled_from([-9, 1024])
)
def test_a_column_that_caught_up_equals_one_built_anew(
    changes: list[tuple[int, Any]], step: int, waste: int
) -> None:
    column, values = columns.empty(), {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(columns, "_WASTE_MIN", waste)  # what was replaced is done away with sooner or later
        for start in range(0, len(changes), step):
            part = dict(changes[start : start + step])
            altered = np.array(sorted(row for row in part if row < len(column.kinds)), dtype=np.int64)
            values.update(part)
            column = columns.extend(column, max(values) + 1, altered, *columns_of(list(part.items())))
    anew = columns.extend(
        columns.empty(),
        max(values, default=-1) + 1,
        np.empty(0, dtype=np.int64),
        *columns_of(list(values.items())),
    )
    asked = [v for v in values.values() if v is not GONE and not (isinstance(v, float) and v - v != 0)]
    for value in [*asked, 0, 1, "a", 2**70]:  # no filter can ask for infinity
        wanted = Operands.of([Operand(*classify(value))])
        assert column.equal(wanted).tolist() == anew.equal(wanted).tolist()
        assert column.holding(wanted).tolist() == anew.holding(wanted).tolist()
    assert (
        column.ordered("gte", Operand(*classify(1))).tolist()
        == anew.ordered("gte", Operand(*classify(1))).tolist()
    )
    assert column.empty().tolist() == anew.empty().tolist()
    assert column.present().tolist() == anew.present().tolist()


@pytest.mark.parametrize("value", ["seen {}", ["seen {}", "always"], {"seen": "{}"}])
def test_a_column_does_not_gather_what_was_replaced(value: Any) -> None:
    column, row = columns.empty(), np.array([0])
    for number in range(5_000):
        seen = json.loads(json.dumps(value).replace("{}", str(number)))
        column = columns.extend(column, 1, row[: len(column.kinds)], [0], [seen])
    held = [
        column.dictionary.strings,
        column.item_rows,
        column.items.dictionary.strings if column.items else "",
    ]
    assert max(map(len, held)) < 3_000
    assert column.equal(Operands.of([Operand(*classify(seen))])).tolist() == [True]


WHATEVER = [True, False, None, "", "a", "b", "ab", 0, 1, 2.0, -0.5, 2**70, [], [0, "a"], [1, [1]], GONE]


@given(st.lists(st.sampled_from(WHATEVER), max_size=20), st.data())
def test_some_rows_of_a_column_answer_as_they_do_among_all(values: list[Any], data: Any) -> None:
    column = column_of(values)
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, len(values) - 1)))) if values else [], np.int64)
    some = column.pick(rows)
    for value in WHATEVER[:-1]:
        operand = Operand(*classify(value))
        for ask in (
            lambda c, o=operand: c.equal(Operands.of([o])),
            lambda c, o=operand: c.holding(Operands.of([o])),
            lambda c, o=operand: c.ordered("gte", o),
        ):
            assert ask(some).tolist() == ask(column)[rows].tolist()
    assert some.empty().tolist() == column.empty()[rows].tolist()
    assert some.strings(lambda text: "a" in text).tolist() == [
        isinstance(values[row], str) and "a" in values[row] for row in rows
    ]


@given(st.lists(st.lists(st.text("ab\u00e9\U0001f600", max_size=3), max_size=9), max_size=6), st.text("abé"))
def test_strings_are_ordered_as_python_orders_them(batches: list[list[str]], bound: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(columns, "_UNSORTED_MAX", 2)
        column, values = columns.empty(), []
        for batch in batches:
            numbered = list(enumerate(batch, start=len(values)))
            values += batch
            column = columns.extend(column, len(values), np.empty(0, dtype=np.int64), *columns_of(numbered))
            for order, holds_for in ORDERS.items():
                mask = column.ordered(order, Operand(*classify(bound)))
                assert mask.tolist() == [holds_for(value, bound) for value in values]


def test_an_older_version_of_a_column_is_not_changed_by_newer_ones() -> None:
    old = column_of(["a", 1, [1]])
    masks = [
        old.strings(lambda text: text == "a").tolist(),
        old.holding(Operands.of([Operand(*classify(1))])).tolist(),
    ]
    columns.extend(old, 9, np.array([0, 2]), [0, 3, 2, 8], ["b", "a", [2], "zzz"])
    again = [
        old.strings(lambda text: text == "a").tolist(),
        old.holding(Operands.of([Operand(*classify(1))])).tolist(),
    ]
    assert masks == again == [[True, False, False], [False, False, True]]
