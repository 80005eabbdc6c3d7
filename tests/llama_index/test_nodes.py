"""A node comes back from the store as what it was: its class, every field, and its hash."""

import json
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import numpy as np
import pytest
from llama_index.core.bridge.pydantic import BaseModel, ConfigDict, Field, SecretStr
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
from pydantic import AliasChoices

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


class Page(Document):
    """Its text has the title in it, each time it is asked for."""

    title: str = ""

    def get_content(self, metadata_mode: MetadataMode = MetadataMode.NONE) -> str:
        return f"{self.title}: {super().get_content(metadata_mode)}"


class Table(Node):
    """Its text is made of its rows."""

    rows: list[int] = Field(default_factory=list)

    def get_content(self, metadata_mode: MetadataMode = MetadataMode.NONE) -> str:
        return " ".join(map(str, self.rows))


class Open(TextNode):
    """Takes what it has no fields for."""

    model_config = ConfigDict(extra="allow")


class Written(BaseModel):
    """Is written under names that it does not read."""

    model_config = ConfigDict(populate_by_name=True)
    v: int = Field(0, serialization_alias="vv")
    w: int = Field(0, alias="ww")


class Read(BaseModel):
    """Is written under the names that it reads, and reads no others."""

    v: int = Field(alias="vv")
    w: int = Field(0, validation_alias=AliasChoices("ww", "www"), serialization_alias="www")


class Aliased(TextNode):
    written: list[Written] = Field(default_factory=list)


class AliasedToo(TextNode):
    read: Read | None = None


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
    Page(text="body", title="T"),
    Page(text="", title="T"),
    Page(title="T"),
    Page(text="T: body"),
    Table(rows=[1, 2]),
    Table(rows=[1], text_resource=MediaResource(text="1")),
    Table(rows=[1], text_resource=MediaResource(text="other")),
    Open(text="page", words=8, raw=b"\xff\x00?>", _bytes=["words"], _class="x", _extra={"a": 1}),
    Aliased(text="page", written=[Written(v=5, w=6)]),
    AliasedToo(text="page", read=Read(vv=5, ww=6)),
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


def nested(depth: int) -> dict:
    made: dict = {}
    for _ in range(depth):
        made = {"a": made}
    return made


def tuples(depth: int) -> tuple:
    made: tuple = ()
    for _ in range(depth):
        made = (made,)
    return made


def looped() -> list:
    made: list = []
    made += [made, made]
    return made


@pytest.mark.parametrize("make", [looped, lambda: nested(900), lambda: nested(100_000), lambda: tuples(900)])
def test_metadata_that_nest_without_end_are_refused_with_their_place(store, node, make):
    value = make()
    own, other = node("b"), node("b")
    own.metadata["x"] = value
    other.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id="doc")
    other.source_node.metadata["x"] = value
    with pytest.raises(InvalidArgumentError, match=r'metadatas\[1\]\["x"\].*nest at most'):
        store.add([node("a"), own])
    with pytest.raises(InvalidArgumentError, match=r"nodes\['b'\].*\['metadata'\]\['x'\].*…: nests too deep"):
        store.add([node("a"), other])
    own.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id="doc")
    own.source_node.metadata["x"] = make()
    with pytest.raises(InvalidArgumentError, match="nest"):
        store.add([own])
    assert store.get_nodes() == []


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


EQUAL = [
    (True, 1),
    (1, True),
    (1, 1.0),
    (0.0, False),
    ([1, 2], [True, 2]),
    ({"b": [{"c": 1}]}, {"b": [{"c": 1.0}]}),
]


@pytest.mark.parametrize(("own", "sources"), EQUAL)
def test_a_relations_number_that_equals_the_nodes_own_keeps_its_type(store, node, own, sources):
    store.add([related(node("a", v=own, n=1), v=sources, n=1)])
    (found,) = store.get_nodes()
    assert repr(found.metadata) == repr({"v": own, "n": 1})
    assert repr(found.source_node.metadata) == repr({"v": sources, "n": 1})


