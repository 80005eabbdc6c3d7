"""What of the derived arrays is kept on disk, and when is it believed?

Three checkpoints beside the graph's, each an `arrays` file that names the change and the generation it
covers: `rows` (which rows hold a record, their positions, the lengths of vectors), without which opening
would read every vector once; `codes`; and `columns`. What has happened since is caught up from the change
log, as in a process that is running. All of it can be deleted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vicinal._index import columns
from vicinal._index.codes import Codes
from vicinal._index.columns import Column, Covered
from vicinal._index.view import EMPTY, View
from vicinal._storage import arrays, checkpoint
from vicinal._storage.files import Files
from vicinal.types import Space, Vectors

GROWTH = 1.1
"""A checkpoint is written anew when there are so many times the rows that it covers."""

NAMES = ("graph", "rows", "codes", "columns")

_BROKEN = (OSError, ValueError, KeyError, TypeError, IndexError)


def is_behind(directory: Path, name: str, view: View) -> bool:
    """Whether a checkpoint covers much less than a view, or another generation."""
    covers = checkpoint.covers(directory, name)
    try:
        return bool(covers["generation"] != view.generation or view.rows >= GROWTH * covers["rows"])
    except (KeyError, TypeError):
        return True


def save_rows(directory: Path, view: View, files: Files) -> None:
    """Keep a view, but for its vectors, which are the truth."""
    kept: dict[str, Any] = {"alive": view.alive.view(np.uint8), "norms": view.norms}
    if view.positions is not None:
        kept["positions"] = view.positions
    checkpoint.save(directory, "rows", _covers(view), lambda path: arrays.write(path, kept), files)


def load_rows(directory: Path, generation: int, change_max: int, vectors: Vectors) -> View:
    """The view that was kept, of this generation and no later than a change; else the empty one."""
    try:
        covers, found = _load(directory, "rows", generation)
        rows, change = int(covers["rows"]), int(covers["change"])
        alive, norms = found["alive"].view(np.bool_), found["norms"]
        if change > change_max or not rows <= len(vectors) or (len(alive), len(norms)) != (rows, rows):
            return EMPTY
        records = int(np.count_nonzero(alive))
        positions = found.get("positions")
        return View(change, generation, rows, records, alive, positions, vectors[:rows], norms)
    except _BROKEN:
        return EMPTY


def save_codes(directory: Path, held: Codes, view: View, files: Files) -> None:
    """Keep codes; those of rows up to the view's."""
    held = held.first(view.rows)
    kept = {name: getattr(held, name)[: held.rows] for name in ("codes", "scales", "spreads", "lengths")}
    checkpoint.save(directory, "codes", _covers(view), lambda path: arrays.write(path, kept), files)


def load_codes(directory: Path, space: Space, dimension: int, view: View) -> Codes | None:
    """The codes that were kept, if they are of this view's rows."""
    try:
        _, found = _load(directory, "codes", view.generation)
        rows = len(found["codes"])
        if rows > view.rows or found["codes"].shape != (rows, dimension):
            return None
        columns = [found[name] for name in ("scales", "spreads", "lengths")]
        if any(column.shape != (rows,) for column in columns):
            return None
        return Codes(space, view.generation, rows, found["codes"], *columns)
    except _BROKEN:
        return None


def save_columns(directory: Path, view: View, packed: dict[str, dict[str, Any]], files: Files) -> None:
    """Keep columns, each packed, that are all at the view's change."""
    kept: dict[str, Any] = {}
    for number, parts in enumerate(packed.values()):
        kept.update({f"{number}.{name}": array for name, array in parts.items()})
    covers = {**_covers(view), "keys": list(packed)}
    checkpoint.save(directory, "columns", covers, lambda path: arrays.write(path, kept), files)


def load_columns(directory: Path, view: View) -> dict[str, tuple[Covered, Column]]:
    """The columns that were kept, by key, if they are of this view's rows."""
    try:
        covers, found = _load(directory, "columns", view.generation)
        covered = Covered(int(covers["change"]), view.generation, int(covers["rows"]))
        if covered.rows > view.rows or covered.change > view.change:
            return {}
        held: dict[str, tuple[Covered, Column]] = {}
        for number, key in enumerate(covers["keys"]):
            prefix = f"{number}."
            parts = {name[len(prefix) :]: a for name, a in found.items() if name.startswith(prefix)}
            held[str(key)] = covered, columns.unpack(parts, covered.rows)
    except _BROKEN:
        return {}
    return held


def _covers(view: View) -> dict[str, Any]:
    return {"generation": view.generation, "change": view.change, "rows": view.rows}


def _load(directory: Path, name: str, generation: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a checkpoint covers, and its arrays; `ValueError` when it is not of this generation."""
    if checkpoint.covers(directory, name).get("generation") != generation:
        raise ValueError(name)
    loaded = checkpoint.load(directory, name)
    if loaded is None:
        raise ValueError(name)
    path, covers = loaded
    return covers, arrays.read(path)
