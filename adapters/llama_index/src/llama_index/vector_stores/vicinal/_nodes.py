"""How is a node kept as a record, and how is the same node built again from it?

A node becomes one record. Its id is the record's id, its text the document, its embedding the
embedding, and its metadata the metadata, key by key, so that plain keys filter. Three keys are ours;
the first two are LlamaIndex's own, for its `metadata_dict_to_node`:

* `_node_content`: the id and whatever else the node is, as JSON text: the fields that differ from
  LlamaIndex's defaults (relationships, templates, excluded keys, offsets, media …), and all that a
  user's class adds, whose defaults may be others tomorrow. Neither text nor embedding nor metadata is
  in it; a relation whose metadata is the node's own, as a chunk's source's is, has none there.
  What JSON lacks, such as a date in another node's metadata, takes its JSON form; fields of bytes are
  in base64, and `_bytes` lists their names. `_extra` has what a class with `extra="allow"` was given
  besides its fields, and `_class` the place of a class that is not LlamaIndex's.
* `_node_type`: the `class_name()` of the node's class, or for a class that inherits it, which would be
  read as its parent, the class's own name. Without a class at `_class`, it tells which one is meant.
* `_node_ref_doc_id`: the id of the node's source document; absent when it has none.

A user's key that the engine or this layout reserves is kept behind a backslash (`stored_key`) and
comes back, and filters, under its own name. Metadata values that the engine does not know (UUID,
Decimal, sets …) are stored as LlamaIndex's own JSON form has them.

Records that another LlamaIndex store wrote hold all of their node in `_node_content`, the metadata
too, and are read from there; their source document is under `ref_doc_id`. Records without
`_node_content` are text nodes of their document and metadata.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from llama_index.core.schema import (
    BaseNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    RelatedNodeInfo,
    TextNode,
)
from pydantic_core import from_json, to_json, to_jsonable_python

from llama_index.vector_stores.vicinal._classes import (
    DEPTH_MAX,
    alike,
    builtin,
    by_alias,
    class_named,
    defaults,
    is_llama_indexes,
    place_of,
    same,
    type_name,
)
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown

CONTENT = "_node_content"
CLASS = "_node_type"
REF_DOC_ID = "_node_ref_doc_id"
THEIR_REF_DOC_ID = "ref_doc_id"

_BYTES = "_bytes"
_PLACE = "_class"
_EXTRA = "_extra"

_OURS = frozenset({CONTENT, CLASS, REF_DOC_ID})
_PLAIN = frozenset({str, int, float, bool, type(None), datetime, date})


@lru_cache(maxsize=4096)  # a batch of nodes has few keys, each many times
def stored_key(key: str) -> str:
    """The metadata key under which a user's key is stored and filtered."""
    key = _text(key)
    if isinstance(key, str) and (
        not key or key[0] in "\\#$" or key.startswith("_node") or key == "chroma:document"
    ):
        return "\\" + key
    return key  # what is no text the engine's error names


def document_of(node: BaseNode) -> str:
    """The node's text; empty for a node that has none."""
    return node.text if isinstance(node, TextNode) else node.get_content(metadata_mode=MetadataMode.NONE)


def metadata_of(node: BaseNode) -> dict[str, Any]:
    """The record's metadata: the node's own, and the keys of ours."""
    stored = {
        stored_key(key): value if type(value) in _PLAIN else _storable(value)
        for key, value in node.metadata.items()
    }
    stored[CONTENT] = _json(_content(node), aliases=by_alias(type(node)))
    stored[CLASS] = type_name(node)
    source = node.source_node
    if source is not None:
        stored[REF_DOC_ID] = source.node_id
    return stored


