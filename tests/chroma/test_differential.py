"""What is done to a Chroma collection, done to a Vicinal one, gives the same answers and errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.chroma.differences import Call, Outcome, catches, explained

import vicinal

chromadb = pytest.importorskip("chromadb")

WRITES = {"add", "upsert", "update", "delete"}
DIGITS = 4

# --- what is called ----------------------------------------------------------------------------

ids = st.sampled_from([f"id{n}" for n in range(8)])
id_lists = st.lists(ids, min_size=1, max_size=4, unique=True)
vectors = st.lists(st.integers(-3, 3), min_size=2, max_size=2).map(lambda v: [float(x) for x in v])
words = st.sampled_from(["red", "Red apple", "blue", "a 100% whale", "zoë\nline two"])
scalars = st.one_of(
    st.integers(-2, 3),
    st.sampled_from([-1.5, 0.5, 1.0, 2.0]),
    st.booleans(),
    st.sampled_from(["", "a", "B", "1"]),
)
lists = st.one_of(
    st.lists(st.integers(0, 3), min_size=1, max_size=3),
    st.lists(st.sampled_from("ab"), min_size=1, max_size=2),
)
keys = st.sampled_from(["k", "n", "k.n", "ü"])
metadatas = st.dictionaries(keys, st.one_of(scalars, lists), min_size=1, max_size=3)
changes = st.dictionaries(keys, st.one_of(scalars, lists, st.none()), min_size=1, max_size=3)


def conditions(values: Any) -> Any:
    """One comparison of a metadata key."""
    numbers = values.filter(lambda value: type(value) in (int, float))
    return st.one_of(
        st.builds(lambda k, v: {k: v}, keys, values),
        st.builds(lambda k, o, v: {k: {o: v}}, keys, st.sampled_from(["$eq", "$ne"]), values),
        st.builds(
            lambda k, o, v: {k: {o: v}}, keys, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), numbers
        ),
        st.builds(
            lambda k, o, v: {k: {o: v}},
            keys,
            st.sampled_from(["$in", "$nin"]),
            st.lists(values, min_size=1, max_size=3).filter(lambda v: len({type(one) for one in v}) == 1),
        ),
        st.builds(lambda k, o, v: {k: {o: v}}, keys, st.sampled_from(["$contains", "$not_contains"]), values),
    )


def joined(leaves: Any) -> Any:
    """Comparisons under $and and $or."""
    return st.recursive(
        leaves,
        lambda children: st.builds(
            lambda o, c: {o: c}, st.sampled_from(["$and", "$or"]), st.lists(children, min_size=2, max_size=3)
        ),
        max_leaves=4,
    )


wheres = joined(conditions(scalars))
safe_wheres = joined(conditions(scalars.filter(lambda value: not (isinstance(value, float) and value % 1))))
"""Without the operands by which the two engines select differently: for what deletes."""
texts_conditions = joined(
    st.builds(
        lambda o, v: {o: v},
        st.sampled_from(["$contains", "$not_contains", "$regex", "$not_regex"]),
        st.sampled_from(["red", "e", "100%", "ë", "zz", "^a", "[bl]+", "(?i)RED"]),
    )
)
fields = st.lists(st.sampled_from(["documents", "metadatas", "embeddings", "uris"]), max_size=4, unique=True)


@st.composite
def writes(draw: Any) -> Call:
    """A write of columns that fit together."""
    method = draw(st.sampled_from(["add", "add", "upsert", "update"]))
    chosen = draw(id_lists)
    count = len(chosen)
    columns: dict[str, Any] = {"ids": chosen}
    if method != "update" or draw(st.booleans()):
        columns["embeddings"] = draw(st.lists(vectors, min_size=count, max_size=count))
        if draw(st.booleans()):
            columns["documents"] = draw(st.lists(words, min_size=count, max_size=count))
        if draw(st.booleans()):
            columns["uris"] = draw(st.lists(st.sampled_from(["u1", "u2"]), min_size=count, max_size=count))
    if draw(st.booleans()) or len(columns) == 1:
        values = metadatas if method == "add" else changes
        columns["metadatas"] = draw(st.lists(values, min_size=count, max_size=count))
    return Call(method, columns)


@st.composite
def deletions(draw: Any) -> Call:
    arguments = draw(
        st.fixed_dictionaries(
            {}, optional={"ids": id_lists, "where": safe_wheres, "where_document": texts_conditions}
        )
    )
    return Call("delete", arguments or {"ids": ["id0"]})


gets = st.builds(
    lambda arguments: Call("get", arguments),
    st.fixed_dictionaries(
        {"include": fields},
        optional={
            "ids": id_lists,
            "where": wheres,
            "where_document": texts_conditions,
            "limit": st.integers(-1, 9),
            "offset": st.integers(0, 9),
        },
    ),
)
queries = st.builds(
    lambda arguments: Call("query", arguments),
    st.fixed_dictionaries(
        {
            "query_embeddings": st.lists(vectors, min_size=1, max_size=2),
            "include": fields.map(lambda chosen: [*chosen, "distances"]),
            "n_results": st.integers(1, 9),
        },
        optional={"ids": id_lists, "where": wheres, "where_document": texts_conditions},
    ),
)
BAD: tuple[dict[str, Any], ...] = (
    {"ids": []},
    {"ids": ["a", "a"]},
    {"ids": [""]},
    {"ids": [1]},
    {"ids": ["a"], "embeddings": [[1.0]]},
    {"ids": ["a"], "embeddings": [[1.0, float("nan")]]},
    {"ids": ["a"], "embeddings": [["x", "y"]]},
    {"ids": ["a", "b"], "embeddings": [[1.0, 2.0]]},
    {"ids": ["a"], "embeddings": [[1.0, 2.0]], "metadatas": [{}]},
    {"ids": ["a"], "embeddings": [[1.0, 2.0]], "metadatas": ["x"]},
    {"ids": ["a"], "embeddings": [[1.0, 2.0]], "metadatas": [{1: "x"}]},
    {"ids": ["a"], "embeddings": [[1.0, 2.0]], "documents": [5]},
)
BAD_READS: tuple[dict[str, Any], ...] = (
    {"where": {}},
    {"where": {"k": {}}},
    {"where": {"k": None}},
    {"where": {"k": {"$in": []}}},
    {"where": {"k": {"$foo": 1}}},
    {"where": {"k": {"$gt": "a"}}},
    {"where": {"k": {"$gt": True}}},
    {"where": {"k": 1, "n": 2}},
    {"where": {"$and": []}},
    {"where": {"$or": [{"k": 1}]}},
    {"where": {"k": {"$in": [1, "a"]}}},
    {"where": "k"},
    {"where_document": {}},
    {"where_document": {"$contains": ""}},
    {"where_document": {"$contains": 1}},
    {"where_document": {"$regex": "("}},
    {"where_document": {"$foo": "x"}},
    {"include": ["nothing"]},
)
mistakes = st.one_of(
    st.builds(Call, st.sampled_from(["add", "upsert", "update"]), st.sampled_from(BAD)),
    st.builds(
        Call, st.just("get"), st.sampled_from((*BAD_READS, {"limit": -1}, {"offset": -1}, {"ids": []}))
    ),
    st.builds(
        Call,
        st.just("query"),
        st.sampled_from((*BAD_READS, {"n_results": 0}, {"n_results": "1"}, {"ids": []})).map(
            lambda bad: {"query_embeddings": [[1.0, 0.0]], **bad}
        ),
    ),
    st.builds(
        Call, st.just("query"), st.sampled_from(({}, {"query_embeddings": [[1.0]]}, {"query_embeddings": []}))
    ),
    st.builds(Call, st.just("delete"), st.sampled_from((*BAD_READS[:-1], {}))),
)
calls = st.one_of(
    writes(),
    writes(),
    deletions(),
    gets,
    gets,
    queries,
    queries,
    mistakes,
    st.just(Call("count")),
    st.just(Call("peek", {"limit": 3})),
)

# --- what comes of it --------------------------------------------------------------------------


def plain(answer: Any) -> Any:
    """An answer as lists and numbers that can be compared; {} beside a URI is Chroma's way to say None."""
    if isinstance(answer, dict):
        return {key: plain(value) for key, value in answer.items()} or None
    if isinstance(answer, np.ndarray):
        return plain(answer.tolist())
    if isinstance(answer, (list, tuple)):
        return [plain(one) for one in answer]
    return round(answer, DIGITS) + 0.0 if isinstance(answer, (float, np.floating)) else answer


