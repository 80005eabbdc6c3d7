"""How fast can int8 vectors be multiplied?

The one file that imports simsimd, whose SIMD kernel multiplies int8 vectors without unpacking them and
lets go of the GIL meanwhile. Where it cannot be imported, or could overflow, numpy does the same more
slowly; both give the integer, rounded to float32 where it is beyond 2²⁴ (more than 1,000 dimensions).
Measured beside numkong's and numpy's: docs/decisions/0007-codes.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal._index.helpers import in_parts
from vicinal._turns import computing

Codes = NDArray[np.int8]

_BLOCK_ROWS = 1024
_SHARED_BYTES = 16 << 20  # so many take a millisecond, and calling a helper a tenth of one
_DIMENSION_MAX = (2**31 - 1) // 127**2  # simsimd adds up in int32: beyond, equal vectors could seem opposite

simsimd: Any
try:
    import simsimd
except ImportError:  # no wheel for this platform
    simsimd = None


def dots(query: Codes, codes: Codes) -> NDArray[np.float32]:
    """query · code for each row of codes, shape (n, dimension): integers, rounded to float32."""
    if simsimd is None or len(query) > _DIMENSION_MAX:
        return dots_numpy(query, codes)
    if codes.nbytes < _SHARED_BYTES:
        return dots_simsimd(query, codes)
    return in_parts(lambda part: dots_simsimd(query, codes[part]), len(codes))


def dots_simsimd(query: Codes, codes: Codes) -> NDArray[np.float32]:
    """By simsimd, on this thread."""
    if not len(codes):
        return np.empty(0, dtype=np.float32)
    with computing():
        found = np.asarray(simsimd.cdist(query[np.newaxis], codes, metric="dot", out_dtype="float32"))
    product: NDArray[np.float32] = found.reshape(-1)
    return product


def dots_numpy(query: Codes, codes: Codes) -> NDArray[np.float32]:
    """By numpy, block by block in float64, where integers of this size are exact."""
    out = np.empty(len(codes), dtype=np.float32)
    wide = query.astype(np.float64)
    for start in range(0, len(codes), _BLOCK_ROWS):
        block = codes[start : start + _BLOCK_ROWS].astype(np.float64)
        out[start : start + len(block)] = np.einsum("ij,j->i", block, wide)
    return out
