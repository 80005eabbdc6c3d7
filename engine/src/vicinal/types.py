"""What do callers put in, and what do they get back?

The vocabulary of the public API. Results are plain dictionaries in Chroma's column-oriented shape,
with every key always present and `None` for what was not asked for; they only add a table for
notebooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf, isfinite
from numbers import Integral, Real
from operator import lt
from typing import Any, Literal, NamedTuple, TypeVar, Union

import numpy as np
from numpy.typing import NDArray

from vicinal._html import counted, result_table
from vicinal.errors import InvalidArgumentError

Space = Literal["l2", "cosine", "ip"]
"""How distance is measured: squared Euclidean, 1 − cosine similarity, or 1 − inner product."""

DEFAULT_TENANT = "default_tenant"
DEFAULT_DATABASE = "default_database"

Field = Literal["documents", "embeddings", "metadatas", "distances", "uris", "data"]
Include = Sequence[Field]

_T = TypeVar("_T")
OneOrMany = Union[_T, list[_T]]

ID = str
IDs = list[str]
Vector = NDArray[np.float32]
Vectors = NDArray[np.float32]
Document = str
Documents = list[str]
Embedding = Vector
Embeddings = list[Vector]
PyEmbedding = Sequence[float]
PyEmbeddings = list[PyEmbedding]
URI = str
URIs = list[str]
Image = NDArray[Any]
"""A picture: numbers of shape (height, width, 3), uint8 when it comes from an `ImageLoader`."""

Images = list[Image]
Embeddable = Union[Documents, Images]
Loadable = list[Union[Image, None]]
Metadata = Mapping[str, Any]
"""Any JSON object; dates, datetimes, Decimals, UUIDs, bytes and `SparseVector`s are values, too. Keys are
strings; values may nest."""

Metadatas = list[Metadata]
UpdateMetadata = Metadata
"""Metadata of which None deletes a key."""

CollectionMetadata = dict[str, Any]
UpdateCollectionMetadata = Metadata

LiteralValue = Union[str, int, float, bool]
LogicalOperator = Literal["$and", "$or"]
WhereOperator = Literal["$gt", "$gte", "$lt", "$lte", "$ne", "$eq"]
WhereDocumentOperator = Literal["$contains", "$not_contains", "$regex", "$not_regex", "$and", "$or"]
OperatorExpression = Mapping[str, Any]
"""An operator with what a value is compared with, e.g. `{"$gte": 2020}`. These five are Chroma's names, for
annotations; filters take more."""

Where = Mapping[str, Any]
"""A filter on metadata, e.g. `{"$and": [{"year": {"$gte": 2020}}, {"lang": "en"}]}`."""

WhereDocument = Mapping[str, Any]
"""A filter on document text, e.g. `{"$contains": "vector"}`."""


class ReadLevel(str, Enum):
    """How much of what was written a read must see. Here, every read sees every committed write."""

    INDEX_AND_WAL = "index_and_wal"
    INDEX_ONLY = "index_only"
    INDEX_AND_BOUNDED_WAL = "index_and_bounded_wal"


class Facet(NamedTuple):
    """A value that a metadata key has, and in how many records."""

    value: Any
    records: int


class Stats(NamedTuple):
    """A metadata key's values: in how many records, how many different ones, the least, the greatest."""

    records: int
    missing: int
    distinct: int
    min: Any
    max: Any


class IndexingStatus(NamedTuple):
    """How many rows the graph covers of those that it will; queries scan the codes of the others."""

    num_indexed_ops: int
    num_unindexed_ops: int
    total_ops: int
    op_indexing_progress: float


@dataclass(frozen=True)
class Snippet:
    """A fragment of a document; offsets count the document's characters."""

    start: int
    end: int
    text: str
    highlights: tuple[tuple[int, int], ...]
    """The matching words' (start, end), in the document."""
    score: float


