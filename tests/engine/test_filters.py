"""A filter selects exactly the records that its meaning selects, whatever was written before or since.

What each condition selects is written out by hand below. The engine (arrays by row) and the reference
(`vicinal.testing.matches`, one record at a time) are both held to it, and then to each other on random
filters, records and writes.
"""

import tempfile
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone, tzinfo
from enum import Enum
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import vicinal
from vicinal import _derived, _fields
from vicinal._filter import parse_where
from vicinal._index.columns import Covered
from vicinal._index.indexer import Indexer
from vicinal._upkeep import Upkeep
from vicinal.testing import check, matches

DAY = date(2020, 1, 1)
NOON = datetime(2020, 1, 1, 12, tzinfo=timezone.utc)
EAST = timezone(timedelta(hours=1))


class Nowhere(tzinfo):
    """A time zone that tells no offset: what has it is naive, says Python."""

    def utcoffset(self, moment: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


# id → the value of "v"; the ids say what it is. `missing` lacks the key, `none` has no metadata at all.
VALUES: dict[str, Any] = {
    "int0": 0,
    "int1": 1,
    "int2": 2,
    "int53": 2**53 + 1,
    "int63": 2**63,
    "int-70": -(2**70),
    "intnan": 0x7FF0000000000001,  # the bits of a signalling NaN; a little below 2**63
    "float1": 1.0,
    "float1.5": 1.5,
    "float-1.5": -1.5,
    "float53": 2.0**53,
    "float63": 2.0**63,
    "nan": float("nan"),
    "inf": float("inf"),
    "-inf": float("-inf"),
    "true": True,
    "false": False,
    "null": None,
    "a": "a",
    "one": "1",
    "B": "B",
    "a%b": "a%b",
    "blank": "",
    "lines": "x\ny",
    "day": DAY,
    "midnight": datetime(2020, 1, 1),
    "noon": NOON,
    "[1,2]": [1, 2],
    "[1.0,2.5]": [1.0, 2.5],
    "[a,b]": ["a", "b"],
    "[true,false]": [True, False],
    "[]": [],
    "[[1]]": [[1]],
    "[null]": [None],
    "[day]": [DAY],
    "[{}]": [{"x": 1}],
    "{}": {},
    "{x}": {"x": 1},
}
RECORDS: dict[str, Any] = {id: {"v": value} for id, value in VALUES.items()}
RECORDS |= {"missing": {"w": 1}, "none": None}
ALL = set(RECORDS)
STRINGS = {"a", "one", "B", "a%b", "blank", "lines"}
LISTS = {"[1,2]", "[1.0,2.5]", "[a,b]", "[true,false]", "[]", "[[1]]", "[null]", "[day]", "[{}]"}
ABOVE_2 = {"int53", "float53", "intnan", "int63", "float63", "inf"}
BELOW_0 = {"int-70", "-inf", "float-1.5"}


class Word(str, Enum):
    A = "a"


def ids(text: str) -> set[str]:
    return set(text.split())


CONDITIONS: list[tuple[Any, set[str]]] = [
    # equality is mathematical, and of one kind
    (1, ids("int1 float1")),
    (1.0, ids("int1 float1")),
    (0, ids("int0")),
    (-0.0, ids("int0")),
    (1.5, ids("float1.5")),
    (True, ids("true")),
    (False, ids("false")),
    ("1", ids("one")),
    ("a", ids("a")),
    ("A", set()),
    ("", ids("blank")),
    ("x\ny", ids("lines")),
    (2**53, ids("float53")),
    (2**53 + 1, ids("int53")),
    (2.0**53, ids("float53")),
    (2**63, ids("int63 float63")),
    (2.0**63, ids("int63 float63")),
    (2**63 - 1, set()),
    (-(2**70), ids("int-70")),
    (-(2.0**70), ids("int-70")),
    (2**70, set()),
    (10**400, set()),
    (0x7FF0000000000001, ids("intnan")),
    (float(0x7FF0000000000001), set()),
    (DAY, ids("day midnight")),
    (datetime(2020, 1, 1), ids("day midnight")),
    (datetime(2020, 1, 1, 1, tzinfo=EAST), ids("day midnight")),
    (datetime(2020, 1, 1, 13, tzinfo=EAST), ids("noon")),
    (datetime(2020, 1, 1, 12), ids("noon")),
    (datetime(2020, 1, 1, 12, tzinfo=Nowhere()), ids("noon")),
    ({"$gte": datetime(2020, 1, 1, 12, tzinfo=Nowhere())}, ids("noon")),
    ({"$eq": [datetime(2020, 1, 1, tzinfo=Nowhere())]}, ids("[day]")),
    ("2020-01-01", set()),
    ({"$eq": 1}, ids("int1 float1")),
    ({"$eq": True}, ids("true")),
    ({"$eq": [1, 2]}, ids("[1,2]")),
    ({"$eq": (1.0, 2)}, ids("[1,2]")),
    ({"$eq": [2, 1]}, set()),
    ({"$eq": [True, False]}, ids("[true,false]")),
    ({"$eq": [1, 0]}, set()),
    ({"$eq": []}, ids("[]")),
    ({"$eq": [[1.0]]}, ids("[[1]]")),
    ({"$eq": [None]}, ids("[null]")),
    ({"$eq": [datetime(2020, 1, 1)]}, ids("[day]")),
    ({"$eq": {"x": 1.0}}, ids("{x}")),
    ({"$eq": [{"x": 1}]}, ids("[{}]")),
    ({"$eq": {}}, ids("{}")),
    # numpy scalars and subclasses are the values that they are
    (np.int64(1), ids("int1 float1")),
    (np.float32(1.5), ids("float1.5")),
    (np.bool_(True), ids("true")),
    (np.str_("a"), ids("a")),
    (np.datetime64("2020-01-01"), ids("day midnight")),
    (np.datetime64("2020-01-01", "ns"), ids("day midnight")),
    (Word.A, ids("a")),
    ({"$eq": [np.int64(1), np.float32(2)]}, ids("[1,2]")),
    ({"$eq": [Word.A, np.str_("b")]}, ids("[a,b]")),
    ({"$eq": (np.bool_(True), False)}, ids("[true,false]")),
    ({"$eq": [np.datetime64("2020-01-01", "ns")]}, ids("[day]")),
    ({"$eq": {np.str_("x"): np.uint8(1)}}, ids("{x}")),
    # the complement of a condition takes in the records that lack the key
    ({"$ne": 1}, ALL - ids("int1 float1")),
    ({"$ne": 1.5}, ALL - ids("float1.5")),
    ({"$ne": True}, ALL - ids("true")),
    ({"$ne": "nowhere"}, ALL),
    ({"$ne": [1, 2]}, ALL - ids("[1,2]")),
    ({"$ne": DAY}, ALL - ids("day midnight")),
    # sets
    ({"$in": [1, 2]}, ids("int1 int2 float1")),
    ({"$in": [1, 1.5]}, ids("int1 float1 float1.5")),
    ({"$in": [1.5]}, ids("float1.5")),
    ({"$in": (0,)}, ids("int0")),
    ({"$in": {"a", "1"}}, ids("a one")),
    ({"$in": np.array([1, 2])}, ids("int1 int2 float1")),
    ({"$in": [True]}, ids("true")),
    ({"$in": [True, False]}, ids("true false")),
    ({"$in": [2**63, 2**53]}, ids("int63 float63 float53")),
    ({"$in": [DAY, NOON]}, ids("day midnight noon")),
    ({"$in": list(range(-500, 500))}, ids("int0 int1 int2 float1")),
    ({"$in": [i / 2 for i in range(-500, 500)]}, ids("int0 int1 int2 float1 float1.5 float-1.5")),
    ({"$nin": [1, 2]}, ALL - ids("int1 int2 float1")),
    ({"$nin": ["a", "B"]}, ALL - ids("a B")),
    ({"$nin": [True, False]}, ALL - ids("true false")),
    # order of numbers: exact, also beyond 2**53 and 2**63; NaN is never ordered
    ({"$gt": 1}, ids("int2 float1.5") | ABOVE_2),
    ({"$gt": 1.5}, ids("int2") | ABOVE_2),
    ({"$gte": 1.5}, ids("int2 float1.5") | ABOVE_2),
    ({"$gte": 1}, ids("int1 float1 int2 float1.5") | ABOVE_2),
    ({"$gt": -0.5}, ids("int0 int1 float1 int2 float1.5") | ABOVE_2),
    ({"$lt": 1.5}, ids("int0 int1 float1") | BELOW_0),
    ({"$lt": 0.5}, ids("int0") | BELOW_0),
    ({"$lt": 0}, BELOW_0),
    ({"$lte": 0}, ids("int0") | BELOW_0),
    ({"$lte": -1.5}, BELOW_0),
    ({"$lt": -1.5}, ids("int-70 -inf")),
    ({"$gt": 2**53}, ABOVE_2 - ids("float53")),
    ({"$gt": 2.0**53}, ABOVE_2 - ids("float53")),
    ({"$gte": 2**53}, ABOVE_2),
    ({"$gte": 2**53 + 1}, ABOVE_2 - ids("float53")),
    ({"$lt": 2**53 + 1}, ids("int0 int1 float1 int2 float1.5 float53") | BELOW_0),
    ({"$gt": 2**63 - 1}, ids("int63 float63 inf")),
    ({"$gte": 2**63}, ids("int63 float63 inf")),
    ({"$gt": 2**63}, ids("inf")),
    ({"$gt": 2.0**63}, ids("inf")),
    ({"$gt": 2**70}, ids("inf")),
    ({"$gte": 10**400}, ids("inf")),
    ({"$lt": 10**400}, ALL & ids("int0 int1 int2 float1 float1.5") | BELOW_0 | ABOVE_2 - ids("inf")),
    ({"$lte": -(2**70)}, ids("int-70 -inf")),
    ({"$lt": -(2**70)}, ids("-inf")),
    ({"$lt": -(10**400)}, ids("-inf")),
    ({"$gt": -(2**63)}, ids("int0 int1 int2 float1 float1.5 float-1.5") | ABOVE_2),
    # order of strings and moments; never across kinds
    ({"$gt": "a"}, ids("a%b lines")),
    ({"$gte": "B"}, ids("B a a%b lines")),
    ({"$lt": "B"}, ids("blank one")),
    ({"$lte": ""}, ids("blank")),
    ({"$gt": DAY}, ids("noon")),
    ({"$gte": DAY}, ids("day midnight noon")),
    ({"$lt": NOON}, ids("day midnight")),
    ({"$lte": datetime(2020, 1, 1, 13, tzinfo=EAST)}, ids("day midnight noon")),
    ({"$between": [0, 1.5]}, ids("int0 int1 float1 float1.5")),
    ({"$between": (2**53, 2**63)}, ids("float53 int53 intnan int63 float63")),
    ({"$between": [2, 1]}, set()),
    ({"$between": ["a", "b"]}, ids("a a%b")),
    ({"$between": [DAY, NOON]}, ids("day midnight noon")),
    ({"$between": [0, "z"]}, set()),
    # lists
    ({"$contains": 1}, ids("[1,2] [1.0,2.5]")),
    ({"$contains": 1.0}, ids("[1,2] [1.0,2.5]")),
    ({"$contains": 2.5}, ids("[1.0,2.5]")),
    ({"$contains": True}, ids("[true,false]")),
    ({"$contains": "a"}, ids("[a,b]")),
    ({"$contains": DAY}, ids("[day]")),
    ({"$contains": "c"}, set()),
    ({"$not_contains": 1}, ALL - ids("[1,2] [1.0,2.5]")),
    ({"$not_contains": "a"}, ALL - ids("[a,b]")),
    ({"$any": [2, "b", True]}, ids("[1,2] [a,b] [true,false]")),
    ({"$any": []}, set()),
    ({"$all": [1, 2]}, ids("[1,2]")),
    ({"$all": [1, 2.5]}, ids("[1.0,2.5]")),
    ({"$all": ["a", 1]}, set()),
    ({"$all": []}, LISTS),
    # presence
    ({"$exists": True}, ALL - ids("missing none")),
    ({"$exists": False}, ids("missing none")),
    ({"$empty": True}, ids("missing none null blank []")),
    ({"$empty": False}, ALL - ids("missing none null blank []")),
    # patterns match strings only
    ({"$like": "a%"}, ids("a a%b")),
    ({"$like": "%b"}, ids("a%b")),
    ({"$like": "%"}, STRINGS),
    ({"$like": "_"}, ids("a one B")),
    ({"$like": "___"}, ids("a%b lines")),
    ({"$like": "x%y"}, ids("lines")),
    ({"$like": "a\\%b"}, ids("a%b")),
    ({"$like": "a\\%_"}, ids("a%b")),
    ({"$like": "%\\%%"}, ids("a%b")),
    ({"$like": "\\a"}, ids("a")),
    ({"$like": ""}, ids("blank")),
    ({"$like": "A"}, set()),
    ({"$like": "."}, set()),
    ({"$ilike": "A%"}, ids("a a%b")),
    ({"$ilike": "b"}, ids("B")),
    ({"$ilike": "%B"}, ids("B a%b")),
    ({"$startswith": "a"}, ids("a a%b")),
    ({"$startswith": "a%"}, ids("a%b")),
    ({"$startswith": ""}, STRINGS),
    ({"$startswith": "_"}, set()),
    ({"$regex": "^[a-z]$"}, ids("a")),
    ({"$regex": "(?i)b"}, ids("B a%b")),
    ({"$regex": "^$"}, ids("blank")),
    ({"$regex": r"\d"}, ids("one")),
    ({"$regex": "x.y"}, set()),
    ({"$regex": "(?s)x.y"}, ids("lines")),
    ({"$regex": "^y"}, set()),
    ({"$regex": "(?m)^y"}, ids("lines")),
    ({"$regex": ""}, STRINGS),
]
WHERES: list[tuple[dict[str, Any], set[str]]] = [
    *(({"v": condition}, expected) for condition, expected in CONDITIONS),
    ({"w": 1}, ids("missing")),
    ({"w": {"$ne": 1}}, ALL - ids("missing")),
    ({"x": 1}, set()),
    ({"v.x": 1}, ids("{x}")),
    ({"": 1}, set()),
    ({"chroma:document": "text"}, set()),
    ({"#id": "a"}, ids("a")),
    ({"#id": {"$in": ["a", "nobody", "none"]}}, ids("a none")),
    ({"#id": {"$ne": "a"}}, ALL - ids("a")),
    ({"#id": {"$like": "int_"}}, ids("int0 int1 int2")),
    ({"#id": {"$startswith": "int"}}, ids("int0 int1 int2 int53 int63 int-70 intnan")),
    ({"#id": {"$gte": "z"}}, ids("{} {x}")),
    ({"#id": {"$regex": "^fl.*3$"}}, ids("float53 float63")),
    ({"#id": 1}, set()),
    ({"#id": {"$exists": True}}, ALL),
    ({"$and": [{"v": {"$gt": 0}}, {"v": {"$lt": 2}}]}, ids("int1 float1 float1.5")),
    ({"$and": [{"v": 1}, {"v": True}]}, set()),
    ({"$or": [{"v": 1}, {"v": True}]}, ids("int1 float1 true")),
    ({"$or": [{"v": 1}, {"w": 1}, {"#id": "a"}]}, ids("int1 float1 missing a")),
    ({"$not": {"v": 1}}, ALL - ids("int1 float1")),
    ({"$not": {"v": {"$ne": 1}}}, ids("int1 float1")),
    ({"$not": {"v": {"$gt": 0}}}, ALL - ids("int1 float1 int2 float1.5") - ABOVE_2),
    ({"$not": {"$or": [{"v": {"$exists": True}}, {"w": 1}]}}, ids("none")),
    ({"$and": [{"$or": [{"v": 1}, {"v": 2}]}, {"$not": {"#id": "int1"}}]}, ids("float1 int2")),
    ({"$or": [{"$and": [{"v": 1}, {"v": 2}]}, {"$and": [{"v": "a"}, {"#id": "a"}]}]}, ids("a")),
    (
        {"$and": [{"v": {"$ne": 1}}, {"v": {"$lte": 2}}, {"w": {"$ne": 1}}]},
        ids("int0 int2 float1.5") | BELOW_0,
    ),
]
DOCUMENTS: dict[str, Any] = {
    "upper": "Hello World",
    "lower": "hello world",
    "marks": "100% sure_thing\\",
    "lines": "line one\nline two",
    "unicode": "Größe 😀",
    "blank": "",
    "none": None,
}
TEXTS = set(DOCUMENTS)
WHERE_DOCUMENTS: list[tuple[dict[str, Any], set[str]]] = [
    ({"$contains": "World"}, ids("upper")),
    ({"$contains": "o w"}, ids("lower")),
    ({"$contains": "WORLD"}, set()),
    ({"$contains": "%"}, ids("marks")),
    ({"$contains": "_"}, ids("marks")),
    ({"$contains": "\\"}, ids("marks")),
    ({"$contains": "."}, set()),
    ({"$contains": "\n"}, ids("lines")),
    ({"$contains": "öß"}, ids("unicode")),
    ({"$contains": "😀"}, ids("unicode")),
    ({"$contains": "e"}, TEXTS - ids("blank none")),
    ({"$not_contains": "World"}, TEXTS - ids("upper")),
    ({"$not_contains": "e"}, ids("blank none")),
    ({"$regex": "(?i)WORLD"}, ids("upper lower")),
    ({"$regex": "one.line"}, set()),
    ({"$regex": "(?s)one.line"}, ids("lines")),
    ({"$regex": "^line two"}, set()),
    ({"$regex": "(?m)^line two$"}, ids("lines")),
    ({"$regex": r"\p{Lu}"}, ids("upper unicode")),
    ({"$regex": "^$"}, ids("blank")),
    ({"$regex": r"\d+%"}, ids("marks")),
    ({"$not_regex": "(?i)world"}, TEXTS - ids("upper lower")),
    ({"$not_regex": "."}, ids("blank none")),
    ({"$and": [{"$contains": "ello"}, {"$contains": "w"}]}, ids("lower")),
    ({"$or": [{"$contains": "World"}, {"$contains": "two"}]}, ids("upper lines")),
    ({"$not": {"$contains": "e"}}, ids("blank none")),
    ({"$and": [{"$not_contains": "e"}, {"$not": {"$regex": "^$"}}]}, ids("none")),
    ({"$or": [{"$and": [{"$contains": "H"}, {"$contains": "W"}]}, {"$regex": "^$"}]}, ids("upper blank")),
]


def shown(part: Any) -> str:
    """The name of a parameter; the expected ids need none."""
    return "" if isinstance(part, set) else ascii(part)[:60]


def filled(store, records: dict[str, Any], **columns: Any) -> vicinal.Collection:
    vectors = [[i] for i in range(len(records))]
    return store.collection(
        ids=list(records), embeddings=vectors, metadatas=list(records.values()), **columns
    )


def fill(values: vicinal.Collection, texts: vicinal.Collection) -> None:
    values.add(list(RECORDS), [[i] for i in range(len(RECORDS))], list(RECORDS.values()))
    texts.add(list(DOCUMENTS), [[i] for i in range(len(DOCUMENTS))], documents=list(DOCUMENTS.values()))


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Both tables in memory, and read again from disk. Nobody writes to them."""
    path = tmp_path_factory.mktemp("tables")
    with opened(path, "values") as values, opened(path, "texts") as texts:
        fill(values, texts)
    with opened(None) as values, opened(None) as texts:
        fill(values, texts)
        with opened(path, "values") as stored_values, opened(path, "texts") as stored_texts:
            yield {"ephemeral": (values, texts), "persistent": (stored_values, stored_texts)}


@pytest.fixture(params=["ephemeral", "persistent"])
def values(request, tables):
    """The table of values."""
    return tables[request.param][0]


@pytest.fixture(params=["ephemeral", "persistent"])
def texts(request, tables):
    """The table of documents."""
    return tables[request.param][1]


# --- by hand ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("where", "expected"), WHERES, ids=shown)
def test_a_condition_selects_exactly_these(values, where, expected):
    assert expected == set(values.get(where=where)["ids"])


@pytest.mark.parametrize(("where", "expected"), WHERES, ids=shown)
def test_the_reference_selects_exactly_these(where, expected):
    assert expected == {id for id, metadata in RECORDS.items() if matches(metadata, id=id, where=where)}


@pytest.mark.parametrize(("where", "expected"), WHERE_DOCUMENTS, ids=shown)
def test_a_condition_on_documents_selects_exactly_these(texts, where, expected):
    selected = [texts.get(where_document=where), texts.get(where={"#document": where})]
    assert [expected, expected] == [set(got["ids"]) for got in selected]


@pytest.mark.parametrize(("where", "expected"), WHERE_DOCUMENTS, ids=shown)
def test_the_reference_selects_exactly_these_documents(where, expected):
    assert expected == {id for id, text in DOCUMENTS.items() if matches(None, text, where_document=where)}


def test_selected_records_come_in_order_of_insertion(values):
    expected = ["int1", "float1", "float1.5", "true"]
    assert expected == values.get(where={"$or": [{"v": True}, {"v": {"$between": [0.5, 1.9]}}]})["ids"]


def test_a_query_finds_every_match_and_nothing_else(values):
    found = [set(values.query([0], n_results=100, where=where)["ids"][0]) for where, _ in WHERES]
    assert [expected for _, expected in WHERES] == found


def test_asking_again_gives_the_same_answer(values):
    answers = [[set(values.get(where=where)["ids"]) for where, _ in WHERES] for _ in range(2)]
    assert [[expected for _, expected in WHERES]] * 2 == answers


# --- keys ------------------------------------------------------------------------------------

DOTTED = {
    "literal": {"a.b": 1},
    "nested": {"a": {"b": 1}},
    "both": {"a.b": 2, "a": {"b": 1}},
    "deep": {"a": {"b": {"c": 1}}},
    "dot inside": {"a": {"b.c": 1}},
    "dot outside": {"a.b": {"c": 1}},
    "list": {"a": [{"b": 1}]},
    "scalar": {"a": 1, "b": 1},
    "null": {"a": None},
    "null inside": {"a": {"b": None}},
    "dots": {".": 1, "a.": {"": 1}},
}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"a.b": 1}, {"literal", "nested"}),
        ({"a.b": 2}, {"both"}),
        ({"a.b": {"$ne": 1}}, set(DOTTED) - {"literal", "nested"}),
        ({"a.b": {"$exists": True}}, {"literal", "nested", "both", "deep", "dot outside", "null inside"}),
        ({"a.b.c": 1}, {"deep", "dot inside", "dot outside"}),
        ({"a": 1}, {"scalar"}),
        ({"a": {"$eq": {"b": 1}}}, {"nested", "both"}),
        ({"a.0.b": 1}, set()),
        ({".": 1}, {"dots"}),
        ({"a..": 1}, {"dots"}),
        ({"a.b": {"$empty": True}}, {"dot inside", "list", "scalar", "null", "null inside", "dots"}),
    ],
)
def test_a_dotted_key_is_literal_first_and_then_a_path(store, where, expected):
    made = filled(store, DOTTED)
    reference = {id for id, metadata in DOTTED.items() if matches(metadata, where=where)}
    assert (expected, expected) == (reference, set(store.reopen(made).get(where=where)["ids"]))


STRANGE_KEYS = [
    "'",
    '"',
    "'; DROP TABLE records; --",
    "ü",
    "😀",
    "a b",
    "%",
    "\0",
    "$.a",
    "a[0]",
    "x" * 5000,
    "*",
]


@pytest.mark.parametrize(
    "key", [key for key in STRANGE_KEYS if key[0] != "$"], ids=lambda key: ascii(key)[:20]
)
def test_any_key_and_any_string_can_be_filtered_by(store, key):
    made = filled(store, {"yes": {key: key}, "no": {key: "other"}, "lacks": {"k": key}})
    assert store.reopen(made).get(where={key: key})["ids"] == ["yes"]


def test_a_metadata_key_called_document_is_no_document(store):
    made = filled(store, {"a": {"document": "x", "id": "b"}, "b": None}, documents=["y", "x"])
    where = [{"document": "x"}, {"id": "b"}, {"#id": "b"}, {"#document": {"$contains": "x"}}]
    assert [made.get(where=w)["ids"] for w in where] == [["a"], ["a"], ["b"], ["b"]]


@pytest.mark.parametrize("depth", [2, 50, 99])
def test_filters_may_nest_deep(values, depth):
    where: dict[str, Any] = {"v": 1}
    for _ in range(depth // 2 * 2):
        where = {"$not": where}
    assert values.get(where=where)["ids"] == ["int1", "float1"]


def test_a_filter_may_be_wide(values):
    where = {"$or": [{"v": i} for i in range(2000)]}
    assert ids("int0 int1 int2 float1") == set(values.get(where=where)["ids"])


def test_masks_are_kept_within_bounds_and_the_latest_longest(monkeypatch):
    def wide(first):
        return parse_where({"n": {"$in": list(range(first, first + 50))}})

    masks, covered, mask = _fields._Masks(), Covered(1, 0, 1000), np.zeros(1000, dtype=np.bool_)
    monkeypatch.setattr(_fields, "_MASKS_BYTES_MAX", 3 * (1000 + 50 * _fields._VALUE_BYTES))
    for first in (0, 1, 2, 2):
        masks.put(wide(first), covered, mask)
    assert masks.get(wide(0)) == (covered, mask)
    masks.put(wide(3), covered, mask)
    assert [masks.get(wide(first))[0] for first in range(4)] == [covered, None, covered, covered]
    masks.put(wide(4), covered, np.zeros(10**6, dtype=np.bool_))
    assert [masks.get(wide(first))[0] for first in range(5)] == [None] * 4 + [covered]
    monkeypatch.setattr(_fields, "_MASKS_MAX", 2)
    for first in range(9):
        masks.put(parse_where({"n": first}), covered, mask)
    assert sum(masks.get(parse_where({"n": first}))[0] == covered for first in range(9)) == 2


def test_columns_of_keys_that_filters_name_are_kept_within_bounds_and_the_latest_longest(
    collection, monkeypatch
):
    monkeypatch.setattr(_fields, "_HELD_MAX", 3)
    collection.add(ids=["a", "b"], embeddings=[[0, 0]] * 2, metadatas=[{"n": 1, "m": 1}, {"n": 2}])

    def count(**where):
        return collection.count(where={key: {"$gte": value} for key, value in where.items()})

    assert [count(n=0), count(m=0), count(x=0), count(n=1), count(y=0)] == [2, 1, 0, 2, 0]
    with collection._backend._opened.using(collection.id) as live:
        assert list(live.columns._held) == ["x", "n", "y"]
    wide = {"$or": [{key: {"$gte": 1}} for key in ("a", "b", "m", "n", "o")]}
    assert (collection.count(where=wide), count(n=2), count(m=1)) == (2, 1, 1)


def test_the_rows_of_a_small_write_are_ready_for_the_next_filter(store, monkeypatch):
    collection = filled(store, {"a": {"n": 1, "t": ["x"]}, "b": {"n": 2}})
    answers = {
        "n": ({"n": {"$gte": 2}}, {"b", "c", "d"}),
        "t": ({"t": {"$contains": "x"}}, {"b", "d"}),
        "#id": ({"#id": {"$in": ["a", "d"]}}, {"d"}),
    }
    for where, _ in answers.values():
        collection.get(where=where)
    collection.add(
        ids=["c", "d"], embeddings=[[5.0], [6.0]], metadatas=[{"n": 2.5}, {"n": 2**70, "t": ["x"]}]
    )
    collection.upsert(ids="b", embeddings=[7.0], metadatas={"t": ["y", "x"]})  # a new row; `n` stays
    collection.delete("a")
    with monkeypatch.context() as patch:
        patch.setattr(_derived, "stored", None)  # what reads metadata again
        assert {k: set(collection.get(where=where)["ids"]) for k, (where, _) in answers.items()} == {
            k: ids for k, (_, ids) in answers.items()
        }
    collection.update(ids="c", metadatas={"n": 0})  # in its row; and a large write
    monkeypatch.setattr(_fields, "_TAKEN_IN_MAX", 1)
    collection.add(ids=["e", "f"], embeddings=[[8.0], [9.0]], metadatas=[{"n": 1}, {"n": 9}])
    assert set(collection.get(where=answers["n"][0])["ids"]) == {"b", "d", "f"}


def test_any_of_many_values_takes_no_mask_for_each(collection, peak_of):
    ids = list(map(str, range(3_000)))
    metadatas = [{"tags": [number, -1]} for number in range(3_000)]
    collection.add(ids=ids, embeddings=[[0, 0]] * 3_000, metadatas=metadatas)
    where = {"tags": {"$any": list(range(2_000))}}
    assert collection.count(where={"tags": {"$all": [-1, 5]}}) == 1  # makes the column
    found, peak = peak_of(lambda: collection.count(where=where))
    assert found == 2_000
    assert peak < 2_000_000


def test_many_integers_beyond_64_bits_are_found_among_many(collection, calls_of):
    values = [2**63 + number for number in range(3_000)]
    ids = list(map(str, range(3_000)))
    collection.add(ids=ids, embeddings=[[0, 0]] * 3_000, metadatas=[{"hash": value} for value in values])
    assert collection.count(where={"hash": float(2**63)}) == 1
    found, calls = calls_of(lambda: collection.count(where={"hash": {"$in": [-1, *values[1:]]}}))
    assert found == 2_999
    assert calls < 10 * len(values)  # each compared with each would take millions


@pytest.mark.parametrize("operator", ["$like", "$ilike"])
def test_a_pattern_of_many_runs_is_answered(collection, operator):
    """Whoever tries all combinations of where the runs may end is never done."""
    collection.add(ids="x", embeddings=[1], metadatas={"v": "a" * 150})
    assert collection.get(where={"v": {operator: "%a" * 30 + "_b"}})["ids"] == []


def test_a_filter_is_not_changed(values):
    where = {"$and": [{"v": {"$in": [1, 2]}}, {"v": {"$not_contains": 3}}]}
    values.get(where=where)
    assert where == {"$and": [{"v": {"$in": [1, 2]}}, {"v": {"$not_contains": 3}}]}


# --- together --------------------------------------------------------------------------------


@pytest.fixture
def numbered(store):
    """Ten records: n counts up, even ones have a document that says so."""
    return store.collection(
        ids=[f"r{n}" for n in range(10)],
        embeddings=[[n] for n in range(10)],
        metadatas=[{"n": n} for n in range(10)],
        documents=["even" if n % 2 == 0 else None for n in range(10)],
    )


EVERYTHING = {
    "ids": ["r1", "r2", "r4", "r6", "nobody"],
    "where": {"n": {"$gt": 2}},
    "where_document": {"$contains": "even"},
}


def test_ids_where_and_where_document_are_all_to_be_satisfied(store, numbered):
    assert store.reopen(numbered).get(**EVERYTHING)["ids"] == ["r4", "r6"]


def test_a_query_satisfies_all_of_them_too(store, numbered):
    assert store.reopen(numbered).query([9], **EVERYTHING)["ids"] == [["r6", "r4"]]


def test_delete_satisfies_all_of_them_too(store, numbered):
    numbered.delete(**EVERYTHING)
    assert [f"r{n}" for n in (0, 1, 2, 3, 5, 7, 8, 9)] == store.reopen(numbered).get()["ids"]


@pytest.mark.parametrize("part", EVERYTHING)
def test_each_two_of_them_are_satisfied(numbered, part):
    selection = {name: value for name, value in EVERYTHING.items() if name != part}
    expected = {"ids": ["r4", "r6", "r8"], "where": ["r2", "r4", "r6"], "where_document": ["r4", "r6"]}
    assert expected[part] == numbered.get(**selection)["ids"]


@pytest.mark.parametrize("k", [1, 3, 4, 5, 100])
def test_a_filtered_query_returns_k_records_when_k_match(numbered, k):
    found = numbered.query([0], n_results=k, where={"n": {"$gte": 6}})["ids"][0]
    assert ["r6", "r7", "r8", "r9"][:k] == found


def test_a_filter_that_nothing_satisfies_gives_nothing(numbered):
    got, found = numbered.get(where={"n": -1}), numbered.query([[0], [1]], where={"n": -1})
    assert (got["ids"], found["ids"], found["distances"]) == ([], [[], []], [[], []])


def test_a_filter_on_an_empty_collection_gives_nothing(collection):
    assert collection.get(where={"n": {"$ne": 1}}, where_document={"$not_contains": "x"})["ids"] == []


# --- after writes ----------------------------------------------------------------------------


def wrong(made: vicinal.Collection) -> list[Any]:
    """The conditions that select anything but what they should, with what they select."""
    answers = [(where, expected, set(made.get(where=where)["ids"])) for where, expected in WHERES]
    return [
        (where, answer - expected, expected - answer)
        for where, expected, answer in answers
        if expected != answer
    ]


def test_columns_that_caught_up_answer_as_fresh_ones(store):
    names, given = list(RECORDS), list(RECORDS.values())
    made = filled(store, dict(zip(names, given[7:] + given[:7], strict=True)))  # everyone's value is wrong
    wrong(made)  # columns exist from here on
    made.update(names[::2], metadatas=given[::2], merge_metadata=False)
    made.upsert(names[1::2], [[-1]] * len(names[1::2]), given[1::2], merge_metadata=False)
    made.delete(names[::5])
    made.add(names[::5], [[-2]] * len(names[::5]), given[::5])
    assert (wrong(made), wrong(store.reopen(made))) == ([], [])


def test_columns_catch_up_after_each_write(collection):
    answers = []
    for n in range(20):
        collection.add(ids=f"r{n}", embeddings=[n], metadatas={"n": n % 2, "tags": [n % 3, "all"]})
        answers.append(len(collection.get(where={"$and": [{"n": 1}, {"tags": {"$contains": 0}}]})["ids"]))
    assert [sum(i % 2 == 1 and i % 3 == 0 for i in range(n + 1)) for n in range(20)] == answers


@pytest.mark.parametrize(
    ("new", "where"),
    [
        ({"v": 2}, {"v": 1}),
        ({"v": "x"}, {"v": 1}),
        ({"v": None}, {"v": {"$exists": True}}),
        ({"tags": ["b"]}, {"tags": {"$contains": "a"}}),
        ({"tags": "a"}, {"tags": {"$contains": "a"}}),
        ({"deep": {"x": 2}}, {"deep.x": 1}),
        ({"deep": 1}, {"deep.x": {"$exists": True}}),
        ({"big": 5}, {"big": {"$gt": 2**63}}),
        ({"deep.x": 2}, {"deep.x": 1}),
    ],
)
def test_an_updated_value_is_filtered_by_as_it_is_now(collection, new, where):
    metadata = {"v": 1, "tags": ["a"], "deep": {"x": 1}, "big": 2**64}
    collection.add(ids=["x", "y"], embeddings=[[1], [2]], metadatas=[metadata, metadata])
    before = collection.get(where=where)["ids"]
    collection.update(ids="x", metadatas=new)
    assert (before, collection.get(where=where)["ids"]) == (["x", "y"], ["y"])


def test_an_updated_document_is_filtered_by_as_it_is_now(collection):
    collection.add(ids=["x", "y"], embeddings=[[1], [2]], documents=["old", "old"])
    before = collection.get(where_document={"$contains": "old"})["ids"]
    collection.update(ids="x", documents="new", embeddings=[1])
    assert (before, collection.get(where_document={"$contains": "old"})["ids"]) == (["x", "y"], ["y"])


def test_deleted_records_are_not_selected_by_negative_conditions(numbered):
    numbered.get(where={"n": {"$ne": 1}})
    numbered.delete(ids=["r0", "r2"])
    assert len(numbered.get(where={"n": {"$ne": 1}})["ids"]) == 7


def test_a_handle_that_never_filtered_agrees_with_one_that_did(new_client, tmp_path):
    one, two = new_client(tmp_path), new_client(tmp_path)
    mine = one.create_collection("things", embedding_function=None)
    mine.add(["a", "b"], [[1], [2]], [{"n": 1}, {"n": 2}])
    theirs = two.get_collection("things")
    theirs.get(where={"n": 1})
    mine.update(["a", "b"], metadatas=[{"n": 2}, {"n": 1}])
    assert (mine.get(where={"n": 1})["ids"], theirs.get(where={"n": 1})["ids"]) == (["b"], ["b"])


# --- properties ------------------------------------------------------------------------------

KEYS = ["a", "b", "a.b", "a.b.c"]
POOL = [
    *(None, True, False, 0, 1, 2, -3, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 0x7FF0000000000001),
    *(0.0, 1.0, 1.5, -3.5, 2.0**53, 2.0**63, 1e300, float("nan"), float("inf"), float("-inf")),
    *("", "a", "b", "ab", "A", "a%", "a_b", "\\", "1", "ü", "\n", "\0"),
    *(DAY, NOON, datetime(2020, 1, 1), datetime(2020, 1, 1, 13, tzinfo=EAST)),
]
OPERANDS = [x for x in POOL if x is not None and not (isinstance(x, float) and x - x != 0)]
FAMILIES = [
    [x for x in OPERANDS if isinstance(x, (int, float)) and not isinstance(x, bool)],
    [x for x in OPERANDS if isinstance(x, str)],
    [x for x in OPERANDS if isinstance(x, date)],
    [True, False],
]
ATOM, OPERAND = st.sampled_from(POOL), st.sampled_from(OPERANDS)
ORDERED = st.sampled_from([x for x in OPERANDS if not isinstance(x, bool)])
NESTED = st.recursive(
    ATOM,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c", "b.c"]), inner)
    ),
    max_leaves=4,
)
METADATA = st.none() | st.dictionaries(st.sampled_from(["a", "b", "a.b", "c"]), NESTED, max_size=3)
DOCUMENT = st.none() | st.text("ab\nü", max_size=4)


def one_of(names: str, operand: Any) -> Any:
    """A dictionary of one of the operators and an operand."""
    return st.builds(lambda name, value: {name: value}, st.sampled_from(names.split()), operand)


CONDITION = st.one_of(
    OPERAND,
    one_of("$eq $ne", OPERAND | st.lists(ATOM.filter(lambda x: x == x), max_size=2)),
    one_of(
        "$in $nin",
        st.sampled_from(FAMILIES).flatmap(lambda some: st.lists(st.sampled_from(some), min_size=1)),
    ),
    one_of("$gt $gte $lt $lte", ORDERED),
    one_of("$between", st.tuples(ORDERED, ORDERED)),
    one_of("$contains $not_contains", OPERAND),
    one_of("$any $all", st.lists(OPERAND, max_size=3)),
    one_of("$exists $empty", st.booleans()),
    one_of("$like $ilike $startswith", st.text("a%_\\bA\n", max_size=4)),
    one_of("$regex", st.sampled_from(["a", "^a", "^$", ".", "(?i)A", "b$", "[ab]+", "ü"])),
)
ID_CONDITION = st.sampled_from(
    ["r1", {"$gt": "r3"}, {"$in": ["r0", "r5"]}, {"$exists": True}, {"$like": "r%"}]
)
DOCUMENT_LEAF = one_of("$contains $not_contains", st.text("ab\nü", min_size=1, max_size=2)) | one_of(
    "$regex $not_regex", st.sampled_from(["a", "^b", "^$", "a.", "ü|b"])
)
LEAF = st.one_of(
    *[st.builds(lambda key, condition: {key: condition}, st.sampled_from(KEYS), CONDITION)] * 2,
    st.builds(lambda condition: {"#id": condition}, ID_CONDITION),
    st.builds(lambda condition: {"#document": condition}, DOCUMENT_LEAF),
)


def trees(leaf: Any) -> Any:
    """Filters of logical operators over leaves."""
    return st.none() | st.recursive(
        leaf,
        lambda inner: one_of("$and $or", st.lists(inner, min_size=2, max_size=3)) | one_of("$not", inner),
        max_leaves=5,
    )


FILTERS = st.lists(st.tuples(trees(LEAF), trees(DOCUMENT_LEAF)), min_size=1, max_size=4)
RECORD = st.tuples(st.lists(st.integers(-2, 2), min_size=2, max_size=2), METADATA, DOCUMENT)
VERBS = st.sampled_from(["add", "upsert", "update", "alter", "delete", "compact"])
WRITES = st.lists(st.tuples(VERBS, st.lists(st.integers(0, 9), unique=True, max_size=4), RECORD), max_size=5)
Model = dict[str, tuple[list[int], Any, Any]]


def write(made: vicinal.Collection, model: Model, verb: str, numbers: list[int], record: Any) -> None:
    """The same write to the collection and to a dictionary."""
    names = [f"r{n}" for n in numbers]
    vector, metadata, document = record
    columns = ([vector] * len(names), [metadata] * len(names), [document] * len(names))
    if verb == "add":
        made.add(names, *columns)
    elif verb == "delete":
        made.delete(names)
    elif verb == "compact":
        made.compact()
    elif verb == "alter":
        made.update(names, metadatas=columns[1], merge_metadata=False)
    else:
        getattr(made, verb)(names, *columns, merge_metadata=False)
    for name in names:
        old = model.get(name)
        if verb == "delete":
            model.pop(name, None)
        elif old is None and verb in ("add", "upsert"):
            model[name] = record
        elif old is not None and verb == "alter":
            model[name] = (old[0], metadata, old[2])
        elif old is not None and verb in ("update", "upsert"):
            model[name] = (vector, metadata, old[2] if document is None else document)


def selected(model: Model, where: Any, where_document: Any) -> list[str]:
    """What the reference selects, in order of insertion."""
    return [
        name
        for name, (_, metadata, document) in model.items()
        if matches(metadata, document, id=name, where=where, where_document=where_document)
    ]


def agree(made: vicinal.Collection, model: Model, filters: Any, k: int) -> None:
    """The collection gets and queries what the reference selects."""
    for where, where_document in filters:
        expected = selected(model, where, where_document)
        assert expected == made.get(where=where, where_document=where_document)["ids"]
        found = made.query([0, 0], n_results=k, where=where, where_document=where_document)
        distances = {name: float(np.dot(model[name][0], model[name][0])) for name in expected}
        nearest = sorted(distances.values())[:k]
        assert nearest == found["distances"][0]
        assert nearest == [distances[name] for name in found["ids"][0]]
        assert len(nearest) == len(set(found["ids"][0]))


@contextmanager
def opened(path: str | Path | None, name: str = "things"):
    with vicinal.Client() if path is None else vicinal.PersistentClient(path) as client:
        yield client.get_or_create_collection(name, embedding_function=None)
        assert check(client) == []


RANDOM = {
    "records": st.lists(RECORD, max_size=8),
    "filters": FILTERS,
    "writes": WRITES,
    "k": st.integers(1, 9),
}


@hypothesis.given(**RANDOM)
def test_random_filters_agree_with_the_reference_before_and_after_writes(records, filters, writes, k):
    model: Model = {}
    with opened(None) as made:
        for number, record in enumerate(records):
            write(made, model, "add", [number], record)
        agree(made, model, filters, k)
        for verb, numbers, record in writes:
            write(made, model, verb, numbers, record)
            agree(made, model, filters[:1], k)
        agree(made, model, filters, k)


@hypothesis.settings(max_examples=20)
@hypothesis.given(**RANDOM)
def test_random_filters_agree_with_the_reference_on_disk(records, filters, writes, k):
    model: Model = {}
    with tempfile.TemporaryDirectory() as path:
        with opened(path) as made:
            for number, record in enumerate(records):
                write(made, model, "add", [number], record)
            agree(made, model, filters, k)
            for verb, numbers, record in writes:
                write(made, model, verb, numbers, record)
            agree(made, model, filters, k)
        with opened(path) as made:
            agree(made, model, filters, k)


# --- while the background prepares -----------------------------------------------------------------

VALUES_OF_A_KEY = st.sampled_from([None, "x", "y", 1, 2**70, ["x"], ["x", "y"]])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 4), VALUES_OF_A_KEY),
        st.tuples(st.just("update"), st.integers(0, 20), st.sampled_from("ab"), VALUES_OF_A_KEY),
        st.tuples(st.just("ask"), st.sampled_from("ab")),
        st.tuples(st.just("prepare")),
    ),
    max_size=25,
)


@hypothesis.example(
    [("add", 9, "x"), ("prepare",), ("ask", "a"), ("update", 8, "a", None), ("prepare",), ("ask", "a")]
)
@hypothesis.given(STEPS)
def test_filters_agree_with_their_meaning_however_far_the_columns_are_prepared(steps: list[Any]) -> None:
    """The background brings all columns on by slices, whatever a filter has done for one of them before."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_fields, "_SLICE_ROWS", 2)
        patched.setattr(Indexer, "wake", lambda *_: None)  # the background is this test
        client = vicinal.EphemeralClient()
        things = client.create_collection("things", embedding_function=None)
        records: list[dict[str, Any]] = []
        things.add(ids="first", embeddings=[0, 0], metadatas={"a": "x", "b": "y"})
        records.append({"a": "x", "b": "y"})
        with client._backend._opened.using(things.id) as live:
            upkeep = Upkeep(live)
            for kind, *given in [*steps, ("ask", "a"), ("ask", "b")]:
                if kind == "add":
                    count, value = given
                    more = [{"a": value, "b": "y"} for _ in range(count)]
                    names = [f"{len(records) + i}" for i in range(count)]
                    things.add(ids=names, embeddings=[[1, i] for i in range(count)], metadatas=more)
                    records += more
                elif kind == "update" and 0 < given[0] < len(records):
                    number, key, value = given
                    things.update(ids=str(number), metadatas={key: value})
                    records[number] = {**records[number], key: value}
                    if value is None:
                        del records[number][key]
                elif kind == "prepare":
                    upkeep._prepare()
                elif kind == "ask":
                    for where in (
                        {given[0]: "x"},
                        {given[0]: 2**70},
                        {given[0]: {"$contains": "x"}},
                        {given[0]: {"$exists": True}},
                    ):
                        found = things.get(where=where)["ids"]
                        wanted = [i for i, record in enumerate(records) if matches(record, where=where)]
                        assert found == [str(i) if i else "first" for i in wanted]
