"""A query returns the nearest of the nodes that it asks for, in the mode that it asks for."""

import functools

import numpy as np
import pytest
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from llama_index.vector_stores.vicinal import VicinalVectorStore
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, InvalidDimensionError

MMR = VectorStoreQueryMode.MMR
VECTORS = np.random.default_rng(7).normal(size=(60, 5)).round(3)
QUERY = np.random.default_rng(8).normal(size=5).round(3)
SIMILARITY = {
    "cosine": lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b),
    "ip": lambda a, b: a @ b,
    "l2": lambda a, b: 1 / (1 + ((a - b) ** 2).sum()),
}


@pytest.fixture(params=SIMILARITY)
def space(request: pytest.FixtureRequest) -> str:
    return request.param


def filled(space: str = "cosine") -> VicinalVectorStore:
    store = VicinalVectorStore(collection_configuration={"hnsw": {"space": space}})
    store.add([TextNode(id_=str(i), embedding=list(v)) for i, v in enumerate(VECTORS)])
    return store


def asking(k: int = 5, **fields) -> VectorStoreQuery:
    return VectorStoreQuery(query_embedding=list(QUERY), similarity_top_k=k, **fields)


# --- default mode -----------------------------------------------------------------------------


def test_similarities_are_of_the_space_and_larger_is_nearer(space):
    found = filled(space).query(asking(60))
    similarities = [SIMILARITY[space](QUERY, VECTORS[int(id)]) for id in found.ids]
    assert found.similarities == pytest.approx(similarities, abs=1e-5)
    assert found.similarities == sorted(found.similarities, reverse=True)
    assert [node.node_id for node in found.nodes] == found.ids


def test_nothing_found_is_three_empty_lists(store, node):
    for _ in range(2):  # before and after the dimension is known
        found = store.query(VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=3))
        assert (found.nodes, found.ids, found.similarities) == ([], [], [])
        store.add([node("a")])
        store.clear()


def test_top_k_may_be_zero_or_more_than_there_is():
    store = filled()
    assert store.query(asking(0)).ids == []
    assert len(store.query(asking(1000)).ids) == 60


TWO = MetadataFilters(filters=[MetadataFilter(key="n", value=2)])
RESTRICTIONS = [
    ({"node_ids": None, "doc_ids": None, "filters": None}, ["a", "b", "c", "d"]),
    ({"node_ids": [], "doc_ids": [], "filters": MetadataFilters(filters=[])}, ["a", "b", "c", "d"]),
    ({"node_ids": ["a", "c", "unknown"]}, ["a", "c"]),
    ({"doc_ids": ["d1"]}, ["a", "b"]),
    ({"doc_ids": ["d1", "d2"]}, ["a", "b", "c"]),
    ({"doc_ids": ["None"]}, []),
    ({"node_ids": "a", "doc_ids": "d1"}, ["a"]),  # one string is a list of itself
    ({"doc_ids": "d1"}, ["a", "b"]),
    ({"node_ids": np.array(["a", "c"])}, ["a", "c"]),
    ({"doc_ids": np.array(["d1", "d2"])}, ["a", "b", "c"]),
    ({"node_ids": ["a", "c"], "doc_ids": ["d1"]}, ["a"]),
    ({"doc_ids": ["d1"], "filters": TWO}, ["b"]),
]


@pytest.mark.parametrize(("restriction", "found"), RESTRICTIONS)
def test_every_restriction_holds(store, node, restriction, found):
    store.add([node("a", "d1", n=1), node("b", "d1", n=2), node("c", "d2", n=2), node("d", n=3)])
    query = VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=9, **restriction)
    assert sorted(store.query(query).ids) == found


@pytest.mark.parametrize("mode", ["default", "mmr", "text_search", "hybrid", "svm"])
def test_doc_ids_find_what_another_store_wrote_too(store, node, add_theirs, mode):
    add_theirs(store, node("a", "d1"), node("b", "d2"), node("c"))
    store.add([node("d", "d1"), node("e", ref_doc_id="d1"), node("f", "d2")])
    for asked, found in [(["d1"], ["a", "d"]), (["d1", "d2"], ["a", "b", "d", "f"]), (["None"], [])]:
        query = VectorStoreQuery([1.0, 0.0], query_str="text", similarity_top_k=9, doc_ids=asked, mode=mode)
        assert sorted(store.query(query).ids) == found


