"""`get(order_by=…)` lists records by the values of a key; those without it come last, equal ones stay put."""

import math
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

import vicinal
from vicinal.errors import ArgumentTypeError, InvalidArgumentError

# id → value, in the order in which `order_by` must list them.
SORTED: dict[str, Any] = {
    "null": None,
    "false": False,
    "true": True,
    "-inf": -math.inf,
    "-2^70": -(2**70),
    "-1.5": -1.5,
    "0": 0,
    "1": 1,
    "1.5": 1.5,
    "2^53": 2**53,
    "2^53+1": 2**53 + 1,
    "2^53+2.0": 2.0**53 + 2,
    "2^63": 2**63,
    "inf": math.inf,
    "nan": math.nan,
    "1969": datetime(1969, 12, 31, 23),
    "2020": date(2020, 1, 1),
    "2020 noon": datetime(2020, 1, 1, 12, tzinfo=timezone.utc),
    "empty": "",
    "B": "B",
    "a": "a",
    "ä": "ä",
    "[1]": [1],
    "[]": [],
    "Decimal -3": Decimal("-3"),
    "Decimal 0.5": Decimal("0.5"),
    "Decimal 9": Decimal(9),
    "Decimal 10": Decimal(10),
    "Decimal inf": Decimal("Infinity"),
    "Decimal NaN": Decimal("NaN"),
    "an object that looks like one": {"#decimal": "many"},
    "{}": {},
}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(2**53 - 2, 2**53 + 2) | st.sampled_from([2**64, 2**1024, -(10**400)]),
    st.floats(-2, 2) | st.sampled_from([math.nan, math.inf, 2.0**53]),
    st.text("ab", max_size=2),
    st.dates(date(2020, 1, 1), date(2020, 1, 3)),
)


def filled(client: vicinal.Client, metadatas: list[Any]) -> vicinal.Collection:
    """A collection whose ids are the numbers of its metadata."""
    collection = client.create_collection("things", embedding_function=None)
    ids = [str(i) for i in range(len(metadatas))]
    collection.add(ids=ids, embeddings=[[1.0, 2.0]] * len(ids), metadatas=metadatas)
    return collection


def place(value: Any) -> tuple[int, Any]:
    """A key for `sorted` that says what the order means, value by value."""
    if value is None:
        return 0, 0
    if isinstance(value, bool):
        return 1, value
    if isinstance(value, (int, float)):
        is_nan = isinstance(value, float) and math.isnan(value)
        return 2, (is_nan, 0 if is_nan else value)
    return (3, value) if isinstance(value, date) else (4, value)


@pytest.mark.parametrize("shift", [0, 7, 18])
def test_values_of_all_kinds_have_one_order(store, shift):
    ids = list(SORTED)
    ids = ids[shift:] + ids[:shift][::-1]
    made = store.collection(
        ids=ids, embeddings=[[1.0, 2.0]] * len(ids), metadatas=[{"v": SORTED[id]} for id in ids]
    )
    assert store.reopen(made).get(order_by="v")["ids"] == list(SORTED)


def test_descending_is_the_reverse_but_for_missing_and_ties(client):
    made = filled(client, [{"v": 1}, {"v": 2}, {}, {"v": 1.0}, None, {"v": "x"}])
    assert made.get(order_by="v")["ids"] == ["0", "3", "1", "5", "2", "4"]
    assert made.get(order_by="-v")["ids"] == ["5", "1", "0", "3", "2", "4"]


def test_a_second_key_decides_between_equals(client):
    made = filled(client, [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 2}])
    assert made.get(order_by=["a", "-b"])["ids"] == ["2", "0", "3", "1"]


def test_limit_and_offset_count_after_sorting(client):
    made = filled(client, [{"v": v} for v in (3, 1, 2, 5, 4)])
    assert made.get(order_by="v", limit=2, offset=1)["ids"] == ["2", "0"]


def test_a_filter_and_ids_choose_before_sorting(client):
    made = filled(client, [{"v": v} for v in (3, 1, 2, 5, 4)])
    assert made.get(ids=["0", "1", "3"], where={"v": {"$gt": 1}}, order_by="-v")["ids"] == ["3", "0"]


def test_ids_and_paths_can_be_sorted_by(client):
    made = filled(client, [{"a": {"b": v}} for v in (2, 1, 3)])
    assert made.get(order_by="a.b")["ids"] == ["1", "0", "2"]
    assert made.get(order_by="-#id")["ids"] == ["2", "1", "0"]


def test_a_key_that_begins_with_a_sign_is_written_with_one_in_front(client):
    made = filled(client, [{"-k": 2, "+k": 1}, {"-k": 1, "+k": 2}])
    orders = [made.get(order_by=key)["ids"] for key in ("+-k", "--k", "++k", "-+k")]
    assert orders == [["1", "0"], ["0", "1"], ["0", "1"], ["1", "0"]]


def test_sorting_sees_what_was_written_since(client):
    made = filled(client, [{"v": 1}, {"v": 2}, {"v": 3}])
    made.get(order_by="v")
    made.update(ids="0", metadatas={"v": 9})
    made.upsert(ids=["1", "new"], embeddings=[[5, 5], [6, 6]], metadatas=[{"v": 8}, {"v": 0}])
    made.delete(ids="2")
    assert made.get(order_by="v")["ids"] == ["new", "1", "0"]


def test_a_key_that_nobody_has_sorts_nothing(client):
    made = filled(client, [{"v": 2}, {"v": 1}])
    assert made.get(order_by="other")["ids"] == ["0", "1"]


def test_an_empty_collection_can_be_sorted(collection):
    assert collection.get(order_by="v")["ids"] == []


@hypothesis.given(st.lists(st.none() | VALUES.map(lambda v: [v]), max_size=12), st.booleans())
def test_any_values_come_in_the_order_that_is_documented(values, descending):
    with vicinal.EphemeralClient() as client:
        made = filled(client, [{"other": 1} if v is None else {"v": v[0]} for v in values])
        present = [i for i, v in enumerate(values) if v is not None]
        expected = sorted(present, key=lambda i: place(values[i][0]), reverse=descending)
        missing = [i for i, v in enumerate(values) if v is None]
        found = made.get(order_by="-v" if descending else "v")["ids"]
        assert found == [str(i) for i in expected + missing]


@pytest.mark.parametrize(
    ("order_by", "error"),
    [
        ("", InvalidArgumentError),
        ("-", InvalidArgumentError),
        ("#document", InvalidArgumentError),
        ("$gt", InvalidArgumentError),
        (3, ArgumentTypeError),
        ([3], ArgumentTypeError),
        ({"v": 1}, ArgumentTypeError),
        (["v", None], ArgumentTypeError),
    ],
)
def test_what_is_no_key_is_refused(collection, order_by, error):
    with pytest.raises(error, match="order_by"):
        collection.get(order_by=order_by)
