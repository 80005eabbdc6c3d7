"""Which filters are applied, and how are they tied to the question?

Every record carries two numbers from 0 to `SCALE`, each uniform over the corpus, so that a bound selects
an exactly known share: `random`, drawn by lot, and `axis`, the record's rank along the corpus' first
principal component. The ties: *random*, one condition for all questions; *changing*, the same records
by a bound that no other question has, so that no engine can keep the filter's answer; *near*, the end of
the axis on the question's side; *far*, the other end, where none of its neighbours are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALE = 1_000_000_000
SHARES = (0.5, 0.1, 0.01, 0.001)
TIES = ("random", "changing", "near", "far")
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {"$lt": operator.lt, "$gte": operator.ge}

Where = dict[str, dict[str, int]]
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Filter:
    """One condition per question, selecting the same share of the records for each."""

    tie: str
    share: float

    @property
    def name(self) -> str:
        """As tables and plots show it."""
        return f"{self.tie} {self.share:.1%}"

    def where(self, side: bool, question: int) -> Where:
        """The condition for one question, in the dialect that Chroma and Vicinal share."""
        bound = round(self.share * SCALE)
        if self.tie in ("near", "far"):
            upper = side == (self.tie == "near")
            return {"axis": {"$gte": SCALE - bound} if upper else {"$lt": bound}}
        # Numbers lie SCALE / rows apart: so small a change of the bound selects nothing else.
        return {"random": {"$lt": bound - question if self.tie == "changing" else bound}}


ALL = tuple(Filter(tie, share) for tie in TIES for share in SHARES)


def parse(where: Where) -> tuple[str, Callable[[Any, Any], Any], int]:
    """(key, comparison, bound): for one record's number, or a whole column."""
    ((key, condition),) = where.items()
    ((name, bound),) = condition.items()
    return key, _COMPARE[name], bound


def numbers_of(vectors: Vectors, questions: Vectors) -> tuple[list[dict[str, int]], list[bool]]:
    """The two numbers of every record, and for every question whether it lies on the axis' upper side."""
    mean = vectors.mean(axis=0)
    axis = np.linalg.eigh(np.cov(vectors, rowvar=False))[1][:, -1]
    along = (vectors - mean) @ axis
    ranks = np.random.default_rng(0).permutation(len(vectors)), np.argsort(np.argsort(along, kind="stable"))
    columns = [(rank * SCALE // len(vectors)).tolist() for rank in ranks]
    numbers = [{"random": random, "axis": place} for random, place in zip(*columns)]
    return numbers, ((questions - mean) @ axis > np.median(along)).tolist()
