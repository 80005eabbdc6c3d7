"""Where does Chroma keep the vectors that it has indexed, and how are they read?

Each collection has a directory with the files of an HNSW graph. `header.bin` says how `data_level0.bin` is
laid out: for each element its links, its vector and its label, at a fixed stride. `index_metadata.pickle`
says which label each id has. In cosine space the vectors are stored normalised and `length.bin` holds their
lengths, so what comes back differs from what was written by rounding, here as in Chroma.

The graph itself is not read: only the vectors are, through a memory map.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vicinal._storage.files import exists
from vicinal.errors import CorruptionError
from vicinal.types import Space, Vectors

_HEADER = struct.Struct("<iQQQQQQ")
"""Version, offset of level 0, capacity, elements, stride, offset of the label, offset of the vector."""
_OLD_CLASS = ("chromadb.segment.impl.vector.local_persistent_hnsw", "PersistentData")
FILES = ("header.bin", "data_level0.bin", "length.bin", "index_metadata.pickle")


class Segment:
    """The indexed vectors of one collection: none, when Chroma has not written its index yet."""

    def __init__(self, directory: Path, dimension: int | None, space: Space) -> None:
        self.covered = 0
        self._slots: dict[str, int] = {}
        self._directory, self._dimension = directory, dimension or 0
        if not exists(directory / "index_metadata.pickle") or not dimension:
            return
        labels, self.covered = _facts(directory / "index_metadata.pickle")
        self._map(space)
        slots = {label: slot for slot, label in enumerate(self._elements["label"].tolist())}
        self._slots = {id: slots[label] for id, label in labels.items() if label in slots}

    def __contains__(self, id: str) -> bool:
        return id in self._slots

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """The vectors of ids that the segment holds, float32, shape (n, dimension)."""
        slots = [self._slots[id] for id in ids]
        found = np.array(self._elements["vector"][slots], dtype=np.float32)
        if self._lengths is None:
            return found
        with np.errstate(invalid="ignore"):  # a vector whose length is beyond float32 is lost: 0 · infinity
            return found * self._lengths[slots, None]

    def _map(self, space: Space) -> None:
        path = self._directory / "header.bin"
        try:
            _, _, _, elements, stride, label, vector = _HEADER.unpack_from(path.read_bytes())
            kind = np.dtype(
                {
                    "names": ["vector", "label"],
                    "formats": [(np.float32, (self._dimension,)), np.uint64],
                    "offsets": [vector, label],
                    "itemsize": stride,
                }
            )
            data = self._directory / "data_level0.bin"
            self._elements = np.memmap(data, dtype=kind, mode="r", shape=(elements,))
            lengths = self._directory / "length.bin"
            self._lengths = np.fromfile(lengths, np.float32, elements) if space == "cosine" else None
            if self._lengths is not None and len(self._lengths) < elements:
                raise ValueError(f"length.bin holds {len(self._lengths)} lengths of {elements}")
        except (OSError, ValueError, OverflowError, struct.error) as error:
            raise CorruptionError(
                path=str(path.parent), problem=f"Chroma's index cannot be read: {error}"
            ) from error


def sequence_number(stored: Any) -> int:
    """A position in Chroma's log; before 1.0 it was written as eight bytes."""
    return int.from_bytes(stored, "big") if isinstance(stored, bytes) else int(stored or 0)


class _Facts:
    """Stands for the class whose object older Chromas wrote: attributes and nothing else."""


class _Unpickler(pickle.Unpickler):
    """Numbers, texts and dictionaries: a pickle that names anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == _OLD_CLASS:
            return _Facts
        raise pickle.UnpicklingError(f"it names {module}.{name}, which an index of Chroma's does not")


def _facts(path: Path) -> tuple[dict[str, int], int]:
    """Id → label, and how far in the log the index has come."""
    try:
        found = _Unpickler(io.BytesIO(path.read_bytes())).load()
        found = found if isinstance(found, dict) else vars(found)
        if not isinstance(found["id_to_label"], dict):
            raise TypeError(f"id_to_label is a {type(found['id_to_label']).__name__}")
        labels = {id: int(label) for id, label in found["id_to_label"].items()}
        return labels, sequence_number(found.get("max_seq_id"))
    except Exception as error:
        raise CorruptionError(path=str(path), problem=f"is no index of Chroma's: {error}") from error
