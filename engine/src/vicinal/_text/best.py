"""Which of these scores are the highest?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vicinal._kth import reached

Scores = NDArray[np.float64]
Rows = NDArray[np.int64]


def best(
    scores: Scores, k: int, allowed: NDArray[np.bool_] | None, positions: Rows | None = None
) -> tuple[Rows, Scores]:
    """Rows of the k (1 or more) highest scores above 0, by descending score, then age; and those scores.

    `positions` say by row which record is older; None where rows do.
    """
    if allowed is not None:
        scores = scores * allowed
    least = reached(scores, k)
    rows = np.flatnonzero(scores >= least) if least > 0 else np.flatnonzero(scores > 0)
    found = scores[rows]
    order = np.lexsort((aged(rows, positions), -found))[:k]
    return rows[order], found[order]


def aged(rows: Rows, positions: Rows | None) -> Rows:
    """What sorts rows by age: a record that was moved to a new row is as old as before."""
    return rows if positions is None else positions[rows]
