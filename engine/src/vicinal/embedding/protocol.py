"""What is an embedding function?

A callable from a list of texts to as many vectors of one length. A subclass of `EmbeddingFunction`
that also has a name and a configuration is stored with its collection, so that opening the collection
finds it again; any other callable works, but must be passed at every opening.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vicinal.errors import EmbeddingFunctionError
from vicinal.types import Space, Vectors


class EmbeddingFunction:
    """Base class of embedding functions. Override `__call__`, and the rest to be remembered by name.

    Example:
        >>> from vicinal.embedding import EmbeddingFunction
        >>> class Lengths(EmbeddingFunction):
        ...     def __call__(self, input):
        ...         return [[float(len(text)), 1.0] for text in input]
        >>> Lengths()(["ab", "c"])
        [[2.0, 1.0], [1.0, 1.0]]
    """

    def __call__(self, input: Sequence[str]) -> Any:
        """Embed documents: one vector per text, as lists of floats or numpy arrays."""
        raise NotImplementedError(f"{type(self).__name__} must implement __call__(self, input)")

    def embed_query(self, input: Sequence[str]) -> Any:
        """Embed queries; models that treat queries unlike documents override this."""
        return self(input)

    @staticmethod
    def name() -> str:
        """The name under which collections remember this function; must be unique."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """What `build_from_config` needs to make an equal function, as JSON. Never a secret."""
        raise NotImplementedError

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction:
        """Make the function that `get_config` described."""
        raise NotImplementedError

    def default_space(self) -> Space:
        """The space that a new collection gets when its creator names none."""
        return "l2"

    def supported_spaces(self) -> list[Space]:
        """The spaces in which this function's distances mean something."""
        return ["l2", "cosine", "ip"]


Embedder = Callable[[Sequence[str]], Any]


def embed(function: Embedder, texts: Sequence[str], *, query: bool) -> Vectors:
    """Run a function over texts; the answer is float32 of shape (len(texts), dimension)."""
    embed_query = getattr(function, "embed_query", None) if query else None
    answer = (embed_query or function)(list(texts))
    name = type(function).__name__
    try:
        vectors = np.asarray([np.asarray(vector, dtype=np.float32) for vector in answer], np.float32)
    except (TypeError, ValueError) as error:
        raise EmbeddingFunctionError(
            f"Embedding function {name} must return one vector per text, all of one length: {error}"
        ) from error
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise EmbeddingFunctionError(
            f"Embedding function {name} returned shape {vectors.shape} for {len(texts)} texts; "
            f"expected ({len(texts)}, dimension)"
        )
    return vectors
