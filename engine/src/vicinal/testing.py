"""How can a program that uses Vicinal be tested, and how is Vicinal itself?

Public helpers with no dependency beyond the engine: embeddings that need no model, an exact answer to
compare a query with, the meaning of filters written out record by record, the consistency check, and a
file system that fails on command.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from vicinal._filter import Node, parse_where, parse_where_document
from vicinal._filter.ast import (
    Among,
    And,
    Compare,
    Document,
    Empty,
    Exists,
    Holds,
    Kind,
    Like,
    Not,
    Operand,
    Or,
)
from vicinal._filter.patterns import regex
from vicinal._filter.values import classify, is_missing, lookup
from vicinal._given import whole
from vicinal._index.exact import between
from vicinal._local import LocalBackend
from vicinal._request import Maintain
from vicinal._storage.files import Files, OpenFile, translated
from vicinal.client import Client, PersistentClient
from vicinal.collection import Collection
from vicinal.embedding import EmbeddingFunction, register_embedding_function
from vicinal.errors import InvalidArgumentError
from vicinal.types import Space, Vector

__all__ = [
    "FaultyFiles",
    "HashEmbeddingFunction",
    "check",
    "dump",
    "matches",
    "nearest",
    "open_with",
    "wait_for_index",
]


@register_embedding_function
class HashEmbeddingFunction(EmbeddingFunction):
    """Words hashed to directions: deterministic, instant, and texts that share words are near.

    Example:
        >>> from vicinal.testing import HashEmbeddingFunction
        >>> embed = HashEmbeddingFunction(dimension=8)
        >>> bool((embed(["red apple"])[0] == embed(["red apple"])[0]).all())
        True
    """

    def __init__(self, dimension: int = 64) -> None:
        self.dimension = whole(dimension, "dimension", 1)

    def __call__(self, input: Sequence[str]) -> list[Vector]:
        return [self._embed(text) for text in input]

    @staticmethod
    def name() -> str:
        return "vicinal-testing-hash"

    def get_config(self) -> dict[str, Any]:
        return {"dimension": self.dimension}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction:
        return HashEmbeddingFunction(**config)

    def _embed(self, text: str) -> Vector:
        total = np.zeros(self.dimension, dtype=np.float32)
        for word in re.findall(r"\w+", text.lower()):
            seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
            total += np.random.default_rng(seed).standard_normal(self.dimension).astype(np.float32)
        length = float(np.linalg.norm(total))
        return total / np.float32(length) if length else total


def nearest(
    query: Sequence[float] | NDArray[Any], vectors: NDArray[Any], k: int, space: Space = "l2"
) -> tuple[list[int], list[float]]:
    """The exact answer: positions of the k nearest vectors and their distances, ties by position."""
    if space not in get_args(Space):
        raise InvalidArgumentError(f"space: expected one of {', '.join(get_args(Space))}, got {space!r}")
    distances = between(
        space, np.asarray(query, np.float32).astype(np.float64), np.asarray(vectors, np.float32).astype(float)
    )
    best = np.argsort(distances, kind="stable")[:k]
    return best.tolist(), distances[best].tolist()


def matches(
    metadata: Mapping[str, Any] | None,
    document: str | None = None,
    *,
    id: str = "",
    where: Mapping[str, Any] | None = None,
    where_document: Mapping[str, Any] | None = None,
) -> bool:
    """Whether one record satisfies filters: the reference that the fast evaluation is tested against."""
    record = {**(metadata or {}), "#id": id}
    conditions = [parse_where(where)] if where is not None else []
    if where_document is not None:
        conditions.append(parse_where_document(where_document))
    return all(_holds(node, record, document) for node in conditions)


def _holds(node: Node, record: Mapping[str, Any], document: str | None) -> bool:
    if isinstance(node, And):
        return all(_holds(child, record, document) for child in node.children)
    if isinstance(node, Or):
        return any(_holds(child, record, document) for child in node.children)
    if isinstance(node, Not):
        return not _holds(node.child, record, document)
    if isinstance(node, Document):
        if document is None:
            return False
        return node.text in document if node.operator == "contains" else regex(node.text)(document)
    return _leaf_holds(node, lookup(record, node.key))


def _leaf_holds(node: Any, value: Any) -> bool:
    if isinstance(node, Empty):
        return is_missing(value) or value is None or value in ("", [])
    if is_missing(value):
        return False
    if isinstance(node, Exists):
        return True
    if isinstance(node, Among):
        return any(_equal(value, operand) for operand in node.operands)
    if isinstance(node, Holds):
        found = (any(_equal(item, operand) for item in _items(value)) for operand in node.operands)
        return isinstance(value, list) and (all(found) if node.every else any(found))
    if isinstance(node, Compare):
        return _ordered(node, value)
    if not isinstance(value, str):
        return False
    return _like(node, value) if isinstance(node, Like) else regex(node.pattern)(value)


def _equal(value: Any, operand: Operand) -> bool:
    kind, comparable = classify(value)
    return _family(kind) == _family(operand.kind) and bool(comparable == operand.value)


def _ordered(node: Compare, value: Any) -> bool:
    kind, comparable = classify(value)
    if _family(kind) != _family(node.operand.kind) or kind in (Kind.LIST, Kind.OBJECT):
        return False
    bound: Any = node.operand.value
    return bool(
        {
            "gt": lambda: comparable > bound,
            "gte": lambda: comparable >= bound,
            "lt": lambda: comparable < bound,
            "lte": lambda: comparable <= bound,
        }[node.order]()
    )


def _like(node: Like, value: str) -> bool:
    pattern, escaped = "", False
    for char in node.pattern:
        if escaped:
            pattern, escaped = pattern + re.escape(char), False
        elif char == "\\":
            escaped = True
        else:
            pattern += {"%": "(?s:.*)", "_": "(?s:.)"}.get(char, re.escape(char))
    pattern += re.escape("\\") if escaped else ""
    return re.fullmatch(pattern, value, re.IGNORECASE if node.ignore_case else 0) is not None


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _family(kind: Kind) -> Kind:
    return Kind.FLOAT if kind is Kind.INT else kind


# --- databases -----------------------------------------------------------------------------------


def dump(collection: Collection) -> list[dict[str, Any]]:
    """Every record of a collection as a dictionary, in the order of `get`; embeddings as lists."""
    got = collection.get(include=["documents", "metadatas", "embeddings", "uris"])
    columns = ("documents", "metadatas", "embeddings", "uris")
    return [{"id": id, **{name: _plain(got[name][i]) for name in columns}} for i, id in enumerate(got["ids"])]


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def check(client: Client) -> list[str]:
    """`client.check()`, for fixtures: every contradiction in the durable data, none when all is well."""
    return client.check()


def wait_for_index(collection: Collection) -> None:
    """Return when the background indexer has nothing left to do for a collection."""
    collection._backend.maintain(Maintain("optimize", collection.id))


class FaultyFiles(Files):
    """A file system that calls `on(step)` at every named step and before every file operation.

    Let it raise, or kill the process, to see what a failure there leaves behind.
    """

    def __init__(self, on: Callable[[str], None]) -> None:
        self.on = on

    def step(self, name: str) -> None:
        self.on(name)

    def write_at(self, file: OpenFile, data: memoryview, offset: int) -> None:
        self._fail("file: write", file.path)
        super().write_at(file, data, offset)

    def sync(self, file: OpenFile) -> None:
        self._fail("file: sync", file.path)
        super().sync(file)

    def grow(self, file: OpenFile, size: int) -> None:
        self._fail("file: grow", file.path)
        super().grow(file, size)

    def replace(self, source: Path, target: Path) -> None:
        self._fail("file: replace", target)
        super().replace(source, target)

    def _fail(self, step: str, path: Path) -> None:
        """What `on` raises is seen as the operating system's own error would be."""
        with translated(path):
            self.on(step)


def open_with(path: Path, files: Files) -> PersistentClient:
    """A persistent client over another file system."""
    return PersistentClient._over(LocalBackend(path, files), path=path)
