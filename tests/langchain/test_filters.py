"""A filter selects exactly the documents that its Mongo meaning says, compared with a plain reading of it.

The reference below takes filters as the user writes them; the store rewrites them for the engine.
"""

import re
from datetime import date, datetime, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding

from langchain_vicinal import VicinalVectorStore
from vicinal.errors import InvalidFilterError

UTC = timezone.utc
RECORDS: list[dict[str, Any]] = [
    {},
    {"n": None, "s": None, "tags": None},
    {"n": 1, "s": "one", "tags": ["a", "b"], "flag": True, "when": datetime(2024, 1, 1, tzinfo=UTC)},
    {"n": 1.0, "s": "One", "tags": ["b"], "flag": False, "when": datetime(2024, 6, 1, tzinfo=UTC)},
    {"n": 2, "s": "two", "tags": [], "when": date(2025, 1, 1)},
    {"n": 2.5, "s": "50% 'off'", "tags": "a", "flag": None},
    {"n": -3, "s": "", "tags": [1, "a", None], "nested": {"deep": {"n": 1}}},
    {"n": True, "s": "true", "nested": {"deep": {"n": 2}}, "nested.deep.n": 3},
    {"n": "1", "s": "1", "a b": 'quo"te', "tags": ["1"]},
    {"n": 10**20, "s": "ünï", "nested": {"deep": None}},
]
TEXTS = [f"text number {i}" + (" with a Tail" if i % 3 == 0 else "") for i in range(len(RECORDS))]

# --- the reference -----------------------------------------------------------------------------

MISSING = object()


def holds(filter: dict[str, Any], metadata: dict[str, Any]) -> bool:
    return all(_item(key, value, metadata) for key, value in filter.items())


def _item(key: str, value: Any, metadata: dict[str, Any]) -> bool:
    if key == "$and":
        return all(holds(child, metadata) for child in value)
    if key == "$or":
        return any(holds(child, metadata) for child in value)
    if key == "$nor" or (key == "$not" and isinstance(value, list)):
        return not any(holds(child, metadata) for child in value)
    if key == "$not":
        return not holds(value, metadata)
    return _field(lookup(metadata, key), value)


def lookup(metadata: Any, key: str) -> Any:
    if not isinstance(metadata, dict) or key in metadata:
        return metadata.get(key, MISSING) if isinstance(metadata, dict) else MISSING
    head, _, rest = key.partition(".")
    return lookup(metadata.get(head), rest) if rest else MISSING


def _field(stored: Any, condition: Any) -> bool:
    if not isinstance(condition, dict):
        return same(stored, condition)
    return all(OPERATORS[name](stored, operand) for name, operand in condition.items())


def same(stored: Any, wanted: Any) -> bool:
    if wanted is None:
        return stored is MISSING or stored is None
    return family(stored) == family(wanted) and moment(stored) == moment(wanted)


def family(value: Any) -> Any:
    if isinstance(value, bool):
        return bool
    if isinstance(value, (int, float)):
        return float
    return date if isinstance(value, date) else type(value)


def moment(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


def ordered(compare: Any) -> Any:
    return lambda stored, bound: family(stored) == family(bound) and compare(moment(stored), moment(bound))


def like(stored: Any, pattern: str, flags: int = 0) -> bool:
    regex = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in pattern)
    return isinstance(stored, str) and re.fullmatch(regex, stored, re.DOTALL | flags) is not None


def has(stored: Any, wanted: Any) -> bool:
    return isinstance(stored, list) and any(same(item, wanted) for item in stored)


OPERATORS: dict[str, Any] = {
    "$eq": same,
    "$ne": lambda stored, wanted: not same(stored, wanted),
    "$gt": ordered(lambda a, b: a > b),
    "$gte": ordered(lambda a, b: a >= b),
    "$lt": ordered(lambda a, b: a < b),
    "$lte": ordered(lambda a, b: a <= b),
    "$between": lambda stored, ab: OPERATORS["$gte"](stored, ab[0]) and OPERATORS["$lte"](stored, ab[1]),
    "$in": lambda stored, values: any(same(stored, value) for value in values),
    "$nin": lambda stored, values: not any(same(stored, value) for value in values),
    "$exists": lambda stored, flag: (stored is not MISSING) == flag,
    "$contains": has,
    "$not_contains": lambda stored, wanted: not has(stored, wanted),
    "$any": lambda stored, values: any(has(stored, value) for value in values),
    "$all": lambda stored, values: isinstance(stored, list) and all(has(stored, v) for v in values),
    "$like": like,
    "$ilike": lambda stored, pattern: like(stored, pattern, re.IGNORECASE),
    "$not": lambda stored, condition: not _field(stored, condition),
}


