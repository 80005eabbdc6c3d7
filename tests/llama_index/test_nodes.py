"""A node comes back from the store as what it was: its class, every field, and its hash."""

import json
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import numpy as np
import pytest
from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

import vicinal
from llama_index.vector_stores.vicinal import VicinalVectorStore
from vicinal.errors import ArgumentTypeError, InvalidArgumentError


class Recipe(TextNode):
    """A user's own class of node."""

    servings: int = 2

    @classmethod
    def class_name(cls) -> str:
        return "Recipe"


class Scan(TextNode):
    """A class that inherits its `class_name()`, and holds bytes."""

    raw: bytes = b""
    other: bytes | str | None = None
    dpi: int = 300


class Measured(TextNode):
    """A class with a field whose default is made of another field."""

    words: int
    half: int = Field(default_factory=lambda fields: fields["words"] // 2)


METADATA = {
    "text": 'it\'s "quoted" 50% 日本',
    "int": 7,
    "float": 0.1,
    "bool": True,
    "none": None,
    "empty": "",
    "list": [1, "a", None, True, []],
    "empty list": [],
    "nested": {"a": {"b": [1, {"c": 2}]}, "#type": "mine"},
    "when": datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc),
    "day": date(2024, 5, 6),
}
SOURCE = RelatedNodeInfo(node_id="doc", node_type="4", metadata=METADATA, hash="h")
CHILDREN = [RelatedNodeInfo(node_id="c1"), RelatedNodeInfo(node_id="c2", metadata={"x": [1]})]
RELATIONSHIPS = {
    NodeRelationship.SOURCE: SOURCE,
    NodeRelationship.NEXT: RelatedNodeInfo(node_id="next", metadata={"page": 2}),
    NodeRelationship.CHILD: CHILDREN,
}
PNG = MediaResource(data=b"\x89PNG\r\n", mimetype="image/png", url="http://example.org/a.png")
TEXT = TextNode(id_="inner", text="inner")
NODES: list[BaseNode] = [
    TextNode(text="plain"),
    TextNode(text=""),
    TextNode(
        text="full",
        metadata=METADATA,
        relationships=RELATIONSHIPS,
        excluded_llm_metadata_keys=["int"],
        excluded_embed_metadata_keys=["float"],
        metadata_template="{key} is {value}",
        metadata_separator="; ",
        text_template="{content} | {metadata_str}",
        start_char_idx=3,
        end_char_idx=7,
        mimetype="text/markdown",
    ),
    IndexNode(text="index", index_id="other", obj=TEXT),
    IndexNode(text="index", index_id="other"),
    ImageNode(text="image", image="aGVsbG8=", text_embedding=[0.5, 0.25]),
    ImageNode(image_path="a/b.png"),
    Document(text="document", metadata=METADATA),
    ImageDocument(image="aGVsbG8=", text="caption"),
    Node(text_resource=MediaResource(text="words"), image_resource=PNG),
    Node(text_resource=MediaResource(text=""), audio_resource=MediaResource(path="a/b.mp3")),
    Node(image_resource=PNG),
    Recipe(text="soup", servings=4),
    Scan(text="page", raw=b"\xff\x00?>", other=b"hello", dpi=600),
    Scan(text="page", other="aGVsbG8="),
    Measured(text="page", words=8),
    Measured(text="page", words=8, half=5),
]


def identifier(node: BaseNode) -> str:
    return f"{node.class_name()}-{NODES.index(node)}"


@pytest.mark.parametrize("node", NODES, ids=identifier)
def test_a_node_comes_back_equal_and_of_its_class(store, reopen, node):
    stored = node.model_copy(update={"embedding": [0.25, 0.5]})
    store.add([stored])
    (found,) = reopen(store).get_nodes(include_embeddings=True)
    assert (type(found), found.hash, found) == (type(node), node.hash, stored)


@pytest.mark.parametrize("node", NODES, ids=identifier)
def test_a_node_says_the_same_to_every_reader(store, node):
    store.add([node.model_copy(update={"embedding": [1.0]})])
    (found,) = store.get_nodes()
    for mode in MetadataMode:
        assert found.get_content(metadata_mode=mode) == node.get_content(metadata_mode=mode)


def test_adding_changes_no_node(store):
    nodes = [node.model_copy(update={"embedding": [1.0]}, deep=True) for node in NODES]
    before = [node.model_copy(deep=True) for node in nodes]
    store.add(nodes)
    assert nodes == before