def test_a_relations_moment_that_is_the_nodes_own_stays_a_moment(store, node):
    when = datetime(2024, 5, 6, 7, 8, tzinfo=timezone.utc)
    store.add([related(node("a", when=when), when=Moment(2024, 5, 6, 7, 8, tzinfo=timezone.utc))])
    (found,) = store.get_nodes()
    assert found.source_node.metadata == found.metadata == {"when": when}


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


@pytest.mark.parametrize("key", [10**5000, object()], ids=["an endless number", "an object"])
def test_a_key_that_is_none_is_named(store, node, key):
    own, other = node("a"), related(node("b"))
    own.metadata[key] = 1
    other.source_node.metadata["x"] = {key: 1}
    with pytest.raises(ArgumentTypeError, match=r"metadatas\[0\] key to be a str, got <"):
        store.add([own])
    with pytest.raises(ArgumentTypeError, match=r"nodes\['b'\].*\['metadata'\]\['x'\]"):
        store.add([other])


def test_an_endless_key_beside_what_has_no_json_form_is_told(store, node):
    wrong = related(node("b"), x={10**5000: object()})
    with pytest.raises(ArgumentTypeError, match=r"\['metadata'\]\['x'\]\[<int, too large to be shown>\]"):
        store.add([wrong])


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


def test_a_record_of_theirs_without_a_document_has_its_text_in_its_content(store):
    for kind in (TextNode, ImageNode, Document, Node):
        made = Node(text_resource=MediaResource(text="soup")) if kind is Node else kind(text="soup")
        store.collection.upsert(["a"], embeddings=[[1.0]], metadatas=[node_to_metadata_dict(made)])
        (found,) = store.get_nodes()
        assert (type(found), found.get_content()) == (kind, "soup")
        store.clear()


BROKEN = [
    "{abc",
    '{"relationships": [1]}',
    '{"relationships": {"1": null}}',
    '{"text_resource": "soup"}',
    '{"relationships": null}',
    '{"metadata_template": null}',
    '{"_bytes": ["raw"]}',
]


@pytest.mark.parametrize("content", BROKEN)
def test_a_record_of_which_no_node_can_be_made_is_named(store, node, content):
    store.add([node("a"), node("b")])
    metadata = {"_node_content": content, "_node_type": "Document"}
    store.collection.add(["bad"], embeddings=[[1.0, 0.0]], documents=["soup"], metadatas=[metadata])
    with pytest.raises(InvalidArgumentError, match=r'Record "bad" cannot be read .* delete_nodes'):
        store.get_nodes()
    assert [each.node_id for each in store.get_nodes(["a", "b"])] == ["a", "b"]
    store.delete_nodes(["bad"])
    assert [each.node_id for each in store.get_nodes()] == ["a", "b"]


def test_a_record_that_may_be_a_documents_but_cannot_be_read_is_named_where_that_is_deleted(store):
    metadata = {"_node_content": "{abc", "ref_doc_id": "d"}
    store.collection.add(["bad"], embeddings=[[1.0, 0.0]], metadatas=[metadata])
    for ref_doc_id in ("d", "bad"):
        with pytest.raises(InvalidArgumentError, match='Record "bad" cannot be read'):
            store.delete(ref_doc_id)


def test_a_text_that_is_null_in_the_content_is_the_document(store):
    metadata = {"_node_content": '{"text_resource": null}', "_node_type": "Document"}
    store.collection.add(["a"], embeddings=[[1.0]], documents=["soup"], metadatas=[metadata])
    assert store.get_nodes() == [Document(id_="a", text="soup")]


def test_a_class_that_is_not_imported_is_read_as_a_text_node(store):
    metadata = {"_node_content": '{"id_":"a","x":1}', "_node_type": "Gone"}
    store.collection.add(["a"], embeddings=[[1.0]], documents=["soup"], metadatas=[metadata])
    assert store.get_nodes() == [TextNode(id_="a", text="soup")]


