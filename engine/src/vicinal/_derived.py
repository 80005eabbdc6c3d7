"""What of the derived arrays is kept on disk, and when is it believed?

Four checkpoints, whose manifests name the change and the generation that they cover, and whose files hold
`arrays`: `rows` (which rows hold a record, their positions, the lengths of vectors), without which opening
would read every vector once; `codes`; `columns`; and `graph`, its links alone, unless it is so large that it
is hnswlib's own file. What has happened since is caught up from the change log, as in a process that is
running. All of it can be deleted.

What catching up needs stands here too, for columns and words alike: the rows altered since, and what is
stored of them and of the new ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from vicinal._index import codes, columns
from vicinal._index.codes import Codes
from vicinal._index.columns import Column, Covered
from vicinal._index.graph import Coverage, Graph, can_name
from vicinal._index.view import EMPTY, Rows, View
from vicinal._machine import memory_bytes
from vicinal._storage import arrays, changes, checkpoint, records
from vicinal._storage.changes import State
from vicinal._storage.database import Transaction
from vicinal._storage.files import Files
from vicinal.config import HnswConfiguration
from vicinal.types import Space, Vectors

GROWTH = 1.1
"""A checkpoint is written anew when there are so many times the rows that it covers."""

NAMES = ("graph", "rows", "codes", "columns")

_TWICE_SHARE_MAX = 1 / 8  # of the machine's memory

BROKEN = (OSError, ValueError, KeyError, TypeError, IndexError)


def is_behind(directory: Path, name: str, view: View, oldest: int = 0) -> bool:
    """Whether a checkpoint covers much less than a view, or another generation, or a change so old that the
    log cannot lead on from there; or a graph that was not finished."""
    covers = checkpoint.covers(directory, name)
    try:
        known = covers["generation"] == view.generation and covers.get("change", oldest) >= oldest
        unfinished = covers.get("reviewed", covers["rows"]) < covers["rows"]
        return not known or unfinished or bool(view.rows >= GROWTH * covers["rows"])
    except (KeyError, TypeError):
        return True


def is_ahead(covers: dict[str, Any], state: State) -> bool:
    """Whether a checkpoint covers rows or a change that are not committed."""
    try:
        ahead = covers.get("change", 0) > state.change or covers.get("generation", 0) > state.generation
        return ahead or bool(covers.get("generation") == state.generation and covers["rows"] > state.rows)
    except (KeyError, TypeError):
        return False


def save_rows(directory: Path, view: View, files: Files) -> None:
    """Keep a view, but for its vectors, which are the truth."""
    kept: dict[str, Any] = {"alive": view.alive.view(np.uint8), "norms": view.norms}
    if view.positions is not None:
        kept["positions"] = view.positions
    checkpoint.save(directory, "rows", covers_of(view), lambda path: arrays.write(path, kept), files)


def load_rows(directory: Path, generation: int, change_max: int, vectors: Vectors) -> View:
    """The view that was kept, of this generation and no later than a change; else the empty one."""
    try:
        covers, found = load(directory, "rows", generation)
        rows, change = int(covers["rows"]), int(covers["change"])
        alive, norms = found["alive"].view(np.bool_), found["norms"]
        if change > change_max or not rows <= len(vectors) or (len(alive), len(norms)) != (rows, rows):
            return EMPTY
        records = int(np.count_nonzero(alive))
        positions = found.get("positions")
        return View(change, generation, rows, records, alive, positions, vectors[:rows], norms)
    except BROKEN:
        return EMPTY


def save_codes(directory: Path, held: Codes, view: View, files: Files) -> None:
    """Keep codes; those of rows up to the view's."""
    held = held.first(view.rows)
    kept = {name: getattr(held, name)[: held.rows] for name in ("codes", "scales", "spreads", "lengths")}
    checkpoint.save(directory, "codes", covers_of(view), lambda path: arrays.write(path, kept), files)


def load_codes(directory: Path, space: Space, dimension: int, view: View) -> Codes | None:
    """The codes that were kept, if they are of this view's rows."""
    try:
        _, found = load(directory, "codes", view.generation)
        rows = len(found["codes"])
        if rows > view.rows or found["codes"].shape != (rows, dimension):
            return None
        columns = [found[name] for name in ("scales", "spreads", "lengths")]
        if any(column.shape != (rows,) for column in columns):
            return None
        return codes.made(space, view.generation, found["codes"], *columns)
    except BROKEN:
        return None


def save_columns(directory: Path, view: View, packed: dict[str, dict[str, Any]], files: Files) -> None:
    """Keep columns, each packed, that are all at the view's change."""
    kept, covers = arrays.joined(packed.values()), {**covers_of(view), "keys": list(packed)}
    checkpoint.save(directory, "columns", covers, lambda path: arrays.write(path, kept), files)


def load_columns(directory: Path, view: View) -> dict[str, tuple[Covered, Column]]:
    """The columns that were kept, by key, if they are of this view's rows."""
    try:
        covers, found = load(directory, "columns", view.generation)
        covered = covered_by(covers, view)
        held: dict[str, tuple[Covered, Column]] = {}
        for number, key in enumerate(covers["keys"]):
            held[str(key)] = covered, columns.unpack(arrays.group(found, number), covered.rows)
    except BROKEN:
        return {}
    return held


