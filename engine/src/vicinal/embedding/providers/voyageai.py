"""How is text embedded by Voyage AI?

Through the package voyageai. A request holds up to 1,000 texts and, with the models that take the
least, 120,000 tokens. Source: https://docs.voyageai.com/reference/embeddings-api
"""

from __future__ import annotations

from vicinal._optional import package
from vicinal.embedding.providers._base import Provider, batches, embedded, secret
from vicinal.types import Documents, Vector

_TEXTS_MAX = 1_000
_BYTES_MAX = 240_000
_RETRIES = 2


class VoyageAIEmbeddingFunction(Provider[Documents]):
    """Voyage AI's models. Needs `vicinal[voyageai]`.

    Args:
        api_key: The key, for this process only; better left in the environment.
        model_name: The model.
        api_key_env_var: The variable that holds the key; if it is not set, `VOYAGE_API_KEY`.
        input_type: "document" puts Voyage's prompts before documents, and the one for queries before
            queries; "query" puts that before both; None, the default, puts none.
        truncation: Cut a text that is longer than the model reads, instead of raising.
        base_url: Another address of the same service.
    """

    remembered = ("api_key_env_var", "model_name", "input_type", "truncation", "base_url")
    config_may_differ = frozenset({"api_key_env_var", "truncation", "base_url"})

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "voyage-large-2",
        api_key_env_var: str = "CHROMA_VOYAGE_API_KEY",
        input_type: str | None = None,
        truncation: bool = True,
        base_url: str | None = None,
    ) -> None:
        voyageai = package("voyageai", name="voyageai", extra="voyageai", feature="VoyageAIEmbeddingFunction")
        self.model_name, self.api_key_env_var, self.base_url = model_name, api_key_env_var, base_url
        self.input_type, self.truncation = input_type, truncation
        key = secret(api_key, api_key_env_var, "VOYAGE_API_KEY")
        self._client = voyageai.Client(api_key=key, max_retries=_RETRIES, base_url=base_url)

    def __call__(self, input: Documents) -> list[Vector]:
        return self._embed(input, self.input_type)

    def embed_query(self, input: Documents) -> list[Vector]:
        return self._embed(input, self.input_type and "query")

    def _embed(self, texts: Documents, input_type: str | None) -> list[Vector]:
        def request(batch: list[str]) -> list[list[float]]:
            vectors: list[list[float]] = self._client.embed(
                batch, model=self.model_name, input_type=input_type, truncation=self.truncation
            ).embeddings
            return vectors

        return embedded(batches(texts, _TEXTS_MAX, _BYTES_MAX), request)

    @staticmethod
    def name() -> str:
        return "voyageai"
