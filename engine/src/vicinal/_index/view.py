"""What does a query see?

An immutable picture of one committed change: how many rows there are, which of them hold a record, and
their vectors. Readers take the current view and never wait for a writer; catching up makes a new view
that shares what has not changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vicinal.types import Vectors

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

Item = TypeVar("Item", bound=np.generic)

_ROOM_MIN = 1024
_REMEMBERED = 8  # masks, of a view
_LISTED_SHARE_MAX = 1 / 8  # of all rows: their numbers take no more than the mask


@dataclass(frozen=True)
class View:
    """One committed change, as arrays by row."""

    change: int
    generation: int
    rows: int
    records: int
    alive: Mask
    positions: Rows | None
    """Where `get` lists each row; None while every row stands at its own number."""
    vectors: Vectors
    norms: NDArray[np.float64]
    """Length of each vector."""
    _matches: list[Matches] = field(default_factory=list, init=False, repr=False, compare=False)
    """What was found out about the masks that were asked for last, the newest first."""

    def matches(self, allowed: Mask | None) -> Matches:
        """The rows that a mask allows, or all, and that hold a record.

        It is remembered, so that many questions behind one filter look through the mask once, unless
        somebody may still write to the mask.
        """
        for known in self._matches[:]:
            if known.allowed is allowed:
                return known
        found = Matches(self, allowed)
        if allowed is None or not allowed.flags.writeable:
            self._matches[:] = [found, *self._matches[: _REMEMBERED - 1]]
        return found

    def first(self, rows: int) -> View:
        """The first rows alone."""
        alive = self.alive[:rows]
        return replace(
            self,
            rows=rows,
            records=int(np.count_nonzero(alive)),
            alive=alive,
            positions=None if self.positions is None else self.positions[:rows],
            vectors=self.vectors[:rows],
            norms=self.norms[:rows],
        )

    def positions_of(self, rows: Rows) -> Rows:
        """Where `get` lists each of some rows."""
        return rows if self.positions is None else self.positions[rows]

    def order(self, rows: Rows) -> Rows:
        """Rows in the order of `get`: that in which their records were first added."""
        if self.positions is None:
            return rows
        return rows[np.argsort(self.positions[rows], kind="stable")]


class Matches:
    """Rows of a view that a question may find."""

    def __init__(self, view: View, allowed: Mask | None) -> None:
        self.allowed = allowed
        self.mask = view.alive if allowed is None else view.alive & allowed
        self.count = view.records if allowed is None else int(np.count_nonzero(self.mask))
        self._rows: Rows | None = None

    @cached_property
    def span(self) -> range:
        """The rows from the first match to the last: what was added together often matches together."""
        if self.allowed is None:
            return range(len(self.mask))
        flags = self.mask.tobytes()
        return range(max(0, flags.find(1)), flags.rfind(1) + 1)

    @property
    def rows(self) -> Rows:
        """Their numbers, ascending; kept, where they are few."""
        if self._rows is not None:
            return self._rows
        rows = np.flatnonzero(self.mask)
        if self.count <= _LISTED_SHARE_MAX * len(self.mask):
            rows.flags.writeable = False
            self._rows = rows
        return rows


EMPTY = View(
    change=0,
    generation=0,
    rows=0,
    records=0,
    alive=np.empty(0, dtype=np.bool_),
    positions=None,
    vectors=np.empty((0, 0), dtype=np.float32),
    norms=np.empty(0, dtype=np.float64),
)


def advance(
    old: View,
    *,
    change: int,
    generation: int,
    rows: int,
    removed: Rows,
    live: tuple[Rows, Rows],
    vectors: Vectors,
) -> View:
    """The next view: `removed` rows die, the `live` of the new rows hold a record at a position."""
    live_rows, positions = live
    newest = np.zeros(rows - old.rows, dtype=np.bool_)
    newest[live_rows - old.rows] = True
    alive = appended(old.alive, newest)
    if len(removed):
        alive = alive.copy()
        alive[removed] = False
    return View(
        change=change,
        generation=generation,
        rows=rows,
        records=int(np.count_nonzero(alive)),
        alive=alive,
        positions=_positions(old, rows, live_rows, positions),
        vectors=vectors,
        norms=appended(old.norms, lengths(vectors[old.rows :])),
    )


def appended(old: NDArray[Item], more: NDArray[Item]) -> NDArray[Item]:
    """Both, one after the other: in place where there is room behind the old ones, which do not change.

    For arrays of which only the newest version is ever appended to.
    """
    stop = len(old) + len(more)
    room: Any = old.base
    if not isinstance(room, np.ndarray) or not room.flags.writeable or room.shape < (stop,):
        room = np.empty(max(stop, 2 * len(old), _ROOM_MIN), dtype=old.dtype)
        room[: len(old)] = old
    room[len(old) : stop] = more
    extended: NDArray[Item] = room[:stop]
    return extended


def _positions(old: View, rows: int, live_rows: Rows, positions: Rows) -> Rows | None:
    if old.positions is None and np.array_equal(live_rows, positions):
        return None
    extended = np.arange(rows, dtype=np.int64)
    if old.positions is not None:
        extended[: old.rows] = old.positions
    extended[live_rows] = positions
    return extended


def lengths(vectors: Vectors) -> NDArray[np.float64]:
    """Euclidean length of each vector, added up in float64: a float32 sum over thousands of components is
    wrong by more than bounds allow, and squares may be more than it holds. 0 where there is no such number.
    """
    with np.errstate(invalid="ignore"):  # a dead row may hold anything
        norms: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    norms[~np.isfinite(norms)] = 0.0  # or the largest of all, which bounds errors, would be no number
    return norms
