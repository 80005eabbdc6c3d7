"""Records can be counted by filter, and a key's values listed, with how many records have each."""

import math
from collections import Counter
from datetime import date
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

import vicinal
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, InvalidFilterError
from vicinal.types import Facet, ReadLevel, Stats

DAY = date(2024, 2, 29)


def filled(client: vicinal.Client, values: list[Any]) -> vicinal.Collection:
    """Records "0", "1" … whose key "v" has these values."""
    made = client.create_collection("things", embedding_function=None)
    ids = [str(i) for i in range(len(values))]
    documents = [f"text {i}" for i in ids]
    metadatas = [{"v": value, "n": i} for i, value in enumerate(values)]
    made.add(ids=ids, embeddings=[[1.0, 2.0]] * len(ids), metadatas=metadatas, documents=documents)
    return made


# --- count -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, 4),
        ({"where": {"v": "a"}}, 2),
        ({"where": {"v": {"$ne": "a"}}}, 2),
        ({"where_document": {"$contains": "3"}}, 1),
        ({"where": {"v": "a"}, "where_document": {"$contains": "3"}}, 0),
        ({"ids": ["0", "1", "nobody"]}, 2),
        ({"ids": []}, 0),
        ({"ids": "0", "where": {"v": "b"}}, 0),
    ],
)
def test_count_counts_what_get_would_return(client, condition, expected):
    made = filled(client, ["a", "a", "b", "c"])
    assert (made.count(**condition), len(made.get(**condition)["ids"])) == (expected, expected)


@pytest.mark.parametrize("level", [*ReadLevel, "index_only"])
def test_every_read_level_sees_all_that_was_written(client, level):
    assert filled(client, ["a", "b"]).count(level) == 2


@pytest.mark.parametrize("level", ["all", None, 3, {"v": "a"}])
def test_a_read_level_that_there_is_not_is_refused(collection, level):
    with pytest.raises(InvalidArgumentError, match="read_level"):
        collection.count(level)


def test_a_bad_filter_is_refused_by_count(collection):
    with pytest.raises(InvalidFilterError):
        collection.count(where={"v": {"$near": 1}})


# --- facets ----------------------------------------------------------------------------------


def test_facets_are_values_with_their_numbers_of_records(store):
    made = store.reopen(filled(store.client, ["b", "a", "c", "a", "b", "a"]))
    assert made.facets("v") == [Facet("a", 3), Facet("b", 2), Facet("c", 1)]


def test_values_come_back_with_the_types_that_they_were_written_with(client):
    values = [True, 1, 2.5, 2**70, "x", DAY, {"k": [1.0]}]
    found = [facet.value for facet in filled(client, values).facets("v")]
    assert [(type(v), v) for v in found] == [
        (type(v), v) for v in [True, 1, 2.5, 2**70, DAY, "x", {"k": [1.0]}]
    ]


def test_a_list_counts_as_its_values_each_once_per_record(client):
    made = filled(client, [["a", "b", "a"], ["a"], "a", [], None, ["c", None, 1]])
    assert made.facets("v") == [Facet("a", 3), Facet(1, 1), Facet("b", 1), Facet("c", 1)]


def test_equal_numbers_are_one_value(client):
    assert filled(client, [1, 1.0, [1], True]).facets("v") == [Facet(1, 3), Facet(True, 1)]


def test_nan_is_one_value(client):
    (facet,) = filled(client, [math.nan, math.nan]).facets("v")
    assert (math.isnan(facet.value), facet.records) == (True, 2)


def test_facets_count_only_what_is_selected(client):
    made = filled(client, ["a", "b", "a", "c"])
    assert made.facets("v", where={"n": {"$gt": 0}}) == [Facet("a", 1), Facet("b", 1), Facet("c", 1)]
    assert made.facets("v", where_document={"$contains": "0"}, ids=["0", "1"]) == [Facet("a", 1)]


def test_limit_keeps_the_most_frequent(client):
    made = filled(client, [*"abcabcab", *range(150)])
    assert made.facets("v", limit=2) == [Facet("a", 3), Facet("b", 3)]
    assert [len(made.facets("v", limit=limit)) for limit in (0, 100)] == [0, 100]
    assert [facet.value for facet in made.facets("v", limit=None)] == [*"abc", *range(150)]


def test_facets_of_a_path_and_of_the_ids(client):
    made = filled(client, [{"deep": "x"}, {"deep": "y"}, {"deep": "x"}])
    assert made.facets("v.deep") == [Facet("x", 2), Facet("y", 1)]
    assert made.facets("#id", limit=1) == [Facet("0", 1)]


def test_facets_see_what_was_written_since(client):
    made = filled(client, [["a", "b"], ["b"], "c"])
    made.facets("v")
    made.update(ids=["0"], metadatas=[{"v": ["c", "d"]}])
    made.upsert(ids=["new", "2"], embeddings=[[4, 4], [5, 5]], metadatas=[{"v": ["d"]}, {"v": ["b"]}])
    made.delete(ids="1")
    assert made.facets("v") == [Facet("d", 2), Facet("b", 1), Facet("c", 1)]


def test_nobody_has_the_key(client):
    made = filled(client, ["a"])
    assert (made.facets("other"), made.stats("other")) == ([], Stats(0, 1, 0, None, None))


ITEMS = st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, 2**70, 2**70 + 1, "a", "b", "", DAY])


@hypothesis.given(st.lists(st.none() | ITEMS | st.lists(ITEMS, max_size=4), max_size=10))
def test_facets_agree_with_counting_by_hand(values):
    expected: Counter[Any] = Counter()
    for value in values:
        items = value if isinstance(value, list) else [value]
        expected.update({(type(item) is bool, item) for item in items if item is not None})
    with vicinal.EphemeralClient() as client:
        found = filled(client, values).facets("v", limit=None)
    assert {(type(f.value) is bool, f.value): f.records for f in found} == expected
    assert [f.records for f in found] == sorted((f.records for f in found), reverse=True)


# --- stats -----------------------------------------------------------------------------------


def test_stats_say_how_many_and_from_where_to_where(store):
    made = store.reopen(filled(store.client, [3, 1.5, 3, None]))
    assert made.stats("v") == Stats(records=3, missing=1, distinct=2, min=1.5, max=3)


def test_stats_of_dates_and_of_lists(client):
    made = filled(client, [DAY, date(2020, 1, 1)])
    assert made.stats("v")[3:] == (date(2020, 1, 1), DAY)
    made.update(ids=["0", "1"], metadatas=[{"v": [5, 9]}, {"v": [1, 9]}])
    assert made.stats("v") == Stats(2, 0, 3, 1, 9)


def test_stats_count_only_what_is_selected(client):
    assert filled(client, [4, 3, 2, 1]).stats("v", where={"n": {"$lt": 2}}) == Stats(2, 0, 2, 3, 4)


def test_an_empty_collection_has_no_values(collection):
    assert (collection.facets("v"), collection.stats("v")) == ([], Stats(0, 0, 0, None, None))


@pytest.mark.parametrize("key", ["", "#document", "#embedding", "$and", None, 3, ["v"]])
@pytest.mark.parametrize("method", ["facets", "stats"])
def test_what_is_no_key_is_refused(collection, method, key):
    with pytest.raises(InvalidArgumentError, match="key"):
        getattr(collection, method)(key)


def test_a_limit_is_a_whole_number(collection):
    with pytest.raises(InvalidArgumentError, match="limit"):
        collection.facets("v", limit=-1)
    with pytest.raises(ArgumentTypeError, match="limit"):
        collection.facets("v", limit="all")
