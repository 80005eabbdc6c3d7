"""A query returns the nearest records, nearest first, with their true distances.

The oracle is this file's own: plain float64 numpy over the vectors as float32 stores them.
"""

from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import vicinal
from vicinal.embedding import EmbeddingFunction
from vicinal.testing import HashEmbeddingFunction

SPACES = ["l2", "cosine", "ip"]
SCALES = [1e-38, 1e-30, 1e-22, 1e-20, 1e-10, 1e-4, 1.0, 1e4, 1e10, 1e18, 1e19, 1e20, 1e30, 1e38]


def oracle(space: str, query: Any, vectors: Any) -> np.ndarray:
    """The distances of all vectors from a query, by definition."""
    q, v = (np.asarray(x, dtype=np.float32).astype(np.float64) for x in (query, vectors))
    if space == "l2":
        return ((v - q) ** 2).sum(axis=1)
    dots = (v * q).sum(axis=1)
    if space == "ip":
        return 1 - dots
    lengths = np.sqrt((v**2).sum(axis=1)) * np.sqrt((q**2).sum())
    return 1 - np.array([dot / length if length else 0.0 for dot, length in zip(dots, lengths, strict=True)])


def made(client: Any, space: str, vectors: Any, **columns: Any) -> vicinal.Collection:
    """A collection of vectors whose ids are their numbers."""
    configuration = {"hnsw": {"space": space}}
    collection = client.create_collection("things", embedding_function=None, configuration=configuration)
    collection.add(ids=[str(i) for i in range(len(vectors))], embeddings=vectors, **columns)
    return collection


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def assert_nearest(found: Any, space: str, queries: Any, vectors: Any, k: int) -> None:
    """The answer is the oracle's, but for the order of distances that are equal within float64's error."""
    for number, query in enumerate(queries):
        distances = oracle(space, query, vectors)
        scale = 1.0 if space == "cosine" else max(np.abs(distances).max(), 1e-300)
        expected = np.sort(distances)[:k]
        rows = [int(id) for id in found["ids"][number]]
        assert len(rows) == len(set(rows)) == min(k, len(vectors))
        for answer in (found["distances"][number], distances[rows]):
            np.testing.assert_allclose(answer, expected, rtol=1e-9, atol=1e-13 * scale)


# --- distances -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ("l2", {"0": 0.0, "1": 25.0, "2": 100.0, "3": 50.0, "4": 25.0}),
        ("cosine", {"0": 0.0, "1": 0.0, "2": 2.0, "3": 1.0, "4": 1.0}),
        ("ip", {"0": -24.0, "1": -49.0, "2": 26.0, "3": 1.0, "4": 1.0}),
    ],
)
def test_distances_by_hand(client, space, expected):
    collection = made(client, space, [[3, 4], [6, 8], [-3, -4], [4, -3], [0, 0]])
    found = collection.query([3, 4], n_results=5)
    assert expected == pytest.approx(dict(zip(found["ids"][0], found["distances"][0], strict=True)))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("k", [1, 7, 300, 1000])
def test_the_nearest_are_the_oracles(store, space, k):
    vectors, queries = random(1, 300, 24), random(2, 3, 24)
    collection = store.reopen(made(store.client, space, vectors))
    assert_nearest(collection.query(queries, n_results=k), space, queries, vectors, k)


@pytest.mark.parametrize("space", SPACES)
def test_more_rows_than_fit_one_block(client, space):
    vectors, queries = random(3, 10_000, 4), random(4, 2, 4)
    collection = made(client, space, vectors)
    assert_nearest(collection.query(queries, n_results=50), space, queries, vectors, 50)