def outcome(collection: Any, call: Call) -> Outcome:
    """What a call does; a write's own answer is not compared, for Chroma's is None, or counts absent ids."""
    arguments = {
        name: list(value) if isinstance(value, list) else value for name, value in call.arguments.items()
    }
    try:
        answer = getattr(collection, call.method)(**arguments)
    except Exception as error:
        return Outcome(error=error)
    if isinstance(answer, dict) and "included" in answer:
        answer = {**answer, "included": sorted(answer["included"])}
    return Outcome(None if call.method in WRITES else plain(answer))


def agree(theirs: Outcome, ours: Outcome) -> bool:
    if theirs.error is not None and ours.error is not None:
        return catches(theirs.error, ours.error)
    return theirs.error is ours.error is None and theirs.answer == ours.answer


def without_lists(call: Call) -> Call:
    """The call with a list's first value in its place.

    What Chroma deletes, also with a whole collection, leaves its lists behind, and the next record inherits
    them. So histories have lists or deletions, and Chroma's collections stay to the end.
    """
    given = call.arguments.get("metadatas")
    if not given:
        return call
    changed = [
        {key: value[0] if isinstance(value, list) else value for key, value in one.items()}
        if isinstance(one, dict)
        else one
        for one in given
    ]
    return Call(call.method, {**call.arguments, "metadatas": changed})


