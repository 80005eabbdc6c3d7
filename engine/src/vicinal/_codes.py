"""Which rows have their codes, and who makes those of the others?

The codes of one open collection (`_index/codes.py` says what they are). The first use takes those that the
checkpoint keeps; a write of this process adds its rows where there is room, the background the rest.
"""

from __future__ import annotations

from pathlib import Path

from vicinal import _derived
from vicinal._index import codes, planner
from vicinal._index.codes import Codes
from vicinal._index.view import View
from vicinal._turns import Lock
from vicinal.types import Space


class LiveCodes:
    """Every method may be called from any thread."""

    def __init__(self, directory: Path | None, space: Space, verified: set[str]) -> None:
        self._directory, self._space, self._verified = directory, space, verified
        self._encoding = Lock()
        self._held: Codes | None = None

    def of(self, view: View) -> Codes | None:
        """The codes, when their row numbers are the view's.

        The first use takes those that were kept: a first answer reads a quarter of what the vectors are.
        """
        held = self._held
        if (held is None or held.generation < view.generation) and planner.wants_codes(view):
            held = self._first(view)
        return held if held is not None and held.generation == view.generation else None

    def extend(self, view: View, rows_max: int) -> bool:
        """Encode the oldest rows that have no codes, so many at the most; whether there are more."""
        with self._encoding:
            held = self._held
            if held is None or held.generation != view.generation:
                return False
            stop = min(view.rows, held.rows + rows_max)
            if held.rows < stop:
                self._held = held = held.extend(view.vectors, stop)
            return held.rows < view.rows

    def committed(self, view: View, rows_before: int) -> None:
        """Encode the rows of a write, or every query would have to measure them; but never those of others,
        nor where it would mean copying all codes."""
        held = self._held
        if held is not None and held.rows == rows_before and view.rows <= held.room:
            self.extend(view, view.rows)

    def forget(self) -> None:
        """Drop them all: so few rows are measured as quickly."""
        self._held = None

    def _first(self, view: View) -> Codes:
        """Codes of a generation of which there are none yet: the checkpoint's, or of no row."""
        with self._encoding:
            held = self._held
            if held is not None and held.generation >= view.generation:
                return held  # another thread was faster
            dimension = int(view.vectors.shape[1])
            kept = None
            if self._directory is not None:
                kept = _derived.load_codes(self._directory, self._space, dimension, view)
            if kept is not None:
                self._verified.add("codes")  # loading compared its checksum
            self._held = kept or codes.empty(self._space, dimension, view.generation)
            return self._held
