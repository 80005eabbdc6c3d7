"""A sparse vector is a metadata value: it comes back equal, and is checked when it is made."""

import math

import numpy as np
import pytest

from vicinal import SparseVector
from vicinal.errors import InvalidArgumentError

VECTORS = [
    SparseVector([], []),
    SparseVector([0, 7, 2**40], [0.1, -1e-300, 3]),
    SparseVector([3], [1.5], labels=["word"]),
    SparseVector(list(range(500)), [i / 3 for i in range(500)]),
]


@pytest.mark.parametrize("vector", VECTORS, ids=["empty", "numbers", "labels", "long"])
def test_a_sparse_vector_comes_back_equal(store, vector):
    made = store.collection(
        ids=["a"], embeddings=[[1, 2]], metadatas=[{"s": vector, "deep": {"s": [vector]}}]
    )
    found = store.reopen(made).get()["metadatas"][0]
    assert found == {"s": vector, "deep": {"s": [vector]}}
    assert isinstance(found["s"], SparseVector)


def test_chromas_json_of_one_is_one(collection):
    written = {"#type": "sparse_vector", "indices": [1, 4], "values": [0.5, 2], "tokens": ["a", "b"]}
    collection.add(ids="a", embeddings=[1, 2], metadatas={"s": written})
    found = collection.get()["metadatas"][0]["s"]
    assert (found, found.to_dict()) == (SparseVector([1, 4], [0.5, 2.0], ["a", "b"]), written)


def test_other_objects_with_a_type_stay_what_they_are(collection):
    value = {"#type": "sparse_vector"}
    collection.add(ids="a", embeddings=[1, 2], metadatas={"s": value})
    assert collection.get()["metadatas"] == [{"s": value}]


def test_changing_the_given_vector_afterwards_changes_nothing(collection):
    vector = SparseVector([1], [1.0])
    metadatas = [{"s": vector}]
    collection.add(ids="a", embeddings=[1, 2], metadatas=metadatas)
    vector.values[0] = 9.0
    assert collection.get()["metadatas"][0]["s"].values == [1.0]


def test_it_can_be_replaced_deleted_and_filtered_for(collection):
    collection.add(
        ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[{"s": VECTORS[1]}, {"s": VECTORS[2]}]
    )
    collection.update(ids="a", metadatas={"s": VECTORS[2]})
    same = collection.get(where={"s": {"$eq": VECTORS[2]}})["ids"]
    collection.update(ids="b", metadatas={"s": None})
    assert (same, collection.get(where={"s": {"$exists": True}})["ids"]) == (["a", "b"], ["a"])
    assert [facet.value for facet in collection.facets("s")] == [VECTORS[2]]


@pytest.mark.parametrize(
    "value",
    [
        {"indices": [1, 1], "values": [1, 2]},
        {"indices": [2, 1], "values": [1, 2]},
        {"indices": [-1], "values": [1]},
        {"indices": [1], "values": [1, 2]},
        {"indices": [1.5], "values": [1]},
        {"indices": [1], "values": ["x"]},
        {"indices": [1], "values": [math.nan]},
        {"indices": [1], "values": [1e39]},
        {"indices": [1], "values": [-(2.0**128 - 2.0**103)]},
        {"indices": [1], "values": [10**400]},
        {"indices": [1, 2**63], "values": [1, 1]},
        {"indices": [1], "values": [1], "labels": []},
        {"indices": [True], "values": [1]},
        {"indices": [np.True_], "values": [1]},
        {"indices": [1], "values": [np.True_]},
        {"indices": 1, "values": [1]},
        {"indices": [1], "values": 1.0},
        {"indices": [1], "values": [1], "labels": 1},
        {"indices": [1], "values": [1], "labels": [5]},
        {"indices": [1], "values": [1], "labels": ["\ud800"]},
    ],
)
def test_what_is_no_sparse_vector_is_refused(collection, value):
    with pytest.raises(InvalidArgumentError):
        SparseVector(**value)
    written = {"#type": "sparse_vector", **value}
    written["tokens"] = written.pop("labels", None)
    with pytest.raises(InvalidArgumentError, match=r'metadatas\[0\]\["s"\]'):
        collection.add(ids="a", embeddings=[1, 2], metadatas={"s": written})
    assert collection.count() == 0


@pytest.mark.parametrize(("indices", "values"), [([1, 2**63], [1.0, 1.0]), ([1, 2], [1.0, 1e39])])
def test_what_an_earlier_version_stored_breaks_nothing(store, indices, values):
    old, usual = SparseVector([1], [1.0]), SparseVector([1], [2.0])
    old.indices, old.values = indices, values
    made = store.collection(ids=["a", "b"], embeddings=[[1, 2]] * 2, metadatas=[{"s": old}, {"s": usual}])
    made = store.reopen(made)
    assert made.get()["metadatas"] == [{"s": old}, {"s": usual}]
    assert made.query(query_sparse=usual, sparse_key="s", mode="sparse")["ids"] == [["b"]]


def test_numpy_numbers_become_plain_ones():
    vector = SparseVector(np.array([1, 2]), np.array([0.5, 1.5], dtype=np.float32))
    assert (vector, [type(x) for x in [*vector.indices, *vector.values]]) == (
        SparseVector([1, 2], [0.5, 1.5]),
        [int, int, float, float],
    )
