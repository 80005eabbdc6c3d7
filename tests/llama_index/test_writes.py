"""The last write of each node is the one that is read, and deleting deletes what it says."""

import json

import numpy as np
import pytest
from llama_index.core import MockEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document, NodeWithScore, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import FilterCondition, MetadataFilter, MetadataFilters

from llama_index.vector_stores.vicinal import VicinalVectorStore
from llama_index.vector_stores.vicinal._batch import PIECE
from vicinal.errors import ArgumentTypeError, InvalidArgumentError


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


def test_a_node_alone_is_added(store, node):
    assert store.add(node("a")) == ["a"]
    assert [each.node_id for each in store.get_nodes()] == ["a"]


async def test_what_is_no_node_is_refused_with_its_place(store, node):
    found = NodeWithScore(node=node("b"), score=0.5)
    for given, text in [
        ([node("a"), found], r"nodes\[1\] to be a node, .* as their \.node"),
        ([{"id_": "a"}], r"nodes\[0\] to be a node"),
        ("abc", r"nodes\[0\] to be a node"),
        (None, "nodes to be a list of nodes, got None"),
    ]:
        with pytest.raises(ArgumentTypeError, match=text):
            store.add(given)
        with pytest.raises(ArgumentTypeError, match=text):
            await store.async_add(given)
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
        store.add([node("a"), bad, *(node(f"c{i}") for i in range(PIECE))])
    assert store.get_nodes() == []


def test_delete_removes_the_nodes_of_a_document(store, node, ids, reopen):
    store.add([node("a", "d1"), node("b", "d1"), node("c", "d2"), node("d")])
    store.delete("d1")
    assert ids(reopen(store).get_nodes()) == ["c", "d"]


@pytest.mark.parametrize("ref_doc_id", ["None", "unknown", ""])
def test_delete_of_no_document_removes_nothing(store, node, ref_doc_id):
    store.add([node("a"), node("b", "d1", ref_doc_id="None")])
    store.delete(ref_doc_id)
    assert len(store.get_nodes()) == 2


def test_a_document_may_have_an_empty_id(store, node, ids):
    store.add([node("a", ""), node("b", "d1"), node("c")])
    store.delete("")
    assert ids(store.get_nodes()) == ["b", "c"]


@pytest.mark.parametrize("ref_doc_id", [None, 5, ["d1"]])
def test_delete_of_what_is_no_id_is_refused(store, node, ref_doc_id):
    store.add([node("a", "d1")])
    with pytest.raises(ArgumentTypeError, match="ref_doc_id to be a str"):
        store.delete(ref_doc_id)
    assert len(store.get_nodes()) == 1


def test_a_node_without_source_is_its_own_document(store, node, ids):
    store.add([node("d1"), node("d2", "d1"), node("d3", "d2")])
    store.delete("d2")
    assert ids(store.get_nodes()) == ["d1", "d2"]
    store.delete("d1")
    assert store.get_nodes() == []


# Also of what another LlamaIndex store wrote, whose documents are under "ref_doc_id".


def test_delete_removes_the_nodes_of_a_document_in_either_layout(store, node, ids, add_theirs):
    add_theirs(
        store, node("a", "d1"), node("b", "d1", ref_doc_id="d3"), node("c", "d2"), node("d1"), node("e")
    )
    store.add([node("f", "d1"), node("g")])
    store.delete("d1")
    assert ids(store.get_nodes()) == ["c", "e", "g"]
    store.delete("None")
    store.delete("d3")
    assert ids(store.get_nodes()) == ["c", "e", "g"]


def test_a_record_of_theirs_that_has_a_source_is_no_document(store, node, ids, add_theirs):
    add_theirs(store, node("d2", "d1"), node("d3", "d2"), node("e"))
    store.delete("d2")
    assert ids(store.get_nodes()) == ["d2", "e"]


def test_delete_does_not_take_a_users_keys_for_a_source(store, node, ids):
    keys = dict.fromkeys(["doc_id", "document_id", "ref_doc_id"], "d1")
    store.add([node("a", **keys), node("b", "d2", **keys)])
    plain = {**keys, "_node_content": json.dumps({"metadata": None}), "_node_type": "TextNode"}
    store.collection.add(["c", "d"], embeddings=[[1, 0]] * 2, metadatas=[plain, keys])
    store.delete("d1")
    assert ids(store.get_nodes()) == ["a", "b", "c", "d"]


def test_a_pipeline_replaces_what_another_store_wrote(store, add_theirs):
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(), MockEmbedding(embed_dim=2)],
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS,
        vector_store=VicinalVectorStore(),
    )
    add_theirs(store, *pipeline.run(documents=[Document(id_="d1", text="old")]))
    pipeline.vector_store = store
    pipeline.run(documents=[Document(id_="d1", text="new")])
    assert [each.text for each in store.get_nodes()] == ["new"]


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


async def test_a_deletion_ignores_no_condition(store, node):
    store.add([node("a", "d1", n=1)])
    for name, argument in (("delete", "d1"), ("delete_nodes", ["a"])):
        text = f"{name}: unknown keyword 'filter'; expected"
        with pytest.raises(InvalidArgumentError, match=text):
            getattr(store, name)(argument, filter={"n": 2})
        with pytest.raises(InvalidArgumentError, match=text):
            await getattr(store, f"a{name}")(argument, filter={"n": 2})
    assert len(store.get_nodes()) == 1


def grouped(condition, *filters):
    return MetadataFilters(filters=list(filters), condition=condition)


AND, OR, NOT = FilterCondition.AND, FilterCondition.OR, FilterCondition.NOT
EMPTY = [grouped(condition) for condition in FilterCondition]
UNRESTRICTED = [
    None,
    *EMPTY,
    *(grouped(AND, each) for each in EMPTY),
    grouped(AND, grouped(AND, *EMPTY), *EMPTY),
    grouped(OR, where("n", 1), grouped(AND)),
    grouped(NOT, grouped(NOT, grouped(OR))),
    grouped(NOT, where("n", None), where("m", None)),  # nothing equals None
    grouped(NOT, grouped(AND, where("n", None), where("m", 1))),
    *(
        grouped(condition, MetadataFilter(key=key, value=value, operator=operator))
        for key in ("n", "doc_id")
        for condition, value, operator in [
            (AND, [], "nin"),  # of an empty list nothing is an item
            (NOT, [], "in"),
            (NOT, [], "any"),
            (AND, None, "!="),
            (AND, float("nan"), "!="),  # nothing equals NaN either
        ]
    ),
]


@pytest.mark.parametrize("filters", UNRESTRICTED)
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
