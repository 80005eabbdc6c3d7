"""What would the exact answer have been, and how much of it did an engine find?

Distances are computed in float64 over every record that the filter selects. An answer is judged by
distance, not by id: whatever is as near as the true k-th neighbour counts, so ties cost nobody a point.
What the filter does not select never counts, nor does anything twice.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.corpus import Corpus
from bench.filters import ANY, Case, Condition, Document, Vectors

_TIE = 1e-6  # engines measure in float32
_CHUNK = 16
_TESTS = {"$lt": operator.gt, "$gte": operator.le}  # of the operand, then the value


class Truth:
    """The exact answers to all questions of a corpus, without a filter and under any."""

    def __init__(self, corpus: Corpus, k: int) -> None:
        self._k, self._documents, self.facts = k, corpus.documents, corpus.facts()
        self._rows = {id: row for row, id in enumerate(corpus.ids)}
        metadatas = corpus.metadatas
        self._columns = {key: [m[key] for m in metadatas] for key in ("member", "shade")}
        self._numbers = {key: np.array([m[key] for m in metadatas]) for key in ("random", "axis", "added")}
        vectors, questions = _unit(corpus.vectors), _unit(corpus.questions)
        chunks = [questions[i : i + _CHUNK] for i in range(0, len(questions), _CHUNK)]
        self._distances = np.concatenate([(1 - chunk @ vectors.T).astype(np.float32) for chunk in chunks])
        self._wanted: dict[tuple[str, int], tuple[int, float]] = {}
        self._masks: dict[tuple[str, int | None], tuple[Condition, NDArray[np.bool_]]] = {}

    def condition(self, case: Case | None, number: int) -> Condition:
        """What is asked beside the vector."""
        return case.condition(self.facts, number) if case else ANY

    def judge(self, case: Case | None, number: int, ids: Sequence[str]) -> tuple[float, bool]:
        """The share of the exact answer to one question that these ids are; whether they are as many."""
        distances, mask = self._distances[number], self._mask(case, number)
        key = (case.name if case else "", number)
        if key not in self._wanted:
            selected = distances[mask]
            count = min(self._k, len(selected))
            nearest = np.partition(selected, count - 1)[:count] if count else selected
            self._wanted[key] = count, float(nearest.max(initial=0))
        count, farthest = self._wanted[key]
        rows = np.array([self._rows[id] for id in dict.fromkeys(ids[: self._k])], dtype=np.int64)
        near = distances[rows] <= farthest + _TIE
        return float((near & mask[rows]).sum() / count) if count else 1.0, len(rows) == count

    def overlap(self, case: Case) -> float:
        """The share of the unfiltered answers that the filter selects."""
        shares = []
        for number, distances in enumerate(self._distances):
            nearest = np.argpartition(distances, self._k - 1)[: self._k]
            shares.append(float(self._mask(case, number)[nearest].mean()))
        return float(np.mean(shares))

    def _mask(self, case: Case | None, number: int) -> NDArray[np.bool_]:
        """Which records the condition selects; those of the same case are kept while it repeats."""
        if case is None:
            return np.ones(len(self._rows), np.bool_)
        condition = case.condition(self.facts, number)
        key = case.name, number if isinstance(case, Document) or getattr(case, "cold", False) else None
        held = self._masks.get(key)
        if held is None or held[0] != condition:
            self._masks[key] = held = condition, self._select(condition)
        return held[1]

    def _select(self, condition: Condition) -> NDArray[np.bool_]:
        mask = np.ones(len(self._rows), np.bool_)
        for key, name, operand in condition.parts():
            if key in self._numbers:
                column = self._numbers[key]
                mask &= column < operand if name == "$lt" else column >= operand
                continue
            selected = frozenset(operand).__contains__ if name == "$in" else partial(_TESTS[name], operand)
            mask &= np.fromiter(map(selected, self._columns[key]), np.bool_, len(mask))
        for name, needle in (condition.document or {}).items():
            search = re.compile(re.escape(needle) if name == "$contains" else needle).search
            mask &= np.fromiter((bool(search(text)) for text in self._documents), np.bool_, len(mask))
        return mask


def _unit(vectors: Vectors) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.maximum(lengths, np.finfo(np.float64).tiny))