@pytest.mark.parametrize("mode", ["default", "mmr"])
def test_output_fields_choose_the_metadata(store, node, mode):
    store.add([node("a", "d1", year=1, title="x")])
    for fields, metadata in [
        (["year", "none"], {"year": 1}),
        ("year", {"year": 1}),
        ([], {"year": 1, "title": "x"}),
    ]:
        query = VectorStoreQuery([1.0, 0.0], output_fields=fields, mode=VectorStoreQueryMode(mode))
        (found,) = store.query(query).nodes
        assert (found.metadata, found.text, found.ref_doc_id) == (metadata, "text of a", "d1")


def test_the_engines_own_filters_can_be_given(store, node):
    store.add([node("a", n=1), node("b", n=2), node("c", n=3)])
    query = VectorStoreQuery([1.0, 0.0], similarity_top_k=9, node_ids=["a", "b"])
    assert store.query(query, where={"n": {"$between": [2, 3]}}).ids == ["b"]
    assert store.query(query, where_document={"$contains": "of a"}).ids == ["a"]


def test_a_frame_is_one_vector_if_it_has_one_row(store, node):
    frame = pytest.importorskip("pandas").DataFrame([[1.0, 0.0], [0.0, 1.0]])
    store.add([node("a", at=[1.0, 0.0]), node("b", at=[0.0, 1.0])])
    assert store.query(VectorStoreQuery(frame[1:], similarity_top_k=1)).ids == ["b"]
    with pytest.raises(InvalidArgumentError, match="query_embedding: expected one vector, got 2"):
        store.query(VectorStoreQuery(frame))


@pytest.mark.parametrize("mode", ["default", "mmr", "hybrid", "svm"])
def test_numbers_and_vectors_of_numpys_are_as_good(mode):
    store = filled()
    limits = {"alpha": 0.5, "mmr_threshold": 0.25, "sparse_top_k": 9, "hybrid_top_k": 4}
    theirs = {"alpha": np.float32(0.5), "mmr_threshold": np.float64(0.25), "hybrid_top_k": np.int8(4)}
    expected = store.query(asking(4, mode=mode, query_str="x", **limits))
    for embedding in (QUERY, QUERY[None], [list(QUERY)], tuple(QUERY)):
        query = asking(np.int64(4), mode=mode, query_str="x", **limits | theirs)
        query.query_embedding = embedding
        assert store.query(query).ids == expected.ids
        assert query.query_embedding is embedding


# --- mmr --------------------------------------------------------------------------------------


def reference_mmr(space: str, k: int, threshold: float, fetch: int) -> list[str]:
    """Carbonell & Goldstein, over the `fetch` nearest; l2 as 1 − d/2, as the engine does."""

    def similar(a, b):
        return 1 - ((a - b) ** 2).sum() / 2 if space == "l2" else SIMILARITY[space](a, b)

    near = sorted(range(60), key=lambda i: -similar(QUERY, VECTORS[i]))[:fetch]
    picked = [near.pop(0)]
    while near and len(picked) < k:

        def gain(i):
            overlap = max(similar(VECTORS[i], VECTORS[j]) for j in picked)
            return threshold * similar(QUERY, VECTORS[i]) - (1 - threshold) * overlap

        picked.append(max(near, key=gain))
        near.remove(picked[-1])
    return [str(i) for i in picked]


@pytest.mark.parametrize("threshold", [0, 0.0, 0.3, 0.5, 0.9, 1, 1.0])
def test_mmr_picks_what_the_reference_picks_by_keyword_and_by_field(space, threshold):
    store = filled(space)
    expected = reference_mmr(space, 6, threshold, 24)
    by_keyword = store.query(asking(6, mode=MMR), mmr_threshold=threshold, mmr_prefetch_k=24)
    by_field = store.query(asking(6, mode=MMR, mmr_threshold=threshold), mmr_prefetch_factor=4.0)
    assert expected == by_keyword.ids == by_field.ids


