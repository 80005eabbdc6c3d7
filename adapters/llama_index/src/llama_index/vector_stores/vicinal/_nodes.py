"""How is a node kept as a record, and how is the same node built again from it?

A node becomes one record. Its id is the record's id, its text the document, its embedding the
embedding, and its metadata the metadata, key by key, so that plain keys filter. Three keys are ours;
the first two are LlamaIndex's own, for its `metadata_dict_to_node`:

* `_node_content`: the id and whatever else the node is, as JSON text: the fields that differ from
  their defaults (relationships, templates, excluded keys, offsets, media …). Neither text nor
  embedding nor metadata is in it; a relation whose metadata equals the node's own, as a chunk's
  source's does, has none there. What JSON lacks, such as a date in another node's metadata, takes
  its JSON form; fields of bytes are in base64, and `_bytes` lists their names.
* `_node_type`: the `class_name()` of the node's class, or for a class that inherits it, which would be
  read as its parent, the class's own name.
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

import numpy as np
from llama_index.core.schema import (
    BaseNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    RelatedNodeInfo,
    TextNode,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, from_json, to_json, to_jsonable_python

from vicinal.errors import ArgumentTypeError

CONTENT = "_node_content"
CLASS = "_node_type"
REF_DOC_ID = "_node_ref_doc_id"
THEIR_REF_DOC_ID = "ref_doc_id"

_BYTES = "_bytes"

_OURS = frozenset({CONTENT, CLASS, REF_DOC_ID})
_COLUMNS = frozenset({"id_", "embedding", "metadata"})
_PLAIN = frozenset({str, int, float, bool, type(None), datetime, date})


@lru_cache(maxsize=4096)  # a batch of nodes has few keys, each many times
def stored_key(key: str) -> str:
    """The metadata key under which a user's key is stored and filtered."""
    key = _text(key)
    reserved = not key or key[0] in "\\#$" or key.startswith("_node") or key == "chroma:document"
    return "\\" + key if reserved else key


def document_of(node: BaseNode) -> str:
    """The node's text; empty for a node that has none."""
    return node.text if isinstance(node, TextNode) else node.get_content(metadata_mode=MetadataMode.NONE)


def metadata_of(node: BaseNode) -> dict[str, Any]:
    """The record's metadata: the node's own, and the keys of ours."""
    stored = {
        stored_key(key): value if type(value) in _PLAIN else _storable(value)
        for key, value in node.metadata.items()
    }
    stored[CONTENT] = _json(_content(node))
    stored[CLASS] = _type_name(type(node))
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
    """The node that a record holds; with `output_fields`, only those keys of its metadata."""
    metadata = metadata or {}
    cls: type[BaseNode] = TextNode
    fields = _fields(metadata)
    if fields is None:
        fields, own = {}, dict(metadata)
    else:
        cls = _class_named(metadata.get(CLASS))
        own = fields.get("metadata")  # another store's: it keeps the metadata here
        if own is None:
            own = {_user_key(key): value for key, value in metadata.items() if key not in _OURS}
    for relation in _relations(fields):
        if "metadata" not in relation:
            relation["metadata"] = own.copy()
    if issubclass(cls, TextNode):
        fields["text"] = document or ""
    elif document:
        fields.setdefault("text_resource", {})["text"] = document
    fields["id_"] = id
    fields["metadata"] = {key: own[key] for key in own if key in output_fields} if output_fields else own
    fields["embedding"] = None if embedding is None else list(map(float, embedding))
    return cls.from_dict(fields)


def their_source(metadata: Mapping[str, Any] | None) -> str | None:
    """The source document of a record that another LlamaIndex store wrote; None for any other record."""
    metadata = metadata or {}
    fields, source = _fields(metadata), metadata.get(THEIR_REF_DOC_ID)
    if fields is None or fields.get("metadata") is None or not isinstance(source, str):
        return None
    return None if source == "None" else source  # such a store's word for a node without a source


# --- what is not a column of its own -----------------------------------------------------------


def _content(node: BaseNode) -> dict[str, Any]:
    """The id and the fields that `_node_content` holds, fit for JSON."""
    state = node.__dict__
    fields = {"id_": state["id_"]}
    for name, default in _defaults(type(node)):
        value = state[name]
        if _same(value, default):
            continue
        fields[name] = value if type(value) is not MediaResource else _media(value, name)
        if type(value) is bytes:
            fields.setdefault(_BYTES, []).append(name)
    if "relationships" in fields:
        own = state["metadata"]
        fields["relationships"] = {
            _plain(kind): _relation(related, own) for kind, related in fields["relationships"].items()
        }
    if "obj" in fields and isinstance(node, IndexNode):
        fields["obj"] = node.dict()["obj"]  # the form that from_dict() reads back
    return fields


