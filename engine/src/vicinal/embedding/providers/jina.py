"""How are text and pictures embedded by Jina AI?

By plain HTTP: there is no package. Texts and pictures may stand in one request, of up to 512 items.
Source: https://jina.ai/embeddings
"""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np

from vicinal.embedding.images import png_base64
from vicinal.embedding.providers._base import Provider, embedded, in_order, no_vectors, secret
from vicinal.embedding.providers._http import Http
from vicinal.types import Embeddable, Vector

_ITEMS_MAX = 512


class JinaQueryConfig(TypedDict):
    """What a request for queries has in place of the function's own settings."""

    task: str


class JinaEmbeddingFunction(Provider[Embeddable]):
    """Jina AI's models; jina-clip and jina-embeddings-v4 embed pictures too. Needs `vicinal[jina]`.

    Args:
        api_key: The key, for this process only; better left in the environment.
        model_name: The model.
        api_key_env_var: The variable that holds the key; if it is not set, `JINA_API_KEY`.
        task: What the vectors are for, such as "retrieval.passage".
        late_chunking, truncate, dimensions, embedding_type, normalized: As Jina's documentation says.
        query_config: Settings that replace these for queries, such as `{"task": "retrieval.query"}`.
        base_url: Another address of the same service.
    """

    remembered = (
        "api_key_env_var",
        "model_name",
        "task",
        "late_chunking",
        "truncate",
        "dimensions",
        "embedding_type",
        "normalized",
        "query_config",
        "base_url",
    )
    config_may_differ = frozenset({"api_key_env_var", "query_config", "base_url"})

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "jina-embeddings-v2-base-en",
        api_key_env_var: str = "CHROMA_JINA_API_KEY",
        task: str | None = None,
        late_chunking: bool | None = None,
        truncate: bool | None = None,
        dimensions: int | None = None,
        embedding_type: str | None = None,
        normalized: bool | None = None,
        query_config: JinaQueryConfig | None = None,
        base_url: str | None = None,
    ) -> None:
        self.model_name, self.api_key_env_var, self.base_url = model_name, api_key_env_var, base_url
        self.task, self.late_chunking, self.truncate = task, late_chunking, truncate
        self.dimensions, self.embedding_type, self.normalized = dimensions, embedding_type, normalized
        self.query_config = query_config
        key = secret(api_key, api_key_env_var, "JINA_API_KEY")
        address = (base_url or "https://api.jina.ai/v1").rstrip("/") + "/embeddings"
        self._http = Http(address, key, extra="jina")

    def __call__(self, input: Embeddable) -> list[Vector]:
        return self._embed(input, {})

    def embed_query(self, input: Embeddable) -> list[Vector]:
        return self._embed(input, dict(self.query_config or {}))

    def _embed(self, items: Embeddable, overriding: dict[str, Any]) -> list[Vector]:
        names = ("task", "late_chunking", "truncate", "dimensions", "embedding_type", "normalized")
        settings = {name: value for name in names if (value := getattr(self, name)) is not None}
        settings |= overriding

        def request(batch: list[Any]) -> list[Any]:
            answer = self._http.post({"model": self.model_name, "input": batch, **settings})
            try:
                items = in_order(answer["data"], [item.get("index") for item in answer["data"]])
                return [_vector(item) for item in items]
            except (AttributeError, KeyError, TypeError, ValueError):
                raise no_vectors(answer) from None

        content = [_content(item) for item in items]
        if any(not isinstance(item, str) for item in content):
            content = [{"text": item} if isinstance(item, str) else item for item in content]
        cuts = range(0, len(content), _ITEMS_MAX)
        return embedded((content[cut : cut + _ITEMS_MAX] for cut in cuts), request, "items")

    def supports_images(self) -> bool | None:
        return True

    @staticmethod
    def name() -> str:
        return "jina"


def _content(item: Any) -> Any:
    return (item or " ") if isinstance(item, str) else {"image": png_base64(item)}


def _vector(item: dict[str, Any]) -> Any:
    embedding = item["embedding"]
    if isinstance(embedding, str):  # embedding_type="base64"
        import base64

        return np.frombuffer(base64.b64decode(embedding), dtype="<f4")
    return embedding