def test_the_keyword_wins_over_the_field_and_the_default_is_a_half(space):
    store = filled(space)
    both = store.query(asking(mode=MMR, mmr_threshold=0.9), mmr_threshold=0, mmr_prefetch_k=60)
    neither = store.query(asking(mode=MMR), mmr_prefetch_k=60)
    assert both.ids == reference_mmr(space, 5, 0, 60)
    assert neither.ids == reference_mmr(space, 5, 0.5, 60)


def test_mmr_reports_similarity_to_the_query_in_the_order_of_selection(space):
    found = filled(space).query(asking(mode=MMR), mmr_threshold=0, mmr_prefetch_k=60)
    similarities = [SIMILARITY[space](QUERY, VECTORS[int(id)]) for id in found.ids]
    assert found.similarities == pytest.approx(similarities, abs=1e-5)
    assert found.similarities != sorted(found.similarities, reverse=True)


def test_a_threshold_of_one_is_plain_search():
    store = filled()
    assert store.query(asking(mode=MMR), mmr_threshold=1).ids == store.query(asking()).ids


@pytest.mark.parametrize("prefetch", [{"mmr_prefetch_k": 0}, {"mmr_prefetch_factor": 0}])
def test_a_prefetch_of_zero_fetches_no_more_than_it_returns(prefetch):
    store = filled()
    found = store.query(asking(mode=MMR), mmr_threshold=0, **prefetch)
    assert found.ids == reference_mmr("cosine", 5, 0, 5)


def test_mmr_picks_among_filtered_nodes():
    store = filled()
    even = [str(i) for i in range(0, 60, 2)]
    found = store.query(asking(9, mode=MMR, node_ids=even), mmr_threshold=0.2)
    assert len(found.ids) == 9
    assert set(found.ids) <= set(even)


# --- learners ----------------------------------------------------------------------------------

# What scikit-learn 1.7's LinearSVC(C=0.1) and LogisticRegression() answer, both with
# class_weight="balanced" and a small tolerance, trained as LlamaIndex trains them.
FEW = np.random.default_rng(11).normal(size=(12, 4)).round(2)
ASKED = np.random.default_rng(11).normal(size=(13, 4)).round(2)[12]
LEARNED = {
    "svm": [
        -0.32979, -0.18947, 0.3536, -0.0563, 0.14496, -0.54791,
        -1.26969, -0.43827, -0.41689, -0.74094, -0.58184, -0.75299,
    ],
    "logistic_regression": [
        -1.3332, -1.01996, 0.79638, -0.99063, -0.39798, -1.91944,
        -4.10063, -1.61571, -1.63634, -2.79279, -1.92221, -3.14502,
    ],
}  # fmt: skip


def few() -> VicinalVectorStore:
    store = VicinalVectorStore()
    store.add([TextNode(id_=str(i), embedding=list(v), metadata={"i": i}) for i, v in enumerate(FEW)])
    return store


def learning(mode: str, k: int = 12, **fields) -> VectorStoreQuery:
    asked = VectorStoreQueryMode(mode)
    return VectorStoreQuery(query_embedding=list(ASKED), similarity_top_k=k, mode=asked, **fields)


@pytest.mark.parametrize("mode", LEARNED)
def test_a_learner_scores_as_scikit_learns_does(mode):
    found = few().query(learning(mode))
    assert found.similarities == pytest.approx(sorted(LEARNED[mode], reverse=True), abs=2e-5)
    assert found.ids == [str(i) for i in np.argsort(LEARNED[mode])[::-1]]
    assert [node.node_id for node in found.nodes] == found.ids


@pytest.mark.parametrize("mode", LEARNED)
def test_a_learner_learns_from_what_matches_alone(mode):
    low = MetadataFilters(filters=[MetadataFilter(key="i", value=6, operator="<")])
    store, alone = few(), VicinalVectorStore()
    alone.add(store.get_nodes(filters=low, include_embeddings=True))
    filtered, whole = store.query(learning(mode, 3, filters=low)), alone.query(learning(mode, 3))
    assert filtered.ids == whole.ids
    assert filtered.similarities == pytest.approx(whole.similarities)


