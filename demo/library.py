"""What must be embedded, given what the collection holds already?

`fill` makes a collection equal to a list of entries: it embeds those that are new or changed,
removes those that are gone and leaves the rest alone. So one path serves the first run, the run
after an interruption, an upgraded Python and an edited folder (tests/demo/test_library.py).

* A record carries the digest of its entry; an entry is new or changed when no record has its id and
  digest.
* A batch is durable when `upsert` returns: an interrupted run loses the batch in progress and no
  other.
* `fingerprint` in the collection's metadata is written last. While it fits, the corpus is not even
  read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import corpus, folder
from .embedding import as_vectors
from .entries import Entry, valid_text
from .folder import Skipped

if TYPE_CHECKING:
    from vicinal import Client, Collection

PYTHON_DOCS = "python-docs"
# Large enough that a commit costs little, small enough that the progress bar moves.
BATCH = 512

OnProgress = Callable[[str, int, int], None]
"""Called as `(stage, done, total)`; the stages are reading, embedding and storing."""


def no_progress(stage: str, done: int, total: int) -> None:
    """For callers that show none."""


@dataclass(frozen=True)
class Filled:
    """What it took to bring a collection up to date."""

    collection: Collection
    embedded: int
    removed: int = 0
    skipped: tuple[Skipped, ...] = ()


def open_python_docs(client: Client, on_progress: OnProgress = no_progress) -> Filled:
    """The documentation of the running Python, as a collection of `client`."""
    collection = _open(client, PYTHON_DOCS, {"holds": "the documentation of a Python"})
    known = collection.metadata or {}
    if (known.get("fingerprint"), known.get("records")) == (corpus.fingerprint(), collection.count()):
        return Filled(collection, embedded=0)
    entries = corpus.python_docs(lambda done, total: on_progress("reading", done, total))
    filled = fill(collection, entries, on_progress)
    collection.modify(metadata={**known, "fingerprint": corpus.fingerprint(), "records": collection.count()})
    return filled


def open_folder(client: Client, path: Path, on_progress: OnProgress = no_progress) -> Filled:
    """A folder of the user's own texts, as a collection of `client` that is named after it."""
    path = Path(os.path.realpath(os.path.expanduser(path)))  # Path.resolve fails on links in a circle
    entries, skipped = folder.folder_entries(path, lambda done, total: on_progress("reading", done, total))
    metadata = {"holds": "a folder", "path": valid_text(str(path))}
    collection = _open(client, folder_collection_name(path), metadata)
    filled = fill(collection, entries, on_progress)
    return Filled(filled.collection, filled.embedded, filled.removed, tuple(skipped))


def folder_collection_name(path: Path) -> str:
    """Readable, and different for different folders of the same name."""
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", path.name).strip("-")[:40] or "root"
    return f"folder-{readable}-{_digest(valid_text(str(path)))}"


def fill(collection: Collection, entries: Sequence[Entry], on_progress: OnProgress = no_progress) -> Filled:
    """Make the collection hold exactly these entries, embedding no more than it must."""
    found = collection.get(include=["metadatas"])
    held = {
        id: (metadata or {}).get("digest") for id, metadata in zip(found["ids"], found["metadatas"] or [])
    }
    digests = {entry.id: _digest_of_entry(entry) for entry in entries}
    wanted = [entry for entry in entries if held.get(entry.id) != digests[entry.id]]
    gone = [id for id in held if id not in digests]
    if gone:
        collection.delete(ids=gone)
    function = collection.embedding_function
    assert function is not None, "the collection was created with the default function"
    done = 0
    for batch in _batches(wanted):
        vectors = as_vectors(function, [entry.text for entry in batch])
        on_progress("embedding", done + len(batch), len(wanted))
        collection.upsert(
            ids=[entry.id for entry in batch],
            embeddings=vectors,
            documents=[entry.text for entry in batch],
            metadatas=[{**entry.metadata, "digest": digests[entry.id]} for entry in batch],
            merge_metadata=False,
        )
        done += len(batch)
        on_progress("storing", done, len(wanted))
    return Filled(collection, embedded=len(wanted), removed=len(gone))


def _open(client: Client, name: str, metadata: dict[str, str]) -> Collection:
    return client.get_or_create_collection(
        name, metadata=dict(metadata), configuration={"hnsw": {"space": "cosine"}}
    )


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for start in range(0, len(entries), BATCH):
        yield entries[start : start + BATCH]


def _digest_of_entry(entry: Entry) -> str:
    return _digest(entry.text + json.dumps(entry.metadata, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
