"""Which columns are there, what do they cover, and which rows do they select?

The columns of one open collection. A filter that names a key has its column brought to the view's change;
in a collection of some size the background does so beforehand, for every key whose values are short, so
that even the first filter on a key finds it ready. Masks are kept, because filters repeat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vicinal import _derived
from vicinal._filter import ID, Node, values_in
from vicinal._filter.masks import Fields, Mask, evaluate
from vicinal._filter.values import is_missing, lookup
from vicinal._index import columns
from vicinal._index.columns import Column, Covered
from vicinal._index.view import Rows, View
from vicinal._storage import records
from vicinal._storage.changes import Delta, State
from vicinal._storage.database import Transaction
from vicinal._storage.files import Files
from vicinal._storage.metadata import decode_all
from vicinal._storage.records import NewRecord
from vicinal._turns import Lock, give_way, in_batches

_MASKS_MAX = 64
_MASKS_BYTES_MAX = 64 << 20
_VALUE_BYTES = 100  # of a filter that is kept with its mask, about
_SLICE_ROWS = 1_000  # of the background, while no filter can be prepared: some 8 ms
_DECODED_ROWS = 128  # at once
_TAKEN_IN_MAX = 256  # rows of a write; more are left to the background
_SAMPLE_ROWS = 500
_STALE_SHARE_MAX = 0.25
_KEYS_MAX = 32  # prepared unasked
_HELD_MAX = 128  # columns; filters may name any key, also ones that no record has
_STRING_MAX = 64  # characters; keys with longer values are prepared when somebody filters on them

_NO_ROWS: Rows = np.empty(0, dtype=np.int64)
_NOTHING = (Covered(0, 0, 0), columns.empty())


class Whole(Fields, Protocol):
    """What a filter can ask about all rows, or about some ascending ones alone."""

    def picked(self, rows: Rows) -> Fields: ...


class LiveColumns:
    """Every method may be called from any thread."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._changing = Lock()
        self._held: dict[str, tuple[Covered, Column]] = {}
        self._masks = _Masks()
        self._unread = directory is not None  # whether the checkpoint may hold something
        self._sampled = 0

    def known_mask(self, view: View, node: Node) -> Mask | None:
        """A boolean per row of a view, if the same was asked before."""
        with self._changing:
            covered, mask = self._masks.get(node)
            return mask if covered == Covered.all_of(view) else None

    def mask(self, tx: Transaction, view: View, node: Node, fields: Whole) -> Mask:
        """The same, extended from an older view's or made; the caller has prepared the columns."""
        now = Covered.all_of(view)
        with self._changing:
            covered, mask = self._masks.get(node)
        stale = None if covered is None else _stale_rows(tx, covered, view)
        if mask is None or stale is None:
            mask = evaluate(node, fields)
        else:
            extended = np.zeros(view.rows, dtype=np.bool_)
            extended[: len(mask)] = mask
            extended[stale] = evaluate(node, fields.picked(stale))
            mask = extended
        mask.flags.writeable = False
        with self._changing:
            if covered is None or covered.change <= now.change:  # a reader of an older view keeps its own
                self._masks.put(node, now, mask)
        return mask

    def prepare(self, tx: Transaction, view: View, keys: Sequence[str], again: bool) -> dict[str, Column]:
        """Columns at a view's change, caught up together so that metadata is decoded once.

        Of a view that they have passed they are made from nothing; `MovedError` where it can ask `again`.
        """
        with self._changing:
            self._read(view)
            if again and any(_derived.is_passed(self._held.get(key, _NOTHING)[0], view) for key in keys):
                raise _derived.MovedError
            ready = self._advance(tx, view, keys, view.rows)
            self._held.update({key: self._held.pop(key) for key in keys if key in self._held})
            for oldest in list(self._held)[:-_HELD_MAX]:
                del self._held[oldest]
            return ready

    def refresh(self, tx: Transaction, view: View) -> bool:
        """Bring the columns a little nearer to the view; whether there is more to do."""
        with self._changing:
            self._read(view)
            if not self._held and view.rows > self._sampled:
                self._sampled = 2 * view.rows  # no key found: look again when there are twice as many
                self._held = dict.fromkeys(_short_keys(tx), _NOTHING)
            behind = {key: of for key, (of, _) in self._held.items() if not _derived.is_passed(of, view)}
            known = [of.rows if of.generation == view.generation else 0 for of in behind.values()]
            stop = min(view.rows, min(known, default=0) + _SLICE_ROWS)
            self._advance(tx, view, list(behind), stop)
            return bool(behind) and stop < view.rows

    def committed(self, before: State, after: State, delta: Delta, added: Sequence[NewRecord]) -> None:
        """Take in the rows of a small write, so that the next filter finds them ready; but never those of
        others, nor while the columns are being changed."""
        if len(added) > _TAKEN_IN_MAX or len(delta.altered) or not before.rows:
            return
        was, now = (Covered(state.change, state.generation, state.rows) for state in (before, after))
        with self._changing.at_once() as taken:
            keys = [key for key, (covered, _) in self._held.items() if covered == was] if taken else []
            written: dict[str, list[tuple[int, Any]]] = {
                "id": [(row, id) for row, _, id, *_ in added],
                "metadata": [(row, metadata) for row, _, _, _, metadata, *_ in added],
            }
            found = _values(keys, written.__getitem__)
            for key in keys:
                column = columns.extend(self._held[key][1], after.rows, _NO_ROWS, *found[key])
                self._held[key] = now, column

    def forget(self) -> None:
        """Begin anew, with the same keys: dropping what older values have left."""
        with self._changing:
            self._unread = False
            self._held = dict.fromkeys(self._held, _NOTHING)
            self._masks = _Masks()

    def save(self, directory: Path, view: View, files: Files) -> None:
        """Keep the columns that are at the view's change."""
        with self._changing:
            now = Covered.all_of(view)
            held = {key: column for key, (covered, column) in self._held.items() if covered == now}
            packed = {key: columns.pack(column) for key, column in held.items()}
        if packed:
            _derived.save_columns(directory, view, packed, files)

    def _read(self, view: View) -> None:
        """Take what the checkpoint holds, once."""
        if self._unread and self._directory is not None:
            self._unread = False
            self._held.update(_derived.load_columns(self._directory, view))

    def _advance(self, tx: Transaction, view: View, keys: Sequence[str], stop: int) -> dict[str, Column]:
        """Columns that cover the view's change up to a row at least."""
        ready: dict[str, Column] = {}
        behind: dict[Covered, list[str]] = {}
        for key in keys:
            covered, column = self._held.get(key, _NOTHING)
            current = (covered.change, covered.generation) == (view.change, view.generation)
            if current and covered.rows >= stop:
                ready[key] = column
            else:
                behind.setdefault(covered, []).append(key)
        for covered, group in behind.items():
            ready.update(self._extend(tx, view, group, covered, stop))
        return ready

    def _extend(
        self, tx: Transaction, view: View, keys: list[str], covered: Covered, stop: int
    ) -> dict[str, Column]:
        """Columns from what they cover, or from nothing, to the view's change and up to a row."""
        altered = _derived.altered_since(tx, covered, view)
        bases = {key: self._held.get(key, _NOTHING)[1] for key in keys}
        rows = covered.rows
        if altered is None:
            rows, altered, bases = 0, _NO_ROWS, {key: columns.empty() for key in keys}
        stop = max(rows, stop)  # another column may be far behind this one
        known = altered[altered < rows]
        found = _values(keys, lambda name: _derived.stored(tx, name, rows, stop, known))
        altered = altered[altered < stop]
        extended = {}
        for key in keys:
            give_way()
            extended[key] = columns.extend(bases[key], stop, altered, *found[key])
        if covered.change <= view.change:  # an older view than the columns' gets its own, which are not kept
            now = Covered(view.change, view.generation, stop)
            self._held.update({key: (now, column) for key, column in extended.items()})
        return extended


