"""What would the exact answer have been, and how much of it did an engine find?

Distances are computed in float64 over every record that the filter selects. An answer is judged by
distance, not by id: whatever is as near as the true k-th neighbour counts, so ties cost nobody a point.
What the filter does not select never counts, nor does anything twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.corpus import Corpus
from bench.filters import ALL, Filter, Vectors, parse

_TIE = 1e-6  # engines measure in float32


class Truth:
    """The exact answers to all questions of a corpus, without a filter and under each."""

    def __init__(self, corpus: Corpus, k: int) -> None:
        self._sides, self._k = corpus.sides, k
        self._rows = {id: row for row, id in enumerate(corpus.ids)}
        self._columns = {key: np.array([m[key] for m in corpus.metadatas]) for key in ("random", "axis")}
        self._vectors, self._questions = _unit(corpus.vectors), _unit(corpus.questions)
        self._wanted: dict[Filter | None, list[tuple[int, float]]] = {f: [] for f in (None, *ALL)}
        passed: dict[str, list[float]] = {filter.name: [] for filter in ALL}
        for number, question in enumerate(self._questions):
            distances = 1 - self._vectors @ question
            nearest = np.argpartition(distances, k - 1)[:k]
            for filter, wanted in self._wanted.items():
                mask = self._mask(filter, number)
                wanted.append((min(k, int(mask.sum())), float(np.sort(distances[mask])[:k].max(initial=0))))
                if filter:
                    passed[filter.name].append(float(mask[nearest].mean()))
        self.overlap = {name: float(np.mean(shares)) for name, shares in passed.items()}
        """By filter name, the share of the unfiltered answers that the filter selects."""

    def recall(self, filter: Filter | None, number: int, ids: Sequence[str]) -> float:
        """The share of the exact answer to one question that these ids are."""
        count, farthest = self._wanted[filter][number]
        rows = np.array([self._rows[id] for id in dict.fromkeys(ids[: self._k])], dtype=np.int64)
        near = 1 - self._vectors[rows] @ self._questions[number] <= farthest + _TIE
        return float((near & self._mask(filter, number)[rows]).sum() / count) if count else 1.0

    def _mask(self, filter: Filter | None, number: int) -> NDArray[np.bool_]:
        if filter is None:
            return np.ones(len(self._vectors), np.bool_)
        key, compare, bound = parse(filter.where(self._sides[number], number))
        return np.asarray(compare(self._columns[key], bound))


def _unit(vectors: Vectors) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.maximum(lengths, np.finfo(np.float64).tiny))
