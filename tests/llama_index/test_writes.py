"""The last write of each node is the one that is read, and deleting deletes what it says."""

import numpy as np
import pytest
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from vicinal.errors import InvalidArgumentError


def where(key: str, value: int) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value)])


def test_add_returns_the_ids_in_order(store, node):
    assert store.add([node("b"), node("a")]) == ["b", "a"]
    assert store.add([]) == []


def test_a_node_added_again_is_replaced_whole(store, node, reopen):
    store.add([node("a", "d1", year=1, old=True)])
    store.add([node("a", year=2)])
    (found,) = reopen(store).get_nodes()
    assert (found.metadata, found.ref_doc_id) == ({"year": 2}, None)


def test_of_two_nodes_with_one_id_the_last_wins(store, node):
    assert store.add([node("a", n=1), node("b"), node("a", n=2)]) == ["a", "b", "a"]
    assert [(n.node_id, n.metadata) for n in store.get_nodes()] == [("a", {"n": 2}), ("b", {})]


def test_a_generator_is_read_once(store, node):
    assert store.add(node(id) for id in "abc") == ["a", "b", "c"]
    assert len(store.get_nodes()) == 3


def test_a_node_without_embedding_is_named_and_nothing_is_added(store, node):
    with pytest.raises(InvalidArgumentError, match='Node "b" has no embedding'):
        store.add([node("a"), TextNode(id_="b", text="x")])
    assert store.get_nodes() == []


def test_many_nodes_are_added_at_once(store):
    nodes = [TextNode(id_=str(i), text="x", embedding=[float(i), 1.0]) for i in range(7000)]
    assert len(store.add(nodes)) == 7000
    assert len(store.get_nodes()) == 7000


VECTORS = [
    ([1, 2], [1.0, 2.0]),
    ([True, 0.1], [1.0, np.float32(0.1)]),
    (np.array([0.5, 0.25]), [0.5, 0.25]),
    ((np.float64(3), np.int64(4)), [3.0, 4.0]),
]


@pytest.mark.parametrize(("given", "stored"), VECTORS)
def test_any_real_numbers_are_an_embedding(store, given, stored):
    node = TextNode(id_="a", text="x")
    node.__dict__["embedding"] = given  # past the validation, as model_construct() leaves it
    store.add([node])
    assert store.get_nodes(include_embeddings=True)[0].embedding == stored


NO_VECTORS = [
    ([1.0], InvalidArgumentError, "Inconsistent dimensions"),
    ([1.0, float("nan")], InvalidArgumentError, "NaN or Infinity"),
    ([1.0, 1e39], InvalidArgumentError, "NaN or Infinity"),
    (["a", "b"], InvalidArgumentError, "embeddings"),
]


@pytest.mark.parametrize(("given", "error", "text"), NO_VECTORS)
def test_what_is_no_embedding_is_refused_with_all_of_its_batch(store, node, given, error, text):
    bad = node("b")
    bad.__dict__["embedding"] = given
    with pytest.raises(error, match=text):
        store.add([node("a"), bad, node("c")])
    assert store.get_nodes() == []


def test_delete_removes_the_nodes_of_a_document(store, node, ids, reopen):
    store.add([node("a", "d1"), node("b", "d1"), node("c", "d2"), node("d")])
    store.delete("d1")
    assert ids(reopen(store).get_nodes()) == ["c", "d"]


@pytest.mark.parametrize("ref_doc_id", ["None", "unknown"])
def test_delete_of_no_document_removes_nothing(store, node, ref_doc_id):
    store.add([node("a"), node("b", "d1", ref_doc_id="None")])
    store.delete(ref_doc_id)
    assert len(store.get_nodes()) == 2


def test_a_node_without_source_is_its_own_document(store, node, ids):
    store.add([node("d1"), node("d2", "d1"), node("d3", "d2")])
    store.delete("d2")
    assert ids(store.get_nodes()) == ["d1", "d2"]
    store.delete("d1")
    assert store.get_nodes() == []


def test_delete_nodes_takes_ids_or_filters_or_both(store, node, ids):
    store.add([node(id, n=n) for id, n in zip("abcdef", [1, 1, 2, 2, 3, 3])])
    store.delete_nodes(["a", "unknown"])
    assert ids(store.get_nodes()) == ["b", "c", "d", "e", "f"]
    store.delete_nodes(filters=where("n", 2))
    assert ids(store.get_nodes()) == ["b", "e", "f"]
    store.delete_nodes(["b", "e"], where("n", 3))
    assert ids(store.get_nodes()) == ["b", "f"]


def test_delete_nodes_of_an_empty_list_deletes_nothing(store, node):
    store.add([node("a", n=1)])
    store.delete_nodes([])
    store.delete_nodes([], where("n", 1))
    assert len(store.get_nodes()) == 1


@pytest.mark.parametrize("filters", [None, MetadataFilters(filters=[])])
def test_delete_nodes_without_restriction_is_refused(store, node, filters):
    store.add([node("a")])
    with pytest.raises(InvalidArgumentError, match=r"clear\(\)"):
        store.delete_nodes(filters=filters)
    assert len(store.get_nodes()) == 1


def test_a_cleared_store_is_empty_and_can_be_used_again(store, node, ids, reopen):
    store.clear()
    store.add([node("a"), node("b", "d1")])
    store.collection.add(["plain"], embeddings=[[1.0, 2.0]])
    store.clear()
    assert store.get_nodes() == []
    store.add([node("c")])
    assert ids(reopen(store).get_nodes()) == ["c"]


def test_get_nodes_takes_ids_or_filters_or_both_or_neither(store, node, ids):
    store.add([node(id, n=n) for id, n in zip("abcd", [1, 1, 2, 2])])
    assert ids(store.get_nodes()) == ["a", "b", "c", "d"]
    assert ids(store.get_nodes(["a", "c", "unknown"])) == ["a", "c"]
    assert ids(store.get_nodes(filters=where("n", 2))) == ["c", "d"]
    assert ids(store.get_nodes(["a", "c"], where("n", 2))) == ["c"]
    assert store.get_nodes([]) == []
