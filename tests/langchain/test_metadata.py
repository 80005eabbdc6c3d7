"""Metadata comes back as it went in."""

import math
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from langchain_core.documents import Document

CASES = {
    "text": {"a": "x", "empty": "", "unicode": "ünï ✓ 🎬", "quotes": 'it\'s "so" 100%'},
    "numbers": {"int": 3, "negative": -1, "float": 2.5, "whole": 1.0, "big": 2**70, "tiny": 5e-324},
    "booleans": {"yes": True, "no": False},
    "null": {"nothing": None},
    "lists": {"texts": ["a", "b"], "numbers": [1, 2.5], "mixed": [1, "a", None, True], "empty": []},
    "nested": {"a": {"b": {"c": [{"d": 1}, []]}}, "empty": {}},
    "moments": {
        "utc": datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc),
        "naive": datetime(2024, 5, 6, 7, 8, 9),
        "zone": datetime(2024, 5, 6, 7, 8, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        "day": date(2024, 5, 6),
        "inside": [date(2024, 1, 1), {"at": datetime(2024, 1, 1)}],
    },
    "others": {"price": Decimal("1.50"), "uuid": UUID(int=7), "bytes": b"\x00\xff", "in": [Decimal(1), b""]},
    "keys": {"id": 7, "a.b": 1, "with space": 2, "quo'te": 3, "_type": "x", "page_content": "y", "ü": 4},
    "none at all": {},
}


@pytest.mark.parametrize("metadata", CASES.values(), ids=CASES)
def test_metadata_comes_back_equal_and_of_the_same_types(store, metadata):
    document = Document("text", id="1", metadata=metadata)
    store.add_documents([document])
    [got], [near] = store.get_by_ids(["1"]), store.similarity_search("text")
    for found in (got, near):
        assert found == document
        assert {key: type(value) for key, value in found.metadata.items()} == {
            key: type(value) for key, value in metadata.items()
        }


def test_numpy_values_come_back_as_plain_ones(store):
    given = {"i": np.int64(3), "f": np.float32(0.5), "b": np.bool_(True), "a": np.array([1, 2])}
    store.add_texts(["text"], [given], ids=["1"])
    [found] = store.get_by_ids(["1"])
    assert found.metadata == {"i": 3, "f": 0.5, "b": True, "a": [1, 2]}
    assert [type(value) for value in found.metadata.values()] == [int, float, bool, list]


def test_tuples_and_sets_come_back_as_lists(store):
    store.add_texts(["text"], [{"t": (1, ("a",)), "s": {"b", "a"}}], ids=["1"])
    assert store.get_by_ids(["1"])[0].metadata == {"t": [1, ["a"]], "s": ["a", "b"]}


def test_decimals_uuids_and_bytes_are_found_by_equality(store):
    values = [Decimal("1.50"), UUID(int=7), b"\x00", 2]
    store.add_texts(["a", "b", "c", "d"], [{"v": value} for value in values], ids=["a", "b", "c", "d"])
    assert store.get(filter={"v": Decimal("1.5")})["ids"] == ["a"]
    assert store.get(filter={"v": {"$in": [UUID(int=7), b"\x00", 2, Decimal(3)]}})["ids"] == ["b", "c", "d"]


def test_numbers_that_are_none_come_back(store):
    store.add_texts(["text"], [{"nan": math.nan, "inf": math.inf}], ids=["1"])
    found = store.get_by_ids(["1"])[0].metadata
    assert math.isnan(found["nan"])
    assert found["inf"] == math.inf


@pytest.mark.parametrize("value", [1j, object(), lambda: 0], ids=lambda v: type(v).__name__)
def test_a_value_that_cannot_be_kept_is_refused_and_named(store, value):
    with pytest.raises(TypeError, match=r'metadatas\[1\]\["odd"\]'):
        store.add_texts(["a", "b"], [{}, {"odd": value}])
    assert store.count() == 0