def node_from(
    id: str,
    document: str | None,
    metadata: Mapping[str, Any] | None,
    embedding: Sequence[float] | None = None,
    output_fields: Sequence[str] | None = None,
) -> BaseNode:
    """The node that a record holds; with `output_fields`, only those keys of its metadata.

    Raises `InvalidArgumentError` naming the id of a record of which no node can be made.
    """
    metadata = metadata or {}
    cls: type[BaseNode] = TextNode
    try:
        fields, own = _fields(metadata), None
        if fields is None:
            fields, own = {}, dict(metadata)
        else:
            cls = class_named(metadata.get(CLASS), fields.pop(_PLACE, None))
            _unpack(fields)
            own = fields.get("metadata")  # another store's: it keeps the metadata here
        _place_text(fields, cls, document, theirs=own is not None)
        if own is None:
            own = {_user_key(key): value for key, value in metadata.items() if key not in _OURS}
        for relation in _relations(fields):
            if "metadata" not in relation:
                relation["metadata"] = own.copy()
        fields["id_"] = id
        fields["metadata"] = {key: own[key] for key in own if key in output_fields} if output_fields else own
        fields["embedding"] = None if embedding is None else list(map(float, embedding))
        return cls.from_dict(fields)
    except _UNREADABLE as error:
        raise _unreadable(id, error) from error


def _place_text(fields: dict[str, Any], cls: type[BaseNode], document: str | None, *, theirs: bool) -> None:
    """Put the text, which is the document, where the class has it."""
    if issubclass(cls, TextNode):
        resource = fields.pop("text_resource", None) or {}  # of a class that is not imported here
        if document is None:
            document = fields.get("text") or resource.get("text") or ""
        fields["text"] = document
    elif document and (theirs or _is_text(cls, fields.get("text_resource"))):
        fields["text_resource"] = {**(fields.get("text_resource") or {}), "text": document}


def _is_text(cls: type[BaseNode], resource: dict[str, Any] | None) -> bool:
    """Whether the document of a record is the text of a node with this resource."""
    if _keeps_its_text(cls):
        return not (resource or {}).get("text")
    return resource is not None and "text" not in resource


def _keeps_its_text(cls: type[BaseNode]) -> bool:
    """Whether a node's content is its text; a class's own `get_content()` may make another of it."""
    return getattr(cls, "get_content", None) is Node.get_content


def their_source(id: str, metadata: Mapping[str, Any] | None) -> str | None:
    """The source document of a record that another LlamaIndex store wrote; None for any other record."""
    metadata = metadata or {}
    source = metadata.get(THEIR_REF_DOC_ID)
    try:
        fields = _fields(metadata)
    except _UNREADABLE as error:
        raise _unreadable(id, error) from error
    if fields is None or fields.get("metadata") is None or not isinstance(source, str):
        return None
    return None if source == "None" else source  # such a store's word for a node without a source


_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError)
"""What the content of a record raises that is no node's, or is one's of a class that has changed."""


def _unreadable(id: str, error: Exception) -> InvalidArgumentError:
    return InvalidArgumentError(
        f'Record "{id}" cannot be read as a node. The store\'s collection has it as it is, and '
        f"delete_nodes([{id!r}]) deletes it. Its {CONTENT} is none of its class: "
        f"{type(error).__name__}: {error}"
    )


# --- what is not a column of its own -----------------------------------------------------------


def _content(node: BaseNode) -> dict[str, Any]:
    """The id and the fields that `_node_content` holds, fit for JSON."""
    state, cls = node.__dict__, type(node)
    fields = {"id_": state["id_"]}
    for name, default in defaults(cls):
        value = state[name]
        if same(value, default):
            continue
        if type(value) is MediaResource:
            value = _media(value, _document_in(node, value) if name == "text_resource" else None)
        fields[name] = value
        if type(value) is bytes:
            fields.setdefault(_BYTES, []).append(name)
    if not is_llama_indexes(cls):
        fields[_PLACE] = place_of(cls)
        extra = node.model_extra
        if extra:
            fields[_EXTRA] = extra
            fields.setdefault(_BYTES, []).extend(key for key in extra if type(extra[key]) is bytes)
    if "relationships" in fields:
        own = state["metadata"]
        fields["relationships"] = {
            _plain(kind): _relation(related, own) for kind, related in fields["relationships"].items()
        }
    if "obj" in fields and isinstance(node, IndexNode):
        fields["obj"] = node.dict()["obj"]  # the form that from_dict() reads back
    return fields


