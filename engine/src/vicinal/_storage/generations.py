"""Which store holds the vectors of a collection's rows?

Compaction numbers the rows anew and writes their vectors to another file, that of the next generation. One
generation is in use; who still reads an older one keeps it alive by a reference of its own.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from vicinal._storage.changes import State
from vicinal._storage.files import Files
from vicinal._storage.vectors import VectorFile, VectorMemory, VectorStore
from vicinal._turns import Lock
from vicinal.types import Vectors

FILES = "vectors-*.f32"
"""The vector files of a collection's directory."""


def path_of(directory: Path, generation: int) -> Path:
    """The file of a generation in a collection's directory."""
    return directory / f"vectors-{generation}.f32"


def numbers(directory: Path) -> list[int]:
    """The generations whose files a directory has, the newest first."""
    # No `glob`, to which a directory that cannot be listed is empty.
    found = (re.fullmatch(r"vectors-([0-9]+)\.f32", path.name) for path in directory.iterdir())
    return sorted((int(name[1]) for name in found if name), reverse=True)


class VectorsMissingError(Exception):
    """A generation's file is gone: compaction has replaced it since the transaction began, or worse."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: is missing")
        self.path = path


class Generations:
    """The vectors of one collection, on disk or in memory. Every method may be called from any thread."""

    def __init__(self, directory: Path | None, files: Files) -> None:
        self._directory, self._files = directory, files
        self._opening = Lock()
        self._used: VectorStore | None = None

    def found(self) -> list[Path]:
        """The files that there are, those that a killed compaction has left among them."""
        return [] if self._directory is None else self._files.find(self._directory, FILES)

    def of(self, state: State) -> Vectors:
        """The vectors of all committed rows, shape (rows, dimension)."""
        if state.dimension is None:
            return np.empty((0, 0), dtype=np.float32)
        if not state.rows:  # nor need there be a file
            return np.empty((0, state.dimension), dtype=np.float32)
        return self._open(state.dimension, state.generation, create=False).view(state.rows)

    def store(self, dimension: int, generation: int) -> VectorStore:
        """Where a generation is written, made if need be; for the holder of the write lock."""
        return self._open(dimension, generation, create=True)

    def next(self, state: State) -> VectorStore:
        """An empty store for what compaction writes; nobody sees it until `adopt`."""
        assert state.dimension is not None
        self.discard(state.generation + 1)  # left by a compaction that was killed
        return self._make(state.dimension, state.generation + 1, create=True)

    def adopt(self, store: VectorStore | None) -> VectorStore | None:
        """Take another store as the one in use; returns the one that was."""
        with self._opening:
            before, self._used = self._used, store
            return before

    def discard(self, generation: int) -> None:
        """Remove the file of a generation that is not the truth (any more)."""
        if self._directory is not None:
            self._files.discard(path_of(self._directory, generation))

    def discard_others(self, generation: int) -> None:
        """Remove all files but this generation's; for the holder of the write lock."""
        for path in self.found():
            if path != path_of(path.parent, generation):
                self._files.discard(path)

    def after_fork(self) -> None:
        """In the child of a fork: forget who held the lock."""
        self._opening = Lock()

    def _open(self, dimension: int, generation: int, *, create: bool) -> VectorStore:
        with self._opening:
            used = self._used
            if used is not None and (used.dimension, used.generation) == (dimension, generation):
                return used
            opened = self._make(dimension, generation, create=create)
            # A reader of an older generation has a file of its own; others are using this one.
            # A write that came to nothing may have opened it for a dimension that never became true.
            if used is None or used.generation <= generation:
                self._used = opened
            return opened

    def _make(self, dimension: int, generation: int, *, create: bool) -> VectorStore:
        if self._directory is None:
            return VectorMemory(dimension, generation)
        path = path_of(self._directory, generation)
        try:
            return VectorFile(path, dimension, generation, self._files, create=create)
        except FileNotFoundError:
            raise VectorsMissingError(path) from None
