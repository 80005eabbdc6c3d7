"""What do callers put in, and what do they get back?

The vocabulary of the public API. Results are plain dictionaries in Chroma's column-oriented shape,
with every key always present and `None` for what was not asked for; they only add a table for
notebooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, Union

import numpy as np
from numpy.typing import NDArray

from vicinal._html import counted, result_table

Space = Literal["l2", "cosine", "ip"]
"""How distance is measured: squared Euclidean, 1 − cosine similarity, or 1 − inner product."""

DEFAULT_TENANT = "default_tenant"
DEFAULT_DATABASE = "default_database"

Field = Literal["documents", "embeddings", "metadatas", "distances", "uris", "data"]
Include = Sequence[Field]

ID = str
Vector = NDArray[np.float32]
Vectors = NDArray[np.float32]
Scalar = Union[str, int, float, bool, datetime, date]
Metadata = Mapping[str, Any]
"""Any JSON object, plus datetime and date values. Keys are strings; values may nest."""

Where = Mapping[str, Any]
"""A filter on metadata, e.g. `{"$and": [{"year": {"$gte": 2020}}, {"lang": "en"}]}`."""

WhereDocument = Mapping[str, Any]
"""A filter on document text, e.g. `{"$contains": "vector"}`."""


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
