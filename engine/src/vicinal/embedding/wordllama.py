"""How is text embedded offline, with nothing to download?

WordLlama's wheel carries its weights: token embeddings averaged and normalised, 256 dimensions, about
2,000 texts a second on one core, numpy only. It is the default because it always works; a sentence
transformer finds more.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from vicinal._optional import package
from vicinal.embedding.protocol import EmbeddingFunction
from vicinal.embedding.registry import DEFAULT, register_embedding_function
from vicinal.types import Space, Vector


@register_embedding_function
class WordLlamaEmbeddingFunction(EmbeddingFunction):
    """WordLlama with the 256-dimensional weights inside its wheel. Needs `vicinal[wordllama]`.

    Vectors have unit length, so the three spaces rank alike. Source: the package wordllama
    """

    def __call__(self, input: Sequence[str]) -> list[Vector]:
        texts = list(input)
        if not texts:
            return []
        # An empty text averages no token: NaN from the model, and the zero vector from us.
        with np.errstate(invalid="ignore"):
            means = np.nan_to_num(np.asarray(_model().embed(texts, norm=False), dtype=np.float32))
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        return list(np.divide(means, lengths, out=np.zeros_like(means), where=lengths > 0))

    @staticmethod
    def name() -> str:
        return "wordllama"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction:  # noqa: ARG004 - it has none
        return WordLlamaEmbeddingFunction()

    def supports_images(self) -> bool | None:
        return False

    def default_space(self) -> Space:
        return "cosine"


@register_embedding_function
class DefaultEmbeddingFunction(WordLlamaEmbeddingFunction):
    """What a collection uses when its creator names no function. Today: WordLlama."""

    @staticmethod
    def name() -> str:
        return DEFAULT

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction:  # noqa: ARG004 - it has none
        return DefaultEmbeddingFunction()

    def default_space(self) -> Space:
        return "l2"  # as Chroma's default: a new collection's distances do not change under its users


@lru_cache(maxsize=1)
def _model() -> Any:
    """The model, loaded once per process: 20 MB, 0.2 s."""
    root, quiet = logging.getLogger(), logging.NullHandler()
    root.addHandler(quiet)  # importing wordllama calls basicConfig, which leaves a root with handlers alone
    try:
        wordllama = package(
            "wordllama",
            name="wordllama",
            extra="wordllama",
            feature="Embedding text with the default function (pass embeddings, or another "
            "embedding_function, to do without)",
        )
    finally:
        root.removeHandler(quiet)
    # Its 0.4 looks for the bundled tokenizer in the wrong folder unless it is told where it lies.
    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