def save_graph(directory: Path, graph: Graph, view: View, files: Files) -> None:
    """Keep a graph: without its vectors, if the machine can hold it twice for a moment, or hnswlib could not
    write a file here."""
    rows, reviewed, hidden, strays, ef_factor, judged_at = graph.coverage()
    covers = {**covers_of(view), "rows": rows, "reviewed": reviewed}
    covers |= {"ef_factor": ef_factor, "judged_at": judged_at}
    if view.vectors.nbytes <= memory_bytes() * _TWICE_SHARE_MAX or not can_name(directory):
        covers["form"] = "links"
        kept = {"hidden": hidden, "strays": strays, **graph.pack()}
        checkpoint.save(directory, "graph", covers, lambda path: arrays.write(path, kept), files)
    else:
        covers |= {"hidden": hidden.tolist(), "strays": strays.tolist()}
        checkpoint.save(directory, "graph", covers, graph.save, files)


def load_graph(
    directory: Path, hnsw: HnswConfiguration, view: View, known: int, files: Files | None
) -> Graph | None:
    """The graph that was kept, if it covers more of this view's rows than are known without it.

    One that cannot be taken back is discarded, where `files` are given: by who makes it anew. To another
    release of hnswlib in another process it may be as it should.
    """

    def is_wanted(covers: dict[str, Any]) -> bool:
        try:
            return bool(covers["generation"] == view.generation and known < covers["rows"] <= view.rows)
        except (KeyError, TypeError):
            return False

    if not is_wanted(checkpoint.covers(directory, "graph")):
        return None
    found = checkpoint.load(directory, "graph")
    if found is None or not is_wanted(found[1]):  # another process may have replaced it
        return None
    try:
        return _graph(*found, hnsw, view)
    except OSError:
        return None  # it is being replaced, or cannot be read now
    except (RuntimeError, *BROKEN):
        if files is not None:
            checkpoint.discard(directory, "graph", files)
        return None


def _graph(path: Path, covers: dict[str, Any], hnsw: HnswConfiguration, view: View) -> Graph:
    """The graph of a checkpoint; `RuntimeError` of hnswlib's, or one of `BROKEN`, when it is none."""
    graph = Graph(hnsw, view.vectors.shape[1], view.generation)
    # A row that the checkpoint hides stays hidden: rows never come back to life.
    packed = arrays.read(path) if covers.get("form") == "links" else None
    hidden, strays = (np.array((packed or covers)[key], dtype=np.int64) for key in ("hidden", "strays"))
    reviewed = covers.get("reviewed", covers["rows"])
    effort = covers.get("ef_factor", 1), covers.get("judged_at", 0)
    covered = Coverage(covers["rows"], reviewed, hidden, strays, *effort)
    if packed is None:
        graph.load(path, covered, view.vectors)
    else:
        graph.unpack(packed, covered, view.vectors)
    return graph


class MovedError(Exception):
    """A question is about a state that is no longer the newest, and can be asked again."""


def is_passed(covered: Covered, view: View) -> bool:
    """Whether what is derived is of a later state than a view: that could only be served from nothing."""
    return (covered.generation, covered.change) > (view.generation, view.change)


def altered_since(tx: Transaction, covered: Covered, view: View) -> Rows | None:
    """The rows altered between what is covered and a view; None when that has to be made from nothing."""
    if not covered.rows or covered.generation != view.generation or covered.change > view.change:
        return None
    if covered.change == view.change:
        return np.empty(0, dtype=np.int64)
    delta = changes.since(tx, covered.change)
    return None if delta is None else np.unique(delta.altered)


def stored(tx: Transaction, column: str, first: int, stop: int, altered: Rows) -> Iterator[tuple[int, Any]]:
    """(row, value) of a column of the records for rows from `first` to `stop`, and for altered ones before.

    Row by row, so that other threads get their turn.
    """
    return chain(records.walk(tx, altered.tolist(), column), records.scan(tx, column, first, stop))


def covers_of(view: View) -> dict[str, Any]:
    """What a checkpoint made of this view covers."""
    return {"generation": view.generation, "change": view.change, "rows": view.rows}


def covered_by(covers: dict[str, Any], view: View) -> Covered:
    """What a checkpoint says that it covers; `ValueError` when that goes beyond the view."""
    covered = Covered(int(covers["change"]), view.generation, int(covers["rows"]))
    if not 0 <= covered.rows <= view.rows or covered.change > view.change:
        raise ValueError(covered)
    return covered


def load(directory: Path, name: str, generation: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a checkpoint covers, and its arrays; `ValueError` when it is not of this generation."""
    if checkpoint.covers(directory, name).get("generation") != generation:
        raise ValueError(name)
    loaded = checkpoint.load(directory, name)
    if loaded is None:
        raise ValueError(name)
    path, covers = loaded
    return covers, arrays.read(path)