@pytest.mark.parametrize("mode", LEARNED)
def test_a_learner_takes_every_number_of_nodes(store, mode):
    assert store.query(learning(mode)).ids == []
    store.add([TextNode(id_="a", embedding=list(ASKED))])
    assert store.query(learning(mode)).ids == ["a"]
    assert store.query(learning(mode, 0)).ids == []
    assert store.query(learning(mode, node_ids=["b"])).ids == []


@pytest.mark.parametrize("mode", LEARNED)
def test_a_learner_refuses_vectors_of_another_dimension(mode):
    with pytest.raises(InvalidDimensionError):
        few().query(VectorStoreQuery([1.0], mode=VectorStoreQueryMode(mode)))


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["linear_regression", "semantic_hybrid"])
def test_a_mode_that_cannot_be_done_raises_by_name(store, mode):
    asked = VectorStoreQuery(query_embedding=[1.0], query_str="x", mode=VectorStoreQueryMode(mode))
    for error in (NotImplementedError, ValueError):
        with pytest.raises(error, match=f"cannot run the query mode '{mode}'"):
            store.query(asked)


REFUSED = [
    ({}, {"mmr_prefetch_k": 9, "mmr_prefetch_factor": 2.0}, "give one"),
    ({}, {"mmr_prefetch_k": -1}, "mmr_prefetch_k: expected at least 0, got -1"),
    ({}, {"mmr_prefetch_factor": -0.5}, "mmr_prefetch_factor: expected a number from 0 to 1000000000"),
    ({}, {"mmr_prefetch_factor": float("nan")}, "mmr_prefetch_factor: expected a number"),
    ({}, {"mmr_prefetch_factor": float("inf")}, "mmr_prefetch_factor: expected a number"),
    ({}, {"mmr_threshold": 1.5}, "mmr_threshold: expected a number from 0 to 1, got 1.5"),
    ({"mmr_threshold": float("nan")}, {}, "mmr_threshold: expected a number from 0 to 1, got nan"),
    ({}, {"mmr_treshold": 0.5}, "unknown keywords: mmr_treshold"),
    ({"embedding_field": "image"}, {}, "embedding_field 'image'"),
    ({"query_embedding": None}, {}, "needs query_embedding; got None"),
    ({"query_embedding": []}, {}, r"needs query_embedding; got \[\]"),
    ({"query_embedding": [[1.0, 0.0], [0.0, 1.0]]}, {}, "query_embedding: expected one vector, got 2"),
    ({"query_embedding": np.ones((2, 2)), "mode": "svm"}, {}, "query_embedding: expected one vector, got 2"),
    ({"query_embedding": [[[1.0, 0.0]]], "mode": "svm"}, {}, r"got shape \(1, 1, 2\)"),
    ({"similarity_top_k": -1}, {}, "similarity_top_k: expected at least 0, got -1"),
    ({}, {"fusion": "rrf"}, "'mmr' has no use for the keyword fusion"),
    ({}, {"rerank": len}, "'mmr' has no use for the keyword rerank"),
    ({"mode": "nearest"}, {}, "mode: expected one of 'default', .*, got 'nearest'"),
]
MISTYPED = [
    ({"query_embedding": 1.0}, {}, "query_embedding to be a list of floats, got 1.0"),
    ({"similarity_top_k": "2", "mode": "svm"}, {}, "similarity_top_k to be an int, got '2'"),
    ({"similarity_top_k": None}, {}, "similarity_top_k to be an int, got None"),
    ({"similarity_top_k": True, "mode": "svm"}, {}, "similarity_top_k to be an int, got True"),
    ({"sparse_top_k": 2.5}, {}, "sparse_top_k to be an int, got 2.5"),
    ({"hybrid_top_k": "2"}, {}, "hybrid_top_k to be an int, got '2'"),
    ({"alpha": "0.5"}, {}, "alpha to be a number from 0 to 1, got '0.5'"),
    ({"mmr_threshold": True}, {}, "mmr_threshold to be a number from 0 to 1, got True"),
    ({}, {"mmr_threshold": "0.5"}, "mmr_threshold to be a number from 0 to 1, got '0.5'"),
    ({}, {"mmr_prefetch_factor": "4"}, "mmr_prefetch_factor to be a number"),
    ({}, {"mmr_prefetch_k": "20"}, "mmr_prefetch_k to be an int, got '20'"),
    ({}, {"mmr_prefetch_k": 20.0}, "mmr_prefetch_k to be an int, got 20.0"),
    ({"node_ids": 5}, {}, "node_ids to be a list of str, got 5"),
    ({"doc_ids": 5}, {}, "doc_ids to be a list of str, got 5"),
    ({"doc_ids": ["a", 5]}, {}, r"doc_ids\[1\] to be a str, got 5"),
    ({"doc_ids": {"a": 1}}, {}, r"doc_ids\[0\] to be a str"),
    ({"output_fields": 5}, {}, "output_fields to be a list of str, got 5"),
]