@dataclass
class _Kept:
    """A filter's mask, what it covers, about how many bytes both take, and when it was asked for last."""

    covered: Covered
    mask: Mask
    size: int
    asked: int


class _Masks:
    """The masks that were asked for last; so many, and so many bytes, but the newest always."""

    def __init__(self) -> None:
        self._kept: dict[Node, _Kept] = {}
        self._asked = 0

    def get(self, node: Node) -> tuple[Covered | None, Mask | None]:
        """What a mask covers, and the mask. Looks the filter up once: it may name thousands of values."""
        kept = self._kept.get(node)
        if kept is None:
            return None, None
        self._asked = kept.asked = self._asked + 1
        return kept.covered, kept.mask

    def put(self, node: Node, covered: Covered, mask: Mask) -> None:
        """Keep a mask, instead of an older one for the same filter."""
        self._asked += 1
        self._kept[node] = _Kept(covered, mask, mask.nbytes + values_in(node) * _VALUE_BYTES, self._asked)
        left = sorted(self._kept.items(), key=lambda item: -item[1].asked)
        size = sum(kept.size for _, kept in left)
        while len(left) > 1 and (len(left) > _MASKS_MAX or size > _MASKS_BYTES_MAX):
            oldest, kept = left.pop()
            size -= kept.size
            del self._kept[oldest]


def _stale_rows(tx: Transaction, covered: Covered, view: View) -> Rows | None:
    """The rows that a mask of an older view does not know of; None when making it anew is as cheap."""
    altered = _derived.altered_since(tx, covered, view)
    if altered is None or view.rows - covered.rows + len(altered) > view.rows * _STALE_SHARE_MAX:
        return None
    return np.concatenate([altered[altered < covered.rows], np.arange(covered.rows, view.rows)])


def _short_keys(tx: Transaction) -> list[str]:
    """The commonest keys of the first records that have short values only."""
    counts: Counter[str] = Counter()
    long: set[str] = set()
    first = [text for _, text in records.scan(tx, "metadata", 0, _SAMPLE_ROWS)]
    for metadata in decode_all(first):
        for key, value in (metadata or {}).items():
            counts[key] += 1
            if isinstance(value, dict) or len(str(value)) > _STRING_MAX:
                long.add(key)
    return [key for key, _ in counts.most_common() if key not in long][:_KEYS_MAX]


def _values(
    keys: Sequence[str], stored: Callable[[str], Iterable[tuple[int, Any]]]
) -> dict[str, tuple[list[int], list[Any]]]:
    """For each key the rows that have it, and its values there. `stored` tells rows and their "id", or
    their "metadata" as text."""
    found: dict[str, tuple[list[int], list[Any]]] = {key: ([], []) for key in keys}
    if ID in found:
        for row, id in stored("id"):
            found[ID][0].append(row)
            found[ID][1].append(id)
    inside = [key for key in keys if key != ID]
    if inside:
        for block in in_batches(stored("metadata"), _DECODED_ROWS):
            decoded = decode_all([text for _, text in block])
            for key in inside:
                rows, values = found[key]
                for (row, _), metadata in zip(block, decoded):
                    value = lookup(metadata, key)
                    if not is_missing(value):
                        rows.append(row)
                        values.append(value)
    return found