def test_embeddings_are_given_only_when_asked_for(store, node):
    store.add([node("a", at=[0.5, 0.25])])
    assert [n.embedding for n in store.get_nodes()] == [None]
    assert [n.embedding for n in store.get_nodes(include_embeddings=True)] == [[0.5, 0.25]]


def test_values_that_json_lacks_take_their_json_form(store, node):
    Color = Enum("Color", {"RED": "red"})
    uuid = UUID(int=7)
    given = {
        "u": uuid,
        "d": Decimal("1.10"),
        "s": {"x"},
        "t": (1, 2),
        "e": Color.RED,
        "n": np.int64(3),
        "k": {1: {uuid: [{2.5: None}]}},
    }
    made = node("a", **given)
    made.metadata[2024] = "year"  # what is set later, LlamaIndex does not check
    store.add([made])
    stored = {"u": str(uuid), "d": "1.10", "s": ["x"], "t": [1, 2], "e": "red", "n": 3}
    stored |= {"k": {"1": {str(uuid): [{"2.5": None}]}}, "2024": "year"}
    assert store.get_nodes()[0].metadata == stored


class Moment(datetime):
    """A datetime as other libraries have them: pandas' Timestamp, pendulum's DateTime."""


def test_datetimes_of_a_class_of_their_own_stay_datetimes(store, node):
    when = Moment(2024, 5, 6, 7, 8, tzinfo=timezone.utc)
    store.add([node("a", when=when, nested={"days": [when]})])
    plain = METADATA["when"].replace(second=0)
    then = MetadataFilter(key="when", value=str(plain))
    (found,) = store.get_nodes(filters=MetadataFilters(filters=[then]))
    assert found.metadata == {"when": plain, "nested": {"days": [plain]}}


def related(node: TextNode, **metadata) -> TextNode:
    """The node with metadata of its own in its source's place."""
    node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id="doc", metadata=metadata)
    return node


NUMPY = {
    "i": (np.int64(3), 3),
    "f": (np.float32(0.5), 0.5),
    "a": (np.array([1, 2]), [1, 2]),
    "nested": ({"a": [np.float64(2.5), np.array([[True]])]}, {"a": [2.5, [[True]]]}),
    "u": (UUID(int=7), str(UUID(int=7))),
    "b": (b"hello", "hello"),
}


@pytest.mark.parametrize("change", [{}, {"title": "T"}], ids=["as the source's", "changed"])
def test_a_relations_metadata_take_the_form_that_the_nodes_own_do(store, node, change):
    """A chunk's source has the document's metadata; extractors then change the chunk's own."""
    given = {key: value for key, (value, _) in NUMPY.items()}
    stored = {key: value for key, (_, value) in NUMPY.items()}
    store.add([related(node("a", **given, **change), **given)])
    (found,) = store.get_nodes()
    assert (found.metadata, found.source_node.metadata) == ({**stored, **change}, stored)


def test_arrays_are_compared_whole(store, node):
    one, other = np.array([1, 2]), np.array([1, 3])
    store.add([related(node("a", v=one), v=other), related(node("b", v=one), v=one.copy())])
    assert [each.source_node.metadata for each in store.get_nodes()] == [{"v": [1, 3]}, {"v": [1, 2]}]


@pytest.mark.parametrize("value", [object(), "\ud800", [{"y": object()}]])
def test_what_has_no_json_form_is_named_with_its_node(store, node, value):
    with pytest.raises(ArgumentTypeError, match=r"nodes\['b'\].*\['metadata'\]\['x'\]"):
        store.add([node("a"), related(node("b"), x=value)])
    assert store.get_nodes() == []


def test_a_moment_that_is_none_is_named(store, node):
    """As a row of a DataFrame has it where a date is missing."""
    missing = pytest.importorskip("pandas").NaT
    with pytest.raises(InvalidArgumentError, match=r'metadatas\[0\]\["x"\]: NaT is no moment'):
        store.add([node("a", x=missing)])
    with pytest.raises(ArgumentTypeError, match=r"nodes\['b'\].*\['metadata'\]\['x'\]"):
        store.add([related(node("b"), x=missing)])


def test_a_value_that_cannot_be_stored_is_named(store, node):
    with pytest.raises(ArgumentTypeError, match=r'metadatas\[1\]\["x"\]'):
        store.add([node("a"), node("b", x=object())])
    assert store.get_nodes() == []