@pytest.mark.parametrize("space", SPACES)
def test_a_vector_finds_itself_first(client, space):
    vectors = random(5, 100, 16)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = made(client, space, vectors).query(vectors, n_results=1)
    assert [[str(i)] for i in range(100)] == found["ids"]
    np.testing.assert_allclose(found["distances"], 0, atol=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_distances_are_plain_floats_in_ascending_order(client, space):
    distances = made(client, space, random(6, 50, 3)).query([1, 2, 3], n_results=50)["distances"][0]
    assert (sorted(distances), {float}) == (distances, {type(distance) for distance in distances})


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("scale", SCALES)
def test_any_magnitude_is_measured_exactly(new_client, space, scale):
    vectors = np.clip(random(7, 200, 8) * scale, -3e38, 3e38)
    queries = np.clip(random(8, 3, 8) * scale, -3e38, 3e38)
    found = made(new_client(), space, vectors).query(queries, n_results=5)
    assert_nearest(found, space, queries, vectors, 5)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("query_scale", [1e-30, 1.0, 1e18, 1e30, 1e38])
@pytest.mark.parametrize("exponents", [(-38, 18), (-30, 37), (-5, 5), (10, 37)])
def test_mixed_magnitudes_are_measured_exactly(new_client, space, query_scale, exponents):
    scales = 10.0 ** np.random.default_rng(9).uniform(*exponents, size=(200, 1))
    vectors = np.clip(random(10, 200, 8) * scales, -3e38, 3e38)
    query = np.clip(random(11, 8) * query_scale, -3e38, 3e38)
    found = made(new_client(), space, vectors).query(query, n_results=10)
    assert_nearest(found, space, [query], vectors, 10)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("offset", [1e3, 1e4, 1e6, -1e7])
def test_a_large_common_offset_does_not_hide_the_nearest(new_client, space, offset):
    vectors, query = random(12, 500, 16) + offset, random(13, 16) + offset
    found = made(new_client(), space, vectors).query(query, n_results=5)
    assert_nearest(found, space, [query], vectors, 5)


@pytest.mark.parametrize("space", SPACES)
def test_almost_equal_vectors_are_told_apart(new_client, space):
    base = random(14, 32).astype(np.float32)
    vectors = np.stack([base] * 400)
    for row in range(400):  # each differs in one component by one unit in the last place
        vectors[row, row % 32] = np.nextafter(vectors[row, row % 32], np.float32(9))
    found = made(new_client(), space, vectors[::-1]).query(base, n_results=9)
    assert_nearest(found, space, [base], vectors[::-1], 9)


@pytest.mark.parametrize("wanted", [1e-30, 1e30, 1e-20, 1e19, 1e-38])
def test_cosine_does_not_depend_on_length(new_client, wanted):
    collection = made(new_client(), "cosine", [[1, 1], [1, 0.5], [wanted, 0], [0, 1]])
    found = collection.query([[1, 0], [1e-30, 0], [1e30, 0]], n_results=1)
    assert (found["ids"], found["distances"]) == ([["2"]] * 3, [[0.0]] * 3)


# --- zeros and ties --------------------------------------------------------------------------


@pytest.mark.parametrize(("space", "expected"), [("l2", 25.0), ("cosine", 1.0), ("ip", 1.0)])
def test_a_zero_vector_has_a_distance(client, space, expected):
    collection = made(client, space, [[0, 0]])
    assert [[expected]] == collection.query([3, 4])["distances"]


@pytest.mark.parametrize(("space", "order"), [("l2", "012"), ("cosine", "012"), ("ip", "012")])
def test_a_zero_query_has_an_answer(client, space, order):
    collection = made(client, space, [[1, 1], [2, 2], [3, 3]])
    assert [list(order)] == collection.query([0, 0])["ids"]


@pytest.mark.parametrize("space", SPACES)
def test_a_zero_query_meets_a_zero_vector(client, space):
    distance = made(client, space, [[0, 0]]).query([0, 0])["distances"]
    assert ([[0.0]] if space == "l2" else [[1.0]]) == distance


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("k", [1, 5, 49, 50])
def test_equal_distances_come_in_order_of_insertion(store, space, k):
    collection = store.reopen(made(store.client, space, [[1, 2]] * 50))
    assert [[str(i) for i in range(k)]] == collection.query([2, 1], n_results=k)["ids"]


def test_ties_around_a_nearest_come_in_order_of_insertion(client):
    collection = made(client, "l2", [[2], [1], [0], [-1], [-2], [1], [-1]])
    assert [list("2135604")] == collection.query([0])["ids"]


def test_a_record_keeps_its_place_among_equals_when_its_vector_changes(client):
    collection = made(client, "l2", [[5], [1], [1], [1]])
    collection.update(ids=["1", "0"], embeddings=[[7], [1]])
    collection.update(ids="1", embeddings=[1])
    assert collection.query([1])["ids"] == [["0", "1", "2", "3"]]


# --- shapes ----------------------------------------------------------------------------------


@pytest.fixture
def three(client):
    """Three records on a line, with all that a record can have."""
    columns = {
        "documents": ["zero", None, "two"],
        "metadatas": [{"n": 0}, None, {"n": 2}],
        "uris": ["u0", None, "u2"],
    }
    return made(client, "l2", [[0, 0], [1, 0], [2, 0]], **columns)


def test_a_query_includes_metadata_documents_and_distances_unless_told(three):
    expected = {
        "ids": [["2", "1"]],
        "distances": [[1.0, 4.0]],
        "documents": [["two", None]],
        "metadatas": [[{"n": 2}, None]],
        "included": ["metadatas", "documents", "distances"],
    }
    assert {**expected, "embeddings": None, "uris": None, "data": None} == three.query([3, 0], n_results=2)


@pytest.mark.parametrize("field", ["distances", "documents", "embeddings", "metadatas", "uris"])
def test_only_what_is_included_is_filled(three, field):
    found = three.query([3, 0], include=[field])
    filled = {name for name, column in found.items() if column is not None}
    assert {"ids", "included", field} == filled


def test_embeddings_come_as_one_array_per_query(three):
    found = three.query([[3, 0], [0, 0]], n_results=2, include=["embeddings"])["embeddings"]
    assert [array.tolist() for array in found] == [[[2, 0], [1, 0]], [[0, 0], [1, 0]]]
    assert [np.float32] * 2 == [array.dtype for array in found]


def test_uris_come_with_the_records(three):
    assert three.query([3, 0], include=["uris"])["uris"] == [["u2", None, "u0"]]


FORMS = {
    "list": lambda: [3, 0],
    "tuple": lambda: (3, 0),
    "list of lists": lambda: [[3, 0]],
    "array": lambda: np.array([3, 0]),
    "array of rows": lambda: np.array([[3.0, 0.0]]),
    "list of arrays": lambda: [np.array([3, 0])],
    "iterator": lambda: iter([3, 0]),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_query_in_every_form(client, form):
    collection = made(client, "l2", [[0, 0], [1, 0], [2, 0]])
    assert [["2", "1", "0"]] == collection.query(FORMS[form]())["ids"]


def test_several_queries_are_answered_each_on_its_own(three):
    found = three.query([[0, 0], [9, 0], [0.9, 0]], n_results=1)
    assert (found["ids"], found["documents"]) == ([["0"], ["2"], ["1"]], [["zero"], ["two"], [None]])


def test_many_queries_at_once_are_answered_as_one_by_one(client):
    vectors, queries = random(15, 200, 8), random(16, 100, 8)
    collection = made(client, "cosine", vectors)
    one_by_one = [collection.query(query, n_results=3)["ids"][0] for query in queries]
    assert one_by_one == collection.query(queries, n_results=3)["ids"]


def test_no_queries_have_no_answers(three):
    found = three.query([])
    assert (found["ids"], found["distances"], found["documents"]) == ([], [], [])


def test_an_empty_collection_answers_each_query_with_nothing(collection):
    found = collection.query([[1, 2], [3, 4]], include=["documents", "distances", "embeddings"])
    assert (
        *(found["ids"], found["distances"], found["documents"]),
        [len(array) for array in found["embeddings"]],
    ) == ([[], []], [[], []], [[], []], [0, 0])


def test_an_emptied_collection_answers_with_nothing(three):
    three.delete(ids=["0", "1", "2"])
    assert three.query([1, 0])["ids"] == [[]]


@pytest.mark.parametrize(("k", "expected"), [(1, 1), (np.int64(2), 2), (3, 3), (4, 3), (2**70, 3)])
def test_as_many_results_as_asked_for_and_present(three, k, expected):
    assert expected == len(three.query([0, 0], n_results=k)["ids"][0])


def test_ten_results_unless_told(client):
    assert len(made(client, "l2", random(17, 20, 2)).query([0, 0])["ids"][0]) == 10


def test_the_query_vector_is_not_changed(client):
    query = np.array([3.0, 4.0], dtype=np.float32)
    made(client, "cosine", [[1, 2]]).query(query)
    assert query.tolist() == [3.0, 4.0]


# --- restricted ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ("1", ["1"]),
        (["0", "2", "nobody"], ["2", "0"]),
        (["2", "2"], ["2"]),
        ([], []),
        (["nobody"], []),
    ],
)
def test_a_query_among_given_ids(new_client, ids, expected):
    collection = made(new_client(), "l2", [[0, 0], [1, 0], [2, 0]])
    assert [expected] == collection.query([9, 0], ids=ids)["ids"]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("share", [2, 7, 100])
