"""A query by sparse vectors finds the largest dot products, alone or mixed with distance."""

from __future__ import annotations

import asyncio
import math
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vicinal
from vicinal import Schema, SparseVector, SparseVectorIndexConfig
from vicinal._text import postings, sparse
from vicinal.embedding import (
    SparseEmbeddingFunction,
    register_sparse_embedding_function,
)
from vicinal.errors import ArgumentTypeError, EmbeddingFunctionError, InvalidArgumentError
from vicinal.testing import HashEmbeddingFunction

PARTS = st.dictionaries(st.integers(0, 5), st.sampled_from([-1.0, 0.5, 1.0, 2.0]), max_size=4)


def vector(parts: dict[int, float]) -> SparseVector:
    return SparseVector(sorted(parts), [parts[i] for i in sorted(parts)])


def products(held: dict[str, dict[int, float]], asked: dict[int, float]) -> dict[str, float]:
    """The dot product with each that shares a component."""
    return {
        id: sum(value * parts.get(i, 0.0) for i, value in asked.items())
        for id, parts in held.items()
        if parts.keys() & asked.keys()
    }


def answer(collection: vicinal.Collection, **how: Any) -> dict[str, float]:
    found = collection.query(mode="sparse", **{"n_results": 50, **how})
    assert found["scores"][0] == sorted(found["scores"][0], reverse=True)
    assert found["distances"] is None
    return dict(zip(found["ids"][0], found["scores"][0]))


# --- alone -----------------------------------------------------------------------------------------

FIRST = [("put", 0, {1: 1.0, 2: 2.0}), ("put", 1, {2: 1.0}), ("ask",)]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 7), PARTS),
        st.tuples(st.just("alter"), st.integers(0, 7), st.none() | PARTS),
        st.tuples(st.just("delete"), st.integers(0, 7)),
        st.tuples(st.sampled_from(["compact", "ask", "reopen"])),
    ),
    max_size=10,
).map(lambda steps: [*FIRST, *steps])


def after(path: Path, steps: list[Any], asked: dict[int, float]) -> None:
    """Answers are the products with what a dictionary holds after the same steps."""
    client = vicinal.PersistentClient(path)
    things, truth = client.create_collection("things", embedding_function=None), {}
    for kind, *rest in steps:
        id = f"r{rest[0]}" if rest else ""
        if kind == "put":
            things.upsert(id, [[1.0, float(len(truth))]], metadatas=[{"s": vector(rest[1])}])
            truth[id] = rest[1]
        elif kind == "alter" and id in truth:
            things.update(id, metadatas=[{"s": None if rest[1] is None else vector(rest[1])}])
            truth[id] = rest[1] or {}
        elif kind == "delete":
            things.delete([id])
            truth.pop(id, None)
        elif kind == "compact":
            things.compact()
        elif kind == "ask":
            answer(things, query_sparse=vector({2: 1.0}), sparse_key="s")
        elif kind == "reopen":
            client.close()
            client = vicinal.PersistentClient(path)
            things = client.get_collection("things")
    expected = products(truth, asked)
    assert answer(things, query_sparse=vector(asked), sparse_key="s") == pytest.approx(expected)
    odd = [id for id in truth if int(id[1:]) % 2]
    some = {id: score for id, score in expected.items() if id in odd}
    assert answer(things, query_sparse=vector(asked), sparse_key="s", ids=odd) == pytest.approx(some)
    client.close()


@settings(max_examples=40)
@given(STEPS, PARTS)
def test_any_history_ranks_by_the_dot_product(steps, asked):
    path = tempfile.mkdtemp()
    try:
        after(Path(path), steps, asked)
    finally:
        shutil.rmtree(path)


HELD = {"a": {1: 1.0, 2: 1.0}, "b": {2: 3.0}, "c": {3: 1.0}, "d": {1: -1.0}, "e": {}}
VECTORS = np.array([[1, 0], [0, 1], [1, 1], [2, 1], [-1, 0]], dtype=np.float32)
ASKED = {1: 1.0, 2: 0.5}


