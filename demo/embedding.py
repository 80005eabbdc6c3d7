"""How does the demo turn texts into an array, with the engine's own function?

LangChain and LlamaIndex use the same function through `langchain_vicinal.VicinalEmbeddings` and
`llama_index.vector_stores.vicinal.VicinalEmbedding`, so that what is asked is embedded exactly as the
collection's records were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

EmbeddingFunction = Callable[[Sequence[str]], Any]


def as_vectors(function: EmbeddingFunction, texts: Sequence[str]) -> np.ndarray:
    """float32 of shape (len(texts), dimension)."""
    return np.asarray(function(list(texts)), dtype=np.float32)
