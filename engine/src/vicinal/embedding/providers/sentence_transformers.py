"""How is text embedded by a sentence transformer on this machine?

Through the package sentence-transformers (which brings PyTorch). A model is a directory, or a name on
the Hugging Face hub, from where the package downloads it on first use.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import numpy as np

from vicinal._optional import package
from vicinal.embedding.providers._base import Provider
from vicinal.embedding.sparse import SparseEmbeddingFunction, from_dense
from vicinal.errors import EmbeddingFunctionError
from vicinal.types import Documents, SparseVector, Vector

_EXTRA = "sentence-transformers"
_LOADED_MAX = 4


class SentenceTransformerEmbeddingFunction(Provider[Documents]):
    """A sentence transformer. Needs `vicinal[sentence-transformers]`.

    Args:
        model_name: A directory, or a name on the hub.
        device: Where it runs: "cpu", "cuda", "mps".
        normalize_embeddings: Scale the vectors to unit length.
        kwargs: Further arguments of `SentenceTransformer`: texts, numbers, booleans, lists, dictionaries.
    """

    remembered = ("model_name", "device", "normalize_embeddings", "kwargs")
    config_may_differ = frozenset({"device", "kwargs"})
    config_paths = frozenset({"model_name"})

    def __init__(
        self,
        model_name: str = "all-MiniLM-L6-v2",
        device: str = "cpu",
        normalize_embeddings: bool = False,
        **kwargs: Any,
    ) -> None:
        self.model_name, self.device, self.normalize_embeddings = model_name, device, normalize_embeddings
        self.kwargs = without_secrets(kwargs)
        self._model = _load("SentenceTransformer", model_name, device, as_json(kwargs))

    def __call__(self, input: Documents) -> list[Vector]:
        vectors = self._model.encode(
            list(input), convert_to_numpy=True, normalize_embeddings=self.normalize_embeddings
        )
        return list(np.asarray(vectors, dtype=np.float32))

    @classmethod
    def build_from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**{**{k: v for k, v in config.items() if k != "kwargs"}, **(config.get("kwargs") or {})})

    @staticmethod
    def name() -> str:
        return "sentence_transformer"


class HuggingFaceSparseEmbeddingFunction(SparseEmbeddingFunction):
    """A SPLADE-style sparse encoder. Needs `vicinal[sentence-transformers]`, in version 5 or later.

    Args:
        model_name: A directory, or a name on the hub, such as "naver/splade-v3".
        device: Where it runs.
        task: "document" or "query": as what documents are encoded.
        query_config: `{"task": "query"}` to encode queries as such; None encodes them as documents.
        kwargs: Further arguments of `SparseEncoder`.
    """

    def __init__(
        self,
        model_name: str,
        device: str = "cpu",
        task: str | None = "document",
        query_config: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.model_name, self.device, self.task, self.query_config = model_name, device, task, query_config
        for given in (task, (query_config or {}).get("task")):
            if given not in ("document", "query", None):
                raise EmbeddingFunctionError(f'task: expected "document" or "query", got {given!r}')
        self.kwargs = without_secrets(kwargs)
        self._model = _load("SparseEncoder", model_name, device, as_json(kwargs))

    def __call__(self, input: Documents) -> list[SparseVector]:
        return self._encode(input, self.task)

    def embed_query(self, input: Documents) -> list[SparseVector]:
        return self._encode(input, (self.query_config or {}).get("task", self.task))

    def _encode(self, texts: Documents, task: str | None) -> list[SparseVector]:
        encode = self._model.encode_query if task == "query" else self._model.encode_document
        dense = encode(list(texts), convert_to_sparse_tensor=False, convert_to_tensor=True)
        return [from_dense(vector.cpu().numpy()) for vector in dense]

    @staticmethod
    def name() -> str:
        return "huggingface_sparse"

    def get_config(self) -> dict[str, Any]:
        return {
            "model_name": self.model_name,
            "device": self.device,
            "task": self.task,
            "query_config": self.query_config,
            "kwargs": self.kwargs,
        }

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> SparseEmbeddingFunction:
        given = {k: v for k, v in config.items() if k != "kwargs"}
        return HuggingFaceSparseEmbeddingFunction(**{**given, **(config.get("kwargs") or {})})


def without_secrets(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that may be stored: those that hold no token of the hub, at any depth."""
    kept: dict[str, Any] = _without_tokens(arguments)
    return kept


def _without_tokens(given: Any) -> Any:
    if isinstance(given, dict):
        return {k: _without_tokens(v) for k, v in given.items() if k not in ("token", "use_auth_token")}
    return [_without_tokens(value) for value in given] if isinstance(given, (list, tuple)) else given


def as_json(arguments: dict[str, Any]) -> str:
    """Arguments as text, or `EmbeddingFunctionError` when a collection could not remember them."""
    try:
        return json.dumps(arguments, sort_keys=True)
    except TypeError as error:
        raise EmbeddingFunctionError(
            f"Further arguments of the model must be JSON, so that a collection can remember them: {error}"
        ) from None


@lru_cache(maxsize=_LOADED_MAX)
def _load(cls: str, model_name: str, device: str, arguments: str) -> Any:
    """A model, loaded once per process however many functions use it: it takes seconds and much memory."""
    loader = package(
        "sentence_transformers", name="sentence-transformers", extra=_EXTRA, feature="A sentence transformer"
    )
    return getattr(loader, cls)(model_name, device=device, **json.loads(arguments))
