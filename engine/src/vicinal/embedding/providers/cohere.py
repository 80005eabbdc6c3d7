"""How are text and pictures embedded by Cohere?

Through the package cohere, which waits and tries again by itself. Documents and queries are embedded
differently. A request holds up to 96 texts, or one picture. Source: https://docs.cohere.com/reference/embed
"""

from __future__ import annotations

from typing import Any

from vicinal._optional import package
from vicinal.embedding.images import data_uri
from vicinal.embedding.providers._base import Provider, batches, embedded, secret
from vicinal.types import Embeddable, Space, Vector

_TEXTS_MAX = 96
_RETRIES = 2


class CohereEmbeddingFunction(Provider[Embeddable]):
    """Cohere's models; those from version 3 on embed pictures too. Needs `vicinal[cohere]`.

    Args:
        api_key: The key, for this process only; better left in the environment.
        model_name: The model.
        api_key_env_var: The variable that holds the key; if it is not set, `COHERE_API_KEY`.
        base_url: Another address of the same service.
    """

    remembered = ("api_key_env_var", "model_name", "base_url")
    config_may_differ = frozenset({"api_key_env_var", "base_url"})

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "large",
        api_key_env_var: str = "CHROMA_COHERE_API_KEY",
        base_url: str | None = None,
    ) -> None:
        cohere = package("cohere", name="cohere", extra="cohere", feature="CohereEmbeddingFunction")
        self.model_name, self.api_key_env_var, self.base_url = model_name, api_key_env_var, base_url
        key = secret(api_key, api_key_env_var, "COHERE_API_KEY")
        self._client = cohere.ClientV2(key, base_url=base_url)

    def __call__(self, input: Embeddable) -> list[Vector]:
        return self._embed(input, "search_document")

    def embed_query(self, input: Embeddable) -> list[Vector]:
        return self._embed(input, "search_query")

    def _embed(self, items: Any, purpose: str) -> list[Vector]:
        if any(not isinstance(item, str) for item in items):
            pictures = ([data_uri(image)] for image in items)
            return embedded(pictures, lambda one: self._request(images=one, input_type="image"), "images")
        return embedded(
            batches(items, _TEXTS_MAX), lambda batch: self._request(texts=batch, input_type=purpose)
        )

    def _request(self, **content: Any) -> list[list[float]]:
        answer = self._client.embed(
            model=self.model_name,
            embedding_types=["float"],
            request_options={"max_retries": _RETRIES},
            **content,
        )
        vectors: list[list[float]] = answer.embeddings.float_
        return vectors

    def supports_images(self) -> bool | None:
        return True

    def default_space(self) -> Space:
        return "ip" if self.model_name == "embed-multilingual-v2.0" else "cosine"

    def supported_spaces(self) -> list[Space]:
        match self.model_name:
            case "embed-english-v2.0" | "embed-english-light-v2.0":
                return ["cosine"]
            case "embed-multilingual-v2.0":
                return ["ip"]
        return ["cosine", "l2", "ip"]

    @staticmethod
    def name() -> str:
        return "cohere"
