"""A query stops at `max_distance`, takes what it is given to embed, and loads what URIs name."""

import math
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal.embedding import EmbeddingFunction
from vicinal.errors import ArgumentTypeError, EmbeddingFunctionError, InvalidArgumentError
from vicinal.testing import HashEmbeddingFunction, wait_for_index

RED, BLUE = np.full((2, 2, 3), (255, 0, 0), np.uint8), np.full((2, 2, 3), (0, 0, 255), np.uint8)
PICTURES = {"mem:red": RED, "mem:blue": BLUE}


class Colours(EmbeddingFunction):
    """Pictures by mean colour, texts by the colour that they name."""

    def __call__(self, input: Any) -> list[Any]:
        names = {"red": (255.0, 0.0, 0.0), "blue": (0.0, 0.0, 255.0)}
        return [names[item] if isinstance(item, str) else item.mean(axis=(0, 1)) for item in input]


class Loader:
    """Reads from a dictionary, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, uris: Any) -> list[Any]:
        self.asked.append(list(uris))
        return [PICTURES[uri] for uri in uris]


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def pictures(client, loader) -> vicinal.Collection:
    """An empty collection that embeds pictures and loads URIs."""
    return client.create_collection("pictures", embedding_function=Colours(), data_loader=loader)


@pytest.fixture
def line(collection) -> vicinal.Collection:
    """Five points on a line: their squared distances from the origin are 0, 1, 4, 9 and 16."""
    points = [[float(i), 0.0] for i in range(5)]
    collection.add(ids=["0", "1", "4", "9", "16"], embeddings=points, metadatas=[{"i": i} for i in range(5)])
    return collection


# --- max_distance ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (-1, []),
        (0, ["0"]),
        (3.9, ["0", "1"]),
        (np.float32(4), ["0", "1", "4"]),
        (math.inf, ["0", "1", "4", "9", "16"]),
        pytest.param(10**400, ["0", "1", "4", "9", "16"], id="10**400"),
    ],
)
def test_nothing_farther_away_than_max_distance_comes_back(line, most, expected):
    assert line.query([0, 0], max_distance=most)["ids"] == [expected]


def test_max_distance_is_counted_for_each_query_and_after_the_filter(line):
    found = line.query([[0, 0], [4, 0], [9, 9]], max_distance=1, where={"i": {"$ne": 1}})
    assert (found["ids"], found["distances"]) == ([["0"], ["16", "9"], []], [[0.0], [0.0, 1.0], []])


def test_n_results_still_holds(line):
    assert line.query([0, 0], max_distance=9, n_results=2)["ids"] == [["0", "1"]]


def test_mmr_picks_among_what_is_near_enough(line):
    assert set(line.query([0, 0], max_distance=4, lambda_mult=0.0)["ids"][0]) == {"0", "1", "4"}


def test_every_column_is_cut_alike(line):
    found = line.query([0, 0], max_distance=1, include=["metadatas", "embeddings", "distances", "uris"])
    assert [len(found[name][0]) for name in ("ids", "metadatas", "embeddings", "distances", "uris")] == [
        2
    ] * 5


def test_explain_names_the_distance(line):
    assert line.query([0, 0], max_distance=1, explain=True)["explain"].max_distance == 1.0
    assert line.query([0, 0], explain=True)["explain"].max_distance is None


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_max_distance_speaks_the_language_of_the_space(client, space):
    made = client.create_collection(
        "things", embedding_function=None, configuration={"hnsw": {"space": space}}
    )
    vectors = np.random.default_rng(3).normal(size=(50, 4))
    made.add(ids=[str(i) for i in range(50)], embeddings=vectors)
    every = made.query(vectors[0], n_results=50)
    most = every["distances"][0][20]
    assert made.query(vectors[0], n_results=50, max_distance=most)["ids"][0] == every["ids"][0][:21]


def test_max_distance_holds_for_the_graph_too(client):
    made = client.create_collection("large", embedding_function=None)
    vectors = np.random.default_rng(4).normal(size=(2_200, 512)).astype(np.float32)
    made.add(ids=[str(i) for i in range(2_200)], embeddings=vectors)
    wait_for_index(made)
    assert made.get_indexing_status() == (2_200, 0, 2_200, 1.0)
    assert made.query(vectors[7], max_distance=0)["ids"] == [["7"]]


@pytest.mark.parametrize(
    ("most", "error"),
    [("1", ArgumentTypeError), (True, ArgumentTypeError), (math.nan, InvalidArgumentError)],
)
def test_a_distance_is_a_number(line, most, error):
    with pytest.raises(error, match="max_distance"):
        line.query([0, 0], max_distance=most)


# --- what is embedded ------------------------------------------------------------------------


def test_pictures_are_embedded_and_not_stored(pictures):
    pictures.add(ids=["r", "b"], images=[RED, BLUE])
    got = pictures.get(include=["embeddings", "uris", "documents"])
    assert (got["embeddings"].tolist(), got["uris"], got["documents"]) == (
        [[255, 0, 0], [0, 0, 255]],
        [None, None],
        [None, None],
    )


def test_one_picture_is_a_batch_of_one(pictures):
    pictures.add(ids="r", images=RED)
    assert pictures.query(query_images=RED)["ids"] == [["r"]]


def test_uris_are_loaded_embedded_and_stored(pictures, loader):
    pictures.add(ids=["r", "b"], uris=["mem:red", "mem:blue"])
    got = pictures.get(include=["embeddings", "uris"])
    assert (got["embeddings"].tolist(), got["uris"]) == ([[255, 0, 0], [0, 0, 255]], ["mem:red", "mem:blue"])
    assert loader.asked == [["mem:red", "mem:blue"]]


def test_uris_beside_documents_or_pictures_are_stored_and_not_loaded(pictures, loader):
    pictures.add(ids="t", documents="red", uris="mem:blue")
    pictures.upsert(ids="p", images=[RED], uris=["mem:blue"])
    pictures.add(ids="e", embeddings=[1, 2, 3], uris=["mem:blue"])
    assert (pictures.get(include=["uris"])["uris"], loader.asked) == (["mem:blue"] * 3, [])


def test_pictures_texts_and_uris_find_each_other(pictures):
    pictures.add(ids=["r", "b"], uris=["mem:red", "mem:blue"])
    queries = [{"query_texts": "blue"}, {"query_images": [BLUE]}, {"query_uris": "mem:blue"}]
    assert [pictures.query(**q, n_results=1)["ids"] for q in queries] == [[["b"]]] * 3


def test_several_queries_at_once(pictures):
    pictures.add(ids=["r", "b"], images=[RED, BLUE])
    assert pictures.query(query_images=[BLUE, RED, BLUE], n_results=1)["ids"] == [["b"], ["r"], ["b"]]
    assert pictures.query(query_uris=["mem:red", "mem:blue"], n_results=1)["ids"] == [["r"], ["b"]]


def test_no_queries_have_no_answers(pictures):
    pictures.add(ids="r", images=RED)
    for empty in ({"query_texts": []}, {"query_images": []}, {"query_uris": []}, {"query_embeddings": []}):
        assert pictures.query(**empty)["ids"] == []


@pytest.mark.parametrize("given", [{"texts": "red"}, {"images": RED}, {"uris": "mem:red"}])
def test_documents_and_queries_are_embedded_as_what_they_are(client, loader, given):
    class Both(Colours):
        def embed_query(self, input):
            return [[0.0, 0.0, 1.0] for _ in input]

    made = client.create_collection(
        "both", embedding_function=Both(), data_loader=lambda uris: iter(loader(uris))
    )
    made.add(ids="a", **{name.replace("texts", "documents"): value for name, value in given.items()})
    made.add(ids="b", embeddings=[0, 0, 1])
    found = made.query(**{f"query_{name}": value for name, value in given.items()})
    assert (found["ids"], found["distances"]) == ([["b", "a"]], [[0, 255**2 + 1]])


def test_embeddings_win_over_everything(pictures, loader):
    pictures.add(ids=["r", "b"], images=[RED, BLUE])
    found = pictures.query([255, 0, 0], query_texts="blue", query_uris="mem:blue", n_results=1)
    assert (found["ids"], loader.asked) == ([["r"]], [])


def test_a_new_picture_changes_the_embedding_and_a_new_uri_alone_does_not(pictures, loader):
    pictures.add(ids=["x", "y"], images=[RED, RED])
    pictures.update(ids="x", images=BLUE)
    pictures.update(ids="y", uris="mem:blue")
    got = pictures.get(include=["embeddings", "uris"])
    assert (got["embeddings"].tolist(), got["uris"]) == (
        [[0, 0, 255], [255, 0, 0]],
        [None, "mem:blue"],
    )
    assert loader.asked == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"ids": "a", "images": RED, "documents": "red"}, "both were given"),
        ({"ids": "a", "images": [RED, BLUE]}, "images: 2"),
        ({"ids": "a", "images": "mem:red"}, "images"),
        ({"ids": "a", "images": [[1, 2]]}, r"images\[0\]"),
        ({"ids": "a"}, "none was given"),
        ({"ids": ["a", "b"], "uris": ["mem:red", None]}, r"uris\[1\] is None"),
    ],
)
def test_a_bad_batch_is_refused_and_adds_nothing(pictures, arguments, text):
    with pytest.raises(InvalidArgumentError, match=text):
        pictures.add(**arguments)
    assert pictures.count() == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "got none"),
        ({"query_texts": "red", "query_images": RED}, "query_texts and query_images"),
        ({"query_uris": [None]}, r"query_uris\[0\]"),
        ({"query_images": 3}, "query_images"),
    ],
)
def test_a_bad_query_is_refused(pictures, arguments, text):
    with pytest.raises(ValueError, match=text):
        pictures.query(**arguments)


def test_a_function_for_text_takes_no_pictures(client):
    made = client.create_collection("texts", embedding_function=None)
    with pytest.raises(EmbeddingFunctionError, match="no embedding function"):
        made.query(query_images=RED)


# --- data ------------------------------------------------------------------------------------


def test_data_is_what_the_uris_name(pictures, loader):
    pictures.add(ids=["r", "n", "b"], embeddings=[[1], [2], [3]], uris=["mem:red", None, "mem:blue"])
    got = pictures.get(include=["data"])
    assert (got["data"][0] is RED, got["data"][1], got["data"][2] is BLUE) == (True, None, True)
    assert (got["uris"], got["included"]) == (["mem:red", None, "mem:blue"], ["data", "uris"])
    assert loader.asked == [["mem:red", "mem:blue"]]


def test_data_of_a_query_has_a_list_for_each(pictures):
    pictures.add(ids=["r", "b"], uris=["mem:red", "mem:blue"])
    found = pictures.query(query_texts=["red", "blue"], n_results=1, include=["data", "uris"])
    assert [[item is RED for item in part] for part in found["data"]] == [[True], [False]]
    assert found["uris"] == [["mem:red"], ["mem:blue"]]


def test_include_is_not_changed(pictures):
    include = ["data"]
    pictures.get(include=include)
    pictures.query([1, 2, 3], include=include)
    assert include == ["data"]


def test_without_a_loader_get_refuses_data_and_query_has_none(collection):
    collection.add(ids="a", embeddings=[1, 2], uris="mem:red")
    with pytest.raises(ValueError, match="data_loader"):
        collection.get(include=["data"])
    assert collection.query([1, 2], include=["data"])["data"] is None


def test_without_a_loader_uris_need_embeddings(client):
    made = client.create_collection("texts", embedding_function=HashEmbeddingFunction())
    with pytest.raises(ValueError, match="data_loader"):
        made.add(ids="a", uris="mem:red")
    with pytest.raises(ValueError, match="data_loader"):
        made.query(query_uris="mem:red")


def test_a_loader_is_given_anew_at_every_opening(client, pictures, loader):
    pictures.add(ids="r", uris="mem:red")
    again = client.get_collection("pictures", data_loader=loader)
    assert again.get(include=["data"])["data"][0] is RED


def test_a_loader_must_return_one_thing_per_uri(client):
    made = client.create_collection("odd", embedding_function=Colours(), data_loader=lambda uris: [RED])
    with pytest.raises(InvalidArgumentError, match="1 items for 2 URIs"):
        made.add(ids=["a", "b"], uris=["mem:red", "mem:blue"])
