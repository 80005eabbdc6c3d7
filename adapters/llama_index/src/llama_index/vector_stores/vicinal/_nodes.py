"""How is a node kept as a record, and how is the same node built again from it?

A node becomes one record. Its id is the record's id, its text the document, its embedding the
embedding, and its metadata the metadata, key by key, so that plain keys filter. Two keys are ours:

* `_node`: whatever else the node is, as JSON text: its class and the fields that differ from their
  defaults (relationships, templates, excluded keys, offsets, media …). Neither text nor embedding
  nor metadata is in it; a relation whose metadata equals the node's own, as a chunk's source's
  does, holds null in that place. What JSON lacks, such as a date in another node's metadata, takes
  its JSON form.
* `_node_ref_doc_id`: the id of the node's source document; absent when it has none.

A user's key that the engine or this layout reserves is kept behind a backslash (`stored_key`) and
comes back, and filters, under its own name. Metadata values that the engine does not know (UUID,
Decimal, sets …) are stored as LlamaIndex's own JSON form has them.

Records that something else wrote, without `_node`, are text nodes of their document and metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from functools import lru_cache
from typing import Any

from llama_index.core.schema import (
    BaseNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    RelatedNodeInfo,
    TextNode,
)
from pydantic_core import from_json, to_json, to_jsonable_python

CONTENT = "_node"
REF_DOC_ID = "_node_ref_doc_id"

_COLUMNS = frozenset({"id_", "embedding", "metadata"})
_PLAIN = frozenset({str, int, float, bool, type(None), datetime, date})


def stored_key(key: str) -> str:
    """The metadata key under which a user's key is stored and filtered."""
    reserved = not key or key[0] in "\\#$" or key.startswith(CONTENT) or key == "chroma:document"
    return "\\" + key if reserved else key


def document_of(node: BaseNode) -> str:
    """The node's text; empty for a node that has none."""
    return node.get_content(metadata_mode=MetadataMode.NONE)


def metadata_of(node: BaseNode) -> dict[str, Any]:
    """The record's metadata: the node's own, and the two keys of ours."""
    stored = {
        stored_key(key): value if type(value) in _PLAIN else _storable(value)
        for key, value in node.metadata.items()
    }
    stored[CONTENT] = _content(node)
    if node.ref_doc_id is not None:
        stored[REF_DOC_ID] = node.ref_doc_id
    return stored


def node_from(
    id: str,
    document: str | None,
    metadata: Mapping[str, Any] | None,
    embedding: Sequence[float] | None = None,
    output_fields: Sequence[str] | None = None,
) -> BaseNode:
    """The node that a record holds; with `output_fields`, only those keys of its metadata."""
    metadata = metadata or {}
    content = metadata.get(CONTENT)
    if isinstance(content, str) and content.startswith('{"class":'):
        cls, fields = _parse(content)
        own = {_user_key(k): v for k, v in metadata.items() if k not in (CONTENT, REF_DOC_ID)}
    else:
        cls, fields, own = TextNode, {}, dict(metadata)
    for relation in _relations(fields):
        if relation["metadata"] is None:
            relation["metadata"] = dict(own)
    if issubclass(cls, TextNode):
        fields["text"] = document or ""
    elif document and "text_resource" in fields:
        fields["text_resource"]["text"] = document
    shown = {key: own[key] for key in own if key in output_fields} if output_fields else own
    vector = None if embedding is None else list(map(float, embedding))
    return cls.from_dict({**fields, "id_": id, "metadata": shown, "embedding": vector})


# --- what is not a column of its own -----------------------------------------------------------


def _content(node: BaseNode) -> str:
    state = node.__dict__
    defaults = _defaults(type(node))
    fields = {name: state[name] for name, default in defaults if state[name] != default}
    if "relationships" in fields:
        fields["relationships"] = {
            _plain(kind): _relation(related, node.metadata) for kind, related in node.relationships.items()
        }
    if isinstance(node, IndexNode) and "obj" in fields:
        fields["obj"] = node.dict()["obj"]  # the form that from_dict() reads back
    for name, value in fields.items():
        if isinstance(value, MediaResource):
            fields[name] = _media(value, text_is_document=name == "text_resource")
    return to_json({"class": node.class_name(), **fields}, bytes_mode="base64").decode()


@lru_cache(maxsize=64)
def _defaults(cls: type[BaseNode]) -> tuple[tuple[str, Any], ...]:
    """The fields of a node class that `_node` may have to hold, with their defaults."""
    columns = _COLUMNS | {"text"} if issubclass(cls, TextNode) else _COLUMNS
    return tuple(
        (name, field.get_default(call_default_factory=True))
        for name, field in cls.model_fields.items()
        if name not in columns
    )


def _relation(related: RelatedNodeInfo | list[RelatedNodeInfo], own: dict[str, Any]) -> Any:
    if isinstance(related, list):
        return [_relation(each, own) for each in related]
    fields = dict(related.__dict__)
    fields["node_type"] = _plain(fields["node_type"])
    if fields["metadata"] == own:
        fields["metadata"] = None
    return fields


def _plain(value: Any) -> Any:
    """An enum's value; to_json() would take half of a node's time over its few enums."""
    return value.value if isinstance(value, Enum) else value


def _relations(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for related in fields.get("relationships", {}).values():
        yield from related if isinstance(related, list) else [related]


def _media(resource: MediaResource, text_is_document: bool) -> dict[str, Any]:
    fields = resource.model_dump(mode="json", exclude_none=True)
    if resource.data is not None:
        fields["data"] = resource.data.decode("ascii")  # base64 already; model_dump leaves it out
    if text_is_document and fields.get("text"):
        del fields["text"]
    return fields


def _parse(content: str) -> tuple[type[BaseNode], dict[str, Any]]:
    fields = from_json(content)
    return _class_named(fields.pop("class")), fields


def _class_named(name: str) -> type[BaseNode]:
    """The node class of that name, users' own included; parents come before classes derived from
    them. A class that is not imported here is read as a text node."""
    waiting = BaseNode.__subclasses__()
    for cls in waiting:
        if cls.class_name() == name:
            return cls
        waiting.extend(cls.__subclasses__())
    return TextNode


# --- metadata ------------------------------------------------------------------------------------


def _user_key(stored: str) -> str:
    return stored[1:] if stored.startswith("\\") else stored


def _storable(value: Any) -> Any:
    """A value that the engine stores: datetimes stay datetimes, the rest takes its JSON form."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Mapping):
        return {key: _storable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_storable(item) for item in value]
    try:
        return to_jsonable_python(value)
    except ValueError:
        return value  # numpy's the engine knows; for the rest its error names the place
