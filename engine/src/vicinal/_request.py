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
from vicinal.config import CollectionConfiguration, ConfigurationChanges
from vicinal.search import GroupBy
from vicinal.search import Rank as Expression
from vicinal.types import Facet, Snippet, SparseVector, Vectors

Mode = Literal["add", "upsert", "update"]


@dataclass(frozen=True)
class Namespace:
    """Where a collection's name is unique."""

    tenant: str
    database: str


@dataclass(frozen=True)
class NamespaceInfo:
    """A tenant, or, when there is a `database`, a tenant's database."""

    tenant: str
    database: str | None = None
    id: UUID | None = None


@dataclass(frozen=True)
class Organize:
    """Make, list or delete tenants, or databases of one tenant; with a `name`, that one alone.

    Whoever deletes a tenant deletes its databases, and whoever deletes a database its collections.
    """

    task: Literal["create", "list", "delete"]
    kind: Literal["tenant", "database"]
    tenant: str | None = None
    name: str | None = None
    limit: int | None = None
    offset: int = 0


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
    """Change what is given; `configuration` is what `config.parse_changes` returned."""

    collection: UUID
    name: str | None = None
    metadata: dict[str, Any] | None = None
    configuration: ConfigurationChanges | None = None


@dataclass(frozen=True)
class Fork:
    """Copy one committed state of a collection to a new one of the same database."""

    collection: UUID
    name: str


@dataclass(frozen=True)
class Drop:
    namespace: Namespace
    name: str


@dataclass(frozen=True)
class Maintain:
    """Look after a collection (give dead space back, wait for the index) or the whole database."""

    task: Literal["compact", "optimize", "check", "repair", "backup", "reset"]
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
    rows_waiting: int = 0
    """Rows that a graph should cover and does not cover yet."""
    rows_unseen: int = 0
    """Rows that are in the graph, and that nobody has looked for yet."""


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
class Alter:
    """Change the metadata of every record that ids and filter select, all or nothing."""

    collection: UUID
    ids: tuple[str, ...] | None
    where: Node | None
    metadata: Mapping[str, Any]
    merge_metadata: bool = True


@dataclass(frozen=True)
class WriteInfo:
    """What a write did, by record."""

    added: int
    updated: int
    kept: int


@dataclass(frozen=True)
class Remove:
    """Delete what ids and filter select; or, with `expired`, what has expired among it."""

    collection: UUID
    ids: tuple[str, ...] | None
    where: Node | None
    limit: int | None = None
    expired: bool = False


@dataclass(frozen=True)
class OrderBy:
    """Sort by the values of a metadata key, or by id when the key is "#id"."""

    key: str
    descending: bool = False


@dataclass(frozen=True)
class Select:
    collection: UUID
    ids: tuple[str, ...] | None
    where: Node | None
    limit: int | None
    offset: int
    fields: frozenset[str]
    order: tuple[OrderBy, ...] = ()


@dataclass(frozen=True)
class Summarize:
    """Count what ids and filter select; with a key, also the values that it has there.

    At most `limit` values are wanted, the most frequent first; None means all of them.
    """

    collection: UUID
    ids: tuple[str, ...] | None
    where: Node | None
    key: str | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Summary:
    """How many records there are; of a key's values, how many, which, and from where to where."""

    records: int
    present: int = 0
    distinct: int = 0
    facets: tuple[Facet, ...] = ()
    minimum: Any = None
    maximum: Any = None


@dataclass(frozen=True)
class Mmr:
    """Maximal marginal relevance over the `fetch_k` nearest. Carbonell & Goldstein, 1998."""

    lambda_mult: float
    fetch_k: int


@dataclass(frozen=True)
class Ranking:
    """The words or sparse vectors of one field, alone or mixed with the embeddings. One text per query."""

    mode: Literal["text", "sparse", "hybrid"]
    texts: tuple[str, ...]
    field: str
    """`#document`, or the metadata key whose strings or sparse vectors are searched."""
    alpha: float
    """Weight of the dense part, between 0 and 1; the other part has the rest."""
    fusion: Literal["relative", "rrf"]
    fetch_k: int
    """How many rows each part ranks at least; never fewer than are wanted."""
    sparse: tuple[SparseVector, ...] | None = None
    """One per query: the field's sparse vectors are searched. None: the words of its texts are."""

    @property
    def questions(self) -> tuple[str, ...] | tuple[SparseVector, ...]:
        """What is asked of the field, one per query."""
        return self.texts if self.sparse is None else self.sparse


@dataclass(frozen=True)
class Search:
    collection: UUID
    embeddings: Vectors
    k: int
    ids: tuple[str, ...] | None
    where: Node | None
    fields: frozenset[str]
    mmr: Mmr | None = None
    max_distance: float | None = None
    ranking: Ranking | None = None
    """None: by distance alone."""
    snippets: int = 0
    """How many matching fragments of each document to show; for a ranking."""


@dataclass(frozen=True)
class Ranked:
    """One search of an expression, whose `Knn` queries are float32 vectors, sparse vectors or words."""

    rank: Expression | None
    """None: every record, in the order of `get`."""
    where: Node | None
    group: GroupBy
    limit: int | None
    offset: int
    fields: frozenset[str]


@dataclass(frozen=True)
class Rank:
    """Searches of expressions, all over one state of the collection; one `Records` for each."""

    collection: UUID
    searches: tuple[Ranked, ...]


@dataclass(frozen=True)
class Records:
    """Records by column, in the order of the answer. Columns that were not asked for are None."""

    ids: list[str]
    documents: list[str | None] | None = None
    metadatas: list[dict[str, Any] | None] | None = None
    uris: list[str | None] | None = None
    embeddings: Vectors | None = None
    distances: list[float] | None = None
    scores: list[float] | None = None
    """Of a `Search`, larger is better; of a `Rank`, smaller."""
    snippets: list[list[Snippet]] | None = None
    rerank_scores: list[float] | None = None


@dataclass(frozen=True)
class Explanation:
    """How a query was answered: for people and for tests, not for programs."""

    strategy: str
    rows: int
    matches: int
    ef: int | None = None
    max_distance: float | None = None
    contributions: tuple[tuple[dict[str, float], ...], ...] | None = None
    """For a ranking: per query and result, what each part gave to the score."""


@dataclass(frozen=True)
class Answer:
    """One `Records` per query."""

    parts: tuple[Records, ...]
    explanation: Explanation | None = field(default=None, compare=False)
