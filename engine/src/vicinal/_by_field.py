"""How does an index over a field follow the changes, and survive a restart?

The indexes of one kind (words, sparse vectors, signatures), by field. Each remembers the change that it
covers and catches up from the change log, in one go for a question or by slices in the background. Together
they have one checkpoint, an `arrays` file: the n-th field's arrays are named `n.…`, and `covers.fields` says
which fields these are. It is read once, before the first of them is made, and believed only when it is of
the view's generation, no later than the view, and made in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from vicinal import _derived
from vicinal._filter import DOCUMENT
from vicinal._filter.values import lookup
from vicinal._index.columns import Covered
from vicinal._index.view import Mask, Rows, View
from vicinal._storage import arrays, checkpoint
from vicinal._storage.database import Transaction
from vicinal._storage.files import Files
from vicinal._storage.metadata import decode
from vicinal._turns import in_turns

_SLICE_ROWS = 2_000  # of the background, while no question can be prepared: some 70 ms
_NO_ROWS: Rows = np.empty(0, dtype=np.int64)
_NEVER = Covered(0, 0, 0)

Values = Iterable[tuple[int, Any]]
Arrays = dict[str, arrays.Array]


class _Index(Protocol):
    @property
    def rows(self) -> int: ...


Index = TypeVar("Index", bound=_Index)


@dataclass(frozen=True)
class Kind(Generic[Index]):
    """What indexes of one kind have in common."""

    name: str
    """Of the checkpoint."""
    empty: Callable[[], Index]
    more: Callable[[Index, int, Values, Rows], Index]
    """(index, rows, values, altered) → the next version, so many rows long, with the (row, value) of the new
    and the altered rows; of altered rows what they had is forgotten."""
    tidied: Callable[[Index, Mask], Index | None]
    """The same in fewer pieces, for these live rows; None when it need not be."""
    pack: Callable[[Index], Arrays]
    unpack: Callable[[Arrays], Index]
    """Raises one of `_derived.BROKEN` when it is not what `pack` has made."""
    how: dict[str, Any] = field(default_factory=dict)
    """JSON that the checkpoint repeats: one that was made otherwise is not believed."""


@dataclass
class Held(Generic[Index]):
    """An index and what it covers."""

    index: Index
    covered: Covered = _NEVER


class ByField(Generic[Index]):
    """Not for several threads at once: the owner has a lock."""

    def __init__(self, kind: Kind[Index], directory: Path | None) -> None:
        self._kind = kind
        self._unread = directory  # where a checkpoint may be that nobody has looked for
        self._held: dict[str, Held[Index]] = {}

    def want(self, field: str) -> None:
        """Have the background make it, though nobody has asked yet."""
        self._held.setdefault(field, Held(self._kind.empty()))

    def held(self, view: View, field: str, again: bool) -> Held[Index]:
        """A field's index, whatever it covers; from now on the background keeps it up.

        `MovedError` where it has passed a view that can ask `again`.
        """
        self._read(view)
        self.want(field)
        held = self._held[field]
        if again and _derived.is_passed(held.covered, view):
            raise _derived.MovedError
        return held

    def at(self, tx: Transaction, view: View, field: str, making: Callable[[], None], again: bool) -> Index:
        """A field's index at the view's change. The first question makes it, and says so beforehand.

        Of a view that it has passed it is made from nothing, where that cannot ask `again`.
        """
        held = self.held(view, field, again)
        if view.rows and not held.index.rows:
            making()
        return self._advance(tx, view, field, held, view.rows)

    def refresh(self, tx: Transaction, view: View) -> bool:
        """Bring what is held a little nearer to the view; whether there is more to do."""
        if self._held:
            self._read(view)
        for name, held in self._held.items():
            if _is_behind(view, held.covered):
                known = held.covered.rows if held.covered.generation == view.generation else 0
                self._advance(tx, view, name, held, min(view.rows, known + _SLICE_ROWS))
                return True
            if held.covered != Covered.all_of(view):
                continue  # a question was faster: the view's mask says nothing of its rows
            tidied = self._kind.tidied(held.index, view.alive)
            if tidied is not None:
                held.index = tidied
                return True
        return False

    def forget(self) -> None:
        """Begin anew, with the fields that are held."""
        self._unread = None
        self._held = {name: Held(self._kind.empty()) for name in self._held}

    def ready(self, view: View) -> dict[str, Index]:
        """All that is held, by field, when all of it is at the view; else nothing."""
        if any(held.covered != Covered.all_of(view) for held in self._held.values()):
            return {}
        return {name: held.index for name, held in self._held.items()}

    def save(
        self,
        indexes: dict[str, Index],
        directory: Path,
        view: View,
        files: Files,
        due: Callable[[str], bool],
    ) -> None:
        """Write the checkpoint of what was `ready`, when it is due or lacks a field. Needs no lock."""
        kind = self._kind
        known = checkpoint.covers(directory, kind.name).get("fields", ())
        if indexes and (due(kind.name) or not set(indexes) <= set(known)):
            kept = arrays.joined(map(kind.pack, indexes.values()))
            covers = {**_derived.covers_of(view), **kind.how, "fields": list(indexes)}
            checkpoint.save(directory, kind.name, covers, lambda path: arrays.write(path, kept), files)

    def _read(self, view: View) -> None:
        """Take what the checkpoint holds, once."""
        if self._unread is not None:
            directory, self._unread = self._unread, None
            self._held.update(_loaded(self._kind, directory, view))

    def _advance(self, tx: Transaction, view: View, field: str, held: Held[Index], stop: int) -> Index:
        """An index that covers the view's change up to a row at least; kept, unless it goes back in time."""
        covered = held.covered
        current = (covered.change, covered.generation) == (view.change, view.generation)
        if current and covered.rows >= stop:
            return held.index
        altered = _derived.altered_since(tx, covered, view)
        rows, base = covered.rows, held.index
        if altered is None:
            rows, base, altered = 0, self._kind.empty(), _NO_ROWS
        stop = max(rows, stop)
        again = altered[altered < rows]
        index = self._kind.more(base, stop, _values(tx, field, rows, stop, again), again)
        if covered.change <= view.change:
            held.index, held.covered = index, Covered(view.change, view.generation, stop)
        return index


def _is_behind(view: View, covered: Covered) -> bool:
    """Whether the background has something to do; not where a question about a newer view was faster."""
    return covered != Covered.all_of(view) and not _derived.is_passed(covered, view)


def _values(tx: Transaction, field: str, first: int, stop: int, altered: Rows) -> Iterator[tuple[int, Any]]:
    """(row, value) of a field for rows from `first` to `stop`, and for those altered before."""
    column = "document" if field == DOCUMENT else "metadata"
    for row, text in in_turns(_derived.stored(tx, column, first, stop, altered)):
        if text is not None:
            yield row, text if field == DOCUMENT else lookup(decode(text) or {}, field)


def _loaded(kind: Kind[Index], directory: Path, view: View) -> dict[str, Held[Index]]:
    """What a checkpoint holds, by field; nothing when it is not of this view's rows, or of another making."""
    try:
        covers, found = _derived.load(directory, kind.name, view.generation)
        covered = _derived.covered_by(covers, view)
        if {name: covers.get(name) for name in kind.how} != kind.how:
            return {}
        loaded = {}
        for number, name in enumerate(covers["fields"]):
            index = kind.unpack(arrays.group(found, number))
            if index.rows != covered.rows:
                return {}
            loaded[str(name)] = Held(index, covered)
    except _derived.BROKEN:
        return {}
    return loaded