@dataclass
class SparseVector:
    """A vector of which only the components other than 0 are written down.

    Args:
        indices: Which components: integers from 0 to 2⁶³ − 1, each greater than the one before.
        values: As many numbers that are finite in float32, too.
        labels: As many strings that say what the components are, if they are to be kept.

    Raises `InvalidArgumentError` for anything else.
    """

    indices: list[int]
    values: list[float]
    labels: list[str] | None = None

    def __post_init__(self) -> None:
        try:
            self.indices, self.values = list(self.indices), list(self.values)
            self.labels = None if self.labels is None else list(self.labels)
        except TypeError as error:
            raise InvalidArgumentError(f"SparseVector columns must be lists: {error}") from None
        columns: list[tuple[str, list[Any], set[type], type, str]] = [
            ("indices", self.indices, {int}, Integral, "integers"),
            ("values", self.values, {int, float}, Real, "numbers"),
        ]
        if self.labels is not None:
            columns.append(("labels", self.labels, {str}, str, "strings"))
        for name, column, usual, kind, wanted in columns:
            if len(column) != len(self.indices):
                raise InvalidArgumentError(
                    f"SparseVector indices and {name} must have the same length, got {len(self.indices)} "
                    f"indices and {len(column)} {name}"
                )
            if set(map(type, column)) <= usual:  # vectors are read by the thousand
                continue
            for i, item in enumerate(column):
                if isinstance(item, bool) or not isinstance(item, kind):
                    raise InvalidArgumentError(
                        f"SparseVector {name} must be {wanted}, got {type(item).__name__} at position {i}"
                    )
        self.indices, self.values = [int(i) for i in self.indices], _float32s(self.values)
        if self.indices and self.indices[0] < 0:
            raise InvalidArgumentError(f"SparseVector indices must not be negative, got {self.indices[0]}")
        ascends = list(map(lt, self.indices, self.indices[1:]))
        if not all(ascends):
            i = ascends.index(False) + 1
            raise InvalidArgumentError(
                f"SparseVector indices must ascend strictly, got indices[{i}]={self.indices[i]} after "
                f"{self.indices[i - 1]}"
            )
        if self.indices and self.indices[-1] >= 1 << 63:
            raise InvalidArgumentError("SparseVector indices must be below 2**63")
        if self.labels:
            try:
                "".join(self.labels).encode()
            except UnicodeEncodeError:
                raise InvalidArgumentError("SparseVector labels must be valid Unicode text") from None

    def to_dict(self) -> dict[str, Any]:
        """As JSON, in the form in which Chroma's servers send it."""
        written = {"#type": "sparse_vector", "indices": self.indices, "values": self.values}
        return written if self.labels is None else {**written, "tokens": self.labels}

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> SparseVector:
        """Read what `to_dict` wrote."""
        if written.get("#type") != "sparse_vector":
            raise InvalidArgumentError(f"Expected #type='sparse_vector', got {written.get('#type')!r}")
        for column in ("indices", "values"):
            if column not in written:
                raise InvalidArgumentError(f"Expected {column} of a sparse vector, got {list(written)}")
        return cls(written["indices"], written["values"], written.get("tokens"))

    @classmethod
    def _stored(cls, written: Mapping[str, Any]) -> SparseVector:
        """What was checked when it was written, by the rules of then: it is read as it is."""
        made = cls.__new__(cls)
        made.indices, made.values, made.labels = written["indices"], written["values"], written.get("tokens")
        return made


_FLOAT32_END = 2.0**128 - 2.0**103  # from here on float32 rounds to infinity


def _float32s(numbers: Sequence[float]) -> list[float]:
    """Numbers as floats, when all of them are finite in float32."""
    try:
        floats = [float(number) for number in numbers]
    except OverflowError:
        floats = [inf]
    if not all(map(isfinite, floats)) or max(map(abs, floats), default=0.0) >= _FLOAT32_END:
        raise InvalidArgumentError("SparseVector values must be finite in float32: from -3.4e38 to 3.4e38")
    return floats


SparseVectors = list[SparseVector]


class GetResult(dict[str, Any]):
    """What `get` and `peek` return: parallel lists under `ids`, `documents`, `metadatas`, …"""

    def _repr_html_(self) -> str:
        return result_table(self, None, caption=counted(len(self["ids"]), "record"))


class QueryResult(dict[str, Any]):
    """What `query` returns: like `GetResult`, one list per query, plus `distances`."""

    def _repr_html_(self) -> str:
        queries = len(self["ids"])
        tables = []
        for i, ids in enumerate(self["ids"]):
            which = f"query {i + 1} of {queries}: " if queries > 1 else ""
            tables.append(result_table(self, i, caption=which + counted(len(ids), "result")))
        return "".join(tables)


class SearchResult(dict[str, Any]):
    """What `search` returns: per search a list of `ids`, and of each column that it selected, or None.

    `scores` are smaller for better records; `select` says what each search had selected.
    """

    def rows(self) -> list[list[dict[str, Any]]]:
        """Per search, a dictionary for each record: `id`, and whatever it has of what was selected."""
        names = ("document", "embedding", "metadata", "score")
        found = []
        for i, ids in enumerate(self["ids"]):
            columns = {name: self[name + "s"][i] for name in names if self[name + "s"][i] is not None}
            found.append(
                [
                    {"id": id, **{name: v[at] for name, v in columns.items() if v[at] is not None}}
                    for at, id in enumerate(ids)
                ]
            )
        return found
