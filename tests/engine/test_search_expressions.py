"""A search is written with K, Knn, Rrf and arithmetic, and its JSON is Chroma's."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import reduce

import numpy as np
import pytest

from vicinal import GroupBy, K, Knn, Limit, MaxK, MinK, Rrf, Search, Select, SparseVector, Val
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, InvalidFilterError
from vicinal.search import Rank, Sum, Where
from vicinal.search._plan import Aggregate

NEAR = Knn([1.0, 0.0])
WRITTEN = {"$knn": {"query": [1.0, 0.0], "key": "#embedding", "limit": 16}}

FILTERS = [
    (K("year") == 2000, {"year": {"$eq": 2000}}),
    (K("year") != 2000, {"year": {"$ne": 2000}}),
    (K("year") > 2000, {"year": {"$gt": 2000}}),
    (K("year") >= 2000, {"year": {"$gte": 2000}}),
    (K("year") < 2000, {"year": {"$lt": 2000}}),
    (K("year") <= 2000, {"year": {"$lte": 2000}}),
    (K.ID.is_in(("a", "b")), {"#id": {"$in": ["a", "b"]}}),
    (K("year").not_in({1}), {"year": {"$nin": [1]}}),
    (K.DOCUMENT.contains("ant"), {"#document": {"$contains": "ant"}}),
    (K.DOCUMENT.not_contains("ant"), {"#document": {"$not_contains": "ant"}}),
    (K.DOCUMENT.regex("^a"), {"#document": {"$regex": "^a"}}),
    (K("name").not_regex("^a"), {"name": {"$not_regex": "^a"}}),
    (
        (K("a") == 1) & (K("b") == 2) & (K("c") == 3),
        {"$and": [{k: {"$eq": n}} for n, k in enumerate("abc", 1)]},
    ),
    (
        (K("a") == 1) | ((K("b") == 2) | (K("c") == 3)),
        {"$or": [{k: {"$eq": n}} for n, k in enumerate("abc", 1)]},
    ),
    (~(K("a") == 1), {"$not": {"a": {"$eq": 1}}}),
]


RANKS = [
    (NEAR, WRITTEN),
    (Knn(np.array([1.0, 0.0])), WRITTEN),
    (
        Knn("words", K("sparse"), 5, 0.5, True),
        {"$knn": {"query": "words", "key": "sparse", "limit": 5, "default": 0.5, "return_rank": True}},
    ),
    (
        Knn(SparseVector([1], [0.5]), "sparse"),
        {
            "$knn": {
                "query": {"#type": "sparse_vector", "indices": [1], "values": [0.5]},
                "key": "sparse",
                "limit": 16,
            }
        },
    ),
    (NEAR + 1 + NEAR, {"$sum": [WRITTEN, {"$val": 1}, WRITTEN]}),
    (1 + (NEAR + 2), {"$sum": [{"$val": 1}, WRITTEN, {"$val": 2}]}),
    (NEAR - 1, {"$sub": {"left": WRITTEN, "right": {"$val": 1}}}),
    (1 - NEAR, {"$sub": {"left": {"$val": 1}, "right": WRITTEN}}),
    (0.5 * NEAR * 2, {"$mul": [{"$val": 0.5}, WRITTEN, {"$val": 2}]}),
    (np.float64(0.5) * NEAR, {"$mul": [{"$val": 0.5}, WRITTEN]}),
    (NEAR / 2, {"$div": {"left": WRITTEN, "right": {"$val": 2}}}),
    (1 / NEAR, {"$div": {"left": {"$val": 1}, "right": WRITTEN}}),
    (-NEAR, {"$mul": [{"$val": -1}, WRITTEN]}),
    (abs(NEAR), {"$abs": WRITTEN}),
    (NEAR.abs(), {"$abs": WRITTEN}),
    (NEAR.exp(), {"$exp": WRITTEN}),
    (NEAR.log(), {"$log": WRITTEN}),
    (NEAR.max(0).max(1), {"$max": [WRITTEN, {"$val": 0}, {"$val": 1}]}),
    (NEAR.min(Val(2)), {"$min": [WRITTEN, {"$val": 2}]}),
    (
        Rrf([NEAR, NEAR], k=10, weights=[3.0, 1.0], normalize=True),
        {
            "$mul": [
                {"$val": -1},
                {
                    "$sum": [
                        {"$div": {"left": {"$val": w}, "right": {"$sum": [{"$val": 10}, WRITTEN]}}}
                        for w in (0.75, 0.25)
                    ]
                },
            ]
        },
    ),
    (
        Rrf([NEAR]),
        {
            "$mul": [
                {"$val": -1},
                {"$div": {"left": {"$val": 1.0}, "right": {"$sum": [{"$val": 60}, WRITTEN]}}},
            ]
        },
    ),
]


@pytest.mark.parametrize(("made", "written"), FILTERS, ids=lambda value: str(value)[:40])
def test_a_filter_is_the_dictionary_that_where_takes(made, written):
    assert made.to_dict() == written
    assert Where.from_dict(written) == made


@pytest.mark.parametrize(("made", "written"), RANKS, ids=lambda value: str(value)[:40])
def test_a_ranking_is_chromas_json(made, written):
    assert made.to_dict() == written
    assert Rank.from_dict(written) == made


def test_a_search_is_chromas_json():
    group = GroupBy([K("topic")], MaxK([K("year"), K.SCORE], 2))
    search = Search().where(K("a") == 1).rank(NEAR).group_by(group).limit(5, offset=2).select(K.SCORE, "a")
    written = {
        "filter": {"a": {"$eq": 1}},
        "rank": WRITTEN,
        "group_by": {"keys": ["topic"], "aggregate": {"$max_k": {"keys": ["year", "#score"], "k": 2}}},
        "limit": {"offset": 2, "limit": 5},
        "select": {"keys": ["#score", "a"]},
    }
    assert search.to_dict() == written
    assert Search.from_dict(written) == search
    assert MinK("year", 1).to_dict() == {"$min_k": {"keys": ["year"], "k": 1}}
    empty = {"filter": None, "rank": None, "group_by": {}, "limit": {"offset": 0}, "select": {"keys": []}}
    assert Search().to_dict() == empty


def test_the_filter_of_a_search_may_be_called_where():
    written = Search().limit(3).to_dict()
    assert written["filter"] is None
    for filters in (
        {"where": {"a": 1}},
        {"where": {"a": 1}, "filter": None},
        {"filter": {"a": 1}, "where": None},
    ):
        assert Search.from_dict(written | filters) == Search({"a": 1}, limit=3)
    assert Search.from_dict({"where": None, "filter": None}) == Search()


def test_the_parts_of_a_search_may_be_dictionaries_lists_and_numbers():
    given = Search(
        {"a": 1}, WRITTEN, {"keys": ["t"], "aggregate": {"$min_k": {"keys": ["#score"], "k": 1}}}, 3, {"a"}
    )
    made = Search(K("a") == 1, NEAR, GroupBy(K("t"), MinK(K.SCORE, 1)), Limit(limit=3), Select([K("a")]))
    assert {**given.to_dict(), "filter": None} == {**made.to_dict(), "filter": None}
    assert given.to_dict()["filter"] == {"a": 1}
    assert Select({K("b"), K("a"), K("b"), "a"}).keys == ("a", "b")  # a set has no order: by name


def test_a_search_does_not_change():
    search = Search()
    search.limit(3).select_all().where({"a": 1})
    assert search == Search()


def test_and_and_or_may_have_one_child_in_a_search():
    assert Where.from_dict({"$and": [{"$or": [{"a": 1}]}]}).to_dict() == {"a": 1}
    assert Where.from_dict({"$not": {"$and": [{"a": 1}]}}).to_dict() == {"$not": {"a": 1}}


@pytest.mark.parametrize(
    ("one", "other"),
    [(K("a") == 1, K("a") == 2), (NEAR, -NEAR), (Search(rank=NEAR), Search(rank=-NEAR)), (NEAR, WRITTEN)],
)
def test_what_says_something_else_is_not_equal(one, other):
    assert one != other


def test_weights_may_all_be_0_where_they_are_not_divided_by_their_sum():
    assert Rrf([NEAR, NEAR], weights=[0, 0]).weights == (0, 0)
    assert Rrf([NEAR, NEAR], weights=[0, 2], normalize=True).weights == (0, 2)


def test_keys_with_the_same_name_are_the_same():
    assert K("a") == K("a")
    assert {K("a"): 1}[K("a")] == 1
    assert len({K("a"), "a"}) == 2
    assert (K("a") != K("a"), K("a") != K("b")) == (False, True)


@pytest.mark.parametrize(
    "rank",
    [
        Knn([np.float32(1), np.float32(0)]),
        Knn(range(2)),
        Val(Fraction(1, 2)),
        Val(np.longdouble(0.5)),
        Knn([1.0], default=Fraction(1, 2)),
        Rrf([NEAR, NEAR], k=np.int64(9), weights=[Fraction(1, 3), np.float32(2)]),
    ],
    ids=str,
)
def test_any_number_is_written_as_json(rank):
    assert Rank.from_dict(json.loads(json.dumps(rank.to_dict()))) == rank


@pytest.mark.parametrize(
    ("made", "written"),
    [
        (K("n") == np.int64(3), {"n": {"$eq": 3}}),
        (K("n") <= np.float32(0.5), {"n": {"$lte": 0.5}}),
        (K("n").is_in(np.array([1, 2])), {"n": {"$in": [1, 2]}}),
        (K("n").not_in([np.str_("a"), "b"]), {"n": {"$nin": ["a", "b"]}}),
        (K("n") == (np.bool_(True), [np.uint8(1)]), {"n": {"$eq": [True, [1]]}}),
        (
            ~((K("a") == np.int8(1)) & (K("b") == 2)),
            {"$not": {"$and": [{"a": {"$eq": 1}}, {"b": {"$eq": 2}}]}},
        ),
        (
            {"$or": [{"n": np.int64(1)}, {"n": {"$in": (np.int64(2),)}}]},
            {"$or": [{"n": 1}, {"n": {"$in": [2]}}]},
        ),
    ],
    ids=str,
)
def test_numbers_of_numpy_in_a_filter_are_written_as_json(made, written):
    search = Search(where=made)
    assert json.loads(json.dumps(search.to_dict()))["filter"] == search.to_dict()["filter"] == written
    assert Search.from_dict(search.to_dict()) == search


@pytest.mark.parametrize("value", [date(2020, 1, 1), np.datetime64("2020-01-01", "ns"), Decimal(1), {1}])
def test_what_json_has_not_stays_as_it_is_in_a_filter(value):
    written = (K("n") == value).to_dict()["n"]["$eq"]
    assert (written, type(written)) == (value, type(value))


def test_a_list_that_nests_too_deep_is_refused_where_it_is_read(collection):
    knot = []
    knot.append(knot)
    for value in (knot, reduce(lambda inside, _: [inside], range(200), [])):
        with pytest.raises(InvalidFilterError, match="lists and dicts of JSON values"):
            collection.search(Search(where=K("a") == value))


def test_a_filter_is_not_changed_through_what_it_was_made_of():
    given = {"a": {"$in": [1, 2]}}
    made = Where.from_dict(given)
    made.to_dict()["a"]["$in"].append(3)
    given["a"]["$in"].append(4)
    assert made.to_dict() == {"a": {"$in": [1, 2]}}


def test_weights_may_be_given_one_by_one():
    given, listed = Rrf([NEAR, NEAR], weights=iter([3.0, 1.0])), Rrf([NEAR, NEAR], weights=[3.0, 1.0])
    assert given == listed
    assert given.to_dict() == given.to_dict() == listed.to_dict()


def test_chroma_itself_writes_the_same():
    expression = pytest.importorskip("chromadb.execution.expression")
    theirs = expression.Knn(query=[1.0, 0.0], return_rank=True, limit=9)
    ours = Knn(query=[1.0, 0.0], return_rank=True, limit=9)
    fused = expression.Rrf(ranks=[theirs, theirs * 2 - 1], k=7, weights=[1, 2])
    mixed = (0.3 * theirs + theirs.exp() / 2).max(0.5).min(theirs.log())
    assert fused.to_dict() == Rrf([ours, ours * 2 - 1], k=7, weights=[1, 2]).to_dict()
    assert mixed.to_dict() == (0.3 * ours + ours.exp() / 2).max(0.5).min(ours.log()).to_dict()


INVALID = [
    (lambda: Knn(5), TypeError, "Knn query"),
    (lambda: Knn([1.0], limit=0), ValueError, "Knn limit: expected at least 1, got 0"),
    (lambda: Knn([1.0], key=5), TypeError, "Knn key"),
    (lambda: Knn([1.0], default=float("nan")), ValueError, "Knn default"),
    (lambda: Knn([1.0], return_rank="yes"), TypeError, "Knn return_rank"),
    (lambda: Val("1"), TypeError, "Val"),
    (lambda: Val(True), TypeError, "Val"),
    (lambda: NEAR + True, TypeError, "unsupported operand"),
    (lambda: NEAR + 10**400, InvalidArgumentError, "Val: the number is too large for a float"),
    (lambda: Knn([1.0], default=-(10**400)), InvalidArgumentError, "Knn default: the number is too large"),
    (lambda: Rrf([NEAR], k=10**400), InvalidArgumentError, "Rrf k: the number is too large"),
    (lambda: NEAR.max("1"), TypeError, "rank expression or a number"),
    (lambda: NEAR + "1", TypeError, "unsupported operand"),
    (lambda: Rrf([]), ValueError, "RRF requires at least one rank"),
    (lambda: Rrf([NEAR], k=0), ValueError, "k must be positive, got 0"),
    (
        lambda: Rrf([NEAR], weights=[1, 2]),
        ValueError,
        r"Number of weights \(2\) must match number of ranks \(1\)",
    ),
    (lambda: Rrf([NEAR], weights=[-1]), ValueError, "non-negative"),
    (lambda: Rrf([NEAR], weights=[0], normalize=True), ValueError, "must be positive when normalize=True"),
    (lambda: Rank.from_dict({}), ValueError, "exactly one operator"),
    (lambda: Rank.from_dict({"$pow": 2}), ValueError, r"expected one of \$val, \$knn"),
    (lambda: Rank.from_dict({"$sum": [WRITTEN]}), ValueError, "at least 2 ranks"),
    (lambda: Rank.from_dict({"$sub": {"left": WRITTEN}}), ValueError, "left and right"),
    (lambda: Rank.from_dict({"$knn": {"key": "x"}}), ValueError, "with a query"),
    (lambda: Rank.from_dict({"$sum": [WRITTEN, 5]}), TypeError, r'rank\["\$sum"\]\[1\]'),
    (lambda: Search(rank=5), TypeError, "rank expression or a dict"),
    (lambda: Search(where=5), TypeError, "where"),
    (lambda: Search(where={}), InvalidFilterError, "exactly one operator or key"),
    (lambda: Search(where={"$and": 5}), InvalidFilterError, "at least two"),
    (lambda: Search(limit=0), ValueError, "limit: expected at least 1, got 0"),
    (lambda: Search(limit="5"), TypeError, "limit"),
    (lambda: Search().limit(5, offset=-1), ValueError, "limit offset"),
    (lambda: Search(select=["#nonsense"]), ValueError, "select: expected one of"),
    (lambda: GroupBy(["a"]), ValueError, "needs both keys and an aggregate"),
    (lambda: GroupBy([K.SCORE], MinK("a", 1)), ValueError, "expected metadata keys, got '#score'"),
    (lambda: GroupBy(["a"], MinK([K.DOCUMENT], 1)), ValueError, "metadata keys or #score"),
    (lambda: MinK([], 1), ValueError, "cannot be empty"),
    (lambda: MinK(["a"], 0), ValueError, "MinK k: expected at least 1"),
    (lambda: Search.from_dict({"rankk": None}), ValueError, "got rankk"),
    (lambda: Search(where={"a": iter([1])}), InvalidFilterError, "Expected where value to be a str"),
    (lambda: Search.from_dict({"filter": K("a")}), ArgumentTypeError, "where"),
    (lambda: Search.from_dict({"where": K("a"), "filter": None}), ArgumentTypeError, "where"),
    (lambda: Search.from_dict({"filter": {"a": 1}, "where": {"a": 1}}), ValueError, "give one of them"),
    (lambda: K(""), ValueError, "metadata key"),
    (lambda: K(5), TypeError, r"K\(…\)"),
    (lambda: (K("a") == 1) & 5, TypeError, "unsupported operand"),
    (lambda: (K("a") == 1) and (K("b") == 2), InvalidFilterError, "join filters with &"),
    (lambda: (K("a") == 1) or (K("b") == 2), InvalidFilterError, "neither true nor false"),
    (lambda: not (K("a") < 1), InvalidFilterError, "neither true nor false"),
    (lambda: 1 < K("a") < 5, InvalidFilterError, r"both sides of a < K\(…\) < b"),
    (lambda: K("a") in ["a"], InvalidFilterError, "neither true nor false"),
    (lambda: K("a").is_in(5), ArgumentTypeError, "is_in to be a list of values"),
    (lambda: K("a").not_in("abc"), ArgumentTypeError, "not_in to be a list of values, got 'abc'"),
    (lambda: Rrf(NEAR), ArgumentTypeError, "Rrf ranks to be a list of rank expressions"),
    (lambda: Rrf([NEAR], weights=1), ArgumentTypeError, "Rrf weights to be a list of numbers"),
    (lambda: Sum(NEAR), ArgumentTypeError, "Sum to be a list of rank expressions"),
    (lambda: NEAR - "1", TypeError, "unsupported operand"),
    (lambda: Sum([]), ValueError, "Sum needs at least one rank"),
    (lambda: Rank.from_dict({"$knn": {"query": [1.0], "limits": 3}}), ValueError, "unexpected limits"),
    (lambda: Search(select=5), TypeError, "select"),
    (lambda: Search(group_by=5), TypeError, "group_by"),
    (lambda: GroupBy(["a"], "first"), TypeError, r"MinK\(…\) or MaxK"),
    (lambda: GroupBy.from_dict({"keys": ["a"], "aggregate": {}}), ValueError, r"one of \$min_k and \$max_k"),
    (lambda: Aggregate.from_dict({"$min_k": {"keys": ["a"]}}), ValueError, "expected keys and k"),
]


@pytest.mark.parametrize(("make", "kind", "text"), INVALID, ids=[text for _, _, text in INVALID])
def test_what_cannot_be_meant_is_refused(make, kind, text):
    with pytest.raises(kind, match=text):
        make()


@pytest.mark.parametrize(
    "nest",
    [
        lambda rank: {"$abs": rank},
        lambda rank: {"$sub": {"left": rank, "right": {"$val": 1}}},
        lambda rank: {"$sum": [rank, {"$val": 1}]},
    ],
)
def test_an_expression_that_nests_too_deep_is_refused(nest):
    with pytest.raises(InvalidArgumentError, match="at most 100 deep"):
        Rank.from_dict(reduce(lambda rank, _: nest(rank), range(2000), WRITTEN))


@pytest.mark.parametrize(
    "nest", [abs, lambda rank: 1 - rank, lambda rank: (1 + rank) * 2, lambda r: Rrf([r])]
)
def test_an_expression_that_operators_have_nested_too_deep_is_refused(collection, nest):
    deep = reduce(lambda rank, _: nest(rank), range(2000), NEAR)
    with pytest.raises(InvalidArgumentError, match="at most 100 deep"):
        collection.search(Search(rank=deep))


@pytest.mark.parametrize(
    "nest",
    [
        lambda where: {"$and": [where]},
        lambda where: {"$or": [where, {"b": 1}]},
        lambda where: {"$not": where},
    ],
)
def test_a_filter_that_nests_too_deep_is_refused(nest):
    deep = reduce(lambda where, _: nest(where), range(2000), {"a": 1})
    with pytest.raises(InvalidFilterError, match="at most 100 deep"):
        Search(where=deep)
    as_deep_as_may_be = reduce(lambda where, _: nest(where), range(100), {"a": 1})
    assert Search.from_dict(Search(where=as_deep_as_may_be).to_dict()).to_dict()["filter"] is not None


def test_a_filter_that_operators_have_nested_too_deep_is_refused(collection):
    deep = reduce(lambda where, _: ~where, range(2000), K("a") == 1)
    with pytest.raises(InvalidFilterError, match="at most 100 deep"):
        collection.search(Search(where=deep))
