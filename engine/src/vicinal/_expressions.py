"""Which score does an expression give to which records?

The expressions of `vicinal.search`, over one snapshot. Each node becomes the rows that it knows, their
scores, and the score of all other rows, if it has one: a number has only that, a `Knn` has it by `default`.
An operator knows a row when every operand has a score for it and at least one operand knows it.
Undefined scores (the logarithm of a negative number) are NaN and rank last; equal ones rank by age.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal import _request as r
from vicinal._expiry import allowed
from vicinal._filter import DOCUMENT
from vicinal._index.view import Mask, Rows
from vicinal._order import ranks_of
from vicinal._ranking import sparse_part, text_part
from vicinal._search import check_dimension, fetch
from vicinal._snapshot import Snapshot
from vicinal.search import (
    Abs,
    Div,
    Exp,
    GroupBy,
    K,
    Knn,
    Log,
    Max,
    MaxK,
    Min,
    Mul,
    Rank,
    Sub,
    Sum,
    Val,
)
from vicinal.types import SparseVector

Scores = NDArray[np.float64]

_NO_ROWS: Rows = np.empty(0, dtype=np.int64)
_NO_SCORES: Scores = np.empty(0, dtype=np.float64)


def ranked(snapshot: Snapshot, search: r.Ranked) -> r.Records:
    """The records that one search asks for, best first."""
    mask = allowed(snapshot, None, search.where)
    if search.rank is None:
        rows = snapshot.listed(mask)[search.offset :][: search.limit]
        return fetch(snapshot, rows, search.fields)
    value = evaluate(snapshot, search.rank, mask)
    order = np.lexsort((snapshot.view.positions_of(value.rows), value.scores))
    rows, scores = value.rows[order], value.scores[order]
    if search.group.aggregate is not None:
        kept = _kept(snapshot, search.group, rows, scores)
        rows, scores = rows[kept], scores[kept]
    rows, scores = rows[search.offset :][: search.limit], scores[search.offset :][: search.limit]
    return replace(fetch(snapshot, rows, search.fields), scores=scores.tolist())


# --- scores --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Value:
    """Scores of rows, which ascend, and of all others; None when those have none."""

    rows: Rows
    scores: Scores
    default: float | None

    def at(self, rows: Rows) -> Scores:
        """The scores of rows that are all known, or have the default."""
        if self.default is None:
            return self.scores[np.searchsorted(self.rows, rows)]
        found = np.full(len(rows), self.default)
        known = np.isin(rows, self.rows, assume_unique=True)
        found[known] = self.scores[np.searchsorted(self.rows, rows[known])]
        return found


def evaluate(snapshot: Snapshot, rank: Rank, mask: Mask | None) -> Value:
    """What an expression says of the rows that the mask allows."""

    def inside(child: Rank) -> Value:
        return evaluate(snapshot, child, mask)

    match rank:
        case Val():
            return Value(_NO_ROWS, _NO_SCORES, float(rank.value))
        case Knn():
            return _nearest(snapshot, rank, mask)
        case Abs():
            return _applied(np.abs, inside(rank.rank))
        case Exp():
            return _applied(np.exp, inside(rank.rank))
        case Log():
            return _applied(np.log, inside(rank.rank))
        case Sub():
            return _combined(np.subtract, inside(rank.left), inside(rank.right))
        case Div():
            return _combined(np.divide, inside(rank.left), inside(rank.right))
        case Sum():
            return _folded(np.add, map(inside, rank.ranks))
        case Mul():
            return _folded(np.multiply, map(inside, rank.ranks))
        case Max():
            return _folded(np.maximum, map(inside, rank.ranks))
        case Min():
            return _folded(np.minimum, map(inside, rank.ranks))
    raise AssertionError(f"no such expression: {rank!r}")


def _applied(function: Callable[[Any], Any], value: Value) -> Value:
    with np.errstate(all="ignore"):
        default = None if value.default is None else float(function(np.float64(value.default)))
        return Value(value.rows, function(value.scores), default)


def _combined(function: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    if left.default is not None and right.default is not None:
        rows = np.union1d(left.rows, right.rows)
    elif left.default is None and right.default is None:
        rows = np.intersect1d(left.rows, right.rows, assume_unique=True)
    else:
        rows = left.rows if left.default is None else right.rows
    with np.errstate(all="ignore"):
        scores = function(left.at(rows), right.at(rows))
        default = None
        if left.default is not None and right.default is not None:
            default = float(function(np.float64(left.default), np.float64(right.default)))
    return Value(rows, scores, default)


def _folded(function: Callable[[Any, Any], Any], values: Iterable[Value]) -> Value:
    return reduce(lambda left, right: _combined(function, left, right), values)


# --- rankings ------------------------------------------------------------------------------------


def _nearest(snapshot: Snapshot, knn: Knn, mask: Mask | None) -> Value:
    rows, scores = _found(snapshot, knn, mask)
    if knn.return_rank:
        scores = np.arange(len(rows), dtype=np.float64)
    order = np.argsort(rows)
    return Value(rows[order], scores[order], None if knn.default is None else float(knn.default))


def _found(snapshot: Snapshot, knn: Knn, mask: Mask | None) -> tuple[Rows, Scores]:
    """The nearest rows and their scores, best first."""
    live, view = snapshot.live, snapshot.view
    if not view.rows:
        return _NO_ROWS, _NO_SCORES
    if isinstance(knn.query, str):
        assert knn.key == DOCUMENT
        words = snapshot.words(DOCUMENT)
        terms = words.analyser.tokens(knn.query)
        rows, likeness = text_part(words, terms, knn.limit, mask, view.positions)
        return rows, 1.0 - likeness
    if isinstance(knn.query, SparseVector):
        rows, likeness = sparse_part(snapshot, knn.key, knn.query, knn.limit, mask)
        return rows, 1.0 - likeness
    check_dimension(live.info.name, view.vectors.shape[1], len(knn.query), item=None)
    [(rows, distances)], _ = snapshot.nearest(knn.query[np.newaxis], knn.limit, mask)
    return rows, distances


# --- groups --------------------------------------------------------------------------------------


def _kept(snapshot: Snapshot, group: GroupBy, rows: Rows, scores: Scores) -> Rows:
    """Positions of those that their groups keep, ascending. Records without a key are one group."""
    aggregate = group.aggregate
    assert aggregate is not None
    names = [name for name in (*group.keys, *aggregate.keys) if name != K.SCORE.name]
    columns = snapshot.columns(names)
    places = np.stack([ranks_of(columns[name], rows) for name in group.keys], axis=1)
    groups = np.unique(places, axis=0, return_inverse=True)[1].reshape(-1)
    measures = []
    for name in aggregate.keys:
        if name == K.SCORE.name:
            values = scores
        else:
            values = ranks_of(columns[name], rows).astype(np.float64)
            values[values < 0] = np.nan  # without the key: last, whichever way
        measures.append(-values if isinstance(aggregate, MaxK) else values)
    order = np.lexsort((*reversed(measures), groups))
    starts = np.searchsorted(groups[order], groups[order])
    within = np.arange(len(rows)) - starts
    return np.sort(order[within < aggregate.k])