@lru_cache(maxsize=64)
def _defaults(cls: type[BaseNode]) -> tuple[tuple[str, Any], ...]:
    """The fields of a node class that `_node_content` may have to hold, with their defaults."""
    columns = _COLUMNS | {"text"} if issubclass(cls, TextNode) else _COLUMNS
    return tuple((name, _default(field)) for name, field in cls.model_fields.items() if name not in columns)


def _default(field: FieldInfo) -> Any:
    try:
        return field.get_default(call_default_factory=True)
    except ValueError:  # it is made of a node's other fields, another one for each node
        return PydanticUndefined


def _relation(related: RelatedNodeInfo | list[RelatedNodeInfo], own: dict[str, Any]) -> Any:
    if isinstance(related, list):
        return [_relation(each, own) for each in related]
    state = related.__dict__  # field by field: a copy to change takes a third longer
    fields = {"node_id": state["node_id"], "node_type": _plain(state["node_type"]), "hash": state["hash"]}
    if not _same(state["metadata"], own):
        fields["metadata"] = {key: _storable(value) for key, value in state["metadata"].items()}
    return fields


def _same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except ValueError:  # numpy's arrays compare item by item and are neither true nor false
        return False


def _json(fields: Mapping[str, Any]) -> str:
    try:
        return to_json(fields, bytes_mode="base64", fallback=_builtin).decode()
    except (ValueError, TypeError) as error:  # a TypeError is for pandas' NaT, a datetime that has no date
        place, value = _unfit(fields, f"nodes[{fields['id_']!r}]")
        expected = "a value that has a JSON form"
        raise ArgumentTypeError(argument=place, expected=expected, got=value) from error


def _builtin(value: Any) -> Any:
    """Python's value for one of numpy's, which to_json() does not know."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise ValueError


def _unfit(value: Any, place: str) -> tuple[str, Any]:
    """The innermost value that has no JSON form, and its place."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if type(value) is list else ()
    for key, item in items:
        try:
            to_json(item, bytes_mode="base64", fallback=_builtin)
        except (ValueError, TypeError):
            return _unfit(item, f"{place}[{key!r}]")
    return place, value


def _fields(metadata: Mapping[str, Any]) -> Any:
    """The dictionary that a record's `_node_content` holds; None for a record that has none."""
    content = metadata.get(CONTENT)
    if not isinstance(content, str) or not content.startswith("{"):
        return None
    fields = from_json(content)
    for name in fields.pop(_BYTES, ()):
        fields[name] = urlsafe_b64decode(fields[name])
    return fields


def _plain(value: Any) -> Any:
    """A str out of an enum of strs: to_json() would take half of a node's time over its few enums."""
    return str.__str__(value) if isinstance(value, str) else value


def _relations(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for related in fields.get("relationships", {}).values():
        yield from related if isinstance(related, list) else [related]


def _media(resource: MediaResource, field: str) -> dict[str, Any]:
    fields = resource.model_dump(mode="json", exclude_none=True)
    if resource.data is not None:
        fields["data"] = resource.data.decode("ascii")  # base64 already; model_dump leaves it out
    if field == "text_resource" and fields.get("text"):
        del fields["text"]  # it is the document
    return fields


def _type_name(cls: type[BaseNode]) -> str:
    return cls.class_name() if "class_name" in vars(cls) else cls.__name__


def _class_named(name: Any) -> type[BaseNode]:
    """The node class of that name, users' own included; parents come before classes derived from
    them. A class that is not imported here, or has another name now, is read as a text node; one that
    was defined again, as a notebook's cells do, is the latest: the earlier one lives on beside it."""
    if name == "TextNode":
        return TextNode
    named: type[BaseNode] | None = None
    waiting = BaseNode.__subclasses__()
    for cls in waiting:
        if name in (cls.class_name(), cls.__name__) and (named is None or _place(cls) == _place(named)):
            named = cls
        waiting.extend(cls.__subclasses__())
    return named or TextNode


def _place(cls: type[BaseNode]) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


# --- metadata ------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)  # as above
def _user_key(stored: str) -> str:
    return stored[1:] if stored.startswith("\\") else stored


def _text(key: Any) -> Any:
    """A key of a dict as JSON has it: text, also for a number, which a dict of Python's may have."""
    if isinstance(key, str):
        return key
    try:
        return next(iter(to_jsonable_python({key: None}, fallback=_builtin)))
    except ValueError:
        return key  # the engine's error names the place


def _storable(value: Any) -> Any:
    """A value that the engine stores: moments, pandas' too, stay moments, the rest takes its JSON form."""
    if type(value) in _PLAIN or isinstance(value, date):
        return value
    if isinstance(value, Mapping):
        return {_text(key): _storable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_storable(item) for item in value]
    try:
        return to_jsonable_python(value)
    except ValueError:
        return value  # numpy's the engine knows; for the rest its error names the place
