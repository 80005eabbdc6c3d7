"""Where is the vector of row N?

At byte N × dimension × 4 of a file of little-endian float32, or at index N of an array in memory. Rows
are only ever appended. The file is mapped, so reading a vector is reading memory; it is made longer in
steps ahead of need, so that growing does not mean mapping again. Bytes past the committed row count
mean nothing: they are a hole, or what a crash left, and the next writer writes over them.
"""

from __future__ import annotations

import mmap
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from vicinal._locks import RLock
from vicinal._storage.files import Files, meanwhile, translated
from vicinal.errors import CorruptionError
from vicinal.types import Vectors

_STEP_MIN = 1 << 20
_STEP_MAX = 64 << 20


class VectorStore(Protocol):
    """Appended by one writer at a time, read by anyone."""

    dimension: int
    generation: int

    def append(self, first_row: int, vectors: Vectors) -> None: ...
    def appending(self, first_row: int, vectors: Vectors) -> AbstractContextManager[None]: ...
    def view(self, rows: int) -> Vectors: ...
    def close(self) -> None: ...


class VectorFile:
    """Vectors in a file. With `create=False` a missing file is a `FileNotFoundError`.

    The file is closed with the last reference to it, a mapping with the last view.
    """

    def __init__(self, path: Path, dimension: int, generation: int, files: Files, *, create: bool) -> None:
        self.dimension, self.generation, self._files = dimension, generation, files
        self._file = files.open(path, create=create)
        self._mapping = RLock()
        self._mapped: Vectors = np.empty((0, dimension), dtype="<f4")

    def append(self, first_row: int, vectors: Vectors) -> None:
        """Write vectors from a row on; they are on the medium when this returns."""
        stride = self.dimension * 4
        end = (first_row + len(vectors)) * stride
        size = self._file.size
        if end > size:
            self._files.grow(self._file, end + min(max(_STEP_MIN, size // 4), _STEP_MAX))
        data = np.ascontiguousarray(vectors, dtype="<f4").reshape(-1).view(np.uint8)
        self._files.write_at(self._file, data.data, first_row * stride)
        self._files.sync(self._file)

    def appending(self, first_row: int, vectors: Vectors) -> AbstractContextManager[None]:
        """The same while a block runs, and done when it has ended."""
        return meanwhile(partial(self.append, first_row, vectors))

    def view(self, rows: int) -> Vectors:
        """The first `rows` vectors, read-only, shape (rows, dimension)."""
        with self._mapping:
            if rows > len(self._mapped):
                self._mapped = self._map(rows)
            return self._mapped[:rows]

    def close(self) -> None:
        """Close the file of which there is no view, and will be none."""
        self._file.close()

    def _map(self, rows: int) -> Vectors:
        size, stride = self._file.size, self.dimension * 4
        if size < rows * stride:
            raise CorruptionError(
                path=str(self._file.path),
                problem=f"holds {size // stride} vectors, but {rows} rows are committed",
            )
        with translated(self._file.path):
            mapping = mmap.mmap(self._file.fd, size, access=mmap.ACCESS_READ)
        count = size // stride
        return np.frombuffer(mapping, dtype="<f4", count=count * self.dimension).reshape(count, -1)


class VectorMemory:
    """Vectors in an array that doubles when it is full."""

    def __init__(self, dimension: int, generation: int) -> None:
        self.dimension, self.generation = dimension, generation
        self._array: Vectors = np.empty((0, dimension), dtype=np.float32)

    def append(self, first_row: int, vectors: Vectors) -> None:
        """Write vectors from a row on. Views handed out before keep the older array."""
        end = first_row + len(vectors)
        if end > len(self._array):
            larger = np.empty((max(end, 2 * len(self._array)), self.dimension), dtype=np.float32)
            larger[:first_row] = self._array[:first_row]
            self._array = larger
        self._array[first_row:end] = vectors

    def appending(self, first_row: int, vectors: Vectors) -> AbstractContextManager[None]:
        """The same, at once."""
        self.append(first_row, vectors)
        return nullcontext()

    def view(self, rows: int) -> Vectors:
        """The first `rows` vectors, shape (rows, dimension)."""
        view = self._array[:rows]
        view.flags.writeable = False
        return view

    def close(self) -> None:
        """Nothing to let go of."""