@register_sparse_embedding_function
class LettersAndLength(SparseEmbeddingFunction):
    """Of a document its letters, of a question its first letter alone."""

    def __call__(self, input):
        counts = [Counter(map(ord, text.replace(" ", ""))) for text in input]
        return [vector({i: float(n) for i, n in count.items()}) for count in counts]

    def embed_query(self, input):
        return [vector({ord(text[0]): 1.0} if text else {}) for text in input]

    name = staticmethod(lambda: "tests-letters")
    get_config = staticmethod(dict)
    build_from_config = staticmethod(lambda config: LettersAndLength())


def schema(*keys: str, **config: Any) -> Schema:
    made = Schema()
    for key in keys:
        made.create_index(SparseVectorIndexConfig(**config), key=key)
    return made


@pytest.fixture(scope="module", params=["l2", "cosine", "ip"])
def things(request):
    with vicinal.EphemeralClient() as client:
        hnsw = vicinal.VectorIndexConfig(space=request.param)
        made = client.create_collection(
            "things", embedding_function=None, schema=schema("s").create_index(hnsw)
        )
        metadatas = [{"s": vector(parts), "n": n} for n, parts in enumerate(HELD.values())]
        made.add(list(HELD), VECTORS, metadatas, [f"text {id}" for id in HELD])
        yield made


def test_idf_counts_only_records_that_have_a_vector(client):
    made = client.create_collection("things", embedding_function=None, schema=schema("s", bm25=True))
    held = {"a": {1: 1.0}, "b": {1: 1.0}, "c": {2: 0.5}}
    made.add(list(held), [[1.0]] * 3, [{"s": vector(parts)} for parts in held.values()])
    others = [f"n{i}" for i in range(20)]
    made.add(others, [[1.0]] * 20, [{"n": 1}] * 20)
    expected = answer(made, query_sparse=vector({1: 1.0, 2: 1.0}))
    made.update([*others, "c"], metadatas=[{"n": 2}] * 21)
    found = answer(made, query_sparse=vector({1: 1.0, 2: 1.0}))
    idf = {1: math.log1p(1.5 / 2.5), 2: math.log1p(2.5 / 1.5)}
    assert found == expected == pytest.approx({"a": idf[1], "b": idf[1], "c": 0.5 * idf[2]})


def test_the_largest_index_and_value_can_be_searched(client):
    made = client.create_collection("things", embedding_function=None, schema=schema("s"))
    largest, most = 2**63 - 1, float(np.finfo(np.float32).max)
    made.add(["a", "b"], [[1.0]] * 2, [{"s": vector({1: 1.0, largest: 2.0})}, {"s": vector({1: most})}])
    made.add(["c"], [[1.0]], [{"s": vector({largest: 1.0})}])
    assert answer(made, query_sparse=vector({largest: 3.0})) == {"a": 6.0, "c": 3.0}
    assert answer(made, query_sparse=vector({1: most})) == {"b": most**2, "a": most}


@pytest.mark.parametrize("parts", [([1, 2**63], [1.0, 1.0]), ([1, 2], [1.0, 1e39])])
def test_a_vector_that_cannot_be_held_leaves_the_others_alone(parts):
    index = sparse.extend(postings.EMPTY, 2, [(0, *parts), (1, [1], [2.0])])
    rows, scores = sparse.search(index, [1], [1.0], 5, np.ones(2, dtype=bool))
    assert (rows.tolist(), scores.tolist()) == ([1], [2.0])


def test_the_key_of_the_schema_is_the_default(things):
    expected = {"b": 1.5, "a": 1.5, "d": -1.0}
    assert products(HELD, ASKED) == answer(things, query_sparse=vector(ASKED)) == expected
    assert answer(things, query_sparse=vector(ASKED), sparse_key="s") == expected
    assert answer(things, query_sparse=vector(ASKED), sparse_key="n") == {}


def test_equal_products_stand_in_the_order_of_adding(things):
    assert things.query(query_sparse=vector(ASKED), mode="sparse")["ids"] == [["a", "b", "d"]]