def test_the_nearest_of_a_filtered_part_are_the_oracles(client, space, share):
    vectors, queries = random(18, 400, 8), random(19, 2, 8)
    collection = made(client, space, vectors, metadatas=[{"part": i % share} for i in range(400)])
    found = collection.query(queries, n_results=30, where={"part": 1})
    for number, query in enumerate(queries):
        expected = np.sort(oracle(space, query, vectors[1::share]))[:30]
        np.testing.assert_allclose(found["distances"][number], expected, rtol=1e-9, atol=1e-13)


# --- text ------------------------------------------------------------------------------------


class Directed(EmbeddingFunction):
    """Embeds documents and queries unlike one another."""

    def __call__(self, input):
        return [[float(len(text)), 0.0] for text in input]

    def embed_query(self, input):
        return [[float(len(text)), 5.0] for text in input]


@pytest.fixture
def library(client):
    """Three documents, embedded by their words."""
    collection = client.create_collection("library", embedding_function=HashEmbeddingFunction())
    collection.add(ids=["a", "b", "c"], documents=["red apple pie", "blue sky above", "green apple tree"])
    return collection


def test_text_finds_the_documents_that_share_its_words(library):
    found = library.query(query_texts=["sky blue", "pie of red apple"], n_results=1)
    assert found["ids"] == [["b"], ["a"]]


