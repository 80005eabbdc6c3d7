"""How do arrays lie in a file, so that reading them is mapping it?

A header in JSON names every array's type, shape and place; the arrays follow, each at a multiple of 64
bytes, little-endian. Nothing is executed or unpickled. Whether the file can be believed is the
checkpoint's business, which has its checksum.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ALIGN = 64

Array = NDArray[Any]


def write(path: Path, arrays: Mapping[str, Array]) -> None:
    """Make a file of named arrays of numbers."""
    entries: dict[str, Any] = {}
    at = 0
    for name, array in arrays.items():
        entries[name] = {"type": array.dtype.newbyteorder("<").str, "shape": array.shape, "at": at}
        at += -(-array.nbytes // _ALIGN) * _ALIGN
    header = json.dumps(entries).encode()
    start = -(-(8 + len(header)) // _ALIGN) * _ALIGN
    with path.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        for name, array in arrays.items():
            stream.seek(start + entries[name]["at"])
            stream.write(np.ascontiguousarray(array, dtype=entries[name]["type"]).tobytes())
        stream.truncate(start + at)


def read(path: Path) -> dict[str, Array]:
    """The arrays of such a file, mapped and read-only. Raises `ValueError` when it is none."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError(f"{path} holds no arrays")
        entries = json.loads(stream.read(length))
        start = -(-(8 + length) // _ALIGN) * _ALIGN
        mapping = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return {
        name: np.frombuffer(
            mapping, entry["type"], int(np.prod(entry["shape"], dtype=np.int64)), start + entry["at"]
        ).reshape(entry["shape"])
        for name, entry in entries.items()
    }


def joined(groups: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    """Several groups of arrays for one file: those of the n-th are named `n.…`."""
    return {f"{n}.{name}": array for n, group in enumerate(groups) for name, array in group.items()}


def group(arrays: Mapping[str, Array], number: int) -> dict[str, Array]:
    """One of the groups that `joined` joined, under its own names."""
    prefix = f"{number}."
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