# --- the store ---------------------------------------------------------------------------------


def filled(store: VicinalVectorStore) -> VicinalVectorStore:
    store.add_texts(TEXTS, RECORDS, ids=[str(i) for i in range(len(RECORDS))])
    return store


@pytest.fixture(scope="module")
def records() -> VicinalVectorStore:
    return filled(VicinalVectorStore(DeterministicFakeEmbedding(size=8)))


def found(store: VicinalVectorStore, **conditions: Any) -> list[int]:
    return sorted(int(doc.id) for doc in store.similarity_search("text", k=100, **conditions))


def expected(filter: dict[str, Any]) -> list[int]:
    return [i for i, record in enumerate(RECORDS) if holds(filter, record)]


FILTERS: list[dict[str, Any]] = [
    # equality, and what kinds of value are equal
    {"n": 1}, {"n": 1.0}, {"n": "1"}, {"n": True}, {"n": 10**20}, {"s": ""}, {"s": "50% 'off'"},
    {"a b": 'quo"te'},
    {"flag": True}, {"flag": False}, {"flag": {"$ne": True}}, {"n": {"$eq": 2}}, {"n": {"$ne": 2}},
    {"tags": {"$eq": []}}, {"tags": {"$eq": ["a", "b"]}}, {"when": datetime(2025, 1, 1, tzinfo=UTC)},
    # order
    {"n": {"$gt": 1}}, {"n": {"$gte": 1}}, {"n": {"$lt": 1.5}}, {"n": {"$lte": 2}}, {"s": {"$gt": "a"}},
    {"when": {"$gte": datetime(2024, 6, 1, tzinfo=UTC)}}, {"when": {"$lt": date(2024, 6, 1)}},
    {"n": {"$between": [1, 2]}}, {"when": {"$between": [date(2024, 1, 1), date(2024, 12, 31)]}},
    # several keys, several operators
    {"n": {"$gt": 0, "$lt": 2}}, {"n": 1, "s": "one"}, {"n": {"$gt": 0, "$ne": 2}, "s": {"$like": "o%"}},
    {"n": {"$gt": 0}, "$or": [{"s": "one"}, {"s": "two"}]}, {"n": 1, "$not": {"s": "one"}},
    # null and missing
    {"n": None}, {"n": {"$eq": None}}, {"n": {"$ne": None}}, {"tags": None}, {"s": None},
    {"flag": None, "n": 2.5},
    {"n": {"$exists": True}}, {"n": {"$exists": False}}, {"nested.deep": None}, {"n": {"$not": None}},
    # sets
    {"n": {"$in": [1, 2]}}, {"n": {"$in": [1, "1", True, None]}}, {"n": {"$in": []}}, {"n": {"$nin": []}},
    {"n": {"$nin": [1, 2]}}, {"n": {"$nin": [1, None]}}, {"n": {"$in": [None]}},
    {"s": {"$in": ("one", "two")}},
    {"s": {"$in": ["one"]}}, {"when": {"$in": [date(2025, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)]}},
    {"n": {"$in": [1], "$nin": [2]}}, {"n": {"$in": [1, 2.5, True]}},
    # lists
    {"tags": {"$contains": "a"}}, {"tags": {"$not_contains": "a"}}, {"tags": {"$any": ["a", 1]}},
    {"tags": {"$all": ["a", "b"]}}, {"tags": {"$contains": 1}}, {"tags": {"$any": []}},
    # patterns
    {"s": {"$like": "%o%"}}, {"s": {"$ilike": "ONE"}}, {"s": {"$like": "_ne"}}, {"s": {"$like": "%"}},
    {"s": {"$ilike": "%Ï"}}, {"s": {"$not": {"$like": "%o%"}}},
    # nested objects
    {"nested.deep.n": 1}, {"nested.deep.n": {"$gte": 1}}, {"nested.deep.n": {"$exists": False}},
    # logic
    {}, {"$and": []}, {"$or": []}, {"$nor": []}, {"$not": {}}, {"$not": []}, {"$and": [{}]}, {"$or": [{}]},
    {"$or": [{"n": 1}, {}]}, {"$and": [{"n": 1}]}, {"$or": [{"n": 1}]}, {"$nor": [{"n": 1}]},
    {"$and": [{"n": 1}, {}]}, {"$not": {"n": 1}}, {"$not": {"n": 1, "s": "one"}},
    {"$not": {"$not": {"n": 1}}}, {"$not": [{"n": 1}, {"s": "one"}]},
    {"$nor": [{"n": 1}, {"s": "two"}]}, {"$or": [{"n": {"$in": []}}, {"s": "two"}]},
    {"$and": [{"$or": [{"n": 1}, {"n": 2}]}, {"$not": {"s": {"$like": "t%"}}}]}, {"n": {"$not": {"$gt": 1}}},
    {"$and": [{"n": {"$gte": 1}, "s": {"$ne": "two"}}, {"$or": [{"flag": True}, {"flag": None}]}]},
    {"unknown": 1}, {"unknown": {"$ne": 1}}, {"unknown": None},
]  # fmt: skip


