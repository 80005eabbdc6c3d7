"""How fast can int8 vectors be multiplied?

The one file that imports simsimd, whose SIMD kernel multiplies int8 vectors without unpacking them and
lets go of the GIL meanwhile. Where it cannot be imported, numpy does the same more slowly; both give the
exact integer. Measured beside numkong's and numpy's: docs/decisions/0007-codes.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int8]

_BLOCK_ROWS = 1024

simsimd: Any
try:
    import simsimd
except ImportError:  # no wheel for this platform
    simsimd = None


def dots(query: Codes, codes: Codes) -> NDArray[np.float64]:
    """query · code for each row of codes, shape (n, dimension): exact integers, as float64."""
    return dots_simsimd(query, codes) if simsimd is not None else dots_numpy(query, codes)


def dots_simsimd(query: Codes, codes: Codes) -> NDArray[np.float64]:
    """By simsimd, on this thread."""
    if not len(codes):
        return np.empty(0)
    product: NDArray[np.float64] = np.asarray(simsimd.cdist(query[np.newaxis], codes, metric="dot"))
    return product.reshape(-1)


def dots_numpy(query: Codes, codes: Codes) -> NDArray[np.float64]:
    """By numpy, block by block in float64, where integers of this size are exact."""
    out = np.empty(len(codes))
    wide = query.astype(np.float64)
    for start in range(0, len(codes), _BLOCK_ROWS):
        block = codes[start : start + _BLOCK_ROWS].astype(np.float64)
        np.einsum("ij,j->i", block, wide, out=out[start : start + len(block)])
    return out
