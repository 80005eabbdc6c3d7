"""Where is the vector of row N?

At byte N × dimension × 4 of a file of little-endian float32, or at index N of an array in memory. Rows
are only ever appended. The file is mapped, so reading a vector is reading memory; it is made longer in
steps ahead of need, so that growing does not mean mapping again. Bytes past the committed row count
mean nothing: they are a hole, or what a crash left, and the next writer writes over them.
"""

from __future__ import annotations

import mmap
import os
import threading
from pathlib import Path
from typing import Protocol

import numpy as np

from vicinal._storage.files import Files
from vicinal.errors import CorruptionError
from vicinal.types import Vectors

_STEP_MIN = 1 << 20
_STEP_MAX = 64 << 20


class VectorStore(Protocol):
    """Appended by one writer at a time, read by anyone."""

    def append(self, first_row: int, vectors: Vectors) -> None: ...
    def view(self, rows: int) -> Vectors: ...
    def close(self) -> None: ...


class VectorFile:
    """Vectors in a file."""

    def __init__(self, path: Path, dimension: int, files: Files) -> None:
        self.path, self.dimension, self._files = path, dimension, files
        self._fd = files.open(path)
        self._mapping = threading.Lock()
        self._mapped: Vectors = np.empty((0, dimension), dtype="<f4")

    def append(self, first_row: int, vectors: Vectors) -> None:
        """Write vectors from a row on; they are on the medium when this returns."""
        stride = self.dimension * 4
        end = (first_row + len(vectors)) * stride
        size = os.fstat(self._fd).st_size
        if end > size:
            self._files.grow(self._fd, end + min(max(_STEP_MIN, size // 4), _STEP_MAX))
        data = np.ascontiguousarray(vectors, dtype="<f4").reshape(-1).view(np.uint8)
        self._files.write_at(self._fd, data.data, first_row * stride)
        self._files.sync(self._fd)

    def view(self, rows: int) -> Vectors:
        """The first `rows` vectors, read-only, shape (rows, dimension)."""
        with self._mapping:
            if rows > len(self._mapped):
                self._mapped = self._map(rows)
            return self._mapped[:rows]

    def close(self) -> None:
        """Let go of the file; views that are still in use keep their mapping."""
        os.close(self._fd)

    def _map(self, rows: int) -> Vectors:
        size = os.fstat(self._fd).st_size
        stride = self.dimension * 4
        if size < rows * stride:
            raise CorruptionError(
                path=str(self.path),
                problem=f"holds {size // stride} vectors, but {rows} rows are committed",
            )
        mapping = mmap.mmap(self._fd, size, access=mmap.ACCESS_READ)
        return np.frombuffer(mapping, dtype="<f4", count=size // stride * self.dimension).reshape(
            -1, self.dimension
        )


class VectorMemory:
    """Vectors in an array that doubles when it is full."""

    def __init__(self, dimension: int) -> None:
        self._array: Vectors = np.empty((0, dimension), dtype=np.float32)

    def append(self, first_row: int, vectors: Vectors) -> None:
        """Write vectors from a row on. Views handed out before keep the older array."""
        end = first_row + len(vectors)
        if end > len(self._array):
            larger = np.empty((max(end, 2 * len(self._array)), self._array.shape[1]), dtype=np.float32)
            larger[:first_row] = self._array[:first_row]
            self._array = larger
        self._array[first_row:end] = vectors

    def view(self, rows: int) -> Vectors:
        """The first `rows` vectors, shape (rows, dimension)."""
        view = self._array[:rows]
        view.flags.writeable = False
        return view

    def close(self) -> None:
        """Nothing to let go of."""
