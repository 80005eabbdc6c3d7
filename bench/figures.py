"""What was measured, as medians over the rounds and as medians of what two figures make within a round."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

Key = tuple[str, str, str, str]
"""Engine, workload, case, figure."""


class Figures:
    """The turns of one run. What was not measured is NaN."""

    def __init__(self, run: dict[str, Any]) -> None:
        self.run, self.corpus = run["run"], run["corpus"]
        turns = [turn for turn in run["turns"] if "failed" not in turn]
        self.failures = sorted(
            {(t["engine"], t["workload"], t["case"], t["failed"]) for t in run["turns"] if "failed" in t}
        )
        table = pd.DataFrame(turns).set_index(["engine", "workload", "case", "round"]).sort_index()
        self._columns: dict[Key, pd.Series[float]] = {}
        for (engine, workload, case), group in table.groupby(level=[0, 1, 2]):
            for name in group.columns:
                values = group[name].droplevel([0, 1, 2]).dropna()
                if len(values):
                    self._columns[engine, workload, case, name] = values

    def has(self, engine: str, workload: str, case: str, name: str) -> bool:
        """Whether it was measured in any round."""
        return (engine, workload, case, name) in self._columns

    def median(self, engine: str, workload: str, case: str, name: str) -> float:
        """Over the rounds."""
        return _median(self._column((engine, workload, case, name)))

    def paired(self, first: Key, second: Key, make: Callable[[Any, Any], Any]) -> float:
        """The median of what is made of two figures of the same round."""
        return _median(make(self._column(first), self._column(second)))

    def ratio(self, first: Key, second: Key) -> float:
        """The median of first ÷ second within a round."""
        return self.paired(first, second, lambda one, other: one / other)

    def _column(self, key: Key) -> Any:
        return self._columns.get(key, pd.Series([math.nan]))


def _median(values: pd.Series[float]) -> float:
    """NaN of none, without the warning of older numpys."""
    known = values.dropna()
    return float(known.median()) if len(known) else math.nan