def test_a_single_text_is_one_query(library):
    assert library.query(query_texts="green tree", n_results=1)["ids"] == [["c"]]


def test_an_equal_text_is_at_distance_zero(library):
    assert library.query(query_texts="blue sky above", n_results=1)["distances"][0][0] == pytest.approx(0)


def test_embeddings_win_over_texts(library):
    sky = HashEmbeddingFunction()(["blue sky above"])
    assert library.query(sky, ["green tree"], n_results=1)["ids"] == [["b"]]


def test_queries_are_embedded_as_queries(client):
    collection = client.create_collection("directed", embedding_function=Directed())
    collection.add(ids="a", documents="text")
    assert collection.query(query_texts="text")["distances"] == [[25.0]]


def test_no_texts_have_no_answers(library):
    assert library.query(query_texts=[])["ids"] == []


# --- maximal marginal relevance --------------------------------------------------------------


def similarity(space: str, a: np.ndarray, b: np.ndarray) -> float:
    """The cosine, the dot product, or 1 − d/2 for a squared distance d."""
    return float(1 - oracle(space, a, b[None])[0] / (2 if space == "l2" else 1))


def mmr(
    space: str, query: np.ndarray, vectors: np.ndarray, k: int, fetch_k: int, lambda_mult: float
) -> list[str]:
    """Carbonell and Goldstein's greedy choice, written down as they define it."""
    left = np.argsort(oracle(space, query, vectors), kind="stable")[:fetch_k].tolist()
    picked = [left.pop(0)]
    while left and len(picked) < k:
        gains = [
            lambda_mult * similarity(space, query, vectors[i])
            - (1 - lambda_mult) * max(similarity(space, vectors[j], vectors[i]) for j in picked)
            for i in left
        ]
        picked.append(left.pop(int(np.argmax(gains))))
    return [str(i) for i in picked]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("lambda_mult", [0, 0.25, 0.5, 0.9, 1])
