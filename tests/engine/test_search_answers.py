"""A search ranks by its expression as if it had been worked out by hand, record by record."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.formulas import bm25

import vicinal
from vicinal import GroupBy, K, Knn, MaxK, MinK, Rrf, Search, SparseVector, Val
from vicinal.embedding import SparseEmbeddingFunction, register_sparse_embedding_function
from vicinal.errors import EmbeddingFunctionError, InvalidArgumentError, InvalidDimensionError
from vicinal.search import Abs, Div, Exp, Log, Max, Min, Mul, Rank, Sub, Sum
from vicinal.testing import HashEmbeddingFunction

WORDS = ["ant", "bee", "cat", "dog"]
RNG = np.random.default_rng(5)
RECORDS: list[dict[str, Any]] = [
    {
        "id": f"r{i}",
        "vector": RNG.integers(-3, 4, 3).astype(np.float32),
        "words": RNG.choice(WORDS, RNG.integers(0, 5)).tolist(),
        "sparse": SparseVector(
            sorted(RNG.choice(6, 2, replace=False).tolist()), RNG.integers(-2, 4, 2).tolist()
        ),
        "year": 2000 + i % 4,
    }
    for i in range(24)
]
DOCUMENTS = {r["id"]: " ".join(r["words"]) for r in RECORDS}


@pytest.fixture(scope="module")
def records():
    with vicinal.EphemeralClient() as client:
        made = client.create_collection("records", embedding_function=None)
        made.add(
            ids=[r["id"] for r in RECORDS],
            embeddings=[r["vector"] for r in RECORDS],
            documents=list(DOCUMENTS.values()),
            metadatas=[{"year": r["year"], "sparse": r["sparse"]} for r in RECORDS],
        )
        yield made


# --- by hand -------------------------------------------------------------------------------------


def nearest(knn: Knn, allowed: set[str]) -> list[tuple[str, float]]:
    if isinstance(knn.query, str):
        scores = {id: 1 - score for id, score in bm25(DOCUMENTS, knn.query).items()}
    elif isinstance(knn.query, SparseVector):
        query = dict(zip(knn.query.indices, knn.query.values))
        scores = {}
        for r in RECORDS:
            own = dict(zip(r["sparse"].indices, r["sparse"].values))
            if own.keys() & query.keys():
                scores[r["id"]] = 1 - sum(own[i] * query[i] for i in own.keys() & query.keys())
    else:
        query = np.asarray(knn.query, np.float64)
        scores = {r["id"]: float(((r["vector"] - query) ** 2).sum()) for r in RECORDS}
    listed = sorted(((score, int(id[1:]), id) for id, score in scores.items() if id in allowed))
    return [(id, score) for score, _, id in listed[: knn.limit]]


def by_hand(rank: Rank, allowed: set[str]) -> tuple[dict[str, float], float | None]:
    """The score of each record that has one, and of all others."""
    if isinstance(rank, Val):
        return {}, float(rank.value)
    if isinstance(rank, Knn):
        found = nearest(rank, allowed)
        places = {id: float(place) for place, (id, _) in enumerate(found)}
        return places if rank.return_rank else dict(found), rank.default
    if isinstance(rank, Rrf):
        return by_hand(rank.expanded(), allowed)
    functions: dict[type, Any] = {
        Abs: np.abs,
        Exp: np.exp,
        Log: np.log,
        Sub: np.subtract,
        Div: np.divide,
        Sum: np.add,
        Mul: np.multiply,
        Max: np.maximum,
        Min: np.minimum,
    }
    function = functions[type(rank)]
    with np.errstate(all="ignore"):
        if isinstance(rank, (Abs, Exp, Log)):
            scores, default = by_hand(rank.rank, allowed)
            called = {id: float(function(np.float64(score))) for id, score in scores.items()}
            return called, None if default is None else float(function(np.float64(default)))
        parts = rank.ranks if hasattr(rank, "ranks") else (rank.left, rank.right)
        known = [by_hand(part, allowed) for part in parts]
        ids = {id for scores, _ in known for id in scores}
        ids = {id for id in ids if all(id in scores or default is not None for scores, default in known)}

        def together(values: list[Any]) -> float:
            return float(reduce(function, [np.float64(value) for value in values]))

        scored = {id: together([scores.get(id, default) for scores, default in known]) for id in ids}
        defaults = [default for _, default in known]
        return scored, None if None in defaults else together(defaults)


VECTORS = st.lists(st.integers(-3, 3), min_size=3, max_size=3)
SPARSE = st.builds(
    lambda parts: SparseVector(sorted(parts), [parts[i] for i in sorted(parts)]),
    st.dictionaries(st.integers(0, 6), st.integers(-2, 3), max_size=3),
)
TEXTS = st.lists(st.sampled_from([*WORDS, "fly"]), max_size=3, unique=True).map(" ".join)
QUERIES = st.one_of(
    st.tuples(VECTORS, st.just("#embedding")),
    st.tuples(SPARSE, st.just("sparse")),
    st.tuples(TEXTS, st.just("#document")),
)
KNN = st.builds(
    lambda query, limit, default, place: Knn(*query, limit, default, place),
    QUERIES,
    st.integers(1, 30),
    st.none() | st.integers(-2, 40),
    st.booleans(),
)
RANKS = st.recursive(
    st.one_of(KNN, st.builds(Val, st.integers(-3, 3))),
    lambda inner: st.one_of(
        st.builds(lambda cls, one: cls(one), st.sampled_from([Abs, Exp, Log]), inner),
        st.builds(lambda cls, a, b: cls(a, b), st.sampled_from([Sub, Div]), inner, inner),
        st.builds(lambda cls, a, b: cls((a, b)), st.sampled_from([Sum, Mul, Max, Min]), inner, inner),
        st.builds(Rrf, st.lists(inner, min_size=1, max_size=3), st.integers(1, 60)),
    ),
    max_leaves=5,
)


@settings(max_examples=250)
@given(rank=RANKS, year=st.none() | st.integers(1999, 2003))
def test_any_expression_scores_as_by_hand(records, rank, year):
    allowed = {r["id"] for r in RECORDS if year is None or r["year"] >= year}
    search = Search(rank=rank, where=None if year is None else K("year") >= year).select(K.SCORE)
    [found] = records.search(search).rows()
    expected, _ = by_hand(rank, allowed)
    scores = {row["id"]: row["score"] for row in found}
    assert scores == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)
    order = [math.inf if math.isnan(row["score"]) else row["score"] for row in found]
    assert order == sorted(order)


# --- facts ---------------------------------------------------------------------------------------


def ids(found: Any) -> list[str]:
    return found["ids"][0]


def test_without_a_ranking_records_come_as_they_were_added(records):
    found = records.search(Search(where=K("year") == 2001, limit=2).limit(2, offset=1).select(K.SCORE))
    assert ids(found) == ["r5", "r9"]
    assert found["scores"] == [[None, None]]


def test_an_id_and_a_document_can_be_filtered_for(records):
    assert ids(records.search(Search(where=K.ID.is_in(["r1", "r7", "nobody"])))) == ["r1", "r7"]
    with_bees = [r["id"] for r in RECORDS if "bee" in r["words"]]
    assert ids(records.search(Search(where=K.DOCUMENT.contains("bee")))) == with_bees
    assert ids(records.search(Search(where=~K.DOCUMENT.regex("b.e")))) == [
        r["id"] for r in RECORDS if "bee" not in r["words"]
    ]


def test_what_was_not_selected_is_none(records):
    found = records.search(Search(rank=Knn([0, 0, 0]), limit=1))
    columns = ("documents", "embeddings", "metadatas", "scores")
    assert [found[name] for name in columns] == [[None]] * 4
    assert found["select"] == [[]]


def test_single_metadata_keys_can_be_selected(records):
    [[row]] = records.search(Search(limit=1, select=["year", "missing"])).rows()
    assert row == {"id": "r0", "metadata": {"year": 2000}}
    assert records.search(Search(limit=1, select=["missing"])).rows() == [[{"id": "r0"}]]
    assert records.search(Search(limit=1, select=["missing"]))["metadatas"] == [[None]]
    [[row]] = records.search(Search(limit=1).select_all()).rows()
    assert row["metadata"] == {"year": 2000, "sparse": RECORDS[0]["sparse"]}
    assert row["embedding"].tolist() == RECORDS[0]["vector"].tolist()


def test_a_row_has_nothing_of_what_its_record_lacks(collection):
    collection.add(ids=["a", "b"], embeddings=[[1], [2]], documents=["x", None])
    assert collection.search(Search().select(K.DOCUMENT)).rows() == [
        [{"id": "a", "document": "x"}, {"id": "b"}]
    ]


def test_several_searches_are_answered_in_their_order(records):
    found = records.search([Search(where=K.ID == "r3"), Search(where=K.ID == "r4").select("year")])
    assert found["ids"] == [["r3"], ["r4"]]
    assert found["metadatas"] == [None, [{"year": 2000}]]
    assert records.search([])["ids"] == []


def test_a_search_may_be_written_as_a_dictionary(records):
    search = Search(rank=Knn([1, 1, 1]), limit=3).select(K.SCORE)
    assert records.search(search.to_dict()) == records.search(search)


@pytest.mark.parametrize("aggregate", [MinK(K.SCORE, 2), MaxK(["year", K.SCORE], 1)])
def test_groups_keep_their_best(records, aggregate):
    everything = records.search(Search(rank=Knn([1, 1, 1], limit=99)).select(K.SCORE)).rows()[0]
    groups: dict[int, list[dict[str, Any]]] = {}
    for row in everything:
        groups.setdefault(RECORDS[int(row["id"][1:])]["year"], []).append(row)
    if isinstance(aggregate, MaxK):
        groups = {year: sorted(rows, key=lambda row: -row["score"]) for year, rows in groups.items()}
    expected = {row["id"] for rows in groups.values() for row in rows[: aggregate.k]}
    found = records.search(
        Search(rank=Knn([1, 1, 1], limit=99), group_by=GroupBy("year", aggregate)).select(K.SCORE)
    )
    assert set(ids(found)) == expected
    assert found["scores"][0] == sorted(found["scores"][0])


def test_records_without_a_key_are_a_group_and_stand_last_in_others(client):
    made = client.create_collection("things", embedding_function=None)
    metadatas = [None, None, {"t": 1}, {"t": 1, "n": 5}, {"t": 1.0, "n": 2}]
    made.add(ids=list("abcde"), embeddings=[[i, 0] for i in range(5)], metadatas=metadatas)
    by_score = Search(rank=Knn([0, 0]), group_by=GroupBy("t", MinK(K.SCORE, 1)))
    assert ids(made.search(by_score)) == ["a", "c"]
    for aggregate, best in ((MinK("n", 2), ["d", "e"]), (MaxK("n", 1), ["d"])):
        grouped = Search(where=K("t") == 1, rank=Knn([0, 0]), group_by=GroupBy("t", aggregate))
        assert ids(made.search(grouped)) == best


def test_records_are_of_one_group_when_they_are_equal_under_every_key(client):
    made = client.create_collection("things", embedding_function=None)
    metadatas = [{"t": 1, "n": 1}, {"t": 1, "n": 2}, {"t": 2, "n": 1}, {"t": 1, "n": 1}, {"t": 1}, {"t": 1}]
    made.add(ids=list("abcdef"), embeddings=[[i] for i in range(6)], metadatas=metadatas)
    grouped = Search(rank=Knn([0]), group_by=GroupBy(["t", "n"], MinK(K.SCORE, 1)))
    assert ids(made.search(grouped)) == ["a", "b", "c", "e"]


def test_limit_and_offset_come_after_the_groups(records):
    search = Search(rank=Knn([0, 0, 0], limit=99), group_by=GroupBy("year", MinK(K.SCORE, 1)))
    everyone = ids(records.search(search))
    assert len(everyone) == 4
    assert ids(records.search(search.limit(2, offset=1))) == everyone[1:3]


def test_texts_are_embedded_by_the_collections_function(client):
    made = client.create_collection("things", embedding_function=HashEmbeddingFunction())
    made.add(ids=["a", "b"], documents=["red ant", "grey cat"])
    assert ids(made.search(Search(rank=Knn("grey cat"), limit=1))) == ["b"]


@register_sparse_embedding_function
class Lengths(SparseEmbeddingFunction):
    """Each word counts under its length; of a question the longest word alone."""

    def __call__(self, input):
        counts = [Counter(map(len, text.split())) for text in input]
        return [SparseVector(sorted(c), [float(c[i]) for i in sorted(c)]) for c in counts]

    def embed_query(self, input):
        return [SparseVector([max(map(len, text.split()))], [1.0]) for text in input]

    @staticmethod
    def name():
        return "test-lengths"

    def get_config(self):
        return {}

    @staticmethod
    def build_from_config(config):
        return Lengths()


@pytest.mark.parametrize("bm25", [False, True])
def test_texts_for_a_sparse_key_are_embedded_by_the_schemas_function(store, bm25):
    config = vicinal.SparseVectorIndexConfig(embedding_function=Lengths(), source_key="#document", bm25=bm25)
    schema = vicinal.Schema().create_index(config, key="lengths")
    made = store.client.create_collection("things", schema=schema, embedding_function=None)
    made.add(ids=list("abc"), embeddings=np.eye(3), documents=["aa bbb ccc", "aa", "bbb aa"])
    made = store.reopen(made)
    found = made.search(Search(rank=Knn("a long bbb", key="lengths")).select(K.SCORE))
    assert ids(found) == []
    [rows] = made.search(Search(rank=Knn("aa bbb", key="lengths")).select(K.SCORE)).rows()
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5)) if bm25 else 1.0
    assert {row["id"]: row["score"] for row in rows} == pytest.approx({"a": 1 - 2 * idf, "c": 1 - idf})


def test_an_empty_collection_has_nothing_to_find(collection):
    searches = [Search(), Search(rank=Knn([1, 2])), Search(rank=Rrf([Knn("a", key=K.DOCUMENT)]))]
    assert collection.search(searches)["ids"] == [[], [], []]


def test_expired_records_are_not_found(client):
    made = client.create_collection(
        "things", embedding_function=None, configuration={"expiry": {"key": "end"}}
    )
    made.add(
        ids=["gone", "there"], embeddings=[[1], [1]], documents=["ant"] * 2, metadatas=[{"end": 1}, None]
    )
    searches = [Search(), Search(rank=Knn([1])), Search(rank=Knn("ant", key=K.DOCUMENT))]
    assert made.search(searches)["ids"] == [["there"]] * 3


def test_an_async_collection_searches_alike():
    async def ask():
        async with vicinal.AsyncEphemeralClient() as client:
            made = await client.create_collection("things", embedding_function=None)
            await made.add(ids=["a"], embeddings=[[1.0, 0.0]])
            return await made.search(Search(rank=Knn([1, 0])))

    assert asyncio.run(ask())["ids"] == [["a"]]


INVALID = [
    (5, TypeError, "searches"),
    ([5], TypeError, r"searches\[0\]"),
    (Search(group_by=GroupBy("a", MinK("b", 1))), InvalidArgumentError, "group_by needs a rank"),
    (Search(rank=Knn([1.0, 2.0])), InvalidDimensionError, "2"),
    (Search(rank=Knn([[1, 2, 3], [1, 2, 3]])), InvalidArgumentError, "expected one query vector, got 2"),
    (Search(rank=Knn(["a", "b", "c"])), InvalidArgumentError, "embeddings"),
    (Search(rank=Knn("ants")), EmbeddingFunctionError, "no embedding function"),
    (
        Search(rank=Knn("ants", key="sparse")),
        InvalidArgumentError,
        "Cannot embed string query for key 'sparse'",
    ),
    (Search(rank=Knn([1, 2, 3], key="sparse")), InvalidArgumentError, "give a SparseVector"),
    (Search(rank=Knn([1, 2, 3], key=K.DOCUMENT)), InvalidArgumentError, "give a text as the query"),
    (Search(rank=Knn(SparseVector([1], [1.0]))), InvalidArgumentError, "holds dense vectors"),
    (Search(rank=Knn([1, 2, 3], key=K.SCORE)), InvalidArgumentError, "#score cannot be searched"),
    (Search(where=K.SCORE > 1), InvalidArgumentError, "cannot be filtered"),
    (Search(rank=reduce(lambda rank, _: rank.abs(), range(200), Knn([1, 2, 3]))), ValueError, "100 deep"),
]


@pytest.mark.parametrize(("search", "kind", "text"), INVALID, ids=[text for _, _, text in INVALID])
def test_what_cannot_be_searched_is_refused(records, search, kind, text):
    with pytest.raises(kind, match=text):
        records.search(search)


def test_a_search_sees_what_another_client_wrote(new_client, tmp_path):
    ours = new_client(tmp_path).create_collection("things", embedding_function=None)
    ours.add(ids=["a"], embeddings=[[1.0]], documents=["bee"], metadatas=[{"s": SparseVector([1], [1.0])}])
    ranks = [Knn([0.0]), Knn("ant", key=K.DOCUMENT), Knn(SparseVector([2], [1.0]), key="s")]
    assert ours.search([Search(rank=rank) for rank in ranks])["ids"] == [["a"], [], []]
    theirs = new_client(tmp_path).get_collection("things")
    theirs.upsert(["a"], [[1.0]], documents=["ant"], metadatas=[{"s": SparseVector([2], [1.0])}])
    theirs.add(["b"], [[0.5]])
    assert ours.search([Search(rank=rank) for rank in ranks])["ids"] == [["b", "a"], ["a"], ["a"]]