@pytest.mark.parametrize("filter", FILTERS, ids=str)
def test_a_filter_selects_what_the_reference_selects(records, filter):
    assert found(records, filter=filter) == expected(filter)


def test_filters_read_from_disk_select_the_same(store):
    filled(store)
    assert [found(store, filter=f) for f in FILTERS] == [expected(f) for f in FILTERS]


values = st.sampled_from([1, 1.0, 2, 2.5, "1", "one", "two", "", True, False, None])
conditions = st.recursive(
    values
    | st.builds(lambda op, v: {op: v}, st.sampled_from(["$eq", "$ne"]), values)
    | st.builds(
        lambda op, v: {op: v}, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.sampled_from([1, "one"])
    )
    | st.builds(lambda op, v: {op: v}, st.sampled_from(["$in", "$nin"]), st.lists(values, max_size=4))
    | st.builds(lambda flag: {"$exists": flag}, st.booleans()),
    lambda inner: st.builds(lambda condition: {"$not": condition}, inner),
    max_leaves=2,
)
filters = st.recursive(
    st.dictionaries(st.sampled_from(["n", "s", "flag", "nested.deep.n"]), conditions, max_size=3),
    lambda inner: (
        st.builds(
            lambda op, children: {op: children},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, max_size=3),
        )
        | st.builds(lambda child: {"$not": child}, inner)
    ),
    max_leaves=6,
)


@given(filters)
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_any_filter_selects_what_the_reference_selects(records, filter):
    assert found(records, filter=filter) == expected(filter)


# --- on the text -------------------------------------------------------------------------------

TEXT_FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({"$contains": "Tail"}, lambda text: "Tail" in text),
    ({"$contains": "tail"}, lambda text: False),
    ({"$not_contains": "Tail"}, lambda text: "Tail" not in text),
    ({"$contains": "text", "$not_contains": "Tail"}, lambda text: "Tail" not in text),
    ({"$or": [{"$contains": "number 1"}, {"$contains": "number 2"}]}, lambda text: text[12] in "12"),
    ({"$not": {"$contains": "Tail"}}, lambda text: "Tail" not in text),
    ({"$and": [{"$contains": "Tail"}]}, lambda text: "Tail" in text),
    ({"$regex": "number [12]"}, lambda text: text[12] in "12"),
    ({}, lambda text: True),
]


@pytest.mark.parametrize(("where_document", "meaning"), TEXT_FILTERS, ids=str)
def test_a_filter_on_the_text_selects_by_the_text(records, where_document, meaning):
    wanted = [i for i, text in enumerate(TEXTS) if meaning(text)]
    assert found(records, where_document=where_document) == wanted


def test_filters_on_metadata_and_on_text_must_both_hold(records):
    assert found(records, filter={"n": {"$gt": 0}}, where_document={"$contains": "Tail"}) == [3, 9]
    assert found(records, filter={"n": {"$gt": 0}, "#document": {"$contains": "Tail"}}) == [3, 9]


# --- everywhere --------------------------------------------------------------------------------

SEARCHES = [
    "similarity_search",
    "similarity_search_with_score",
    "similarity_search_with_relevance_scores",
    "max_marginal_relevance_search",
    "similarity_search_by_vector",
    "similarity_search_with_score_by_vector",
    "similarity_search_by_vector_with_relevance_scores",
    "max_marginal_relevance_search_by_vector",
    "max_marginal_relevance_search_with_score_by_vector",
]


@pytest.mark.parametrize("prefix", ["", "a"])
@pytest.mark.parametrize("method", SEARCHES)
async def test_every_search_filters(records, method, prefix):
    query = [1.0] * 8 if "by_vector" in method else "text"
    options = {"filter": {"n": 1}, "where_document": {"$contains": "Tail"}, "ids": ["2", "3", "4"]}
    answer = getattr(records, prefix + method)(query, k=5, **options)
    hits = await answer if prefix else answer
    assert [getattr(hit, "id", None) or hit[0].id for hit in hits] == ["3"]