@pytest.mark.parametrize(("k", "fetch_k"), [(1, 20), (5, 20), (8, 8), (8, 60), (100, 100)])
def test_mmr_picks_what_its_definition_picks(new_client, space, lambda_mult, k, fetch_k):
    vectors, query = random(20, 60, 5), random(21, 5)
    found = made(new_client(), space, vectors).query(
        query, n_results=k, lambda_mult=lambda_mult, fetch_k=fetch_k
    )
    assert [mmr(space, query, vectors.astype(np.float32), k, fetch_k, lambda_mult)] == found["ids"]


@pytest.mark.parametrize("space", SPACES)
def test_mmr_with_lambda_one_is_the_plain_order(client, space):
    vectors = np.concatenate([random(22, 30, 3), random(22, 30, 3)])  # every vector twice
    collection = made(client, space, vectors)
    assert collection.query([1, 2, 3], n_results=20) == collection.query(
        [1, 2, 3], n_results=20, lambda_mult=1
    )


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("lambda_mult", [0, 0.5])
def test_mmr_starts_with_the_nearest(client, space, lambda_mult):
    collection = made(client, space, random(23, 50, 3))
    nearest = collection.query([1, 2, 3], n_results=1)["ids"][0]
    assert nearest == collection.query([1, 2, 3], n_results=5, lambda_mult=lambda_mult)["ids"][0][:1]


@pytest.mark.parametrize("space", SPACES)
def test_mmr_passes_over_what_was_picked_already(client, space):
    collection = made(client, space, [[1, 0.1], [1, 0.1], [1, 0.1], [0.8, 0.6]])
    assert collection.query([1, 0.1], n_results=2, lambda_mult=0.3)["ids"] == [["0", "3"]]


@pytest.mark.parametrize("space", SPACES)
def test_mmr_reports_true_distances(client, space):
    vectors, query = random(24, 40, 4), random(25, 4)
    found = made(client, space, vectors).query(query, n_results=10, lambda_mult=0.2)
    rows = [int(id) for id in found["ids"][0]]
    np.testing.assert_allclose(found["distances"][0], oracle(space, query, vectors)[rows], rtol=1e-9)


def test_mmr_picks_from_the_fetch_k_nearest_only(client):
    collection = made(client, "l2", [[i, 0] for i in range(50)])
    assert collection.query([0, 0], n_results=3, lambda_mult=0, fetch_k=5)["ids"] == [["0", "4", "2"]]


@pytest.mark.parametrize(("k", "farthest"), [(2, "19"), (10, "39")])
def test_mmr_picks_from_twenty_or_four_times_k_unless_told(client, k, farthest):
    collection = made(client, "l2", [[i, 0] for i in range(50)])
    assert farthest == collection.query([0, 0], n_results=k, lambda_mult=0)["ids"][0][1]


