"""Chroma's way to turn what `get` and `query` return into data frames. Needs pandas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vicinal._optional import package


def get_result_to_df(get_result: Mapping[str, Any]) -> Any:
    """A data frame with one row a record, indexed by id, and a column for each field that is included."""
    return _frame(get_result["ids"], {name: get_result[name] for name in get_result["included"]})


def query_result_to_dfs(query_result: Mapping[str, Any]) -> list[Any]:
    """Such a data frame for each query."""
    included = {name: query_result[name] for name in query_result["included"]}
    return [
        _frame(ids, {name: None if column is None else column[i] for name, column in included.items()})
        for i, ids in enumerate(query_result["ids"])
    ]


def _frame(ids: list[str], columns: dict[str, Any]) -> Any:
    pd = package("pandas", name="pandas", extra="pandas", feature="A data frame")
    # Columns are named in the singular; a column holds one value a record, also where that is an array.
    values = {name.rstrip("s"): list(column) for name, column in columns.items() if column is not None}
    return pd.DataFrame({"id": ids, **values}).set_index("id")
