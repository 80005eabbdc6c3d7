"""Every operator means the same for every pair of values: to the engine, to its reference, and on paper.

The paper is the function `means` below: Chroma's semantics, with comparison done mathematically.
"""

import random
from datetime import date, datetime, timezone
from itertools import product
from typing import Any

import pytest

import vicinal
from vicinal.errors import InvalidArgumentError, InvalidFilterError
from vicinal.testing import matches

MISSING = object()
VALUES: list[Any] = [
    MISSING,
    None,
    *(True, False, 0, 1, 2, -1, 2**53 + 1, 2**64, 1.0, 1.5, -1.5, 2.0**53, float("nan"), float("inf")),
    *("", "a", "b", "ab", "1", "True", date(2020, 1, 1), datetime(2020, 1, 1, 5, tzinfo=timezone.utc)),
    *([], [1, 2], [1.0], ["a", "b"], [True], [None], [[1]], {"x": 1}),
]
SCALARS = [True, False, 0, 1, 2, -1, 1.0, 1.5, 0.5, 2**53, 2**53 + 1, "", "a", "b", "1", date(2020, 1, 1)]
ORDERED = [value for value in SCALARS if not isinstance(value, bool)]
CASES = [
    *product(["$eq", "$ne", "$contains", "$not_contains"], SCALARS),
    *product(["$gt", "$gte", "$lt", "$lte"], ORDERED),
    *product(["$in", "$nin"], [[1], [1.5, 2], [True, False], ["a", ""], [date(2020, 1, 1)], [1, 2**53]]),
    *product(["$any", "$all"], [[], [1], [1, 2.0], ["a"], ["a", "c"], [True, 1]]),
    *product(["$exists", "$empty"], [True, False]),
    *product(["$between"], [[0, 1.5], ["a", "az"], [1, 0], [date(2019, 1, 1), date(2021, 1, 1)]]),
    *product(["$startswith", "$like", "$ilike"], ["", "a", "A", "%", "_", "a%", "%a%", "%_%", "%%"]),
    *product(["$regex"], ["", "^a", "(?i)A", "b$"]),
]


def kind(value: Any) -> str:
    """Values of different kinds are never equal and never ordered."""
    if isinstance(value, bool):
        return "bool"
    return {int: "number", float: "number", date: "moment", datetime: "moment"}.get(
        type(value), str(type(value))
    )