def test_a_record_holds_text_and_metadata_once(node):
    store = VicinalVectorStore()
    made = node("a", "doc", year=1999)
    made.relationships[NodeRelationship.SOURCE].metadata = dict(made.metadata)
    store.add([made])
    record = store.collection.get()
    content = json.loads(record["metadatas"][0].pop("_node_content"))
    assert record["metadatas"] == [{"year": 1999, "_node_type": "TextNode", "_node_ref_doc_id": "doc"}]
    assert record["documents"] == ["text of a"]
    source = {"node_id": "doc", "node_type": None, "hash": None}
    assert content == {"id_": "a", "relationships": {"1": source}}


def test_a_record_holds_the_text_of_any_node_once_and_that_of_its_other_media_too():
    store = VicinalVectorStore()
    media = {"text_resource": MediaResource(text="soup"), "image_resource": MediaResource(text="a bowl")}
    store.add([Node(id_="a", embedding=[1.0], **media)])
    record = store.collection.get()
    assert record["documents"] == ["soup"]
    content = json.loads(record["metadatas"][0]["_node_content"])
    assert content == {"id_": "a", "text_resource": {}, "image_resource": {"text": "a bowl"}}
    (found,) = store.get_nodes()
    assert (found.text_resource.text, found.image_resource.text) == ("soup", "a bowl")


KNOWN = [TextNode, ImageNode, IndexNode, Node]  # to LlamaIndex's own form; the rest become text nodes
THEIRS = [each for each in NODES if type(each) in KNOWN and not getattr(each, "obj", None)]


def test_a_relation_has_the_fields_that_are_stored():
    """Should this fail, LlamaIndex has given relations another field; `_relation` has to store it."""
    assert set(RelatedNodeInfo.model_fields) == {"node_id", "node_type", "metadata", "hash"}


def bare(node: BaseNode) -> BaseNode:
    """Without metadata, its own and its relations'."""
    copy = node.model_copy(update={"metadata": {}}, deep=True)
    for related in copy.relationships.values():
        for each in related if isinstance(related, list) else [related]:
            each.metadata = {}
    return copy


@pytest.mark.parametrize("kind", KNOWN)
def test_llama_indexes_own_reader_understands_a_record(kind):
    nodes = [each for each in NODES if type(each) is kind]
    store = VicinalVectorStore()
    store.add([each.model_copy(update={"embedding": [1.0]}) for each in nodes])
    record = store.collection.get()
    for each, metadata, text in zip(nodes, record["metadatas"], record["documents"], strict=True):
        found = metadata_dict_to_node(metadata, text=text if text or kind is not Node else None)
        assert bare(found) == bare(each)


@pytest.mark.parametrize("node", THEIRS, ids=identifier)
def test_a_record_of_another_llama_index_store_is_read_whole(node):
    """As ChromaVectorStore writes it."""
    collection = vicinal.EphemeralClient().create_collection("theirs", embedding_function=None)
    metadata = node_to_metadata_dict(node, remove_text=True)
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    collection.add([node.node_id], embeddings=[[1.0]], documents=[text], metadatas=[metadata])
    expected = metadata_dict_to_node(metadata, text=text if text or type(node) is not Node else None)
    assert VicinalVectorStore(collection=collection).get_nodes() == [expected]


def test_a_class_that_is_not_imported_is_read_as_a_text_node(store):
    metadata = {"_node_content": '{"id_":"a","x":1}', "_node_type": "Gone"}
    store.collection.add(["a"], embeddings=[[1.0]], documents=["soup"], metadatas=[metadata])
    assert store.get_nodes() == [TextNode(id_="a", text="soup")]


def test_a_class_that_is_defined_again_is_read_as_the_latest(store):
    """As by a notebook's cell that is run again, while what the earlier class has made is still there."""

    class Cell(TextNode):
        pass

    earlier = Cell(id_="a", text="soup", embedding=[1.0])
    store.add([earlier])

    class Cell(TextNode):
        servings: int = 2

    store.add([Cell(id_="b", text="soup", embedding=[1.0], servings=4)])
    found = store.get_nodes()
    assert [(type(each), each.servings) for each in found] == [(Cell, 2), (Cell, 4)]
    assert type(earlier) is not Cell


@pytest.mark.parametrize("metadata", [None, {"a": 1}, {"_node_content": "mine"}, {"_node_content": {"x": 1}}])
def test_a_record_of_another_writer_is_a_text_node(metadata):
    collection = vicinal.EphemeralClient().create_collection("plain", embedding_function=None)
    collection.add(ids=["a"], embeddings=[[1.0]], documents=["hello"], metadatas=[metadata])
    collection.add(ids=["b"], embeddings=[[2.0]])
    found = VicinalVectorStore(collection=collection).get_nodes()
    expected = TextNode(id_="a", text="hello", metadata=metadata or {})
    assert found == [expected, TextNode(id_="b", text="")]
