"""What exactly is being asked?  One frozen request per operation: the only list of its parameters.

The collection builds a request, every backend takes the same one. All arguments are validated and
normalised before they get here (`_validate.py`): filters are trees, embeddings are float32 arrays of
shape (n, dimension) in C order, column lists have equal lengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from vicinal._filter import Node
from vicinal.config import CollectionConfiguration
from vicinal.types import Vectors

Mode = Literal["add", "upsert", "update"]


@dataclass(frozen=True)
class Namespace:
    """Where a collection's name is unique."""

    tenant: str
    database: str


@dataclass(frozen=True)
class CollectionInfo:
    """What the catalog knows of a collection."""

    id: UUID
    name: str
    metadata: dict[str, Any] | None
    configuration: CollectionConfiguration
    namespace: Namespace


@dataclass(frozen=True)
class Create:
    namespace: Namespace
    name: str
    metadata: dict[str, Any] | None
    configuration: CollectionConfiguration
    get_or_create: bool


@dataclass(frozen=True)
class List:
    """Collections in order of name; by exact name or id when one is given."""

    namespace: Namespace
    name: str | None = None
    id: UUID | None = None
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True)
class Modify:
    collection: UUID
    name: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True)
class Drop:
    collection: UUID


@dataclass(frozen=True)
class Maintain:
    """Look after a collection (give dead space back, wait for the index) or the whole database."""

    task: Literal["compact", "index", "check", "repair", "backup"]
    collection: UUID | None = None
    target: Path | None = None


@dataclass(frozen=True)
class Status:
    """How large a collection is, and how much of it the graph covers."""

    collection: UUID


@dataclass(frozen=True)
class StatusInfo:
    records: int
    rows: int
    rows_in_graph: int
    dimension: int | None


@dataclass(frozen=True)
class Write:
    """Add, upsert or update a batch of records, all or nothing.

    `None` in place of a column means that the column was not given; `None` inside one, that this
    record has no such value.
    """

    collection: UUID
    mode: Mode
    ids: tuple[str, ...]
    embeddings: Vectors | None
    documents: tuple[str | None, ...] | None
    metadatas: tuple[Mapping[str, Any] | None, ...] | None
    uris: tuple[str | None, ...] | None
    merge_metadata: bool = True
    on_conflict: Literal["keep", "error"] = "keep"


@dataclass(frozen=True)
class WriteInfo:
    """What a write did, by record."""

    added: int
    updated: int
    kept: int


@dataclass(frozen=True)
class Remove:
    collection: UUID
    ids: tuple[str, ...] | None
    where: Node | None
    limit: int | None = None


@dataclass(frozen=True)
class Select:
    collection: UUID
    ids: tuple[str, ...] | None
    where: Node | None
    limit: int | None
    offset: int
    fields: frozenset[str]


@dataclass(frozen=True)
class Mmr:
    """Maximal marginal relevance over the `fetch_k` nearest. Carbonell & Goldstein, 1998."""

    lambda_mult: float
    fetch_k: int


@dataclass(frozen=True)
class Search:
    collection: UUID
    embeddings: Vectors
    k: int
    ids: tuple[str, ...] | None
    where: Node | None
    fields: frozenset[str]
    mmr: Mmr | None = None


@dataclass(frozen=True)
class Records:
    """Records by column, in the order of the answer. Columns that were not asked for are None."""

    ids: list[str]
    documents: list[str | None] | None = None
    metadatas: list[dict[str, Any] | None] | None = None
    uris: list[str | None] | None = None
    embeddings: Vectors | None = None
    distances: list[float] | None = None


@dataclass(frozen=True)
class Explanation:
    """How a query was answered: for people and for tests, not for programs."""

    strategy: str
    rows: int
    matches: int
    ef: int | None = None


@dataclass(frozen=True)
class Answer:
    """One `Records` per query."""

    parts: tuple[Records, ...]
    explanation: Explanation | None = field(default=None, compare=False)