def of_present(call: Call, collection: Any) -> Call:
    """The call without the vectors of records that are not there.

    Chroma 1.5.9 ignores such an update, but gives its vector to the record when that is added later.
    """
    given = call.arguments.get("ids")
    if call.method != "update" or "embeddings" not in call.arguments or call.arguments in BAD:
        return call
    present = set(collection.get(ids=given, include=[])["ids"])
    kept = [at for at, id in enumerate(given) if id in present]
    columns = {name: [column[at] for at in kept] for name, column in call.arguments.items()}
    return Call("update", columns) if kept else Call("count")


def replay(history: list[Call], space: str) -> None:
    """Run a history on both, and compare call by call and at the end."""
    if any(call.method == "delete" for call in history):
        history = list(map(without_lists, history))
    name = f"h{uuid4().hex}"
    configuration = {"hnsw": {"space": space}}
    theirs = CHROMA.create_collection(name, configuration=configuration, embedding_function=None)
    ours = VICINAL.create_collection(name, configuration=configuration, embedding_function=None)
    try:
        for drawn in [*history, Call("get", {"include": ["documents", "metadatas", "embeddings", "uris"]})]:
            call = of_present(drawn, ours)
            expected, actual = outcome(theirs, call), outcome(ours, call)
            if not agree(expected, actual):
                assert explained(call, expected, actual) is not None, (
                    f"{call}\n  Chroma:  {expected!r}\n  Vicinal: {actual!r}"
                )
                if call.method in WRITES and None in (expected.error, actual.error):
                    return  # from here on they hold different records
    finally:
        VICINAL.delete_collection(name)


CHROMA: Any = None
VICINAL: Any = None


@pytest.fixture(autouse=True, scope="module")
def clients() -> Iterator[None]:
    """One of each for all histories."""
    global CHROMA, VICINAL  # a narrower fixture and hypothesis do not mix
    CHROMA, VICINAL = chromadb.EphemeralClient(), vicinal.EphemeralClient()
    yield
    CHROMA.close()
    VICINAL.close()


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
histories = st.lists(calls, min_size=1, max_size=12)
spaces = st.sampled_from(["l2", "cosine", "ip"])


@settings(max_examples=120, derandomize=True, deadline=None, suppress_health_check=QUIET)
@given(history=histories, space=spaces)
def test_a_history_has_the_same_answers_on_both(history: list[Call], space: str) -> None:
    replay(history, space)


@pytest.mark.slow
@settings(max_examples=int(os.environ.get("EXAMPLES", "2000")), deadline=None, suppress_health_check=QUIET)
@given(history=st.lists(calls, min_size=5, max_size=40), space=spaces)
def test_a_long_history_has_the_same_answers_on_both(history: list[Call], space: str) -> None:
    replay(history, space)


FILLED = [
    Call(
        "add",
        {
            "ids": ["a", "b"],
            "embeddings": [[1.0, 0.0], [0.0, 1.0]],
            "metadatas": [{"k": 1}, {"n": "x"}],
            "documents": ["red", "blue"],
        },
    )
]


@pytest.mark.parametrize("arguments", BAD, ids=repr)
@pytest.mark.parametrize("method", ["add", "upsert", "update"])
def test_a_bad_write_has_the_same_class_of_error(method: str, arguments: dict[str, Any]) -> None:
    replay([*FILLED, Call(method, arguments)], "l2")


@pytest.mark.parametrize("arguments", BAD_READS, ids=repr)
@pytest.mark.parametrize("method", ["get", "query", "delete"])
def test_a_bad_read_has_the_same_class_of_error(method: str, arguments: dict[str, Any]) -> None:
    query = {"query_embeddings": [[1.0, 0.0]]} if method == "query" else {}
    if method != "delete" or "include" not in arguments:
        replay([*FILLED, Call(method, {**query, **arguments})], "l2")