def test_mmr_fetches_at_least_as_many_as_it_returns(client):
    collection = made(client, "l2", [[i, 0] for i in range(50)])
    assert len(collection.query([0, 0], n_results=10, lambda_mult=0.5, fetch_k=1)["ids"][0]) == 10


def test_mmr_picks_among_what_the_filter_selects(client):
    collection = made(
        client, "l2", [[i, 0] for i in range(50)], metadatas=[{"odd": i % 2} for i in range(50)]
    )
    found = collection.query([0, 0], n_results=3, lambda_mult=0, fetch_k=5, where={"odd": 1})
    assert found["ids"] == [["1", "9", "5"]]


def test_mmr_returns_what_there_is(client):
    collection = made(client, "cosine", [[1, 0], [0, 1]])
    assert collection.query([1, 0], n_results=9, lambda_mult=0.5)["ids"] == [["0", "1"]]


def test_mmr_of_an_empty_collection_is_empty(collection):
    assert collection.query([1, 0], lambda_mult=0.5)["ids"] == [[]]


def test_mmr_answers_each_query_on_its_own(client):
    vectors, queries = random(26, 40, 4), random(27, 3, 4)
    collection = made(client, "cosine", vectors)
    one_by_one = [collection.query(query, n_results=4, lambda_mult=0.5)["ids"][0] for query in queries]
    assert one_by_one == collection.query(queries, n_results=4, lambda_mult=0.5)["ids"]


@pytest.mark.parametrize("space", SPACES)
def test_mmr_of_zero_vectors_has_an_answer(client, space):
    collection = made(client, space, [[0, 0], [0, 0], [1, 1]])
    assert {"0", "1", "2"} == set(collection.query([0, 0], n_results=3, lambda_mult=0.5)["ids"][0])


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_mmr_of_any_magnitude_has_an_answer(new_client, space, scale):
    collection = made(new_client(), space, random(28, 30, 4) * scale)
    assert len(set(collection.query(random(29, 4) * scale, n_results=9, lambda_mult=0.5)["ids"][0])) == 9


# --- explain ---------------------------------------------------------------------------------


def test_explain_tells_how_a_query_was_answered(client):
    collection = made(client, "l2", random(30, 20, 2), metadatas=[{"n": i} for i in range(20)])
    told = collection.query([0, 0], where={"n": {"$lt": 5}}, explain=True)["explain"]
    assert (told.rows, told.matches, told.strategy) == (20, 5, "scan matches")


def test_explain_changes_nothing_else(three):
    told = three.query([0, 0], explain=True)
    del told["explain"]
    assert three.query([0, 0]) == told


def test_explain_has_an_answer_for_an_empty_collection(collection):
    assert collection.query([0, 0], explain=True)["explain"].matches == 0


# --- properties ------------------------------------------------------------------------------

WHOLE = st.lists(st.integers(-3, 3), min_size=3, max_size=3)


@hypothesis.given(
    st.lists(WHOLE, min_size=1, max_size=30), WHOLE, st.integers(1, 31), st.sampled_from(["l2", "ip"])
)
def test_whole_numbers_come_in_exactly_the_oracles_order(vectors, query, k, space):
    with vicinal.EphemeralClient() as client:
        found = made(client, space, vectors).query(query, n_results=k)
        distances = oracle(space, query, vectors)
        rows = np.argsort(distances, kind="stable")[:k]
        assert ([str(row) for row in rows], distances[rows].tolist()) == (
            found["ids"][0],
            found["distances"][0],
        )


FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@hypothesis.given(
    st.lists(st.lists(FLOATS, min_size=2, max_size=2), min_size=1, max_size=20),
    st.lists(FLOATS, min_size=2, max_size=2),
    st.integers(1, 5),
    st.sampled_from(SPACES),
)
def test_any_floats_come_in_the_oracles_order(vectors, query, k, space):
    with vicinal.EphemeralClient() as client:
        found = made(client, space, vectors).query(query, n_results=k)
        assert_nearest(found, space, [query], vectors, k)
