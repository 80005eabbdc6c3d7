"""What is each of these vectors times that one?

On this thread alone. `@` is BLAS, which shares even a few dozen products out among its threads and then waits
for all of them: milliseconds, whenever another thread has the core (measured: decision 9).
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.float32, np.float64)


def products(vectors: NDArray[Number], others: NDArray[Number]) -> NDArray[Number]:
    """The dot product of each row with a vector, or with the same row of others, shape (n,)."""
    found: Any = np.empty(len(vectors), dtype=vectors.dtype)
    if hasattr(np, "vecdot"):  # numpy 2
        np.vecdot(vectors, others, out=found)
    else:
        np.einsum("ij,j->i" if others.ndim == 1 else "ij,ij->i", vectors, others, out=found)
    return found  # type: ignore[no-any-return]