@pytest.mark.parametrize("form", [lambda v: [v], lambda v: v.to_dict(), lambda v: (one for one in [v])])
def test_a_sparse_vector_may_be_given_in_any_form(things, form):
    assert answer(things, query_sparse=form(vector(ASKED))) == products(HELD, ASKED)


def test_several_questions_have_an_answer_each(things):
    asked = [vector({3: 1.0}), vector({2: 1.0}), vector({}), vector({99: 1.0})]
    found = things.query(query_sparse=asked, mode="sparse", n_results=1)
    assert found["ids"] == [["c"], ["b"], [], []]
    assert things.query(query_sparse=[], mode="sparse")["ids"] == []


def test_filters_come_before_the_ranking(things):
    assert answer(things, query_sparse=vector(ASKED), n_results=1, where={"n": {"$gte": 2}}) == {"d": -1.0}
    assert answer(things, query_sparse=vector(ASKED), where_document={"$contains": "text a"}) == {"a": 1.5}


def test_an_explanation_names_the_part(things):
    found = things.query(query_sparse=vector(ASKED), mode="sparse", explain=True, n_results=2)
    assert found["explain"].contributions == (({"sparse": 1.5}, {"sparse": 1.5}),)
    assert (found["explain"].strategy, found["explain"].matches) == ("sparse vectors", 5)


def test_lambda_1_is_no_diversity_and_less_is_some(things):
    plain = things.query(query_sparse=vector(ASKED), mode="sparse", lambda_mult=1.0)["ids"]
    assert plain == [["a", "b", "d"]]
    diverse = things.query(query_sparse=vector(ASKED), mode="sparse", lambda_mult=0.0, n_results=2)["ids"]
    assert diverse[0][0] == "a"
    nothing = things.query(query_sparse=SparseVector([1], [0.0]), mode="sparse", lambda_mult=0.5)
    assert set(nothing["scores"][0]) == {0.0}


def test_a_reranker_reads_the_texts_beside_the_vectors(things):
    found = things.query(
        query_sparse=vector(ASKED),
        query_texts="d",
        mode="sparse",
        rerank=lambda query, texts: [query in text.split() for text in texts],
        n_results=1,
    )
    assert (found["ids"], found["rerank_scores"], found["scores"]) == ([["d"]], [[1.0]], [[-1.0]])


# --- from texts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bm25", [False, True])
def test_texts_are_embedded_by_the_schemas_function(store, bm25):
    indexed = schema("letters", embedding_function=LettersAndLength(), source_key="#document", bm25=bm25)
    made = store.client.create_collection("things", embedding_function=None, schema=indexed)
    made.add(list("abc"), np.eye(3), documents=["aa b", "bbb", "ccc"])
    made = store.reopen(made)
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5)) if bm25 else 1.0
    assert answer(made, query_texts="b or c") == pytest.approx({"b": 3 * idf, "a": idf})
    assert made.query(query_texts=(t for t in ["a", "", "c"]), mode="sparse")["ids"] == [["a"], [], ["c"]]


def test_a_text_is_embedded_both_ways_for_a_mixture(client):
    indexed = schema("letters", embedding_function=LettersAndLength(), source_key="#document")
    made = client.create_collection("things", embedding_function=HashEmbeddingFunction(), schema=indexed)
    made.add(["a", "b"], documents=["red ant", "grey cat"])
    found = made.query(query_texts=["ants", "grey"], mode="hybrid", sparse_key="letters", explain=True)
    assert [ids[0] for ids in found["ids"]] == ["a", "b"]
    assert found["explain"].contributions[0][0]["sparse"] == 0.5


# --- mixtures --------------------------------------------------------------------------------------


def shares(scores: dict[str, float], lowest: float) -> dict[str, float]:
    most = max(scores.values()) - lowest
    return {id: (score - lowest) / most for id, score in scores.items()}


def mixture(things: vicinal.Collection, **how: Any) -> Any:
    how = {"query_embeddings": [[1.0, 0.5]], "query_sparse": vector(ASKED), "n_results": 5} | how
    return things.query(mode="hybrid", explain=True, **how)


