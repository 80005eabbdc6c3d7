"""Which of these scores are the highest?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vicinal._kth import reached

Scores = NDArray[np.float64]
Rows = NDArray[np.int64]


def floor(scores: Scores, k: int) -> float:
    """A number that at least k scores reach, or 0; 0 or more."""
    return max(reached(scores, k), 0.0)


def best(
    scores: Scores, k: int, allowed: NDArray[np.bool_] | None, positions: Rows | None = None
) -> tuple[Rows, Scores]:
    """Rows of the k highest scores above 0, by descending score, then age; and those scores.

    `positions` say by row which record is older; None where rows do.
    """
    if allowed is not None:
        scores = scores * allowed
    if k < 1:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)
    least = floor(scores, k)
    rows = np.flatnonzero(scores >= least) if least > 0 else np.flatnonzero(scores > 0)
    found = scores[rows]
    order = np.lexsort((aged(rows, positions), -found))[:k]
    return rows[order].astype(np.int64), found[order]


def aged(rows: Rows, positions: Rows | None) -> Rows:
    """What sorts rows by age: a record that was moved to a new row is as old as before."""
    return rows if positions is None else positions[rows]