def instant(value: Any) -> Any:
    """Dates and datetimes by instant; anything else as it is."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    return value


def equal(value: Any, operand: Any) -> bool:
    return value is not MISSING and kind(value) == kind(operand) and instant(value) == instant(operand)


def ordered(value: Any, sign: str, operand: Any) -> bool:
    if kind(value) != kind(operand):
        return False
    v, o = instant(value), instant(operand)
    return {"$gt": v > o, "$gte": v >= o, "$lt": v < o, "$lte": v <= o}[sign]


def like(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(like(pattern[1:], text[i:]) for i in range(len(text) + 1))
    return bool(text) and pattern[0] in ("_", text[0]) and like(pattern[1:], text[1:])


PATTERNS = {
    "": lambda text: True,
    "^a": lambda text: text.startswith("a"),
    "(?i)A": lambda text: "a" in text.lower(),
    "b$": lambda text: text.endswith("b"),
}


def means(operator: str, operand: Any, value: Any) -> bool:
    """Whether one value satisfies one condition."""
    text, items = isinstance(value, str), value if isinstance(value, list) else None
    if operator in ("$ne", "$nin", "$not_contains"):
        return not means(
            operator.replace("$n", "$").replace("$e", "$eq").replace("$ot_", "$"), operand, value
        )
    if operator in ("$gt", "$gte", "$lt", "$lte"):
        return ordered(value, operator, operand)
    return {
        "$eq": lambda: equal(value, operand),
        "$in": lambda: any(equal(value, one) for one in operand),
        "$contains": lambda: items is not None and any(equal(item, operand) for item in items),
        "$any": lambda: items is not None and any(equal(i, one) for i in items for one in operand),
        "$all": lambda: items is not None and all(any(equal(i, one) for i in items) for one in operand),
        "$exists": lambda: (value is not MISSING) == operand,
        "$empty": lambda: (value is MISSING or value is None or value in ("", [])) == operand,
        "$between": lambda: ordered(value, "$gte", operand[0]) and ordered(value, "$lte", operand[1]),
        "$startswith": lambda: text and value.startswith(operand),
        "$like": lambda: text and like(operand, value),
        "$ilike": lambda: text and like(operand.lower(), value.lower()),
        "$regex": lambda: text and PATTERNS[operand](value),
    }[operator]()


def test_the_paper_negates_by_name():
    assert [means(operator, operand, 1) for operator, operand in [("$ne", 1), ("$nin", [2])]] == [False, True]
    assert means("$not_contains", 1, [1]) is False


@pytest.fixture(scope="module")
def everything():
    """One record for every value, by number; written in two batches, some of them twice."""
    with vicinal.EphemeralClient() as client:
        made = client.create_collection("things", embedding_function=None)
        metadatas = [None if value is MISSING else {"v": value} for value in VALUES]
        ids = [str(i) for i in range(len(VALUES))]
        made.add(ids=ids[:9], embeddings=[[1.0, 2.0]] * 9, metadatas=[{"v": "old"}] * 9)
        made.get(where={"v": 1})
        rest = len(VALUES) - 9
        made.add(ids=ids[9:], embeddings=[[1.0, 2.0]] * rest, metadatas=metadatas[9:])
        made.update(
            ids=ids[:9], metadatas=[metadata or {} for metadata in metadatas[:9]], merge_metadata=False
        )
        yield made


@pytest.mark.parametrize(("operator", "operand"), CASES, ids=[f"{o} {v}" for o, v in CASES])
def test_operators_mean_what_is_written_on_paper(everything, operator, operand):
    where = {"v": {operator: operand}}
    expected = [str(i) for i, value in enumerate(VALUES) if means(operator, operand, value)]
    by_reference = [
        str(i)
        for i, value in enumerate(VALUES)
        if matches({} if value is MISSING else {"v": value}, where=where)
    ]
    assert (everything.get(where=where)["ids"], by_reference) == (expected, expected)


@pytest.mark.parametrize("operand", SCALARS, ids=str)
def test_a_bare_value_is_equality(everything, operand):
    assert everything.get(where={"v": operand})["ids"] == everything.get(where={"v": {"$eq": operand}})["ids"]


def test_an_object_is_no_value_that_is_stored_as_one(collection):
    alike = [b"ab", {"#bytes": "YWI="}, {"##bytes": "YWI="}, [date(2020, 1, 1)]]
    alike += [[{"#time": 1_577_836_800_000_000}], {"#": 1}, {"##": 1}]
    ids = list("abcdefg")
    collection.add(ids=ids, embeddings=[[1]] * 7, metadatas=[{"v": value} for value in alike])
    assert [collection.get(where={"v": {"$eq": value}})["ids"] for value in alike] == [[id] for id in ids]


# --- documents -------------------------------------------------------------------------------


@pytest.fixture
def texts(collection) -> vicinal.Collection:
    documents = ["Red apple", "red\npear", "", None]
    metadatas = [{"n": 1}, {"n": 2}, {"n": 3}, None]
    collection.add(ids=list("abcd"), embeddings=[[1]] * 4, documents=documents, metadatas=metadatas)
    return collection


DOCUMENT_CASES: list[tuple[dict[str, Any], str]] = [
    ({"$contains": "red"}, "b"),
    ({"$not_contains": "red"}, "acd"),
    ({"$regex": "(?i)^red"}, "ab"),
    ({"$regex": "red.pear"}, ""),
    ({"$not_regex": "pear$"}, "acd"),
    ({"$regex": "^$"}, "c"),
    ({"$and": [{"$contains": "e"}, {"$not_contains": "l"}]}, "b"),
    ({"$or": [{"$contains": "apple"}, {"$regex": "^$"}]}, "ac"),
    ({"$not": {"$regex": "."}}, "cd"),
]


@pytest.mark.parametrize(("condition", "expected"), DOCUMENT_CASES)
def test_the_document_is_a_key_of_where(texts, condition, expected):
    both = [{"where_document": condition}, {"where": {"#document": condition}}]
    assert ["".join(texts.get(**one)["ids"]) for one in both] == [expected, expected]


def test_document_and_metadata_may_be_joined_by_or(texts):
    where = {"$or": [{"#document": {"$regex": "apple$"}}, {"n": 3}, {"#id": "d"}]}
    assert texts.get(where=where)["ids"] == ["a", "c", "d"]


def test_where_where_document_and_ids_are_joined_by_and(texts):
    found = texts.query(
        [1], ids=["a", "b"], where={"n": {"$gte": 1}}, where_document={"$contains": "red"}, n_results=9
    )
    assert found["ids"] == [["b"]]


@pytest.mark.parametrize("operator", ["$eq", "$ne", "$in", "$gt", "$like"])
def test_a_document_can_be_searched_and_not_compared(texts, operator):
    with pytest.raises(InvalidArgumentError, match="document operator"):
        texts.get(where={"#document": {operator: "red"}})


@pytest.mark.parametrize("key", ["#embedding", "#metadata", "#score"])
def test_what_is_no_field_is_refused(texts, key):
    with pytest.raises(InvalidFilterError, match="cannot be filtered"):
        texts.get(where={key: "a"})


# --- what is refused, as Chroma refuses it -----------------------------------------------------

REFUSED: dict[str, Any] = {
    "two keys": {"a": 1, "b": 2},
    "no key": {},
    "no operator": {"v": {}},
    "two operators": {"v": {"$gt": 1, "$lt": 3}},
    "unknown operator": {"v": {"$near": 1}},
    "an operator for a key": {"$contains": "a"},
    "a comparison for a key": {"$gt": 1},
    "one child": {"$and": [{"v": 1}]},
    "no children": {"$or": []},
    "a child that is no dict": {"$and": [{"v": 1}, 3]},
    "no list of children": {"$or": {"v": 1}},
    "no dict": ["v"],
    "a key that is no str": {1: 1},
    "None": {"v": None},
    "equal to None": {"v": {"$eq": None}},
    "different from None": {"v": {"$ne": None}},
    "None in a list": {"v": {"$in": [None]}},
    "an empty list": {"v": {"$in": []}},
    "mixed types": {"v": {"$in": [1, "a"]}},
    "bools and numbers": {"v": {"$nin": [1, True]}},
    "no list": {"v": {"$in": "a"}},
    "bytes for a list": {"v": {"$any": bytearray(b"a")}},
    "an integer too long in a list": {"v": {"$eq": [10**5000]}},
    "NaN": {"v": float("nan")},
    "infinity in a list": {"v": {"$in": [float("inf")]}},
    "the order of bools": {"v": {"$gt": True}},
    "contains a list": {"v": {"$contains": [1]}},
    "contains None": {"v": {"$contains": None}},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_filter_that_means_nothing_is_refused_everywhere(collection, name):
    verbs = (
        collection.get,
        collection.delete,
        collection.count,
        lambda where: collection.query([1], where=where),
    )
    for verb in verbs:
        with pytest.raises(ValueError, match="where"):
            verb(where=REFUSED[name])


@pytest.mark.parametrize(
    "where_document",
    [
        {},
        {"$contains": ""},
        {"$regex": ""},
        {"$contains": 3},
        {"$contains": ["a"]},
        {"$near": "a"},
        {"$and": [{"$contains": "a"}]},
        {"$contains": "a", "$regex": "b"},
        {"$regex": "("},
        {"$regex": "(?=a)"},
        {"$regex": r"(a)\1"},
        "a",
    ],
)
def test_a_document_filter_that_means_nothing_is_refused(collection, where_document):
    with pytest.raises(ValueError, match="where_document"):
        collection.get(where_document=where_document)


REPEATED: list[dict[str, Any]] = [
    {"n": {"$gte": 3}},
    {"n": {"$in": [1, 2]}},
    {"s": {"$in": ["a", "b"]}},
    {"s": {"$gt": "a"}},
    {"tags": {"$contains": "red"}},
    {"$and": [{"n": {"$lt": 6}}, {"$or": [{"s": "a"}, {"tags": {"$exists": False}}]}]},
    {"$not": {"#document": {"$contains": "ant"}}},
]


@pytest.mark.parametrize("seed", range(3))
def test_a_filter_that_was_asked_before_knows_what_has_happened_since(client, seed):
    rng = random.Random(seed)
    things, records = client.create_collection("things", embedding_function=None), {}
    for step in range(12):
        for _ in range(rng.choice([1, 3, 30])):
            id = str(rng.randrange(60))
            metadata = {"n": rng.randrange(8), "s": rng.choice("abc")}
            if rng.random() < 0.5:
                metadata["tags"] = rng.sample(["red", "green", "blue"], 2)
            document = rng.choice(["an ant", "a bee", "no insect"])
            if rng.random() < 0.2:
                things.delete(ids=[id])
                records.pop(id, None)
            elif id in records and rng.random() < 0.5:
                things.update(ids=[id], embeddings=[[1, 1]], metadatas=[{"n": 7}], documents=[document])
                records[id] = {**records[id][0], "n": 7}, document
            else:
                things.delete(ids=[id])
                things.add(ids=[id], embeddings=[[step, 1]], metadatas=[metadata], documents=[document])
                records[id] = metadata, document
        for where in REPEATED:
            wanted = {
                id for id, (metadata, document) in records.items() if matches(metadata, document, where=where)
            }
            assert set(things.get(where=where)["ids"]) == wanted
            assert things.count(where=where) == len(wanted)


def test_a_filter_that_was_asked_before_selects_no_more_than_the_ids_that_are_given(collection):
    collection.add(ids=["a", "b", "c"], embeddings=[[1.0]] * 3, metadatas=[{"n": 1}, {"n": 1}, {"n": 2}])
    assert collection.get(where={"n": 1})["ids"] == ["a", "b"]
    assert collection.get(ids=["b", "c"], where={"n": 1})["ids"] == ["b"]
    assert collection.count(where={"n": 1}) == 2
    collection.delete(ids=["b", "c"], where={"n": 1})
    assert collection.get()["ids"] == ["a", "c"]