def _relation(related: RelatedNodeInfo | list[RelatedNodeInfo], own: dict[str, Any]) -> Any:
    if isinstance(related, list):
        return [_relation(each, own) for each in related]
    state = related.__dict__  # field by field: a copy to change takes a third longer
    fields = {"node_id": state["node_id"], "node_type": _plain(state["node_type"]), "hash": state["hash"]}
    metadata = state["metadata"]
    if not (same(metadata, own) and alike(metadata, own)):
        fields["metadata"] = {key: _storable(value) for key, value in metadata.items()}
    return fields


def _json(fields: Mapping[str, Any], *, aliases: bool) -> str:
    try:
        return to_json(fields, bytes_mode="base64", by_alias=aliases, fallback=builtin).decode()
    except (ValueError, TypeError) as error:  # a TypeError is for pandas' NaT, a datetime that has no date
        place, value = _unfit(fields, f"nodes[{fields['id_']!r}]")
        expected = "a value that has a JSON form"
        raise ArgumentTypeError(argument=place, expected=expected, got=value) from error


def _unfit(value: Any, place: str, depth: int = 0) -> tuple[str, Any]:
    """The innermost value that has no JSON form, and its place."""
    if depth > DEPTH_MAX:
        raise InvalidArgumentError(f"{place[:80]}…: nests too deep, or holds itself")
    items = (
        value.items()
        if isinstance(value, Mapping)
        else enumerate(value)
        if isinstance(value, (list, tuple))
        else ()
    )
    for key, item in items:
        try:
            to_json(item, bytes_mode="base64", fallback=builtin)
        except (ValueError, TypeError):
            return _unfit(item, f"{place}[{shown(key)}]", depth + 1)
    return place, value


def _fields(metadata: Mapping[str, Any]) -> Any:
    """The dictionary that a record's `_node_content` holds; None for a record that has none."""
    content = metadata.get(CONTENT)
    if not isinstance(content, str) or not content.startswith("{"):
        return None
    return from_json(content)


def _unpack(fields: dict[str, Any]) -> None:
    """Put what JSON or a class has no place for where it was."""
    encoded = fields.pop(_BYTES, ())
    fields.update(fields.pop(_EXTRA, {}))
    for name in encoded:
        fields[name] = urlsafe_b64decode(fields[name])


def _plain(value: Any) -> Any:
    """A str out of an enum of strs: to_json() would take half of a node's time over its few enums."""
    return str.__str__(value) if isinstance(value, str) else value


def _relations(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for related in fields.get("relationships", {}).values():
        yield from related if isinstance(related, list) else [related]


def _document_in(node: BaseNode, resource: MediaResource) -> str | None:
    return resource.text if _keeps_its_text(type(node)) else document_of(node)


def _media(resource: MediaResource, document: str | None) -> dict[str, Any]:
    """The resource without the text that is the document."""
    fields = resource.model_dump(mode="json", exclude_none=True)
    if resource.data is not None:
        fields["data"] = resource.data.decode("ascii")  # base64 already; model_dump leaves it out
    if document and fields.get("text") == document:
        del fields["text"]
    return fields


# --- metadata ------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)  # as above
def _user_key(stored: str) -> str:
    return stored[1:] if stored.startswith("\\") else stored


def _text(key: Any) -> Any:
    """A key of a dict as JSON has it: text, also for a number, which a dict of Python's may have."""
    if isinstance(key, str):
        return key
    try:
        return next(iter(to_jsonable_python({key: None}, fallback=builtin)))
    except ValueError:
        return key  # the engine's error names the place


def _storable(value: Any) -> Any:
    """A value that the engine stores: moments, pandas' too, stay moments, the rest takes its JSON form."""
    try:
        return _stored(value, 0)
    except RecursionError:
        return value  # the engine's error names the place


def _stored(value: Any, depth: int) -> Any:
    if type(value) in _PLAIN or isinstance(value, date):
        return value
    if depth > DEPTH_MAX:
        raise RecursionError
    if isinstance(value, Mapping):
        return {_text(key): _stored(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_stored(item, depth + 1) for item in value]
    try:
        return to_jsonable_python(value)
    except ValueError:
        return value  # numpy's the engine knows; for the rest its error names the place
