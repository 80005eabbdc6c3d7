"""How far do walks have to look in this collection?

`ef` grows with the number of records as real text needs it (decision 12). Other vectors need more: where
directions are drawn by lot, such a walk finds three of the ten nearest. So the background asks for the
neighbours of some rows before they are inserted, for then they are strangers to the graph: by a walk and by
codes. It doubles ef until walks find enough, or scanning costs less: then the planner scans (decision 19).
Here is kept what came of it; `planner.look` asks.
"""

from __future__ import annotations

from dataclasses import dataclass

QUESTIONS = 64
K = 10
_MISSED_MAX = 28  # of QUESTIONS × K; of text, walks mostly miss 1 to 18
_GROWTH = 2  # of the rows, until it is asked again
_ROWS_MIN = 4096  # in fewer, walks find all that there is


@dataclass
class Effort:
    """By what a graph's walks multiply an ef that nobody has given."""

    factor: int = 1
    judged_at: int = 0
    """How many rows the graph had then; 0 when nobody has asked yet."""
    trial: int = 1
    """The factor that is being tried."""
    asked: int = 0
    """Questions that have been asked with it."""
    _missed: int = 0

    def is_due(self, rows: int) -> bool:
        """Whether a graph of so many rows is to be asked, or has been asked a part of the questions."""
        return rows >= max(_GROWTH * self.judged_at, _ROWS_MIN)

    def missed(self, count: int, rows: int) -> None:
        """A walk has missed so many of the K nearest; the graph has so many rows."""
        self.asked += 1
        self._missed += count
        if self._missed > _MISSED_MAX:
            self._try(2 * self.trial)
        elif self.asked == QUESTIONS:
            self.settle(rows)

    def settle(self, rows: int) -> None:
        """What is being tried is enough."""
        self.factor, self.judged_at = self.trial, rows
        self._try(1)

    def _try(self, factor: int) -> None:
        self.trial, self.asked, self._missed = factor, 0, 0
