"""How is text embedded by Mistral?

Through the package mistralai. A request holds up to 16,384 tokens.
Source: https://docs.mistral.ai/capabilities/embeddings
"""

from __future__ import annotations

from vicinal._optional import package
from vicinal.embedding.providers._base import TIMEOUT_S, Provider, batches, embedded, in_order, secret
from vicinal.types import Documents, Vector

_TEXTS_MAX = 512
_BYTES_MAX = 32_000


class MistralEmbeddingFunction(Provider[Documents]):
    """Mistral's models. Needs `vicinal[mistral]`.

    Args:
        model: The model, such as "mistral-embed".
        api_key_env_var: The variable that holds the key.
        base_url: Another address of the same service.
    """

    remembered = ("model", "api_key_env_var", "base_url")
    config_may_differ = frozenset({"api_key_env_var", "base_url"})

    def __init__(
        self, model: str, api_key_env_var: str = "MISTRAL_API_KEY", base_url: str | None = None
    ) -> None:
        feature = "MistralEmbeddingFunction"
        client = package("mistralai.client", name="mistralai", extra="mistral", feature=feature)
        retries = package("mistralai.client.utils", name="mistralai", extra="mistral", feature=feature)
        self.model, self.api_key_env_var, self.base_url = model, api_key_env_var, base_url
        self._client = client.Mistral(
            api_key=secret(None, api_key_env_var),
            server_url=base_url,
            timeout_ms=TIMEOUT_S * 1_000,
            retry_config=retries.RetryConfig(
                "backoff",
                retries.BackoffStrategy(500, 10_000, 2.0, 30_000),  # milliseconds
                retry_connection_errors=False,
            ),
        )

    def __call__(self, input: Documents) -> list[Vector]:
        return embedded(batches(input, _TEXTS_MAX, _BYTES_MAX), self._request)

    def _request(self, texts: list[str]) -> list[list[float]]:
        answer = self._client.embeddings.create(model=self.model, inputs=texts)
        indices = [getattr(item, "index", None) for item in answer.data]
        return [item.embedding for item in in_order(answer.data, indices)]

    @staticmethod
    def name() -> str:
        return "mistral"