def test_without_weight_on_distance_a_mixture_is_the_products_on_a_scale(things):
    found = mixture(things, alpha=0.0)
    expected = shares(dict.fromkeys(HELD, 0.0) | products(HELD, ASKED), -1.0)
    assert dict(zip(found["ids"][0], found["scores"][0])) == pytest.approx(expected)


def test_without_weight_on_products_a_mixture_stands_in_order_of_distance(things):
    assert mixture(things, alpha=1.0)["ids"] == things.query(query_embeddings=[[1.0, 0.5]])["ids"]


@pytest.mark.parametrize("fusion", ["relative", "rrf"])
def test_what_each_part_gave_makes_the_score(things, fusion):
    found = mixture(things, alpha=0.3, fusion=fusion)
    given = found["explain"].contributions[0]
    assert [sum(share.values()) for share in given] == pytest.approx(found["scores"][0])
    assert {name for share in given for name in share} == {"dense", "sparse"}


def test_reciprocal_ranks_are_added(things):
    near = things.query(query_embeddings=[[1.0, 0.5]])["ids"][0]
    said = things.query(query_sparse=vector(ASKED), mode="sparse")["ids"][0]
    expected = {id: 0.5 / (60 + place) for place, id in enumerate(near, 1)}
    for place, id in enumerate(said, 1):
        expected[id] += 0.5 / (60 + place)
    found = mixture(things, fusion="rrf")
    assert dict(zip(found["ids"][0], found["scores"][0])) == pytest.approx(expected)


@pytest.mark.parametrize("most", [1.0, 3.0])
def test_what_only_one_part_has_found_is_scored_by_both(things, most):
    asked = {"query_sparse": vector({1: 0.5, 3: most}), "query_embeddings": [[1.0, 0.2]]}
    [[near]] = things.query(query_embeddings=[[1.0, 0.2]], n_results=1)["ids"]
    [[said]] = things.query(query_sparse=asked["query_sparse"], mode="sparse", n_results=1)["ids"]
    deep = mixture(things, **asked, ids=[near, said], n_results=2)  # where each part finds both
    shallow = mixture(things, **asked, n_results=1, fetch_k=1)
    assert near != said
    assert shallow["ids"] == [deep["ids"][0][:1]]
    assert shallow["scores"][0] == pytest.approx(deep["scores"][0][:1])


def test_components_that_nobody_has_decide_nothing(things):
    found = mixture(things, query_sparse=vector({99: 1.0}))
    assert found["ids"] == things.query(query_embeddings=[[1.0, 0.5]])["ids"]


# --- elsewhere, and what cannot be asked -------------------------------------------------------------


def test_an_empty_collection_has_no_answers(collection):
    for mode in ("sparse", "hybrid"):
        found = collection.query(
            query_embeddings=[[1.0]], query_sparse=vector(ASKED), mode=mode, sparse_key="s"
        )
        assert (found["ids"], found["scores"]) == ([[]], [[]])


def test_what_another_client_wrote_is_found_at_once(new_client, tmp_path):
    ours = new_client(tmp_path).create_collection("things", embedding_function=None)
    ours.add(["a"], [[1]], metadatas=[{"s": vector({1: 1.0})}])
    assert answer(ours, query_sparse=vector({2: 1.0}), sparse_key="s") == {}
    theirs = new_client(tmp_path).get_collection("things")
    theirs.upsert(["a", "b"], [[1], [2]], metadatas=[{"s": vector({2: 2.0})}, {"s": vector({2: 1.0})}])
    assert answer(ours, query_sparse=vector({2: 1.0}), sparse_key="s") == {"a": 2.0, "b": 1.0}


def test_an_async_collection_answers_alike():
    async def ask() -> Any:
        async with vicinal.AsyncEphemeralClient() as client:
            made = await client.create_collection("things", embedding_function=None)
            await made.add(ids=["a"], embeddings=[[1.0]], metadatas=[{"s": vector({1: 2.0})}])
            return await made.query(mode="sparse", query_sparse=vector({1: 2.0}), sparse_key="s")

    assert asyncio.run(ask())["scores"] == [[4.0]]


