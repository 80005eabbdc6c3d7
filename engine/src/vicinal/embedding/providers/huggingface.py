"""How is text embedded by Hugging Face's servers, or by one's own text-embeddings-inference?

`HuggingFaceEmbeddingFunction` asks the inference service through the package huggingface-hub,
`HuggingFaceEmbeddingServer` a server at an address by plain HTTP, so that a token stored by the hub's
tools is not sent there. Both take 32 texts at once.
Source: https://huggingface.co/docs/inference-providers/tasks/feature-extraction
"""

from __future__ import annotations

from typing import Any

from vicinal._optional import package
from vicinal.embedding.providers._base import TIMEOUT_S, Provider, batches, embedded, optional_secret, secret
from vicinal.embedding.providers._http import Http
from vicinal.types import Documents, Vector

_TEXTS_MAX = 32


class HuggingFaceEmbeddingFunction(Provider[Documents]):
    """Models of the Hugging Face hub, run by its inference service. Needs `vicinal[huggingface]`.

    Args:
        api_key: The token, for this process only; better left in the environment.
        model_name: The model on the hub; one that answers with one vector per text.
        api_key_env_var: The variable that holds the token; if it is not set, `HUGGINGFACE_API_KEY` or
            `HF_TOKEN`.
        base_url: The whole address of a dedicated endpoint for the model.
    """

    remembered = ("api_key_env_var", "model_name", "base_url")
    config_may_differ = frozenset({"api_key_env_var", "base_url"})

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "sentence-transformers/all-MiniLM-L6-v2",
        api_key_env_var: str = "CHROMA_HUGGINGFACE_API_KEY",
        base_url: str | None = None,
    ) -> None:
        feature = "HuggingFaceEmbeddingFunction"
        hub = package("huggingface_hub", name="huggingface-hub", extra="huggingface", feature=feature)
        self.model_name, self.api_key_env_var, self.base_url = model_name, api_key_env_var, base_url
        key = secret(api_key, api_key_env_var, "HUGGINGFACE_API_KEY", "HF_TOKEN")
        self._client = hub.InferenceClient(
            model=base_url or model_name, provider="hf-inference", token=key, timeout=TIMEOUT_S
        )

    def __call__(self, input: Documents) -> list[Vector]:
        return embedded(batches(input, _TEXTS_MAX), self._client.feature_extraction)

    @staticmethod
    def name() -> str:
        return "huggingface"


class HuggingFaceEmbeddingServer(Provider[Documents]):
    """A server of your own that runs text-embeddings-inference. Needs `vicinal[huggingface]`.

    Args:
        url: The whole address, such as "http://localhost:8080/embed".
        api_key_env_var: The variable that holds the server's key, if it asks for one.
        api_key: The key, for this process only.
    """

    remembered = ("url", "api_key_env_var")
    config_may_differ = frozenset({"url", "api_key_env_var"})

    def __init__(self, url: str, api_key_env_var: str | None = None, api_key: str | None = None) -> None:
        self.url, self.api_key_env_var = url, api_key_env_var
        self._http = Http(url, optional_secret(api_key, api_key_env_var), extra="huggingface")

    def __call__(self, input: Documents) -> list[Vector]:
        return embedded(batches(input, _TEXTS_MAX), self._request)

    def _request(self, texts: list[str]) -> Any:
        return self._http.post({"inputs": texts})

    @staticmethod
    def name() -> str:
        return "huggingface_server"
