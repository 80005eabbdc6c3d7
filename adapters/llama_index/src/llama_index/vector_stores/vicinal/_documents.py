"""Which records come from a source document?

Those that this store wrote say so under `_node_ref_doc_id`. Those of another LlamaIndex store have the
document under `ref_doc_id`, a key that in our layout is the user's: only the record's content tells the
two apart, so these are looked up by id first. In a store without that key this costs a column that is empty.
"""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.vector_stores.vicinal._filters import Where
from llama_index.vector_stores.vicinal._nodes import REF_DOC_ID, THEIR_REF_DOC_ID, their_source
from vicinal import Collection
from vicinal.errors import ArgumentTypeError

_UNSOURCED: Where = {"$not": {REF_DOC_ID: {"$exists": True}}}


def from_documents(collection: Collection, ids: Sequence[str]) -> Where:
    """The records whose source is one of these documents."""
    ours: Where = {REF_DOC_ID: {"$in": list(ids)}}
    where = {"$and": [{THEIR_REF_DOC_ID: {"$in": list(ids)}}, _UNSOURCED]}
    found = collection.get(where=where, include=("metadatas",))
    rows = zip(found["ids"], found["metadatas"])
    theirs = [id for id, metadata in rows if their_source(id, metadata) is not None]
    return {"$or": [ours, {"#id": {"$in": theirs}}]} if theirs else ours


def delete_document(collection: Collection, id: str) -> None:
    """Delete the records whose source is this document, and the one of its id if it has no source."""
    if not isinstance(id, str):
        raise ArgumentTypeError(argument="ref_doc_id", expected="a str", got=id)
    collection.delete(where=from_documents(collection, [id]))
    if not id:
        return  # a document's id may be empty, a record's is not
    itself = collection.get(ids=[id], include=("metadatas",))
    if any(their_source(id, metadata) is None for metadata in itself["metadatas"]):
        collection.delete(ids=[id], where=_UNSOURCED)