@pytest.mark.parametrize(("fields", "keywords", "text"), REFUSED)
def test_a_query_that_cannot_be_meant_is_refused(store, fields, keywords, text):
    query = VectorStoreQuery(**{"query_embedding": [1.0], "mode": MMR, **fields})
    with pytest.raises(ValueError, match=text):
        store.query(query, **keywords)


@pytest.mark.parametrize(("fields", "keywords", "text"), MISTYPED)
def test_a_value_of_another_type_is_refused_by_the_arguments_name(store, fields, keywords, text):
    query = VectorStoreQuery(**{"query_embedding": [1.0], "mode": MMR, **fields})
    with pytest.raises(ArgumentTypeError, match=text):
        store.query(query, **keywords)


ENDLESS = 10**5000
DEEP = functools.reduce(lambda inner, _: [inner], range(100_000), [])
UNSHOWABLE = [
    ({"similarity_top_k": -ENDLESS}, {}, "similarity_top_k: expected at least 0, got <int, too large"),
    ({"alpha": ENDLESS}, {}, "alpha: expected a number from 0 to 1, got <int, too large"),
    ({"mmr_threshold": -ENDLESS}, {}, "mmr_threshold: expected a number from 0 to 1, got <int, too large"),
    ({}, {"mmr_prefetch_k": -ENDLESS}, "mmr_prefetch_k: expected at least 0, got <int, too large"),
    ({}, {"mmr_prefetch_factor": ENDLESS}, "mmr_prefetch_factor: expected a number .*, got <int, too large"),
    ({"embedding_field": ENDLESS}, {}, "embedding_field <int, too large to be shown>: a Vicinal record"),
    ({"embedding_field": DEEP}, {}, "embedding_field <list, too large to be shown>: a Vicinal record"),
    ({"mode": ENDLESS}, {}, "mode: expected one of .*, got <int, too large"),
    ({"mode": DEEP}, {}, "mode: expected one of .*, got <list, too large"),
]


@pytest.mark.parametrize(("fields", "keywords", "text"), UNSHOWABLE, ids=range(len(UNSHOWABLE)))
def test_a_value_that_python_does_not_show_is_refused_by_name(store, fields, keywords, text):
    query = VectorStoreQuery(**{"query_embedding": [1.0], "mode": MMR, **fields})
    with pytest.raises(InvalidArgumentError, match=text):
        store.query(query, **keywords)


@pytest.mark.parametrize("query", ["a text", {"query_embedding": [1, 0]}, [1.0, 0.0], None])
def test_what_is_no_query_is_refused_with_the_way_to_ask_a_text(store, query):
    with pytest.raises(ArgumentTypeError, match=r"query to be a VectorStoreQuery; a text goes to .*retrieve"):
        store.query(query)


def test_errors_are_of_the_engines_tree(store):
    for mode in (VectorStoreQueryMode.LINEAR_REGRESSION, "nearest"):
        with pytest.raises(InvalidArgumentError):
            store.query(VectorStoreQuery([1.0], mode=mode))