def test_where_is_another_name_of_filter(records):
    assert found(records, where={"n": 1}) == expected({"n": 1})


def test_a_rare_match_is_found_among_many():
    store = VicinalVectorStore(DeterministicFakeEmbedding(size=8))
    store.add_texts([f"t{i}" for i in range(3000)], [{"rare": i % 1000 == 7} for i in range(3000)])
    hits = store.similarity_search("t7", k=3, filter={"rare": True})
    assert sorted(doc.page_content for doc in hits) == ["t1007", "t2007", "t7"]


def test_numpy_values_filter_as_the_numbers_they_are(records):
    assert found(records, filter={"n": {"$in": np.array([1, 2])}}) == expected({"n": {"$in": [1, 2]}})
    assert found(records, filter={"n": {"$gt": np.float64(1.5)}}) == expected({"n": {"$gt": 1.5}})
    assert found(records, filter={"n": {"$in": [np.int64(1), "1"]}}) == expected({"n": {"$in": [1, "1"]}})


def test_the_callers_filter_is_left_as_it_was(records):
    filter = {"n": {"$in": [1, "1", None], "$ne": None}, "$or": [{"s": "one"}]}
    before = repr(filter)
    records.similarity_search("text", filter=filter)
    assert repr(filter) == before


@pytest.mark.parametrize(
    ("filter", "place"),
    [
        ({"year": {"$near": 1}}, r'where\["year"\]\["\$near"\]'),
        ({"a": 1, "year": {"$near": 1}}, r'\["year"\]\["\$near"\]'),
        ({"$xor": []}, r"\$xor"),
        ({"year": {"$gt": True}}, r'\["year"\]\["\$gt"\]'),
        ({"year": {"$gt": None}}, r'\["year"\]\["\$gt"\]'),
        ({"year": {"$in": "1984"}}, r'\["year"\]\["\$in"\]'),
        ({"year": {}}, r'where\["year"\]'),
        ({"year": object()}, r'where\["year"\]'),
        ({"$and": {"a": 1}}, r"\$and"),
        ({"$or": [1]}, r'filter\["\$or"\]\[0\]: Expected a dict, got 1'),
        ({"$and": [{"n": 1}, None]}, r'filter\["\$and"\]\[1\]: Expected a dict, got None'),
        ({"$or": [None, {"n": 1}]}, r'filter\["\$or"\]\[0\]: Expected a dict, got None'),
        ({"$nor": [None]}, r'filter\["\$nor"\]\[0\]'),
        ({"$and": [{"a": 1}, {"$not": {"$not": None}}]}, r'\["\$and"\]\[1\]\["\$not"\]\["\$not"\]'),
        ({"$and": None}, r'filter\["\$and"\]: Expected a list of filters, got None'),
    ],
    ids=str,
)
def test_a_filter_that_means_nothing_is_refused_at_its_place(records, filter, place):
    with pytest.raises(InvalidFilterError, match=place):
        records.similarity_search("text", filter=filter)


def test_nothing_is_deleted_by_a_condition_that_was_never_made(store):
    store.add_texts(["a", "b"], [{"draft": True, "by": "me"}, {"draft": True, "by": "you"}])
    mine = None
    with pytest.raises(InvalidFilterError):
        store.delete(filter={"$and": [{"draft": True}, mine]})
    assert store.count() == 2
    with pytest.raises(InvalidFilterError, match=r'where_document\["\$or"\]\[0\]'):
        store.similarity_search("a", where_document={"$or": [None, {"$contains": "a"}]})


def test_a_filter_too_deep_is_refused(records):
    filter: dict[str, Any] = {"n": 1}
    for _ in range(5000):
        filter = {"$not": filter}
    with pytest.raises(InvalidFilterError, match="nest at most 100 deep"):
        records.similarity_search("text", filter=filter)


@pytest.mark.parametrize("filter", [lambda document: True, "year > 1980", [("year", 1980)]])
def test_a_filter_of_another_store_is_refused_by_type(records, filter):
    with pytest.raises(TypeError, match="Expected filter to be a dict such as"):
        records.similarity_search("text", filter=filter)


def test_a_metadata_key_may_be_called_id(store):
    store.add_documents(
        [Document("x", id="7", metadata={"id": 1}), Document("x", id="1", metadata={"id": 7})]
    )
    assert [doc.id for doc in store.similarity_search("x", filter={"id": 7})] == ["1"]
