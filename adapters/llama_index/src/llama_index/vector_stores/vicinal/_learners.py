"""What would a classifier, trained to tell the query from everything else, take for the query?

LlamaIndex's learner modes: one positive example, the query, and as many negative ones as there are
nodes, both classes of equal weight in sum; the nodes come in the order of the decision function w·x + b.
It is the optimum that scikit-learn's estimators have with the parameters of
`llama_index.core.indices.query.embedding_utils.get_top_k_embeddings_learner`:

* `svm`: ½(w² + b²) + 0.1 · Σ weight · max(0, 1 − y(w·x + b))², as `LinearSVC` with C = 0.1;
* `logistic_regression`: ½w² + Σ weight · log(1 + exp(−y(w·x + b))), as `LogisticRegression`.

Both are convex, so Newton's method finds it, with conjugate gradients for the steps. Every candidate
takes part, so time and memory grow with their number: some ten passes over the vectors.

`linear_regression` is absent: least squares over fewer nodes than dimensions fits every node alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from llama_index.core.vector_stores.types import VectorStoreQueryMode

Array = np.ndarray

STEPS_MAX = 100
TOLERANCE = 1e-7
"""Of the gradient, as a part of what it was at the start."""


@dataclass(frozen=True)
class _Loss:
    """A loss over margins y·f: its value, its first and its second derivative."""

    value: Callable[[Array], Array]
    first: Callable[[Array], Array]
    second: Callable[[Array], Array]
    scale: float
    bias_penalty: float


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


LEARNERS = {
    VectorStoreQueryMode.SVM: _Loss(
        value=lambda m: np.maximum(0, 1 - m) ** 2,
        first=lambda m: -2 * np.maximum(0, 1 - m),
        second=lambda m: 2.0 * (m < 1),
        scale=0.1,
        bias_penalty=1.0,
    ),
    VectorStoreQueryMode.LOGISTIC_REGRESSION: _Loss(
        value=lambda m: np.logaddexp(0, -m),
        first=lambda m: -_sigmoid(-m),
        second=lambda m: _sigmoid(m) * _sigmoid(-m),
        scale=1.0,
        bias_penalty=0.0,
    ),
}


def decisions(mode: VectorStoreQueryMode, query: Sequence[float], candidates: Array) -> Array:
    """The decision function of each candidate, larger is nearer: float64 of shape (n,).

    Args:
        mode: A key of `LEARNERS`.
        query: Shape (dimension,).
        candidates: Shape (n, dimension), n at least 1.
    """
    count = len(candidates) + 1
    examples = np.ones((count, len(query) + 1))  # the last column is the bias's
    examples[0, :-1], examples[1:, :-1] = query, candidates
    signs = np.where(np.arange(count) == 0, 1.0, -1.0)
    weights = np.where(signs > 0, count / 2, count / (2 * (count - 1)))
    solution = _minimum(LEARNERS[mode], examples * signs[:, None], weights)
    scores: Array = examples[1:] @ solution
    return scores


def _minimum(loss: _Loss, signed: Array, weights: Array) -> Array:
    """Newton's method with backtracking; `signed` are the examples times their class, ±1."""
    weights = loss.scale * weights
    penalty = np.ones(signed.shape[1])
    penalty[-1] = loss.bias_penalty

    def objective(at: Array) -> float:
        return float(0.5 * penalty @ at**2 + weights @ loss.value(signed @ at))

    at, first_length = np.zeros(signed.shape[1]), None
    for _ in range(STEPS_MAX):
        margins = signed @ at
        gradient = penalty * at + signed.T @ (weights * loss.first(margins))
        length = float(np.linalg.norm(gradient))
        first_length = first_length or length
        if length <= TOLERANCE * first_length:
            break
        curvature = weights * loss.second(margins)
        step = _solve(_hessian(signed, penalty, curvature), -gradient)
        here, share = objective(at), 1.0
        while objective(at + share * step) > here + 1e-4 * share * float(gradient @ step) and share > 1e-10:
            share /= 2
        at = at + share * step
    return at


def _hessian(signed: Array, penalty: Array, curvature: Array) -> Callable[[Array], Array]:
    """The objective's matrix of second derivatives, as what it makes of a vector."""

    def times(vector: Array) -> Array:
        image: Array = penalty * vector + signed.T @ (curvature * (signed @ vector))
        return image

    return times


def _solve(matrix: Callable[[Array], Array], right: Array) -> Array:
    """Conjugate gradients for matrix(x) = right, a symmetric positive matrix."""
    x, residual = np.zeros_like(right), right.copy()
    direction, size = residual.copy(), float(residual @ residual)
    enough = 1e-8 * size
    for _ in range(2 * len(right)):
        image = matrix(direction)
        along = float(direction @ image)
        if size <= enough or along <= 0:
            break
        x += size / along * direction
        residual -= size / along * image
        before, size = size, float(residual @ residual)
        direction = residual + size / before * direction
    return x
