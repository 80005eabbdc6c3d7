"""What is each of these vectors times that one?

On this thread alone. `@` is BLAS, which shares even a few dozen products out among its threads and then waits
for all of them: milliseconds, whenever another thread has the core (measured: decision 9).
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.float32, np.float64)


def products(vectors: NDArray[Number], vector: NDArray[Number]) -> NDArray[Number]:
    """The dot product of each row with a vector, shape (n,)."""
    found: Any = np.empty(len(vectors), dtype=vectors.dtype)
    if hasattr(np, "vecdot"):  # numpy 2
        np.vecdot(vectors, vector, out=found)
    else:
        np.einsum("ij,j->i", vectors, vector, out=found)
    return found  # type: ignore[no-any-return]