def test_a_node_whose_class_is_not_imported_keeps_its_text(store):
    store.add([Page(id_="a", text="body", title="T", embedding=[1.0])])
    (metadata,) = store.collection.get()["metadatas"]
    content = json.loads(metadata["_node_content"]) | {"_class": "gone:Page"}
    for gone in ("Gone", "GoneToo"):
        metadata |= {"_node_type": gone, "_node_content": json.dumps(content)}
        store.collection.update(["a"], metadatas=[metadata])
        assert store.get_nodes() == [TextNode(id_="a", text="T: body")]


def chunk(module: str, **fields) -> TextNode:
    """A node of another class of the name, as of another module's."""
    names = {"__module__": module, "__annotations__": dict.fromkeys(fields, int), **dict.fromkeys(fields, 0)}
    return type("Chunk", (TextNode,), names)(id_=module, text="soup", embedding=[1.0], **fields)


def test_two_classes_of_one_name_are_told_apart(store):
    nodes = [chunk("one", page=3), chunk("two", line=4)]
    store.add(nodes)
    found = store.get_nodes()
    assert [type(each) for each in found] == [type(each) for each in nodes]
    assert (found[0].page, found[1].line) == (3, 4)


def test_a_class_called_as_one_of_llama_indexes_is_read_as_itself(store):
    theirs = Document

    class Document_(TextNode):
        servings: int = 0

    Document_.__name__ = "Document"

    class Plain(TextNode):
        servings: int = 0

        @classmethod
        def class_name(cls) -> str:
            return "TextNode"

    nodes = [
        Document_(id_="a", text="soup", servings=4),
        Plain(id_="b", text="soup", servings=4),
        theirs(id_="c", text="soup"),
    ]
    store.add([each.model_copy(update={"embedding": [1.0]}) for each in nodes])
    assert [(type(each), each) for each in store.get_nodes()] == [(type(each), each) for each in nodes]


def test_a_class_that_has_moved_is_found_by_its_name(store):
    store.add([Recipe(id_="a", text="soup", servings=4, embedding=[1.0])])
    (metadata,) = store.collection.get()["metadatas"]
    content = json.loads(metadata["_node_content"])
    for place in ("kitchen:Recipe", None):  # None: as earlier builds wrote it
        metadata["_node_content"] = json.dumps({**content, "_class": place})
        store.collection.update(["a"], metadatas=[metadata])
        assert store.get_nodes() == [Recipe(id_="a", text="soup", servings=4)]


def test_a_class_whose_name_is_an_instances_harms_no_other(store):
    class Odd(TextNode):
        servings: int = 0

        def class_name(self) -> str:
            return "odd"

    nodes = [Odd(id_="a", text="soup", servings=4), IndexNode(id_="b", text="soup", index_id="x")]
    store.add([each.model_copy(update={"embedding": [1.0]}) for each in nodes])
    assert [(type(each), each) for each in store.get_nodes()] == [(type(each), each) for each in nodes]


TODAY = {"date": date(2026, 1, 1)}


class Chunked(TextNode):
    """Has defaults of its own, some of which JSON has no form for."""

    ingested: date = Field(default_factory=lambda: TODAY["date"])
    language: str = "en"
    size: int = Field(-1, ge=0)
    reader: object = print
    tags: tuple[str, ...] = ("old",)
    raw: bytes = b"\xff"
    key: SecretStr = SecretStr("s")
    metadata_separator: str = " | "


def test_a_default_that_changes_changes_no_node_that_is_stored(store, monkeypatch):
    stored = Chunked(id_="a", text="soup")
    store.add([stored.model_copy(update={"embedding": [1.0]})])
    before = stored.model_copy(deep=True)
    monkeypatch.setitem(TODAY, "date", date(2026, 6, 6))
    for name, default in {
        "language": "de",
        "tags": ("new",),
        "raw": b"x",
        "metadata_separator": ", ",
    }.items():
        monkeypatch.setattr(Chunked.model_fields[name], "default", default)
    Chunked.model_rebuild(force=True)
    assert Chunked(text="soup").language == "de"
    assert store.get_nodes() == [before]
    assert store.get_nodes()[0].key.get_secret_value() == "s"


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
