"""How does the system know which pages of a mapped file come next?

It guesses: a page that is not in memory is read with the 128 KiB about it. For the few vectors that an
answer is measured by, here and there in a large file, that guess is wrong and makes each cost a
millisecond instead of a tenth; so vectors are mapped for reading at random, and who is about to read
many in a row says so. Neither changes what is read, nor matters once pages are in memory.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from vicinal.types import Vectors


def mapped(fd: int, size_bytes: int) -> mmap.mmap:
    """A file, mapped for reading a little here and there."""
    mapping = mmap.mmap(fd, size_bytes, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_RANDOM"):
        mapping.madvise(mmap.MADV_RANDOM)
    return mapping


def in_order(vectors: Vectors) -> Vectors:
    """The same rows, which are about to be read from first to last: fetched at once, if they are mapped."""
    whole: Any = vectors
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    mapping = getattr(whole.base, "obj", whole.base)
    if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_WILLNEED"):
        start = _address(vectors) - _address(whole)
        first = start // mmap.PAGESIZE * mmap.PAGESIZE
        if vectors.flags.c_contiguous and vectors.nbytes:
            mapping.madvise(mmap.MADV_WILLNEED, first, start + vectors.nbytes - first)
    return vectors


def _address(array: Vectors) -> int:
    return int(array.__array_interface__["data"][0])
