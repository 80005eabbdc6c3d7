"""How is text embedded by a static model of Model2Vec, in microseconds and without PyTorch?

Through the package model2vec. A model is a directory, or a name on the Hugging Face hub, from where the
package downloads it on first use. Source: https://github.com/MinishLab/model2vec
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from vicinal._optional import package
from vicinal.embedding.providers._base import Provider
from vicinal.types import Documents, Vector


class Model2VecEmbeddingFunction(Provider[Documents]):
    """A static model of Model2Vec. Needs `vicinal[model2vec]`.

    Args:
        model_name: A directory, or a name on the hub.
        normalize: Scale the vectors to unit length; as the model says unless given.
        dimensions: Keep only so many of the first dimensions.
    """

    remembered = ("model_name", "normalize", "dimensions")
    config_may_differ = frozenset()
    config_paths = frozenset({"model_name"})

    def __init__(
        self,
        model_name: str = "minishlab/potion-base-8M",
        normalize: bool | None = None,
        dimensions: int | None = None,
    ) -> None:
        self._package = package(
            "model2vec", name="model2vec", extra="model2vec", feature="Model2VecEmbeddingFunction"
        )
        self.model_name, self.normalize, self.dimensions = model_name, normalize, dimensions

    def __call__(self, input: Documents) -> list[Vector]:
        if not input:
            return []
        vectors = self._model.encode(list(input), use_multiprocessing=False)
        return list(np.asarray(vectors, dtype=np.float32))

    @cached_property
    def _model(self) -> Any:
        return self._package.StaticModel.from_pretrained(
            self.model_name, normalize=self.normalize, dimensionality=self.dimensions, force_download=False
        )

    @staticmethod
    def name() -> str:
        return "model2vec"
