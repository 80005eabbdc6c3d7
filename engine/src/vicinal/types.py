"""What do callers put in, and what do they get back?

The vocabulary of the public API. Results are plain dictionaries in Chroma's column-oriented shape,
with every key always present and `None` for what was not asked for; they only add a table for
notebooks.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, Union

import numpy as np
from numpy.typing import NDArray

Space = Literal["l2", "cosine", "ip"]
"""How distance is measured: squared Euclidean, 1 − cosine similarity, or 1 − inner product."""

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

_TABLE_ROWS_MAX = 20
_TEXT_MAX = 160


class GetResult(dict[str, Any]):
    """What `get` and `peek` return: parallel lists under `ids`, `documents`, `metadatas`, …"""

    def _repr_html_(self) -> str:
        return _table([_columns(self, None)], captions=[f"{len(self['ids'])} records"])


class QueryResult(dict[str, Any]):
    """What `query` returns: like `GetResult`, one list per query, plus `distances`."""

    def _repr_html_(self) -> str:
        queries = range(len(self["ids"]))
        captions = [f"query {i}: {len(self['ids'][i])} nearest" for i in queries]
        return _table([_columns(self, i) for i in queries], captions=captions)


def _columns(result: Mapping[str, Any], query: int | None) -> dict[str, list[Any]]:
    names = {"ids": "id", "distances": "distance", "documents": "document", "metadatas": "metadata"}
    names["uris"] = "uri"
    return {
        name: list(result[key] if query is None else result[key][query])
        for key, name in names.items()
        if result.get(key) is not None
    }


def _table(parts: list[dict[str, list[Any]]], captions: list[str]) -> str:
    """Render result columns as small HTML tables, cut to what a notebook cell can show."""
    out = []
    for columns, caption in zip(parts, captions):
        count = len(columns["id"])
        head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{_cell(values[i])}</td>" for values in columns.values()) + "</tr>"
            for i in range(min(count, _TABLE_ROWS_MAX))
        )
        more = f"<p>… and {count - _TABLE_ROWS_MAX} more</p>" if count > _TABLE_ROWS_MAX else ""
        out.append(
            f"<table><caption>{html.escape(caption)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
        )
    return "".join(out)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return html.escape(text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + "…")
