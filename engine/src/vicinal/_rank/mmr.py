"""Which of the nearest say something new?

Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998): pick again and again the candidate with
the largest λ·similarity(query) − (1 − λ)·max similarity(picked). Similarity is the space's own: the
cosine, the dot product, or 1 − d/2 for a squared distance d, which is the cosine for unit vectors; so
λ = 1 is exactly the order of distances in every space. One pass over the candidates per pick.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vicinal._products import products
from vicinal.types import Space, Vectors


def select(
    space: Space, distances: NDArray[np.float64], vectors: Vectors, k: int, lambda_mult: float
) -> list[int]:
    """Positions of up to k candidates in the order of picking; candidates come in order of distance."""
    return select_by(space, _similarity(space, distances), vectors, k, lambda_mult)


def select_by(
    space: Space, relevance: NDArray[np.float64], vectors: Vectors, k: int, lambda_mult: float
) -> list[int]:
    """The same where something else than distance says how relevant a candidate is; best first."""
    wide = vectors.astype(np.float64)
    if space == "cosine":
        norms = np.linalg.norm(wide, axis=1, keepdims=True)
        wide = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    squares = np.einsum("ij,ij->i", wide, wide)
    overlap = np.full(len(wide), -np.inf)
    left = np.ones(len(wide), dtype=np.bool_)
    picked: list[int] = []
    for _ in range(min(k, len(wide))):
        # λ = 0 says nothing about the first pick: it is the nearest, as everywhere.
        gain = lambda_mult * relevance - (1 - lambda_mult) * overlap if picked else relevance
        best = int(np.argmax(np.where(left, gain, -np.inf)))
        picked.append(best)
        left[best] = False
        dots = products(wide, wide[best])
        if space == "l2":
            similar = 1 - np.maximum(squares + squares[best] - 2 * dots, 0) / 2
        else:
            similar = dots
        np.maximum(overlap, similar, out=overlap)
    return picked


def _similarity(space: Space, distances: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 - distances / 2 if space == "l2" else 1 - distances