V = vector(ASKED)
INVALID = [
    ({"mode": "sparse"}, InvalidArgumentError, "give query_sparse, or query_texts"),
    ({"mode": "sparse", "query_texts": "ant"}, InvalidArgumentError, "no sparse embedding function"),
    ({"mode": "sparse", "query_sparse": 5}, ArgumentTypeError, "query_sparse"),
    ({"mode": "sparse", "query_sparse": [[1.0, 2.0]]}, ArgumentTypeError, r"query_sparse\[0\]"),
    ({"mode": "sparse", "query_sparse": {"indices": [1]}}, ArgumentTypeError, r"query_sparse\[0\]"),
    ({"mode": "sparse", "query_sparse": V, "query_texts": ["a", "b"]}, InvalidArgumentError, "Unequal"),
    *(
        (
            {"mode": "sparse", "query_sparse": V, "sparse_key": key},
            InvalidArgumentError,
            f"sparse_key: .*'{key}'",
        )
        for key in ("#id", "#document", "#nonsense")
    ),
    ({"mode": "sparse", "query_sparse": V, "sparse_key": 5}, ArgumentTypeError, "sparse_key"),
    ({"mode": "sparse", "query_sparse": V, "text_key": "t"}, InvalidArgumentError, "text_key belongs to"),
    ({"mode": "sparse", "query_sparse": V, "alpha": 0.5}, InvalidArgumentError, "alpha mixes"),
    ({"mode": "sparse", "query_sparse": V, "max_distance": 1}, InvalidArgumentError, "no distance"),
    ({"mode": "sparse", "query_sparse": V, "snippets": 1}, InvalidArgumentError, "without sparse vectors"),
    ({"mode": "sparse", "query_sparse": V, "fetch_k": 2}, InvalidArgumentError, "fetch_k belongs to MMR"),
    ({"mode": "sparse", "query_sparse": V, "rerank": len}, InvalidArgumentError, "give query_texts"),
    ({"query_embeddings": [[1, 2]], "query_sparse": V}, InvalidArgumentError, "query_sparse belongs to"),
    ({"mode": "text", "query_texts": "a", "sparse_key": "s"}, InvalidArgumentError, "sparse_key belongs to"),
    (
        {"mode": "hybrid", "query_embeddings": [[1, 2]], "query_sparse": V, "text_key": "t"},
        InvalidArgumentError,
        "text_key and query_sparse both",
    ),
    (
        {"mode": "hybrid", "query_embeddings": [[1, 2]], "query_sparse": [V, V]},
        InvalidArgumentError,
        "1 query_embeddings and 2 query_sparse",
    ),
]


@pytest.mark.parametrize(("how", "kind", "text"), INVALID, ids=[text for _, _, text in INVALID])
def test_what_cannot_be_asked_is_refused(things, how, kind, text):
    with pytest.raises(kind, match=text):
        things.query(**how)


@pytest.mark.parametrize(("keys", "says"), [((), "names none"), (("s", "t"), "names several: s, t")])
def test_the_key_must_be_named_unless_the_schema_names_one(client, keys, says):
    written = Schema().serialize_to_json()
    for key in keys:
        written["keys"] |= {key: schema(key).serialize_to_json()["keys"][key]}
    indexed = Schema.deserialize_from_json(written)
    made = client.create_collection("things", embedding_function=None, schema=indexed)
    with pytest.raises(InvalidArgumentError, match=says):
        made.query(query_sparse=V, mode="sparse")


def test_a_function_that_is_not_there_any_more_says_so(client, monkeypatch):
    @register_sparse_embedding_function
    class Gone(LettersAndLength):
        name = staticmethod(lambda: "tests-gone")

    client.create_collection("things", embedding_function=None, schema=schema("s", embedding_function=Gone()))
    registry = vicinal.embedding.sparse.sparse_known_embedding_functions
    monkeypatch.delitem(registry, "tests-gone")
    again = client.get_collection("things", embedding_function=None)
    with pytest.raises(EmbeddingFunctionError, match="tests-gone not found"):
        again.query(query_texts="ant", mode="sparse")
